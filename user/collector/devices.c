/* SPDX-License-Identifier: Apache-2.0 */
#include "devices.h"
#include "csv.h"
#include "devices_parse.h"
#include "diag.h"
#include "text.h"
#include "user/core/hash.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define FILE_MAX (UINT64_C(2) << 30)
#define DEVICES_MAX (1u << 24)

enum { MANUFACTURER, IDENTIFIER, NAME, CREDENTIAL, PROFILE, COLUMNS };

static const char *const columns[COLUMNS] = {"manufacturer", "identifier", "name", "credential",
					     "profile"};
#define PIN "pin:sha256"

/* Eight bytes, so that a look-up of an absent key costs one cache line and no string. */
struct slot {
	uint32_t tag;	/* upper half of the hash */
	uint32_t index; /* CH_DEVICE_NONE = free */
};

struct ch_devices {
	struct ch_buf text; /* the file; names and identifiers point into it */
	struct ch_device *rows;
	uint32_t count;
	uint32_t cap;
	uint32_t pins;
	uint32_t mask;	      /* of both tables: slots - 1 */
	struct slot *by_name; /* open addressing, at most half full */
	struct slot *by_identifier;
};

struct reading {
	const struct ch_config *config;
	struct ch_devices *devices;
	struct ch_diag diag;
	uint32_t *lines; /* of each device, for errors */
	uint32_t manufacturer, credential, profile; /* found last: neighbours are mostly alike */
	int err;
};

static struct ch_position line_of(const struct ch_csv_record *record)
{
	return (struct ch_position){record->line, 0};
}

