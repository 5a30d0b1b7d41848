/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A credential as an impostor has it: the certificate, and a private key that is not its own. The
 * key claims the public part of the certificate, so that OpenSSL is content to sign with it.
 */
#include "credential.h"

#include <errno.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/param_build.h>
#include <stdlib.h>

/* One bit less than the key has: below the order of the curve, and below the modulus. */
static BIGNUM *random_private(EVP_PKEY *of)
{
	BIGNUM *number = BN_new();

	if (number != NULL && BN_priv_rand(number, EVP_PKEY_get_bits(of) - 1, BN_RAND_TOP_ONE,
					   BN_RAND_BOTTOM_ODD) == 1)
		return number;
	BN_clear_free(number);
	return NULL;
}

static EVP_PKEY *key_from(const char *type, OSSL_PARAM_BLD *build)
{
	OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(build);
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
	EVP_PKEY *key = NULL;

	if (params != NULL && ctx != NULL && EVP_PKEY_fromdata_init(ctx) == 1 &&
	    EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_KEYPAIR, params) != 1)
		key = NULL;
	EVP_PKEY_CTX_free(ctx);
	OSSL_PARAM_free(params);
	return key;
}

static EVP_PKEY *wrong_ec(EVP_PKEY *public_key, BIGNUM *private_number)
{
	OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
	EVP_PKEY *key = NULL;
	uint8_t point[256];
	char group[64];
	size_t len = 0;

	if (build != NULL &&
	    EVP_PKEY_get_utf8_string_param(public_key, OSSL_PKEY_PARAM_GROUP_NAME, group,
					   sizeof(group), NULL) == 1 &&
	    EVP_PKEY_get_octet_string_param(public_key, OSSL_PKEY_PARAM_PUB_KEY, point,
					    sizeof(point), &len) == 1 &&
	    OSSL_PARAM_BLD_push_utf8_string(build, OSSL_PKEY_PARAM_GROUP_NAME, group, 0) == 1 &&
	    OSSL_PARAM_BLD_push_octet_string(build, OSSL_PKEY_PARAM_PUB_KEY, point, len) == 1 &&
	    OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_PRIV_KEY, private_number) == 1)
		key = key_from("EC", build);
	OSSL_PARAM_BLD_free(build);
	return key;
}

static EVP_PKEY *wrong_rsa(EVP_PKEY *public_key, BIGNUM *private_number)
{
	OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
	EVP_PKEY *key = NULL;
	BIGNUM *n = NULL;
	BIGNUM *e = NULL;

	if (build != NULL && EVP_PKEY_get_bn_param(public_key, OSSL_PKEY_PARAM_RSA_N, &n) == 1 &&
	    EVP_PKEY_get_bn_param(public_key, OSSL_PKEY_PARAM_RSA_E, &e) == 1 &&
	    OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_N, n) == 1 &&
	    OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_E, e) == 1 &&
	    OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_D, private_number) == 1)
		key = key_from("RSA", build);
	BN_free(n);
	BN_free(e);
	OSSL_PARAM_BLD_free(build);
	return key;
}

int ch_credential_steal(const struct ch_credential *from, struct ch_credential **stolen)
{
	EVP_PKEY *public_key = X509_get0_pubkey(from->cert);
	struct ch_credential *made = NULL;
	BIGNUM *number = NULL;
	int err = CH_E_CRYPTO;

	if (public_key == NULL)
		goto out;
	number = random_private(public_key);
	made = calloc(1, sizeof(*made));
	if (number == NULL || made == NULL) {
		err = -ENOMEM;
		goto out;
	}
	made->key = EVP_PKEY_is_a(public_key, "RSA") ? wrong_rsa(public_key, number)
						     : wrong_ec(public_key, number);
	made->chain = X509_chain_up_ref(from->chain);
	if (made->key == NULL || made->chain == NULL)
		goto out;
	X509_up_ref(from->cert);
	made->cert = from->cert;
	*stolen = made;
	made = NULL;
	err = 0;
out:
	BN_clear_free(number);
	ch_credential_free(made);
	ERR_clear_error();
	return err;
}
