/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Inside user/guard: files in which something about sources outlives a restart and a reboot: a line
 * each, words with blanks between, with wall-clock ends. Written beside and renamed, so that a
 * crash leaves the old or the new one.
 */
#include <callhome/error.h>
#include "user/core/buf.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/** How the clocks stand to each other. */
struct ch_clocks {
	uint64_t now_ns;  /**< monotonic */
	uint64_t unix_ns; /**< of the same moment */
};

#define CH_KEPT_WORDS 4
#define CH_KEPT_END 32

/** "2026-01-01T00:00:00Z", rounded up to a second; UINT64_MAX is "never". */
void ch_kept_format_end(uint64_t until_ns, const struct ch_clocks *clocks, char text[CH_KEPT_END]);
/** @return can it be read? @until_ns is monotonic, 0 = it has passed */
bool ch_kept_parse_end(const char *text, const struct ch_clocks *clocks, uint64_t *until_ns);

/** @put writes the lines. @return 0 or a negated errno: the old file is as it was */
CH_NODISCARD int ch_kept_write(const char *file, void (*put)(FILE *out, void *ctx), void *ctx);

struct ch_kept_format {
	const char *what; /**< a line is, with its shape: "a ban (SOURCE END LEVEL CAUSE)" */
	unsigned words;	  /**< at most CH_KEPT_WORDS */
	/** Takes a line. @return can it be read? An @err of its own ends the reading. */
	bool (*take)(void *ctx, char *const words[CH_KEPT_WORDS], int *err);
};

/**
 * Lines that cannot be read are left out and told in @warnings (the first 20 of them). A file that
 * is not there has no lines.
 * @return 0, a negated errno, CH_E_LIMIT (a line is too long to be one of ours)
 */
CH_NODISCARD int ch_kept_read(const char *file, const struct ch_kept_format *format, void *ctx,
			      struct ch_buf *warnings);
