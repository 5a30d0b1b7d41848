/* SPDX-License-Identifier: Apache-2.0 */
/* links: guard kernel core */
#include "gate_rig.h"
#include "kernel/sock.h"

#include <stdlib.h>
#include <unistd.h>

static struct ch_gate *gate;
static struct ch_buf error;
static struct ch_gate_rule rules[8];
static char bans_file[64];

static struct ch_gate_options options(size_t rule_count)
{
	return (struct ch_gate_options){
		.mode = CH_GATE_USERSPACE,
		.sources = usual_sources(100),
		.rules = rules,
		.rule_count = rule_count,
		.bans_file = bans_file[0] != '\0' ? bans_file : NULL,
	};
}

static void open_gate(size_t rule_count)
{
	struct ch_gate_options o = options(rule_count);

	cr_assert_eq(ch_gate_new(&o, NULL, &gate, &error), 0);
}

static void stop(void)
{
	ch_gate_free(gate);
	ch_buf_deinit(&error);
	if (bans_file[0] != '\0')
		unlink(bans_file);
}

TestSuite(gate, .fini = stop);

static enum ch_reason visit(const char *ip, uint64_t now)
{
	return visit_gate(gate, ip, now).refused;
}

static bool fail_once(const char *ip, uint64_t now)
{
	struct ch_address peer = address_of(ip);
	struct ch_ban ban;

	return ch_gate_fail(gate, &peer, now, &ban);
}

static void set_rule(size_t i, const char *name, enum ch_gate_action action, const char *prefix)
{
	rules[i] = (struct ch_gate_rule){.name = name, .action = action, .prefix = prefix};
}

Test(gate, who_is_permitted_goes_first_and_a_balancer_does_not)
{
	const struct ch_address permitted = address_of("192.0.2.1");
	const struct ch_address balancer = address_of("192.0.2.9");
	const struct ch_address other = address_of("192.0.3.1");

	set_rule(0, "ours", CH_GATE_ACTION_PERMIT, "192.0.2.0/24");
	set_rule(1, "balancer", CH_GATE_ACTION_PROXY, "192.0.2.9/32");
	open_gate(2);
	cr_assert(ch_gate_is_first(gate, &permitted, T0));
	cr_assert_not(ch_gate_is_first(gate, &balancer, T0));
	cr_assert_not(ch_gate_is_first(gate, &other, T0));
}

/* row: 2.7.6 2.8.2 */
Test(gate, does_what_the_longest_rule_says)
{
	set_rule(0, "bad", CH_GATE_ACTION_DROP, "192.0.2.0/24");
	set_rule(1, "ours", CH_GATE_ACTION_PERMIT, "192.0.2.8/29");
	set_rule(2, "closed", CH_GATE_ACTION_REJECT, "2001:db8::/32");
	open_gate(3);
	cr_assert_eq(visit("192.0.2.1", T0), CH_REASON_DENIED);
	cr_assert_eq(visit("192.0.2.9", T0), CH_REASON_NONE);
	cr_assert_eq(visit("198.51.100.1", T0), CH_REASON_NONE);
	cr_assert_eq(visit("2001:db8::1", T0), CH_REASON_DENIED);
}

Test(gate, spares_a_longer_prefix_from_a_drop_but_neither_from_bans_nor_from_limits)
{
	set_rule(0, "all", CH_GATE_ACTION_DROP, "192.0.0.0/8");
	set_rule(1, "ours", CH_GATE_ACTION_LIMIT, "192.0.2.0/24");
	open_gate(2);
	cr_assert_eq(visit("192.0.3.1", T0), CH_REASON_DENIED);
	for (int i = 0; i < 10; i++)
		cr_assert_eq(visit("192.0.2.1", T0), CH_REASON_NONE);
	cr_assert_eq(visit("192.0.2.1", T0), CH_REASON_SOURCE_RATE, "limits of sources go on");
	for (int i = 0; i < 5; i++)
		fail_once("192.0.2.2", T0);
	cr_assert_eq(visit("192.0.2.2", T0), CH_REASON_BANNED, "and so do bans");
	cr_assert_eq(visit("192.0.2.3", T0), CH_REASON_NONE);
}

