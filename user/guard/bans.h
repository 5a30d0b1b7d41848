/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The file that bans outlive a restart and a reboot in: a line each, with wall-clock ends. Written
 * beside and renamed, so that a crash leaves the old or the new one.
 */
#include "sources.h"
#include "user/core/buf.h"

/** How the clocks stand to each other. */
struct ch_clocks {
	uint64_t now_ns;  /**< monotonic */
	uint64_t unix_ns; /**< of the same moment */
};

/** @return 0 or a negated errno */
CH_NODISCARD int ch_bans_write(const char *file, struct ch_sources *sources,
			       const struct ch_clocks *clocks);

/**
 * Reads the file into @sources; bans that have ended are left out, lines that cannot be read are
 * told in @warnings. A file that is not there holds no ban.
 * @return 0, a negated errno, CH_E_LIMIT (it is no file of bans)
 */
CH_NODISCARD int ch_bans_read(const char *file, struct ch_sources *sources,
			      const struct ch_clocks *clocks, struct ch_buf *warnings);
