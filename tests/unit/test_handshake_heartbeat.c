/* SPDX-License-Identifier: Apache-2.0 */
/* links: tls core */
/* sources: tests/unit/tls_fixture.c */
/* The heartbeat extension in the hellos of both roles. */
#include "world_rig.h"
#include "user/core/heartbeat_mode.h"

#include <criterion/criterion.h>
#include <string.h>

static const uint16_t versions[] = {CH_TLS_1_2, CH_TLS_1_3};

TestSuite(handshake_heartbeat, .init = setup, .fini = teardown);

/* How often extension 15 with one byte is in a ClientHello record; that byte in @mode. */
static unsigned offers(const struct ch_buf *hello, uint8_t *mode)
{
	const uint8_t *at = hello->data + 5 + 4 + 2 + 32;
	const uint8_t *end = hello->data + hello->len;
	unsigned found = 0;

	at += 1 + at[0];		/* session id */
	at += 2 + (at[0] << 8 | at[1]); /* suites */
	at += 1 + at[0];		/* compression */
	for (at += 2; at + 4 <= end; at += 4 + (at[2] << 8 | at[3])) {
		if ((at[0] << 8 | at[1]) != 15)
			continue;
		cr_assert_eq(at[2] << 8 | at[3], 1);
		*mode = at[4];
		found++;
	}
	cr_assert_eq(at, end);
	return found;
}

static unsigned offers_of(struct ch_tls_context *context, uint8_t *mode)
{
	struct ch_handshake *client;
	struct ch_buf hello = {0};
	unsigned found;

	cr_assert_eq(ch_handshake_client(context, &client), 0);
	cr_assert_eq(ch_handshake_step(client, NULL, 0, &hello), CH_HANDSHAKE_READ);
	found = offers(&hello, mode);
	ch_handshake_free(client);
	ch_buf_deinit(&hello);
	return found;
}

/* The one hello offers TLS 1.2 and 1.3. */
/* row: C4 */
Test(handshake_heartbeat, every_client_hello_lets_the_device_send_heartbeats)
{
	uint8_t mode = 0;

	cr_assert_eq(offers_of(world.collector, &mode), 1);
	cr_assert_eq(mode, 1);
}

/* row: C4-off */
Test(handshake_heartbeat, the_extension_can_be_left_out)
{
	struct ch_tls_client_options options = {.trust = world.trust,
						.lookup = fx_lookup,
						.lookup_ctx = &world.inventory,
						.no_heartbeat = true};
	struct ch_tls_context *context;
	uint8_t mode = 0;

	cr_assert_eq(ch_tls_client_new(&options, &context), 0);
	cr_assert_eq(offers_of(context, &mode), 0);
	ch_tls_context_free(context);
}

static void shake(struct ch_tls_context *client, uint16_t version, uint8_t mode,
		  struct fx_pair *pair)
{
	struct ch_tls_server_options options = {.min_version = version,
						.max_version = version,
						.request_client_certificate = true,
						.heartbeat = mode};
	struct ch_credential *device = fx_acme_device(&world, NULL);
	struct ch_tls_context *server;

	cr_assert_eq(ch_tls_server_new(&options, &server), 0);
	fx_pair_init(pair, client, server, device);
	fx_pair_run(pair);
	ch_tls_context_free(server);
	ch_credential_free(device);
}

/* row: C4 HB7 */
Test(handshake_heartbeat, both_ends_learn_what_the_other_said)
{
	for (unsigned v = 0; v < 2; v++) {
		for (uint8_t mode = CH_HEARTBEAT_NONE; mode <= CH_HEARTBEAT_NOT_ALLOWED; mode++) {
			struct ch_handshake_info info;
			struct fx_pair pair;

			shake(world.collector, versions[v], mode, &pair);
			cr_assert_eq(pair.client_status, CH_HANDSHAKE_DONE);
			cr_assert_eq(pair.server_status, CH_HANDSHAKE_DONE);
			ch_handshake_info(pair.client, &info);
			cr_assert_eq(info.version, versions[v]);
			cr_assert_eq(info.heartbeat, mode);
			ch_handshake_info(pair.server, &info);
			cr_assert_eq(info.heartbeat, mode == CH_HEARTBEAT_NONE
							     ? CH_HEARTBEAT_NONE
							     : CH_HEARTBEAT_ALLOWED);
			fx_pair_deinit(&pair);
		}
	}
}

