/* SPDX-License-Identifier: Apache-2.0 */
/* links: collector guard kernel core */
#include "user/collector/inventory.h"

#include <criterion/criterion.h>
#include <sqlite3.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char directory[64], path[96];
static char error[CH_INVENTORY_ERROR];
static struct ch_inventory *inv;

static void setup(void)
{
	snprintf(directory, sizeof(directory), "/tmp/callhome-inventory-XXXXXX");
	cr_assert_not_null(mkdtemp(directory));
	snprintf(path, sizeof(path), "%s/i.db", directory);
	cr_assert_eq(ch_inventory_open(path, &inv, error), 0, "%s", error);
}

static void teardown(void)
{
	static const char *const suffixes[] = {"", "-wal", "-shm"};
	char name[128];

	ch_inventory_close(inv);
	for (int i = 0; i < 3; i++) {
		snprintf(name, sizeof(name), "%s%s", path, suffixes[i]);
		unlink(name);
	}
	rmdir(directory);
}

TestSuite(inventory, .init = setup, .fini = teardown, .timeout = 60);

static int put(const char *manufacturer, const char *identifier, const char *name,
	       const char *credential)
{
	const struct ch_inventory_row row = {manufacturer, identifier, name, credential, "p"};

	return ch_inventory_put(inv, &row, 1);
}

static void rows_are(struct ch_inventory *of, const char *want)
{
	struct ch_buf csv = {0};

	cr_assert_eq(ch_inventory_rows(of, &csv), 0, "%s", ch_inventory_error(of));
	cr_assert_eq(ch_buf_append(&csv, "", 1), 0);
	cr_expect_str_eq((char *)csv.data, want);
	ch_buf_deinit(&csv);
}

/* What another connection sees, as the loader would. */
static void others_see(const char *want)
{
	struct ch_inventory *other;

	cr_assert_eq(ch_inventory_open_read(path, &other, error), 0, "%s", error);
	rows_are(other, want);
	ch_inventory_close(other);
}

Test(inventory, holds_what_was_put_in_the_order_it_came)
{
	cr_assert_eq(ch_inventory_begin(inv), 0);
	cr_assert_eq(put("acme", "1", "r1", "c"), 0);
	cr_assert_eq(put("acme", "2, \"x\"", "r2", ""), 0);
	cr_assert_eq(put("borg", "1", "r1", "c"), 0);
	others_see("");
	cr_assert_eq(ch_inventory_commit(inv), 0);
	others_see("acme,1,r1,c,p\nborg,1,r1,c,p\nacme,\"2, \"\"x\"\"\",r2,,p\n");
}

Test(inventory, a_change_that_is_rolled_back_was_never_there)
{
	cr_assert_eq(put("acme", "1", "r1", "c"), 0);
	cr_assert_eq(ch_inventory_begin(inv), 0);
	cr_assert_eq(put("acme", "1", "r1", "d"), 0);
	cr_assert_eq(put("acme", "2", "r2", "d"), 0);
	ch_inventory_rollback(inv);
	rows_are(inv, "acme,1,r1,c,p\n");
}

Test(inventory, an_identity_has_one_owner)
{
	cr_assert_eq(put("acme", "1", "r1", "c"), 0);
	cr_assert_eq(put("acme", "1", "r1", "d"), 0, "again, with another credential");
	cr_assert_eq(put("acme", "1", "r2", "c"), CH_E_CONFIG);
	cr_expect(strstr(ch_inventory_error(inv),
			 "i.db: acme,1 belongs to device \"r1\" already; remove that first"));
	rows_are(inv, "acme,1,r1,d,p\n");
}

Test(inventory, a_removed_device_takes_its_identities_along)
{
	bool removed;

	cr_assert_eq(put("acme", "1", "r1", "c"), 0);
	cr_assert_eq(put("borg", "1", "r1", "c"), 0);
	cr_assert_eq(ch_inventory_remove(inv, "r1", &removed), 0);
	cr_expect(removed);
	cr_assert_eq(ch_inventory_remove(inv, "r1", &removed), 0);
	cr_expect_not(removed);
	cr_assert_eq(put("borg", "1", "r2", "c"), 0);
	rows_are(inv, "borg,1,r2,c,p\n");
}

