/* SPDX-License-Identifier: Apache-2.0 */
/* links: collector guard kernel tls core */
/*
 * Any bytes as inventory: fields are clean text inside their line, each device is found under its
 * name and keys, and no record is lost: it is an identity, or it is a mistake. What is exported is
 * read again as the same.
 */
#include "user/collector/csv.h"
#include "user/collector/devices_parse.h"
#include "user/collector/text.h"

#include <stdlib.h>
#include <string.h>

static struct ch_config_manufacturer manufacturers[] = {{.name = "acme"}, {.name = "borg"}};
static struct ch_config_credential credentials[] = {{.name = "default"}};
static struct ch_config_profile profiles[] = {{.name = "default"}};
static const struct ch_config config = {
	.file = "f",
	.devices_file = "d",
	.manufacturers = manufacturers,
	.manufacturer_count = 2,
	.credentials = credentials,
	.credential_count = 1,
	.profiles = profiles,
	.profile_count = 1,
};

/* A writable copy, exactly one byte longer, so that ASan sees anything beyond. */
static struct ch_buf copy(const uint8_t *data, size_t size)
{
	struct ch_buf buf = {.data = malloc(size + 1), .len = size, .cap = size + 1};

	if (buf.data == NULL)
		abort();
	if (size > 0)
		memcpy(buf.data, data, size);
	return buf;
}

static uint32_t check_records(const uint8_t *data, size_t size)
{
	struct ch_buf text = copy(data, size);
	struct ch_csv csv = {.text = (char *)text.data, .len = size};
	struct ch_csv_record record;
	uint32_t records = 0, line = 0;

	for (; ch_csv_next(&csv, &record); records++) {
		if (record.line <= line || (record.error != NULL) != (record.count == 0))
			abort();
		line = record.line;
		for (uint32_t i = 0; i < record.count; i++) {
			const struct ch_csv_field *field = &record.fields[i];

			if (strlen(field->text) != field->len || field->len > CH_CSV_LINE_MAX ||
			    ch_text_check(field->text, field->len) != CH_TEXT_FINE)
				abort();
		}
	}
	ch_buf_deinit(&text);
	return records;
}

/* @return how many identities there are */
static uint32_t check_devices(const struct ch_devices *devices)
{
	uint32_t identities = 0;

	for (uint32_t i = 0; i < ch_devices_count(devices); i++) {
		const struct ch_device *d = ch_devices_at(devices, i);

		if (ch_device_gone(d) || ch_devices_by_name(devices, d->name) != i)
			abort();
		for (uint32_t j = d->identity; j != CH_DEVICE_NONE; identities++) {
			const struct ch_device_identity *id = ch_devices_identity(devices, j);

			if (id->manufacturer < CH_MANUFACTURER_PIN_CERT &&
			    (ch_devices_by_identifier(devices, id->manufacturer, id->text) != i ||
			     !ch_devices_identifier_known(devices, id->text)))
				abort();
			j = id->next;
		}
	}
	return identities;
}

/* What is written is read again, and comes out the same. */
static void check_export(const struct ch_devices *devices)
{
	struct ch_buf text = {0}, kept = {0}, again = {0}, error = {0};
	struct ch_devices *copied = NULL;

	if (ch_devices_csv(devices, &config, &text) != 0 ||
	    ch_buf_append(&kept, text.data, text.len) != 0 || ch_buf_reserve(&text, 1) != 0 ||
	    ch_devices_parse(&config, &text, &copied, &error) != 0 ||
	    ch_devices_csv(copied, &config, &again) != 0)
		abort();
	if (again.len != kept.len || memcmp(again.data, kept.data, kept.len) != 0)
		abort();
	ch_devices_free(copied);
	ch_buf_deinit(&kept);
	ch_buf_deinit(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint32_t records = check_records(data, size);
	struct ch_buf text = copy(data, size), error = {0};
	struct ch_devices *devices = NULL;
	int err = ch_devices_parse(&config, &text, &devices, &error);

	if (err == 0) {
		/* All but an optional header became identities. */
		if (records - check_devices(devices) > 1 || error.len > 0)
			abort();
		check_export(devices);
	} else if (err != CH_E_CONFIG || error.len == 0) {
		abort();
	}
	ch_devices_free(devices);
	ch_buf_deinit(&error);
	return 0;
}