Test(gate, asks_a_balancer_who_is_behind_it_and_judges_that_one)
{
	struct ch_address balancer = address_of("192.0.2.1");
	struct ch_address behind = address_of("198.51.100.1");
	struct ch_ban ban;

	set_rule(0, "balancer", CH_GATE_ACTION_PROXY, "192.0.2.0/24");
	open_gate(1);
	for (int i = 0; i < 100; i++) {
		cr_assert_eq(ch_gate_arrive(gate, 99, &balancer, T0).refused, CH_REASON_NONE);
		cr_assert(!ch_gate_fail(gate, &balancer, T0, &ban));
	}
	cr_assert(ch_gate_arrive(gate, 99, &balancer, T0).proxied);
	cr_assert(!ch_gate_arrive(gate, 99, &behind, T0).proxied);
	cr_assert(!ch_gate_arrive_behind(gate, -1, &balancer, T0).proxied, "it spoke of itself");
	for (int i = 0; i < 5; i++)
		ch_gate_fail(gate, &behind, T0, &ban);
	cr_assert_eq(ch_gate_arrive_behind(gate, -1, &behind, T0).refused, CH_REASON_BANNED);
}

Test(gate, knows_a_balancer_even_if_nobody_is_judged)
{
	struct ch_gate_options o;
	struct ch_address balancer = address_of("192.0.2.1");

	set_rule(0, "balancer", CH_GATE_ACTION_PROXY, "192.0.2.0/24");
	o = options(1);
	o.mode = CH_GATE_OFF;
	cr_assert_eq(ch_gate_new(&o, NULL, &gate, &error), 0);
	cr_assert(ch_gate_arrive(gate, 99, &balancer, T0).proxied);
}

/* A socket at a port of 127.0.0.1, as if it had been accepted there. */
static int accepted_at(struct ch_address *local)
{
	struct ch_address any = {.ip = {127, 0, 0, 1}, .family = 4};
	int fd;

	cr_assert_eq(ch_sock_listen(&any, NULL, 1, &fd), 0);
	cr_assert_eq(ch_sock_local(fd, local), 0);
	return fd;
}

/* row: 2.9.4 */
Test(gate, counts_hits_of_rules_at_accept_by_listener)
{
	struct ch_gate_rule_view view;
	struct ch_address listeners[2], elsewhere;
	int fds[3] = {accepted_at(&listeners[0]), accepted_at(&listeners[1]),
		      accepted_at(&elsewhere)};
	static const int visits[3] = {3, 2, 1};
	struct ch_address peer = address_of("198.51.100.1");
	struct ch_gate_options o = options(1);

	set_rule(0, "friends", CH_GATE_ACTION_PERMIT, "198.51.100.0/24");
	memset(listeners[1].ip, 0, sizeof(listeners[1].ip)); /* any address */
	o.listeners = listeners;
	o.listener_count = 2;
	cr_assert_eq(ch_gate_new(&o, NULL, &gate, &error), 0);
	for (int i = 0; i < 3; i++)
		for (int n = 0; n < visits[i]; n++)
			ch_gate_arrive(gate, fds[i], &peer, T0);
	ch_gate_arrive_behind(gate, fds[1], &peer, T0);
	cr_assert_eq(ch_gate_rules(gate, &view, 1), 1);
	cr_assert_eq(view.accepted, 7);
	cr_assert_eq(view.accepted_by[0], 3);
	cr_assert_eq(view.accepted_by[1], 3);
	cr_assert_eq(ch_gate_reset(gate, "friends", U0), 0);
	ch_gate_arrive(gate, fds[0], &peer, T0);
	cr_assert_eq(ch_gate_rules(gate, &view, 1), 1);
	cr_assert_eq(view.accepted, 8);
	cr_assert_eq(view.accepted_since, 1);
	cr_assert_eq(view.accepted_by[0], 4);
	cr_assert_eq(view.accepted_by_since[0], 1);
	cr_assert_eq(view.accepted_by_since[1], 0);
	for (int i = 0; i < 3; i++)
		close(fds[i]);
}

