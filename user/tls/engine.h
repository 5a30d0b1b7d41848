/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Inside user/tls: one AEAD operation with the cipher contexts that a thread's sessions share. */
#include "record.h"

#define CH_AEAD_TAG 16

/** One record for the AEAD: @text is transformed in place. */
struct ch_aead_job {
	const uint8_t *key;
	const uint8_t *nonce; /**< 12 bytes */
	const uint8_t *aad;
	size_t aad_len;
	uint8_t *text;
	size_t text_len;
	uint8_t *tag; /**< 16 bytes: written when sealing, checked when opening */
};

/** @return 0; CH_E_CRYPTO: OpenSSL failed, or (opening) the tag is wrong and @text is garbage */
CH_NODISCARD int ch_aead_run(struct ch_record_engine *engine, uint8_t aead, bool sealing,
			     const struct ch_aead_job *job);

/** Forgets @key if a context still holds it. */
void ch_aead_forget(struct ch_record_engine *engine, uint8_t aead, bool sealing,
		    const uint8_t *key);
