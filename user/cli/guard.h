/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What `guard stats` and `status` say alike about the guard. No newline at the end. */
#include "cli.h"

/** @guard: as the control API has it. */
void guard_print_where(const struct cli *cli, const json_t *guard);
void guard_print_limits(const json_t *guard);
