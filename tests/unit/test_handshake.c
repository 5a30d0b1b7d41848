/* SPDX-License-Identifier: Apache-2.0 */
/* links: tls core */
/* sources: tests/unit/tls_fixture.c */
/* Handshakes between our two roles: what is negotiated, how they fail, and by what name. */
#include "world_rig.h"
#include "user/tls/context.h"
#include "user/tls/credential.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

static const uint16_t versions[] = {CH_TLS_1_2, CH_TLS_1_3};

TestSuite(handshake, .init = setup, .fini = teardown);

static struct ch_tls_context *server_of(struct ch_tls_server_options options)
{
	struct ch_tls_context *server;

	cr_assert_eq(ch_tls_server_new(&options, &server), 0);
	return server;
}

static struct ch_tls_server_options only(uint16_t version)
{
	return (struct ch_tls_server_options){
		.min_version = version, .max_version = version, .request_client_certificate = true};
}

/* ---- the matrix ---- */

struct suite {
	uint16_t version;
	uint8_t aead;
	const char *list;  /**< for the server */
	const char *ecdsa; /**< as it is shown */
	const char *rsa;
};

static const struct suite suites[] = {
	{CH_TLS_1_2, CH_AEAD_AES_128_GCM, "ECDHE+AESGCM+AES128", "ECDHE-ECDSA-AES128-GCM-SHA256",
	 "ECDHE-RSA-AES128-GCM-SHA256"},
	{CH_TLS_1_2, CH_AEAD_AES_256_GCM, "ECDHE+AESGCM+AES256", "ECDHE-ECDSA-AES256-GCM-SHA384",
	 "ECDHE-RSA-AES256-GCM-SHA384"},
	{CH_TLS_1_2, CH_AEAD_CHACHA20_POLY1305, "ECDHE+CHACHA20", "ECDHE-ECDSA-CHACHA20-POLY1305",
	 "ECDHE-RSA-CHACHA20-POLY1305"},
	{CH_TLS_1_3, CH_AEAD_AES_128_GCM, "TLS_AES_128_GCM_SHA256", "TLS_AES_128_GCM_SHA256",
	 "TLS_AES_128_GCM_SHA256"},
	{CH_TLS_1_3, CH_AEAD_AES_256_GCM, "TLS_AES_256_GCM_SHA384", "TLS_AES_256_GCM_SHA384",
	 "TLS_AES_256_GCM_SHA384"},
	{CH_TLS_1_3, CH_AEAD_CHACHA20_POLY1305, "TLS_CHACHA20_POLY1305_SHA256",
	 "TLS_CHACHA20_POLY1305_SHA256", "TLS_CHACHA20_POLY1305_SHA256"},
};
#define SUITES (sizeof(suites) / sizeof(suites[0]))

static void check_info(const struct ch_handshake *handshake, const struct suite *suite,
		       const char *cipher)
{
	struct ch_handshake_info info;

	ch_handshake_info(handshake, &info);
	cr_assert_eq(info.version, suite->version);
	cr_assert_eq(info.aead, suite->aead);
	cr_assert_str_eq(ch_tls_cipher_name(info.cipher), cipher);
	cr_assert_str_eq(ch_tls_group_name(info.group), "X25519");
}

/** Takes the keys of both ends, frees the handshakes, and makes records of them. */
static void install(struct fx_pair *pair, struct ch_record_engine *engine, struct ch_record *client,
		    struct ch_record *server)
{
	struct ch_record_keys keys;

	cr_assert_eq(ch_handshake_take_keys(pair->client, &keys), 0);
	ch_record_init(client, engine, &keys, NULL);
	cr_assert_eq(ch_handshake_take_keys(pair->client, &keys), CH_E_CRYPTO);
	cr_assert_eq(ch_handshake_take_keys(pair->server, &keys), 0);
	ch_record_init(server, engine, &keys, NULL);
	ch_handshake_free(pair->client);
	ch_handshake_free(pair->server);
	pair->client = NULL;
	pair->server = NULL;
}

