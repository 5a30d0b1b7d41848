/* SPDX-License-Identifier: Apache-2.0 */
#include "devices_parse.h"
#include "devices_table.h"
#include "inventory.h"
#include "text.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FILE_MAX (UINT64_C(2) << 30)
#define PLACE_TEXT 160

struct building {
	struct ch_devices_reading reading;
	const struct ch_devices_input *input;
	struct ch_devices *devices;
	uint32_t reuse; /* holes of the previous table below this index were looked at */
};

/* --- the rows, in the order file, database --- */

/* The file's identities as the running table has them; it need not be what the file holds now. */
static void share_file_rows(struct building *b)
{
	const struct ch_devices *previous = b->input->previous;

	b->devices->texts[CH_SOURCE_FILE] = previous->texts[CH_SOURCE_FILE];
	if (previous->texts[CH_SOURCE_FILE] != NULL)
		atomic_fetch_add(&previous->texts[CH_SOURCE_FILE]->owners, 1);
	for (uint32_t i = 0; b->reading.err == 0 && i < previous->identity_count; i++) {
		const struct ch_device_identity *identity = &previous->identities[i];
		const struct ch_device *device = &previous->rows[identity->device];
		const struct ch_devices_row row = {
			.text = identity->text,
			.name = device->name,
			.manufacturer = identity->manufacturer,
			.credential = device->credential,
			.profile = device->profile,
			.line = identity->line,
		};

		if (!identity->database)
			b->reading.err = ch_devices_add_row(&b->reading, &row);
	}
}

static void read_text(struct building *b, enum ch_devices_source source, struct ch_buf *buf)
{
	const struct ch_config *config = b->input->config;
	struct ch_devices_text *text = ch_devices_text_new(buf);

	b->devices->texts[source] = text;
	if (text == NULL) {
		b->reading.err = -ENOMEM;
		return;
	}
	b->reading.database = source == CH_SOURCE_DATABASE;
	b->reading.diag.file = b->reading.database ? b->input->database_file : config->devices_file;
	ch_devices_read(&b->reading, &text->buf);
}

static void gather(struct building *b)
{
	const struct ch_devices_input *input = b->input;

	if (input->file != NULL)
		read_text(b, CH_SOURCE_FILE, input->file);
	else if (input->previous != NULL)
		share_file_rows(b);
	if (b->reading.err == 0 && input->database != NULL)
		read_text(b, CH_SOURCE_DATABASE, input->database);
}

/* --- from rows to devices --- */

static int new_index(struct ch_devices_index *index, uint32_t entries)
{
	uint32_t slots = 16;

	while (slots < entries * 2)
		slots *= 2;
	index->slots = malloc(slots * sizeof(*index->slots));
	if (index->slots == NULL)
		return -ENOMEM;
	index->mask = slots - 1;
	for (uint32_t i = 0; i < slots; i++)
		index->slots[i] = (struct ch_devices_slot){0, CH_DEVICE_NONE};
	return 0;
}

static int make_room(struct building *b)
{
	const struct ch_devices *previous = b->input->previous;
	struct ch_devices *devices = b->devices;
	uint32_t rows = b->reading.count;
	int err = new_index(&devices->by_name, rows);

	devices->count = previous != NULL ? previous->count : 0;
	devices->rows = calloc((size_t)devices->count + rows + 1, sizeof(*devices->rows));
	devices->identities = calloc((size_t)rows + 1, sizeof(*devices->identities));
	if (devices->rows == NULL || devices->identities == NULL)
		return -ENOMEM;
	for (uint32_t i = 0; i < devices->count; i++) {
		devices->rows[i].identity = CH_DEVICE_NONE;
		devices->rows[i].name = previous->rows[i].name;
	}
	return err != 0 ? err : new_index(&devices->by_identity, rows);
}

/* The place for a device that was not in a row before. */
static uint32_t place_device(struct building *b, const char *name)
{
	const struct ch_devices_input *input = b->input;
	const struct ch_devices *previous = input->previous;
	uint32_t index = previous != NULL ? ch_devices_by_name(previous, name) : CH_DEVICE_NONE;

	if (index != CH_DEVICE_NONE)
		return index;
	while (input->reusable != NULL && previous != NULL && b->reuse < previous->count) {
		index = b->reuse++;
		if (ch_device_gone(&previous->rows[index]) &&
		    input->reusable(input->reusable_ctx, index))
			return index;
	}
	return b->devices->count++;
}

/* Where an earlier identity stands, as a mistake in @row would say it. */
static const char *place_of(const struct building *b, const struct ch_devices_row *row,
			    const struct ch_device_identity *earlier, char text[PLACE_TEXT])
{
	const struct ch_config *config = b->input->config;

	if (earlier->database)
		snprintf(text, PLACE_TEXT, "in %s", b->input->database_file);
	else if (row->database)
		snprintf(text, PLACE_TEXT, "on line %u of %s", earlier->line, config->devices_file);
	else
		snprintf(text, PLACE_TEXT, "on line %u", earlier->line);
	return text;
}