Test(gate, tells_how_many_prefixes_a_rule_was_given)
{
	struct ch_gate_rule_view views[2];

	set_rule(0, "everybody", CH_GATE_ACTION_DROP, "::/0"); /* but IPv4: many in the table */
	set_rule(1, "all-of-ipv4", CH_GATE_ACTION_DROP, "0.0.0.0/0");
	open_gate(2);
	cr_assert_eq(ch_gate_rules(gate, views, 2), 2);
	cr_assert_eq(views[0].prefixes, 1);
	cr_assert_eq(views[1].prefixes, 1);
}

/* row: 2.5.6 */
Test(gate, drops_bogons_where_asked_to_but_nothing_private)
{
	static const char *const bad[] = {"0.1.2.3", "192.0.2.1", "198.19.0.1", "203.0.113.9",
					  "224.0.0.1", "255.255.255.255", "2001:db8::1", "ff02::1"};
	static const char *const good[] = {"10.0.0.1", "172.16.0.1", "192.168.0.1", "100.64.0.1",
					   "127.0.0.1", "8.8.8.8", "fd00::1", "fe80::1", "::1",
					   "2001:4860::1", "64:ff9b::808:808"};
	struct ch_gate_options o = options(1);

	set_rule(0, "lab", CH_GATE_ACTION_PERMIT, "198.18.0.0/15");
	o.bogons = CH_GATE_BOGONS_DROP;
	cr_assert_eq(ch_gate_new(&o, NULL, &gate, &error), 0);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		cr_assert_eq(visit(bad[i], T0), strcmp(bad[i], "198.19.0.1") == 0
							? CH_REASON_NONE
							: CH_REASON_DENIED, "%s", bad[i]);
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		cr_assert_eq(visit(good[i], T0), CH_REASON_NONE, "%s", good[i]);
	o.bogons = CH_GATE_BOGONS_OFF;
	cr_assert_eq(ch_gate_reload(gate, &o, &error), 0);
	cr_assert_eq(visit("192.0.2.1", T0), CH_REASON_NONE);
}

Test(gate, permits_without_limit_and_ban)
{
	set_rule(0, "ours", CH_GATE_ACTION_PERMIT, "192.0.2.0/24");
	open_gate(1);
	for (int i = 0; i < 1000; i++) {
		cr_assert_eq(visit("192.0.2.9", T0), CH_REASON_NONE);
		cr_assert_not(fail_once("192.0.2.9", T0));
	}
	cr_assert_eq(ch_gate_ban(gate, "192.0.2.9", 0, T0), CH_E_STATE);
}

Test(gate, limits_but_never_bans_where_a_rule_says_so)
{
	int refused = 0;

	set_rule(0, "nat", CH_GATE_ACTION_NEVER_BAN, "192.0.2.0/24");
	open_gate(1);
	for (int i = 0; i < 20; i++) {
		cr_assert_not(fail_once("192.0.2.9", T0));
		refused += visit("192.0.2.9", T0) == CH_REASON_SOURCE_RATE;
	}
	cr_assert_eq(refused, 10);
}

/* row: SC5b */
Test(gate, bans_for_failures_for_a_time)
{
	open_gate(0);
	for (int i = 0; i < 4; i++)
		cr_assert_not(fail_once("192.0.2.1", T0));
	cr_assert_eq(visit("192.0.2.1", T0), CH_REASON_NONE);
	cr_assert(fail_once("192.0.2.1", T0));
	cr_assert_eq(visit("192.0.2.1", T0 + 299 * S), CH_REASON_BANNED);
	cr_assert_eq(visit("192.0.2.2", T0), CH_REASON_NONE);
	cr_assert_eq(visit("192.0.2.1", T0 + 300 * S), CH_REASON_NONE);
}

