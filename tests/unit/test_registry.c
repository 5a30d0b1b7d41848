/* SPDX-License-Identifier: Apache-2.0 */
/* links: collector guard kernel core */
#include "user/collector/registry.h"

#include <criterion/criterion.h>
#include <pthread.h>

static struct ch_registry *registry;

static void setup(void)
{
	cr_assert_eq(ch_registry_new(4, &registry), 0);
}

static void teardown(void)
{
	ch_registry_free(registry);
}

TestSuite(registry, .init = setup, .fini = teardown);

static struct ch_device_record record_of(enum ch_device_state state, uint32_t session)
{
	return (struct ch_device_record){.state = (uint8_t)state, .session_id = session};
}

static struct ch_device_record read_of(uint32_t device)
{
	struct ch_device_record record;

	ch_registry_read(registry, device, &record);
	return record;
}

Test(registry, device_starts_as_never_without_owner)
{
	cr_assert_eq(read_of(0).state, CH_DEVICE_NEVER);
	cr_assert_eq(ch_registry_owner(registry, 0), CH_OWNER_NONE);
}

Test(registry, newest_session_wins_and_tells_whom_it_replaced)
{
	struct ch_device_record a = record_of(CH_DEVICE_CONNECTED, 1);
	struct ch_device_record b = record_of(CH_DEVICE_CONNECTED, 2);

	cr_assert_eq(ch_registry_claim(registry, 1, 100, &a), CH_OWNER_NONE);
	cr_assert_eq(ch_registry_claim(registry, 1, 200, &b), 100);
	cr_assert_eq(ch_registry_owner(registry, 1), 200);
	cr_assert_eq(read_of(1).session_id, 2);
}

Test(registry, superseded_session_cannot_write_when_it_ends)
{
	struct ch_device_record up = record_of(CH_DEVICE_CONNECTED, 2);
	struct ch_device_record down = record_of(CH_DEVICE_DISCONNECTED, 1);

	ch_registry_claim(registry, 1, 100, &up);
	ch_registry_claim(registry, 1, 200, &up);
	cr_assert(!ch_registry_ended(registry, 1, 100, &down));
	cr_assert_eq(read_of(1).state, CH_DEVICE_CONNECTED);
	cr_assert(ch_registry_ended(registry, 1, 200, &down));
	cr_assert_eq(read_of(1).state, CH_DEVICE_DISCONNECTED);
	cr_assert_eq(ch_registry_owner(registry, 1), CH_OWNER_NONE);
}

Test(registry, connecting_and_refused_do_not_touch_a_live_session)
{
	struct ch_device_record up = record_of(CH_DEVICE_CONNECTED, 7);
	struct ch_device_record other = record_of(CH_DEVICE_CONNECTING, 0);

	ch_registry_connecting(registry, 2, &other);
	cr_assert_eq(read_of(2).state, CH_DEVICE_CONNECTING);
	ch_registry_claim(registry, 2, 100, &up);
	ch_registry_connecting(registry, 2, &other);
	other.state = CH_DEVICE_REFUSED;
	cr_assert(!ch_registry_ended(registry, 2, 999, &other));
	cr_assert_eq(read_of(2).session_id, 7);
}

Test(registry, refused_login_is_remembered_where_no_session_lives)
{
	struct ch_device_record refused = record_of(CH_DEVICE_REFUSED, 0);

	refused.reason = CH_REASON_NO_SESSION_ID;
	cr_assert(ch_registry_ended(registry, 3, 999, &refused));
	cr_assert_eq(read_of(3).state, CH_DEVICE_REFUSED);
	cr_assert_eq(read_of(3).reason, CH_REASON_NO_SESSION_ID);
}

Test(registry, counters_add_up_per_device)
{
	ch_registry_count(registry, 0, CH_DEVICE_NOTIFICATIONS, 3);
	ch_registry_count(registry, 0, CH_DEVICE_NOTIFICATIONS, 4);
	cr_assert_eq(ch_registry_counter(registry, 0, CH_DEVICE_NOTIFICATIONS), 7);
	cr_assert_eq(ch_registry_counter(registry, 1, CH_DEVICE_NOTIFICATIONS), 0);
}

