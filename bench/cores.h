/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Who computes where in a measurement. Attackers have a core of their own, so that what is measured
 * is the collector. The fleet stands for machines elsewhere, which never wait for a core: it has
 * one of its own, or goes before the collector on that one's (SCHED_RR, which needs root). Not on
 * the attackers': what the kernel does there for thousands of connections at a time goes before
 * everybody, for milliseconds.
 */
#include <sched.h>
#include <stdbool.h>

enum sim_role { SIM_ROLE_COLLECTOR, SIM_ROLE_FLEET, SIM_ROLE_ATTACKER, SIM_ROLES };

struct sim_cores {
	bool apart; /**< there are two cores at least; else everybody shares the one */
	bool ahead; /**< the fleet goes before the collector */
	cpu_set_t sets[SIM_ROLES];
};

/** Shares out the cores that this process may use. */
void sim_cores_init(struct sim_cores *cores);

/** The calling thread, and what threads and processes it makes from now on, are of this role. */
void sim_cores_enter(const struct sim_cores *cores, enum sim_role role);

/** "own", "shared with the collector, ahead of it", "shared with the collector", "shared by all".
 */
const char *sim_cores_of_fleet(const struct sim_cores *cores);
