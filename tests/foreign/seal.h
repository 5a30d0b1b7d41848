/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * TLS 1.3 records that no library sends: sealed by hand with the secret that the key log tells and
 * the number of records that went out since the handshake (so no tickets, no 0.5-RTT data).
 * AES-128-GCM only.
 */
#include "wire.h"

struct seal {
	uint8_t secret[32];
	bool known;
	uint64_t sequence;
};

/** Takes a line of the key log; others than the server's traffic secret are passed over. */
void seal_secret(struct seal *seal, const char *line);

/** Counts the records in @data. */
void seal_count(struct seal *seal, const uint8_t *data, size_t len);

/** Puts the records of an attack into the wire. @return false: unknown, or not in this version */
bool seal_attack(struct seal *seal, const char *kind, int version, struct wire *wire);