/** Seals @text at one end and opens it at the other, behind what is in @wire already. */
static void say(struct ch_record *from, struct ch_record *to, struct ch_buf *wire, const char *text)
{
	struct ch_slice part = {(const uint8_t *)text, strlen(text)};
	struct ch_record_event event = {0};
	size_t used;

	cr_assert_eq(ch_record_seal(from, CH_RECORD_DATA, &part, 1, wire), 0);
	while (event.type != CH_RECORD_DATA) {
		cr_assert_eq(ch_record_open(to, wire->data, wire->len, &used, &event),
			     CH_RECORD_EVENT);
		cr_assert(event.type == CH_RECORD_DATA || event.type == CH_RECORD_HANDSHAKE);
		cr_assert(event.type == CH_RECORD_HANDSHAKE || event.len == part.len);
		cr_assert(event.type == CH_RECORD_HANDSHAKE ||
			  memcmp(event.data, text, part.len) == 0);
		ch_buf_consume(wire, used);
	}
	cr_assert_eq(wire->len, 0);
}

static void check_records(struct fx_pair *pair)
{
	struct ch_record_engine *engine;
	struct ch_record client;
	struct ch_record server;

	cr_assert_eq(ch_record_engine_new(&engine), 0);
	install(pair, engine, &client, &server);
	cr_assert_eq(pair->to_server.len, 0);
	/* the tickets of TLS 1.3 come first */
	say(&server, &client, &pair->to_client, "<hello/>");
	for (unsigned i = 0; i < 3; i++) {
		say(&client, &server, &pair->to_server, "<hello/>]]>]]>");
		say(&server, &client, &pair->to_client, "<notification/>");
	}
	ch_record_deinit(&client);
	ch_record_deinit(&server);
	ch_record_engine_free(engine);
}

static void check_suite(const struct suite *suite, bool rsa, unsigned tickets)
{
	struct ch_tls_server_options options = only(suite->version);
	struct ch_credential *device =
		rsa ? fx_borg_device(&world, NULL) : fx_acme_device(&world, NULL);
	struct ch_tls_context *server;
	struct ch_handshake_info info;
	struct fx_pair pair;
	uint8_t shown[32];
	uint8_t own[32];

	options.tickets = tickets;
	if (suite->version == CH_TLS_1_2)
		options.cipher_list = suite->list;
	else
		options.ciphersuites = suite->list;
	server = server_of(options);
	world.inventory.manufacturer = rsa;
	fx_pair_init(&pair, world.collector, server, device);
	fx_pair_run(&pair);
	cr_assert_eq(pair.client_status, CH_HANDSHAKE_DONE);
	cr_assert_eq(pair.server_status, CH_HANDSHAKE_DONE);
	check_info(pair.client, suite, rsa ? suite->rsa : suite->ecdsa);
	check_info(pair.server, suite, rsa ? suite->rsa : suite->ecdsa);
	ch_handshake_info(pair.client, &info);
	cr_assert_str_eq(ch_tls_signature_name(info.signature),
			 rsa ? "rsa-pss-sha256" : "ecdsa-sha256");
	cr_assert_eq(ch_handshake_reason(pair.client), CH_REASON_NONE);
	cr_assert_str_eq(ch_handshake_detail(pair.client), "");
	cr_assert_eq(ch_handshake_match(pair.client)->device, 7);
	cr_assert(ch_handshake_client_certificate(pair.server, shown));
	X509_digest(world.client_cert, EVP_sha256(), own, NULL);
	cr_assert_eq(memcmp(shown, own, 32), 0);
	check_records(&pair);
	fx_pair_deinit(&pair);
	ch_tls_context_free(server);
	ch_credential_free(device);
}

/* row: 9918-suites */
Test(handshake, every_suite_and_key_type_ends_in_working_records)
{
	for (size_t i = 0; i < SUITES; i++) {
		check_suite(&suites[i], false, 0);
		check_suite(&suites[i], true, 2);
	}
}

Test(handshake, keys_are_there_only_when_done)
{
	struct ch_handshake *client;
	struct ch_record_keys keys;

	cr_assert_eq(ch_handshake_client(world.collector, &client), 0);
	cr_assert_eq(ch_handshake_take_keys(client, &keys), CH_E_CRYPTO);
	ch_handshake_free(client);
}