/* 50 good devices and a bad one behind one address. */
Test(gate, lets_no_bad_device_ban_the_good_ones_behind_its_nat)
{
	struct ch_address nat = address_of("192.0.2.1");

	open_gate(0);
	ch_gate_succeed(gate, &nat, T0);
	for (int second = 0; second < 100; second++) {
		uint64_t now = T0 + (uint64_t)second * S;

		cr_assert_not(fail_once("192.0.2.1", now));
		cr_assert_not(fail_once("192.0.2.1", now));
		cr_assert_eq(visit("192.0.2.1", now), CH_REASON_NONE);
	}
}

/* row: 2.6.1 */
Test(gate, limits_the_sources_of_a_rule_together)
{
	int passed = 0;

	set_rule(0, "customers", CH_GATE_ACTION_LIMIT, "192.0.2.0/24");
	rules[0].limit = (struct guard_limit){S / 10, 4 * (S / 10)};
	open_gate(1);
	for (int i = 0; i < 50; i++) {
		char ip[32];

		snprintf(ip, sizeof(ip), "192.0.2.%d", i);
		passed += visit(ip, T0) == CH_REASON_NONE;
	}
	cr_assert_eq(passed, 5);
	cr_assert_eq(visit("198.51.100.1", T0), CH_REASON_NONE);
}

Test(gate, bans_and_lifts_by_hand)
{
	struct ch_ban_view views[4];
	char text[CH_SOURCE_TEXT];
	size_t count;

	open_gate(0);
	cr_assert_eq(ch_gate_ban(gate, "192.0.2.1", 60, T0), 0);
	cr_assert_eq(ch_gate_ban(gate, "2001:db8:1:2::77", 0, T0), 0);
	cr_assert_eq(ch_gate_bans(gate, T0, NULL, 4, views, &count), 0);
	cr_assert_eq(count, 2);
	cr_assert_str_eq(views[0].source, "192.0.2.1");
	cr_assert_eq(views[0].until_ns, T0 + 60 * S);
	cr_assert_str_eq(views[1].source, "2001:db8:1:2::/64");
	cr_assert_eq(views[1].until_ns, UINT64_MAX);
	cr_assert_eq(visit("2001:db8:1:2:3::4", T0), CH_REASON_BANNED);
	cr_assert_eq(ch_gate_canonical(gate, "2001:db8:1:2::77", text), 0);
	cr_assert_str_eq(text, "2001:db8:1:2::/64");
	cr_assert_eq(ch_gate_unban(gate, "2001:db8:1:2::/64"), 0);
	cr_assert_eq(visit("2001:db8:1:2:3::4", T0), CH_REASON_NONE);
	cr_assert_eq(ch_gate_unban(gate, "2001:db8:1:2::/64"), CH_E_UNKNOWN);
	cr_assert_eq(ch_gate_ban(gate, "192.0.2.0/24", 60, T0), CH_E_RANGE);
	cr_assert_eq(ch_gate_ban(gate, "router7", 60, T0), CH_E_SYNTAX);
}

Test(gate, lists_bans_page_by_page_although_some_end_meanwhile)
{
	struct ch_ban_view views[2];
	struct ch_gate_view view;
	char ip[32];
	size_t count;

	open_gate(0);
	for (int i = 5; i > 0; i--) {
		snprintf(ip, sizeof(ip), "192.0.2.%d", i);
		cr_assert_eq(ch_gate_ban(gate, ip, (uint64_t)i * 10, T0), 0);
	}
	cr_assert_eq(ch_gate_bans(gate, T0, NULL, 2, views, &count), 0);
	cr_assert_eq(count, 2);
	cr_assert_str_eq(views[1].source, "192.0.2.2");
	cr_assert_eq(ch_gate_bans(gate, T0 + 30 * S, "192.0.2.2", 2, views, &count), 0);
	cr_assert_eq(count, 2);
	cr_assert_str_eq(views[0].source, "192.0.2.4");
	cr_assert_eq(ch_gate_bans(gate, T0, "192.0.2.5", 2, views, &count), 0);
	cr_assert_eq(count, 0);
	cr_assert_eq(ch_gate_bans(gate, T0, "router7", 2, views, &count), CH_E_SYNTAX);
	ch_gate_read(gate, T0 + 30 * S, &view);
	cr_assert_eq(view.load.bans, 2, "%llu: only those in force",
		     (unsigned long long)view.load.bans);
}

