/* SPDX-License-Identifier: Apache-2.0 */
/* links: guard core */
#include "gate_rig.h"

static struct ch_sources *sources;

static void start(void)
{
	struct ch_sources_options o = usual_sources(3);

	cr_assert_eq(ch_sources_new(&o, &sources), 0);
}

static void stop(void)
{
	ch_sources_free(sources);
}

TestSuite(sources, .init = start, .fini = stop);

static struct guard_source at(const char *endpoint)
{
	struct ch_address address;
	struct guard_source source;

	cr_assert_eq(ch_address_parse(endpoint, &address), 0);
	ch_source_of(sources, &address, &source);
	return source;
}

static enum ch_arrival arrive(const struct guard_source *source, uint64_t now)
{
	struct ch_arrival_info info;

	ch_sources_arrive(sources, source, now, &info);
	return info.verdict;
}

/* Arrives and ends at once. */
static enum ch_arrival visit(const struct guard_source *source, uint64_t now)
{
	enum ch_arrival verdict = arrive(source, now);

	if (verdict == CH_ARRIVAL_WELCOME)
		ch_sources_leave(sources, source);
	return verdict;
}

/* Fails until it is banned, at most @most times. @return the length of the ban */
static uint64_t fail_times(const struct guard_source *source, int most, uint64_t now)
{
	struct ch_ban_change change;

	for (int i = 0; i < most; i++)
		if (ch_sources_fail(sources, source, now, &change))
			return change.ban.until_ns - now;
	return 0;
}

static void expect_text(const char *endpoint, const char *text)
{
	struct guard_source source = at(endpoint);
	char got[CH_SOURCE_TEXT];

	ch_source_format(sources, &source, got);
	cr_assert_str_eq(got, text);
}

Test(sources, are_v4_addresses_and_v6_networks)
{
	struct guard_source a = at("[2001:db8:1:2:3::4]:1");
	struct guard_source b = at("[2001:db8:1:2:ffff::9]:2");
	struct guard_source c = at("[2001:db8:1:3::4]:1");

	cr_assert_eq(memcmp(&a, &b, sizeof(a)), 0);
	cr_assert_neq(memcmp(&a, &c, sizeof(a)), 0);
	expect_text("192.0.2.7:4335", "192.0.2.7");
	expect_text("[2001:db8:1:2:3::4]:1", "2001:db8:1:2::/64");
}

Test(sources, passes_the_burst_and_then_the_rate)
{
	struct guard_source source = at("192.0.2.1:1");
	int passed = 0;

	for (uint64_t now = 0; now < 2 * S; now += S / 40)
		passed += visit(&source, T0 + now) == CH_ARRIVAL_WELCOME;
	cr_assert_geq(passed, 19);
	cr_assert_leq(passed, 20);
}

Test(sources, tells_the_bucket_that_ran_empty)
{
	struct guard_source source = at("192.0.2.1:1");
	struct ch_arrival_info info;

	for (int i = 0; i < 9; i++)
		cr_assert_eq(visit(&source, T0), CH_ARRIVAL_WELCOME);
	ch_sources_arrive(sources, &source, T0, &info);
	cr_assert_eq(info.verdict, CH_ARRIVAL_WELCOME);
	cr_assert_eq(info.again_ns, T0 + S / 5);
}

Test(sources, bounds_the_connections_that_log_in_at_a_time)
{
	struct guard_source source = at("192.0.2.1:1");

	for (int i = 0; i < 4; i++)
		cr_assert_eq(arrive(&source, T0), CH_ARRIVAL_WELCOME);
	cr_assert_eq(arrive(&source, T0), CH_ARRIVAL_PENDING);
	ch_sources_leave(sources, &source);
	cr_assert_eq(arrive(&source, T0), CH_ARRIVAL_WELCOME);
}

/* row: SC5b */
Test(sources, bans_at_the_set_number_of_failures_and_not_before)
{
	struct guard_source source = at("192.0.2.1:1");

	cr_assert_eq(fail_times(&source, 4, T0), 0);
	cr_assert_eq(visit(&source, T0), CH_ARRIVAL_WELCOME);
	cr_assert_eq(fail_times(&source, 1, T0), 300 * S);
	cr_assert_eq(visit(&source, T0 + 300 * S - 1), CH_ARRIVAL_BANNED);
	cr_assert_eq(visit(&source, T0 + 300 * S), CH_ARRIVAL_WELCOME);
}

