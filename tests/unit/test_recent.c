/* SPDX-License-Identifier: Apache-2.0 */
/* links: guard core */
#include "user/guard/recent.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#define MOST 300
#define SOURCES 1000

static struct guard_source source_of(uint32_t n)
{
	struct guard_source source = {{0}};

	memcpy(source.bytes, &n, sizeof(n));
	return source;
}

Test(recent, keeps_those_that_were_seen_last)
{
	struct ch_recent recent = {0};
	uint64_t seen[SOURCES] = {0};
	uint64_t now = 0;

	srandom(8071);
	for (int i = 0; i < 20000; i++) {
		uint32_t n = (uint32_t)random() % SOURCES;
		struct guard_source source = source_of(n);
		struct ch_recent_entry *entry = ch_recent_touch(&recent, &source, MOST);

		cr_assert_not_null(entry);
		cr_assert(entry->tat_ns == 0 || entry->tat_ns == seen[n], "its own or a new one");
		seen[n] = entry->tat_ns = ++now;
		cr_assert_leq(recent.count, MOST);
	}
	cr_assert_eq(recent.count, MOST);
	/* Exactly those that nobody younger pushed out are there. */
	for (uint32_t n = 0; n < SOURCES; n++) {
		struct guard_source source = source_of(n);
		uint32_t younger = 0;

		for (uint32_t other = 0; other < SOURCES; other++)
			younger += seen[other] > seen[n];
		cr_assert_eq(ch_recent_find(&recent, &source) != NULL, younger < MOST, "%u", n);
	}
	ch_recent_deinit(&recent);
}

Test(recent, forgets_one_without_connections_first)
{
	struct ch_recent recent = {0};
	struct guard_source busy = source_of(1);
	struct guard_source idle = source_of(2);
	struct guard_source third = source_of(3);

	ch_recent_touch(&recent, &busy, 2)->pending = 1;
	cr_assert_not_null(ch_recent_touch(&recent, &idle, 2));
	cr_assert_not_null(ch_recent_touch(&recent, &third, 2));
	cr_assert_not_null(ch_recent_find(&recent, &busy));
	cr_assert_null(ch_recent_find(&recent, &idle));
	cr_assert_eq(ch_recent_find(&recent, &busy)->pending, 1);
	ch_recent_deinit(&recent);
}

/* Strangers from ever more addresses must not make us forget the fleet. */
Test(recent, forgets_strangers_before_those_that_devices_log_in_from)
{
	struct ch_recent recent = {0};
	struct guard_source open = source_of(1);
	struct guard_source known = source_of(2);

	ch_recent_touch(&recent, &open, 4)->open = 1;
	ch_recent_touch(&recent, &known, 4)->known_until_ns = 1;
	for (uint32_t n = 3; n < 1000; n++) {
		struct guard_source stranger = source_of(n);

		ch_recent_touch(&recent, &stranger, 4)->pending = n % 2;
	}
	cr_assert_not_null(ch_recent_find(&recent, &open));
	cr_assert_not_null(ch_recent_find(&recent, &known));
	ch_recent_deinit(&recent);
}

Test(recent, a_fleet_that_is_silent_outlives_strangers_that_fill_the_table_many_times)
{
	struct ch_recent recent = {0};

	for (uint32_t n = 0; n < MOST / 2; n++) {
		struct guard_source device = source_of(n);

		ch_recent_touch(&recent, &device, MOST)->known_until_ns = 1;
	}
	for (uint32_t n = MOST; n < 100 * MOST; n++) {
		struct guard_source stranger = source_of(n);

		ch_recent_touch(&recent, &stranger, MOST)->pending = n % 7 == 0;
	}
	for (uint32_t n = 0; n < MOST / 2; n++) {
		struct guard_source device = source_of(n);

		cr_assert_not_null(ch_recent_find(&recent, &device), "%u", n);
	}
	ch_recent_deinit(&recent);
}

Test(recent, where_all_are_known_the_oldest_make_room)
{
	struct ch_recent recent = {0};

	for (uint32_t n = 0; n < 3 * MOST; n++) {
		struct guard_source device = source_of(n);

		ch_recent_touch(&recent, &device, MOST)->known_until_ns = 1;
	}
	cr_assert_eq(recent.count, MOST);
	for (uint32_t n = 2 * MOST; n < 3 * MOST; n++) {
		struct guard_source device = source_of(n);

		cr_assert_not_null(ch_recent_find(&recent, &device), "%u", n);
	}
	ch_recent_deinit(&recent);
}

Test(recent, has_nothing_when_it_is_empty)
{
	struct ch_recent recent = {0};
	struct guard_source source = source_of(1);

	cr_assert_null(ch_recent_find(&recent, &source));
	ch_recent_deinit(&recent);
}
