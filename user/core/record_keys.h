/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Traffic keys as plain bytes: the hand-over between the handshake (user/tls), the user record
 * layer and the kernel record layer. Wipe with explicit_bzero right after use.
 */
#include <stdint.h>

enum ch_tls_version { CH_TLS_NONE = 0, CH_TLS_1_2 = 0x0303, CH_TLS_1_3 = 0x0304 };

enum ch_aead { CH_AEAD_NONE, CH_AEAD_AES_128_GCM, CH_AEAD_AES_256_GCM, CH_AEAD_CHACHA20_POLY1305 };

/** TLS record content types (RFC 8446 section 5.1, RFC 6520). */
enum ch_record_type {
	CH_RECORD_CCS = 20,
	CH_RECORD_ALERT = 21,
	CH_RECORD_HANDSHAKE = 22,
	CH_RECORD_DATA = 23,
	CH_RECORD_HEARTBEAT = 24,
};

/** One direction. */
struct ch_direction_keys {
	uint8_t key[32]; /**< 16 or 32 bytes by AEAD */
	uint8_t iv[12];	 /**< 1.3 and ChaCha: 12 bytes; 1.2 GCM: the 4-byte salt, then zeros */
	union {
		uint8_t secret[48];	 /**< 1.3: traffic secret, for KeyUpdate */
		uint64_t explicit_nonce; /**< 1.2 GCM, sending: of the next record, host order */
	};
	uint64_t sequence; /**< of the next record */
};

struct ch_record_keys {
	uint16_t version;   /**< enum ch_tls_version */
	uint8_t aead;	    /**< enum ch_aead */
	uint8_t secret_len; /**< 1.3: 32 or 48 (the hash of the suite); 1.2: 0 */
	struct ch_direction_keys tx;
	struct ch_direction_keys rx;
};

/** Bytes of the AEAD key: 16 or 32. */
static inline unsigned ch_aead_key_bytes(uint8_t aead)
{
	return aead == CH_AEAD_AES_128_GCM ? 16 : 32;
}
