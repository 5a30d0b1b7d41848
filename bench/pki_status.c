/* SPDX-License-Identifier: Apache-2.0 */
#include "pki_status.h"

#include <openssl/ocsp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#define DAY_S (24L * 3600)

static bool add_entry(X509_CRL *crl, X509 *cert)
{
	X509_REVOKED *entry = X509_REVOKED_new();
	ASN1_INTEGER *serial = ASN1_INTEGER_dup(X509_get0_serialNumber(cert));
	bool added = entry && serial && X509_REVOKED_set_serialNumber(entry, serial) &&
		     X509_REVOKED_set_revocationDate(
			     entry, (ASN1_TIME *)X509_CRL_get0_lastUpdate(crl)) &&
		     X509_CRL_add0_revoked(crl, entry);

	if (!added)
		X509_REVOKED_free(entry);
	ASN1_INTEGER_free(serial);
	return added;
}

bool sim_pki_write_crl(FILE *file, X509 *issuer, EVP_PKEY *key, X509 *revoked)
{
	X509_CRL *crl = X509_CRL_new();
	ASN1_INTEGER *number = ASN1_INTEGER_new();
	ASN1_TIME *from = X509_gmtime_adj(NULL, -DAY_S);
	ASN1_TIME *to = X509_gmtime_adj(NULL, 3650 * DAY_S);
	bool written = crl && number && from && to && X509_CRL_set_version(crl, 1) &&
		       X509_CRL_set_issuer_name(crl, X509_get_subject_name(issuer)) &&
		       X509_CRL_set1_lastUpdate(crl, from) && X509_CRL_set1_nextUpdate(crl, to) &&
		       ASN1_INTEGER_set(number, 1) &&
		       X509_CRL_add1_ext_i2d(crl, NID_crl_number, number, 0, 0) &&
		       (!revoked || add_entry(crl, revoked)) &&
		       X509_CRL_sign(crl, key, EVP_sha256()) && PEM_write_X509_CRL(file, crl);

	ASN1_TIME_free(from);
	ASN1_TIME_free(to);
	ASN1_INTEGER_free(number);
	X509_CRL_free(crl);
	return written;
}

static int status_of(enum sim_staple kind)
{
	switch (kind) {
	case SIM_STAPLE_REVOKED:
		return V_OCSP_CERTSTATUS_REVOKED;
	case SIM_STAPLE_UNKNOWN:
		return V_OCSP_CERTSTATUS_UNKNOWN;
	case SIM_STAPLE_STALE:
	case SIM_STAPLE_FORGED:
	case SIM_STAPLE_NONE:
	case SIM_STAPLE_COUNT:
		break;
	}
	return V_OCSP_CERTSTATUS_GOOD;
}

bool sim_pki_write_staple(FILE *file, enum sim_staple kind, X509 *leaf, X509 *issuer, EVP_PKEY *key,
			  X509 *forger, EVP_PKEY *forger_key)
{
	bool forged = kind == SIM_STAPLE_FORGED;
	OCSP_BASICRESP *basic = OCSP_BASICRESP_new();
	OCSP_CERTID *id = OCSP_cert_to_id(EVP_sha1(), leaf, issuer);
	ASN1_TIME *from = X509_gmtime_adj(NULL, -3 * DAY_S);
	ASN1_TIME *to = X509_gmtime_adj(NULL, kind == SIM_STAPLE_STALE ? -DAY_S : 3650 * DAY_S);
	OCSP_RESPONSE *response = NULL;
	bool written = false;

	if (basic && id && from && to &&
	    OCSP_basic_add1_status(basic, id, status_of(kind), 0, from, from, to) &&
	    OCSP_basic_sign(basic, forged ? forger : issuer, forged ? forger_key : key,
			    EVP_sha256(), NULL, 0))
		response = OCSP_response_create(OCSP_RESPONSE_STATUS_SUCCESSFUL, basic);
	if (response) {
		unsigned char *der = NULL;
		int len = i2d_OCSP_RESPONSE(response, &der);
		written = len > 0 && fwrite(der, (size_t)len, 1, file) == 1;
		OPENSSL_free(der);
	}
	OCSP_RESPONSE_free(response);
	OCSP_BASICRESP_free(basic);
	OCSP_CERTID_free(id);
	ASN1_TIME_free(from);
	ASN1_TIME_free(to);
	return written;
}
