/* SPDX-License-Identifier: Apache-2.0 */
#include "call.h"

#include <poll.h>

#define TICK_NS 250000000ull /* a byte of a dripping device; a look at a socket nobody reads */
#define LATE_NS 50000000ull  /* what a late attack makes up for; older calls are left out */

void call_attack_init(struct sim_fleet *fleet)
{
	const struct sim_attack_plan *plan = fleet->options.attack;

	for (uint32_t i = plan->connections; i > 0; i--) {
		sim_device_init(&fleet->calls[i - 1].device, &fleet->shared, 0, plan->kinds[0]);
		call_attack_free(fleet, &fleet->calls[i - 1]);
	}
}

uint64_t call_attack_due_ns(const struct sim_fleet *fleet)
{
	if (!fleet->idle || fleet->command != SIM_COMMAND_RUN)
		return UINT64_MAX;
	return fleet->attack_ns;
}

void call_attack_begin(struct sim_fleet *fleet, uint64_t now_ns)
{
	const struct sim_attack_plan *plan = fleet->options.attack;
	struct call *call = fleet->idle;
	uint64_t number = fleet->shared.counters.attack.attempts;

	fleet->idle = call->next_step;
	fleet->attack_ns += (uint64_t)(1e9 / plan->rate);
	if (fleet->attack_ns + LATE_NS < now_ns)
		fleet->attack_ns = now_ns - LATE_NS;
	/* all kinds of a round come from one source, with one TLS version */
	call->number = (uint32_t)(number / plan->kind_count);
	call->device.index = call->number;
	call->device.impostor = plan->kinds[number % plan->kind_count];
	call_begin(fleet, call, now_ns, now_ns);
}

/* Some need the timer; the others wait for their end, however long it takes. */
static bool ticks(const struct call *call)
{
	return call->device.impostor->drip || call->device.impostor->act == SIM_ACT_STALL;
}

void call_attack_reached(struct sim_fleet *fleet, struct call *call, uint64_t now_ns)
{
	struct sim_attack_counts *counts = &fleet->shared.counters.attack;

	call->reached = true;
	counts->connected++;
	counts->held++;
	if (counts->held > counts->held_peak)
		counts->held_peak = counts->held;
	ch_wheel_cancel(&fleet->wheel, &call->timer);
	if (ticks(call))
		ch_wheel_add(&fleet->wheel, &call->timer, now_ns + TICK_NS);
}

bool call_attack_timer(struct sim_fleet *fleet, struct call *call, uint64_t now_ns)
{
	struct pollfd socket = {.fd = call->file.index, .events = POLLRDHUP};

	call->paused = false;
	/* who does not read does not hear of the end either */
	if (call->device.stall && poll(&socket, 1, 0) > 0) {
		call->peer_gone = true;
		return false;
	}
	ch_wheel_add(&fleet->wheel, &call->timer, now_ns + TICK_NS);
	return true;
}

void call_attack_count(struct sim_fleet *fleet, const struct call *call)
{
	struct sim_attack_counts *counts = &fleet->shared.counters.attack;
	bool left = call->half_closed && call->device.half_close;
	bool aborted = call->device.abort || call->end == SIM_END_STOPPED;

	if (call->reached) {
		counts->held--;
		if (call->end == SIM_END_LOCAL)
			counts->failed++;
		else if (!left && (call->peer_gone || !aborted))
			counts->closed_by_target++;
		return;
	}
	if (call->end == SIM_END_REFUSED || call->end == SIM_END_RESET)
		counts->refused++;
	else if (call->end == SIM_END_CONNECT_TIMEOUT)
		counts->timed_out++;
	else if (call->end != SIM_END_STOPPED)
		counts->failed++;
}

void call_attack_free(struct sim_fleet *fleet, struct call *call)
{
	call->phase = CALL_DONE;
	call->next_step = fleet->idle;
	fleet->idle = call;
}
