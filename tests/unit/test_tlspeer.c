/* SPDX-License-Identifier: Apache-2.0 */
/* links: tls core */
/* sources: tests/unit/tls_fixture.c */
/*
 * Our keys and records against OpenSSL's own record layer: the handshake object of one end is
 * freed, the other end goes on with SSL_read and SSL_write.
 */
#include "tls_fixture.h"
#include "user/tls/credential.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

static struct fx_world world;

static void setup(void)
{
	fx_world_init(&world);
}

static void teardown(void)
{
	fx_world_deinit(&world);
}

TestSuite(tlspeer, .init = setup, .fini = teardown);

struct suite {
	int version;
	const char *name;
};

static const struct suite suites[] = {
	{TLS1_2_VERSION, "ECDHE-ECDSA-AES128-GCM-SHA256"},
	{TLS1_2_VERSION, "ECDHE-ECDSA-AES256-GCM-SHA384"},
	{TLS1_2_VERSION, "ECDHE-ECDSA-CHACHA20-POLY1305"},
	{TLS1_3_VERSION, "TLS_AES_128_GCM_SHA256"},
	{TLS1_3_VERSION, "TLS_AES_256_GCM_SHA384"},
	{TLS1_3_VERSION, "TLS_CHACHA20_POLY1305_SHA256"},
};
#define SUITES (sizeof(suites) / sizeof(suites[0]))

static int accept_any(X509_STORE_CTX *ctx, void *unused)
{
	(void)ctx;
	(void)unused;
	return 1;
}

/** An unmodified OpenSSL end over memory. */
static SSL *plain_ssl(const struct suite *suite, bool server,
		      const struct ch_credential *credential)
{
	SSL_CTX *ctx = SSL_CTX_new(server ? TLS_server_method() : TLS_client_method());
	BIO *in = BIO_new(BIO_s_mem());
	SSL *ssl;

	SSL_CTX_set_min_proto_version(ctx, suite->version);
	SSL_CTX_set_max_proto_version(ctx, suite->version);
	if (suite->version == TLS1_2_VERSION)
		cr_assert_eq(SSL_CTX_set_cipher_list(ctx, suite->name), 1);
	else
		cr_assert_eq(SSL_CTX_set_ciphersuites(ctx, suite->name), 1);
	SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
	SSL_CTX_set_cert_verify_callback(ctx, accept_any, NULL);
	SSL_CTX_set_session_id_context(ctx, (const uint8_t *)"x", 1);
	ssl = SSL_new(ctx);
	cr_assert_eq(
		SSL_use_cert_and_key(ssl, credential->cert, credential->key, credential->chain, 1),
		1);
	BIO_set_mem_eof_return(in, -1);
	SSL_set_bio(ssl, in, BIO_new(BIO_s_mem()));
	if (server)
		SSL_set_accept_state(ssl);
	else
		SSL_set_connect_state(ssl);
	SSL_CTX_free(ctx);
	return ssl;
}

/** What the OpenSSL end wrote goes behind @to. */
static void drain(SSL *ssl, struct ch_buf *to)
{
	char *data;
	long len = BIO_get_mem_data(SSL_get_wbio(ssl), &data);

	cr_assert_eq(ch_buf_append(to, data, (size_t)len), 0);
	(void)BIO_reset(SSL_get_wbio(ssl));
}

/** Everything in @from goes to the OpenSSL end. */
static void deliver(SSL *ssl, struct ch_buf *from)
{
	cr_assert_eq(BIO_write(SSL_get_rbio(ssl), from->data, (int)from->len), (int)from->len);
	from->len = 0;
}

struct live {
	SSL *ssl;
	struct ch_record_engine *engine;
	struct ch_record record;
	struct ch_buf to_ssl;
	struct ch_buf to_us;
};

static void shake_hands(struct live *live, struct ch_handshake *ours)
{
	enum ch_handshake_status status = CH_HANDSHAKE_READ;
	struct ch_record_keys keys;

	for (unsigned turn = 0; turn < 10; turn++) {
		if (live->to_ssl.len > 0)
			deliver(live->ssl, &live->to_ssl);
		SSL_do_handshake(live->ssl);
		drain(live->ssl, &live->to_us);
		while (status == CH_HANDSHAKE_READ && live->to_us.len > 0)
			status = fx_feed(ours, &live->to_us, &live->to_ssl);
	}
	cr_assert_eq(status, CH_HANDSHAKE_DONE);
	cr_assert(SSL_is_init_finished(live->ssl));
	cr_assert_eq(ch_handshake_take_keys(ours, &keys), 0);
	cr_assert_eq(ch_record_engine_new(&live->engine), 0);
	ch_record_init(&live->record, live->engine, &keys, NULL);
	explicit_bzero(&keys, sizeof(keys));
	ch_handshake_free(ours);
}

static void live_deinit(struct live *live)
{
	SSL_free(live->ssl);
	ch_record_deinit(&live->record);
	ch_record_engine_free(live->engine);
	ch_buf_deinit(&live->to_ssl);
	ch_buf_deinit(&live->to_us);
}

static void send_ours(struct live *live, uint8_t type, const void *data, size_t len)
{
	struct ch_slice part = {data, len};

	cr_assert_eq(ch_record_seal(&live->record, type, &part, 1, &live->to_ssl), 0);
	deliver(live->ssl, &live->to_ssl);
}

