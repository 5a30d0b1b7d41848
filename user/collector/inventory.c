/* SPDX-License-Identifier: Apache-2.0 */
#include "inventory.h"
#include "devices.h"
#include "text.h"

#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define APPLICATION_ID 0x63686d31 /* "chm1" */
#define SCHEMA_VERSION 2
#define BUSY_MS 5000

enum statement {
	BEGIN,
	COMMIT,
	ROLLBACK,
	ROWS,
	OWNER,
	PUT_DEVICE,
	PUT_IDENTITY,
	REMOVE,
	REJECT,
	REJECT_TRIM,
	FORGIVE,
	REJECTED,
	PEND,
	PEND_MOST,
	UNPEND,
	PENDING,
	STATEMENTS
};

static const char *const statements[STATEMENTS] = {
	[BEGIN] = "BEGIN IMMEDIATE",
	[COMMIT] = "COMMIT",
	[ROLLBACK] = "ROLLBACK",
	[ROWS] = "SELECT i.manufacturer, i.identifier, d.name, d.credential, d.profile"
		 " FROM device d JOIN identity i ON i.device = d.id ORDER BY d.id, i.id",
	[OWNER] = "SELECT d.name FROM identity i JOIN device d ON d.id = i.device"
		  " WHERE i.manufacturer = ?1 AND i.identifier = ?2",
	[PUT_DEVICE] = "INSERT INTO device (name, credential, profile, enrolled_ns)"
		       " VALUES (?1, ?2, ?3, ?4) ON CONFLICT (name)"
		       " DO UPDATE SET credential = ?2, profile = ?3",
	[PUT_IDENTITY] = "INSERT INTO identity (device, manufacturer, identifier)"
			 " SELECT id, ?2, ?3 FROM device WHERE name = ?1",
	[REMOVE] = "DELETE FROM device WHERE name = ?1",
	[REJECT] = "INSERT OR REPLACE INTO rejected"
		   " (spki_sha256, cert_sha256, manufacturer, identifier, rejected_ns)"
		   " VALUES (?1, ?2, ?3, ?4, ?5)",
	[REJECT_TRIM] = "DELETE FROM rejected WHERE id <="
			" (SELECT id FROM rejected ORDER BY id DESC LIMIT 1 OFFSET ?1)",
	[FORGIVE] = "DELETE FROM rejected WHERE spki_sha256 = ?1",
	[REJECTED] = "SELECT spki_sha256, cert_sha256, manufacturer, identifier, rejected_ns"
		     " FROM rejected ORDER BY id",
	/* Replacing gives it the next id: they are in the order in which they were seen last. */
	[PEND] = "INSERT OR REPLACE INTO pending (spki_sha256, cert_sha256, manufacturer,"
		 " identifier, peer, first_ns, last_ns, calls)"
		 " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
	[PEND_MOST] = "DELETE FROM pending WHERE id <="
		      " (SELECT id FROM pending ORDER BY id DESC LIMIT 1 OFFSET ?1)",
	[UNPEND] = "DELETE FROM pending WHERE spki_sha256 = ?1",
	[PENDING] = "SELECT spki_sha256, cert_sha256, manufacturer, identifier, peer, first_ns,"
		    " last_ns, calls FROM pending ORDER BY id",
};

static const char schema[] = "CREATE TABLE device ("
			     " id INTEGER PRIMARY KEY,"
			     " name TEXT NOT NULL UNIQUE,"
			     " credential TEXT NOT NULL,"
			     " profile TEXT NOT NULL,"
			     " enrolled_ns INTEGER NOT NULL) STRICT;"
			     "CREATE TABLE identity ("
			     " id INTEGER PRIMARY KEY,"
			     " device INTEGER NOT NULL REFERENCES device (id) ON DELETE CASCADE,"
			     " manufacturer TEXT NOT NULL,"
			     " identifier TEXT NOT NULL,"
			     " UNIQUE (manufacturer, identifier)) STRICT;"
			     "CREATE INDEX identity_device ON identity (device);"
			     "CREATE TABLE rejected ("
			     " id INTEGER PRIMARY KEY AUTOINCREMENT,"
			     " spki_sha256 BLOB NOT NULL UNIQUE,"
			     " cert_sha256 BLOB NOT NULL,"
			     " manufacturer TEXT NOT NULL,"
			     " identifier TEXT NOT NULL,"
			     " rejected_ns INTEGER NOT NULL) STRICT;";

