/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Log lines of the form `event=... key=value`. The core formats and limits; a sink writes. Never
 * keys, credentials or payload.
 */
#include <callhome/error.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum ch_log_level { CH_LOG_ERROR, CH_LOG_WARNING, CH_LOG_INFO, CH_LOG_DEBUG };

/** Shared by all threads; @write must be safe to call from any (one write(2) per line is). */
struct ch_log {
	enum ch_log_level level; /**< lines above it are dropped unformatted */
	void (*write)(void *ctx, enum ch_log_level level, const char *line);
	void *ctx;
};

/**
 * Formats and writes one line of at most 1023 bytes (longer ones are cut), without a newline;
 * control characters become "?". A NULL log drops it.
 */
void ch_log(const struct ch_log *log, enum ch_log_level level, const char *fmt, ...)
	CH_PRINTF(3, 4);

/** "error", "warning", "info" or "debug". */
const char *ch_log_level_name(enum ch_log_level level);

/**
 * Asks for one event at @now_ns: at most @burst at once and @per_second in the long run. @tat_ns is the
 * caller's, 0 at first (GCRA theoretical arrival time). A rate or burst of 0 holds everything back.
 */
bool ch_rate_allow(uint64_t *tat_ns, uint64_t now_ns, uint32_t per_second, uint32_t burst);

/** At most @burst lines at once and @per_second in the long run; what is held back is counted. */
struct ch_log_limit {
	uint64_t tat_ns; /**< GCRA theoretical arrival time */
	uint64_t held;	 /**< lines held back since the last one that passed */
};

/**
 * Asks for one line at @now_ns. @return true to write it; @held then says how many were skipped
 * before it. A rate or burst of 0 holds everything back.
 */
bool ch_log_allow(struct ch_log_limit *limit, uint64_t now_ns, uint32_t per_second, uint32_t burst,
		  uint64_t *held);
