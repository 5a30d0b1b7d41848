/* SPDX-License-Identifier: Apache-2.0 */
/* links: tls core */
/* sources: tests/unit/tls_fixture.c */
/*
 * Our keys and records against OpenSSL's own record layer: the handshake object of one end is
 * freed, the other end goes on with SSL_read and SSL_write.
 */
#include "world_rig.h"
#include "user/tls/credential.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

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
	uint8_t *got = malloc(len);
	size_t at = 0;

	while (at < len) {
		int n = SSL_read(ssl, got + at, (int)(len - at));

		cr_assert_gt(n, 0);
		at += (size_t)n;
	}
	cr_assert_eq(memcmp(got, data, len), 0);
	free(got);
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

/** A session of ours with a server on OpenSSL's own record layer. */
static void meet_openssl_server(struct live *live, const struct suite *suite)
{
	struct ch_credential *device = fx_acme_device(&world, NULL);
	struct ch_handshake *ours;

	*live = (struct live){.ssl = plain_ssl(suite, true, device)};
	cr_assert_eq(ch_handshake_client(world.collector, &ours), 0);
	cr_assert_eq(ch_handshake_step(ours, NULL, 0, &live->to_ssl), CH_HANDSHAKE_READ);
	shake_hands(live, ours);
	ch_credential_free(device);
}

static void with_openssl_server(const struct suite *suite, void (*then)(struct live *live))
{
	struct live live;

	meet_openssl_server(&live, suite);
	then(&live);
	part(&live);
	live_deinit(&live);
}

/* With OpenSSL's default tickets: two under TLS 1.3. */
Test(tlspeer, our_client_records_agree_with_openssl)
{
	for (size_t i = 0; i < SUITES; i++)
		with_openssl_server(&suites[i], talk);
}

static void with_openssl_client(const struct suite *suite, unsigned tickets,
				void (*then)(struct live *live))
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
	then(&live);
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
			with_openssl_client(&suites[i], tickets, talk);
}

/** Every suite, OpenSSL as server and as client. */
static void with_both_roles(size_t first, void (*then)(struct live *live))
{
	for (size_t i = first; i < SUITES; i++) {
		with_openssl_server(&suites[i], then);
		with_openssl_client(&suites[i], 1, then);
	}
}

#define FIRST_TLS13 3
#define TEXT_MAX 100000

static uint8_t *text_new(void)
{
	uint8_t *text = malloc(TEXT_MAX);

	for (size_t i = 0; i < TEXT_MAX; i++)
		text[i] = (uint8_t)(i * 13 + i / 251);
	return text;
}

/** Opens what OpenSSL wrote, cut at @split: the application data must be @text. */
static void receive_text(struct live *live, const uint8_t *text, size_t len, size_t split)
{
	size_t ends[2];
	size_t got = 0;
	size_t at = 0;

	drain(live->ssl, &live->to_us);
	ends[0] = split < live->to_us.len ? split : live->to_us.len;
	ends[1] = live->to_us.len;
	for (int i = 0; i < 2; i++) {
		struct ch_record_event event;
		size_t used;

		while (ch_record_open(&live->record, live->to_us.data + at, ends[i] - at, &used,
				      &event) == CH_RECORD_EVENT) {
			at += used;
			if (event.type != CH_RECORD_DATA)
				continue;
			cr_assert_leq(got + event.len, len);
			cr_assert_eq(memcmp(event.data, text + got, event.len), 0);
			got += event.len;
		}
		at += used;
		cr_assert_eq(live->record.reason, CH_REASON_NONE);
	}
	cr_assert_eq(at, live->to_us.len);
	cr_assert_eq(got, len);
	cr_assert_not(ch_record_pending(&live->record));
	live->to_us.len = 0;
}

/** An empty record of ours is legal; SSL_write has none. */
static void send_empty(struct live *live)
{
	send_ours(live, CH_RECORD_DATA, "", 0);
}

static void all_sizes(struct live *live)
{
	static const size_t sizes[] = {0,     1,     200,   16383, 16384,
				       16385, 32768, 32769, 65537, TEXT_MAX};
	uint8_t *text = text_new();

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		send_empty(live);
		send_ours(live, CH_RECORD_DATA, text, sizes[i]);
		expect_read(live->ssl, text, sizes[i]);
		cr_assert_eq(SSL_pending(live->ssl), 0);
		if (sizes[i] > 0)
			cr_assert_eq(SSL_write(live->ssl, text, (int)sizes[i]), (int)sizes[i]);
		receive_text(live, text, sizes[i], sizes[i] / 3);
	}
	free(text);
}

