/* SPDX-License-Identifier: Apache-2.0 */
#include "verify.h"

#include "identity.h"
#include "provider.h"
#include "status.h"

#include <openssl/err.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>

/* OpenSSL's security level 2: RSA-2048, P-224 and better; nothing signed with SHA-1. */
#define SECURITY_LEVEL 2
#define SECURITY_BITS 112

int ch_verify_error(enum ch_reason reason)
{
	static const int errors[CH_REASON_COUNT] = {
		[CH_REASON_CHAIN_LIMIT] = X509_V_ERR_CERT_CHAIN_TOO_LONG,
		[CH_REASON_BAD_CERT] = X509_V_ERR_CERT_SIGNATURE_FAILURE,
		[CH_REASON_SELF_SIGNED] = X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT,
		[CH_REASON_UNKNOWN_CA] = X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY,
		[CH_REASON_EXPIRED] = X509_V_ERR_CERT_HAS_EXPIRED,
		[CH_REASON_NOT_YET_VALID] = X509_V_ERR_CERT_NOT_YET_VALID,
		[CH_REASON_WRONG_USAGE] = X509_V_ERR_INVALID_PURPOSE,
		[CH_REASON_WEAK_KEY] = X509_V_ERR_EE_KEY_TOO_SMALL,
		[CH_REASON_REVOKED] = X509_V_ERR_CERT_REVOKED,
		[CH_REASON_INTERNAL] = X509_V_ERR_OUT_OF_MEM,
	};

	return errors[reason] != 0 ? errors[reason] : X509_V_ERR_CERT_REJECTED;
}

enum ch_reason ch_verify_reason(int x509_error)
{
	switch (x509_error) {
	case X509_V_ERR_CERT_HAS_EXPIRED:
		return CH_REASON_EXPIRED;
	case X509_V_ERR_CERT_NOT_YET_VALID:
		return CH_REASON_NOT_YET_VALID;
	case X509_V_ERR_INVALID_PURPOSE:
	case X509_V_ERR_INVALID_CA:
	case X509_V_ERR_KEYUSAGE_NO_CERTSIGN:
	case X509_V_ERR_PATH_LENGTH_EXCEEDED:
		return CH_REASON_WRONG_USAGE;
	case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
		return CH_REASON_SELF_SIGNED;
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
	case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
	case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
	case X509_V_ERR_CERT_UNTRUSTED:
	case X509_V_ERR_PATH_LOOP:
		return CH_REASON_UNKNOWN_CA;
	case X509_V_ERR_EE_KEY_TOO_SMALL:
	case X509_V_ERR_CA_KEY_TOO_SMALL:
	case X509_V_ERR_CA_MD_TOO_WEAK:
		return CH_REASON_WEAK_KEY;
	case X509_V_ERR_CERT_CHAIN_TOO_LONG:
		return CH_REASON_CHAIN_LIMIT;
	case X509_V_ERR_OUT_OF_MEM:
		return CH_REASON_INTERNAL;
	default:
		return CH_REASON_BAD_CERT;
	}
}

static enum ch_reason check_size(STACK_OF(X509) *chain, struct ch_verdict *verdict)
{
	size_t bytes = 0;
	int count = sk_X509_num(chain);

	if (count > CH_CHAIN_MAX) {
		snprintf(verdict->detail, sizeof(verdict->detail), "%d certificates", count);
		return CH_REASON_CHAIN_LIMIT;
	}
	for (int i = 0; i < count; i++) {
		int len = i2d_X509(sk_X509_value(chain, i), NULL);

		bytes += len > 0 ? (size_t)len : CH_CHAIN_BYTES;
	}
	if (bytes <= CH_CHAIN_BYTES)
		return CH_REASON_NONE;
	snprintf(verdict->detail, sizeof(verdict->detail), "%zu bytes", bytes);
	return CH_REASON_CHAIN_LIMIT;
}

static enum ch_reason check_key(X509 *leaf, struct ch_verdict *verdict)
{
	EVP_PKEY *key = X509_get0_pubkey(leaf);
	int bits;

