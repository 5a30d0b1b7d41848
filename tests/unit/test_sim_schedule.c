/* SPDX-License-Identifier: Apache-2.0 */
/* links: core */
/* sources: bench/schedule.c */
/* When a simulated device calls, and whom. */
#include "bench/schedule.h"

#include <criterion/criterion.h>

#define MINUTE 60000000000ull
#define HOUR (60 * MINUTE)

Test(sim_schedule, reads_date_and_time)
{
	static const struct {
		const char *text;
		uint64_t seconds;
	} times[] = {
		{"1970-01-01T00:00:00Z", 0},
		{"2026-11-21T13:45:10Z", 1795268710},
		{"2026-11-21T14:45:10+01:00", 1795268710},
		{"2026-11-21T09:15:10-04:30", 1795268710},
	};
	uint64_t unix_ns;

	for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++) {
		cr_assert_eq(sim_schedule_time(times[i].text, &unix_ns), 0, "%s", times[i].text);
		cr_assert_eq(unix_ns, times[i].seconds * 1000000000, "%s", times[i].text);
	}
}

Test(sim_schedule, refuses_what_is_no_date_and_time)
{
	static const char *const bad[] = {
		"",
		"now",
		"2026-11-21",
		"2026-11-21T13:45:10",
		"2026-11-21 13:45:10Z",
		"2026-1-21T13:45:10Z",
		"2026-13-21T13:45:10Z",
		"2026-11-21T25:45:10Z",
		"2026-11-21T13:45:10.5Z",
		"2026-11-21T13:45:10z",
		"2026-11-21T13:45:10+1:00",
		"2026-11-21T13:45:10+24:00",
		"2026-11-21T13:45:10+01:60",
		"2026-11-21T13:45:10Zx",
		" 2026-11-21T13:45:10Z",
		"1970-01-01T00:00:00+00:01",
	};
	uint64_t unix_ns;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		cr_assert_eq(sim_schedule_time(bad[i], &unix_ns), CH_E_SYNTAX, "%s", bad[i]);
}

/* row: S-conn */
Test(sim_schedule, calls_at_whole_periods_from_the_anchor_before_or_after_it)
{
	const uint64_t now = 5 * MINUTE, unix_now = 1000 * HOUR + 20 * MINUTE;

	cr_assert_eq(sim_schedule_anchor(1000 * HOUR, HOUR, unix_now, now), 45 * MINUTE);
	cr_assert_eq(sim_schedule_anchor(1 * HOUR, HOUR, unix_now, now), 45 * MINUTE);
	cr_assert_eq(sim_schedule_anchor(1001 * HOUR, HOUR, unix_now, now), 45 * MINUTE);
	cr_assert_eq(sim_schedule_anchor(2000 * HOUR, HOUR, unix_now, now), 45 * MINUTE);
	cr_assert_eq(sim_schedule_anchor(unix_now, HOUR, unix_now, now), now);
	cr_assert_eq(sim_schedule_anchor(unix_now - 3 * HOUR, HOUR, unix_now, now), now);
}

/* row: S-conn */
Test(sim_schedule, the_next_period_is_later_than_now_and_keeps_its_grid)
{
	cr_assert_eq(sim_schedule_next(10 * MINUTE, HOUR, 10 * MINUTE), 70 * MINUTE);
	cr_assert_eq(sim_schedule_next(10 * MINUTE, HOUR, 69 * MINUTE), 70 * MINUTE);
	cr_assert_eq(sim_schedule_next(10 * MINUTE, HOUR, 70 * MINUTE), 130 * MINUTE);
	cr_assert_eq(sim_schedule_next(10 * MINUTE, HOUR, 500 * MINUTE), 550 * MINUTE);
	/* a call that ended before it was due */
	cr_assert_eq(sim_schedule_next(10 * MINUTE, HOUR, 9 * MINUTE), 70 * MINUTE);
}

/* row: S-conn-strategy */
Test(sim_schedule, starts_with_the_target_of_the_strategy)
{
	cr_assert_eq(sim_schedule_target(SIM_START_FIRST_LISTED, 2, 3, 7), 0);
	cr_assert_eq(sim_schedule_target(SIM_START_LAST_CONNECTED, 2, 3, 7), 2);
	cr_assert_eq(sim_schedule_target(SIM_START_RANDOM_SELECTION, 2, 3, 7), 1);
}