Test(gate, counts_anew_from_a_reset_and_loses_nothing)
{
	struct ch_gate_rule_view views[4];
	struct ch_gate_view view;

	set_rule(0, "bad", CH_GATE_ACTION_DROP, "192.0.2.0/24");
	set_rule(1, "worse", CH_GATE_ACTION_DROP, "198.51.100.0/24");
	open_gate(2);
	cr_assert_eq(visit("192.0.2.1", T0), CH_REASON_DENIED);
	cr_assert_eq(visit("198.51.100.1", T0), CH_REASON_DENIED);
	cr_assert_eq(ch_gate_reset(gate, "bad", U0), 0);
	cr_assert_eq(ch_gate_reset(gate, "unheard-of", U0), CH_E_UNKNOWN);
	cr_assert_eq(visit("192.0.2.1", T0), CH_REASON_DENIED);
	cr_assert_eq(ch_gate_rules(gate, views, 4), 2);
	cr_assert_eq(views[0].accepted, 2);
	cr_assert_eq(views[0].accepted_since, 1);
	cr_assert_eq(views[0].reset_unix_ns, U0);
	cr_assert_eq(views[1].accepted_since, 1, "only the rule that was named");
	cr_assert_eq(views[1].reset_unix_ns, 0);
	ch_gate_read(gate, T0, &view);
	cr_assert_eq(view.accept_since[GUARD_DENIED], 3);
	cr_assert_eq(ch_gate_reset(gate, NULL, U0 + S), 0);
	ch_gate_read(gate, T0, &view);
	cr_assert_eq(view.accept_since[GUARD_DENIED], 0);
	cr_assert_eq(view.accept_verdicts[GUARD_DENIED], 3);
	cr_assert_eq(view.reset_unix_ns, U0 + S);
	cr_assert_eq(ch_gate_rules(gate, views, 4), 2);
	cr_assert_eq(views[1].accepted_since, 0);
	cr_assert_eq(views[1].accepted, 1);
}

Test(gate, keeps_bans_over_a_restart)
{
	const struct ch_clocks before = {T0, U0};
	struct ch_clocks after = {5 * S, U0 + 100 * S}; /* a reboot: the monotonic clock began anew */
	struct ch_sources_options o = options(0).sources;
	struct ch_sources *sources;
	struct ch_ban list[4];
	struct ch_buf warnings = {0};

	snprintf(bans_file, sizeof(bans_file), "/tmp/bans-%d", getpid());
	open_gate(0);
	cr_assert_eq(ch_gate_ban(gate, "192.0.2.1", 60, T0), 0);
	cr_assert_eq(ch_gate_ban(gate, "192.0.2.2", 600, T0), 0);
	cr_assert_eq(ch_gate_ban(gate, "2001:db8::1", 0, T0), 0);
	ch_gate_tick(gate, &before);
	cr_assert_eq(ch_sources_new(&o, &sources), 0);
	cr_assert_eq(ch_bans_read(bans_file, sources, &after, &warnings), 0);
	cr_assert_eq(warnings.len, 0);
	cr_assert_eq(ch_sources_bans(sources, after.now_ns, list, 4), 2);
	cr_assert_eq(list[0].until_ns, after.now_ns + 500 * S);
	cr_assert_eq(list[1].until_ns, UINT64_MAX);
	ch_sources_free(sources);
}