Test(tlspeer, records_of_every_size_agree_with_openssl_in_both_roles)
{
	with_both_roles(0, all_sizes);
}

/** Two records of ours; OpenSSL gets the bytes in two pieces. */
static void send_split(struct live *live, const uint8_t *text, size_t len, size_t split)
{
	struct ch_slice first = {text, len / 2};
	struct ch_slice second = {text + len / 2, len - len / 2};
	struct ch_buf *wire = &live->to_ssl;
	uint8_t byte;

	cr_assert_eq(ch_record_seal(&live->record, CH_RECORD_DATA, &first, 1, wire), 0);
	cr_assert_eq(ch_record_seal(&live->record, CH_RECORD_DATA, &second, 1, wire), 0);
	split = split < wire->len ? split : wire->len;
	cr_assert_eq(BIO_write(SSL_get_rbio(live->ssl), wire->data, (int)split), (int)split);
	(void)SSL_peek(live->ssl, &byte, 1);
	ch_buf_consume(wire, split);
	deliver(live->ssl, wire);
	expect_read(live->ssl, text, len);
}

static void every_split(struct live *live)
{
	uint8_t *text = text_new();

	/* two records of 20 bytes and at most 29 more each */
	for (size_t split = 0; split <= 2 * (20 + 29); split++) {
		send_split(live, text, 40, split);
		cr_assert_eq(SSL_write(live->ssl, text, 20), 20);
		cr_assert_eq(SSL_write(live->ssl, text + 20, 20), 20);
		receive_text(live, text, 40, split);
	}
	free(text);
}

Test(tlspeer, two_records_split_anywhere_agree_with_openssl_in_both_roles)
{
	with_both_roles(0, every_split);
}

static size_t pad(SSL *ssl, int type, size_t len, void *arg)
{
	size_t *turn = arg;
	static const size_t amounts[] = {0, 1, 15, 255, 4000, 16384};
	size_t amount = amounts[(*turn)++ % 6];

	(void)ssl;
	(void)type;
	return len + amount > 16384 ? 16384 - len : amount;
}

/** Sealed as type 0: the text brings its own type, and the zeros are padding. */
static void send_padded(struct live *live, const uint8_t *text, size_t len, size_t padding)
{
	struct ch_slice parts[] = {{text, len}, CH_LIT("\x17"), {calloc(1, padding + 1), padding}};

	cr_assert_eq(ch_record_seal(&live->record, 0, parts, 3, &live->to_ssl), 0);
	deliver(live->ssl, &live->to_ssl);
	free((void *)parts[2].data);
}

static void with_padding(struct live *live)
{
	static const size_t sizes[] = {1, 2, 200, 5000, 16000};
	uint8_t *text = text_new();
	size_t turn = 0;

	SSL_set_record_padding_callback(live->ssl, pad);
	SSL_set_record_padding_callback_arg(live->ssl, &turn);
	for (unsigned i = 0; i < 60; i++) {
		size_t len = sizes[i % 5];
		size_t padding = i * 271 % 16384;

		cr_assert_eq(SSL_write(live->ssl, text, (int)len), (int)len);
		receive_text(live, text, len, i * 97);
		padding = len + padding > 16383 ? 16383 - len : padding;
		send_padded(live, text, len, padding);
		expect_read(live->ssl, text, len);
	}
	cr_assert_eq(turn, 60);
	SSL_set_record_padding_callback(live->ssl, NULL);
	free(text);
}

Test(tlspeer, padding_agrees_with_openssl_in_both_roles)
{
	with_both_roles(FIRST_TLS13, with_padding);
}

static void small_fragments(struct live *live)
{
	uint8_t *text = text_new();
	uint64_t before = live->record.keys.rx.sequence;

	cr_assert_eq(SSL_set_max_send_fragment(live->ssl, 512), 1);
	cr_assert_eq(SSL_write(live->ssl, text, TEXT_MAX), TEXT_MAX);
	receive_text(live, text, TEXT_MAX, 12345);
	cr_assert_geq(live->record.keys.rx.sequence - before, TEXT_MAX / 512);
	free(text);
}

Test(tlspeer, fragments_of_a_small_device_come_together_in_both_roles)
{
	with_both_roles(0, small_fragments);
}

