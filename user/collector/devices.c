/* SPDX-License-Identifier: Apache-2.0 */
#include "devices.h"
#include "devices_parse.h"
#include "devices_table.h"
#include "user/core/hash.h"

#include <stdlib.h>
#include <string.h>

/* --- the text behind it --- */

struct ch_devices_text *ch_devices_text_new(struct ch_buf *buf)
{
	struct ch_devices_text *text = calloc(1, sizeof(*text));

	if (text == NULL) {
		ch_buf_deinit(buf);
		return NULL;
	}
	text->owners = 1;
	text->buf = *buf;
	*buf = (struct ch_buf){0};
	return text;
}

void ch_devices_text_drop(struct ch_devices_text *text)
{
	if (text == NULL || atomic_fetch_sub(&text->owners, 1) != 1)
		return;
	ch_buf_deinit(&text->buf);
	free(text);
}

void ch_devices_free(struct ch_devices *devices)
{
	if (devices == NULL)
		return;
	for (int i = 0; i < CH_SOURCES; i++)
		ch_devices_text_drop(devices->texts[i]);
	free(devices->rows);
	free(devices->identities);
	free(devices->by_name.slots);
	free(devices->by_identity.slots);
	free(devices);
}

/* --- look-ups --- */

uint32_t ch_devices_find_name(const struct ch_devices *devices, struct ch_devices_probe *probe)
{
	const struct ch_devices_index *index = &devices->by_name;
	uint64_t hash = ch_hash(probe->text, strlen(probe->text));
	uint32_t at = (uint32_t)hash & index->mask;

	probe->tag = (uint32_t)(hash >> 32);
	for (; index->slots[at].index != CH_DEVICE_NONE; at = (at + 1) & index->mask) {
		if (index->slots[at].tag == probe->tag &&
		    strcmp(devices->rows[index->slots[at].index].name, probe->text) == 0)
			return index->slots[at].index;
	}
	probe->free_slot = at;
	return CH_DEVICE_NONE;
}

static bool is_match(const struct ch_device_identity *identity,
		     const struct ch_devices_probe *probe)
{
	if (probe->any ? identity->manufacturer >= CH_MANUFACTURER_PIN_CERT
		       : identity->manufacturer != probe->manufacturer)
		return false;
	return strcmp(identity->text, probe->text) == 0;
}

uint32_t ch_devices_find_identity(const struct ch_devices *devices, struct ch_devices_probe *probe)
{
	const struct ch_devices_index *index = &devices->by_identity;
	uint64_t hash = ch_hash(probe->text, strlen(probe->text));
	uint32_t at = (uint32_t)hash & index->mask;

	probe->tag = (uint32_t)(hash >> 32);
	for (; index->slots[at].index != CH_DEVICE_NONE; at = (at + 1) & index->mask) {
		if (index->slots[at].tag == probe->tag &&
		    is_match(&devices->identities[index->slots[at].index], probe))
			return index->slots[at].index;
	}
	probe->free_slot = at;
	return CH_DEVICE_NONE;
}

static uint32_t device_of(const struct ch_devices *devices, const char *text, uint32_t manufacturer)
{
	struct ch_devices_probe probe = {.text = text, .manufacturer = manufacturer};
	uint32_t identity = ch_devices_find_identity(devices, &probe);

	return identity == CH_DEVICE_NONE ? CH_DEVICE_NONE : devices->identities[identity].device;
}

uint32_t ch_devices_by_name(const struct ch_devices *devices, const char *name)
{
	struct ch_devices_probe probe = {.text = name};

	return ch_devices_find_name(devices, &probe);
}

uint32_t ch_devices_by_identifier(const struct ch_devices *devices, uint32_t manufacturer,
				  const char *identifier)
{
	return manufacturer >= CH_MANUFACTURER_PIN_CERT
		       ? CH_DEVICE_NONE
		       : device_of(devices, identifier, manufacturer);
}

bool ch_devices_identifier_known(const struct ch_devices *devices, const char *identifier)
{
	struct ch_devices_probe probe = {.text = identifier, .any = true};

	return ch_devices_find_identity(devices, &probe) != CH_DEVICE_NONE;
}

static uint32_t by_digest(const struct ch_devices *devices, const uint8_t digest[32],
			  uint32_t manufacturer)
{
	char hex[CH_HEX_CAP];

	ch_hex(digest, hex);
	return device_of(devices, hex, manufacturer);
}

uint32_t ch_devices_by_pin(const struct ch_devices *devices, const uint8_t spki_sha256[32])
{
	return by_digest(devices, spki_sha256, CH_MANUFACTURER_NONE);
}

uint32_t ch_devices_by_cert(const struct ch_devices *devices, const uint8_t cert_sha256[32])
{
	return by_digest(devices, cert_sha256, CH_MANUFACTURER_PIN_CERT);
}

