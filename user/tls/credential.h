/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Inside user/tls: what a credential is made of. Immutable once loaded, but the objects of OpenSSL
 * in it are one thread's.
 */
#include "trust.h"
#include <openssl/x509.h>

struct ch_credential {
	X509 *cert;
	STACK_OF(X509) *chain; /**< the rest of the chain, leaf excluded; may be empty */
	EVP_PKEY *key;
	struct ch_credential *next; /**< NULL, or what takes its place in a roll-over */
};

/**
 * Which of the two certificates of a roll-over a device gets: the one that is valid now; if both
 * are, the one whose issuers the device named; if that does not tell, what @prefer_next says.
 * @names may be NULL.
 */
const struct ch_credential *ch_credential_choose(const struct ch_credential *credential,
						 const STACK_OF(X509_NAME) *names,
						 bool prefer_next);
