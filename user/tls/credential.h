/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Inside user/tls: what a credential is made of. Immutable, so threads may share one. */
#include "trust.h"
#include <openssl/x509.h>

struct ch_credential {
	X509 *cert;
	STACK_OF(X509) *chain; /**< the rest of the chain, leaf excluded; may be empty */
	EVP_PKEY *key;
};
