/* SPDX-License-Identifier: Apache-2.0 */
/* links: collector guard kernel core */
#include "user/collector/quarantine.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

static struct ch_identity identity(int n)
{
	struct ch_identity id = {.manufacturer = 0};

	snprintf(id.identifier, sizeof(id.identifier), "serial-%d", n);
	memset(id.cert_sha256, n, sizeof(id.cert_sha256));
	memset(id.spki_sha256, 100 + n, sizeof(id.spki_sha256));
	return id;
}

static const struct ch_address peer = {.ip = {127, 0, 0, 9}, .port = 4000, .family = 4};

Test(quarantine, keeps_one_record_per_key)
{
	struct ch_quarantine_view view[4];
	struct ch_identity id = identity(1);
	struct ch_quarantine *q;

	cr_assert_eq(ch_quarantine_new(8, &q), 0);
	cr_assert(ch_quarantine_note(q, &id, "acme", &peer, 100));
	cr_assert(!ch_quarantine_note(q, &id, "acme", &peer, 250));
	cr_assert_eq(ch_quarantine_count(q), 1);
	cr_assert_eq(ch_quarantine_copy(q, 0, 4, view), 1);
	cr_assert_eq(view[0].count, 2);
	cr_assert_eq(view[0].first_unix_ns, 100);
	cr_assert_eq(view[0].last_unix_ns, 250);
	cr_assert_str_eq(view[0].identifier, "serial-1");
	cr_assert_str_eq(view[0].manufacturer, "acme");
	cr_assert_str_eq(view[0].peer, "127.0.0.9:4000");
	ch_quarantine_free(q);
}

Test(quarantine, full_table_forgets_the_one_seen_longest_ago)
{
	struct ch_quarantine_view view[4];
	struct ch_quarantine *q;
	struct ch_identity id;

	cr_assert_eq(ch_quarantine_new(3, &q), 0);
	for (int i = 1; i <= 3; i++) {
		id = identity(i);
		ch_quarantine_note(q, &id, "acme", &peer, (uint64_t)i);
	}
	id = identity(1); /* seen again: now 2 is the oldest */
	ch_quarantine_note(q, &id, "acme", &peer, 4);
	id = identity(9);
	cr_assert(ch_quarantine_note(q, &id, "acme", &peer, 5));
	cr_assert_eq(ch_quarantine_copy(q, 0, 4, view), 3);
	cr_assert_str_eq(view[0].identifier, "serial-3");
	cr_assert_str_eq(view[1].identifier, "serial-1");
	cr_assert_str_eq(view[2].identifier, "serial-9");
	cr_assert_eq(view[2].count, 1);
	ch_quarantine_free(q);
}

Test(quarantine, copies_in_pages)
{
	struct ch_quarantine_view view[2];
	struct ch_quarantine *q;

	cr_assert_eq(ch_quarantine_new(8, &q), 0);
	for (int i = 1; i <= 5; i++) {
		struct ch_identity id = identity(i);

		ch_quarantine_note(q, &id, "acme", &peer, (uint64_t)i);
	}
	cr_assert_eq(ch_quarantine_copy(q, 4, 2, view), 1);
	cr_assert_str_eq(view[0].identifier, "serial-5");
	cr_assert_eq(ch_quarantine_copy(q, 5, 2, view), 0);
	ch_quarantine_free(q);
}

Test(quarantine, table_of_zero_keeps_nothing)
{
	struct ch_identity id = identity(1);
	struct ch_quarantine *q;

	cr_assert_eq(ch_quarantine_new(0, &q), 0);
	cr_assert(!ch_quarantine_note(q, &id, "acme", &peer, 1));
	cr_assert_eq(ch_quarantine_count(q), 0);
	ch_quarantine_free(q);
}

Test(quarantine, a_renewed_certificate_of_a_known_key_is_no_new_record)
{
	struct ch_quarantine_view view[2];
	struct ch_identity id = identity(1);
	struct ch_quarantine *q;

	cr_assert_eq(ch_quarantine_new(8, &q), 0);
	cr_assert(ch_quarantine_note(q, &id, "acme", &peer, 1));
	memset(id.cert_sha256, 77, sizeof(id.cert_sha256));
	cr_assert(!ch_quarantine_note(q, &id, "acme", &peer, 2));
	cr_assert_eq(ch_quarantine_copy(q, 0, 2, view), 1);
	cr_assert_eq(view[0].cert_sha256[0], 77, "the last one that was shown");
	ch_quarantine_free(q);
}

Test(quarantine, a_key_with_two_identities_is_two_records_and_found_as_two)
{
	struct ch_quarantine_view view;
	struct ch_identity id = identity(1);
	struct ch_quarantine *q;

	cr_assert_eq(ch_quarantine_new(8, &q), 0);
	ch_quarantine_note(q, &id, "acme", &peer, 1);
	cr_assert_eq(ch_quarantine_find(q, id.spki_sha256, &view), 1);
	cr_assert_eq(ch_quarantine_find(q, id.cert_sha256, &view), 1);
	snprintf(id.identifier, sizeof(id.identifier), "another");
	memset(id.cert_sha256, 2, sizeof(id.cert_sha256));
	cr_assert(ch_quarantine_note(q, &id, "acme", &peer, 2));
	cr_assert_eq(ch_quarantine_find(q, id.spki_sha256, &view), 2);
	cr_assert_eq(ch_quarantine_find(q, id.cert_sha256, &view), 1);
	cr_assert_str_eq(view.identifier, "another");
	ch_quarantine_forget(q, id.spki_sha256);
	cr_assert_eq(ch_quarantine_count(q), 0);
	ch_quarantine_free(q);
}

