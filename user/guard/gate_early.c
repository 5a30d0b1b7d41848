/* SPDX-License-Identifier: Apache-2.0 */
#include "gate_inside.h"

#include <errno.h>
#include <time.h>

#define SECOND 1000000000ull

static void log_interface(void *ctx, const struct ch_early_state *state)
{
	const struct ch_gate *gate = ctx;

	if (state->mode == NULL)
		ch_log(gate->log, CH_LOG_WARNING, "event=guard-not-early interface=%s why=\"%s\"",
		       state->interface, state->why);
	else if (state->why[0] != '\0')
		ch_log(gate->log, CH_LOG_WARNING,
		       "event=guard-early interface=%s mode=%s why=\"%s\"", state->interface,
		       state->mode, state->why);
	else if (state->native_err != 0)
		ch_log(gate->log, CH_LOG_INFO,
		       "event=guard-early interface=%s mode=%s driver=\"%s\"", state->interface,
		       state->mode, ch_error_text(state->native_err));
	else
		ch_log(gate->log, CH_LOG_INFO, "event=guard-early interface=%s mode=%s",
		       state->interface, state->mode);
}

/* Addresses that listeners name: also those that no interface has, such as 127.0.0.2. */
static size_t named_addresses(const struct ch_gate *gate,
			      struct guard_source addresses[GUARD_LISTENERS])
{
	size_t count = 0;

	for (size_t i = 0; i < GUARD_LISTENERS; i++) {
		const struct guard_listener *l = &gate->settings.listeners[i];

		if (l->port != 0 && !l->any)
			addresses[count++] = l->address;
	}
	return count;
}

/* @return 0; -ENODEV: the mode requires the kernel, but an interface is not guarded */
static int demand_all(struct ch_gate *gate, struct ch_buf *error)
{
	struct ch_early_state states[CH_EARLY_INTERFACES];
	size_t count = ch_early_read(gate->early, states);

	for (size_t i = 0; i < count && gate->mode == CH_GATE_REQUIRE; i++) {
		if (states[i].mode != NULL)
			continue;
		return ch_buf_printf(error, "guard.mode is require, but guard.early: %s\n",
				     states[i].why) != 0
			       ? -ENOMEM
			       : -ENODEV;
	}
	return 0;
}

int ch_gate_open_early(struct ch_gate *gate, const struct ch_gate_options *options,
		       struct ch_buf *error)
{
	struct guard_source listeners[GUARD_LISTENERS];
	struct ch_early_options early = {
		.program = -1,
		.locals = -1,
		.interfaces = options->interfaces,
		.generic = options->early == CH_GATE_EARLY_XDP_GENERIC,
		.listeners = listeners,
		.listener_count = named_addresses(gate, listeners),
		.why = gate->why,
	};
	struct timespec now;
	int err;

	if (options->early == CH_GATE_EARLY_OFF || options->interfaces == NULL)
		return 0;
	if (gate->guard != NULL) {
		early.program = ch_guard_early_program(gate->guard);
		early.locals = ch_guard_locals(gate->guard);
		early.why = ch_guard_early_why(gate->guard);
	}
	err = ch_early_new(&early, &gate->early);
	if (err != 0)
		return err;
	gate->early_stage = options->early;
	clock_gettime(CLOCK_MONOTONIC, &now);
	ch_gate_tend_early(gate, (uint64_t)now.tv_sec * SECOND + (uint64_t)now.tv_nsec);
	return demand_all(gate, error);
}

void ch_gate_tend_early(struct ch_gate *gate, uint64_t now_ns)
{
	if (gate->early == NULL || now_ns < gate->early_tended_ns + SECOND)
		return;
	gate->early_tended_ns = now_ns;
	ch_early_tend(gate->early, now_ns, log_interface, gate);
}
