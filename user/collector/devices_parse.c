/* SPDX-License-Identifier: Apache-2.0 */
#include "devices_parse.h"
#include "text.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ROWS_MAX (1u << 24)
#define HEX_DIGITS 64

const char *const ch_devices_columns[CH_COLUMNS] = {"manufacturer", "identifier", "name",
						    "credential", "profile"};

void ch_devices_complain(struct ch_devices_reading *r, const struct ch_devices_row *row,
			 const char *fmt, ...)
{
	struct ch_position at = {row->line, 0};
	char text[900];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	/* A database has no lines that a person could go to. */
	if (row->database)
		ch_diag_add(&r->diag, (struct ch_position){0, 0}, "device \"%.64s\": %s", row->name,
			    text);
	else
		ch_diag_add(&r->diag, at, "%s", text);
}

static bool is_header(const struct ch_csv_record *record)
{
	for (int i = 0; i < CH_COLUMNS; i++) {
		if (record->count != CH_COLUMNS ||
		    strcmp(record->fields[i].text, ch_devices_columns[i]) != 0)
			return false;
	}
	return true;
}

/* A list of the configuration whose items have their name as first member. */
struct names {
	const void *items;
	size_t count;
	size_t size; /* bytes of an item */
};

static const char *name_at(const struct names *names, size_t i)
{
	return *(char *const *)((const char *)names->items + i * names->size);
}

/* Looks a name up, starting with @found. */
static bool find_name(const struct names *names, const char *name, uint32_t *found)
{
	for (size_t n = 0; n < names->count; n++) {
		size_t i = (*found + n) % names->count;

		if (strcmp(name_at(names, i), name) == 0) {
			*found = (uint32_t)i;
			return true;
		}
	}
	return false;
}

static void report_reference(struct ch_devices_reading *r, const struct ch_devices_row *row,
			     enum ch_devices_column column, const char *word,
			     const struct names *names)
{
	struct ch_nearest nearest = {0};

	/* Thousands of lines may be wrong in the same way: search only for those that are shown. */
	for (size_t i = 0; i < names->count && r->diag.count < CH_DIAG_MAX; i++)
		ch_nearest_try(&nearest, word, name_at(names, i));
	if (column == CH_COLUMN_MANUFACTURER) {
		ch_nearest_try(&nearest, word, CH_PIN_SPKI);
		ch_nearest_try(&nearest, word, CH_PIN_CERT);
	}
	if (nearest.word != NULL)
		ch_devices_complain(r, row, "unknown %s \"%.64s\"; did you mean \"%s\"?",
				    ch_devices_columns[column], word, nearest.word);
	else
		ch_devices_complain(r, row,
				    "unknown %s \"%.64s\"; add it to %s, or correct the name",
				    ch_devices_columns[column], word, r->config->file);
}

static bool read_manufacturer(struct ch_devices_reading *r, const char *word,
			      struct ch_devices_row *row)
{
	const struct ch_config *config = r->config;
	const struct names names = {config->manufacturers, config->manufacturer_count,
				    sizeof(*config->manufacturers)};

	if (strcmp(word, CH_PIN_SPKI) == 0) {
		row->manufacturer = CH_MANUFACTURER_NONE;
		return true;
	}
	if (strcmp(word, CH_PIN_CERT) == 0) {
		row->manufacturer = CH_MANUFACTURER_PIN_CERT;
		return true;
	}
	if (strncmp(word, "pin:", 4) == 0 || strncmp(word, "pin-cert:", 9) == 0) {
		ch_devices_complain(r, row,
				    "unknown kind of pin \"%.64s\"; write " CH_PIN_SPKI
				    " (public key) or " CH_PIN_CERT " (certificate)",
				    word);
		return false;
	}
	if (!find_name(&names, word, &r->manufacturer)) {
		report_reference(r, row, CH_COLUMN_MANUFACTURER, word, &names);
		return false;
	}
	row->manufacturer = r->manufacturer;
	return true;
}

static bool read_credential(struct ch_devices_reading *r, const char *word,
			    struct ch_devices_row *row)
{
	const struct ch_config *config = r->config;
	const struct names names = {config->credentials, config->credential_count,
				    sizeof(*config->credentials)};

	row->credential = CH_DEVICE_NONE;
	if (*word == '\0')
		return true;
	if (!find_name(&names, word, &r->credential)) {
		report_reference(r, row, CH_COLUMN_CREDENTIAL, word, &names);
		return false;
	}
	row->credential = r->credential;
	return true;
}

static bool read_profile(struct ch_devices_reading *r, const char *word, struct ch_devices_row *row)
{
	const struct ch_config *config = r->config;
	const struct names names = {config->profiles, config->profile_count,
				    sizeof(*config->profiles)};

	row->profile = 0;
	if (*word == '\0')
		return true;
	if (!find_name(&names, word, &r->profile)) {
		report_reference(r, row, CH_COLUMN_PROFILE, word, &names);
		return false;
	}
	row->profile = r->profile;
	return true;
}