/* What schema 2 has more. */
static const char schema_2[] = "CREATE TABLE pending ("
			       " id INTEGER PRIMARY KEY AUTOINCREMENT,"
			       " spki_sha256 BLOB NOT NULL,"
			       " cert_sha256 BLOB NOT NULL,"
			       " manufacturer TEXT NOT NULL,"
			       " identifier TEXT NOT NULL,"
			       " peer TEXT NOT NULL,"
			       " first_ns INTEGER NOT NULL,"
			       " last_ns INTEGER NOT NULL,"
			       " calls INTEGER NOT NULL,"
			       " UNIQUE (spki_sha256, manufacturer, identifier)) STRICT;";

struct ch_inventory {
	char *path;
	sqlite3 *db; /* NULL = a file that is missing, opened to be read */
	sqlite3_stmt *prepared[STATEMENTS];
	char error[CH_INVENTORY_ERROR];
};

static int CH_PRINTF(2, 3) fail(struct ch_inventory *inv, const char *fmt, ...)
{
	size_t used = (size_t)snprintf(inv->error, sizeof(inv->error), "%.255s: ", inv->path);
	va_list args;

	va_start(args, fmt);
	vsnprintf(inv->error + used, sizeof(inv->error) - used, fmt, args);
	va_end(args);
	return CH_E_CONFIG;
}

/* What SQLite says, and what to do about it. */
static int fail_sqlite(struct ch_inventory *inv)
{
	int code = sqlite3_errcode(inv->db) & 0xff;
	const char *advice = "";

	if (code == SQLITE_NOMEM)
		return -ENOMEM;
	if (code == SQLITE_CORRUPT || code == SQLITE_NOTADB)
		advice = "; restore it from a backup, or move it away and import an export again";
	else if (code == SQLITE_READONLY || code == SQLITE_CANTOPEN || code == SQLITE_PERM)
		advice = "; the daemon's user must be able to write the file and its directory";
	else if (code == SQLITE_BUSY || code == SQLITE_LOCKED)
		advice = "; another program has it open for writing";
	else if (code == SQLITE_FULL)
		advice = "; make room on the disk";
	return fail(inv, "%s%s", sqlite3_errmsg(inv->db), advice);
}

const char *ch_inventory_error(const struct ch_inventory *inv)
{
	return inv->error;
}

/* --- statements --- */

static int prepare(struct ch_inventory *inv, enum statement which, sqlite3_stmt **stmt)
{
	if (inv->prepared[which] == NULL &&
	    sqlite3_prepare_v3(inv->db, statements[which], -1, SQLITE_PREPARE_PERSISTENT,
			       &inv->prepared[which], NULL) != SQLITE_OK)
		return fail_sqlite(inv);
	*stmt = inv->prepared[which];
	return 0;
}

/* Ends a statement that was stepped: @code is what the last step said. */
static int finish(struct ch_inventory *inv, sqlite3_stmt *stmt, int code)
{
	int err = code == SQLITE_DONE || code == SQLITE_ROW ? 0 : fail_sqlite(inv);

	sqlite3_reset(stmt);
	sqlite3_clear_bindings(stmt);
	return err;
}

static int run(struct ch_inventory *inv, enum statement which)
{
	sqlite3_stmt *stmt = NULL;
	int err = prepare(inv, which, &stmt);

	return err != 0 ? err : finish(inv, stmt, sqlite3_step(stmt));
}

static void bind_text(sqlite3_stmt *stmt, int at, const char *text)
{
	/* It can fail only for lack of memory; then NOT NULL refuses the row. */
	(void)sqlite3_bind_text(stmt, at, text, -1, SQLITE_STATIC);
}

static void bind_digest(sqlite3_stmt *stmt, int at, const uint8_t digest[32])
{
	(void)sqlite3_bind_blob(stmt, at, digest, 32, SQLITE_STATIC);
}

