/* SPDX-License-Identifier: Apache-2.0 */
/* links: kernel core */
#include "guard_rig.h"

#include <stdlib.h>
#include <string.h>

#define FOREVER UINT64_MAX

struct rig {
	struct ch_guard *guard;
	int listener;
	uint16_t port;
	struct guard_settings settings;
};

static struct rig rig;

static void start(void)
{
	const struct ch_guard_options options = {.bans = 4, .sources = 64};
	struct ch_address local = {.ip = {127, 0, 0, 1}, .family = 4};
	char why[CH_GUARD_WHY];
	int err = ch_guard_open(&options, &rig.guard, why);

	if (err != 0)
		cr_skip_test("no eBPF for us here: %s", why);
	cr_assert_eq(ch_sock_listen(&local, NULL, 64, &rig.listener), 0);
	cr_assert_eq(ch_sock_local(rig.listener, &local), 0);
	rig.port = local.port;
	rig.settings = (struct guard_settings){.v4_bits = 32, .v6_bits = 64, .log = 1};
	rig.settings.listeners[0] = (struct guard_listener){v4("127.0.0.1"), rig.port, 0, 1};
	cr_assert_eq(ch_guard_set(rig.guard, &rig.settings), 0);
	cr_assert_eq(ch_guard_attach(rig.guard, rig.listener, NULL), 0);
}

static void stop(void)
{
	ch_guard_close(rig.guard);
	if (rig.listener > 0)
		close(rig.listener);
}

TestSuite(guard, .init = start, .fini = stop);

static int call_from(const char *source)
{
	return call_port(source, rig.port);
}

static uint64_t verdicts(enum guard_verdict verdict)
{
	static struct ch_guard_counters counters;

	cr_assert_eq(ch_guard_counters(rig.guard, &counters), 0);
	return counters.verdicts[0][verdict];
}

static void set_rule(uint32_t rule, struct guard_rule value, const struct ch_guard_prefix *prefixes,
		     size_t count)
{
	struct guard_rule rules[GUARD_RULES] = {0};

	rules[rule] = value;
	cr_assert_eq(ch_guard_rules(rig.guard, rules, prefixes, count), 0);
}

Test(guard, passes_who_is_neither_banned_nor_over_a_limit)
{
	cr_assert_eq(call_from("127.0.0.2"), 0);
	cr_assert_eq(verdicts(GUARD_PASS), 1);
}

/* row: SC5b */
Test(guard, drops_a_banned_source_silently_and_no_other)
{
	struct guard_source bad = v4("127.0.0.2");

	cr_assert_eq(ch_guard_ban(rig.guard, &bad, FOREVER), 0);
	cr_assert_eq(call_from("127.0.0.2"), -ETIMEDOUT);
	cr_assert_eq(call_from("127.0.0.3"), 0);
	cr_assert_eq(verdicts(GUARD_BANNED), 1);
	cr_assert_eq(ch_guard_ban_hits(rig.guard, &bad), 1);
}

Test(guard, ends_a_ban_by_time_and_by_hand)
{
	struct guard_source bad = v4("127.0.0.2");

	cr_assert_eq(ch_guard_ban(rig.guard, &bad, ch_now_ns() - 1), 0);
	cr_assert_eq(call_from("127.0.0.2"), 0, "expired");
	cr_assert_eq(ch_guard_ban(rig.guard, &bad, FOREVER), 0);
	cr_assert_eq(call_from("127.0.0.2"), -ETIMEDOUT);
	cr_assert_eq(ch_guard_unban(rig.guard, &bad), 0);
	cr_assert_eq(call_from("127.0.0.2"), 0);
}

Test(guard, says_when_the_table_of_bans_is_full)
{
	for (uint8_t i = 0; i < 4; i++) {
		struct guard_source source = v4("127.0.0.9");

		source.bytes[14] = i;
		cr_assert_eq(ch_guard_ban(rig.guard, &source, FOREVER), 0);
	}
	cr_assert_eq(ch_guard_ban(rig.guard, &(struct guard_source){{1}}, FOREVER), -E2BIG);
}