Test(registry, conflict_is_told_once_a_minute)
{
	const uint64_t s = 1000000000;

	cr_assert(ch_registry_conflict(registry, 0, 10 * s));
	cr_assert(!ch_registry_conflict(registry, 0, 69 * s));
	cr_assert(ch_registry_conflict(registry, 0, 70 * s));
	cr_assert(ch_registry_conflict(registry, 1, 70 * s));
}

/* Two writers and a reader on one cell: a reader never sees halves of two records. */
static void *claim_often(void *arg)
{
	uint32_t id = (uint32_t)(uintptr_t)arg;

	for (uint32_t i = 0; i < 20000; i++) {
		struct ch_device_record r = {
			.session_id = id, .capabilities = id, .since_unix_ns = id, .login_us = id};

		ch_registry_claim(registry, 0, id, &r);
	}
	return NULL;
}

Test(registry, copies_are_consistent_under_two_writers)
{
	struct ch_device_record first = {
		.session_id = 1, .capabilities = 1, .since_unix_ns = 1, .login_us = 1};
	pthread_t threads[2];

	ch_registry_claim(registry, 0, 1, &first);
	for (uintptr_t i = 0; i < 2; i++)
		pthread_create(&threads[i], NULL, claim_often, (void *)(i + 1));
	for (int i = 0; i < 20000; i++) {
		struct ch_device_record r = read_of(0);

		cr_assert_eq(r.session_id, r.capabilities);
		cr_assert_eq(r.session_id, r.since_unix_ns);
		cr_assert_eq(r.session_id, r.login_us);
	}
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
}

Test(registry, growth_moves_no_cell_and_keeps_what_is_known)
{
	struct ch_device_record up = record_of(CH_DEVICE_CONNECTED, 7);

	ch_registry_claim(registry, 3, 100, &up);
	cr_assert_eq(ch_registry_grow(registry, 300000), 0);
	cr_assert_eq(ch_registry_owner(registry, 3), 100);
	cr_assert_eq(read_of(3).session_id, 7);
	cr_assert_eq(ch_registry_grow(registry, 2), 0);
	cr_assert_eq(read_of(299999).state, CH_DEVICE_NEVER);
}

Test(registry, each_index_has_a_cell_of_its_own_over_segment_ends)
{
	cr_assert_eq(ch_registry_grow(registry, 8000), 0);
	for (uint32_t i = 0; i < 8000; i++)
		ch_registry_count(registry, i, CH_DEVICE_SENT, i + 1);
	for (uint32_t i = 0; i < 8000; i++)
		cr_assert_eq(ch_registry_counter(registry, i, CH_DEVICE_SENT), i + 1);
}

Test(registry, more_devices_than_the_directory_covers_are_refused)
{
	cr_assert_eq(ch_registry_grow(registry, CH_REGISTRY_MAX), CH_E_LIMIT);
}

Test(registry, holders_are_counted_and_a_reset_cell_is_as_new)
{
	struct ch_device_record up = record_of(CH_DEVICE_CONNECTED, 7);

	ch_registry_hold(registry, 1);
	ch_registry_hold(registry, 1);
	ch_registry_leave(registry, 1);
	cr_assert(ch_registry_held(registry, 1));
	ch_registry_leave(registry, 1);
	cr_assert(!ch_registry_held(registry, 1));
	ch_registry_claim(registry, 1, 100, &up);
	ch_registry_count(registry, 1, CH_DEVICE_SESSIONS, 5);
	ch_registry_reset(registry, 1);
	cr_assert_eq(ch_registry_owner(registry, 1), CH_OWNER_NONE);
	cr_assert_eq(read_of(1).state, CH_DEVICE_NEVER);
	cr_assert_eq(ch_registry_counter(registry, 1, CH_DEVICE_SESSIONS), 0);
}