static uint64_t explicit_nonce(const uint8_t *record)
{
	uint64_t nonce = 0;

	for (unsigned i = 0; i < 8; i++)
		nonce = nonce << 8 | record[5 + i];
	return nonce;
}

/* No peer notices a nonce that is used twice; whoever listens does. */
Test(handshake, the_next_explicit_nonce_is_behind_that_of_our_finished)
{
	struct ch_tls_server_options options = only(CH_TLS_1_2);
	struct ch_credential *device = fx_acme_device(&world, NULL);
	struct ch_tls_context *server = server_of(options);
	const size_t finished = 5 + 8 + 16 + 16;
	struct ch_record_keys client_keys;
	struct ch_record_keys server_keys;
	struct fx_pair pair;
	uint64_t client_nonce;
	uint64_t server_nonce;

	fx_pair_init(&pair, world.collector, server, device);
	fx_feed(pair.server, &pair.to_server, &pair.to_client);
	while (pair.to_client.len > 0)
		fx_feed(pair.client, &pair.to_client, &pair.to_server);
	client_nonce = explicit_nonce(pair.to_server.data + pair.to_server.len - finished);
	while (pair.to_server.len > 0)
		fx_feed(pair.server, &pair.to_server, &pair.to_client);
	server_nonce = explicit_nonce(pair.to_client.data + pair.to_client.len - finished);
	fx_pair_run(&pair);
	cr_assert_eq(ch_handshake_take_keys(pair.client, &client_keys), 0);
	cr_assert_eq(ch_handshake_take_keys(pair.server, &server_keys), 0);
	cr_assert_eq(client_keys.tx.explicit_nonce, client_nonce + 1);
	cr_assert_eq(server_keys.tx.explicit_nonce, server_nonce + 1);
	cr_assert_eq(client_keys.tx.sequence, 1);
	cr_assert_eq(client_keys.rx.sequence, 1);
	fx_pair_deinit(&pair);
	ch_tls_context_free(server);
	ch_credential_free(device);
}

/* row: 9918-version */
Test(handshake, tls13_is_preferred)
{
	struct ch_tls_context *server =
		server_of((struct ch_tls_server_options){.request_client_certificate = true});
	struct ch_credential *device = fx_acme_device(&world, NULL);
	struct ch_handshake_info info;
	struct fx_pair pair;

	fx_pair_init(&pair, world.collector, server, device);
	fx_pair_run(&pair);
	cr_assert_eq(pair.client_status, CH_HANDSHAKE_DONE);
	ch_handshake_info(pair.client, &info);
	cr_assert_eq(info.version, CH_TLS_1_3);
	cr_assert_eq(info.aead, CH_AEAD_AES_128_GCM);
	fx_pair_deinit(&pair);
	ch_tls_context_free(server);
	ch_credential_free(device);
}

/* ---- what we offer ---- */

static size_t be16(const uint8_t *at)
{
	return (size_t)at[0] << 8 | at[1];
}

/** The body of an extension of a ClientHello record, NULL = absent. */
static const uint8_t *extension(const struct ch_buf *hello, size_t type, size_t *len)
{
	/* record 5, message 4, version 2, random 32 */
	const uint8_t *at = hello->data + 5 + 4 + 2 + 32;
	const uint8_t *end = hello->data + hello->len;

	at += 1 + at[0];
	at += 2 + be16(at);
	at += 1 + at[0];
	at += 2;
	while (at < end && be16(at) != type)
		at += 4 + be16(at + 2);
	if (at >= end)
		return NULL;
	*len = be16(at + 2);
	return at + 4;
}