Test(guard, drops_a_source_whose_bucket_user_space_found_empty)
{
	struct guard_source greedy = v4("127.0.0.2");

	rig.settings.source = (struct guard_limit){1000000000, 0};
	cr_assert_eq(ch_guard_set(rig.guard, &rig.settings), 0);
	cr_assert_eq(ch_guard_limit(rig.guard, &greedy, FOREVER), 0);
	cr_assert_eq(call_from("127.0.0.2"), -ETIMEDOUT);
	cr_assert_eq(call_from("127.0.0.3"), 0);
	cr_assert_eq(verdicts(GUARD_SOURCE_LIMIT), 1);
}

/* row: 2.7.2 2.8.2 */
Test(guard, follows_the_longest_prefix)
{
	struct guard_rule rules[GUARD_RULES] = {0};
	const struct ch_guard_prefix prefixes[] = {prefix("127.0.0.0", 24, 1),
						   prefix("127.0.0.64", 26, 2)};

	rules[1].action = GUARD_ACTION_DROP;
	rules[2].action = GUARD_ACTION_PERMIT;
	cr_assert_eq(ch_guard_rules(rig.guard, rules, prefixes, 2), 0);
	cr_assert_eq(call_from("127.0.0.2"), -ETIMEDOUT);
	cr_assert_eq(call_from("127.0.0.65"), 0);
	cr_assert_eq(call_from("127.0.1.2"), 0, "outside of both");
}

Test(guard, permits_by_rule_what_is_banned)
{
	const struct ch_guard_prefix one = prefix("127.0.0.2", 32, 3);
	struct guard_source source = v4("127.0.0.2");

	set_rule(3, (struct guard_rule){.action = GUARD_ACTION_PERMIT}, &one, 1);
	cr_assert_eq(ch_guard_ban(rig.guard, &source, FOREVER), 0);
	cr_assert_eq(call_from("127.0.0.2"), 0);
	cr_assert_eq(verdicts(GUARD_PERMIT), 1);
}

/* row: 2.6.1 */
Test(guard, limits_a_prefix_as_a_whole)
{
	const struct ch_guard_prefix one = prefix("127.0.0.0", 24, 5);

	set_rule(5, (struct guard_rule){.limit = {1000000000, 0}}, &one, 1);
	cr_assert_eq(call_from("127.0.0.2"), 0);
	cr_assert_eq(ch_guard_limit_rule(rig.guard, 5, FOREVER), 0);
	cr_assert_eq(call_from("127.0.0.3"), -ETIMEDOUT);
	cr_assert_eq(call_from("127.0.1.3"), 0);
	cr_assert_eq(verdicts(GUARD_RULE_LIMIT), 1);
}

/* row: 2.9.1 2.9.3 2.9.6 */
Test(guard, counts_each_hit_of_a_rule_over_reloads)
{
	static struct ch_guard_counters counters;
	const struct ch_guard_prefix one = prefix("127.0.0.2", 32, 7);

	for (int i = 0; i < 3; i++) {
		set_rule(7, (struct guard_rule){.action = GUARD_ACTION_DROP}, &one, 1);
		cr_assert_eq(call_from("127.0.0.2"), -ETIMEDOUT);
	}
	cr_assert_eq(ch_guard_counters(rig.guard, &counters), 0);
	cr_assert_eq(counters.rules[0][7], 3);
	cr_assert_eq(counters.verdicts[0][GUARD_DENIED], 3);
}

Test(guard, only_counts_in_a_dry_run)
{
	struct guard_source bad = v4("127.0.0.2");

	rig.settings.dry_run = 1;
	cr_assert_eq(ch_guard_set(rig.guard, &rig.settings), 0);
	cr_assert_eq(ch_guard_ban(rig.guard, &bad, FOREVER), 0);
	cr_assert_eq(call_from("127.0.0.2"), 0);
	cr_assert_eq(verdicts(GUARD_BANNED), 1);
}

