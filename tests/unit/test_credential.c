/* SPDX-License-Identifier: Apache-2.0 */
/* links: tls core */
/* sources: tests/unit/tls_fixture.c */
/* A roll-over: which of two client certificates a device gets. */
#include "tls_fixture.h"
#include "user/tls/context.h"
#include "user/tls/credential.h"

#include <criterion/criterion.h>
#include <string.h>

#define PAST "20200101000000Z"
#define FUTURE "20991231235959Z"

static struct fx_world world;
static EVP_PKEY *ca_keys[2];
static X509 *cas[2];

static void setup(void)
{
	fx_world_init(&world);
	for (unsigned i = 0; i < 2; i++) {
		ca_keys[i] = fx_key(FX_P256);
		cas[i] = fx_cert(&(struct fx_cert){
			.key = ca_keys[i], .cn = i == 0 ? "old CA" : "new CA", .ca = true});
	}
}

static void teardown(void)
{
	for (unsigned i = 0; i < 2; i++) {
		X509_free(cas[i]);
		EVP_PKEY_free(ca_keys[i]);
	}
	fx_world_deinit(&world);
}

TestSuite(credential, .init = setup, .fini = teardown);

/** Of CA @ca; @below: with an intermediate between them, which is presented. */
static struct ch_credential *issued(unsigned ca, bool below, const char *not_before,
				    const char *not_after)
{
	EVP_PKEY *key = fx_key(FX_P256);
	EVP_PKEY *middle_key = fx_key(FX_P256);
	X509 *middle = fx_cert(&(struct fx_cert){.key = middle_key,
						 .cn = "between",
						 .issuer = cas[ca],
						 .issuer_key = ca_keys[ca],
						 .ca = true});
	X509 *cert = fx_cert(&(struct fx_cert){.key = key,
					       .cn = "collector",
					       .issuer = below ? middle : cas[ca],
					       .issuer_key = below ? middle_key : ca_keys[ca],
					       .not_before = not_before,
					       .not_after = not_after});
	struct ch_credential *made =
		fx_credential((X509 *[]){cert, below ? middle : NULL, NULL}, key);

	X509_free(cert);
	X509_free(middle);
	EVP_PKEY_free(middle_key);
	EVP_PKEY_free(key);
	return made;
}

static bool prefer(void *ctx, uint32_t device)
{
	cr_assert_eq(device, 7);
	return *(bool *)ctx;
}

/**
 * Logs a device in that names the CA @named (NULL: none) and shows it @old or @old->next.
 * @return was it the next?
 */
static bool shows_next(struct ch_credential *old, X509 *named, bool preferred)
{
	struct ch_tls_server_options options = {.request_client_certificate = true};
	struct ch_credential *device = fx_acme_device(&world, NULL);
	uint8_t sha256[32], expected[32];
	struct ch_tls_context *server;
	struct fx_pair pair;
	bool next;

	world.inventory.match.credential = old;
	for (uint16_t version = CH_TLS_1_2; version <= CH_TLS_1_3; version++) {
		options.min_version = options.max_version = version;
		cr_assert_eq(ch_tls_server_new(&options, &server), 0);
		if (named != NULL)
			cr_assert_eq(SSL_CTX_add_client_CA(server->ssl, named), 1);
		fx_pair_init(&pair, world.collector, server, device);
		ch_handshake_prefer(pair.client, prefer, &preferred);
		fx_pair_run(&pair);
		cr_assert_eq(pair.client_status, CH_HANDSHAKE_DONE);
		next = ch_handshake_presented_next(pair.client);
		cr_assert(ch_handshake_client_certificate(pair.server, sha256));
		X509_digest(next ? old->next->cert : old->cert, EVP_sha256(), expected, NULL);
		cr_assert_arr_eq(sha256, expected, 32, "the device saw what we say");
		fx_pair_deinit(&pair);
		ch_tls_context_free(server);
	}
	ch_credential_free(device);
	return next;
}

Test(credential, without_a_next_one_there_is_no_choice)
{
	struct ch_credential *only = issued(0, false, NULL, PAST);

	cr_assert_not(shows_next(only, NULL, true));
	cr_assert_not(shows_next(only, cas[1], true));
	ch_credential_free(only);
}

Test(credential, what_the_device_took_last_decides_if_nothing_else_does)
{
	struct ch_credential *old = issued(0, false, NULL, NULL);

	old->next = issued(1, false, NULL, NULL);
	cr_assert_not(shows_next(old, NULL, false));
	cr_assert(shows_next(old, NULL, true));
	/* a CA that is neither's */
	cr_assert(shows_next(old, world.borg_ca, true));
	cr_assert_not(shows_next(old, world.borg_ca, false));
	ch_credential_free(old);
}

Test(credential, the_cas_that_the_device_names_go_before)
{
	struct ch_credential *old = issued(0, false, NULL, NULL);

	old->next = issued(1, true, NULL, NULL);
	cr_assert_not(shows_next(old, cas[0], true));
	cr_assert(shows_next(old, cas[1], false), "also above an intermediate");
	ch_credential_free(old);
}

Test(credential, only_one_that_is_valid_now_is_shown)
{
	struct ch_credential *old = issued(0, false, NULL, PAST);

	old->next = issued(1, false, NULL, NULL);
	cr_assert(shows_next(old, NULL, false));
	cr_assert(shows_next(old, cas[0], false), "whatever the device names");
	ch_credential_free(old);
	old = issued(0, false, NULL, NULL);
	old->next = issued(1, false, FUTURE, FUTURE);
	cr_assert_not(shows_next(old, cas[1], true));
	ch_credential_free(old);
}