/* row: C7-resumption 9918-early 9918-suites */
Test(handshake, the_client_hello_offers_ecdhe_aead_suites_and_no_resumption)
{
	static const uint8_t offered[] = {
		0x13, 0x01, 0x13, 0x02, 0x13, 0x03, 0xc0, 0x2b, 0xc0, 0x2f,
		0xc0, 0x2c, 0xc0, 0x30, 0xcc, 0xa9, 0xcc, 0xa8, 0x00, 0xff,
	};
	static const uint8_t groups[] = {0, 8, 0x00, 0x1d, 0x00, 0x17, 0x00, 0x18, 0x00, 0x19};
	static const uint8_t protocols[] = {4, 3, 4, 3, 3};
	struct ch_handshake *client;
	struct ch_buf hello = {0};
	const uint8_t *at;
	size_t len;

	cr_assert_eq(ch_handshake_client(world.collector, &client), 0);
	cr_assert_eq(ch_handshake_step(client, NULL, 0, &hello), CH_HANDSHAKE_READ);
	at = hello.data + 5 + 4 + 2 + 32;
	at += 1 + at[0];
	cr_assert_eq(be16(at), sizeof(offered));
	cr_assert_eq(memcmp(at + 2, offered, sizeof(offered)), 0);
	at = extension(&hello, 10, &len);
	cr_assert(at != NULL && len == sizeof(groups) && memcmp(at, groups, len) == 0);
	at = extension(&hello, 43, &len);
	cr_assert(at != NULL && len == sizeof(protocols) && memcmp(at, protocols, len) == 0);
	cr_assert_null(extension(&hello, 35, &len)); /* session ticket */
	cr_assert_null(extension(&hello, 41, &len)); /* pre-shared key */
	ch_handshake_free(client);
	ch_buf_deinit(&hello);
}

/*
 * Under TLS 1.2 the groups of the ClientHello bind the certificates of both sides, too (RFC 8422
 * section 5.1): a curve that is not offered shuts its owners out.
 */
Test(handshake, keys_on_p521_log_in_over_both_versions)
{
	EVP_PKEY *key = EVP_EC_gen("P-521");
	const struct fx_cert fields = {.serial = "SN1", .cn = "SN1", .key = key};
	struct ch_credential *device = fx_acme_device(&world, &fields);
	struct ch_credential *collector = fx_borg_device(&world, &fields);

	world.inventory.match.credential = collector;
	for (size_t i = 0; i < 2; i++) {
		struct ch_tls_context *server = server_of(only(versions[i]));
		struct fx_pair pair;

		fx_pair_init(&pair, world.collector, server, device);
		fx_pair_run(&pair);
		cr_assert_eq(pair.client_status, CH_HANDSHAKE_DONE, "%s",
			     ch_handshake_detail(pair.client));
		cr_assert_eq(pair.server_status, CH_HANDSHAKE_DONE, "%s",
			     ch_handshake_detail(pair.server));
		fx_pair_deinit(&pair);
		ch_tls_context_free(server);
	}
	ch_credential_free(collector);
	ch_credential_free(device);
	EVP_PKEY_free(key);
}

Test(handshake, every_offered_group_is_shown_by_its_name)
{
	static const char *const groups[] = {"X25519", "P-256", "P-384", "P-521"};
	struct ch_credential *device = fx_acme_device(&world, NULL);

	for (size_t i = 0; i < sizeof(groups) / sizeof(groups[0]); i++) {
		struct ch_tls_context *server = server_of(only(CH_TLS_1_3));
		struct ch_handshake_info info;
		struct fx_pair pair;

		cr_assert_eq(SSL_CTX_set1_groups_list(server->ssl, groups[i]), 1);
		fx_pair_init(&pair, world.collector, server, device);
		fx_pair_run(&pair);
		cr_assert_eq(pair.client_status, CH_HANDSHAKE_DONE);
		ch_handshake_info(pair.client, &info);
		cr_assert_str_eq(ch_tls_group_name(info.group), groups[i]);
		fx_pair_deinit(&pair);
		ch_tls_context_free(server);
	}
	ch_credential_free(device);
}

/* ---- refusals ---- */

static void expect_failure(struct ch_tls_server_options options, const struct ch_credential *device,
			   const char *reason, const char *detail)
{
	struct ch_tls_context *server = server_of(options);
	struct fx_pair pair;

	fx_pair_init(&pair, world.collector, server, device);
	fx_pair_run(&pair);
	cr_assert_eq(pair.client_status, CH_HANDSHAKE_FAILED);
	cr_assert_str_eq(ch_reason_name(ch_handshake_reason(pair.client)), reason);
	cr_assert_str_eq(ch_handshake_detail(pair.client), detail);
	fx_pair_deinit(&pair);
	ch_tls_context_free(server);
}

