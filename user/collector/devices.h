/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The device inventory: an immutable table, read by all threads without a lock, replaced whole.
 * A device has one or several identities (keys by which it may log in): a move from the certificate
 * of the factory (IDevID) to one of the operator (LDevID) keeps the device. Identities come from
 * two places: the CSV file, which is the operator's and never written, and the database, which
 * holds what was enrolled and imported.
 *
 * CSV: manufacturer,identifier,name,credential,profile, one identity per line; or pin:sha256,<hex
 * of the SPKI> or pin-cert:sha256,<hex of the certificate> in place of the first two.
 */
#include "config.h"

#include <callhome/callhome.h>

#define CH_DEVICE_NONE UINT32_MAX
#define CH_DEVICE_NAME_MAX 255
#define CH_DEVICE_IDENTITIES_MAX CH_IDENTITIES_MAX
/** In place of an index: the identity is the SHA-256 of a certificate. */
#define CH_MANUFACTURER_PIN_CERT (CH_MANUFACTURER_NONE - 1)

struct ch_device {
	const char *name;
	uint32_t identity;   /**< the first of its identities; see ch_device_gone */
	uint32_t credential; /**< index in the configuration; CH_DEVICE_NONE = none bound */
	uint32_t profile;    /**< index in the configuration */
};

struct ch_device_identity {
	const char *text;      /**< for a pin: the hex text */
	uint32_t manufacturer; /**< index in the configuration; CH_MANUFACTURER_NONE = pin of the
				    public key; CH_MANUFACTURER_PIN_CERT */
	uint32_t device;
	uint32_t next;	       /**< of the same device; CH_DEVICE_NONE = the last */
	uint32_t line : 31;    /**< in its source */
	uint32_t database : 1; /**< it is from the database */
};

struct ch_devices;

/** Was the device removed? Its name is kept for the sessions that are still being closed. */
static inline bool ch_device_gone(const struct ch_device *device)
{
	return device->identity == CH_DEVICE_NONE;
}

/** What a table is made of. */
struct ch_devices_input {
	const struct ch_config *config;
	/** The table before: a device keeps its index by its name, one that is gone leaves a hole.
	 */
	const struct ch_devices *previous;
	/** May the index of a device that was removed earlier be given to a new one? NULL: never.
	 */
	bool (*reusable)(void *ctx, uint32_t index);
	void *reusable_ctx;
	/**
	 * The text of the CSV file, taken: fields stay in it. NULL: the file's identities of
	 * @previous, which must have been made with the same @config.
	 */
	struct ch_buf *file;
	bool keep_file; /**< ch_devices_load: as if @file were NULL, instead of reading it */
	/** Rows of the database as such text, taken; NULL = no database. */
	struct ch_buf *database;
	/** What mistakes call the database, and where ch_devices_load reads it; NULL = none. */
	const char *database_file;
};

/**
 * Makes a table. An empty credential field binds none; an empty profile means the first one. The
 * lines of one name must agree on both. An identity may be in file and database at once if the
 * names are the same.
 * @return 0; CH_E_CONFIG with "file:line: what, and the fix" appended to @error (at most 20 of
 * them, then "and N more"); -ENOMEM
 */
CH_NODISCARD int ch_devices_build(const struct ch_devices_input *input, struct ch_devices **devices,
				  struct ch_buf *error);

/**
 * As ch_devices_build with what the file (unless keep_file) and the database hold now;
 * its texts are not looked at.
 */
CH_NODISCARD int ch_devices_load(const struct ch_devices_input *from, struct ch_devices **devices,
				 struct ch_buf *error);
void ch_devices_free(struct ch_devices *devices);

/** One more than the highest index: holes that removed devices left are counted. */
uint32_t ch_devices_count(const struct ch_devices *devices);
/** How many devices there are. */
uint32_t ch_devices_live(const struct ch_devices *devices);
const struct ch_device *ch_devices_at(const struct ch_devices *devices, uint32_t index);
const struct ch_device_identity *ch_devices_identity(const struct ch_devices *devices,
						     uint32_t identity);
/** Bytes of memory that the table takes, text included. */
size_t ch_devices_bytes(const struct ch_devices *devices);

/* Each looks a device up. @return its index or CH_DEVICE_NONE */
uint32_t ch_devices_by_name(const struct ch_devices *devices, const char *name);
uint32_t ch_devices_by_pin(const struct ch_devices *devices, const uint8_t spki_sha256[32]);
uint32_t ch_devices_by_cert(const struct ch_devices *devices, const uint8_t cert_sha256[32]);
uint32_t ch_devices_by_identifier(const struct ch_devices *devices, uint32_t manufacturer,
				  const char *identifier);
/** Is the identifier known under any manufacturer? (one hash look-up) */
bool ch_devices_identifier_known(const struct ch_devices *devices, const char *identifier);
/** Is this an identity of the device? @hash is ch_hash of its text. */
bool ch_devices_has(const struct ch_devices *devices, uint32_t index, uint32_t manufacturer,
		    uint64_t hash);

/** "acme", "pin:sha256" or "pin-cert:sha256", as the CSV has it. */
const char *ch_devices_manufacturer_name(const struct ch_config *config, uint32_t manufacturer);
/**
 * What tells an identity from the others of its device, also after a reload. Never 0.
 * @manufacturer: ch_devices_manufacturer_name
 */
uint32_t ch_devices_identity_tag(const char *manufacturer, const char *text);
/** ch_devices_identity_tag of the pin by which a certificate or its key is listed. */
uint32_t ch_devices_pin_tag(const struct ch_devices *devices, const uint8_t cert_sha256[32],
			    const uint8_t spki_sha256[32]);
/** Appends one line of CSV without its end. @return as ch_buf_reserve */
CH_NODISCARD int ch_devices_csv_line(struct ch_buf *out, const char *const fields[5]);
/**
 * Appends CSV with a header: every identity of @devices, in the order of the devices.
 * @return as ch_buf_reserve
 */
CH_NODISCARD int ch_devices_csv(const struct ch_devices *devices, const struct ch_config *config,
				struct ch_buf *out);
