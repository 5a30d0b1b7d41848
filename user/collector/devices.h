/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The device inventory: an immutable table, read by all threads without a lock, replaced whole.
 * CSV: manufacturer,identifier,name,credential,profile or pin:sha256,<hex of SPKI>,name,credential,profile
 */
#include "config.h"

#define CH_DEVICE_NONE UINT32_MAX
#define CH_DEVICE_NAME_MAX 255

struct ch_device {
	const char *name;
	const char *identifier;	  /**< for a pin: the hex text */
	uint32_t manufacturer;	  /**< index in the configuration; CH_MANUFACTURER_NONE = pin */
	uint32_t credential;	  /**< index; CH_DEVICE_NONE = none bound */
	uint32_t profile;	  /**< index */
};

struct ch_devices;

/**
 * Reads the CSV file (RFC 4180 quoting, '#' comment lines, optional header line
 * "manufacturer,identifier,name,credential,profile"). 100,000 lines take about a second or less.
 * An empty credential field binds none; an empty profile means the first profile.
 * @return 0; CH_E_CONFIG with "file:line: what, and the fix" appended to @error (at most 20 of
 * them, then "and N more"); -ENOMEM
 */
CH_NODISCARD int ch_devices_load(const struct ch_config *config, struct ch_devices **devices,
				 struct ch_buf *error);
void ch_devices_free(struct ch_devices *devices);

uint32_t ch_devices_count(const struct ch_devices *devices);
const struct ch_device *ch_devices_at(const struct ch_devices *devices, uint32_t index);

/** @return the index or CH_DEVICE_NONE */
uint32_t ch_devices_by_name(const struct ch_devices *devices, const char *name);
uint32_t ch_devices_by_pin(const struct ch_devices *devices, const uint8_t spki_sha256[32]);
uint32_t ch_devices_by_identifier(const struct ch_devices *devices, uint32_t manufacturer,
				  const char *identifier);
/** Is the identifier known under any manufacturer? (one hash look-up) */
bool ch_devices_identifier_known(const struct ch_devices *devices, const char *identifier);
