/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What a throw-away PKI says of its certificates: revocation lists and OCSP responses. */
#include <openssl/x509.h>
#include <stdbool.h>
#include <stdio.h>

/** What a simulated device staples to its certificate. */
enum sim_staple {
	SIM_STAPLE_NONE,
	SIM_STAPLE_REVOKED,
	SIM_STAPLE_UNKNOWN, /**< the responder does not know the certificate */
	SIM_STAPLE_STALE,   /**< good, until yesterday */
	SIM_STAPLE_FORGED,  /**< good, signed by nobody's CA */
	SIM_STAPLE_COUNT
};

/** Writes a list of @revoked (NULL: empty) as PEM. @return false: it could not be made or written */
bool sim_pki_write_crl(FILE *file, X509 *issuer, EVP_PKEY *key, X509 *revoked);

/** Writes an OCSP response about @leaf as DER; @forger signs a forged one. @return as above */
bool sim_pki_write_staple(FILE *file, enum sim_staple kind, X509 *leaf, X509 *issuer, EVP_PKEY *key,
			  X509 *forger, EVP_PKEY *forger_key);