static const char *column_text(sqlite3_stmt *stmt, int at)
{
	const unsigned char *text = sqlite3_column_text(stmt, at);

	return text != NULL ? (const char *)text : "";
}

/* A number that a PRAGMA answers with. @return it, or -1 with the error set */
static int64_t pragma(struct ch_inventory *inv, const char *sql)
{
	sqlite3_stmt *stmt = NULL;
	int64_t value = -1;

	if (sqlite3_prepare_v2(inv->db, sql, -1, &stmt, NULL) == SQLITE_OK &&
	    sqlite3_step(stmt) == SQLITE_ROW)
		value = sqlite3_column_int64(stmt, 0);
	else
		(void)fail_sqlite(inv);
	sqlite3_finalize(stmt);
	return value;
}

/* --- opening --- */

/* @version: what the file has, 0 = nothing */
static int upgrade_schema(struct ch_inventory *inv, int64_t version)
{
	char sql[sizeof(schema) + sizeof(schema_2) + 128];

	snprintf(sql, sizeof(sql),
		 "BEGIN IMMEDIATE;%s%sPRAGMA application_id=%d;"
		 "PRAGMA user_version=%d;COMMIT;",
		 version == 0 ? schema : "", schema_2, APPLICATION_ID, SCHEMA_VERSION);
	return sqlite3_exec(inv->db, sql, NULL, NULL, NULL) == SQLITE_OK ? 0 : fail_sqlite(inv);
}

/* A damaged page would otherwise be found when it hurts most. */
static int check_pages(struct ch_inventory *inv)
{
	sqlite3_stmt *stmt = NULL;
	int err = 0;

	if (sqlite3_prepare_v2(inv->db, "PRAGMA quick_check(1)", -1, &stmt, NULL) != SQLITE_OK ||
	    sqlite3_step(stmt) != SQLITE_ROW)
		err = fail_sqlite(inv);
	else if (strcmp(column_text(stmt, 0), "ok") != 0)
		err = fail(inv,
			   "the database is damaged (%.200s); restore it from a backup, or "
			   "move it away and import an export again",
			   column_text(stmt, 0));
	sqlite3_finalize(stmt);
	return err;
}

static int check_schema(struct ch_inventory *inv, bool writable)
{
	int64_t version = pragma(inv, "PRAGMA user_version");
	int64_t application = version < 0 ? -1 : pragma(inv, "PRAGMA application_id");
	int64_t tables = application < 0 ? -1 : pragma(inv, "SELECT count(*) FROM sqlite_schema");

	if (version < 0 || application < 0 || tables < 0)
		return CH_E_CONFIG;
	if (application == 0 && version == 0 && tables == 0)
		return writable ? upgrade_schema(inv, 0) : 0;
	if (application != APPLICATION_ID)
		return fail(inv, "this database is not a callhome inventory; name another file");
	if (version < 1 || version > SCHEMA_VERSION)
		return fail(inv,
			    "the inventory has schema version %lld, this program knows %d; "
			    "run the callhome that wrote it",
			    (long long)version, SCHEMA_VERSION);
	if (!writable)
		return 0; /* the tables that are only read have been the same since schema 1 */
	if (version < SCHEMA_VERSION && upgrade_schema(inv, version) != 0)
		return CH_E_CONFIG;
	return check_pages(inv);
}

static int set_up(struct ch_inventory *inv, bool writable)
{
	static const char read_pragmas[] = "PRAGMA trusted_schema=OFF;PRAGMA cell_size_check=ON;";
	static const char write_pragmas[] =
		"PRAGMA journal_mode=WAL;PRAGMA synchronous=FULL;PRAGMA foreign_keys=ON;";

	sqlite3_extended_result_codes(inv->db, 1);
	sqlite3_busy_timeout(inv->db, BUSY_MS);
	if (sqlite3_exec(inv->db, read_pragmas, NULL, NULL, NULL) != SQLITE_OK ||
	    (writable && sqlite3_exec(inv->db, write_pragmas, NULL, NULL, NULL) != SQLITE_OK))
		return fail_sqlite(inv);
	return check_schema(inv, writable);
}

