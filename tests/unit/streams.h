/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What a device could send once its handshake is done, made up from a seed: NETCONF in records of
 * every size, and among them empty records, tickets, alerts, KeyUpdates, heartbeats, padding, what
 * is not allowed, what was tampered with on the way, and an end. Both record layers must make the
 * same of it, so it is kept as plaintext records; stream_seal makes the bytes.
 *
 * It stays below the limits that the layers count differently: 32 records in a row without data.
 */
#include "user/core/buf.h"
#include "user/core/record_keys.h"
#include "user/tls/record.h"
#include <stdbool.h>

struct stream_item {
	uint8_t type;	  /**< content type; the inner one of TLS 1.3 */
	bool key_update;  /**< the sender's keys change behind it */
	bool tampered;	  /**< a bit is flipped on the wire */
	uint16_t padding; /**< TLS 1.3: zero bytes behind the inner type */
	uint32_t at;	  /**< its bytes in the text */
	uint32_t len;
};

#define STREAM_ITEMS 96

struct stream {
	struct stream_item items[STREAM_ITEMS];
	size_t count;
	struct ch_buf text;
	size_t missing; /**< bytes of the last record that never come: the FIN is in its midst */
};

/** Numbers of a seed; the same on every machine. */
uint64_t stream_random(uint64_t *state);
/** 0..below-1. */
uint32_t stream_pick(uint64_t *state, uint32_t below);

void stream_make(struct stream *stream, uint64_t seed, bool tls13, bool key_updates);
/** Seals the records with the keys of @sender, which take part in the KeyUpdates. */
void stream_seal(const struct stream *stream, struct ch_record *sender, struct ch_buf *wire);
void stream_deinit(struct stream *stream);
