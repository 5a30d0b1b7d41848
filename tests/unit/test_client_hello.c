/* SPDX-License-Identifier: Apache-2.0 */
/* links: tls core */
/* sources: tests/unit/tls_fixture.c */
/* What a collector says before it knows who called, byte by byte; and whom it trusts by itself. */
#include "world_rig.h"

#include <criterion/criterion.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

/* Positions in a ClientHello record: 5 of the record, 4 of the message, 2 of the version. */
#define RANDOM_AT 11
#define SESSION_AT (RANDOM_AT + 32)

TestSuite(client_hello, .init = setup, .fini = teardown);

static size_t be16(const uint8_t *at)
{
	return (size_t)at[0] << 8 | at[1];
}

static void say_hello(struct ch_buf *hello)
{
	struct ch_handshake *client;

	cr_assert_eq(ch_handshake_client(world.collector, &client), 0);
	cr_assert_eq(ch_handshake_step(client, NULL, 0, hello), CH_HANDSHAKE_READ);
	ch_handshake_free(client);
	cr_assert_eq(5 + be16(hello->data + 3), hello->len, "one record");
}

/* Behind session, suites and compression methods. */
static size_t extensions_at(const struct ch_buf *hello)
{
	size_t at = SESSION_AT + 1 + hello->data[SESSION_AT];

	at += 2 + be16(hello->data + at);
	return at + 1 + hello->data[at] + 2;
}

static const uint8_t *extension(const struct ch_buf *hello, size_t type)
{
	for (size_t at = extensions_at(hello); at < hello->len;
	     at += 4 + be16(hello->data + at + 2))
		if (be16(hello->data + at) == type)
			return hello->data + at;
	return NULL;
}

/* What must differ from call to call: random, session, key share. */
static void mask(struct ch_buf *hello)
{
	uint8_t *share = (uint8_t *)(uintptr_t)extension(hello, 51);

	memset(hello->data + RANDOM_AT, 0, 32);
	memset(hello->data + SESSION_AT + 1, 0, hello->data[SESSION_AT]);
	cr_assert_not_null(share);
	/* type, length, length of the list, group, length: then the key */
	memset(share + 10, 0, be16(share + 2) - 6);
}

/* row: SC4a */
Test(client_hello, is_the_same_for_everybody)
{
	struct ch_buf first = {0};
	struct ch_buf later = {0};

	say_hello(&first);
	mask(&first);
	for (int i = 0; i < 8; i++) {
		struct ch_credential *device = fx_acme_device(&world, NULL);
		struct ch_tls_server_options options = {.request_client_certificate = true};
		struct ch_tls_context *server;
		struct fx_pair pair;

		/* whoever logged in meanwhile */
		cr_assert_eq(ch_tls_server_new(&options, &server), 0);
		fx_pair_init(&pair, world.collector, server, device);
		fx_pair_run(&pair);
		cr_assert_eq(pair.client_status, CH_HANDSHAKE_DONE);
		fx_pair_deinit(&pair);
		ch_tls_context_free(server);
		ch_credential_free(device);
		later.len = 0;
		say_hello(&later);
		mask(&later);
		cr_assert_eq(later.len, first.len);
		cr_assert_arr_eq(later.data, first.data, first.len);
	}
	ch_buf_deinit(&first);
	ch_buf_deinit(&later);
}

/* row: SC4a 9918-early C7-resumption */
Test(client_hello, has_these_extensions_and_no_other)
{
	/* no server_name (0), ALPN (16), ticket (35), pre_shared_key (41), early_data (42),
	 * post_handshake_auth (49) */
	static const uint16_t types[] = {15, 11, 10, 5, 22, 23, 13, 43, 45, 51};
	struct ch_buf hello = {0};
	size_t count = 0;

	say_hello(&hello);
	for (size_t at = extensions_at(&hello); at < hello.len;
	     at += 4 + be16(hello.data + at + 2)) {
		cr_assert_lt(count, sizeof(types) / sizeof(types[0]));
		cr_assert_eq(be16(hello.data + at), types[count], "%zu", be16(hello.data + at));
		count++;
	}
	cr_assert_eq(count, sizeof(types) / sizeof(types[0]));
	ch_buf_deinit(&hello);
}

/* row: C5a-store */
Test(client_hello, the_ca_store_of_the_system_vouches_for_nobody)
{
	EVP_PKEY *key = fx_key(FX_P256);
	X509 *ca = fx_cert(&(struct fx_cert){.key = key, .cn = "web CA", .ca = true});
	struct ch_credential *device = fx_acme_device(
		&world, &(struct fx_cert){.serial = "SN1", .issuer = ca, .issuer_key = key});
	struct ch_tls_client_options client = {
		.trust = world.trust, .lookup = fx_lookup, .lookup_ctx = &world.inventory};
	struct ch_tls_server_options options = {.request_client_certificate = true};
	struct ch_tls_context *collector, *server;
	struct fx_pair pair;

	/* OpenSSL takes its default store from there */
	cr_assert_eq(setenv("SSL_CERT_FILE", fx_ca_file((X509 *[]){ca, NULL}), 1), 0);
	cr_assert_eq(ch_tls_client_new(&client, &collector), 0);
	cr_assert_eq(ch_tls_server_new(&options, &server), 0);
	fx_pair_init(&pair, collector, server, device);
	fx_pair_run(&pair);
	cr_assert_eq(ch_handshake_reason(pair.client), CH_REASON_UNKNOWN_CA);
	fx_pair_deinit(&pair);
	ch_tls_context_free(server);
	ch_tls_context_free(collector);
	ch_credential_free(device);
	X509_free(ca);
	EVP_PKEY_free(key);
}
