/* SPDX-License-Identifier: Apache-2.0 */
/* links: kernel tls proto core */
/* sources: bench/attack.c bench/load.c bench/args.c bench/device.c bench/cert_to_name.c bench/netconf.c bench/impostor.c bench/pki.c bench/fleet.c bench/call.c bench/call_dial.c bench/call_attack.c bench/call_keys.c bench/schedule.c */
#include "bench/args.h"
#include "bench/attack.h"

#include <criterion/criterion.h>
#include <string.h>

#define FILES 100000 /* the process may open */

static struct sim_attack_limits limits;
static char error[SIM_ATTACK_ERROR];

/* On "silent", with defaults for what is NULL or 0. @return sim_attack_bound */
static int bound(const char *target, const char *own, const char *source, double rate,
		 uint64_t connections)
{
	error[0] = '\0';
	return sim_attack_bound(sim_attack_find("silent"), target ? target : "127.0.0.1:4335", own,
				source ? source : "127.66.0.1", rate, connections, FILES, &limits,
				error);
}

Test(sim_attack, has_every_kind_that_was_promised)
{
	static const char *const names[] = {
		"silent",
		"half-hello",
		"garbage",
		"slow-handshake",
		"handshake-churn",
		"bad-cert-churn",
		"huge-chain",
		"wrong-identity",
		"stolen-cert",
		"junk-after-login",
		"reader-stall",
		"heartbeat-flood",
		"keyupdate-flood",
		"record-flood",
		"notification-flood",
		"connect-flood",
		"flap",
		"syn-flood",
		"spoofed-syn-flood",
	};
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		cr_assert_not_null(sim_attack_find(names[i]), "%s", names[i]);
	cr_assert_null(sim_attack_find("kindness"));
}

Test(sim_attack, rows_are_whole)
{
	size_t count;
	const struct sim_attack *table = sim_attacks(&count);

	for (size_t i = 0; i < count; i++) {
		const struct sim_attack *row = &table[i];
		cr_assert_eq(sim_attack_find(row->name), row, "%s is there twice", row->name);
		cr_assert_gt(strlen(row->defence), 10, "%s", row->name);
		cr_assert_eq(row->kinds[0] == NULL, row->raw != SIM_ATTACK_CALLS, "%s", row->name);
		cr_assert_null(row->kinds[SIM_ATTACK_KINDS], "%s", row->name);
		for (size_t k = 0; row->kinds[k]; k++)
			cr_assert_not_null(sim_attack_device(row->kinds[k]), "%s: %s", row->name,
					   row->kinds[k]);
		cr_assert_eq(sim_attack_bound(row, "127.0.0.1:1", NULL, "127.66.0.1", 0, 0, FILES,
					      &limits, error),
			     0, "%s", row->name);
	}
}

/* Who shows a certificate, or asks for the collector's, needs the directory they are in. */
Test(sim_attack, whoever_speaks_tls_needs_certificates)
{
	size_t count;
	const struct sim_attack *table = sim_attacks(&count);

	for (size_t i = 0; i < count; i++) {
		bool tls = false;
		for (size_t k = 0; table[i].kinds[k]; k++) {
			const struct sim_impostor *device = sim_attack_device(table[i].kinds[k]);
			tls |= device->opening == SIM_OPENING_TLS &&
			       device->abort != SIM_ABORT_CONNECTED;
		}
		cr_assert_eq(table[i].pki, tls, "%s", table[i].name);
	}
}

Test(sim_attack, stays_on_the_loopback)
{
	cr_assert_eq(bound("127.9.9.9:4335", NULL, NULL, 0, 0), 0);
	cr_assert_eq(bound("[::1]:4335", NULL, NULL, 0, 0), 0);
	cr_assert_eq(bound("192.0.2.1:4335", NULL, NULL, 0, 0), CH_E_CONFIG);
	cr_assert_not_null(strstr(error, "--i-own PREFIX: 192.0.2.1:4335"), "%s", error);
	cr_assert_eq(bound("[2001:db8::1]:4335", NULL, NULL, 0, 0), CH_E_CONFIG);
	cr_assert_eq(bound("0.0.0.0:4335", NULL, NULL, 0, 0), CH_E_CONFIG);
	cr_assert_eq(bound("127.0.0.1", NULL, NULL, 0, 0), CH_E_CONFIG);
	cr_assert_eq(bound("127.0.0.1:0", NULL, NULL, 0, 0), CH_E_CONFIG);
}