/* SQLite would make the file by the umask; it gives its mode to the files beside it. */
static int make_file(struct ch_inventory *inv)
{
	int fd = open(inv->path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (fd < 0)
		return fail(inv, "cannot be opened or made: %s; mend devices.database",
			    strerror(errno));
	close(fd);
	return 0;
}

static int open_database(const char *path, bool writable, struct ch_inventory **inventory,
			 char error[CH_INVENTORY_ERROR])
{
	struct ch_inventory *inv = calloc(1, sizeof(*inv));
	int err = -ENOMEM;

	snprintf(error, CH_INVENTORY_ERROR, "%s", ch_error_text(err));
	if (inv == NULL)
		return err;
	inv->path = strdup(path);
	if (inv->path == NULL)
		goto out;
	err = 0;
	if (!writable && access(path, F_OK) != 0 && errno == ENOENT)
		goto out;
	if (writable)
		err = make_file(inv);
	if (err != 0)
		goto out;
	if (sqlite3_open_v2(path, &inv->db,
			    SQLITE_OPEN_NOMUTEX |
				    (writable ? SQLITE_OPEN_READWRITE : SQLITE_OPEN_READONLY),
			    NULL) != SQLITE_OK)
		err = inv->db == NULL ? -ENOMEM : fail_sqlite(inv);
	if (err == 0)
		err = set_up(inv, writable);
out:
	if (err == 0) {
		error[0] = '\0';
		*inventory = inv;
		return 0;
	}
	if (err != -ENOMEM)
		snprintf(error, CH_INVENTORY_ERROR, "%s", inv->error);
	ch_inventory_close(inv);
	return err;
}

int ch_inventory_open(const char *path, struct ch_inventory **inventory,
		      char error[CH_INVENTORY_ERROR])
{
	return open_database(path, true, inventory, error);
}

int ch_inventory_open_read(const char *path, struct ch_inventory **inventory,
			   char error[CH_INVENTORY_ERROR])
{
	return open_database(path, false, inventory, error);
}

void ch_inventory_close(struct ch_inventory *inv)
{
	if (inv == NULL)
		return;
	for (int i = 0; i < STATEMENTS; i++)
		sqlite3_finalize(inv->prepared[i]);
	sqlite3_close(inv->db);
	free(inv->path);
	free(inv);
}

/* --- transactions --- */

int ch_inventory_begin(struct ch_inventory *inv)
{
	return run(inv, BEGIN);
}

int ch_inventory_commit(struct ch_inventory *inv)
{
	return run(inv, COMMIT);
}

void ch_inventory_rollback(struct ch_inventory *inv)
{
	if (sqlite3_get_autocommit(inv->db) == 0)
		(void)run(inv, ROLLBACK);
}

/* --- devices --- */

int ch_inventory_rows(struct ch_inventory *inv, struct ch_buf *csv)
{
	sqlite3_stmt *stmt = NULL;
	int code = SQLITE_DONE;
	int err;

	if (inv->db == NULL)
		return 0;
	if (pragma(inv, "PRAGMA user_version") == 0)
		return 0; /* empty: whoever writes has not made the schema yet */
	err = prepare(inv, ROWS, &stmt);
	if (err != 0)
		return err;
	while (err == 0 && (code = sqlite3_step(stmt)) == SQLITE_ROW) {
		const char *fields[5];

		for (int i = 0; i < 5; i++) {
			fields[i] = column_text(stmt, i);
			/* Before it can break out of its line. */
			if (ch_text_check(fields[i], strlen(fields[i])) != CH_TEXT_FINE)
				err = fail(inv,
					   "a field of device \"%.64s\" has characters that "
					   "are not allowed there; was it changed by hand?",
					   column_text(stmt, 2));
		}
		if (err == 0 &&
		    (ch_devices_csv_line(csv, fields) != 0 || ch_buf_append_str(csv, "\n") != 0))
			err = -ENOMEM;
	}
	if (err != 0) {
		sqlite3_reset(stmt);
		return err;
	}
	return finish(inv, stmt, code);
}

/* Does the identity belong to somebody already? @mine: to this device. Sets the error otherwise. */
static int check_owner(struct ch_inventory *inv, const struct ch_inventory_row *row, bool *mine)
{
	sqlite3_stmt *stmt = NULL;
	int err = prepare(inv, OWNER, &stmt);
	int code;

	*mine = false;
	if (err != 0)
		return err;
	bind_text(stmt, 1, row->manufacturer);
	bind_text(stmt, 2, row->identifier);
	code = sqlite3_step(stmt);
	if (code == SQLITE_ROW) {
		*mine = strcmp(column_text(stmt, 0), row->name) == 0;
		if (!*mine)
			err = fail(inv,
				   "%.63s,%.64s belongs to device \"%.64s\" already; remove "
				   "that first",
				   row->manufacturer, row->identifier, column_text(stmt, 0));
	}
	if (err != 0) {
		sqlite3_reset(stmt);
		return err;
	}
	return finish(inv, stmt, code);
}

static int put_device(struct ch_inventory *inv, const struct ch_inventory_row *row,
		      uint64_t unix_ns)
{
	sqlite3_stmt *stmt = NULL;
	int err = prepare(inv, PUT_DEVICE, &stmt);

	if (err != 0)
		return err;
	bind_text(stmt, 1, row->name);
	bind_text(stmt, 2, row->credential);
	bind_text(stmt, 3, row->profile);
	(void)sqlite3_bind_int64(stmt, 4, (int64_t)unix_ns);
	return finish(inv, stmt, sqlite3_step(stmt));
}

int ch_inventory_put(struct ch_inventory *inv, const struct ch_inventory_row *row, uint64_t unix_ns)
{
	sqlite3_stmt *stmt = NULL;
	bool mine;
	int err;

	if (ch_text_check(row->identifier, strlen(row->identifier)) != CH_TEXT_FINE ||
	    ch_text_check(row->name, strlen(row->name)) != CH_TEXT_FINE)
		return fail(inv, "name or identifier has control characters or is not UTF-8; such "
				 "a device can only be pinned");
	err = check_owner(inv, row, &mine);
	if (err == 0)
		err = put_device(inv, row, unix_ns);
	if (err == 0 && !mine)
		err = prepare(inv, PUT_IDENTITY, &stmt);
	if (err != 0 || mine)
		return err;
	bind_text(stmt, 1, row->name);
	bind_text(stmt, 2, row->manufacturer);
	bind_text(stmt, 3, row->identifier);
	return finish(inv, stmt, sqlite3_step(stmt));
}

int ch_inventory_remove(struct ch_inventory *inv, const char *name, bool *removed)
{
	sqlite3_stmt *stmt = NULL;
	int err = prepare(inv, REMOVE, &stmt);

	*removed = false;
	if (err != 0)
		return err;
	bind_text(stmt, 1, name);
	err = finish(inv, stmt, sqlite3_step(stmt));
	*removed = err == 0 && sqlite3_changes(inv->db) > 0;
	return err;
}

/* --- rejected keys --- */

int ch_inventory_reject(struct ch_inventory *inv, const struct ch_inventory_rejected *rejected,
			uint64_t most)
{
	sqlite3_stmt *stmt = NULL;
	int err = prepare(inv, REJECT, &stmt);

	if (err != 0)
		return err;
	bind_digest(stmt, 1, rejected->spki_sha256);
	bind_digest(stmt, 2, rejected->cert_sha256);
	bind_text(stmt, 3, rejected->manufacturer);
	bind_text(stmt, 4, rejected->identifier);
	(void)sqlite3_bind_int64(stmt, 5, (int64_t)rejected->unix_ns);
	err = finish(inv, stmt, sqlite3_step(stmt));
	if (err == 0)
		err = prepare(inv, REJECT_TRIM, &stmt);
	if (err != 0)
		return err;
	(void)sqlite3_bind_int64(stmt, 1, (int64_t)most);
	return finish(inv, stmt, sqlite3_step(stmt));
}

static int forget_key(struct ch_inventory *inv, enum statement which, const uint8_t spki_sha256[32])
{
	sqlite3_stmt *stmt = NULL;
	int err = prepare(inv, which, &stmt);

	if (err != 0)
		return err;
	bind_digest(stmt, 1, spki_sha256);
	return finish(inv, stmt, sqlite3_step(stmt));
}

int ch_inventory_forgive(struct ch_inventory *inv, const uint8_t spki_sha256[32])
{
	return forget_key(inv, FORGIVE, spki_sha256);
}

static bool column_digest(sqlite3_stmt *stmt, int at, uint8_t digest[32])
{
	const void *blob = sqlite3_column_blob(stmt, at);

	if (blob == NULL || sqlite3_column_bytes(stmt, at) != 32)
		return false;
	memcpy(digest, blob, 32);
	return true;
}

int ch_inventory_rejected(struct ch_inventory *inv,
			  void (*fn)(void *ctx, const struct ch_inventory_rejected *rejected),
			  void *ctx)
{
	sqlite3_stmt *stmt = NULL;
	int err = prepare(inv, REJECTED, &stmt);
	int code;

	if (err != 0)
		return err;
	while ((code = sqlite3_step(stmt)) == SQLITE_ROW) {
		struct ch_inventory_rejected r = {.unix_ns =
							  (uint64_t)sqlite3_column_int64(stmt, 4)};

		if (!column_digest(stmt, 0, r.spki_sha256) ||
		    !column_digest(stmt, 1, r.cert_sha256))
			continue; /* changed by hand: it cannot match any key */
		snprintf(r.manufacturer, sizeof(r.manufacturer), "%s", column_text(stmt, 2));
		snprintf(r.identifier, sizeof(r.identifier), "%s", column_text(stmt, 3));
		fn(ctx, &r);
	}
	return finish(inv, stmt, code);
}

/* --- keys that wait --- */

int ch_inventory_pend(struct ch_inventory *inv, const struct ch_quarantine_view *view)
{
	sqlite3_stmt *stmt = NULL;
	int err = prepare(inv, PEND, &stmt);

	if (err != 0)
		return err;
	bind_digest(stmt, 1, view->spki_sha256);
	bind_digest(stmt, 2, view->cert_sha256);
	bind_text(stmt, 3, view->manufacturer);
	bind_text(stmt, 4, view->identifier);
	bind_text(stmt, 5, view->peer);
	(void)sqlite3_bind_int64(stmt, 6, (int64_t)view->first_unix_ns);
	(void)sqlite3_bind_int64(stmt, 7, (int64_t)view->last_unix_ns);
	(void)sqlite3_bind_int64(stmt, 8, (int64_t)view->count);
	return finish(inv, stmt, sqlite3_step(stmt));
}

int ch_inventory_pend_most(struct ch_inventory *inv, uint64_t most)
{
	sqlite3_stmt *stmt = NULL;
	int err = prepare(inv, PEND_MOST, &stmt);

	if (err != 0)
		return err;
	(void)sqlite3_bind_int64(stmt, 1, (int64_t)most);
	return finish(inv, stmt, sqlite3_step(stmt));
}

int ch_inventory_unpend(struct ch_inventory *inv, const uint8_t spki_sha256[32])
{
	return forget_key(inv, UNPEND, spki_sha256);
}

int ch_inventory_pending(struct ch_inventory *inv,
			 void (*fn)(void *ctx, const struct ch_quarantine_view *view), void *ctx)
{
	sqlite3_stmt *stmt = NULL;
	int err = prepare(inv, PENDING, &stmt);
	int code;

	if (err != 0)
		return err;
	while ((code = sqlite3_step(stmt)) == SQLITE_ROW) {
		struct ch_quarantine_view v = {
			.first_unix_ns = (uint64_t)sqlite3_column_int64(stmt, 5),
			.last_unix_ns = (uint64_t)sqlite3_column_int64(stmt, 6),
			.count = (uint64_t)sqlite3_column_int64(stmt, 7),
		};

		if (!column_digest(stmt, 0, v.spki_sha256) ||
		    !column_digest(stmt, 1, v.cert_sha256))
			continue; /* changed by hand: it cannot match any key */
		snprintf(v.manufacturer, sizeof(v.manufacturer), "%s", column_text(stmt, 2));
		snprintf(v.identifier, sizeof(v.identifier), "%s", column_text(stmt, 3));
		snprintf(v.peer, sizeof(v.peer), "%s", column_text(stmt, 4));
		fn(ctx, &v);
	}
	return finish(inv, stmt, code);
}
