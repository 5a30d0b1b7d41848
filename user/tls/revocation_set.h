/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Inside user/tls: what a ch_revocation is made of, and the questions of a handshake to it. */
#include "crl.h"
#include "revocation.h"

#include <openssl/x509.h>
#include <pthread.h>
#include <stdatomic.h>

#define CH_CRLS_MAX 16384	/**< lists of one set: entries name them in 16 bits */
#define CH_CRL_ISSUERS_MAX 1024 /**< keys remembered */
#define CH_CRL_OWNERS_MAX 4	/**< manufacturers that share a key */

/** The key of a CA that signs lists. Never changes but for further owners. */
struct ch_crl_issuer {
	uint8_t name[16]; /**< hash of its name */
	uint8_t *spki;	  /**< DER */
	int spki_len;
	char owners[CH_CRL_OWNERS_MAX][64]; /**< names of manufacturers */
	_Atomic uint32_t owner_count;
};

/** Keys outlive the sets: a list that comes later is verified without waiting for a device. */
struct ch_crl_issuers {
	_Atomic uint32_t references;
	pthread_mutex_t lock; /**< appending, and verifying lists of a set */
	_Atomic uint32_t count;
	struct ch_crl_issuer *known[CH_CRL_ISSUERS_MAX];
};

/** One list. All but @issuer is immutable. */
struct ch_crl_list {
	uint8_t name[16];  /**< hash of its issuer's name */
	uint8_t scope[16]; /**< hash of its distribution point name; zeros = none */
	char *file;
	uint8_t *point; /**< DistributionPointName */
	size_t point_len;
	uint8_t *signature;
	size_t signature_len;
	uint8_t digest[64]; /**< of what is signed */
	int digest_nid;
	int key_nid; /**< kind of key that the signature is of */
	int64_t this_update;
	int64_t next_update;
	uint8_t number[CH_CRL_NUMBER];
	uint8_t base[CH_CRL_NUMBER];
	bool delta;
	bool users;
	bool authorities;
	_Atomic(struct ch_crl_issuer *) issuer; /**< who verified it; NULL = pending */
	uint32_t entries;
	uint16_t came; /**< its place before the set was sorted */
};

struct ch_crl_hit {
	uint8_t element[CH_PROOF_ELEMENT];
	uint16_t list;
	uint16_t removed; /**< by a delta */
};

struct ch_revocation {
	_Atomic uint32_t references;
	struct ch_crl_issuers *issuers;
	_Atomic uint32_t issuers_seen; /**< keys that were tried on the pending lists */
	struct ch_crl_list **lists;    /**< by name, then scope */
	uint32_t list_count;
	struct ch_crl_hit *hits; /**< by element */
	uint64_t hit_count;
	uint32_t refused;
	uint32_t kept;
	uint64_t build_ns;
	uint64_t built_unix_ns;
	uint64_t scanned;
	struct ch_crl_anchor {
		uint8_t sha256[32];
		char owner[64];
	} * anchors;
	size_t anchor_count;
};

enum ch_crl_status {
	CH_CRL_GOOD,
	CH_CRL_STALE,	/**< not on the list, but that is old */
	CH_CRL_MISSING, /**< no list tells of it */
	CH_CRL_REVOKED,
};

/** What a set knows of @cert; @owner: whose lists count, NULL = anybody's. */
enum ch_crl_status ch_revocation_ask(struct ch_revocation *set, X509 *cert, const char *owner,
				     int64_t now);

/** Remembers a CA of a verified chain of @owner, for its lists. Cheap when it is known. */
void ch_revocation_learn(struct ch_revocation *set, X509 *ca, const char *owner);

/* crl_issuers.c */
CH_NODISCARD int ch_crl_issuers_new(struct ch_crl_issuers **issuers);
struct ch_crl_issuers *ch_crl_issuers_take(struct ch_crl_issuers *issuers);
void ch_crl_issuers_drop(struct ch_crl_issuers *issuers);
/** @return 0 (also when it was known), -ENOMEM, CH_E_LIMIT or CH_E_CRYPTO (it may not sign lists)
 */
CH_NODISCARD int ch_crl_issuers_learn(struct ch_crl_issuers *issuers, X509 *ca, const char *owner);
/** Does the list count for @owner (NULL: anybody)? */
bool ch_crl_list_is_of(const struct ch_crl_list *list, const char *owner);
/** Tries keys that were learned since the last time on the pending lists of @set. */
void ch_crl_issuers_settle(struct ch_revocation *set);
/** Digest and kind of key of a signature algorithm. @return 0 or CH_E_UNSUPPORTED with @error. */
CH_NODISCARD int ch_crl_digest(const struct ch_crl *crl, struct ch_crl_list *list,
			       char error[CH_CRL_ERROR]);
/** 16 bytes of SHA-256. @return 0 or CH_E_CRYPTO. */
CH_NODISCARD int ch_crl_hash(struct ch_slice data, uint8_t hash[16]);
