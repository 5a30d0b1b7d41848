/* SPDX-License-Identifier: Apache-2.0 */
#include "cores.h"

#include <string.h>

static int last_of(const cpu_set_t *set)
{
	int core = CPU_SETSIZE - 1;

	while (core > 0 && !CPU_ISSET(core, set))
		core--;
	return core;
}

/* Takes the last core out of @from. */
static void take(cpu_set_t *from, cpu_set_t *set)
{
	int core = last_of(from);

	CPU_CLR(core, from);
	CPU_ZERO(set);
	CPU_SET(core, set);
}

/* May this thread have a real-time priority? */
static bool may_go_ahead(void)
{
	const struct sched_param first = {.sched_priority = 1}, usual = {0};

	if (sched_setscheduler(0, SCHED_RR, &first) != 0)
		return false;
	return sched_setscheduler(0, SCHED_OTHER, &usual) == 0;
}

void sim_cores_init(struct sim_cores *cores)
{
	cpu_set_t rest;

	memset(cores, 0, sizeof(*cores));
	if (sched_getaffinity(0, sizeof(rest), &rest) != 0 || CPU_COUNT(&rest) < 2)
		return;
	cores->apart = true;
	take(&rest, &cores->sets[SIM_ROLE_ATTACKER]);
	if (CPU_COUNT(&rest) > 1) {
		take(&rest, &cores->sets[SIM_ROLE_FLEET]);
	} else {
		cores->ahead = may_go_ahead();
		cores->sets[SIM_ROLE_FLEET] = rest;
	}
	cores->sets[SIM_ROLE_COLLECTOR] = rest;
}

void sim_cores_enter(const struct sim_cores *cores, enum sim_role role)
{
	bool first = cores->ahead && role == SIM_ROLE_FLEET;
	const struct sched_param priority = {.sched_priority = first ? 1 : 0};

	if (!cores->apart)
		return;
	/* Both were allowed when the cores were shared out. */
	(void)sched_setaffinity(0, sizeof(cores->sets[role]), &cores->sets[role]);
	if (cores->ahead)
		(void)sched_setscheduler(0, first ? SCHED_RR : SCHED_OTHER, &priority);
}

const char *sim_cores_of_fleet(const struct sim_cores *cores)
{
	if (!cores->apart)
		return "shared by all";
	if (cores->ahead)
		return "shared with the collector, ahead of it";
	return CPU_EQUAL(&cores->sets[SIM_ROLE_FLEET], &cores->sets[SIM_ROLE_COLLECTOR])
		       ? "shared with the collector"
		       : "own";
}
