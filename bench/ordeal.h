/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* One attack beside a real fleet: what was measured, and whether the fleet was spared. No I/O. */
#include "user/core/hist.h"
#include "user/core/json.h"
#include "verify.h"

#include <stdbool.h>
#include <stdio.h>

#define SIM_ORDEAL_SLOWDOWN 2 /* times the quiet p99 is what the fleet may feel */

/** What the fleet and the collector were like during a span of time. */
struct sim_figures {
	struct ch_hist login_us, rpc_us;
	double seconds;
	double cpu_s;	     /**< of the collector */
	uint64_t memory_kib; /**< the most the collector had until its end */
};

struct sim_ordeal {
	const char *kind;
	bool guard;
	const char *skipped;  /**< why it was not run, or NULL */
	double rate;	      /**< asked of the attacker, per second; 0 = what a core can */
	uint64_t connections; /**< likewise, at a time */

	/* of the attacker */
	uint64_t attempts, connected, refused, timed_out, closed_by_target, held_peak;
	double attack_s, attacker_cpu_s;

	struct sim_figures quiet, under;

	/* of the fleet, from its first call to the end */
	uint64_t devices, up;	      /**< that keep their sessions; of them up at the end */
	uint64_t cut;		      /**< of their sessions, ended before */
	uint64_t calls, logins;	      /**< of those that redial */
	uint64_t sent, spooled, held; /**< notifications; @held: left out as nobody read them */
	uint64_t rpcs_failed;

	uint64_t bans, false_bans;
	uint64_t memory_bound_kib; /**< what the collector's memory may grow by */
	struct sim_failures failures;
};

/** What the spans differ by: @later minus @before, which is older. */
void sim_hist_since(struct ch_hist *later, const struct ch_hist *before);

/** Compares with what a fleet must not feel; each miss is a sentence in @failures. */
void sim_ordeal_judge(struct sim_ordeal *ordeal);

/** CPU of the collector beyond that of a quiet time, per hostile attempt. */
double sim_ordeal_cpu_us(const struct sim_ordeal *ordeal);

void sim_ordeal_head(FILE *to);
void sim_ordeal_line(FILE *to, const struct sim_ordeal *ordeal);

/** The object of one attack. */
void sim_ordeal_json(struct ch_json *json, const char *key, const struct sim_ordeal *ordeal);

/** A gnuplot script that draws, by attack, calls that got in and login p99, into @svg. */
void sim_ordeal_plot(FILE *to, const struct sim_ordeal *ordeals, size_t count, const char *svg);
