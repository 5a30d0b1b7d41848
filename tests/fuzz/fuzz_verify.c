/* SPDX-License-Identifier: Apache-2.0 */
/* links: tls core */
/*
 * The judgement over a device's chain. Input: which of four chains, then changes to it of four
 * bytes each (what and to which certificate, where, value); with the top bit of the first byte set,
 * the chain itself in DER. Nobody has the keys, so whatever the chain: what is accepted is a device
 * that was accepted from the start, under its own manufacturer; and issuers that were verified
 * before change no verdict.
 */
#include "fuzz.h"
#include "pki.h"
#include "user/tls/verify.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#define CERTS_MAX 12

struct der {
	uint8_t *data;
	size_t len;
};

struct chain {
	struct der certs[CERTS_MAX];
	size_t count;
};

/** Who may be accepted. */
static const struct known {
	const char *pem;
	const char *identifier;
	uint32_t manufacturer;
} known[] = {{acme_sn1, "SN1", 0}, {acme_sn2, "SN2", 0}, {borg_bn1, "BN1", 1}};

static const char *const chains[4][3] = {{acme_sn1, acme_factory, acme_root},
					 {acme_sn2},
					 {borg_bn1, borg_root},
					 {fake_sn1, fake_factory, acme_factory}};

static struct ch_verifier verifier;

static enum ch_reason lookup(void *ctx, const struct ch_identity *identity, struct ch_match *match)
{
	(void)ctx;
	for (uint32_t i = 0; i < 3; i++) {
		if (strcmp(identity->identifier, known[i].identifier) != 0)
			continue;
		*match = (struct ch_match){.device = i};
		return identity->manufacturer == known[i].manufacturer
			       ? CH_REASON_NONE
			       : CH_REASON_WRONG_MANUFACTURER;
	}
	return CH_REASON_UNKNOWN_DEVICE;
}

static X509 *from_pem(const char *pem)
{
	BIO *bio = BIO_new_mem_buf(pem, -1);
	X509 *cert = PEM_read_bio_X509(bio, NULL, NULL, NULL);

	BIO_free(bio);
	check(cert != NULL);
	return cert;
}

static void add_manufacturer(struct ch_trust *trust, const char *name, const char *pem,
			     enum ch_identifier_kind kind)
{
	char error[CH_ERROR_TEXT];
	char path[32];
	int fd = memfd_create(name, 0);

	check(fd >= 0 && write(fd, pem, strlen(pem)) == (ssize_t)strlen(pem));
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	check(ch_trust_add(trust, name, path, kind, error) == 0);
	close(fd);
}

static void begin(void)
{
	struct ch_trust *trust;

	check(ch_trust_new(&trust) == 0);
	add_manufacturer(trust, "acme", acme_root, CH_IDENTIFIER_SERIAL_NUMBER);
	add_manufacturer(trust, "borg", borg_root, CH_IDENTIFIER_CN);
	verifier.trust = trust;
	verifier.lookup = lookup;
	check(ch_issuers_new(&verifier.issuers) == 0);
}

/* ---- the chain ---- */

static void insert(struct chain *chain, size_t at, const uint8_t *data, size_t len)
{
	if (chain->count == CERTS_MAX || at > chain->count)
		return;
	memmove(chain->certs + at + 1, chain->certs + at,
		(chain->count - at) * sizeof(chain->certs[0]));
	chain->certs[at] = (struct der){malloc(len + 1), len};
	memcpy(chain->certs[at].data, data, len);
	chain->count++;
}

static void drop(struct chain *chain, size_t at)
{
	free(chain->certs[at].data);
	chain->count--;
	memmove(chain->certs + at, chain->certs + at + 1,
		(chain->count - at) * sizeof(chain->certs[0]));
}

static void chain_given(struct chain *chain, const char *const pems[3])
{
	for (size_t i = 0; i < 3 && pems[i] != NULL; i++) {
		X509 *cert = from_pem(pems[i]);
		uint8_t *der = NULL;
		int len = i2d_X509(cert, &der);

		check(len > 0);
		insert(chain, i, der, (size_t)len);
		OPENSSL_free(der);
		X509_free(cert);
	}
}