Test(gate, reads_past_a_line_that_is_no_ban_and_says_so)
{
	const struct ch_clocks clocks = {T0, U0};
	struct ch_sources_options o = options(0).sources;
	struct ch_sources *sources;
	struct ch_buf warnings = {0};
	FILE *file;

	snprintf(bans_file, sizeof(bans_file), "/tmp/bans-bad-%d", getpid());
	file = fopen(bans_file, "w");
	fputs("garbage\n192.0.2.1 never 0 operator\n192.0.2.2 2026-13-45 0 failures\n", file);
	fclose(file);
	cr_assert_eq(ch_sources_new(&o, &sources), 0);
	cr_assert_eq(ch_bans_read(bans_file, sources, &clocks, &warnings), 0);
	cr_assert_eq(ch_sources_bans(sources, T0, NULL, 0), 1);
	cr_assert_eq(ch_buf_append(&warnings, "", 1), 0);
	cr_assert_not_null(strstr((char *)warnings.data, ":1: not a ban"));
	cr_assert_not_null(strstr((char *)warnings.data, ":3: not a ban"));
	ch_buf_deinit(&warnings);
	ch_sources_free(sources);
}

Test(gate, reloads_rules_and_keeps_their_counts)
{
	struct ch_gate_rule_view views[4];
	struct ch_gate_options o;

	set_rule(0, "bad", CH_GATE_ACTION_DROP, "192.0.2.0/24");
	open_gate(1);
	cr_assert_eq(visit("192.0.2.1", T0), CH_REASON_DENIED);
	set_rule(0, "other", CH_GATE_ACTION_DROP, "198.51.100.0/24");
	set_rule(1, "bad", CH_GATE_ACTION_DROP, "203.0.113.0/24");
	o = options(2);
	cr_assert_eq(ch_gate_reload(gate, &o, &error), 0);
	cr_assert_eq(visit("192.0.2.1", T0), CH_REASON_NONE);
	cr_assert_eq(visit("203.0.113.1", T0), CH_REASON_DENIED);
	cr_assert_eq(ch_gate_rules(gate, views, 4), 2);
	cr_assert_str_eq(views[0].name, "bad");
	cr_assert_eq(views[0].accepted, 2);
	cr_assert_eq(views[1].accepted, 0);
}

Test(gate, keeps_the_old_rules_when_the_new_ones_are_wrong)
{
	struct ch_gate_options o;

	set_rule(0, "bad", CH_GATE_ACTION_DROP, "192.0.2.0/24");
	open_gate(1);
	set_rule(0, "bad", CH_GATE_ACTION_DROP, "192.0.2.1/24");
	o = options(1);
	cr_assert_eq(ch_gate_reload(gate, &o, &error), CH_E_CONFIG);
	cr_assert_eq(ch_buf_append(&error, "", 1), 0);
	cr_assert_not_null(strstr((char *)error.data, "192.0.2.1/24"));
	cr_assert_eq(visit("192.0.2.1", T0), CH_REASON_DENIED);
}

Test(gate, only_counts_in_a_dry_run)
{
	struct ch_gate_options o;
	struct ch_gate_view view;

	set_rule(0, "bad", CH_GATE_ACTION_DROP, "192.0.2.0/24");
	o = options(1);
	o.dry_run = true;
	cr_assert_eq(ch_gate_new(&o, NULL, &gate, &error), 0);
	cr_assert_eq(visit("192.0.2.1", T0), CH_REASON_NONE);
	cr_assert_eq(ch_gate_ban(gate, "198.51.100.1", 0, T0), 0);
	cr_assert_eq(visit("198.51.100.1", T0), CH_REASON_NONE);
	ch_gate_read(gate, T0, &view);
	cr_assert_eq(view.accept_verdicts[GUARD_DENIED], 1);
	cr_assert_eq(view.accept_verdicts[GUARD_BANNED], 1);
}

Test(gate, that_is_off_judges_nobody)
{
	struct ch_gate_options o;

	set_rule(0, "bad", CH_GATE_ACTION_DROP, "192.0.2.0/24");
	o = options(1);
	o.mode = CH_GATE_OFF;
	cr_assert_eq(ch_gate_new(&o, NULL, &gate, &error), 0);
	cr_assert_eq(ch_gate_ban(gate, "192.0.2.1", 60, T0), CH_E_UNSUPPORTED);
	for (int i = 0; i < 100; i++) {
		cr_assert_eq(visit("192.0.2.1", T0), CH_REASON_NONE);
		cr_assert_not(fail_once("192.0.2.1", T0));
	}
}
