/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* A load: one or more fleets, each on a thread of its own, told and counted as one. */
#include "fleet.h"

#define SIM_THREADS 64

struct sim_load {
	struct sim_fleet *fleets[SIM_THREADS];
	uint32_t count;
};

/**
 * Splits @options->devices over @threads fleets; impostors come with the first.
 * @return 0 or an error; then nothing runs
 */
CH_NODISCARD int sim_load_start(struct sim_load *load, const struct sim_fleet_options *options,
				uint32_t threads);
/** Fleets that hold @devices: a fixed table has at most as many slots as the process may open files. */
uint32_t sim_load_threads(uint64_t devices, uint64_t nofile);
void sim_load_tell(struct sim_load *load, enum sim_command command);
/** The sum over all fleets. */
void sim_load_snapshot(struct sim_load *load, struct sim_snapshot *sum);
void sim_load_join(struct sim_load *load);
void sim_load_deinit(struct sim_load *load);

/** Reads "KIND[:COUNT],..." or "all[:COUNT]". @return 0, or CH_E_SYNTAX with one sentence in @error */
CH_NODISCARD int sim_plans_parse(const char *text, struct sim_plan *plans, uint32_t most,
				 uint32_t *count, char error[256]);

/** "auto", "kernel" or "user" as enum ch_layer_policy. @return 0 or CH_E_SYNTAX */
CH_NODISCARD int sim_layer_parse(const char *text, uint8_t *policy);

/** Is the address one of this machine's loopback addresses? */
bool sim_address_is_loopback(const struct ch_address *address);
/** Is it inside "192.0.2.0/24" or "2001:db8::/32"? @return false also when @prefix is none */
bool sim_address_in_prefix(const struct ch_address *address, const char *prefix);