Test(sim_attack, leaves_it_only_for_a_network_of_ones_own)
{
	cr_assert_eq(bound("192.0.2.1:4335", "192.0.2.0/24", NULL, 0, 0), 0);
	cr_assert_eq(limits.source.family, 0, "a loopback address cannot reach it");
	cr_assert_eq(bound("192.0.3.1:4335", "192.0.2.0/24", NULL, 0, 0), CH_E_CONFIG);
	cr_assert_eq(bound("192.0.2.1:4335", "nonsense", NULL, 0, 0), CH_E_CONFIG);
	cr_assert_eq(bound("[2001:db8::1]:4335", "2001:db8::/32", NULL, 0, 0), 0);
}

Test(sim_attack, calls_from_the_prefix_it_is_given)
{
	static const uint8_t first[4] = {127, 66, 0, 1};

	cr_assert_eq(bound(NULL, NULL, "127.66.0.1", 0, 0), 0);
	cr_assert_eq(limits.sources, 1);
	cr_assert_arr_eq(limits.source.ip, first, 4);
	cr_assert_eq(bound(NULL, NULL, "127.66.0.0/16", 0, 0), 0);
	cr_assert_eq(limits.sources, 65534);
	cr_assert_arr_eq(limits.source.ip, first, 4);
	cr_assert_eq(bound(NULL, NULL, "127.66.0.1/32", 0, 0), 0);
	cr_assert_eq(limits.sources, 1);
	cr_assert_arr_eq(limits.source.ip, first, 4);
	cr_assert_eq(bound(NULL, NULL, "127.66.0.0/31", 0, 0), 0);
	cr_assert_eq(limits.sources, 1);
	static const char *const wrong[] = {
		"127.66.0.1/16",
		"127.66.0.0/7",
		"127.66.0.0/33",
		"10.0.0.0/8",
		"127.66.0.0/",
		"[::1]",
		"",
		"127.66.0.0:5/16",
		"127.66.0.0/16/16",
	};
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		cr_assert_eq(bound(NULL, NULL, wrong[i], 0, 0), CH_E_CONFIG, "%s", wrong[i]);
}

Test(sim_attack, is_bounded_in_rate_and_connections)
{
	cr_assert_eq(bound(NULL, NULL, NULL, 0, 0), 0);
	cr_assert_eq(limits.connections, sim_attack_find("silent")->connections);
	cr_assert_float_eq(limits.rate, sim_attack_find("silent")->rate, 1e-9);
	cr_assert_eq(bound(NULL, NULL, NULL, SIM_ATTACK_RATE_MAX, 99936), 0);
	cr_assert_eq(limits.connections, 99936);
	cr_assert_eq(bound(NULL, NULL, NULL, SIM_ATTACK_RATE_MAX + 1, 0), CH_E_CONFIG);
	cr_assert_eq(bound(NULL, NULL, NULL, 0, 99937), CH_E_CONFIG, "more than files");
	cr_assert_eq(sim_attack_bound(sim_attack_find("silent"), "127.0.0.1:1", NULL, "127.66.0.1",
				      0, SIM_ATTACK_CONNECTIONS_MAX + 1, 10000000, &limits, error),
		     CH_E_CONFIG);
	/* its own number is cut to what the process may have */
	cr_assert_eq(sim_attack_bound(sim_attack_find("silent"), "127.0.0.1:1", NULL, "127.66.0.1",
				      0, 0, 256, &limits, error),
		     0);
	cr_assert_eq(limits.connections, 192);
}

struct options {
	const char *kind;
	bool flag;
};

static struct options seen;

static int take(void *into)
{
	seen = *(struct options *)into;
	return SIM_EXIT_OK;
}

Test(sim_attack, the_kind_stands_anywhere_on_the_command_line)
{
	static const struct sim_arg args[] = {
		{"kind", SIM_ARG_TEXT, offsetof(struct options, kind), "KIND", NULL, 0, 0, ""},
		{"flag", SIM_ARG_FLAG, offsetof(struct options, flag), NULL, NULL, 0, 0, ""},
	};
	const struct sim_command_row row = {.name = "x",
					    .args = args,
					    .arg_count = 2,
					    .into_bytes = sizeof(struct options),
					    .operand = "kind",
					    .run = take};
	char *before[] = {"x", "silent", "--flag", NULL};
	char *behind[] = {"x", "--flag", "silent", NULL};
	char *two[] = {"x", "silent", "garbage", NULL};

	cr_assert_eq(sim_args_run(&row, 3, before), SIM_EXIT_OK);
	cr_assert_str_eq(seen.kind, "silent");
	cr_assert(seen.flag);
	cr_assert_eq(sim_args_run(&row, 3, behind), SIM_EXIT_OK);
	cr_assert_str_eq(seen.kind, "silent");
	cr_assert_eq(sim_args_run(&row, 3, two), SIM_EXIT_USAGE);
}
