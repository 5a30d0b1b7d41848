/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Inside user/tls: the judgement over a device's certificate (RFC 8071 C5, C6). Cheap checks come
 * first, signatures last. It can only refuse: possession of the key is not proven yet.
 */
#include "anchors.h"
#include "issuers.h"
#include "revocation_set.h"
#include "trust.h"

#define CH_DETAIL_MAX 160 /**< bytes of a detail text */

struct ch_verdict {
	enum ch_reason reason;	     /**< NONE: accepted */
	struct ch_identity identity; /**< meaningful when accepted */
	struct ch_match match;	     /**< meaningful when accepted */
	struct ch_path path;	     /**< meaningful when accepted */
	X509 *cas[CH_CHAIN_MAX];     /**< above the device, @path.count of them (owned); none by a pin */
	X509 *issuer;		     /**< of the device, for its staple; NULL by a pin (owned) */
	enum ch_reason lacking;	     /**< why the lists do not do for it: a staple must */
	bool refuse_stale;	     /**< policy for its staple */
	bool stale;		     /**< accepted by what is out of date */
	bool stapled;		     /**< by a good staple */
	char detail[CH_DETAIL_MAX];  /**< more words for the log, "" if none */
};

/** Whom to ask. */
struct ch_verifier {
	const struct ch_trust *trust;
	ch_lookup_fn lookup;
	void *lookup_ctx;
	struct ch_issuers *issuers; /**< owned by the context */
	struct ch_revocation *revocation; /**< a reference of the context's; NULL = no lists */
};

/** Frees what the verdict owns. */
void ch_verdict_deinit(struct ch_verdict *verdict);

/** Judges @leaf with the presented @chain (which holds the leaf too). */
void ch_verify(const struct ch_verifier *verifier, X509 *leaf, STACK_OF(X509) *chain,
	       struct ch_verdict *verdict);

/** An X509_V_ERR_ code that makes OpenSSL send the alert that fits @reason. */
int ch_verify_error(enum ch_reason reason);

/** The reason for an error of X509_verify_cert. */
enum ch_reason ch_verify_reason(int x509_error);
