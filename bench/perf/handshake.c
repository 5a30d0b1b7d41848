/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The handshake alone, in memory: user/tls as the collector uses it, against SSL_do_handshake with
 * the same certificates, one after the other by turns. Only the client's CPU time counts. The
 * device is a P-256 one with an intermediate, TLS 1.3, client certificate requested.
 */
#include "samples.h"

#include "user/tls/handshake.h"
#include "user/tls/record.h"

#include <err.h>
#include <openssl/ssl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ROUNDS 9
#define PER_ROUND 60

static struct {
	struct ch_trust *trust;
	struct ch_credential *ours, *device;
	struct ch_tls_context *client, *server;
	struct ch_record_engine *engine;
	SSL_CTX *bare;
} bench;

static enum ch_reason lookup(void *ctx, const struct ch_identity *identity, struct ch_match *match)
{
	(void)ctx;
	*match = (struct ch_match){.credential = bench.ours};
	return identity->manufacturer == CH_MANUFACTURER_NONE ? CH_REASON_UNKNOWN_DEVICE
							       : CH_REASON_NONE;
}

static void set_up(void)
{
	const struct ch_tls_server_options device = {.min_version = CH_TLS_1_3,
						     .request_client_certificate = true,
						     .client_ca_file = "sim/collector-ca.pem"};
	struct ch_tls_client_options client = {.lookup = lookup};
	char error[CH_ERROR_TEXT] = "out of memory";

	if (ch_trust_new(&bench.trust) != 0 ||
	    ch_trust_add(bench.trust, "acme", "acme-ca.pem", CH_IDENTIFIER_SERIAL_NUMBER, error) ||
	    ch_trust_add(bench.trust, "borg", "borg-ca.pem", CH_IDENTIFIER_CN, error) ||
	    ch_credential_load("client.pem", "client.key", &bench.ours, error) != 0 ||
	    ch_credential_load("sim/acme-0.pem", "sim/acme-0.key", &bench.device, error) != 0)
		errx(1, "%s", error);
	client.trust = bench.trust;
	bench.bare = SSL_CTX_new(TLS_client_method());
	SSL_CTX_set_mode(bench.bare, SSL_MODE_RELEASE_BUFFERS);
	SSL_CTX_set_verify(bench.bare, SSL_VERIFY_PEER, NULL);
	SSL_CTX_set_session_cache_mode(bench.bare, SSL_SESS_CACHE_OFF);
	if (ch_tls_client_new(&client, &bench.client) != 0 ||
	    ch_tls_server_new(&device, &bench.server) != 0 ||
	    ch_record_engine_new(&bench.engine) != 0 ||
	    SSL_CTX_set_ciphersuites(bench.bare,
				     "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384") != 1 ||
	    SSL_CTX_load_verify_file(bench.bare, "acme-ca.pem") != 1 ||
	    SSL_CTX_load_verify_file(bench.bare, "borg-ca.pem") != 1 ||
	    SSL_CTX_use_certificate_chain_file(bench.bare, "client.pem") != 1 ||
	    SSL_CTX_use_PrivateKey_file(bench.bare, "client.key", SSL_FILETYPE_PEM) != 1)
		errx(1, "the certificates cannot be used");
}

/* Feeds every record of @in; @return the last status. */
static enum ch_handshake_status feed(struct ch_handshake *handshake, const struct ch_buf *in,
				     struct ch_buf *out)
{
	enum ch_handshake_status status = CH_HANDSHAKE_READ;
	const uint8_t *at = in->data;

	while (at < in->data + in->len && status == CH_HANDSHAKE_READ) {
		size_t len = CH_TLS_HEADER + (size_t)ch_handshake_record_length(at);

		status = ch_handshake_step(handshake, at, len, out);
		at += len;
	}
	return status;
}