/* An illegal_parameter alert, in the clear under TLS 1.2 as no key is in yet. */
/* row: HB6 */
Test(handshake_heartbeat, an_unknown_mode_is_an_illegal_parameter)
{
	static const uint8_t modes[] = {3, 4, 255};
	static const char *const details[] = {"heartbeat mode 3", "heartbeat mode 4",
					      "heartbeat mode 255"};

	for (unsigned v = 0; v < 2; v++) {
		for (unsigned i = 0; i < 3; i++) {
			struct fx_pair pair;

			shake(world.collector, versions[v], modes[i], &pair);
			cr_assert_eq(pair.client_status, CH_HANDSHAKE_FAILED);
			cr_assert_eq(ch_handshake_reason(pair.client), CH_REASON_TLS_PROTOCOL);
			cr_assert_str_eq(ch_handshake_detail(pair.client), details[i]);
			cr_assert_eq(pair.server_status, CH_HANDSHAKE_FAILED);
			cr_assert_str_eq(ch_handshake_detail(pair.server),
					 "alert illegal_parameter");
			fx_pair_deinit(&pair);
		}
	}
}

/* row: HB6 */
Test(handshake_heartbeat, mode_zero_is_an_illegal_parameter)
{
	struct ch_tls_server_options options = {.max_version = CH_TLS_1_2,
						.heartbeat = CH_HEARTBEAT_ALLOWED};
	struct ch_credential *device = fx_acme_device(&world, NULL);
	struct ch_tls_context *server;
	struct fx_pair pair;
	uint8_t *at;

	cr_assert_eq(ch_tls_server_new(&options, &server), 0);
	fx_pair_init(&pair, world.collector, server, device);
	fx_feed(pair.server, &pair.to_server, &pair.to_client);
	at = memmem(pair.to_client.data, pair.to_client.len, "\0\x0f\0\1\1", 5);
	cr_assert_not_null(at, "in the ServerHello");
	at[4] = 0;
	cr_assert_eq(fx_feed(pair.client, &pair.to_client, &pair.to_server), CH_HANDSHAKE_FAILED);
	cr_assert_str_eq(ch_handshake_detail(pair.client), "heartbeat mode 0");
	fx_pair_deinit(&pair);
	ch_tls_context_free(server);
	ch_credential_free(device);
}

/* The hello of a client whose mode is @mode, as far as a device's answer to it. */
static void expect_refused_by_the_device(uint8_t mode)
{
	struct ch_tls_server_options options = {.heartbeat = CH_HEARTBEAT_ALLOWED};
	struct ch_credential *device = fx_acme_device(&world, NULL);
	struct ch_tls_context *server;
	struct fx_pair pair;
	uint8_t *at;

	cr_assert_eq(ch_tls_server_new(&options, &server), 0);
	fx_pair_init(&pair, world.collector, server, device);
	at = memmem(pair.to_server.data, pair.to_server.len, "\0\x0f\0\1\1", 5);
	cr_assert_not_null(at);
	at[4] = mode;
	cr_assert_eq(fx_feed(pair.server, &pair.to_server, &pair.to_client), CH_HANDSHAKE_FAILED);
	cr_assert_eq(ch_handshake_reason(pair.server), CH_REASON_TLS_PROTOCOL);
	cr_assert_eq(pair.to_client.data[0], CH_RECORD_ALERT);
	cr_assert_eq(pair.to_client.data[6], 47, "illegal_parameter");
	fx_pair_deinit(&pair);
	ch_tls_context_free(server);
	ch_credential_free(device);
}

/* row: HB6 */
Test(handshake_heartbeat, a_device_refuses_unknown_modes_too)
{
	expect_refused_by_the_device(0);
	expect_refused_by_the_device(3);
}
