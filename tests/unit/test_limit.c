/* SPDX-License-Identifier: Apache-2.0 */
/* links: core */
#include "bpf/limit.h"

#include <criterion/criterion.h>
#include <stdint.h>
#include <stdlib.h>

#define S 1000000000ull

/* @rate events a second, @burst at once. */
static struct guard_limit limit_of(uint64_t rate, uint64_t burst)
{
	return (struct guard_limit){S / rate, (burst - 1) * (S / rate)};
}

static bool event(const struct guard_limit *limit, uint64_t *tat, uint64_t now)
{
	if (!guard_limit_allows(limit, *tat, now))
		return false;
	*tat = guard_limit_charge(limit, *tat, now);
	return true;
}

Test(limit, allows_exactly_the_burst_at_once)
{
	struct guard_limit limit = limit_of(5, 10);
	uint64_t tat = 0;
	int passed = 0;

	for (int i = 0; i < 100; i++)
		passed += event(&limit, &tat, 7 * S);
	cr_assert_eq(passed, 10);
}

Test(limit, goes_on_at_the_rate_behind_the_burst)
{
	struct guard_limit limit = limit_of(5, 10);
	uint64_t tat = 0;
	int passed = 0;

	/* 40 a second for 10 seconds: 10 at once, then 5 a second. */
	for (uint64_t now = 0; now < 10 * S; now += S / 40)
		passed += event(&limit, &tat, 100 * S + now);
	cr_assert_geq(passed, 10 + 5 * 10 - 1);
	cr_assert_leq(passed, 10 + 5 * 10);
}

Test(limit, of_zero_is_none)
{
	struct guard_limit none = {0, 0};
	uint64_t tat = 0;

	for (int i = 0; i < 1000; i++)
		cr_assert(event(&none, &tat, 1));
}

/* A bucket of tokens, done the long way round: what GCRA is the short form of. */
Test(limit, equals_a_token_bucket_on_random_traces)
{
	srandom(3871);
	for (int trace = 0; trace < 200; trace++) {
		uint64_t interval = 1 + (uint64_t)random() % 1000;
		uint64_t burst = 1 + (uint64_t)random() % 20;
		struct guard_limit limit = {interval, (burst - 1) * interval};
		uint64_t credit = burst * interval; /* in units of 1 / interval of a token */
		uint64_t now = 1 + (uint64_t)random();
		uint64_t tat = 0;

		for (int i = 0; i < 500; i++) {
			uint64_t step = (uint64_t)random() % (2 * interval);
			bool full;

			now += step;
			credit = credit + step > burst * interval ? burst * interval
								  : credit + step;
			full = credit >= interval;
			cr_assert_eq(event(&limit, &tat, now), full, "trace %d, event %d", trace, i);
			if (full)
				credit -= interval;
		}
	}
}

Test(limit, never_wraps_round_to_full)
{
	struct guard_limit limit = {UINT64_MAX / 2, UINT64_MAX / 2};
	uint64_t tat = UINT64_MAX - 5;

	cr_assert_eq(guard_limit_charge(&limit, tat, 10), UINT64_MAX);
	cr_assert_not(guard_limit_allows(&limit, UINT64_MAX, 10));
}

Test(limit, a_clock_that_was_set_back_locks_nobody_out)
{
	struct guard_limit limit = limit_of(5, 10);
	uint64_t tat = guard_limit_clamp(&limit, 1000 * S, 3 * S);

	cr_assert_not(guard_limit_allows(&limit, tat, 3 * S));
	cr_assert(guard_limit_allows(&limit, tat, 3 * S + S / 5));
	cr_assert_eq(guard_limit_clamp(&limit, 4 * S, 3 * S), 4 * S, "an honest one stays");
	cr_assert_eq(guard_limit_clamp(&limit, UINT64_MAX, UINT64_MAX - 1), UINT64_MAX);
}
