/* SPDX-License-Identifier: Apache-2.0 */
#include "credential.h"

#include "identity.h"

#include <errno.h>
#include <limits.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Handed to PEM readers: a passphrase prompt would block the daemon on its terminal. */
static char no_passphrase[] = "";

static struct ch_credential *credential_new(void)
{
	struct ch_credential *credential = calloc(1, sizeof(*credential));

	if (credential == NULL)
		return NULL;
	credential->chain = sk_X509_new_null();
	if (credential->chain == NULL) {
		free(credential);
		return NULL;
	}
	return credential;
}

void ch_credential_free(struct ch_credential *credential)
{
	if (credential == NULL)
		return;
	X509_free(credential->cert);
	sk_X509_pop_free(credential->chain, X509_free);
	EVP_PKEY_free(credential->key);
	ch_credential_free(credential->next);
	free(credential);
}

/* The first certificate becomes the leaf, at most CH_CHAIN_MAX - 1 more the chain. */
static int read_chain(BIO *bio, const char *name, struct ch_credential *credential, char *error)
{
	X509 *cert;

	credential->cert = PEM_read_bio_X509(bio, NULL, NULL, no_passphrase);
	if (credential->cert == NULL) {
		snprintf(error, CH_ERROR_TEXT,
			 "%.160s holds no certificate: it must be PEM, the leaf first", name);
		return CH_E_CONFIG;
	}
	while ((cert = PEM_read_bio_X509(bio, NULL, NULL, no_passphrase)) != NULL) {
		if (sk_X509_num(credential->chain) + 1 < CH_CHAIN_MAX &&
		    sk_X509_push(credential->chain, cert) > 0)
			continue;
		X509_free(cert);
		snprintf(error, CH_ERROR_TEXT,
			 "%.160s holds more than %d certificates: keep the leaf and its issuers",
			 name, CH_CHAIN_MAX);
		return CH_E_CONFIG;
	}
	if (ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE)
		return 0;
	snprintf(error, CH_ERROR_TEXT, "%.160s: certificate %d is broken: write the PEM file anew",
		 name, sk_X509_num(credential->chain) + 2);
	return CH_E_CONFIG;
}

static int read_key(BIO *bio, const char *cert_name, const char *key_name,
		    struct ch_credential *credential, char *error)
{
	credential->key = PEM_read_bio_PrivateKey(bio, NULL, NULL, no_passphrase);
	if (credential->key == NULL) {
		snprintf(error, CH_ERROR_TEXT,
			 "%.160s holds no private key: it must be PEM without a passphrase",
			 key_name);
		return CH_E_CONFIG;
	}
	if (X509_check_private_key(credential->cert, credential->key) != 1) {
		snprintf(error, CH_ERROR_TEXT,
			 "%.100s is not the key of the first certificate in %.100s", key_name,
			 cert_name);
		return CH_E_CONFIG;
	}
	return 0;
}

static int read_both(BIO *cert, const char *cert_name, BIO *key, const char *key_name,
		     struct ch_credential **credential, char *error)
{
	struct ch_credential *made = credential_new();
	int err;

	if (made == NULL) {
		snprintf(error, CH_ERROR_TEXT, "out of memory");
		return CH_E_CONFIG;
	}
	err = read_chain(cert, cert_name, made, error);
	if (err == 0)
		err = read_key(key, cert_name, key_name, made, error);
	ERR_clear_error();
	if (err == 0)
		*credential = made;
	else
		ch_credential_free(made);
	return err;
}

static BIO *open_file(const char *name, char *error)
{
	BIO *bio;

	errno = 0;
	bio = BIO_new_file(name, "r");
	if (bio == NULL)
		snprintf(error, CH_ERROR_TEXT, "%.160s cannot be read: %s", name,
			 strerror(errno != 0 ? errno : ENOMEM));
	ERR_clear_error();
	return bio;
}

int ch_credential_load(const char *cert_file, const char *key_file,
		       struct ch_credential **credential, char error[CH_ERROR_TEXT])
{
	BIO *key = NULL;
	BIO *cert = open_file(cert_file, error);
	int err = CH_E_CONFIG;