Test(quarantine, a_rejected_key_is_kept_apart_and_within_its_own_bound)
{
	struct ch_quarantine_view view[8];
	struct ch_quarantine *q;
	struct ch_identity id;

	cr_assert_eq(ch_quarantine_new(2, &q), 0);
	for (int i = 1; i <= 3; i++) {
		id = identity(i);
		ch_quarantine_note(q, &id, "acme", &peer, (uint64_t)i);
		cr_assert_eq(ch_quarantine_find(q, id.spki_sha256, view), 1);
		cr_assert_eq(ch_quarantine_reject(q, view), 0);
		cr_assert(ch_quarantine_is_rejected(q, id.spki_sha256));
	}
	cr_assert_eq(ch_quarantine_count(q), 0);
	id = identity(1);
	cr_assert_not(ch_quarantine_is_rejected(q, id.spki_sha256), "the oldest made room");
	for (int i = 4; i <= 9; i++) {
		id = identity(i);
		ch_quarantine_note(q, &id, "acme", &peer, (uint64_t)i);
	}
	cr_assert_eq(ch_quarantine_copy(q, 0, 8, view), 4);
	cr_assert_not(view[1].rejected);
	cr_assert(view[2].rejected);
	cr_assert_str_eq(view[2].identifier, "serial-2");
	cr_assert_str_eq(view[3].identifier, "serial-3");
	id = identity(3);
	ch_quarantine_forget(q, id.spki_sha256);
	cr_assert_not(ch_quarantine_is_rejected(q, id.spki_sha256));
	ch_quarantine_free(q);
}

static int woken;

static void wake(void *ctx)
{
	cr_assert_null(ctx);
	woken++;
}

Test(quarantine, tells_what_changed_until_it_is_saved)
{
	struct ch_quarantine_view view[4];
	struct ch_quarantine *q;
	struct ch_identity id;

	cr_assert_eq(ch_quarantine_new(8, &q), 0);
	ch_quarantine_on_change(q, wake, NULL);
	for (int i = 1; i <= 3; i++) {
		id = identity(i);
		ch_quarantine_note(q, &id, "acme", &peer, (uint64_t)i);
	}
	cr_assert_eq(woken, 1, "the first change wakes, the others wait with it");
	cr_assert_eq(ch_quarantine_changed(q, 2, view), 2);
	cr_assert_str_eq(view[0].identifier, "serial-1");
	cr_assert_str_eq(view[1].identifier, "serial-2");
	id = identity(1); /* calls again while it is being saved */
	ch_quarantine_note(q, &id, "acme", &peer, 9);
	ch_quarantine_saved(q, view, 2);
	cr_assert_eq(ch_quarantine_changed(q, 4, view), 2);
	cr_assert_str_eq(view[0].identifier, "serial-3");
	cr_assert_str_eq(view[1].identifier, "serial-1");
	cr_assert_eq(view[1].count, 2);
	ch_quarantine_saved(q, view, 2);
	cr_assert_eq(ch_quarantine_changed(q, 4, view), 0);
	cr_assert_eq(woken, 1);
	id = identity(2);
	ch_quarantine_note(q, &id, "acme", &peer, 10);
	cr_assert_eq(woken, 2);
	ch_quarantine_forget(q, id.spki_sha256);
	cr_assert_eq(ch_quarantine_changed(q, 4, view), 0, "who was accepted is not saved");
	ch_quarantine_free(q);
}

Test(quarantine, what_is_restored_is_as_it_was_and_has_not_changed)
{
	struct ch_quarantine_view view = {.identifier = "serial-1", .manufacturer = "acme"};
	struct ch_quarantine_view seen[4];
	struct ch_identity id = identity(1);
	struct ch_quarantine *q;

	cr_assert_eq(ch_quarantine_new(2, &q), 0);
	memcpy(view.spki_sha256, id.spki_sha256, 32);
	view.first_unix_ns = 5;
	view.count = 7;
	cr_assert_eq(ch_quarantine_restore(q, &view), 0);
	cr_assert_eq(ch_quarantine_restore(q, &view), 0);
	cr_assert_eq(ch_quarantine_changed(q, 4, seen), 0);
	cr_assert_not(ch_quarantine_note(q, &id, "acme", &peer, 9), "no news");
	cr_assert_eq(ch_quarantine_copy(q, 0, 4, seen), 1);
	cr_assert_eq(seen[0].first_unix_ns, 5);
	cr_assert_eq(seen[0].count, 8);
	for (uint8_t i = 2; i <= 3; i++) {
		view.spki_sha256[0] = i;
		cr_assert_eq(ch_quarantine_restore(q, &view), 0);
	}
	cr_assert_eq(ch_quarantine_count(q), 2, "never more than there is room for");
	ch_quarantine_free(q);
}
