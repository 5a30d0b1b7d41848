/* SPDX-License-Identifier: Apache-2.0 */
#include "engine.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

/*
 * A context per session would cost about 1 kB; keying a shared one anew costs 0.1 to 0.3 us
 * (measured). The key is remembered by value and not by its session, because sessions move and
 * their memory is reused.
 */
struct slot {
	EVP_CIPHER_CTX *ctx;
	uint8_t key[32];
	bool keyed;
};

#define AEADS (CH_AEAD_CHACHA20_POLY1305 + 1)

struct ch_record_engine {
	struct slot slots[AEADS][2]; /**< [aead][sealing] */
};

static const EVP_CIPHER *cipher_of(uint8_t aead)
{
	if (aead == CH_AEAD_AES_128_GCM)
		return EVP_aes_128_gcm();
	return aead == CH_AEAD_AES_256_GCM ? EVP_aes_256_gcm() : EVP_chacha20_poly1305();
}

static int slot_init(struct slot *slot, uint8_t aead, bool sealing)
{
	slot->ctx = EVP_CIPHER_CTX_new();
	if (slot->ctx == NULL)
		return -ENOMEM;
	if (EVP_CipherInit_ex(slot->ctx, cipher_of(aead), NULL, NULL, NULL, sealing) != 1)
		return CH_E_CRYPTO;
	return 0;
}

int ch_record_engine_new(struct ch_record_engine **engine)
{
	struct ch_record_engine *made = calloc(1, sizeof(*made));
	int err = made == NULL ? -ENOMEM : 0;

	for (uint8_t aead = CH_AEAD_AES_128_GCM; aead < AEADS && err == 0; aead++)
		for (unsigned sealing = 0; sealing < 2 && err == 0; sealing++)
			err = slot_init(&made->slots[aead][sealing], aead, sealing != 0);
	if (err == 0)
		*engine = made;
	else
		ch_record_engine_free(made);
	ERR_clear_error();
	return err;
}

void ch_record_engine_free(struct ch_record_engine *engine)
{
	if (engine == NULL)
		return;
	for (unsigned aead = 0; aead < AEADS; aead++)
		for (unsigned sealing = 0; sealing < 2; sealing++)
			EVP_CIPHER_CTX_free(engine->slots[aead][sealing].ctx);
	explicit_bzero(engine, sizeof(*engine));
	free(engine);
}

void ch_aead_forget(struct ch_record_engine *engine, uint8_t aead, bool sealing, const uint8_t *key)
{
	static const uint8_t zeros[32];
	struct slot *slot = &engine->slots[aead][sealing];

	if (!slot->keyed || CRYPTO_memcmp(slot->key, key, ch_aead_key_bytes(aead)) != 0)
		return;
	/* Overwrites the key schedule; should it fail, the slot is keyed anew before use anyway. */
	EVP_CipherInit_ex(slot->ctx, NULL, NULL, zeros, NULL, sealing);
	explicit_bzero(slot->key, sizeof(slot->key));
	slot->keyed = false;
	ERR_clear_error();
}

static bool slot_key(struct slot *slot, uint8_t aead, bool sealing, const struct ch_aead_job *job)
{
	size_t len = ch_aead_key_bytes(aead);

	if (slot->keyed && CRYPTO_memcmp(slot->key, job->key, len) == 0)
		return EVP_CipherInit_ex(slot->ctx, NULL, NULL, NULL, job->nonce, sealing) == 1;
	slot->keyed = EVP_CipherInit_ex(slot->ctx, NULL, NULL, job->key, job->nonce, sealing) == 1;
	memcpy(slot->key, job->key, len);
	return slot->keyed;
}

int ch_aead_run(struct ch_record_engine *engine, uint8_t aead, bool sealing,
		const struct ch_aead_job *job)
{
	struct slot *slot = &engine->slots[aead][sealing];
	EVP_CIPHER_CTX *ctx = slot->ctx;
	bool fine = slot_key(slot, aead, sealing, job);
	int len;

	if (fine && !sealing)
		fine = EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, CH_AEAD_TAG, job->tag) == 1;
	if (fine)
		fine = EVP_CipherUpdate(ctx, NULL, &len, job->aad, (int)job->aad_len) == 1;
	if (fine && job->text_len > 0)
		fine = EVP_CipherUpdate(ctx, job->text, &len, job->text, (int)job->text_len) == 1;
	if (fine)
		fine = EVP_CipherFinal_ex(ctx, job->text + job->text_len, &len) == 1;
	if (fine && sealing)
		fine = EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, CH_AEAD_TAG, job->tag) == 1;
	if (fine)
		return 0;
	/* A failed open may leave the context in the middle of a record. */
	slot->keyed = false;
	ERR_clear_error();
	return CH_E_CRYPTO;
}
