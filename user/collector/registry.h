/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Which session owns a device, and what is known about each device. One cell per device of the
 * inventory; an owner word per cell says worker, generation and slot of the session. The newest
 * proven session wins at once: a power cut leaves every old session half-open, so no login may wait
 * for a probe of the old one.
 *
 * The cells lie in segments of doubling size behind a small directory, so that the registry grows
 * without moving a cell that somebody looks at. An index reaches other threads only after the
 * growth that made its cell.
 *
 * Threads: any. Writers of one cell exclude each other for a few stores; readers never block them.
 */
#include <callhome/callhome.h>
#include "user/core/address.h"

#include <stdatomic.h>

#define CH_OWNER_NONE 0
#define CH_RECORD_ISSUERS 4

/** What one session tells about its device; plain data, copied as words. */
struct ch_device_record {
	struct ch_address peer;
	uint8_t state;	   /**< enum ch_device_state */
	uint8_t layer;	   /**< enum ch_layer */
	uint8_t layer_why; /**< enum ch_layer_why */
	uint8_t reason;	   /**< enum ch_reason */
	uint8_t heartbeat : 6; /**< enum ch_heartbeat_mode: what the device said */
	uint8_t next : 1; /**< of a roll-over it got the certificate that takes the other's place */
	uint8_t no_ems : 1; /**< TLS 1.2 without extended master secret */
	uint8_t group;	   /**< ch_tls_group_name */
	uint8_t signature; /**< ch_tls_signature_name */
	uint8_t cipher;	   /**< ch_tls_cipher_name */
	uint16_t version;  /**< enum ch_tls_version */
	uint8_t worker;
	uint8_t via; /**< ch_balancers_name */
	/** Ids of ch_authorities, of the device's issuer first; the last that is set is the anchor. */
	uint16_t issuers[CH_RECORD_ISSUERS];
	uint32_t identity; /**< ch_devices_identity_tag of the one that logged in; 0 = none */
	uint32_t session_id;
	uint32_t capabilities;
	uint32_t login_us;
	uint64_t since_unix_ns;
	uint64_t not_after; /**< of the device's certificate: seconds since 1970 */
	uint8_t cert_sha256[32];
};

struct ch_registry;

CH_NODISCARD int ch_registry_new(uint32_t devices, struct ch_registry **registry);
void ch_registry_free(struct ch_registry *registry);

#define CH_REGISTRY_MAX (1u << 25)
/**
 * Makes cells for indexes below @devices; never fewer than there are. One thread at a time, others
 * go on. @return 0, -ENOMEM or CH_E_LIMIT
 */
CH_NODISCARD int ch_registry_grow(struct ch_registry *registry, uint32_t devices);

/** Connections that refer to a device, from the proof of its identity to the freed slot. */
void ch_registry_hold(struct ch_registry *registry, uint32_t device);
void ch_registry_leave(struct ch_registry *registry, uint32_t device);
bool ch_registry_held(const struct ch_registry *registry, uint32_t device);

/** Makes the cell of a device that is gone as new, for another device. Nobody may hold it. */
void ch_registry_reset(struct ch_registry *registry, uint32_t device);

/** A session that is not up yet proved to be this device. Nothing changes while another session is up. */
void ch_registry_connecting(struct ch_registry *registry, uint32_t device,
			    const struct ch_device_record *record);

/** A session is up: it owns the device from now on. @return the owner word it replaces, or CH_OWNER_NONE. */
uint64_t ch_registry_claim(struct ch_registry *registry, uint32_t device, uint64_t owner,
			   const struct ch_device_record *record);

/**
 * A session that had proved its device ended with record->reason and state (disconnected or
 * refused). If @owner holds the device it is released; if another session holds it nothing changes.
 * @return true if the record was written
 */
bool ch_registry_ended(struct ch_registry *registry, uint32_t device, uint64_t owner,
		       const struct ch_device_record *record);

uint64_t ch_registry_owner(const struct ch_registry *registry, uint32_t device);

/** Counters that live over sessions. */
enum ch_device_counter {
	CH_DEVICE_SESSIONS,
	CH_DEVICE_NOTIFICATIONS,
	CH_DEVICE_REPLIES,
	CH_DEVICE_RECEIVED,
	CH_DEVICE_SENT,
	CH_DEVICE_COUNTERS
};
void ch_registry_count(struct ch_registry *registry, uint32_t device,
		       enum ch_device_counter counter, uint64_t n);
uint64_t ch_registry_counter(const struct ch_registry *registry, uint32_t device,
			     enum ch_device_counter counter);

/** A consistent copy. */
void ch_registry_read(const struct ch_registry *registry, uint32_t device,
		      struct ch_device_record *record);

/** May an identity-conflict be published now? At most one per device and minute. */
bool ch_registry_conflict(struct ch_registry *registry, uint32_t device, uint64_t now_ns);