/* row: 2.8.2 */
Test(guard, takes_a_64_of_ipv6_for_one_source)
{
	struct sockaddr_in6 to = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
	struct ch_address local = {.ip = {[15] = 1}, .family = 6};
	struct guard_source half = {{0}}; /* ::/64 */
	int listener;
	int fd;

	if (ch_sock_listen(&local, NULL, 64, &listener) != 0)
		cr_skip_test("no IPv6 here");
	cr_assert_eq(ch_sock_local(listener, &local), 0);
	to.sin6_port = htons(local.port);
	cr_assert_eq(ch_guard_attach(rig.guard, listener, NULL), 0);
	fd = socket(AF_INET6, SOCK_STREAM | SOCK_NONBLOCK, 0);
	cr_assert_eq(call(fd, (struct sockaddr *)&to, sizeof(to)), 0);
	cr_assert_eq(ch_guard_ban(rig.guard, &half, FOREVER), 0);
	fd = socket(AF_INET6, SOCK_STREAM | SOCK_NONBLOCK, 0);
	cr_assert_eq(call(fd, (struct sockaddr *)&to, sizeof(to)), -ETIMEDOUT);
	close(listener);
}

static struct guard_event seen;
static int events;

static void on_event(void *ctx, const struct guard_event *event)
{
	(void)ctx;
	seen = *event;
	events++;
}

/* row: 2.7.7 2.10.1 */
Test(guard, tells_once_a_second_who_was_dropped_and_why)
{
	struct guard_source bad = v4("127.0.0.2");

	cr_assert_eq(ch_guard_ban(rig.guard, &bad, FOREVER), 0);
	for (int i = 0; i < 3; i++)
		cr_assert_eq(call_from("127.0.0.2"), -ETIMEDOUT);
	cr_assert_geq(ch_guard_events(rig.guard, on_event, NULL), 1);
	cr_assert_eq(events, 1);
	cr_assert_eq(memcmp(&seen.source, &bad, sizeof(bad)), 0);
	cr_assert_eq(seen.port, rig.port);
	cr_assert_neq(seen.source_port, 0);
	cr_assert_eq(seen.verdict, GUARD_BANNED);
	cr_assert_neq(seen.ifindex, 0);
}

Test(guard, tells_no_more_often_of_a_source_whose_bucket_is_written_again)
{
	struct guard_source greedy = v4("127.0.0.2");

	rig.settings.source = (struct guard_limit){1000000000, 0};
	cr_assert_eq(ch_guard_set(rig.guard, &rig.settings), 0);
	for (int i = 0; i < 3; i++) {
		cr_assert_eq(ch_guard_limit(rig.guard, &greedy, FOREVER), 0);
		cr_assert_eq(call_from("127.0.0.2"), -ETIMEDOUT);
	}
	cr_assert_geq(ch_guard_events(rig.guard, on_event, NULL), 1);
	cr_assert_eq(events, 1);
}

Test(guard, does_not_see_what_an_accepted_socket_receives)
{
	struct guard_source bad = v4("127.0.0.1");
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(rig.port)};
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	char byte = 'x';
	int child;

	inet_pton(AF_INET, "127.0.0.1", &to.sin_addr);
	cr_assert_eq(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
	child = accept(rig.listener, NULL, NULL);
	ch_guard_detach(child);
	/* Its connection is older than the ban: it goes on. */
	cr_assert_eq(ch_guard_ban(rig.guard, &bad, FOREVER), 0);
	cr_assert_eq(write(fd, &byte, 1), 1);
	cr_assert_eq(read(child, &byte, 1), 1);
	close(child);
	close(fd);
}

Test(guard, takes_a_hundred_thousand_prefixes, .timeout = 60)
{
	const size_t count = 100000;
	struct ch_guard_prefix *prefixes = calloc(count, sizeof(*prefixes));

	for (size_t i = 0; i < count; i++) {
		prefixes[i] = prefix("10.0.0.0", 32, 9);
		prefixes[i].prefix.source.bytes[13] = (uint8_t)(i >> 16);
		prefixes[i].prefix.source.bytes[14] = (uint8_t)(i >> 8);
		prefixes[i].prefix.source.bytes[15] = (uint8_t)i;
	}
	prefixes[77] = prefix("127.0.0.2", 32, 9);
	for (int round = 0; round < 3; round++) {
		set_rule(9, (struct guard_rule){.action = GUARD_ACTION_DROP}, prefixes, count);
		cr_assert_eq(call_from("127.0.0.2"), -ETIMEDOUT);
		cr_assert_eq(call_from("127.0.0.3"), 0);
	}
	free(prefixes);
}
