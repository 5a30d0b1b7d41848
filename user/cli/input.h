/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Files that a verb sends. */
#include "cli.h"

/**
 * Appends the whole of file @name (NULL or "-": standard input) to @into. @what: "operation", in
 * what is said about it; @most: bytes it may have.
 * @return CLI_OK or the exit code
 */
int input_read(const struct cli *cli, const char *name, const char *what, size_t most,
	       struct ch_buf *into);
