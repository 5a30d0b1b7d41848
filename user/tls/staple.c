/* SPDX-License-Identifier: Apache-2.0 */
#include "staple.h"

#include <openssl/err.h>
#include <openssl/ocsp.h>
#include <openssl/x509v3.h>
#include <stdbool.h>
#include <time.h>

/* Clocks differ. */
#define SKEW_S 300

/* By the issuer itself or by whom it has delegated (RFC 6960 section 4.2.2.2). */
static bool is_signed(OCSP_BASICRESP *basic, X509 *issuer)
{
	STACK_OF(X509) *certs = sk_X509_new_null();
	X509_STORE *store = X509_STORE_new();
	bool good = certs != NULL && store != NULL && sk_X509_push(certs, issuer) > 0 &&
		    X509_STORE_add_cert(store, issuer) == 1 &&
		    OCSP_basic_verify(basic, certs, store, OCSP_PARTIAL_CHAIN) == 1;

	sk_X509_free(certs);
	X509_STORE_free(store);
	return good;
}

/* The answer about @leaf: its certID uses whatever hash the responder likes. */
static OCSP_SINGLERESP *find_answer(OCSP_BASICRESP *basic, X509 *leaf, X509 *issuer)
{
	OCSP_SINGLERESP *found = NULL;

	for (int i = 0; i < OCSP_resp_count(basic) && found == NULL; i++) {
		OCSP_SINGLERESP *single = OCSP_resp_get0(basic, i);
		OCSP_CERTID *theirs = (OCSP_CERTID *)OCSP_SINGLERESP_get0_id(single);
		ASN1_OBJECT *hash = NULL;
		OCSP_CERTID *ours = NULL;
		const EVP_MD *md;

		OCSP_id_get0_info(NULL, &hash, NULL, NULL, theirs);
		md = hash != NULL ? EVP_get_digestbyobj(hash) : NULL;
		if (md != NULL)
			ours = OCSP_cert_to_id(md, leaf, issuer);
		if (ours != NULL && OCSP_id_cmp(ours, theirs) == 0)
			found = single;
		OCSP_CERTID_free(ours);
	}
	return found;
}

static bool to_seconds(const ASN1_GENERALIZEDTIME *time, int64_t *seconds)
{
	struct tm tm;

	if (time == NULL || ASN1_TIME_to_tm(time, &tm) != 1)
		return false;
	*seconds = timegm(&tm);
	return true;
}

static enum ch_staple_status judge(OCSP_SINGLERESP *single, int64_t now, const char **why)
{
	ASN1_GENERALIZEDTIME *begins = NULL;
	ASN1_GENERALIZEDTIME *ends = NULL;
	int64_t from;
	int64_t to = 0;
	int status = OCSP_single_get0_status(single, NULL, NULL, &begins, &ends);

	*why = "revoked, as its stapled OCSP response says";
	if (status == V_OCSP_CERTSTATUS_REVOKED)
		return CH_STAPLE_REVOKED;
	*why = "its stapled OCSP response has no usable dates";
	if (!to_seconds(begins, &from) || (ends != NULL && !to_seconds(ends, &to)))
		return CH_STAPLE_BAD;
	*why = "its stapled OCSP response is from the future";
	if (from > now + SKEW_S)
		return CH_STAPLE_BAD;
	*why = "its stapled OCSP response is out of date";
	/* Without nextUpdate newer information is always available: a copy of it is old. */
	if (ends == NULL || to + SKEW_S < now)
		return CH_STAPLE_STALE;
	*why = "the OCSP responder does not know it";
	return status == V_OCSP_CERTSTATUS_GOOD ? CH_STAPLE_GOOD : CH_STAPLE_UNKNOWN;
}

enum ch_staple_status ch_staple_check(struct ch_slice der, X509 *leaf, X509 *issuer, int64_t now,
				      const char **why)
{
	const unsigned char *at = der.data;
	OCSP_RESPONSE *response = d2i_OCSP_RESPONSE(NULL, &at, (long)der.len);
	enum ch_staple_status status = CH_STAPLE_BAD;
	OCSP_BASICRESP *basic = NULL;
	OCSP_SINGLERESP *single;

	*why = "its stapled OCSP response cannot be parsed";
	if (response == NULL || at != der.data + der.len)
		goto out;
	*why = "its stapled OCSP response is an error of the responder";
	if (OCSP_response_status(response) != OCSP_RESPONSE_STATUS_SUCCESSFUL)
		goto out;
	basic = OCSP_response_get1_basic(response);
	*why = "its stapled OCSP response is about another certificate";
	single = basic != NULL ? find_answer(basic, leaf, issuer) : NULL;
	if (single == NULL)
		goto out;
	*why = "its stapled OCSP response is not signed by its issuer or whom that delegated";
	if (is_signed(basic, issuer))
		status = judge(single, now, why);
out:
	OCSP_BASICRESP_free(basic);
	OCSP_RESPONSE_free(response);
	ERR_clear_error();
	return status;
}