Test(sources, forgets_failures_outside_the_window)
{
	struct guard_source source = at("192.0.2.1:1");

	for (int i = 0; i < 20; i++)
		cr_assert_eq(fail_times(&source, 4, T0 + (uint64_t)i * 61 * S), 0);
}

Test(sources, doubles_bans_up_to_the_longest_and_halves_them_for_a_login)
{
	struct guard_source source = at("192.0.2.1:1");
	const uint64_t lengths[] = {300, 600, 1200, 2400, 3600, 3600};
	uint64_t now = T0;

	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		cr_assert_eq(fail_times(&source, 5, now), lengths[i] * S, "ban %zu", i);
		now += lengths[i] * S;
	}
	for (int i = 0; i < 4; i++) {
		ch_sources_succeed(sources, &source, now);
		ch_sources_end(sources, &source, CH_SESSION_GOOD, now);
	}
	now += 86400 * S;
	cr_assert_eq(fail_times(&source, 5, now), 300 * S, "a day later it is as new");
}

/* A bad device among good ones behind one address. */
Test(sources, never_bans_a_source_that_logs_devices_in)
{
	struct guard_source nat = at("192.0.2.1:1");

	ch_sources_succeed(sources, &nat, T0);
	cr_assert_eq(fail_times(&nat, 1000, T0 + S), 0, "while a session is open");
	cr_assert_eq(visit(&nat, T0 + S), CH_ARRIVAL_WELCOME);
	ch_sources_end(sources, &nat, CH_SESSION_GOOD, T0 + S);
	cr_assert_eq(fail_times(&nat, 1000, T0 + 2 * S), 0, "and while it is known");
	cr_assert_eq(fail_times(&nat, 5, T0 + 86402 * S), 300 * S, "once it is not known any more");
}

static enum ch_rank rank(const struct guard_source *source, uint64_t now)
{
	struct ch_arrival_info info;

	ch_sources_arrive(sources, source, now, &info);
	if (info.verdict == CH_ARRIVAL_WELCOME)
		ch_sources_leave(sources, source);
	return info.rank;
}

Test(sources, tells_who_goes_first_without_counting_a_call)
{
	struct guard_source source = at("192.0.2.1:1");

	cr_assert_not(ch_sources_is_first(sources, &source, T0));
	ch_sources_succeed(sources, &source, T0);
	ch_sources_end(sources, &source, CH_SESSION_GOOD, T0);
	for (int i = 0; i < 100; i++)
		cr_assert(ch_sources_is_first(sources, &source, T0));
	for (int i = 0; i < 5; i++)
		cr_assert_eq(rank(&source, T0), CH_RANK_KNOWN);
	cr_assert_not(ch_sources_is_first(sources, &source, T0), "it is busy");
	cr_assert(ch_sources_is_first(sources, &source, T0 + 10 * S));
}

Test(sources, is_known_after_a_good_session_and_during_one_that_lasts)
{
	struct guard_source source = at("192.0.2.1:1");

	cr_assert_eq(rank(&source, T0), CH_RANK_STRANGER);
	ch_sources_succeed(sources, &source, T0);
	cr_assert_eq(rank(&source, T0 + S), CH_RANK_STRANGER, "a login alone says little");
	cr_assert_eq(rank(&source, T0 + 2 * S), CH_RANK_KNOWN);
	ch_sources_end(sources, &source, CH_SESSION_GOOD, T0 + 86400 * S);
	cr_assert_eq(rank(&source, T0 + 2 * 86400 * S - 1), CH_RANK_KNOWN, "from its end on");
	cr_assert_eq(rank(&source, T0 + 2 * 86400 * S), CH_RANK_STRANGER);
}