/* row: 9918-version */
Test(handshake, a_device_older_than_tls12_is_named_so)
{
	struct ch_credential *device = fx_acme_device(&world, NULL);
	struct ch_tls_server_options options = only(TLS1_1_VERSION);

	options.cipher_list = "ALL:@SECLEVEL=0";
	expect_failure(options, device, "tls-version-too-old", "alert protocol_version");
	options.min_version = options.max_version = TLS1_VERSION;
	expect_failure(options, device, "tls-version-too-old", "alert protocol_version");
	ch_credential_free(device);
}

/* row: 9918-suites */
Test(handshake, a_device_without_aead_or_ecdhe_is_named_so)
{
	struct ch_tls_server_options options = only(CH_TLS_1_2);
	struct ch_credential *device;

	world.inventory.manufacturer = 1;
	device = fx_borg_device(&world, NULL);
	options.cipher_list = "ECDHE-RSA-AES128-SHA256:ECDHE-RSA-AES256-SHA";
	expect_failure(options, device, "no-shared-cipher", "alert handshake_failure");
	options.cipher_list = "AES128-GCM-SHA256:AES256-SHA";
	expect_failure(options, device, "no-shared-cipher", "alert handshake_failure");
	options.cipher_list = "DHE-RSA-AES128-GCM-SHA256";
	expect_failure(options, device, "no-shared-cipher", "alert handshake_failure");
	ch_credential_free(device);
}

/* row: 7589-2 */
Test(handshake, a_device_that_asks_for_no_certificate_is_refused)
{
	for (unsigned v = 0; v < 2; v++) {
		struct ch_tls_server_options options = only(versions[v]);
		struct ch_credential *device = fx_acme_device(&world, NULL);
		struct ch_tls_context *server;
		struct fx_pair pair;
		uint8_t sha256[32];

		options.request_client_certificate = false;
		server = server_of(options);
		fx_pair_init(&pair, world.collector, server, device);
		fx_pair_run(&pair);
		cr_assert_eq(pair.client_status, CH_HANDSHAKE_FAILED);
		cr_assert_eq(ch_handshake_reason(pair.client), CH_REASON_NO_CERT_REQUEST);
		cr_assert(ch_handshake_proven(pair.client));
		cr_assert_not(ch_handshake_client_certificate(pair.server, sha256));
		/* under TLS 1.3 nothing followed the ClientHello */
		cr_assert_eq(pair.server_status,
			     versions[v] == CH_TLS_1_3 ? CH_HANDSHAKE_READ : CH_HANDSHAKE_DONE);
		cr_assert_eq(pair.to_server.len, 0);
		fx_pair_deinit(&pair);
		ch_tls_context_free(server);
		ch_credential_free(device);
	}
}

/* TLS 1.2: the device judges our certificate before it sends its Finished. */
/* row: S5a 7589-5 */
Test(handshake, a_tls12_device_that_refuses_our_certificate_is_named_so)
{
	struct ch_tls_server_options options = only(CH_TLS_1_2);
	struct ch_credential *device = fx_acme_device(&world, NULL);

	options.client_ca_file = world.acme_file;
	expect_failure(options, device, "client-certificate-refused", "alert unknown_ca");
	options.client_ca_file = world.client_file;
	{
		struct ch_tls_context *server = server_of(options);
		struct fx_pair pair;

		fx_pair_init(&pair, world.collector, server, device);
		fx_pair_run(&pair);
		cr_assert_eq(pair.client_status, CH_HANDSHAKE_DONE);
		fx_pair_deinit(&pair);
		ch_tls_context_free(server);
	}
	ch_credential_free(device);
}

/* RFC 5246 section 7.4.6: this is the alert of a server that got no certificate it can use. */
Test(handshake, a_tls12_device_that_cannot_use_our_kind_of_certificate_is_named_so)
{
	struct ch_credential *device = fx_acme_device(&world, NULL);
	struct ch_tls_context *server = server_of(only(CH_TLS_1_2));
	struct fx_pair pair;

	cr_assert_eq(SSL_CTX_set1_client_sigalgs_list(server->ssl, "RSA+SHA256"), 1);
	fx_pair_init(&pair, world.collector, server, device);
	fx_pair_run(&pair);
	cr_assert_eq(pair.client_status, CH_HANDSHAKE_FAILED);
	cr_assert_str_eq(ch_reason_name(ch_handshake_reason(pair.client)),
			 "client-certificate-refused");
	cr_assert_str_eq(ch_handshake_detail(pair.client), "alert handshake_failure");
	fx_pair_deinit(&pair);
	ch_tls_context_free(server);
	ch_credential_free(device);
}

