/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What a run tells: the live line, the summary, the JSON result, and the thresholds it is held to. */
#include "fleet.h"
#include "user/core/json.h"

#include <stdio.h>

/** Connections of honest devices that ended as they should not have. */
uint64_t sim_report_failures(const struct sim_counters *counters);

/**
 * One line for people.
 * @before: the snapshot of the last line; @seconds between the two
 * @refused: connections the collector refused or ended (its own count, or that of the impostors)
 */
void sim_report_line(FILE *to, uint64_t elapsed_s, uint32_t devices, const struct sim_snapshot *now,
		     const struct sim_snapshot *before, double seconds, uint64_t refused);

/** Members (not the braces) of the JSON result. */
void sim_report_json(struct ch_json *json, const struct sim_snapshot *snapshot, double seconds);

struct sim_metric;

/** "METRIC OP VALUE" without spaces, OP one of < <= > >= == : "login_p99<2s", "up>=1000". */
struct sim_threshold {
	const struct sim_metric *metric;
	const char *text;
	uint8_t op;
	uint64_t value; /**< a count, or nanoseconds */
};

/** @text is kept. @return 0 or CH_E_SYNTAX with one sentence in @error */
CH_NODISCARD int sim_threshold_parse(const char *text, struct sim_threshold *threshold,
				     char error[256]);
bool sim_threshold_holds(const struct sim_threshold *threshold, const struct sim_snapshot *snapshot,
			 uint64_t *actual);
