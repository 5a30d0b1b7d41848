/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Requests that change something and are answered with a sentence. */
#include "cli.h"

/**
 * Does the change and prints what the daemon says about it. Takes @path, without a NUL.
 * @return the exit code
 */
int change_do(struct cli *cli, const char *method, struct ch_buf *path, struct ch_slice body);
