/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
#include "config.h"

/**
 * Which keys that only a restart changes differ: a line per key is appended to @lines.
 * @return as ch_buf_reserve
 */
CH_NODISCARD int ch_config_diff(const struct ch_config *running, const struct ch_config *next,
				struct ch_buf *lines);
