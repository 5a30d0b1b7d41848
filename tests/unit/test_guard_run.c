/* SPDX-License-Identifier: Apache-2.0 */
/* links: kernel core */
/*
 * The guard's program by itself, run on a packet by the kernel (BPF_PROG_TEST_RUN): its verdicts
 * are those of the arithmetic that user space uses.
 */
#include "kernel/guard.h"
#include "kernel/sock.h"

#include <bpf/bpf.h>
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define S 1000000000ull
#define ETHERNET 14

static struct ch_guard *guard;
static int program = -1;
static struct guard_settings settings = {.v4_bits = 32, .v6_bits = 64};

/* Ours among the open files: nothing but a test needs it. */
static int find_program(void)
{
	for (int fd = 3; fd < 256; fd++) {
		struct bpf_prog_info info = {0};
		uint32_t len = sizeof(info);

		if (bpf_obj_get_info_by_fd(fd, &info, &len) == 0 &&
		    info.type == BPF_PROG_TYPE_SOCKET_FILTER && strcmp(info.name, "guard_syn") == 0)
			return fd;
	}
	return -1;
}

static void start(void)
{
	const struct ch_guard_options options = {.bans = 16, .sources = 64};
	char why[CH_GUARD_WHY];

	if (ch_guard_open(&options, &guard, why) != 0)
		cr_skip_test("no eBPF for us here: %s", why);
	program = find_program();
	cr_assert_geq(program, 0);
	srandom(3871);
}

static void stop(void)
{
	ch_guard_close(guard);
}

TestSuite(guard_run, .init = start, .fini = stop);

/*
 * A test run starts at the IP header where a listener's filter starts at the TCP header. So the
 * header is one that reads as both: byte 13 holds TCP's flags and is a byte of the source address;
 * bytes 2 and 3 are TCP's port and the length of the packet.
 */
#define SYN 0x02

static const struct guard_source v4_source = {.bytes = {[10] = 0xff, 0xff, 10, SYN, 0, 1}};
static const struct guard_source v6_source = {.bytes = {0x20, 0x01, 0x0d, 0xb8, 0, SYN, 0, 7}};

static bool passes(const struct guard_source *source, bool v4)
{
	uint8_t frame[ETHERNET + 60] = {[12] = v4 ? 0x08 : 0x86, v4 ? 0x00 : 0xdd};
	uint8_t *ip = frame + ETHERNET;
	LIBBPF_OPTS(bpf_test_run_opts, run, .data_in = frame, .data_size_in = sizeof(frame));

	ip[0] = v4 ? 0x45 : 0x60;
	ip[3] = 60;
	if (v4)
		memcpy(ip + 12, &source->bytes[12], 4);
	else
		memcpy(ip + 8, source, 16);
	cr_assert_eq(bpf_prog_test_run_opts(program, &run), 0);
	return run.retval != 0;
}

static void set_limit(struct guard_limit limit)
{
	settings.source = limit;
	cr_assert_eq(ch_guard_set(guard, &settings), 0);
}

/* Of all magnitudes alike. */
static uint64_t any_number(void)
{
	uint64_t bits = (uint64_t)random() << 33 ^ (uint64_t)random() << 11 ^ (uint64_t)random();

	return bits >> (uint64_t)random() % 64;
}

/*
 * Does the kernel decide as guard_limit_allows does? True too where the answer changes while it is
 * asked, which @known does not count.
 */
static bool agrees(const struct guard_limit *limit, uint64_t tat, bool v4, int *known)
{
	uint64_t before = ch_now_ns();
	bool passed = passes(v4 ? &v4_source : &v6_source, v4);
	int allowed = guard_limit_allows(limit, tat, before);

	if (allowed != guard_limit_allows(limit, tat, ch_now_ns()))
		return true;
	(*known)++;
	return passed == (allowed != 0);
}

/* What counts as one source: the IPv6 one is cut to its /64. */
static struct guard_source key_of(bool v4)
{
	struct guard_source key = v4 ? v4_source : v6_source;

	if (!v4)
		memset(&key.bytes[8], 0, 8);
	return key;
}

static uint64_t bucket_near(const struct guard_limit *limit)
{
	uint64_t edge = ch_now_ns() + limit->burst_ns;

	return random() % 2 ? edge + any_number() % S : edge - any_number() % S;
}

static void compare_with_random_buckets(bool v4)
{
	struct guard_source key = key_of(v4);
	int known = 0;

	for (int i = 0; i < 4000; i++) {
		struct guard_limit limit = {any_number() | 1, any_number()};
		uint64_t tat = random() % 2 ? any_number() : bucket_near(&limit);

		set_limit(limit);
		cr_assert_eq(ch_guard_limit(guard, &key, tat), 0);
		cr_assert(agrees(&limit, tat, v4, &known), "interval %llu burst %llu tat %llu",
			  (unsigned long long)limit.interval_ns, (unsigned long long)limit.burst_ns,
			  (unsigned long long)tat);
	}
	cr_assert_gt(known, 3900, "the answer changed while it was asked %d times", 4000 - known);
}

