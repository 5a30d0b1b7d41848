/* SPDX-License-Identifier: Apache-2.0 */
#include "keys.h"

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/kdf.h>
#include <string.h>

#define HASH_MAX 48
#define LABEL_MAX 16

/*
 * RFC 8446 section 7.1 with an empty context. No output here is longer than the hash, so that
 * HKDF-Expand is one HMAC over the label and the counter byte 1.
 */
static int expand_label(const uint8_t *secret, size_t secret_len, const char *label, uint8_t *out,
			size_t out_len)
{
	static const char prefix[] = "tls13 ";
	const EVP_MD *md = secret_len == 48 ? EVP_sha384() : EVP_sha256();
	size_t label_len = strlen(label);
	uint8_t info[2 + 1 + sizeof(prefix) - 1 + LABEL_MAX + 1 + 1];
	uint8_t block[EVP_MAX_MD_SIZE];
	unsigned block_len = 0;
	size_t at = 0;
	int err = CH_E_CRYPTO;

	if (label_len > LABEL_MAX || out_len > secret_len)
		return CH_E_CRYPTO;
	info[at++] = 0;
	info[at++] = (uint8_t)out_len;
	info[at++] = (uint8_t)(sizeof(prefix) - 1 + label_len);
	memcpy(info + at, prefix, sizeof(prefix) - 1);
	at += sizeof(prefix) - 1;
	memcpy(info + at, label, label_len);
	at += label_len;
	info[at++] = 0;
	info[at++] = 1;
	if (HMAC(md, secret, (int)secret_len, info, at, block, &block_len) != NULL &&
	    block_len >= out_len) {
		memcpy(out, block, out_len);
		err = 0;
	}
	explicit_bzero(block, sizeof(block));
	ERR_clear_error();
	return err;
}

int ch_keys_from_secret(uint8_t aead, uint8_t secret_len, struct ch_direction_keys *direction)
{
	int err;

	if (secret_len != 32 && secret_len != 48)
		return CH_E_CRYPTO;
	err = expand_label(direction->secret, secret_len, "key", direction->key,
			   ch_aead_key_bytes(aead));
	if (err == 0)
		err = expand_label(direction->secret, secret_len, "iv", direction->iv,
				   sizeof(direction->iv));
	direction->sequence = 0;
	return err;
}

int ch_keys_update(uint8_t aead, uint8_t secret_len, struct ch_direction_keys *direction)
{
	uint8_t next[HASH_MAX];
	int err;

	if (secret_len != 32 && secret_len != 48)
		return CH_E_CRYPTO;
	err = expand_label(direction->secret, secret_len, "traffic upd", next, secret_len);
	if (err == 0) {
		memcpy(direction->secret, next, secret_len);
		err = ch_keys_from_secret(aead, secret_len, direction);
	}
	explicit_bzero(next, sizeof(next));
	return err;
}

static int tls12_prf(const char *digest, const uint8_t *secret, size_t secret_len,
		     const uint8_t *seed, size_t seed_len, uint8_t *out, size_t out_len)
{
	OSSL_PARAM params[] = {
		OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, (char *)digest, 0),
		OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SECRET, (void *)secret,
						  secret_len),
		OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SEED, (void *)seed, seed_len),
		OSSL_PARAM_construct_end(),
	};
	EVP_KDF *kdf = EVP_KDF_fetch(NULL, "TLS1-PRF", NULL);
	EVP_KDF_CTX *ctx = kdf != NULL ? EVP_KDF_CTX_new(kdf) : NULL;
	int err = CH_E_CRYPTO;

	if (ctx != NULL && EVP_KDF_derive(ctx, out, out_len, params) == 1)
		err = 0;
	EVP_KDF_CTX_free(ctx);
	EVP_KDF_free(kdf);
	ERR_clear_error();
	return err;
}

int ch_keys_from_master(struct ch_record_keys *keys, const uint8_t *master, size_t master_len,
			const uint8_t client_random[32], const uint8_t server_random[32],
			bool sha384, bool client)
{
	static const char label[] = "key expansion";
	struct ch_direction_keys *writes[2] = {client ? &keys->tx : &keys->rx,
					       client ? &keys->rx : &keys->tx};
	size_t key_len = ch_aead_key_bytes(keys->aead);
	/* RFC 5288: a 4-byte salt. RFC 7905: the whole 12 bytes. */
	size_t iv_len = keys->aead == CH_AEAD_CHACHA20_POLY1305 ? 12 : 4;
	uint8_t seed[sizeof(label) - 1 + 64];
	uint8_t block[2 * (32 + 12)];
	int err;

	memcpy(seed, label, sizeof(label) - 1);
	memcpy(seed + sizeof(label) - 1, server_random, 32);
	memcpy(seed + sizeof(label) - 1 + 32, client_random, 32);
	err = tls12_prf(sha384 ? "SHA384" : "SHA256", master, master_len, seed, sizeof(seed), block,
			2 * (key_len + iv_len));
	for (size_t i = 0; i < 2 && err == 0; i++) {
		memcpy(writes[i]->key, block + i * key_len, key_len);
		memset(writes[i]->iv, 0, sizeof(writes[i]->iv));
		memcpy(writes[i]->iv, block + 2 * key_len + i * iv_len, iv_len);
	}
	explicit_bzero(block, sizeof(block));
	return err;
}