/* The device of a row: found, or made. @return its index */
static uint32_t device_of(struct building *b, const struct ch_devices_row *row)
{
	struct ch_devices *devices = b->devices;
	struct ch_devices_probe probe = {.text = row->name};
	uint32_t index = ch_devices_find_name(devices, &probe);
	struct ch_device *device;
	char place[PLACE_TEXT];

	if (index == CH_DEVICE_NONE) {
		index = place_device(b, row->name);
		devices->rows[index] = (struct ch_device){row->name, CH_DEVICE_NONE,
							  row->credential, row->profile};
		devices->by_name.slots[probe.free_slot] =
			(struct ch_devices_slot){probe.tag, index};
		devices->live++;
		return index;
	}
	device = &devices->rows[index];
	if (device->identity != CH_DEVICE_NONE &&
	    (device->credential != row->credential || device->profile != row->profile)) {
		b->reading.diag.file =
			row->database ? b->input->database_file : b->input->config->devices_file;
		ch_devices_complain(
			&b->reading, row,
			"the name \"%.64s\" is %s too, with another %s; all lines of "
			"one device must agree",
			row->name, place_of(b, row, &devices->identities[device->identity], place),
			device->credential != row->credential ? "credential" : "profile");
	}
	return index;
}

/* Puts an identity at the end of those of its device. */
static void link_identity(struct building *b, const struct ch_devices_row *row, uint32_t index)
{
	struct ch_devices *devices = b->devices;
	uint32_t *link = &devices->rows[index].identity;
	uint32_t number = 0;

	for (; *link != CH_DEVICE_NONE; number++)
		link = &devices->identities[*link].next;
	if (number == CH_DEVICE_IDENTITIES_MAX) {
		ch_devices_complain(&b->reading, row,
				    "the name \"%.64s\" has more than %d identities; remove those "
				    "that are out of use",
				    row->name, CH_DEVICE_IDENTITIES_MAX);
		return;
	}
	*link = devices->identity_count;
	devices->identities[devices->identity_count++] = (struct ch_device_identity){
		.text = row->text,
		.manufacturer = row->manufacturer,
		.device = index,
		.next = CH_DEVICE_NONE,
		.line = row->line,
		.database = row->database,
	};
}

static void index_row(struct building *b, const struct ch_devices_row *row)
{
	const struct ch_config *config = b->input->config;
	struct ch_devices *devices = b->devices;
	struct ch_devices_probe key = {.text = row->text, .manufacturer = row->manufacturer};
	uint32_t earlier = ch_devices_find_identity(devices, &key);
	uint32_t device = device_of(b, row);
	char place[PLACE_TEXT];

	b->reading.diag.file = row->database ? b->input->database_file : config->devices_file;
	if (earlier == CH_DEVICE_NONE) {
		devices->by_identity.slots[key.free_slot] =
			(struct ch_devices_slot){key.tag, devices->identity_count};
		link_identity(b, row, device);
	} else if (devices->identities[earlier].device != device ||
		   devices->identities[earlier].database == row->database) {
		ch_devices_complain(&b->reading, row, "%s,%.64s is %s too; remove one of the two",
				    ch_devices_manufacturer_name(config, row->manufacturer),
				    row->text,
				    place_of(b, row, &devices->identities[earlier], place));
	}
}

/* The previous table goes away, its sessions do not: removed devices take their names along. */
static int keep_removed_names(struct ch_devices *devices)
{
	struct ch_buf names = {0};
	size_t bytes = 0;

	for (uint32_t i = 0; i < devices->count; i++)
		bytes += ch_device_gone(&devices->rows[i]) ? strlen(devices->rows[i].name) + 1 : 0;
	if (bytes == 0)
		return 0;
	if (ch_buf_reserve(&names, bytes) != 0)
		return -ENOMEM;
	for (uint32_t i = 0; i < devices->count; i++) {
		struct ch_device *device = &devices->rows[i];
		char *copy = (char *)names.data + names.len;

		if (!ch_device_gone(device))
			continue;
		if (ch_buf_append(&names, device->name, strlen(device->name) + 1) != 0)
			return -ENOMEM;
		device->name = copy;
	}
	devices->texts[CH_SOURCE_REMOVED] = ch_devices_text_new(&names);
	return devices->texts[CH_SOURCE_REMOVED] == NULL ? -ENOMEM : 0;
}

/* What was allocated for the worst case and not used is given back. */
static void trim(struct ch_devices *devices)
{
	void *rows = realloc(devices->rows, ((size_t)devices->count + 1) * sizeof(*devices->rows));
	void *identities = realloc(devices->identities, ((size_t)devices->identity_count + 1) *
								sizeof(*devices->identities));

	if (rows != NULL)
		devices->rows = rows;
	if (identities != NULL)
		devices->identities = identities;
}