/* TLS 1.3: we are done before the device judged us; its alert is the first record. */
/* row: C8-refused S5a 7589-5 */
Test(handshake, a_tls13_device_that_refuses_our_certificate_says_so_in_the_first_record)
{
	struct ch_tls_server_options options = only(CH_TLS_1_3);
	struct ch_credential *device = fx_acme_device(&world, NULL);
	struct ch_record_engine *engine;
	struct ch_record_event event;
	struct ch_tls_context *server;
	struct ch_record_keys keys;
	struct ch_record record;
	struct fx_pair pair;
	size_t used;

	options.client_ca_file = world.acme_file;
	server = server_of(options);
	fx_pair_init(&pair, world.collector, server, device);
	fx_pair_run(&pair);
	cr_assert_eq(pair.client_status, CH_HANDSHAKE_DONE);
	cr_assert_eq(pair.server_status, CH_HANDSHAKE_FAILED);
	cr_assert_eq(ch_handshake_take_keys(pair.client, &keys), 0);
	cr_assert_eq(ch_record_engine_new(&engine), 0);
	ch_record_init(&record, engine, &keys, NULL);
	cr_assert_eq(
		ch_record_open(&record, pair.to_client.data, pair.to_client.len, &used, &event),
		CH_RECORD_EVENT);
	cr_assert_eq(event.type, CH_RECORD_ALERT);
	cr_assert_eq(event.len, 2);
	cr_assert_eq(event.data[1], 48);
	ch_record_deinit(&record);
	ch_record_engine_free(engine);
	fx_pair_deinit(&pair);
	ch_tls_context_free(server);
	ch_credential_free(device);
}

/* ---- alerts and other bytes in answer to the ClientHello ---- */

static void expect_answer(const uint8_t *record, size_t len, const char *reason, const char *detail)
{
	struct ch_handshake *client;
	struct ch_buf out = {0};

	cr_assert_eq(ch_handshake_client(world.collector, &client), 0);
	cr_assert_eq(ch_handshake_step(client, NULL, 0, &out), CH_HANDSHAKE_READ);
	cr_assert_eq(ch_handshake_step(client, record, len, &out), CH_HANDSHAKE_FAILED);
	cr_assert_str_eq(ch_reason_name(ch_handshake_reason(client)), reason);
	cr_assert_str_eq(ch_handshake_detail(client), detail);
	cr_assert_eq(ch_handshake_step(client, record, len, &out), CH_HANDSHAKE_FAILED);
	ch_handshake_free(client);
	ch_buf_deinit(&out);
}

static void expect_alert(uint8_t level, uint8_t code, const char *reason, const char *detail)
{
	uint8_t record[] = {21, 3, 3, 0, 2, level, code};

	expect_answer(record, sizeof(record), reason, detail);
}

Test(handshake, alerts_in_answer_to_the_client_hello)
{
	expect_alert(2, 70, "tls-version-too-old", "alert protocol_version");
	expect_alert(2, 40, "no-shared-cipher", "alert handshake_failure");
	expect_alert(2, 71, "no-shared-cipher", "alert insufficient_security");
	expect_alert(2, 80, "alert-from-device", "alert internal_error");
	expect_alert(2, 42, "alert-from-device", "alert bad_certificate");
	expect_alert(2, 116, "alert-from-device", "alert certificate_required");
	expect_alert(2, 200, "alert-from-device", "alert unknown");
	expect_alert(1, 0, "closed-in-handshake", "alert close_notify");
	expect_alert(2, 0, "closed-in-handshake", "alert close_notify");
}