/* Who has a good certificate may still do nothing but harm. */
Test(sources, fault_in_a_session_takes_the_standing_unless_others_are_open)
{
	struct guard_source nat = at("192.0.2.1:1");

	ch_sources_succeed(sources, &nat, T0);
	ch_sources_end(sources, &nat, CH_SESSION_GOOD, T0);
	ch_sources_succeed(sources, &nat, T0);
	ch_sources_succeed(sources, &nat, T0);
	ch_sources_end(sources, &nat, CH_SESSION_FAULT, T0);
	cr_assert_eq(rank(&nat, T0), CH_RANK_KNOWN, "the other device behind it is a good one");
	ch_sources_end(sources, &nat, CH_SESSION_FAULT, T0);
	cr_assert_eq(rank(&nat, T0 + S), CH_RANK_STRANGER);
	for (uint64_t i = 1; i < 20; i++) {
		ch_sources_succeed(sources, &nat, T0 + i * S);
		ch_sources_succeed(sources, &nat, T0 + i * S);
		ch_sources_end(sources, &nat, CH_SESSION_FAULT, T0 + i * S);
		cr_assert_neq(rank(&nat, T0 + i * S + S / 2), CH_RANK_KNOWN, "%d", (int)i);
	}
}

Test(sources, end_that_is_ours_says_nothing_of_the_device)
{
	struct guard_source source = at("192.0.2.1:1");

	ch_sources_succeed(sources, &source, T0);
	ch_sources_end(sources, &source, CH_SESSION_ENDED, T0 + S);
	cr_assert_eq(rank(&source, T0 + S), CH_RANK_STRANGER);
	ch_sources_succeed(sources, &source, T0 + S);
	ch_sources_end(sources, &source, CH_SESSION_ENDED, T0 + 10 * S);
	cr_assert_eq(rank(&source, T0 + 10 * S), CH_RANK_KNOWN, "but it had lasted");
}

Test(sources, one_that_calls_all_the_time_is_busy_until_it_stops)
{
	struct guard_source source = at("192.0.2.1:1");

	for (int i = 0; i < 5; i++)
		cr_assert_eq(rank(&source, T0), CH_RANK_STRANGER);
	for (int i = 0; i < 100; i++)
		cr_assert_eq(rank(&source, T0 + (uint64_t)i * S / 2), CH_RANK_STRANGER_BUSY);
	cr_assert_eq(rank(&source, T0 + 50 * S + 7 * S), CH_RANK_STRANGER, "seconds later");
	for (uint64_t i = 0; i < 1000; i++)
		cr_assert_eq(rank(&source, T0 + 70 * S + i * S), CH_RANK_STRANGER, "one a second");
}

Test(sources, gives_a_known_one_its_own_limits)
{
	struct guard_source nat = at("192.0.2.1:1");
	struct ch_arrival_info info;
	int passed = 0;

	ch_sources_succeed(sources, &nat, T0);
	ch_sources_end(sources, &nat, CH_SESSION_GOOD, T0);
	ch_sources_arrive(sources, &nat, T0, &info);
	cr_assert_eq(info.rank, CH_RANK_KNOWN);
	for (int i = 1; i < 200; i++)
		passed += arrive(&nat, T0) == CH_ARRIVAL_WELCOME;
	cr_assert_eq(passed, 19);
}

Test(sources, connections_of_before_the_ban_make_it_no_longer)
{
	struct guard_source source = at("192.0.2.1:1");

	cr_assert_eq(fail_times(&source, 5, T0), 300 * S);
	cr_assert_eq(fail_times(&source, 50, T0 + S), 0);
	cr_assert_eq(visit(&source, T0 + 300 * S), CH_ARRIVAL_WELCOME);
}

static int ban(const char *endpoint, uint64_t until, bool *is_displaced)
{
	struct ch_ban made = {at(endpoint), T0, until, 0, CH_BAN_OPERATOR};
	struct ch_ban_change change;
	int err = ch_sources_ban(sources, &made, &change);

	*is_displaced = change.displaces;
	return err;
}

