/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* One row of the inventory: read from a line of CSV and checked. (devices_parse.c) */
#include "csv.h"
#include "devices.h"
#include "diag.h"

#define CH_PIN_SPKI "pin:sha256"
#define CH_PIN_CERT "pin-cert:sha256"

enum ch_devices_column {
	CH_COLUMN_MANUFACTURER,
	CH_COLUMN_IDENTIFIER,
	CH_COLUMN_NAME,
	CH_COLUMN_CREDENTIAL,
	CH_COLUMN_PROFILE,
	CH_COLUMNS
};
extern const char *const ch_devices_columns[CH_COLUMNS];

/** An identity with its device; texts point into the source. */
struct ch_devices_row {
	const char *text;
	const char *name;
	uint32_t manufacturer, credential, profile;
	uint32_t line;
	bool database;
};

struct ch_devices_reading {
	const struct ch_config *config;
	struct ch_diag diag;
	bool database; /**< the source that is read now */
	struct ch_devices_row *rows;
	uint32_t count, cap;
	uint32_t manufacturer, credential, profile; /**< found last: neighbours are mostly alike */
	int err;
};

/** Adds a mistake, "FILE:LINE: ..." or "DATABASE: device "NAME": ...". */
void ch_devices_complain(struct ch_devices_reading *reading, const struct ch_devices_row *row,
			 const char *fmt, ...) CH_PRINTF(3, 4);

/** Appends the rows of @text (CSV); mistakes go to the diag. */
void ch_devices_read(struct ch_devices_reading *reading, struct ch_buf *text);
/** Appends one row. @return 0, -ENOMEM, or CH_E_LIMIT: there are as many as there may be */
CH_NODISCARD int ch_devices_add_row(struct ch_devices_reading *reading,
				    const struct ch_devices_row *row);

/**
 * As ch_devices_build for the text of a file alone. Takes @text. At least one byte more than its
 * length must be allocated.
 */
CH_NODISCARD int ch_devices_parse(const struct ch_config *config, struct ch_buf *text,
				  struct ch_devices **devices, struct ch_buf *error);