Test(inventory, an_identifier_cannot_break_out_of_its_line)
{
	cr_assert_eq(put("acme", "1\nacme,2,evil,c,p", "r1", "c"), CH_E_CONFIG);
	cr_expect(strstr(ch_inventory_error(inv), "control characters"));
	rows_are(inv, "");
}

static void collect(void *ctx, const struct ch_inventory_rejected *rejected)
{
	char *seen = ctx;

	seen[strlen(seen)] = rejected->identifier[0];
	cr_expect_eq(rejected->spki_sha256[31], rejected->identifier[0]);
}

Test(inventory, remembers_the_newest_rejected_keys)
{
	char seen[64] = "";

	for (char c = 'a'; c <= 'e'; c++) {
		struct ch_inventory_rejected r = {.identifier = {c}, .manufacturer = "acme"};

		memset(r.spki_sha256, c, 32);
		cr_assert_eq(ch_inventory_reject(inv, &r, 3), 0, "%s", ch_inventory_error(inv));
		if (c == 'd')
			cr_assert_eq(ch_inventory_forgive(inv, r.spki_sha256), 0);
	}
	cr_assert_eq(ch_inventory_rejected(inv, collect, seen), 0);
	cr_expect_str_eq(seen, "bce");
}

static void collect_pending(void *ctx, const struct ch_quarantine_view *view)
{
	char *seen = ctx;

	seen[strlen(seen)] = view->identifier[0];
	cr_expect_eq(view->spki_sha256[31], view->identifier[0]);
	cr_expect_eq(view->cert_sha256[31], 9);
	cr_expect_str_eq(view->manufacturer, "acme");
	cr_expect_str_eq(view->peer, "192.0.2.1:4000");
	cr_expect_eq(view->first_unix_ns, 100);
	cr_expect_eq(view->last_unix_ns, 200);
	cr_expect_eq(view->count, view->identifier[0] == 'c' ? 2 : 1);
}

Test(inventory, remembers_the_pending_keys_seen_last)
{
	char seen[64] = "";

	for (const char *c = "abcdefc"; *c != '\0'; c++) {
		struct ch_quarantine_view v = {.identifier = {*c},
					       .manufacturer = "acme",
					       .peer = "192.0.2.1:4000",
					       .first_unix_ns = 100,
					       .last_unix_ns = 200,
					       .count = c[1] == '\0' ? 2 : 1};

		memset(v.spki_sha256, *c, 32);
		memset(v.cert_sha256, 9, 32);
		cr_assert_eq(ch_inventory_pend(inv, &v), 0, "%s", ch_inventory_error(inv));
		if (*c == 'e')
			cr_assert_eq(ch_inventory_unpend(inv, v.spki_sha256), 0);
	}
	cr_assert_eq(ch_inventory_pend_most(inv, 3), 0);
	cr_assert_eq(ch_inventory_pending(inv, collect_pending, seen), 0);
	cr_expect_str_eq(seen, "dfc");
}

Test(inventory, what_was_committed_survives_kill_and_what_was_not_is_gone)
{
	pid_t child;
	int status;

	ch_inventory_close(inv);
	inv = NULL;
	child = fork();
	if (child == 0) {
		if (ch_inventory_open(path, &inv, error) == 0 && ch_inventory_begin(inv) == 0 &&
		    put("acme", "1", "r1", "c") == 0 && ch_inventory_commit(inv) == 0 &&
		    ch_inventory_begin(inv) == 0 && put("acme", "2", "r2", "c") == 0)
			kill(getpid(), SIGKILL);
		_exit(1);
	}
	cr_assert_eq(waitpid(child, &status, 0), child);
	cr_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	others_see("acme,1,r1,c,p\n");
	cr_assert_eq(ch_inventory_open(path, &inv, error), 0, "%s", error);
	rows_are(inv, "acme,1,r1,c,p\n");
}

/* --- files that are not as they should be --- */

static void refused(const char *why)
{
	cr_expect_eq(ch_inventory_open(path, &inv, error), CH_E_CONFIG);
	cr_expect(strstr(error, why) != NULL, "%s", error);
	cr_expect(strstr(error, "i.db: ") != NULL, "%s", error);
	inv = NULL;
}

