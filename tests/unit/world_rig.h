/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* A world of certificates for each test of a program: `setup` and `teardown` go into its TestSuite.
 */
#include "tls_fixture.h"

static struct fx_world world;

static inline void setup(void)
{
	fx_world_init(&world);
}

static inline void teardown(void)
{
	fx_world_deinit(&world);
}