static int assemble(struct building *b)
{
	int err = make_room(b);

	if (err != 0)
		return err;
	for (uint32_t i = 0; i < b->reading.count; i++)
		index_row(b, &b->reading.rows[i]);
	if (b->reading.diag.count > 0)
		return 0;
	trim(b->devices);
	return keep_removed_names(b->devices);
}

static bool has_pin(const struct ch_devices *devices)
{
	for (uint32_t i = 0; i < devices->identity_count; i++) {
		if (devices->identities[i].manufacturer >= CH_MANUFACTURER_PIN_CERT)
			return true;
	}
	return false;
}

/* A device can be proven by a manufacturer's anchor or by a pin; without either, none ever could.
 */
static void check_trust(struct building *b)
{
	const struct ch_config *config = b->input->config;
	struct ch_diag diag = {.file = config->file, .out = b->reading.diag.out};

	if (config->manufacturer_count > 0 || has_pin(b->devices))
		return;
	for (size_t i = 0; i < config->listener_count; i++)
		ch_diag_add(&diag,
			    (struct ch_position){config->listeners[i].line,
						 config->listeners[i].column},
			    "listener \"%s\" has no trust anchor; add trust.manufacturers with a "
			    "CA file, or a " CH_PIN_SPKI " line to %s",
			    config->listeners[i].name, config->devices_file);
	b->reading.diag.count += diag.count;
	if (diag.err != 0)
		b->reading.err = -ENOMEM;
}

int ch_devices_build(const struct ch_devices_input *input, struct ch_devices **devices,
		     struct ch_buf *error)
{
	struct building b = {
		.reading = {.config = input->config,
			    .diag = {.file = input->config->devices_file, .out = error}},
		.input = input,
	};
	int err;

	b.devices = calloc(1, sizeof(*b.devices));
	if (b.devices == NULL) {
		if (input->file != NULL)
			ch_buf_deinit(input->file);
		if (input->database != NULL)
			ch_buf_deinit(input->database);
		return -ENOMEM;
	}
	gather(&b);
	if (b.reading.err == 0)
		b.reading.err = assemble(&b);
	if (b.reading.err == 0 && b.reading.diag.count == 0)
		check_trust(&b);
	err = ch_diag_end(&b.reading.diag);
	if (b.reading.err != 0)
		err = b.reading.err;
	if (err == 0)
		*devices = b.devices;
	else
		ch_devices_free(b.devices);
	free(b.reading.rows);
	if (input->database != NULL) /* not read when the file could not be kept */
		ch_buf_deinit(input->database);
	return err;
}

int ch_devices_parse(const struct ch_config *config, struct ch_buf *text,
		     struct ch_devices **devices, struct ch_buf *error)
{
	const struct ch_devices_input input = {.config = config, .file = text};

	return ch_devices_build(&input, devices, error);
}

/* The rows of the database, as it is now. */
static int read_database(const char *file, struct ch_buf *rows, struct ch_buf *error)
{
	struct ch_inventory *inventory;
	char text[CH_INVENTORY_ERROR];
	int err = ch_inventory_open_read(file, &inventory, text);

	if (err != 0)
		return ch_buf_append_str(error, text) != 0 ? -ENOMEM : err;
	err = ch_inventory_rows(inventory, rows);
	if (err == CH_E_CONFIG && ch_buf_append_str(error, ch_inventory_error(inventory)) != 0)
		err = -ENOMEM;
	ch_inventory_close(inventory);
	/* The reader of CSV writes one byte behind the text. */
	return err != 0 ? err : ch_buf_reserve(rows, 1);
}

static int read_file(const struct ch_config *config, struct ch_buf *text, struct ch_buf *error)
{
	struct ch_diag diag = {.file = config->devices_file, .out = error};
	int err = ch_file_read(config->devices_file, FILE_MAX, text);

	if (err == 0 || err == -ENOMEM)
		return err;
	ch_diag_add(&diag, (struct ch_position){0, 0},
		    "cannot be read: %s; mend devices.file in %s",
		    err == CH_E_LIMIT ? "longer than 2GiB" : ch_error_text(err), config->file);
	return ch_diag_end(&diag);
}

int ch_devices_load(const struct ch_devices_input *from, struct ch_devices **devices,
		    struct ch_buf *error)
{
	struct ch_devices_input input = *from;
	struct ch_buf text = {0};
	struct ch_buf rows = {0};
	int err = 0;

	input.file = from->keep_file ? NULL : &text;
	input.database = from->database_file != NULL ? &rows : NULL;
	if (input.file != NULL)
		err = read_file(from->config, &text, error);
	if (err == 0 && input.database != NULL)
		err = read_database(from->database_file, &rows, error);
	if (err == 0)
		return ch_devices_build(&input, devices, error);
	ch_buf_deinit(&text);
	ch_buf_deinit(&rows);
	return err;
}
