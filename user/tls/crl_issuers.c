/* SPDX-License-Identifier: Apache-2.0 */
/* Who may sign revocation lists, and whether one did. */
#include "provider.h"
#include "revocation_set.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SECURITY_BITS 112

int ch_crl_hash(struct ch_slice data, uint8_t hash[16])
{
	uint8_t sha256[32];

	if (EVP_Digest(data.data, data.len, sha256, NULL, EVP_sha256(), NULL) != 1)
		return CH_E_CRYPTO;
	memcpy(hash, sha256, 16);
	return 0;
}

int ch_crl_issuers_new(struct ch_crl_issuers **issuers)
{
	struct ch_crl_issuers *made = calloc(1, sizeof(*made));

	if (made == NULL)
		return -ENOMEM;
	atomic_init(&made->references, 1);
	pthread_mutex_init(&made->lock, NULL);
	*issuers = made;
	return 0;
}

struct ch_crl_issuers *ch_crl_issuers_take(struct ch_crl_issuers *issuers)
{
	atomic_fetch_add(&issuers->references, 1);
	return issuers;
}

void ch_crl_issuers_drop(struct ch_crl_issuers *issuers)
{
	if (issuers == NULL || atomic_fetch_sub(&issuers->references, 1) != 1)
		return;
	for (uint32_t i = 0; i < issuers->count; i++) {
		OPENSSL_free(issuers->known[i]->spki);
		free(issuers->known[i]);
	}
	pthread_mutex_destroy(&issuers->lock);
	free(issuers);
}

static bool is_owner(const struct ch_crl_issuer *issuer, const char *owner)
{
	uint32_t count = atomic_load_explicit(&issuer->owner_count, memory_order_acquire);

	for (uint32_t i = 0; i < count; i++)
		if (strcmp(issuer->owners[i], owner) == 0)
			return true;
	return false;
}

bool ch_crl_list_is_of(const struct ch_crl_list *list, const char *owner)
{
	const struct ch_crl_issuer *issuer =
		atomic_load_explicit(&list->issuer, memory_order_acquire);

	return issuer != NULL && (owner == NULL || is_owner(issuer, owner));
}

static struct ch_crl_issuer *find(struct ch_crl_issuers *issuers, const uint8_t name[16],
				  const uint8_t *spki, int spki_len)
{
	uint32_t count = atomic_load_explicit(&issuers->count, memory_order_acquire);

	for (uint32_t i = 0; i < count; i++) {
		struct ch_crl_issuer *known = issuers->known[i];

		if (memcmp(known->name, name, 16) == 0 && known->spki_len == spki_len &&
		    memcmp(known->spki, spki, (size_t)spki_len) == 0)
			return known;
	}
	return NULL;
}

/* Under the lock. */
static int add_owner(struct ch_crl_issuer *issuer, const char *owner)
{
	uint32_t count = issuer->owner_count;

	if (is_owner(issuer, owner))
		return 0;
	if (count == CH_CRL_OWNERS_MAX)
		return CH_E_LIMIT;
	snprintf(issuer->owners[count], sizeof(issuer->owners[count]), "%s", owner);
	atomic_store_explicit(&issuer->owner_count, count + 1, memory_order_release);
	return 0;
}

/* Under the lock. Takes @spki in every case. */
static int append(struct ch_crl_issuers *issuers, const uint8_t name[16], uint8_t *spki,
		  int spki_len, const char *owner)
{
	struct ch_crl_issuer *made = NULL;
	uint32_t count = issuers->count;
	int err = count == CH_CRL_ISSUERS_MAX ? CH_E_LIMIT : 0;

	if (err == 0) {
		made = calloc(1, sizeof(*made));
		err = made == NULL ? -ENOMEM : 0;
	}
	if (err != 0) {
		OPENSSL_free(spki);
		return err;
	}
	memcpy(made->name, name, 16);
	made->spki = spki;
	made->spki_len = spki_len;
	snprintf(made->owners[0], sizeof(made->owners[0]), "%s", owner);
	made->owner_count = 1;
	issuers->known[count] = made;
	atomic_store_explicit(&issuers->count, count + 1, memory_order_release);
	return 0;
}