/* row: 2.6.1 */
Test(guard_run, limits_as_user_space_does_whatever_bucket_and_limit)
{
	compare_with_random_buckets(true);
}

Test(guard_run, limits_as_user_space_does_whatever_bucket_and_limit_of_ipv6)
{
	compare_with_random_buckets(false);
}

/* How long it takes to ask here; a guest under emulation takes a hundred times as long. */
static uint64_t time_of_an_answer(void)
{
	uint64_t before = ch_now_ns();

	for (int i = 0; i < 100; i++)
		(void)passes(&v4_source, true);
	return (ch_now_ns() - before) / 100 + 1;
}

/* As the gate does it: user space charges, and the kernel is told of empty buckets. */
Test(guard_run, follows_a_trace_that_user_space_charges)
{
	uint64_t answer_ns = time_of_an_answer();
	struct guard_source key = key_of(true);
	int known = 0;
	int dropped = 0;

	for (int trace = 0; trace < 20; trace++) {
		struct guard_limit limit = {answer_ns * (5 + (uint64_t)random() % 10), 0};
		uint64_t tat = 0;

		limit.burst_ns = (uint64_t)random() % 4 * limit.interval_ns;
		set_limit(limit);
		cr_assert_eq(ch_guard_limit(guard, &key, 0), 0);
		for (int i = 0; i < 200; i++) {
			uint64_t now;

			cr_assert(agrees(&limit, tat, true, &known), "trace %d, event %d", trace,
				  i);
			now = ch_now_ns();
			if (!guard_limit_allows(&limit, tat, now)) {
				dropped++;
				continue;
			}
			tat = guard_limit_charge(&limit, tat, now);
			if (!guard_limit_allows(&limit, tat, now))
				cr_assert_eq(ch_guard_limit(guard, &key, tat), 0);
		}
	}
	cr_assert_gt(dropped, 100);
	cr_assert_gt(known, 2000);
}

/* A bucket of the time before a clock was set back, clamped as user space does. */
Test(guard_run, opens_to_a_source_soon_behind_a_clock_that_jumped_back)
{
	struct guard_limit limit = {S / 20, S / 20};
	struct guard_source key = key_of(true);
	uint64_t now = ch_now_ns();
	uint64_t tat = guard_limit_clamp(&limit, now + 3600 * S, now);

	set_limit(limit);
	cr_assert_eq(ch_guard_limit(guard, &key, tat), 0);
	cr_assert_not(passes(&v4_source, true));
	usleep(60000);
	cr_assert(passes(&v4_source, true));
}

Test(guard_run, takes_a_bucket_at_the_end_of_time_for_empty)
{
	struct guard_limit limit = {1, 0};
	struct guard_source key = key_of(true);

	set_limit(limit);
	cr_assert_eq(guard_limit_charge(&limit, UINT64_MAX, 1), UINT64_MAX);
	cr_assert_eq(ch_guard_limit(guard, &key, UINT64_MAX), 0);
	cr_assert_not(passes(&v4_source, true));
	limit.burst_ns = UINT64_MAX; /* now + burst would wrap */
	set_limit(limit);
	cr_assert(passes(&v4_source, true));
}

Test(guard_run, limits_the_sources_of_a_rule_as_user_space_does)
{
	struct guard_rule rules[GUARD_RULES] = {0};
	const struct ch_guard_prefix all = {{96, {.bytes = {[10] = 0xff, 0xff}}}, 3};
	int known = 0;

	for (int i = 0; i < 40; i++) {
		uint64_t tat;

		rules[3].limit = (struct guard_limit){any_number() | 1, any_number()};
		cr_assert_eq(ch_guard_rules(guard, rules, &all, 1), 0);
		tat = random() % 2 ? any_number() : bucket_near(&rules[3].limit);
		cr_assert_eq(ch_guard_limit_rule(guard, 3, tat), 0);
		cr_assert(agrees(&rules[3].limit, tat, true, &known), "rule set %d", i);
	}
	cr_assert_gt(known, 35);
}

/* row: 2.9.6 */
Test(guard_run, loses_no_count_when_the_table_of_sources_overflows)
{
	static struct ch_guard_counters counters;
	const struct guard_limit limit = {S, 0};
	uint64_t dropped = 0;

	set_limit(limit);
	for (uint32_t i = 0; i < 5000; i++) {
		struct guard_source source = v4_source;

		memcpy(&source.bytes[14], &(uint16_t){(uint16_t)i}, 2);
		cr_assert_eq(ch_guard_limit(guard, &source, UINT64_MAX), 0);
		dropped += !passes(&source, true);
	}
	cr_assert_eq(dropped, 5000);
	cr_assert_eq(ch_guard_counters(guard, &counters), 0);
	cr_assert_eq(counters.verdicts[0][GUARD_SOURCE_LIMIT], 5000);
}