/* In place to lower case, so that a pin has one spelling. */
static bool read_hex(char *text, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (text[i] >= 'A' && text[i] <= 'F')
			text[i] = (char)(text[i] + ('a' - 'A'));
		if (!(text[i] >= '0' && text[i] <= '9') && !(text[i] >= 'a' && text[i] <= 'f'))
			return false;
	}
	return len == HEX_DIGITS;
}

/* "<OID>:<hex>" as user/tls writes it: another spelling would never match. */
static bool is_hardware_module(const char *text)
{
	size_t oid = strspn(text, "0123456789.");
	size_t hex = text[oid] == ':' ? strspn(text + oid + 1, "0123456789abcdef") : 0;

	return oid > 0 && hex > 0 && hex % 2 == 0 && text[oid + 1 + hex] == '\0';
}

static bool read_pin(struct ch_devices_reading *r, const struct ch_csv_field *field,
		     const struct ch_devices_row *row)
{
	if (read_hex(field->text, field->len))
		return true;
	ch_devices_complain(r, row,
			    "a pin is the SHA-256 of the %s in 64 hexadecimal digits without "
			    "colons; \"%.70s\" is not",
			    row->manufacturer == CH_MANUFACTURER_NONE ? "public key"
								      : "certificate",
			    field->text);
	return false;
}

static bool read_identifier(struct ch_devices_reading *r, const struct ch_csv_field *field,
			    struct ch_devices_row *row)
{
	row->text = field->text;
	if (row->manufacturer >= CH_MANUFACTURER_PIN_CERT)
		return read_pin(r, field, row);
	if (field->len == 0 || field->len > CH_IDENTIFIER_MAX)
		ch_devices_complain(r, row, "identifier of %zu bytes; it must have 1 to %d",
				    field->len, CH_IDENTIFIER_MAX);
	else if (r->config->manufacturers[row->manufacturer].identifier ==
			 CH_IDENTIFIER_HARDWARE_MODULE &&
		 !is_hardware_module(field->text))
		ch_devices_complain(
			r, row,
			"\"%.64s\" is no hardwareModuleName; write the hwType OID, a colon and "
			"the hwSerialNum in lower-case hex: 1.3.6.1.4.1.9:0a1b",
			field->text);
	else
		return true;
	return false;
}

static bool read_name(struct ch_devices_reading *r, const struct ch_csv_field *field,
		      struct ch_devices_row *row)
{
	row->name = field->text;
	if (field->len == 0 || field->len > CH_DEVICE_NAME_MAX)
		ch_devices_complain(r, row, "name of %zu bytes; it must have 1 to %d", field->len,
				    CH_DEVICE_NAME_MAX);
	else if (strchr(field->text, '/') != NULL || strcmp(field->text, ".") == 0 ||
		 strcmp(field->text, "..") == 0)
		ch_devices_complain(r, row,
				    "name \"%.64s\" cannot be part of a file name or URL; choose "
				    "one without '/'",
				    field->text);
	else
		return true;
	return false;
}

int ch_devices_add_row(struct ch_devices_reading *r, const struct ch_devices_row *row)
{
	uint32_t cap = r->cap == 0 ? 1024 : r->cap * 2;
	struct ch_devices_row *rows;

	if (r->count == ROWS_MAX)
		return CH_E_LIMIT;
	if (r->count == r->cap) {
		rows = realloc(r->rows, cap * sizeof(*rows));
		if (rows == NULL)
			return -ENOMEM;
		r->rows = rows;
		r->cap = cap;
	}
	r->rows[r->count++] = *row;
	return 0;
}

static void read_record(struct ch_devices_reading *r, const struct ch_csv_record *record)
{
	struct ch_devices_row row = {.line = record->line, .database = r->database, .name = "?"};
	const struct ch_csv_field *fields = record->fields;
	int err;

	if (record->error != NULL) {
		ch_devices_complain(r, &row, "%s", record->error);
		return;
	}
	if (record->count != CH_COLUMNS) {
		ch_devices_complain(r, &row,
				    "%u fields where 5 are needed: "
				    "manufacturer,identifier,name,credential,profile",
				    record->count);
		return;
	}
	row.name = fields[CH_COLUMN_NAME].text;
	if (!read_manufacturer(r, fields[CH_COLUMN_MANUFACTURER].text, &row) ||
	    !read_identifier(r, &fields[CH_COLUMN_IDENTIFIER], &row) ||
	    !read_name(r, &fields[CH_COLUMN_NAME], &row) ||
	    !read_credential(r, fields[CH_COLUMN_CREDENTIAL].text, &row) ||
	    !read_profile(r, fields[CH_COLUMN_PROFILE].text, &row))
		return;
	err = ch_devices_add_row(r, &row);
	if (err == CH_E_LIMIT)
		ch_devices_complain(r, &row, "more than %u identities", ROWS_MAX);
	else if (err != 0)
		r->err = err;
}

void ch_devices_read(struct ch_devices_reading *r, struct ch_buf *text)
{
	struct ch_csv csv = {.text = (char *)text->data, .len = text->len};
	struct ch_csv_record record;
	bool first = true;

	while (r->err == 0 && ch_csv_next(&csv, &record)) {
		if (!first || !is_header(&record))
			read_record(r, &record);
		first = false;
	}
}
