/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * When a device calls and whom, in the words of ietf-netconf-server: connection types "persistent"
 * and "periodic", reconnect strategy. No clock, no sockets.
 */
#include <callhome/error.h>
#include <stdint.h>

enum sim_connection { SIM_CONNECTION_PERSISTENT, SIM_CONNECTION_PERIODIC };

/** Which target the first attempt goes to, after a session that was up. */
enum sim_start_with {
	SIM_START_FIRST_LISTED,
	SIM_START_LAST_CONNECTED,
	SIM_START_RANDOM_SELECTION,
};

/**
 * A date-and-time as YANG writes it: "2026-11-21T14:00:00Z", with an offset such as +01:00 in the
 * place of Z if you like, and no fraction of a second.
 * @return 0 or CH_E_SYNTAX
 */
CH_NODISCARD int sim_schedule_time(const char *text, uint64_t *unix_ns);

/**
 * The first whole multiple of @period_ns from the anchor, before or after it, that is not past.
 * @return on the clock of @now_ns
 */
uint64_t sim_schedule_anchor(uint64_t anchor_unix_ns, uint64_t period_ns, uint64_t unix_now_ns,
			     uint64_t now_ns);

/** The first of @due_ns + k * @period_ns, k > 0, that is later than @now_ns. */
uint64_t sim_schedule_next(uint64_t due_ns, uint64_t period_ns, uint64_t now_ns);

/** The target of the first attempt after a session with @last; @random is any number. */
uint32_t sim_schedule_target(enum sim_start_with start, uint32_t last, uint32_t count,
			     uint64_t random);
