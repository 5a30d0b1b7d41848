/* SPDX-License-Identifier: Apache-2.0 */
#include "provider.h"

#include <openssl/core_dispatch.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/params.h>
#include <openssl/provider.h>
#include <pthread.h>
#include <stdbool.h>
#include <string.h>

#define PROVIDER "callhome"
#define CHOSEN_MAX 12

/* What TLS 1.2 and 1.3 with AEAD suites can need; other operations are shown whole. */
static struct operation {
	int id;
	const char *names[CHOSEN_MAX]; /* first name of an algorithm; the list ends with NULL */
	OSSL_ALGORITHM chosen[CHOSEN_MAX];
} operations[] = {
	{OSSL_OP_DECODER, {"DER", "RSA", "RSA-PSS", "EC", "ED25519", "ED448"}, {{0}}},
	{OSSL_OP_KEYMGMT, {"RSA", "RSA-PSS", "EC", "ED25519", "ED448", "X25519"}, {{0}}},
	{OSSL_OP_KEYEXCH, {"ECDH", "X25519"}, {{0}}},
	{OSSL_OP_SIGNATURE, {"RSA", "ECDSA", "ED25519", "ED448"}, {{0}}},
	{OSSL_OP_CIPHER, {"AES-128-GCM", "AES-256-GCM", "ChaCha20-Poly1305", "AES-256-CTR"}, {{0}}},
	{OSSL_OP_DIGEST, {"SHA1", "SHA2-256", "SHA2-384", "SHA2-512"}, {{0}}},
	{OSSL_OP_MAC, {"HMAC"}, {{0}}},
	{OSSL_OP_KDF, {"HKDF", "TLS13-KDF", "TLS1-PRF"}, {{0}}},
	{OSSL_OP_ASYM_CIPHER, {NULL}, {{0}}},
	{OSSL_OP_KEM, {NULL}, {{0}}},
	{OSSL_OP_ENCODER, {NULL}, {{0}}},
};

static struct {
	pthread_once_t once;
	OSSL_LIB_CTX *inner; /* holds the default provider, whose algorithms are shown */
	OSSL_LIB_CTX *library;
	OSSL_PROVIDER *base;
} shared = {.once = PTHREAD_ONCE_INIT};

static bool is_among(const OSSL_ALGORITHM *algorithm, const char *const *names)
{
	size_t len = strcspn(algorithm->algorithm_names, ":");

	for (; *names != NULL; names++)
		if (strlen(*names) == len && memcmp(*names, algorithm->algorithm_names, len) == 0)
			return true;
	return false;
}

/* A decoder is wanted for the public keys of certificates only. */
static bool is_wanted(const struct operation *operation, const OSSL_ALGORITHM *algorithm)
{
	const char *properties = algorithm->property_definition;

	return is_among(algorithm, operation->names) &&
	       (operation->id != OSSL_OP_DECODER ||
		(strstr(properties, "input=der") != NULL &&
		 strstr(properties, "structure=SubjectPublicKeyInfo") != NULL));
}

static void choose(struct operation *operation)
{
	int no_cache;
	size_t count = 0;
	const OSSL_ALGORITHM *all =
		OSSL_PROVIDER_query_operation(shared.base, operation->id, &no_cache);

	for (; all != NULL && all->algorithm_names != NULL && count < CHOSEN_MAX - 1; all++)
		if (is_wanted(operation, all))
			operation->chosen[count++] = *all;
}

static const OSSL_ALGORITHM *query(void *unused, int operation, int *no_cache)
{
	(void)unused;
	for (size_t i = 0; i < sizeof(operations) / sizeof(operations[0]); i++) {
		if (operations[i].id == operation) {
			*no_cache = 0;
			return operations[i].chosen;
		}
	}
	return OSSL_PROVIDER_query_operation(shared.base, operation, no_cache);
}

static const OSSL_PARAM *gettable_params(void *unused)
{
	(void)unused;
	return OSSL_PROVIDER_gettable_params(shared.base);
}

static int get_params(void *unused, OSSL_PARAM params[])
{
	(void)unused;
	return OSSL_PROVIDER_get_params(shared.base, params);
}

/* The groups that TLS offers are told this way. */
static int get_capabilities(void *unused, const char *capability, OSSL_CALLBACK *callback,
			    void *arg)
{
	(void)unused;
	return OSSL_PROVIDER_get_capabilities(shared.base, capability, callback, arg);
}

static int init(const OSSL_CORE_HANDLE *handle, const OSSL_DISPATCH *in, const OSSL_DISPATCH **out,
		void **context)
{
	static const OSSL_DISPATCH table[] = {
		{OSSL_FUNC_PROVIDER_GETTABLE_PARAMS, (void (*)(void))gettable_params},
		{OSSL_FUNC_PROVIDER_GET_PARAMS, (void (*)(void))get_params},
		{OSSL_FUNC_PROVIDER_QUERY_OPERATION, (void (*)(void))query},
		{OSSL_FUNC_PROVIDER_GET_CAPABILITIES, (void (*)(void))get_capabilities},
		{0, NULL},
	};

	(void)handle;
	(void)in;
	*out = table;
	/* The algorithms are those of the default provider and get what it made for itself. */
	*context = OSSL_PROVIDER_get0_provider_ctx(shared.base);
	return 1;
}

static void make(void)
{
	OSSL_LIB_CTX *library = OSSL_LIB_CTX_new();

	shared.inner = OSSL_LIB_CTX_new();
	if (library == NULL || shared.inner == NULL)
		goto out;
	shared.base = OSSL_PROVIDER_load(shared.inner, "default");
	if (shared.base == NULL)
		goto out;
	for (size_t i = 0; i < sizeof(operations) / sizeof(operations[0]); i++)
		choose(&operations[i]);
	if (OSSL_PROVIDER_add_builtin(library, PROVIDER, init) == 1 &&
	    OSSL_PROVIDER_load(library, PROVIDER) != NULL)
		shared.library = library;
out:
	if (shared.library == NULL)
		OSSL_LIB_CTX_free(library);
	ERR_clear_error();
}

OSSL_LIB_CTX *ch_tls_algorithms(void)
{
	pthread_once(&shared.once, make);
	return shared.library;
}