static bool is_header(const struct ch_csv_record *record)
{
	for (int i = 0; i < COLUMNS; i++) {
		if (record->count != COLUMNS || strcmp(record->fields[i].text, columns[i]) != 0)
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

static void report_reference(struct reading *r, const struct ch_csv_record *record, int column,
			     const struct names *names)
{
	const char *word = record->fields[column].text;
	struct ch_nearest nearest = {0};

	/* Thousands of lines may be wrong in the same way: search only for those that are shown. */
	for (size_t i = 0; i < names->count && r->diag.count < CH_DIAG_MAX; i++)
		ch_nearest_try(&nearest, word, name_at(names, i));
	if (column == MANUFACTURER)
		ch_nearest_try(&nearest, word, PIN);
	if (nearest.word != NULL)
		ch_diag_add(&r->diag, line_of(record), "unknown %s \"%.64s\"; did you mean \"%s\"?",
			    columns[column], word, nearest.word);
	else
		ch_diag_add(&r->diag, line_of(record),
			    "unknown %s \"%.64s\"; add it to %s, or correct the name",
			    columns[column], word, r->config->file);
}

static bool read_manufacturer(struct reading *r, const struct ch_csv_record *record,
			      struct ch_device *device)
{
	const struct ch_config *config = r->config;
	const struct names names = {config->manufacturers, config->manufacturer_count,
				    sizeof(*config->manufacturers)};
	const char *word = record->fields[MANUFACTURER].text;

	if (strcmp(word, PIN) == 0) {
		device->manufacturer = CH_MANUFACTURER_NONE;
		return true;
	}
	if (strncmp(word, "pin:", 4) == 0) {
		ch_diag_add(&r->diag, line_of(record), "unknown kind of pin \"%.64s\"; write " PIN,
			    word);
		return false;
	}
	if (!find_name(&names, word, &r->manufacturer)) {
		report_reference(r, record, MANUFACTURER, &names);
		return false;
	}
	device->manufacturer = r->manufacturer;
	return true;
}

static bool read_credential(struct reading *r, const struct ch_csv_record *record,
			    struct ch_device *device)
{
	const struct ch_config *config = r->config;
	const struct names names = {config->credentials, config->credential_count,
				    sizeof(*config->credentials)};

	device->credential = CH_DEVICE_NONE;
	if (record->fields[CREDENTIAL].len == 0)
		return true;
	if (!find_name(&names, record->fields[CREDENTIAL].text, &r->credential)) {
		report_reference(r, record, CREDENTIAL, &names);
		return false;
	}
	device->credential = r->credential;
	return true;
}

static bool read_profile(struct reading *r, const struct ch_csv_record *record,
			 struct ch_device *device)
{
	const struct ch_config *config = r->config;
	const struct names names = {config->profiles, config->profile_count,
				    sizeof(*config->profiles)};

	device->profile = 0;
	if (record->fields[PROFILE].len == 0)
		return true;
	if (!find_name(&names, record->fields[PROFILE].text, &r->profile)) {
		report_reference(r, record, PROFILE, &names);
		return false;
	}
	device->profile = r->profile;
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
	return len == 64;
}

/* "<OID>:<hex>" as user/tls writes it: another spelling would never match. */
static bool is_hardware_module(const char *text)
{
	size_t oid = strspn(text, "0123456789.");
	size_t hex = text[oid] == ':' ? strspn(text + oid + 1, "0123456789abcdef") : 0;

	return oid > 0 && hex > 0 && hex % 2 == 0 && text[oid + 1 + hex] == '\0';
}

static bool read_identifier(struct reading *r, const struct ch_csv_record *record,
			    struct ch_device *device)
{
	const struct ch_csv_field *field = &record->fields[IDENTIFIER];

	device->identifier = field->text;
	if (device->manufacturer == CH_MANUFACTURER_NONE) {
		if (read_hex(field->text, field->len))
			return true;
		ch_diag_add(&r->diag, line_of(record),
			    "a pin is the SHA-256 of the public key in 64 hexadecimal digits "
			    "without colons; \"%.70s\" is not", field->text);
		return false;
	}
	if (field->len == 0 || field->len > CH_IDENTIFIER_MAX)
		ch_diag_add(&r->diag, line_of(record),
			    "identifier of %zu bytes; it must have 1 to %d", field->len,
			    CH_IDENTIFIER_MAX);
	else if (r->config->manufacturers[device->manufacturer].identifier ==
			 CH_IDENTIFIER_HARDWARE_MODULE &&
		 !is_hardware_module(field->text))
		ch_diag_add(&r->diag, line_of(record),
			    "\"%.64s\" is no hardwareModuleName; write the hwType OID, a colon and "
			    "the hwSerialNum in lower-case hex: 1.3.6.1.4.1.9:0a1b", field->text);
	else
		return true;
	return false;
}

static bool read_name(struct reading *r, const struct ch_csv_record *record,
		      struct ch_device *device)
{
	const struct ch_csv_field *field = &record->fields[NAME];

	device->name = field->text;
	if (field->len == 0 || field->len > CH_DEVICE_NAME_MAX)
		ch_diag_add(&r->diag, line_of(record), "name of %zu bytes; it must have 1 to %d",
			    field->len, CH_DEVICE_NAME_MAX);
	else if (strchr(field->text, '/') != NULL || strcmp(field->text, ".") == 0 ||
		 strcmp(field->text, "..") == 0)
		ch_diag_add(&r->diag, line_of(record),
			    "name \"%.64s\" cannot be part of a file name or URL; choose one "
			    "without '/'", field->text);
	else
		return true;
	return false;
}

static int grow(struct reading *r)
{
	struct ch_devices *devices = r->devices;
	uint32_t cap = devices->cap == 0 ? 1024 : devices->cap * 2;
	struct ch_device *rows = realloc(devices->rows, cap * sizeof(*rows));
	uint32_t *lines;

	if (rows == NULL)
		return -ENOMEM;
	devices->rows = rows;
	lines = realloc(r->lines, cap * sizeof(*lines));
	if (lines == NULL)
		return -ENOMEM;
	r->lines = lines;
	devices->cap = cap;
	return 0;
}

static void read_record(struct reading *r, const struct ch_csv_record *record)
{
	struct ch_devices *devices = r->devices;
	struct ch_device device = {0};

	if (record->error != NULL) {
		ch_diag_add(&r->diag, line_of(record), "%s", record->error);
		return;
	}
	if (record->count != COLUMNS) {
		ch_diag_add(&r->diag, line_of(record),
			    "%u fields where 5 are needed: "
			    "manufacturer,identifier,name,credential,profile", record->count);
		return;
	}
	if (!read_manufacturer(r, record, &device) || !read_identifier(r, record, &device) ||
	    !read_name(r, record, &device) || !read_credential(r, record, &device) ||
	    !read_profile(r, record, &device))
		return;
	if (devices->count == DEVICES_MAX) {
		ch_diag_add(&r->diag, line_of(record), "more than %u devices", DEVICES_MAX);
		return;
	}
	if (devices->count == devices->cap)
		r->err = grow(r);
	if (r->err != 0)
		return;
	devices->pins += device.manufacturer == CH_MANUFACTURER_NONE ? 1 : 0;
	r->lines[devices->count] = record->line;
	devices->rows[devices->count++] = device;
}

static void read_lines(struct reading *r)
{
	struct ch_csv csv = {.text = (char *)r->devices->text.data, .len = r->devices->text.len};
	struct ch_csv_record record;
	bool first = true;

	while (r->err == 0 && ch_csv_next(&csv, &record)) {
		if (!first || !is_header(&record))
			read_record(r, &record);
		first = false;
	}
}

static struct slot *new_table(uint32_t slots)
{
	struct slot *table = malloc(slots * sizeof(*table));

	for (uint32_t i = 0; table != NULL && i < slots; i++)
		table[i] = (struct slot){0, CH_DEVICE_NONE};
	return table;
}

struct probe {
	const char *text;	/* name, identifier, or hex of a pin */
	bool is_name;
	bool any;		/* of whatever manufacturer, but not a pin */
	uint32_t manufacturer;
	uint32_t tag;		/* set by find */
	uint32_t free_slot;	/* set by find when there is no such device */
};

static bool is_match(const struct ch_device *device, const struct probe *probe)
{
	if (probe->is_name)
		return strcmp(device->name, probe->text) == 0;
	if (probe->any ? device->manufacturer == CH_MANUFACTURER_NONE
		       : device->manufacturer != probe->manufacturer)
		return false;
	return strcmp(device->identifier, probe->text) == 0;
}

static uint32_t find(const struct ch_devices *devices, struct probe *probe)
{
	const struct slot *table = probe->is_name ? devices->by_name : devices->by_identifier;
	uint64_t hash = ch_hash(probe->text, strlen(probe->text));
	uint32_t at = (uint32_t)hash & devices->mask;

	probe->tag = (uint32_t)(hash >> 32);
	for (; table[at].index != CH_DEVICE_NONE; at = (at + 1) & devices->mask) {
		if (table[at].tag == probe->tag &&
		    is_match(&devices->rows[table[at].index], probe))
			return table[at].index;
	}
	probe->free_slot = at;
	return CH_DEVICE_NONE;
}

/* Puts a device into a table. @return CH_DEVICE_NONE, or the earlier device with the same key */
static uint32_t insert(struct ch_devices *devices, struct slot *table, uint32_t index,
		       struct probe *probe)
{
	uint32_t earlier = find(devices, probe);

	if (earlier == CH_DEVICE_NONE)
		table[probe->free_slot] = (struct slot){probe->tag, index};
	return earlier;
}

static void index_device(struct reading *r, uint32_t index)
{
	struct ch_devices *devices = r->devices;
	const struct ch_device *device = &devices->rows[index];
	struct ch_position at = {r->lines[index], 0};
	struct probe name = {.text = device->name, .is_name = true};
	struct probe key = {.text = device->identifier, .manufacturer = device->manufacturer};
	uint32_t earlier = insert(devices, devices->by_identifier, index, &key);

	if (earlier != CH_DEVICE_NONE)
		ch_diag_add(&r->diag, at, "%s,%.64s is on line %u too; remove one of the two",
			    device->manufacturer == CH_MANUFACTURER_NONE
				    ? PIN
				    : r->config->manufacturers[device->manufacturer].name,
			    device->identifier, r->lines[earlier]);
	earlier = insert(devices, devices->by_name, index, &name);
	if (earlier != CH_DEVICE_NONE)
		ch_diag_add(&r->diag, at, "the name \"%.64s\" is on line %u too; choose another",
			    device->name, r->lines[earlier]);
}

static int build_tables(struct reading *r)
{
	struct ch_devices *devices = r->devices;
	uint32_t slots = 16;

	while (slots < devices->count * 2)
		slots *= 2;
	devices->mask = slots - 1;
	devices->by_name = new_table(slots);
	devices->by_identifier = new_table(slots);
	if (devices->by_name == NULL || devices->by_identifier == NULL)
		return -ENOMEM;
	for (uint32_t i = 0; i < devices->count; i++)
		index_device(r, i);
	return 0;
}

/* A device can be proven by a manufacturer's anchor or by a pin; without either, none ever could. */
static void check_trust(struct reading *r)
{
	const struct ch_config *config = r->config;
	struct ch_diag diag = {.file = config->file, .out = r->diag.out};

	if (config->manufacturer_count > 0 || r->devices->pins > 0)
		return;
	for (size_t i = 0; i < config->listener_count; i++)
		ch_diag_add(&diag,
			    (struct ch_position){config->listeners[i].line,
						 config->listeners[i].column},
			    "listener \"%s\" has no trust anchor; add trust.manufacturers with a "
			    "CA file, or a " PIN " line to %s",
			    config->listeners[i].name, config->devices_file);
	r->diag.count += diag.count;
	if (diag.err != 0)
		r->err = -ENOMEM;
}

int ch_devices_parse(const struct ch_config *config, struct ch_buf *text,
		     struct ch_devices **devices, struct ch_buf *error)
{
	struct reading r = {.config = config,
			    .diag = {.file = config->devices_file, .out = error}};
	int err;

	r.devices = calloc(1, sizeof(*r.devices));
	if (r.devices == NULL) {
		ch_buf_deinit(text);
		return -ENOMEM;
	}
	r.devices->text = *text;
	*text = (struct ch_buf){0};
	read_lines(&r);
	if (r.err == 0)
		r.err = build_tables(&r);
	if (r.err == 0 && r.diag.count == 0)
		check_trust(&r);
	err = ch_diag_end(&r.diag);
	if (r.err != 0)
		err = r.err;
	free(r.lines);
	if (err == 0)
		*devices = r.devices;
	else
		ch_devices_free(r.devices);
	return err;
}

int ch_devices_load(const struct ch_config *config, struct ch_devices **devices,
		    struct ch_buf *error)
{
	struct ch_diag diag = {.file = config->devices_file, .out = error};
	struct ch_buf text = {0};
	int err = ch_file_read(config->devices_file, FILE_MAX, &text);

	if (err == 0)
		return ch_devices_parse(config, &text, devices, error);
	ch_buf_deinit(&text);
	if (err == -ENOMEM)
		return err;
	ch_diag_add(&diag, (struct ch_position){0, 0}, "cannot be read: %s; mend devices.file in %s",
		    err == CH_E_LIMIT ? "longer than 2GiB" : ch_error_text(err), config->file);
	return ch_diag_end(&diag);
}

void ch_devices_free(struct ch_devices *devices)
{
	if (devices == NULL)
		return;
	ch_buf_deinit(&devices->text);
	free(devices->rows);
	free(devices->by_name);
	free(devices->by_identifier);
	free(devices);
}

uint32_t ch_devices_count(const struct ch_devices *devices)
{
	return devices->count;
}

const struct ch_device *ch_devices_at(const struct ch_devices *devices, uint32_t index)
{
	return &devices->rows[index];
}

uint32_t ch_devices_by_name(const struct ch_devices *devices, const char *name)
{
	struct probe probe = {.text = name, .is_name = true};

	return find(devices, &probe);
}

uint32_t ch_devices_by_identifier(const struct ch_devices *devices, uint32_t manufacturer,
				  const char *identifier)
{
	struct probe probe = {.text = identifier, .manufacturer = manufacturer};

	return manufacturer == CH_MANUFACTURER_NONE ? CH_DEVICE_NONE : find(devices, &probe);
}

bool ch_devices_identifier_known(const struct ch_devices *devices, const char *identifier)
{
	struct probe probe = {.text = identifier, .any = true};

	return find(devices, &probe) != CH_DEVICE_NONE;
}

uint32_t ch_devices_by_pin(const struct ch_devices *devices, const uint8_t spki_sha256[32])
{
	static const char digits[] = "0123456789abcdef";
	char hex[65] = "";
	struct probe probe = {.text = hex, .manufacturer = CH_MANUFACTURER_NONE};

	for (int i = 0; i < 32; i++) {
		hex[2 * i] = digits[spki_sha256[i] >> 4];
		hex[2 * i + 1] = digits[spki_sha256[i] & 15];
	}
	return find(devices, &probe);
}
