/* SPDX-License-Identifier: Apache-2.0 */
#include "seal.h"

#include <err.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <string.h>

#define TAG 16
#define PLAIN_MAX 16384

enum { CCS = 20, ALERT = 21, HANDSHAKE = 22, DATA = 23, HEARTBEAT = 24 };

void seal_secret(struct seal *seal, const char *line)
{
	const char *hex = strrchr(line, ' ');

	if (strncmp(line, "SERVER_TRAFFIC_SECRET_0 ", 24) != 0 || hex == NULL ||
	    strlen(hex + 1) != 2 * sizeof(seal->secret))
		return;
	for (size_t i = 0; i < sizeof(seal->secret); i++) {
		unsigned byte;

		if (sscanf(hex + 1 + 2 * i, "%2x", &byte) != 1)
			return;
		seal->secret[i] = (uint8_t)byte;
	}
	seal->known = true;
}

void seal_count(struct seal *seal, const uint8_t *data, size_t len)
{
	while (len >= 5) {
		size_t record = 5 + ((size_t)data[3] << 8 | data[4]);

		if (record > len)
			return;
		seal->sequence++;
		data += record;
		len -= record;
	}
}

/* HKDF-Expand-Label(secret, label, "", len) of RFC 8446 section 7.1. */
static void expand(const uint8_t secret[32], const char *label, uint8_t *out, size_t len)
{
	EVP_KDF *kdf = EVP_KDF_fetch(NULL, "HKDF", NULL);
	EVP_KDF_CTX *ctx = EVP_KDF_CTX_new(kdf);
	int mode = EVP_KDF_HKDF_MODE_EXPAND_ONLY;
	uint8_t info[32] = {0, (uint8_t)len, (uint8_t)(6 + strlen(label))};
	size_t info_len = 3 + 6 + strlen(label) + 1;
	OSSL_PARAM params[] = {
		OSSL_PARAM_construct_int(OSSL_KDF_PARAM_MODE, &mode),
		OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, (char *)"SHA256", 0),
		OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, (void *)secret, 32),
		OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO, info, info_len),
		OSSL_PARAM_construct_end(),
	};

	snprintf((char *)info + 3, sizeof(info) - 3, "tls13 %s", label);
	if (EVP_KDF_derive(ctx, out, len, params) != 1)
		errx(1, "EVP_KDF_derive");
	EVP_KDF_CTX_free(ctx);
	EVP_KDF_free(kdf);
}

/* Puts one record with that inner type and @pad zeros. */
static void put(struct seal *seal, struct wire *wire, uint8_t type, const void *data, size_t len,
		size_t pad)
{
	static uint8_t record[5 + PLAIN_MAX + 512 + TAG];
	size_t inner = len + 1 + pad;
	size_t body = inner + TAG;
	uint8_t header[5] = {DATA, 3, 3, (uint8_t)(body >> 8), (uint8_t)body};
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	uint8_t key[16];
	uint8_t nonce[12];
	int done;

	expand(seal->secret, "key", key, sizeof(key));
	expand(seal->secret, "iv", nonce, sizeof(nonce));
	for (int i = 0; i < 8; i++)
		nonce[11 - i] ^= (uint8_t)(seal->sequence >> 8 * i);
	seal->sequence++;
	memcpy(record, header, 5);
	memcpy(record + 5, data, len);
	record[5 + len] = type;
	memset(record + 5 + len + 1, 0, pad);
	if (EVP_EncryptInit_ex(ctx, EVP_aes_128_gcm(), NULL, key, nonce) != 1 ||
	    EVP_EncryptUpdate(ctx, NULL, &done, header, 5) != 1 ||
	    EVP_EncryptUpdate(ctx, record + 5, &done, record + 5, (int)inner) != 1 ||
	    EVP_EncryptFinal_ex(ctx, record + 5 + inner, &done) != 1 ||
	    EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, TAG, record + 5 + inner) != 1)
		errx(1, "cannot seal");
	EVP_CIPHER_CTX_free(ctx);
	wire_put(wire, record, 5 + body);
}

static const struct attack {
	const char *name;
	uint8_t type; /**< inner type; 0 with no data: a record of nothing but zeros */
	uint8_t len;
	const char *data;
	unsigned count;
	size_t pad;
} attacks[] = {
	/* RFC 8446 section 4.6.2: only for clients that offered post_handshake_auth. Context of one
	 * byte, signature_algorithms with ecdsa_secp256r1_sha256. */
	{"certificate-request", HANDSHAKE, 16, "\x0d\0\0\x0c\x01X\0\x08\0\x0d\0\x04\0\x02\x04\x03",
	 1, 0},
	{"client-hello", HANDSHAKE, 8, "\x01\0\0\x04\x03\x03\0\0", 1, 0},
	{"key-update-not-last", HANDSHAKE, 9, "\x18\0\0\x01\0\x18\0\0\x01", 1, 0},
	{"key-update-value", HANDSHAKE, 5, "\x18\0\0\x01\x02", 1, 0},
	{"half-ticket-then-data", HANDSHAKE, 5, "\x04\0\0\x40\0", 1, 0},
	{"empty-handshake", HANDSHAKE, 0, "", 1, 0},
	{"unknown-record", 99, 3, "abc", 1, 0},
	{"inner-ccs", CCS, 1, "\x01", 1, 0},
	{"only-zeros", 0, 0, "", 1, 64},
	{"heartbeat", HEARTBEAT, 24, "\x01\0\x05hello0123456789abcdef", 1, 0},
	{"empty-flood", DATA, 0, "", 200, 100},
	{"user-canceled", ALERT, 2, "\x01\x5a", 1, 0},
	{"fatal-alert", ALERT, 2, "\x02\x50", 1, 0},
	{"unknown-alert", ALERT, 2, "\x01\xff", 1, 0},
	{"long-alert", ALERT, 4, "\x01\0\x01\0", 1, 0},
	{"long-record", DATA, 1, "x", 1, PLAIN_MAX},
	{"full-record", DATA, 1, "\n", 1, PLAIN_MAX - 1},
};

/* In the clear, whatever the version: nobody needs a key for these. */
static const struct plain {
	const char *name;
	size_t len;
	const char *data;
} plains[] = {
	{"plain-alert", 7, "\x15\x03\x03\0\x02\x02\x28"},
	{"plain-ccs", 6, "\x14\x03\x03\0\x01\x01"},
	{"plain-unknown", 8, "\x63\x03\x03\0\x03\x61\x62\x63"},
	{"plain-text", 16, "GET / HTTP/1.0\r\n"},
	{"plain-length", 5, "\x17\x03\x03\xff\xff"},
};

bool seal_attack(struct seal *seal, const char *kind, int version, struct wire *wire)
{
	for (size_t i = 0; i < sizeof(plains) / sizeof(plains[0]); i++) {
		if (strcmp(plains[i].name, kind) != 0)
			continue;
		wire_put(wire, plains[i].data, plains[i].len);
		return true;
	}
	for (size_t i = 0; i < sizeof(attacks) / sizeof(attacks[0]); i++) {
		const struct attack *a = &attacks[i];

		if (strcmp(a->name, kind) != 0 || version != TLS1_3_VERSION || !seal->known)
			continue;
		for (unsigned n = 0; n < a->count; n++)
			put(seal, wire, a->type, a->data, a->len, a->pad);
		if (strcmp(kind, "half-ticket-then-data") == 0)
			put(seal, wire, DATA, "\n", 1, 0);
		return true;
	}
	return false;
}