int ch_crl_issuers_learn(struct ch_crl_issuers *issuers, X509 *ca, const char *owner)
{
	struct ch_crl_issuer *known;
	struct ch_slice subject;
	uint8_t name[16];
	uint8_t *spki = NULL;
	int spki_len;
	int err;

	if ((X509_get_key_usage(ca) & KU_CRL_SIGN) == 0 ||
	    X509_NAME_get0_der(X509_get_subject_name(ca), &subject.data, &subject.len) != 1 ||
	    ch_crl_hash(subject, name) != 0)
		return CH_E_CRYPTO;
	spki_len = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(ca), &spki);
	if (spki_len <= 0)
		return -ENOMEM;
	known = find(issuers, name, spki, spki_len);
	if (known != NULL && is_owner(known, owner)) {
		OPENSSL_free(spki);
		return 0;
	}
	pthread_mutex_lock(&issuers->lock);
	known = find(issuers, name, spki, spki_len);
	if (known == NULL) {
		err = append(issuers, name, spki, spki_len, owner);
	} else {
		OPENSSL_free(spki);
		err = add_owner(known, owner);
	}
	pthread_mutex_unlock(&issuers->lock);
	return err;
}

int ch_crl_digest(const struct ch_crl *crl, struct ch_crl_list *list, char error[CH_CRL_ERROR])
{
	const unsigned char *at = crl->algorithm.data;
	X509_ALGOR *algorithm = d2i_X509_ALGOR(NULL, &at, (long)crl->algorithm.len);
	const ASN1_OBJECT *oid = NULL;
	char name[64] = "?";
	const EVP_MD *md;
	int err = CH_E_UNSUPPORTED;

	if (algorithm != NULL) {
		X509_ALGOR_get0(&oid, NULL, NULL, algorithm);
		OBJ_obj2txt(name, sizeof(name), oid, 0);
	}
	snprintf(error, CH_CRL_ERROR,
		 "is signed with %.60s: only RSA (PKCS #1) and ECDSA with SHA-2 are taken", name);
	if (oid != NULL &&
	    OBJ_find_sigid_algs(OBJ_obj2nid(oid), &list->digest_nid, &list->key_nid) == 1 &&
	    (list->key_nid == NID_rsaEncryption || list->key_nid == NID_X9_62_id_ecPublicKey) &&
	    (list->digest_nid == NID_sha256 || list->digest_nid == NID_sha384 ||
	     list->digest_nid == NID_sha512)) {
		md = EVP_get_digestbynid(list->digest_nid);
		err = md != NULL && EVP_Digest(crl->tbs.data, crl->tbs.len, list->digest, NULL, md,
					       NULL) == 1
			      ? 0
			      : CH_E_CRYPTO;
	}
	X509_ALGOR_free(algorithm);
	ERR_clear_error();
	return err;
}

static bool signed_by(const struct ch_crl_list *list, const struct ch_crl_issuer *issuer)
{
	const unsigned char *at = issuer->spki;
	EVP_PKEY *key = d2i_PUBKEY_ex(NULL, &at, issuer->spki_len, ch_tls_algorithms(), NULL);
	const EVP_MD *md = EVP_get_digestbynid(list->digest_nid);
	EVP_PKEY_CTX *ctx = NULL;
	bool good = false;

	if (key != NULL && md != NULL &&
	    EVP_PKEY_get_base_id(key) == EVP_PKEY_type(list->key_nid) &&
	    EVP_PKEY_get_security_bits(key) >= SECURITY_BITS)
		ctx = EVP_PKEY_CTX_new_from_pkey(ch_tls_algorithms(), key, NULL);
	if (ctx != NULL && EVP_PKEY_verify_init(ctx) == 1 &&
	    EVP_PKEY_CTX_set_signature_md(ctx, md) == 1)
		good = EVP_PKEY_verify(ctx, list->signature, list->signature_len, list->digest,
				       (size_t)EVP_MD_get_size(md)) == 1;
	EVP_PKEY_CTX_free(ctx);
	EVP_PKEY_free(key);
	ERR_clear_error();
	return good;
}

/* Under the lock. */
static void try_key(struct ch_revocation *set, struct ch_crl_issuer *issuer)
{
	for (uint32_t i = 0; i < set->list_count; i++) {
		struct ch_crl_list *list = set->lists[i];

		if (memcmp(list->name, issuer->name, 16) == 0 && list->issuer == NULL &&
		    signed_by(list, issuer))
			atomic_store_explicit(&list->issuer, issuer, memory_order_release);
	}
}

void ch_crl_issuers_settle(struct ch_revocation *set)
{
	struct ch_crl_issuers *issuers = set->issuers;

	if (atomic_load_explicit(&set->issuers_seen, memory_order_acquire) ==
	    atomic_load_explicit(&issuers->count, memory_order_acquire))
		return;
	pthread_mutex_lock(&issuers->lock);
	for (uint32_t i = set->issuers_seen; i < issuers->count; i++)
		try_key(set, issuers->known[i]);
	atomic_store_explicit(&set->issuers_seen, issuers->count, memory_order_release);
	pthread_mutex_unlock(&issuers->lock);
}