	if (key == NULL) {
		snprintf(verdict->detail, sizeof(verdict->detail),
			 "the public key is not readable");
		return CH_REASON_BAD_CERT;
	}
	bits = EVP_PKEY_get_security_bits(key);
	if (bits >= SECURITY_BITS)
		return CH_REASON_NONE;
	snprintf(verdict->detail, sizeof(verdict->detail),
		 "%d-bit key: %d bits of security, %d are needed", EVP_PKEY_get_bits(key), bits,
		 SECURITY_BITS);
	return CH_REASON_WEAK_KEY;
}

static enum ch_reason leaf_error(int x509_error, struct ch_verdict *verdict)
{
	snprintf(verdict->detail, sizeof(verdict->detail), "depth 0: %s",
		 X509_verify_cert_error_string(x509_error));
	return ch_verify_reason(x509_error);
}

static enum ch_reason check_dates(X509 *leaf, struct ch_verdict *verdict)
{
	int begins = X509_cmp_current_time(X509_get0_notBefore(leaf));
	int ends = X509_cmp_current_time(X509_get0_notAfter(leaf));

	if (begins == 0)
		return leaf_error(X509_V_ERR_ERROR_IN_CERT_NOT_BEFORE_FIELD, verdict);
	if (ends == 0)
		return leaf_error(X509_V_ERR_ERROR_IN_CERT_NOT_AFTER_FIELD, verdict);
	if (begins > 0)
		return leaf_error(X509_V_ERR_CERT_NOT_YET_VALID, verdict);
	return ends < 0 ? leaf_error(X509_V_ERR_CERT_HAS_EXPIRED, verdict) : CH_REASON_NONE;
}

/* An extension that cannot be read is left to the path, which says which one it is. */
static enum ch_reason check_usage(X509 *leaf, struct ch_verdict *verdict)
{
	if (X509_check_purpose(leaf, X509_PURPOSE_SSL_SERVER, 0) != 0)
		return CH_REASON_NONE;
	return leaf_error(X509_V_ERR_INVALID_PURPOSE, verdict);
}

/*
 * Follows issuer names up the presented certificates to an anchor. Each step uses a certificate up,
 * so that a ring of names ends too.
 */
static uint32_t claimed_manufacturer(const struct ch_trust *trust, X509 *leaf,
				     STACK_OF(X509) *chain)
{
	bool visited[CH_CHAIN_MAX] = {false};
	X509 *at = leaf;

	while (at != NULL) {
		uint32_t manufacturer = ch_trust_claimed(trust, at);
		X509 *issuer = NULL;

		if (manufacturer != CH_MANUFACTURER_NONE)
			return manufacturer;
		for (int i = 0; i < sk_X509_num(chain) && issuer == NULL; i++) {
			X509 *candidate = sk_X509_value(chain, i);

			if (visited[i] || X509_check_issued(candidate, at) != X509_V_OK)
				continue;
			visited[i] = true;
			issuer = candidate;
		}
		at = issuer;
	}
	return CH_MANUFACTURER_NONE;
}

/* The names are the peer's, unproven: only printable ASCII goes into a log line. */
static void note_identifier(struct ch_verdict *verdict, const struct ch_manufacturer *manufacturer)
{
	char shown[81];
	size_t len = 0;

	for (const char *c = verdict->identity.identifier; *c != '\0' && len < sizeof(shown) - 1;
	     c++)
		shown[len++] = *c >= ' ' && *c <= '~' && *c != '"' ? *c : '?';
	shown[len] = '\0';
	snprintf(verdict->detail, sizeof(verdict->detail), "manufacturer %.40s, %s \"%s\"",
		 manufacturer->name, ch_identifier_kind_name(manufacturer->kind), shown);
}

/* @return as X509_verify_cert, or -1 */
static int verify_path(X509_STORE_CTX *ctx, X509_STORE *store, X509 *leaf, STACK_OF(X509) *chain)
{
	X509_VERIFY_PARAM *param;

	if (X509_STORE_CTX_init(ctx, store, leaf, chain) != 1)
		return -1;
	param = X509_STORE_CTX_get0_param(ctx);
	/* An intermediate may be configured as the anchor, or be one that was verified before. */
	X509_VERIFY_PARAM_set_flags(param, X509_V_FLAG_PARTIAL_CHAIN);
	X509_VERIFY_PARAM_set_auth_level(param, SECURITY_LEVEL);
	X509_VERIFY_PARAM_set_depth(param, CH_CHAIN_MAX);
	/* serverAuth where there is an extended key usage; an IDevID without one passes. */
	if (X509_STORE_CTX_set_purpose(ctx, X509_PURPOSE_SSL_SERVER) != 1)
		return -1;
	return X509_verify_cert(ctx);
}