Test(sources, a_full_table_of_bans_gives_up_the_one_that_ends_first)
{
	struct ch_ban list[8];
	bool is_displaced;

	cr_assert_eq(ban("192.0.2.1:1", T0 + 30 * S, &is_displaced), 0);
	cr_assert_eq(ban("192.0.2.2:1", T0 + 10 * S, &is_displaced), 0);
	cr_assert_eq(ban("192.0.2.3:1", T0 + 20 * S, &is_displaced), 0);
	cr_assert_not(is_displaced);
	cr_assert_eq(ban("192.0.2.4:1", T0 + 5 * S, &is_displaced), CH_E_FULL);
	cr_assert_eq(ban("192.0.2.5:1", T0 + 60 * S, &is_displaced), 0);
	cr_assert(is_displaced);
	cr_assert_eq(ch_sources_bans(sources, T0, list, 8), 3);
	cr_assert_eq(list[0].until_ns, T0 + 20 * S);
	cr_assert_eq(list[2].until_ns, T0 + 60 * S);
}

Test(sources, lists_and_lifts_bans)
{
	struct guard_source source = at("192.0.2.1:1");
	struct ch_ban list[2];
	bool is_displaced;

	cr_assert_eq(ban("192.0.2.1:9", UINT64_MAX, &is_displaced), 0);
	cr_assert_eq(ch_sources_bans(sources, T0, list, 2), 1);
	cr_assert_eq(list[0].cause, CH_BAN_OPERATOR);
	cr_assert_eq(visit(&source, T0), CH_ARRIVAL_BANNED);
	cr_assert_eq(ch_sources_unban(sources, &source), 0);
	cr_assert_eq(ch_sources_unban(sources, &source), CH_E_UNKNOWN);
	cr_assert_eq(visit(&source, T0), CH_ARRIVAL_WELCOME);
}

Test(sources, all_come_in_during_a_dry_run)
{
	struct ch_sources_options o = usual_sources(3);
	struct guard_source source = at("192.0.2.1:1");
	struct ch_sources_load load;
	bool is_displaced;

	o.dry_run = true;
	ch_sources_configure(sources, &o);
	cr_assert_eq(ban("192.0.2.1:1", UINT64_MAX, &is_displaced), 0);
	for (int i = 0; i < 6; i++)
		cr_assert_eq(arrive(&source, T0), CH_ARRIVAL_BANNED);
	ch_sources_load(sources, T0, &load);
	cr_assert_eq(load.pending, 6);
	for (int i = 0; i < 6; i++)
		ch_sources_leave(sources, &source);
	ch_sources_load(sources, T0, &load);
	cr_assert_eq(load.pending, 0);
}

Test(sources, of_an_attacker_do_not_grow_the_table)
{
	struct ch_sources_load load;

	for (uint32_t i = 0; i < 20000; i++) {
		struct ch_address address = {.family = 4, .port = 1};
		struct guard_source source;

		memcpy(address.ip, &i, 4);
		ch_source_of(sources, &address, &source);
		visit(&source, T0 + i);
	}
	ch_sources_load(sources, T0, &load);
	cr_assert_leq(load.sources, 1000 + 64);
	cr_assert_eq(load.pending, 0);
}

/* Who keeps account of those of the first rank. */
static struct guard_source account[1000];
static size_t accounted;
static unsigned told;
static bool full;

static bool is_on_account(const struct guard_source *source, size_t *at)
{
	for (*at = 0; *at < accounted; (*at)++)
		if (memcmp(&account[*at], source, sizeof(*source)) == 0)
			return true;
	return false;
}

static bool keep_account(void *ctx, const struct guard_source *source, bool first)
{
	size_t i;

	(void)ctx;
	told++;
	cr_assert_neq(is_on_account(source, &i), first, "only changes are told");
	if (first && full)
		return false;
	if (first)
		account[accounted++] = *source;
	else
		account[i] = account[--accounted];
	return true;
}

static bool is_accounted(const struct guard_source *source)
{
	size_t i;

	return is_on_account(source, &i);
}

static void review_all(uint64_t now)
{
	for (int i = 0; i < CH_SOURCES_PARTS; i++)
		ch_sources_review(sources, now);
}