static void change(struct chain *chain, const uint8_t op[4])
{
	size_t index = op[0] % 16u;
	size_t at = (size_t)op[1] << 8 | op[2];
	struct der *der;

	if (index >= chain->count)
		return;
	der = &chain->certs[index];
	at %= der->len;
	switch (op[0] / 16) {
	case 0:
		der->data[at] ^= op[3];
		break;
	case 1:
		der->data[at] = op[3];
		break;
	case 2:
		memmove(der->data + at, der->data + at + 1, der->len - at - 1);
		der->data[der->len - 1] = op[3];
		break;
	case 3:
		der->len -= der->len > 1;
		break;
	case 4:
		drop(chain, index);
		break;
	case 5:
		insert(chain, op[3] % (chain->count + 1u), der->data, der->len);
		break;
	default: {
		struct der swap = *der;

		*der = chain->certs[op[3] % chain->count];
		chain->certs[op[3] % chain->count] = swap;
	}
	}
}

static void chain_parse(struct chain *chain, const uint8_t *data, size_t size)
{
	const uint8_t *at = data;
	X509 *cert;

	while (chain->count < CERTS_MAX &&
	       (cert = d2i_X509(NULL, &at, (long)(data + size - at))) != NULL) {
		insert(chain, chain->count, data, (size_t)(at - data));
		size -= (size_t)(at - data);
		data = at;
		X509_free(cert);
	}
}

/* ---- the judgement ---- */

static bool same_tbs(X509 *one, X509 *other)
{
	uint8_t *der[2] = {NULL, NULL};
	int len[2] = {i2d_re_X509_tbs(one, &der[0]), i2d_re_X509_tbs(other, &der[1])};
	bool same = len[0] > 0 && len[0] == len[1] && memcmp(der[0], der[1], (size_t)len[0]) == 0;

	OPENSSL_free(der[0]);
	OPENSSL_free(der[1]);
	return same;
}

static void judge(STACK_OF(X509) * stack, bool as_given, const struct known *good)
{
	X509 *leaf = sk_X509_value(stack, 0);
	struct ch_verifier forgetful = verifier;
	struct ch_verdict fresh;
	struct ch_verdict verdict;

	check(ch_issuers_new(&forgetful.issuers) == 0);
	ch_verify(&forgetful, leaf, stack, &fresh);
	ch_verify(&verifier, leaf, stack, &verdict);
	check(verdict.reason == fresh.reason && strcmp(verdict.detail, fresh.detail) == 0);
	for (const char *c = verdict.detail; *c != '\0'; c++)
		check(*c >= ' ' && *c <= '~');
	check(!as_given || (verdict.reason == CH_REASON_NONE) == (good != NULL));
	if (verdict.reason == CH_REASON_NONE) {
		const struct known *device = &known[verdict.match.device];
		X509 *genuine = from_pem(device->pem);

		check(verdict.identity.manufacturer == device->manufacturer);
		check(strcmp(verdict.identity.identifier, device->identifier) == 0);
		check(verdict.path.count > 0 && verdict.path.count == fresh.path.count);
		check(same_tbs(leaf, genuine));
		X509_free(genuine);
	}
	ch_verdict_deinit(&verdict);
	ch_verdict_deinit(&fresh);
	ch_issuers_free(forgetful.issuers);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	STACK_OF(X509) * stack;
	struct chain chain = {.count = 0};

	if (size < 1)
		return 0;
	if (verifier.trust == NULL)
		begin();
	if (data[0] & 0x80)
		chain_parse(&chain, data + 1, size - 1);
	else
		chain_given(&chain, chains[data[0] % 4]);
	for (size_t at = 1; (data[0] & 0x80) == 0 && at + 4 <= size && chain.count > 0; at += 4)
		change(&chain, data + at);
	stack = sk_X509_new_null();
	for (size_t i = 0; i < chain.count; i++) {
		const uint8_t *der = chain.certs[i].data;
		X509 *cert = d2i_X509(NULL, &der, (long)chain.certs[i].len);

		if (cert != NULL)
			sk_X509_push(stack, cert);
	}
	if (sk_X509_num(stack) > 0)
		judge(stack, size == 1, data[0] % 4 < 3 ? &known[data[0] % 4] : NULL);
	sk_X509_pop_free(stack, X509_free);
	/* What an error leaves in the queue would look like a leak of this input. */
	ERR_clear_error();
	while (chain.count > 0)
		drop(&chain, 0);
	return 0;
}
