/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Revocation lists and OCSP responses for the tests; everything aborts on failure. */
#include "tls_fixture.h"
#include "user/core/buf.h"

struct fx_crl {
	X509 *issuer;
	EVP_PKEY *key;
	X509 *const *revoked;  /**< up to NULL */
	X509 *const *removed;  /**< likewise: delta, removeFromCRL */
	long number;	       /**< 0 = none */
	long base;	       /**< delta; 0 = a complete list */
	const char *point;     /**< issuing distribution point in OpenSSL's syntax */
	const char *extension; /**< OID of an unknown critical extension */
	int from_s, to_s;      /**< relative to now; both 0: an hour ago until tomorrow */
	bool sha1;
	bool pem;
};

/** Appends the list to @out. */
void fx_crl(const struct fx_crl *fields, struct ch_buf *out);
/** A list of @count made-up serial numbers and then @revoked, if not NULL; DER. Milliseconds. */
void fx_crl_big(X509 *issuer, EVP_PKEY *key, uint32_t count, X509 *revoked, struct ch_buf *out);
/** Writes @content to DIR/NAME by a rename. */
void fx_write(const char *dir, const char *name, const struct ch_buf *content);
/** fx_crl into DIR/NAME. */
void fx_crl_file(const char *dir, const char *name, const struct fx_crl *fields);

struct fx_ocsp {
	X509 *leaf;
	X509 *issuer;
	X509 *signer; /**< NULL: @issuer */
	EVP_PKEY *key;
	int status;	  /**< V_OCSP_CERTSTATUS_... */
	int from_s, to_s; /**< as above */
	bool sha256;	  /**< hash of the certID */
};
void fx_ocsp(const struct fx_ocsp *fields, struct ch_buf *out);
