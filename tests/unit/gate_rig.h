/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What tests of the guard in user space share: usual options, addresses, one arrival. */
#include "user/guard/gate.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#define S 1000000000ull
#define T0 (1000 * S)
#define U0 (1700000000 * S)
#define KNOWN (86400 * S)

static inline struct ch_sources_options usual_sources(uint32_t bans_most)
{
	return (struct ch_sources_options){
		.unknown = {S / 5, 9 * (S / 5)},  /* 5/s, burst 10 */
		.known = {S / 50, 99 * (S / 50)}, /* 50/s, burst 100 */
		.pending = 4,
		.pending_known = 20,
		.failures = 5,
		.window_ns = 60 * S,
		.ban_ns = 300 * S,
		.ban_most_ns = 3600 * S,
		.known_ns = KNOWN,
		.v4_bits = 32,
		.v6_bits = 64,
		.most = 1000,
		.bans_most = bans_most,
	};
}

static inline struct ch_address address_of(const char *ip)
{
	struct ch_address address;
	char endpoint[80];

	snprintf(endpoint, sizeof(endpoint), strchr(ip, ':') != NULL ? "[%s]:9" : "%s:9", ip);
	cr_assert_eq(ch_address_parse(endpoint, &address), 0);
	return address;
}

/** A connection from @ip that is gone as soon as it was judged. */
static inline struct ch_pass visit_gate(struct ch_gate *gate, const char *ip, uint64_t now_ns)
{
	struct ch_address peer = address_of(ip);
	struct ch_pass pass = ch_gate_arrive_behind(gate, -1, &peer, now_ns);

	if (pass.refused == CH_REASON_NONE)
		ch_gate_leave(gate, &peer);
	return pass;
}