/*
 * With an issuer that was verified before.
 * @return the issuer; NULL: the long way is to tell, also why not
 */
static const struct ch_issuer *check_short_path(const struct ch_verifier *verifier,
					      const struct ch_manufacturer *manufacturer,
					      X509 *leaf, STACK_OF(X509) *chain,
					      X509_STORE_CTX *ctx)
{
	const struct ch_issuer *issuer =
		ch_issuers_find(verifier->issuers, manufacturer, leaf, chain);
	bool good = issuer != NULL && verify_path(ctx, issuer->store, leaf, NULL) == 1;

	if (issuer != NULL)
		X509_STORE_CTX_cleanup(ctx);
	return good ? issuer : NULL;
}

/* What is above the device, for whoever is told of it. */
static void keep_cas(struct ch_verdict *verdict, X509 *const *way)
{
	for (unsigned i = 0; i < verdict->path.count; i++) {
		verdict->cas[i] = way[i + 1];
		X509_up_ref(way[i + 1]);
	}
}

static enum ch_reason check_short_status(const struct ch_verifier *verifier,
					 const struct ch_manufacturer *manufacturer, X509 *leaf,
					 const struct ch_issuer *issuer, struct ch_verdict *verdict)
{
	X509 *const way[] = {leaf, issuer->cert, issuer->anchor};

	ch_path_join(&verdict->path, &issuer->behind);
	keep_cas(verdict, way);
	return ch_status_lists(verifier, manufacturer, way, verdict->path.count, verdict);
}

static enum ch_reason check_status(const struct ch_verifier *verifier,
				   const struct ch_manufacturer *manufacturer,
				   STACK_OF(X509) *chain, struct ch_verdict *verdict)
{
	X509 *way[CH_CHAIN_MAX + 1];

	/* note_path has seen an anchor behind as many certificates. */
	for (int i = 0; i <= verdict->path.count; i++)
		way[i] = sk_X509_value(chain, i);
	keep_cas(verdict, way);
	return ch_status_lists(verifier, manufacturer, way, verdict->path.count, verdict);
}

/* Up to the first anchor: what is above it has no say, even where the way goes on. */
static enum ch_reason note_path(const struct ch_manufacturer *manufacturer, STACK_OF(X509) *chain,
				struct ch_path *path)
{
	for (int i = 0; i < sk_X509_num(chain); i++) {
		X509 *cert = sk_X509_value(chain, i);

		if (ch_manufacturer_has(manufacturer, cert))
			return ch_path_end(path, cert) == 0 ? CH_REASON_NONE : CH_REASON_INTERNAL;
		if (i > 0 && ch_path_append(path, cert) != 0)
			return CH_REASON_INTERNAL;
	}
	return CH_REASON_UNKNOWN_CA;
}

/* Path validation with the anchors of one manufacturer. */
static enum ch_reason check_path(const struct ch_verifier *verifier,
				 const struct ch_manufacturer *manufacturer, X509 *leaf,
				 STACK_OF(X509) *chain, struct ch_verdict *verdict)
{
	X509_STORE_CTX *ctx = X509_STORE_CTX_new_ex(ch_tls_algorithms(), NULL);
	enum ch_reason reason = CH_REASON_INTERNAL;
	const struct ch_issuer *issuer;
	int error;

	if (ctx == NULL)
		goto out;
	issuer = check_short_path(verifier, manufacturer, leaf, chain, ctx);
	if (issuer != NULL) {
		reason = check_short_status(verifier, manufacturer, leaf, issuer, verdict);
		goto out;
	}
	error = verify_path(ctx, manufacturer->store, leaf, chain);
	if (error < 0)
		goto out;
	if (error != 1) {
		error = X509_STORE_CTX_get_error(ctx);
		snprintf(verdict->detail, sizeof(verdict->detail), "depth %d: %s",
			 X509_STORE_CTX_get_error_depth(ctx), X509_verify_cert_error_string(error));
		reason = ch_verify_reason(error);
		goto out;
	}
	reason = note_path(manufacturer, X509_STORE_CTX_get0_chain(ctx), &verdict->path);
	if (reason == CH_REASON_NONE)
		ch_issuers_learn(verifier->issuers, manufacturer, X509_STORE_CTX_get0_chain(ctx),
				 &verdict->path);
	if (reason == CH_REASON_NONE)
		reason = check_status(verifier, manufacturer, X509_STORE_CTX_get0_chain(ctx),
				      verdict);
out:
	X509_STORE_CTX_free(ctx);
	return reason;
}

