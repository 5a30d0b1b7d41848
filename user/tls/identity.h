/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Inside user/tls: what a certificate says about a device. Parses only; verifies nothing. */
#include "trust.h"
#include <openssl/x509.h>

/**
 * Fills hashes and expiry; manufacturer NONE and no identifier.
 * @return 0, or CH_E_SYNTAX: the certificate cannot be encoded or its dates are malformed
 */
CH_NODISCARD int ch_identity_init(struct ch_identity *identity, X509 *cert);

/** Seconds since 1970, also before and far beyond it; INT64_MIN if it is malformed. */
int64_t ch_time_of(const ASN1_TIME *time);

/** @return 0 or CH_E_CRYPTO */
CH_NODISCARD int ch_identity_facts(X509 *cert, struct ch_certificate_facts *facts);

/**
 * Reads the identifier from the place its manufacturer uses.
 * @return 0, or CH_E_UNKNOWN: there is none, it is not usable, or it is ambiguous (then
 * @identifier is "")
 */
CH_NODISCARD int ch_identity_read(X509 *cert, enum ch_identifier_kind kind,
				  char identifier[CH_IDENTIFIER_MAX + 1]);
