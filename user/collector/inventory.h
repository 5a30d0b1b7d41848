/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The database of enrolled and imported devices (SQLite, WAL): what it holds and how it changes.
 * One connection is for one thread at a time. A change is a transaction: begin, any number of
 * changes, commit or roll back; nothing is seen by others before the commit, and everything after
 * it survives kill -9 and a power cut.
 */
#include <callhome/callhome.h>
#include "user/core/buf.h"

#include <stdbool.h>
#include <stdint.h>

#define CH_INVENTORY_ERROR 512

struct ch_inventory;

/**
 * Opens the file, which is made (mode 0600) if missing, and checks that it is whole and of a
 * schema that we know.
 * @return 0, CH_E_CONFIG or -ENOMEM, with one sentence in @error that names the file and the fix
 */
CH_NODISCARD int ch_inventory_open(const char *path, struct ch_inventory **inventory,
				   char error[CH_INVENTORY_ERROR]);
/** As ch_inventory_open, but nothing can be changed; a file that is missing is an empty one. */
CH_NODISCARD int ch_inventory_open_read(const char *path, struct ch_inventory **inventory,
					char error[CH_INVENTORY_ERROR]);
/** Rolls an open transaction back. NULL is fine. */
void ch_inventory_close(struct ch_inventory *inventory);

/** What went wrong last, one sentence. */
const char *ch_inventory_error(const struct ch_inventory *inventory);

/* All of the following return 0, or CH_E_CONFIG with ch_inventory_error set, or -ENOMEM. */
CH_NODISCARD int ch_inventory_begin(struct ch_inventory *inventory);
CH_NODISCARD int ch_inventory_commit(struct ch_inventory *inventory);
void ch_inventory_rollback(struct ch_inventory *inventory);

/** Appends every identity as a line of the inventory's CSV, in the order they came. */
CH_NODISCARD int ch_inventory_rows(struct ch_inventory *inventory, struct ch_buf *csv);

struct ch_inventory_row {
	const char *manufacturer, *identifier, *name, *credential, *profile;
};
/**
 * Adds an identity; makes its device or gives it this credential and profile. An identity that is
 * there under this name already stays; one under another name is CH_E_CONFIG.
 */
CH_NODISCARD int ch_inventory_put(struct ch_inventory *inventory,
				  const struct ch_inventory_row *row, uint64_t unix_ns);
/** Removes a device with its identities. @removed: whether it was there */
CH_NODISCARD int ch_inventory_remove(struct ch_inventory *inventory, const char *name,
				     bool *removed);

/** A key that an operator rejected. */
struct ch_inventory_rejected {
	uint8_t spki_sha256[32];
	uint8_t cert_sha256[32];
	char manufacturer[64];
	char identifier[256];
	uint64_t unix_ns;
};
/** Remembers it, and forgets the oldest beyond @most. */
CH_NODISCARD int ch_inventory_reject(struct ch_inventory *inventory,
				     const struct ch_inventory_rejected *rejected, uint64_t most);
CH_NODISCARD int ch_inventory_forgive(struct ch_inventory *inventory,
				      const uint8_t spki_sha256[32]);
/** Remembers a key that waits for an operator, with one identity, as the one seen last. */
CH_NODISCARD int ch_inventory_pend(struct ch_inventory *inventory,
				   const struct ch_quarantine_view *view);
/** Forgets those seen longest ago beyond @most. */
CH_NODISCARD int ch_inventory_pend_most(struct ch_inventory *inventory, uint64_t most);
/** Forgets a key with all its identities. */
CH_NODISCARD int ch_inventory_unpend(struct ch_inventory *inventory, const uint8_t spki_sha256[32]);
/** Calls @fn for each, the one seen longest ago first. */
CH_NODISCARD int ch_inventory_pending(struct ch_inventory *inventory,
				      void (*fn)(void *ctx, const struct ch_quarantine_view *view),
				      void *ctx);

/** Calls @fn for each, the oldest first. */
CH_NODISCARD int ch_inventory_rejected(struct ch_inventory *inventory,
				       void (*fn)(void *ctx,
						  const struct ch_inventory_rejected *rejected),
				       void *ctx);