#define KEY_UPDATE "\x18\0\0\1\0"
#define KEY_UPDATE_REQUESTED "\x18\0\0\1\1"

/** Also past the tickets, which are handshake records too. */
static void receive_key_update(struct live *live, const char message[5])
{
	struct ch_record_event event = {0};
	size_t used;

	drain(live->ssl, &live->to_us);
	do {
		cr_assert_eq(ch_record_open(&live->record, live->to_us.data, live->to_us.len, &used,
					    &event),
			     CH_RECORD_EVENT);
		if (event.type == CH_RECORD_HANDSHAKE && event.len == 5)
			cr_assert_eq(memcmp(event.data, message, 5), 0);
		ch_buf_consume(&live->to_us, used);
	} while (event.type != CH_RECORD_HANDSHAKE || event.len != 5);
	cr_assert_eq(ch_record_rekey(&live->record, false), 0);
}

static void send_key_update(struct live *live, const char message[5])
{
	send_ours(live, CH_RECORD_HANDSHAKE, message, 5);
	cr_assert_eq(ch_record_rekey(&live->record, true), 0);
}

/** Both keys have changed since, or one only: data passes both ways. */
static void exchange(struct live *live, const uint8_t *text, size_t len)
{
	send_ours(live, CH_RECORD_DATA, text, len);
	expect_read(live->ssl, text, len);
	cr_assert_eq(SSL_write(live->ssl, text, (int)len), (int)len);
	receive_text(live, text, len, len / 2);
}

static void update_keys(struct live *live)
{
	uint8_t *text = text_new();

	for (size_t i = 0; i < 3; i++) {
		size_t len = 1 + i * 20000;

		/* theirs */
		cr_assert_eq(SSL_key_update(live->ssl, SSL_KEY_UPDATE_NOT_REQUESTED), 1);
		cr_assert_eq(SSL_do_handshake(live->ssl), 1);
		receive_key_update(live, KEY_UPDATE);
		exchange(live, text, len);
		/* ours */
		send_key_update(live, KEY_UPDATE);
		exchange(live, text, len);
		/* theirs, and they ask for ours */
		cr_assert_eq(SSL_key_update(live->ssl, SSL_KEY_UPDATE_REQUESTED), 1);
		cr_assert_eq(SSL_do_handshake(live->ssl), 1);
		receive_key_update(live, KEY_UPDATE_REQUESTED);
		send_key_update(live, KEY_UPDATE);
		exchange(live, text, len);
		/* ours, and we ask for theirs: it comes before their next data */
		send_key_update(live, KEY_UPDATE_REQUESTED);
		send_ours(live, CH_RECORD_DATA, text, len);
		expect_read(live->ssl, text, len);
		cr_assert_eq(SSL_write(live->ssl, text, 1), 1);
		receive_key_update(live, KEY_UPDATE);
		receive_text(live, text, 1, 0);
		exchange(live, text, len);
	}
	free(text);
}

Test(tlspeer, key_updates_requested_or_not_agree_with_openssl_in_both_roles)
{
	with_both_roles(FIRST_TLS13, update_keys);
}

Test(tlspeer, the_close_of_openssl_is_answered)
{
	for (size_t i = 0; i < SUITES; i++) {
		struct live live;

		meet_openssl_server(&live, &suites[i]);
		cr_assert_eq(SSL_shutdown(live.ssl), 0);
		receive_ours(&live, CH_RECORD_ALERT, "\1\0", 2);
		cr_assert_eq(live.to_us.len, 0);
		send_ours(&live, CH_RECORD_ALERT, "\1\0", 2);
		cr_assert_eq(SSL_shutdown(live.ssl), 1);
		live_deinit(&live);
	}
}

Test(tlspeer, openssl_answers_a_tampered_record_with_bad_record_mac)
{
	struct ch_slice text = CH_LIT("to be tampered with");

	for (size_t i = 0; i < SUITES; i++) {
		struct live live;
		uint8_t byte;

		meet_openssl_server(&live, &suites[i]);
		cr_assert_eq(ch_record_seal(&live.record, CH_RECORD_DATA, &text, 1, &live.to_ssl),
			     0);
		live.to_ssl.data[live.to_ssl.len - 1] ^= 1;
		deliver(live.ssl, &live.to_ssl);
		cr_assert_eq(SSL_read(live.ssl, &byte, 1), -1);
		receive_ours(&live, CH_RECORD_ALERT, "\2\24", 2);
		live_deinit(&live);
	}
}