static void sql(const char *text)
{
	sqlite3 *db;

	cr_assert_eq(sqlite3_open(path, &db), SQLITE_OK);
	cr_assert_eq(sqlite3_exec(db, text, NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
}

static void close_it(void)
{
	ch_inventory_close(inv);
	inv = NULL;
}

Test(inventory, only_the_daemon_may_read_the_file)
{
	struct stat st;

	cr_assert_eq(stat(path, &st), 0);
	cr_expect_eq(st.st_mode & 0777, 0600);
}

Test(inventory, a_schema_of_the_future_is_refused)
{
	close_it();
	sql("PRAGMA user_version=3");
	refused("the inventory has schema version 3, this program knows 2");
}

Test(inventory, the_schema_of_the_past_is_brought_up_to_date_and_keeps_its_devices)
{
	struct ch_quarantine_view view = {.identifier = "x"};

	cr_assert_eq(put("acme", "1", "r1", "c"), 0);
	close_it();
	sql("DROP TABLE pending; PRAGMA user_version=1");
	others_see("acme,1,r1,c,p\n");
	cr_assert_eq(ch_inventory_open(path, &inv, error), 0, "%s", error);
	rows_are(inv, "acme,1,r1,c,p\n");
	cr_assert_eq(ch_inventory_pend(inv, &view), 0, "%s", ch_inventory_error(inv));
	close_it();
	cr_assert_eq(ch_inventory_open(path, &inv, error), 0, "%s", error);
}

Test(inventory, a_database_of_others_is_refused_and_left_alone)
{
	close_it();
	unlink(path);
	sql("CREATE TABLE photos (a)");
	refused("is not a callhome inventory; name another file");
}

Test(inventory, a_file_that_is_no_database_is_refused)
{
	FILE *file;

	close_it();
	file = fopen(path, "w");
	for (int i = 0; i < 4096; i++)
		fputs("manufacturer,identifier", file);
	fclose(file);
	refused("restore it from a backup");
}

Test(inventory, a_damaged_page_is_found_when_the_file_is_opened)
{
	FILE *file;

	cr_assert_eq(ch_inventory_begin(inv), 0);
	for (int i = 0; i < 2000; i++) {
		char text[32];

		snprintf(text, sizeof(text), "n%d", i);
		cr_assert_eq(put("acme", text, text, "c"), 0);
	}
	cr_assert_eq(ch_inventory_commit(inv), 0);
	close_it();
	file = fopen(path, "r+");
	cr_assert_eq(fseek(file, 40000, SEEK_SET), 0);
	for (int i = 0; i < 20000; i++)
		fputc(0x5a, file);
	fclose(file);
	refused("restore it from a backup");
}

Test(inventory, a_directory_that_is_missing_names_the_option)
{
	close_it();
	cr_expect_eq(ch_inventory_open("/nonexistent/i.db", &inv, error), CH_E_CONFIG);
	cr_expect_str_eq(error, "/nonexistent/i.db: cannot be opened or made: No such file or "
				"directory; mend devices.database");
	inv = NULL;
}

Test(inventory, a_file_that_is_missing_reads_as_empty_and_is_not_made)
{
	struct ch_inventory *none;

	cr_assert_eq(ch_inventory_open_read("/tmp/callhome-no-such.db", &none, error), 0);
	rows_are(none, "");
	ch_inventory_close(none);
	cr_expect_neq(access("/tmp/callhome-no-such.db", F_OK), 0);
}

Test(inventory, a_field_changed_by_hand_cannot_break_out_of_its_line)
{
	struct ch_buf csv = {0};

	cr_assert_eq(put("acme", "1", "r1", "c"), 0);
	close_it();
	sql("UPDATE identity SET identifier = '1' || char(10) || 'acme,2,evil,c,p'");
	cr_assert_eq(ch_inventory_open(path, &inv, error), 0, "%s", error);
	cr_expect_eq(ch_inventory_rows(inv, &csv), CH_E_CONFIG);
	cr_expect(strstr(ch_inventory_error(inv), "was it changed by hand?") != NULL);
	ch_buf_deinit(&csv);
}