Test(handshake, broken_bytes_are_a_protocol_error)
{
	expect_answer((uint8_t[]){22, 3, 3, 0, 4, 99, 0, 0, 0}, 9, "tls-protocol-error",
		      "unexpected message");
	expect_answer((uint8_t[]){22, 3, 3, 0, 6, 2, 0, 0, 2, 3, 3}, 11, "tls-protocol-error",
		      "length mismatch");
	expect_answer((uint8_t[]){23, 3, 3, 0, 1, 'x'}, 6, "tls-protocol-error",
		      "unexpected message");
	expect_answer((uint8_t[]){22, 3, 3, 0, 9, 1}, 6, "tls-protocol-error",
		      "not one whole record");
	expect_answer((uint8_t[]){22, 3, 3}, 3, "tls-protocol-error", "not one whole record");
	expect_answer((const uint8_t *)"HTTP/1.1 400", 12, "tls-protocol-error",
		      "not one whole record");
}

Test(handshake, record_headers)
{
	static const struct {
		uint8_t header[5];
		int length;
	} cases[] = {
		{{22, 3, 1, 0, 1}, 1},		 {{22, 3, 3, 0x41, 0x00}, 16640},
		{{22, 3, 3, 0x41, 0x01}, -1},	 {{22, 3, 3, 0xff, 0xff}, -1},
		{{22, 3, 3, 0, 0}, -1},		 {{20, 3, 3, 0, 1}, 1},
		{{21, 3, 3, 0, 2}, 2},		 {{23, 3, 3, 0, 99}, 99},
		{{24, 3, 3, 0, 19}, 19},	 {{19, 3, 3, 0, 1}, -1},
		{{25, 3, 3, 0, 1}, -1},		 {{22, 3, 0, 0, 1}, 1},
		{{22, 3, 4, 0, 1}, 1},		 {{22, 3, 5, 0, 1}, -1},
		{{22, 2, 3, 0, 1}, -1},		 {{'S', 'S', 'H', '-', '2'}, -1},
		{{'H', 'T', 'T', 'P', '/'}, -1}, {{0, 0, 0, 0, 0}, -1},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		cr_assert_eq(ch_handshake_record_length(cases[i].header), cases[i].length);
}

/* row: HB4 */
Test(handshake, heartbeats_are_dropped_and_counted)
{
	static const uint8_t heartbeat[] = {24, 3, 3, 0, 19, 1, 0, 16};
	uint8_t record[24] = {0};

	memcpy(record, heartbeat, sizeof(heartbeat));
	for (unsigned v = 0; v < 2; v++) {
		struct ch_credential *device = fx_acme_device(&world, NULL);
		struct ch_tls_context *server = server_of(only(versions[v]));
		struct fx_pair pair;

		fx_pair_init(&pair, world.collector, server, device);
		cr_assert_eq(ch_handshake_step(pair.client, record, 24, &pair.to_server),
			     CH_HANDSHAKE_READ);
		fx_feed(pair.server, &pair.to_server, &pair.to_client);
		fx_feed(pair.client, &pair.to_client, &pair.to_server);
		cr_assert_eq(ch_handshake_step(pair.client, record, 24, &pair.to_server),
			     CH_HANDSHAKE_READ);
		fx_pair_run(&pair);
		cr_assert_eq(pair.client_status, CH_HANDSHAKE_DONE);
		cr_assert_eq(ch_handshake_dropped(pair.client), 2);
		cr_assert_eq(ch_handshake_dropped(pair.server), 0);
		check_records(&pair);
		fx_pair_deinit(&pair);
		ch_tls_context_free(server);
		ch_credential_free(device);
	}
}

Test(handshake, three_hundred_and_twenty_records_are_the_most)
{
	static const uint8_t heartbeat[24] = {24, 3, 3, 0, 19};
	struct ch_handshake *client;
	struct ch_buf out = {0};

	cr_assert_eq(ch_handshake_client(world.collector, &client), 0);
	cr_assert_eq(ch_handshake_step(client, NULL, 0, &out), CH_HANDSHAKE_READ);
	for (unsigned i = 0; i < 320; i++)
		cr_assert_eq(ch_handshake_step(client, heartbeat, 24, &out), CH_HANDSHAKE_READ);
	cr_assert_eq(ch_handshake_step(client, heartbeat, 24, &out), CH_HANDSHAKE_FAILED);
	cr_assert_eq(ch_handshake_reason(client), CH_REASON_TLS_PROTOCOL);
	cr_assert_str_eq(ch_handshake_detail(client), "too many records");
	ch_handshake_free(client);
	ch_buf_deinit(&out);
}

/* ---- tampering on the way ---- */

/** Runs a handshake in which @at of the device's record number @number is flipped. */
static void tamper(uint16_t version, unsigned number, size_t at, struct fx_pair *pair)
{
	struct ch_credential *device = fx_acme_device(&world, NULL);
	struct ch_tls_context *server = server_of(only(version));
	unsigned seen = 0;

	fx_pair_init(pair, world.collector, server, device);
	while (pair->client_status == CH_HANDSHAKE_READ &&
	       (pair->to_client.len > 0 || pair->to_server.len > 0)) {
		if (pair->to_server.len > 0 && pair->server_status == CH_HANDSHAKE_READ) {
			pair->server_status =
				fx_feed(pair->server, &pair->to_server, &pair->to_client);
			continue;
		}
		if (pair->to_client.len == 0)
			break;
		if (seen++ == number)
			pair->to_client.data[at] ^= 0x01;
		pair->client_status = fx_feed(pair->client, &pair->to_client, &pair->to_server);
	}
	ch_tls_context_free(server);
	ch_credential_free(device);
}

static void expect_tampered(uint16_t version, unsigned number, size_t at, const char *reason,
			    const char *detail)
{
	struct fx_pair pair;

	tamper(version, number, at, &pair);
	cr_assert_eq(pair.client_status, CH_HANDSHAKE_FAILED);
	cr_assert_str_eq(ch_reason_name(ch_handshake_reason(pair.client)), reason);
	cr_assert_str_eq(ch_handshake_detail(pair.client), detail);
	fx_pair_deinit(&pair);
}

/* TLS 1.2: ServerHello 0, Certificate 1, ServerKeyExchange 2, ... in the clear. */
Test(handshake, tampering_with_the_flight_of_tls12_is_noticed)
{
	/* the tag of the first certificate: 5 header, 4 message, 3 + 3 lengths */
	expect_tampered(CH_TLS_1_2, 1, 15, "bad-certificate", "ASN1 lib");
	/* the server's key share, behind curve type, curve and length */
	expect_tampered(CH_TLS_1_2, 2, 20, "possession-not-proven", "bad signature");
	/* the server's random */
	expect_tampered(CH_TLS_1_2, 0, 20, "possession-not-proven", "bad signature");
	/* the suite that was chosen becomes one that nobody offered */
	expect_tampered(CH_TLS_1_2, 0, 5 + 4 + 2 + 32 + 1, "no-shared-cipher",
			"unknown cipher returned");
	/* the version */
	expect_tampered(CH_TLS_1_2, 0, 10, "tls-version-too-old", "unsupported protocol");
}

Test(handshake, tampering_with_the_flight_of_tls13_is_noticed)
{
	expect_tampered(CH_TLS_1_3, 2, 10, "tls-protocol-error",
			"decryption failed or bad record mac");
}

Test(handshake, no_memory_for_the_flight_is_our_own_failure)
{
	struct ch_handshake *client;
	struct ch_buf out = {.max = 100};

	cr_assert_eq(ch_handshake_client(world.collector, &client), 0);
	cr_assert_eq(ch_handshake_step(client, NULL, 0, &out), CH_HANDSHAKE_FAILED);
	cr_assert_eq(ch_handshake_reason(client), CH_REASON_INTERNAL);
	cr_assert_eq(out.len, 0);
	ch_handshake_free(client);
	ch_buf_deinit(&out);
}

Test(handshake, server_options_that_openssl_does_not_know_are_refused)
{
	struct ch_tls_server_options options = {.cipher_list = "NOSUCH"};
	struct ch_tls_context *server = NULL;

	cr_assert_eq(ch_tls_server_new(&options, &server), CH_E_CONFIG);
	options = (struct ch_tls_server_options){.client_ca_file = "/nonexistent/ca.pem"};
	cr_assert_eq(ch_tls_server_new(&options, &server), CH_E_CONFIG);
	cr_assert_null(server);
}