bool ch_devices_has(const struct ch_devices *devices, uint32_t index, uint32_t manufacturer,
		    uint64_t hash)
{
	for (uint32_t i = devices->rows[index].identity; i != CH_DEVICE_NONE;
	     i = devices->identities[i].next) {
		const struct ch_device_identity *identity = &devices->identities[i];

		if (identity->manufacturer == manufacturer &&
		    ch_hash(identity->text, strlen(identity->text)) == hash)
			return true;
	}
	return false;
}

/* --- what is in it --- */

uint32_t ch_devices_count(const struct ch_devices *devices)
{
	return devices->count;
}

uint32_t ch_devices_live(const struct ch_devices *devices)
{
	return devices->live;
}

const struct ch_device *ch_devices_at(const struct ch_devices *devices, uint32_t index)
{
	return &devices->rows[index];
}

const struct ch_device_identity *ch_devices_identity(const struct ch_devices *devices,
						     uint32_t identity)
{
	return &devices->identities[identity];
}

size_t ch_devices_bytes(const struct ch_devices *devices)
{
	size_t bytes = sizeof(*devices) + devices->count * sizeof(*devices->rows) +
		       devices->identity_count * sizeof(*devices->identities) +
		       ((size_t)devices->by_name.mask + 1 + devices->by_identity.mask + 1) *
			       sizeof(struct ch_devices_slot);

	for (int i = 0; i < CH_SOURCES; i++)
		bytes += devices->texts[i] != NULL ? devices->texts[i]->buf.cap : 0;
	return bytes;
}

/* --- and out of it --- */

const char *ch_devices_manufacturer_name(const struct ch_config *config, uint32_t manufacturer)
{
	if (manufacturer == CH_MANUFACTURER_NONE)
		return CH_PIN_SPKI;
	if (manufacturer == CH_MANUFACTURER_PIN_CERT)
		return CH_PIN_CERT;
	return config->manufacturers[manufacturer].name;
}

uint32_t ch_devices_identity_tag(const char *manufacturer, const char *text)
{
	uint64_t both[] = {ch_hash(manufacturer, strlen(manufacturer)),
			   ch_hash(text, strlen(text))};

	return (uint32_t)ch_hash(both, sizeof(both)) | 1;
}

uint32_t ch_devices_pin_tag(const struct ch_devices *devices, const uint8_t cert_sha256[32],
			    const uint8_t spki_sha256[32])
{
	/* As in a login: where both match, the certificate's line counts. */
	bool cert = ch_devices_by_cert(devices, cert_sha256) != CH_DEVICE_NONE;
	char hex[CH_HEX_CAP];

	ch_hex(cert ? cert_sha256 : spki_sha256, hex);
	return ch_devices_identity_tag(cert ? CH_PIN_CERT : CH_PIN_SPKI, hex);
}

static int csv_field(struct ch_buf *out, const char *text)
{
	int err;

	if (strpbrk(text, ",\" #") == NULL)
		return ch_buf_append_str(out, text);
	err = ch_buf_append_str(out, "\"");
	for (; err == 0 && *text != '\0'; text++)
		err = *text == '"' ? ch_buf_append_str(out, "\"\"") : ch_buf_append(out, text, 1);
	return err != 0 ? err : ch_buf_append_str(out, "\"");
}

int ch_devices_csv_line(struct ch_buf *out, const char *const fields[5])
{
	int err = 0;

	for (int i = 0; err == 0 && i < CH_COLUMNS; i++) {
		if (i > 0)
			err = ch_buf_append_str(out, ",");
		if (err == 0)
			err = csv_field(out, fields[i]);
	}
	return err;
}

static int csv_device(const struct ch_devices *devices, const struct ch_config *config,
		      const struct ch_device *device, struct ch_buf *out)
{
	int err = 0;

	for (uint32_t i = device->identity; err == 0 && i != CH_DEVICE_NONE;
	     i = devices->identities[i].next) {
		const struct ch_device_identity *identity = &devices->identities[i];
		const char *const fields[CH_COLUMNS] = {
			ch_devices_manufacturer_name(config, identity->manufacturer),
			identity->text,
			device->name,
			device->credential == CH_DEVICE_NONE
				? ""
				: config->credentials[device->credential].name,
			config->profiles[device->profile].name,
		};

		err = ch_devices_csv_line(out, fields);
		if (err == 0)
			err = ch_buf_append_str(out, "\n");
	}
	return err;
}

int ch_devices_csv(const struct ch_devices *devices, const struct ch_config *config,
		   struct ch_buf *out)
{
	int err = ch_devices_csv_line(out, ch_devices_columns);

	if (err == 0)
		err = ch_buf_append_str(out, "\n");
	for (uint32_t i = 0; err == 0 && i < devices->count; i++)
		err = csv_device(devices, config, &devices->rows[i], out);
	return err;
}