Test(sources, tells_who_is_of_the_first_rank_and_only_changes)
{
	struct guard_source source = at("192.0.2.1:1");
	struct guard_source stranger = at("192.0.2.2:1");

	ch_sources_follow(sources, keep_account, NULL);
	visit(&source, T0);
	ch_sources_succeed(sources, &source, T0);
	cr_assert_eq(told, 0);
	ch_sources_end(sources, &source, CH_SESSION_GOOD, T0);
	cr_assert(is_accounted(&source));
	for (uint64_t i = 0; i < 10; i++) {
		visit(&source, T0 + (i + 10) * S);
		visit(&stranger, T0 + (i + 10) * S);
		review_all(T0 + (i + 10) * S);
	}
	cr_assert_eq(told, 1);
	for (int i = 0; i < 10; i++)
		visit(&source, T0 + 100 * S);
	cr_assert_not(is_accounted(&source), "it is busy");
	cr_assert_eq(told, 2);
	visit(&source, T0 + 200 * S);
	cr_assert(is_accounted(&source));
	ch_sources_succeed(sources, &source, T0 + 200 * S);
	ch_sources_end(sources, &source, CH_SESSION_FAULT, T0 + 200 * S);
	cr_assert_not(is_accounted(&source));
	cr_assert_eq(told, 4);
}

Test(sources, tells_of_those_that_a_file_names)
{
	struct guard_source source = at("192.0.2.1:1");
	struct guard_prefix prefix = {.bits = 128, .source = source};

	ch_sources_follow(sources, keep_account, NULL);
	cr_assert_eq(ch_sources_know(sources, &prefix, T0 + 100 * S, T0), 0);
	cr_assert(is_accounted(&source));
	visit(&source, T0 + 100 * S);
	cr_assert_not(is_accounted(&source), "its time is over");
}

Test(sources, tells_again_what_was_not_noted)
{
	struct guard_source source = at("192.0.2.1:1");

	ch_sources_follow(sources, keep_account, NULL);
	full = true;
	ch_sources_succeed(sources, &source, T0);
	ch_sources_end(sources, &source, CH_SESSION_GOOD, T0);
	cr_assert_eq(told, 1);
	full = false;
	visit(&source, T0 + S);
	cr_assert(is_accounted(&source));
}

Test(sources, sees_in_a_review_what_time_alone_changed)
{
	struct guard_source open = at("192.0.2.1:1");
	struct guard_source busy = at("192.0.2.2:1");

	ch_sources_follow(sources, keep_account, NULL);
	ch_sources_succeed(sources, &open, T0);
	for (int i = 0; i < 10; i++)
		visit(&busy, T0);
	ch_sources_succeed(sources, &busy, T0);
	ch_sources_end(sources, &busy, CH_SESSION_GOOD, T0);
	review_all(T0 + S);
	cr_assert_eq(told, 0);
	review_all(T0 + 10 * S);
	cr_assert(is_accounted(&open), "its session lasts");
	cr_assert(is_accounted(&busy), "it is calm");
	review_all(T0 + 86400 * S);
	cr_assert(is_accounted(&open));
	cr_assert_not(is_accounted(&busy), "its time is over");
}

static struct guard_source one_of_many(uint32_t number)
{
	struct guard_source source = at("192.0.2.1:1");

	memcpy(&source.bytes[12], &number, sizeof(number));
	return source;
}

Test(sources, reviews_each_of_many)
{
	struct ch_sources_options o = usual_sources(3);

	o.most = 10000;
	ch_sources_configure(sources, &o);
	ch_sources_follow(sources, keep_account, NULL);
	for (uint32_t i = 0; i < 1000; i++) {
		struct guard_source source = one_of_many(i);

		ch_sources_succeed(sources, &source, T0);
	}
	review_all(T0 + 10 * S);
	cr_assert_eq(accounted, 1000);
}

Test(sources, tells_of_those_that_are_forgotten)
{
	struct ch_sources_options o = usual_sources(3);

	o.most = 32;
	ch_sources_configure(sources, &o);
	ch_sources_follow(sources, keep_account, NULL);
	for (uint32_t i = 0; i < 1000; i++) {
		struct guard_source source = one_of_many(i);

		ch_sources_succeed(sources, &source, T0);
		ch_sources_end(sources, &source, CH_SESSION_GOOD, T0);
		cr_assert(is_accounted(&source));
		cr_assert_leq(accounted, 32);
	}
	cr_assert_geq(accounted, 16);
}