	if (cert == NULL)
		goto out;
	key = open_file(key_file, error);
	if (key != NULL)
		err = read_both(cert, cert_file, key, key_file, credential, error);
out:
	BIO_free(key);
	BIO_free(cert);
	return err;
}

int ch_credential_load_next(struct ch_credential *credential, const char *cert_file,
			    const char *key_file, char error[CH_ERROR_TEXT])
{
	return ch_credential_load(cert_file, key_file, &credential->next, error);
}

static bool is_valid_now(const struct ch_credential *credential)
{
	return X509_cmp_current_time(X509_get0_notBefore(credential->cert)) < 0 &&
	       X509_cmp_current_time(X509_get0_notAfter(credential->cert)) > 0;
}

static bool is_among(X509 *cert, const STACK_OF(X509_NAME) *names)
{
	for (int i = 0; i < sk_X509_NAME_num(names); i++)
		if (X509_NAME_cmp(X509_get_issuer_name(cert), sk_X509_NAME_value(names, i)) == 0)
			return true;
	return false;
}

/* Did one of the issuers of its chain, of those that are there, get named? */
static bool is_named(const struct ch_credential *credential, const STACK_OF(X509_NAME) *names)
{
	for (int i = 0; i < sk_X509_num(credential->chain); i++)
		if (is_among(sk_X509_value(credential->chain, i), names))
			return true;
	return is_among(credential->cert, names);
}

const struct ch_credential *ch_credential_choose(const struct ch_credential *credential,
						 const STACK_OF(X509_NAME) *names,
						 bool prefer_next)
{
	const struct ch_credential *next = credential->next;
	bool take = prefer_next;

	if (next == NULL)
		return credential;
	if (is_valid_now(credential) != is_valid_now(next))
		take = is_valid_now(next);
	else if (is_named(credential, names) != is_named(next, names))
		take = is_named(next, names);
	return take ? next : credential;
}

int ch_credential_facts(const struct ch_credential *credential, struct ch_certificate_facts *facts)
{
	return ch_identity_facts(credential->cert, facts);
}

int ch_credential_from_memory(const uint8_t *cert_pem, size_t cert_len, const uint8_t *key_pem,
			      size_t key_len, struct ch_credential **credential,
			      char error[CH_ERROR_TEXT])
{
	BIO *cert = NULL;
	BIO *key = NULL;
	int err = CH_E_CONFIG;

	snprintf(error, CH_ERROR_TEXT, "the PEM text is too long, or memory is short");
	if (cert_len > INT_MAX || key_len > INT_MAX)
		goto out;
	cert = BIO_new_mem_buf(cert_pem, (int)cert_len);
	key = BIO_new_mem_buf(key_pem, (int)key_len);
	if (cert != NULL && key != NULL)
		err = read_both(cert, "the certificate", key, "the key", credential, error);
out:
	BIO_free(key);
	BIO_free(cert);
	return err;
}

/* A new credential with the same rest of the chain. */
static struct ch_credential *sibling(const struct ch_credential *from)
{
	struct ch_credential *made = calloc(1, sizeof(*made));

	if (made == NULL)
		return NULL;
	made->chain = X509_chain_up_ref(from->chain);
	if (made->chain == NULL) {
		free(made);
		return NULL;
	}
	return made;
}

int ch_credential_with_key(const struct ch_credential *key_owner, const uint8_t *cert_der,
			   size_t cert_len, struct ch_credential **credential,
			   char error[CH_ERROR_TEXT])
{
	struct ch_credential *made = sibling(key_owner);
	const uint8_t *at = cert_der;
	int err = CH_E_CONFIG;

	snprintf(error, CH_ERROR_TEXT, "the certificate does not parse");
	if (made == NULL || cert_len > LONG_MAX)
		goto out;
	made->cert = d2i_X509(NULL, &at, (long)cert_len);
	if (made->cert == NULL || at != cert_der + cert_len)
		goto out;
	if (X509_check_private_key(made->cert, key_owner->key) != 1) {
		snprintf(error, CH_ERROR_TEXT, "the key is not the key of the certificate");
		goto out;
	}
	EVP_PKEY_up_ref(key_owner->key);
	made->key = key_owner->key;
	*credential = made;
	made = NULL;
	error[0] = '\0';
	err = 0;
out:
	ERR_clear_error();
	ch_credential_free(made);
	return err;
}
