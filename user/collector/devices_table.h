/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The inside of the inventory table: devices_build.c makes it, devices.c looks into it. */
#include "devices.h"

#include <stdatomic.h>

/** Text that identities and names point into; generations of the table share it. */
struct ch_devices_text {
	_Atomic uint32_t owners;
	struct ch_buf buf;
};

enum ch_devices_source {
	CH_SOURCE_FILE,
	CH_SOURCE_DATABASE,
	CH_SOURCE_REMOVED, /**< names of removed devices */
	CH_SOURCES
};

/* Eight bytes, so that a look-up of an absent key costs one cache line and no string. */
struct ch_devices_slot {
	uint32_t tag;	/**< upper half of the hash */
	uint32_t index; /**< CH_DEVICE_NONE = free */
};

/** Open addressing, at most half full. */
struct ch_devices_index {
	struct ch_devices_slot *slots;
	uint32_t mask; /**< slots - 1 */
};

struct ch_devices {
	struct ch_devices_text *texts[CH_SOURCES]; /**< NULL = none */
	struct ch_device *rows;
	struct ch_device_identity *identities;
	uint32_t count; /**< of @rows */
	uint32_t live;
	uint32_t identity_count;
	struct ch_devices_index by_name;     /**< of @rows, the removed ones left out */
	struct ch_devices_index by_identity; /**< of @identities, by their text */
};

struct ch_devices_probe {
	const char *text;
	bool any; /**< of whatever manufacturer, but not a pin */
	uint32_t manufacturer;
	uint32_t tag;	    /**< set by the search */
	uint32_t free_slot; /**< set by the search when nothing is found */
};

/* Both search for @probe. @return the index of the row or identity, or CH_DEVICE_NONE */
uint32_t ch_devices_find_name(const struct ch_devices *devices, struct ch_devices_probe *probe);
uint32_t ch_devices_find_identity(const struct ch_devices *devices, struct ch_devices_probe *probe);

/** Wraps @buf, which is taken in any case. @return NULL = out of memory */
struct ch_devices_text *ch_devices_text_new(struct ch_buf *buf);
void ch_devices_text_drop(struct ch_devices_text *text);