/** The next record of that type; others may come before it. */
static void receive_ours(struct live *live, uint8_t type, const void *data, size_t len)
{
	struct ch_record_event event = {0};
	size_t used;

	drain(live->ssl, &live->to_us);
	while (event.type != type) {
		cr_assert_eq(ch_record_open(&live->record, live->to_us.data, live->to_us.len, &used,
					    &event),
			     CH_RECORD_EVENT);
		if (event.type == type) {
			cr_assert_eq(event.len, len);
			cr_assert_eq(memcmp(event.data, data, len), 0);
		}
		ch_buf_consume(&live->to_us, used);
	}
}

static void expect_read(SSL *ssl, const void *data, size_t len)
{
	uint8_t got[16384];
	size_t at = 0;

	while (at < len) {
		int n = SSL_read(ssl, got + at, (int)(len - at));

		cr_assert_gt(n, 0);
		at += (size_t)n;
	}
	cr_assert_eq(memcmp(got, data, len), 0);
}

static void talk(struct live *live)
{
	static const size_t sizes[] = {1, 200, 16384};
	uint8_t text[16384];

	for (size_t i = 0; i < sizeof(text); i++)
		text[i] = (uint8_t)(i * 13);
	for (unsigned i = 0; i < 9; i++) {
		size_t len = sizes[i % 3];

		send_ours(live, CH_RECORD_DATA, text, len);
		expect_read(live->ssl, text, len);
		cr_assert_eq(SSL_write(live->ssl, text, (int)len), (int)len);
		receive_ours(live, CH_RECORD_DATA, text, len);
	}
}

/** close_notify in both directions, as OpenSSL judges it. */
static void part(struct live *live)
{
	uint8_t byte;

	send_ours(live, CH_RECORD_ALERT, "\1\0", 2);
	cr_assert_eq(SSL_read(live->ssl, &byte, 1), 0);
	cr_assert_eq(SSL_get_error(live->ssl, 0), SSL_ERROR_ZERO_RETURN);
	cr_assert_eq(SSL_shutdown(live->ssl), 1);
	receive_ours(live, CH_RECORD_ALERT, "\1\0", 2);
	cr_assert_eq(live->to_us.len, 0);
}

static void with_openssl_server(const struct suite *suite, void (*then)(struct live *live))
{
	struct ch_credential *device = fx_acme_device(&world, NULL);
	struct live live = {.ssl = plain_ssl(suite, true, device)};
	struct ch_handshake *ours;

	cr_assert_eq(ch_handshake_client(world.collector, &ours), 0);
	cr_assert_eq(ch_handshake_step(ours, NULL, 0, &live.to_ssl), CH_HANDSHAKE_READ);
	shake_hands(&live, ours);
	then(&live);
	part(&live);
	live_deinit(&live);
	ch_credential_free(device);
}

/* With OpenSSL's default tickets: two under TLS 1.3. */
Test(tlspeer, our_client_records_agree_with_openssl)
{
	for (size_t i = 0; i < SUITES; i++)
		with_openssl_server(&suites[i], talk);
}

static void with_openssl_client(const struct suite *suite, unsigned tickets)
{
	struct ch_tls_server_options options = {.request_client_certificate = true,
						.tickets = tickets};
	struct ch_credential *device = fx_acme_device(&world, NULL);
	struct live live = {.ssl = plain_ssl(suite, false, world.client)};
	struct ch_tls_context *context;
	struct ch_handshake *ours;

	cr_assert_eq(ch_tls_server_new(&options, &context), 0);
	cr_assert_eq(ch_handshake_server(context, device, &ours), 0);
	shake_hands(&live, ours);
	talk(&live);
	part(&live);
	live_deinit(&live);
	ch_tls_context_free(context);
	ch_credential_free(device);
}

/* The tickets use up sequence numbers of the server. */
Test(tlspeer, our_server_records_agree_with_openssl)
{
	for (size_t i = 0; i < SUITES; i++)
		for (unsigned tickets = 0; tickets < 4; tickets++)
			with_openssl_client(&suites[i], tickets);
}

#define KEY_UPDATE "\x18\0\0\1\0"

static void update_keys(struct live *live)
{
	talk(live);
	for (unsigned i = 0; i < 3; i++) {
		/* theirs */
		cr_assert_eq(SSL_key_update(live->ssl, SSL_KEY_UPDATE_NOT_REQUESTED), 1);
		cr_assert_eq(SSL_do_handshake(live->ssl), 1);
		receive_ours(live, CH_RECORD_HANDSHAKE, KEY_UPDATE, 5);
		cr_assert_eq(ch_record_rekey(&live->record, false), 0);
		talk(live);
		/* ours */
		send_ours(live, CH_RECORD_HANDSHAKE, KEY_UPDATE, 5);
		cr_assert_eq(ch_record_rekey(&live->record, true), 0);
		talk(live);
	}
}

static void without_tickets_first(struct live *live)
{
	uint8_t text[1] = {'x'};

	/* the tickets would be taken for a KeyUpdate */
	cr_assert_eq(SSL_write(live->ssl, text, 1), 1);
	receive_ours(live, CH_RECORD_DATA, text, 1);
	update_keys(live);
}

Test(tlspeer, key_updates_agree_with_openssl_in_both_directions)
{
	for (size_t i = 3; i < SUITES; i++)
		with_openssl_server(&suites[i], without_tickets_first);
}
