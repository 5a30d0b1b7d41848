/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Mistakes in a file a person wrote: each is one line "FILE:LINE:COLUMN: what; how to mend it".
 * At most CH_DIAG_MAX are shown, then how many more there are. Shared by the YAML and CSV readers.
 */
#include "user/core/buf.h"

#include <stdint.h>

#define CH_DIAG_MAX 20

/** Where in a file, counted from 1. Line 0: the file as a whole; column 0: the whole line. */
struct ch_position {
	uint32_t line;
	uint32_t column;
};

struct ch_diag {
	const char *file;   /**< as the user knows it */
	struct ch_buf *out; /**< lines, separated by a newline, none after the last */
	uint32_t count;	    /**< mistakes so far, shown or not */
	int err;	    /**< first failure to write @out; sticks */
};

/** Reports a mistake. Control characters in it are shown as '?': the text may quote the file. */
void ch_diag_add(struct ch_diag *diag, struct ch_position at, const char *fmt, ...) CH_PRINTF(3, 4);

/** Writes how many mistakes were not shown. @return 0 if there was none, else CH_E_CONFIG or -ENOMEM. */
CH_NODISCARD int ch_diag_end(struct ch_diag *diag);
