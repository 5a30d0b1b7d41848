/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Runs one attack beside a real fleet, against a fresh collector. Half of the fleet keeps its
 * sessions, notifies and answers rpcs; the other half calls, hangs up and calls again.
 */
#include "cores.h"
#include "fleet.h"
#include "ordeal.h"
#include "site.h"

#define SIM_TRIAL_PERIOD_NS 2000000000ull /* between two calls of a device that redials */
#define SIM_TRIAL_FLEET "127.1."	  /* how the sources of the fleet begin */
#define SIM_TRIAL_FLOOD_PREFIX                                                                     \
	"198.18.1.1/32" /* what the guard's rule drops: the fixed raw source */

struct sim_trial_attack {
	const char *kind;
	bool guard;
	double rate;	      /**< 0 = the attack's own */
	uint64_t connections; /**< likewise */
	uint64_t duration_ns;
	const char *source; /**< prefix of the attackers; NULL = the attack's own */
};

struct sim_trial {
	struct sim_site *site;
	char *config; /**< of the collector, without the guard; owned */
	uint32_t devices;
	bool fixed; /**< ch_probe: fixed_close */
	uint64_t memory_bound_kib;
	bool (*interrupted)(void);
	struct sim_cores cores;
};

/** Reads the configuration that sim_site_init made. @return 0 or a negated errno */
CH_NODISCARD int sim_trial_init(struct sim_trial *trial);
void sim_trial_deinit(struct sim_trial *trial);

/** Runs and judges; whatever goes wrong is one of @ordeal's failures. */
void sim_trial_run(struct sim_trial *trial, const struct sim_trial_attack *attack,
		   struct sim_ordeal *ordeal);
