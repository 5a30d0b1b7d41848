/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What an open session keeps of the chain that let it in, so that it can be judged again when
 * trust, revocation lists or the inventory change: hashes and a date, never the certificates.
 */
#include "trust.h"

#define CH_PROOF_ELEMENT 16 /**< bytes */
#define CH_PROOF_OWN 2	    /**< elements without memory of their own: one intermediate */

/**
 * All zero is a proof of nothing. A value, not a piece of the heap: a session's lies in its slot,
 * for in the heap it would be what is left of a page of handshakes.
 */
struct ch_proof {
	uint8_t anchor_sha256[32]; /**< of the certificate that is the anchor; zeros = by pin */
	uint8_t spki_sha256[32];   /**< of the device's public key */
	uint8_t cert_sha256[32];   /**< of the device's certificate */
	uint64_t not_after : 56;   /**< seconds since 1970, of the device's certificate */
	uint64_t count : 8;	   /**< elements, 1..CH_CHAIN_MAX; 0 = nothing is proven */
	/**
	 * ch_proof_element of every certificate below the anchor, the device's first, by
	 * ch_proof_at. By a pin it is the device's alone.
	 */
	uint8_t own[CH_PROOF_OWN][CH_PROOF_ELEMENT];
	uint8_t (*more)[CH_PROOF_ELEMENT]; /**< those behind @own; NULL = none */
};

/** The element @index, < @proof->count. */
const uint8_t *ch_proof_at(const struct ch_proof *proof, size_t index);

/** Was the device let in by a pin, without an anchor? */
bool ch_proof_is_pin(const struct ch_proof *proof);

/**
 * What names one certificate in a revocation list: a hash over the @issuer's name (DER) and the
 * @serial number (the content bytes of its INTEGER, without tag and length).
 * @return 0 or CH_E_CRYPTO
 */
CH_NODISCARD int ch_proof_element(const uint8_t *issuer, size_t issuer_len, const uint8_t *serial,
				  size_t serial_len, uint8_t element[CH_PROOF_ELEMENT]);

void ch_proof_deinit(struct ch_proof *proof);