/* The collector's way, until the keys are in its own record layer. @return CPU ns of the client */
static uint64_t run_ours(void)
{
	struct ch_handshake *client, *server;
	struct ch_record record;
	struct ch_record_keys keys;
	struct ch_buf up = {0}, down = {0};
	enum ch_handshake_status at = CH_HANDSHAKE_READ, there = CH_HANDSHAKE_READ;
	uint64_t spent, start;

	if (ch_handshake_server(bench.server, bench.device, &server) != 0)
		errx(1, "out of memory");
	start = cpu_ns();
	if (ch_handshake_client(bench.client, &client) != 0)
		errx(1, "out of memory");
	at = ch_handshake_step(client, NULL, 0, &up);
	spent = cpu_ns() - start;
	while (at == CH_HANDSHAKE_READ && there != CH_HANDSHAKE_FAILED) {
		down.len = 0;
		there = feed(server, &up, &down);
		up.len = 0;
		start = cpu_ns();
		at = feed(client, &down, &up);
		if (at == CH_HANDSHAKE_DONE && ch_handshake_take_keys(client, &keys) != 0)
			at = CH_HANDSHAKE_FAILED;
		spent += cpu_ns() - start;
	}
	if (at != CH_HANDSHAKE_DONE || feed(server, &up, &down) != CH_HANDSHAKE_DONE)
		errx(1, "handshake: %s", ch_handshake_detail(client));
	start = cpu_ns();
	ch_record_init(&record, bench.engine, &keys, NULL);
	ch_handshake_free(client);
	spent += cpu_ns() - start;
	ch_record_deinit(&record);
	ch_handshake_free(server);
	ch_buf_deinit(&up);
	ch_buf_deinit(&down);
	return spent;
}

static void drain(BIO *bio, struct ch_buf *to)
{
	char *data;
	long len = BIO_get_mem_data(bio, &data);

	to->len = 0;
	if (len > 0 && ch_buf_append(to, data, (size_t)len) != 0)
		errx(1, "out of memory");
	(void)BIO_reset(bio);
}

/* OpenSSL alone. Its object would be kept for the session, so freeing it does not count. */
static uint64_t run_bare(void)
{
	struct ch_handshake *server;
	struct ch_buf up = {0}, down = {0};
	BIO *in, *out;
	SSL *ssl;
	uint64_t spent = 0, start;
	int done = 0;

	if (ch_handshake_server(bench.server, bench.device, &server) != 0)
		errx(1, "out of memory");
	start = cpu_ns();
	in = BIO_new(BIO_s_mem());
	out = BIO_new(BIO_s_mem());
	ssl = SSL_new(bench.bare);
	if (in == NULL || out == NULL || ssl == NULL)
		errx(1, "out of memory");
	BIO_set_mem_eof_return(in, -1);
	SSL_set_bio(ssl, in, out);
	SSL_set_connect_state(ssl);
	spent += cpu_ns() - start;
	while (done != 1) {
		start = cpu_ns();
		BIO_write(in, down.data, (int)down.len);
		done = SSL_do_handshake(ssl);
		spent += cpu_ns() - start;
		if (done != 1 && SSL_get_error(ssl, done) != SSL_ERROR_WANT_READ)
			errx(1, "bare handshake failed");
		drain(out, &up);
		down.len = 0;
		if (feed(server, &up, &down) == CH_HANDSHAKE_FAILED)
			errx(1, "the device refused");
	}
	SSL_free(ssl);
	ch_handshake_free(server);
	ch_buf_deinit(&up);
	ch_buf_deinit(&down);
	return spent;
}

int main(int argc, char **argv)
{
	struct samples ours = {.name = "handshake-callhome"}, bare = {.name = "handshake-bare"};

	if (argc != 2 || chdir(argv[1]) != 0)
		errx(2, "usage: handshake PKI-DIRECTORY");
	set_up();
	for (int round = 0; round <= ROUNDS; round++) {
		uint64_t ours_ns = 0, bare_ns = 0;

		for (int i = 0; i < PER_ROUND; i++) {
			ours_ns += run_ours();
			bare_ns += run_bare();
		}
		if (round == 0)
			continue; /* caches and lazy initialisation */
		samples_add(&ours, (double)ours_ns / PER_ROUND / 1000);
		samples_add(&bare, (double)bare_ns / PER_ROUND / 1000);
	}
	samples_print(&ours);
	samples_print(&bare);
	return 0;
}