static enum ch_reason judge_path(const struct ch_verifier *verifier, X509 *leaf,
				 STACK_OF(X509) *chain, struct ch_verdict *verdict)
{
	struct ch_identity *identity = &verdict->identity;
	const struct ch_manufacturer *manufacturer;
	enum ch_reason reason;

	identity->manufacturer = claimed_manufacturer(verifier->trust, leaf, chain);
	if (identity->manufacturer == CH_MANUFACTURER_NONE)
		return X509_get_extension_flags(leaf) & EXFLAG_SS ? CH_REASON_SELF_SIGNED
								  : CH_REASON_UNKNOWN_CA;
	manufacturer = &verifier->trust->manufacturers[identity->manufacturer];
	if (ch_identity_read(leaf, manufacturer->kind, identity->identifier) != 0) {
		snprintf(verdict->detail, sizeof(verdict->detail),
			 "manufacturer %.40s, no single %s", manufacturer->name,
			 ch_identifier_kind_name(manufacturer->kind));
		return CH_REASON_NO_IDENTIFIER;
	}
	reason = verifier->lookup(verifier->lookup_ctx, identity, &verdict->match);
	if (reason != CH_REASON_NONE) {
		note_identifier(verdict, manufacturer);
		return reason;
	}
	reason = check_dates(leaf, verdict);
	if (reason == CH_REASON_NONE)
		reason = check_usage(leaf, verdict);
	if (reason != CH_REASON_NONE)
		return reason;
	return check_path(verifier, manufacturer, leaf, chain, verdict);
}

/* The order of docs/identity.md: a certificate that is wrong in several ways gets the first. */
static enum ch_reason judge(const struct ch_verifier *verifier, X509 *leaf, STACK_OF(X509) *chain,
			    struct ch_verdict *verdict)
{
	enum ch_reason reason = check_size(chain, verdict);

	if (reason == CH_REASON_NONE)
		reason = check_key(leaf, verdict);
	if (reason != CH_REASON_NONE)
		return reason;
	if (ch_identity_init(&verdict->identity, leaf) != 0 ||
	    ch_path_append(&verdict->path, leaf) != 0)
		return CH_REASON_BAD_CERT;
	/* A pin stands for the chain and its usage, not for dates and revocation (docs/identity.md). */
	if (verifier->lookup(verifier->lookup_ctx, &verdict->identity, &verdict->match) ==
	    CH_REASON_NONE) {
		reason = check_dates(leaf, verdict);
		if (reason == CH_REASON_NONE)
			reason = ch_status_lists(verifier, NULL, &leaf, 1, verdict);
		return reason;
	}
	memset(&verdict->match, 0, sizeof(verdict->match));
	return judge_path(verifier, leaf, chain, verdict);
}

void ch_verdict_deinit(struct ch_verdict *verdict)
{
	for (unsigned i = 0; i < CH_CHAIN_MAX; i++)
		X509_free(verdict->cas[i]);
	X509_free(verdict->issuer);
}

void ch_verify(const struct ch_verifier *verifier, X509 *leaf, STACK_OF(X509) *chain,
	       struct ch_verdict *verdict)
{
	memset(verdict, 0, sizeof(*verdict));
	verdict->reason = judge(verifier, leaf, chain, verdict);
	ERR_clear_error();
}
