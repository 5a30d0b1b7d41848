/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The file of the bans (kept.h): SOURCE END LEVEL CAUSE. */
#include "kept.h"
#include "sources.h"

/** @return 0 or a negated errno */
CH_NODISCARD int ch_bans_write(const char *file, struct ch_sources *sources,
			       const struct ch_clocks *clocks);

/** Reads the file into @sources; bans that have ended are left out. @return as ch_kept_read */
CH_NODISCARD int ch_bans_read(const char *file, struct ch_sources *sources,
			      const struct ch_clocks *clocks, struct ch_buf *warnings);
