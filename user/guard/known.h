/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The file of the known sources (kept.h): SOURCE END. Without it a restart would make strangers of
 * a whole fleet, just when an attack may hold all the places that strangers have.
 */
#include "kept.h"
#include "sources.h"

/** @unripe: there are sessions too new to make their source known: write again later.
 * @return 0 or a negated errno */
CH_NODISCARD int ch_known_write(const char *file, struct ch_sources *sources,
				const struct ch_clocks *clocks, bool *unripe);

/** Reads the file into @sources; who is not known any more is left out. @return as ch_kept_read */
CH_NODISCARD int ch_known_read(const char *file, struct ch_sources *sources,
			       const struct ch_clocks *clocks, struct ch_buf *warnings);
