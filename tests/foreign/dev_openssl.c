/* SPDX-License-Identifier: Apache-2.0 */
/* A device over OpenSSL's own record layer: SSL_accept, SSL_read, SSL_write. */
#include "device.h"
#include "seal.h"

#include <err.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STAPLE_MAX 4096

struct tls {
	SSL_CTX *ctx;
	SSL *ssl;
	BIO *in, *out;
	struct wire *wire;
	const struct options *options;
	struct seal seal; /**< for records that the library would never send */
	size_t early_at;
	bool early_read; /**< SSL_read_early_data had its say */
	char text[256];
};

static void fatal(const char *what)
{
	ERR_print_errors_fp(stderr);
	errx(2, "%s", what);
}

static void check(int ok, const char *what)
{
	if (ok != 1)
		fatal(what);
}

static void keep_secret(const SSL *ssl, const char *line)
{
	struct tls *tls = SSL_get_app_data(ssl);

	seal_secret(&tls->seal, line);
}

/* What the collector changes its keys with. */
static void on_message(int sent, int version, int type, const void *data, size_t len, SSL *ssl,
		       void *arg)
{
	(void)version, (void)ssl, (void)arg;
	if (sent || type != SSL3_RT_HANDSHAKE || len != 5 || *(const uint8_t *)data != 24)
		return;
	printf("collector key-update %u\n", ((const uint8_t *)data)[4]);
	fflush(stdout);
}

/* Asked by the collector for the status of our certificate. */
static int on_status_request(SSL *ssl, void *arg)
{
	const struct options *options = arg;
	FILE *file = fopen(options->staple, "rb");
	unsigned char *der = OPENSSL_malloc(STAPLE_MAX);
	size_t len;

	if (file == NULL || der == NULL)
		err(2, "%s", options->staple);
	len = fread(der, 1, STAPLE_MAX, file);
	fclose(file);
	SSL_set_tlsext_status_ocsp_resp(ssl, der, (long)len);
	return SSL_TLSEXT_ERR_OK;
}

static void configure(SSL_CTX *ctx, const struct options *options)
{
	int only = options->tls == 12 ? TLS1_2_VERSION : options->tls == 13 ? TLS1_3_VERSION : 0;

	check(SSL_CTX_set_min_proto_version(ctx, only != 0 ? only : TLS1_2_VERSION), "version");
	check(SSL_CTX_set_max_proto_version(ctx, only), "version");
	check(SSL_CTX_use_certificate_chain_file(ctx, options->cert), options->cert);
	check(SSL_CTX_use_PrivateKey_file(ctx, options->key, SSL_FILETYPE_PEM), options->key);
	check(SSL_CTX_load_verify_file(ctx, options->ca), options->ca);
	/* As most servers do: the CertificateRequest names the CA. */
	SSL_CTX_set_client_CA_list(ctx, SSL_load_client_CA_file(options->ca));
	if (!options->no_client_cert)
		SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
	if (options->ciphers != NULL && strncmp(options->ciphers, "TLS_", 4) == 0)
		check(SSL_CTX_set_ciphersuites(ctx, options->ciphers), "ciphersuites");
	else if (options->ciphers != NULL)
		check(SSL_CTX_set_cipher_list(ctx, options->ciphers), "ciphers");
	if (options->groups != NULL)
		check(SSL_CTX_set1_groups_list(ctx, options->groups), "groups");
	if (options->sigalgs != NULL)
		check(SSL_CTX_set1_client_sigalgs_list(ctx, options->sigalgs), "sigalgs");
	check(SSL_CTX_set_num_tickets(ctx, options->tickets), "tickets");
	if (options->tickets == 0)
		SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET);
	if (options->no_ems)
		SSL_CTX_set_options(ctx, SSL_OP_NO_EXTENDED_MASTER_SECRET);
	if (options->staple != NULL) {
		SSL_CTX_set_tlsext_status_cb(ctx, on_status_request);
		SSL_CTX_set_tlsext_status_arg(ctx, (void *)options);
	}
	if (options->pad != 0)
		check(SSL_CTX_set_block_padding(ctx, options->pad), "padding");
	if (options->fragment != 0)
		check((int)SSL_CTX_set_max_send_fragment(ctx, (long)options->fragment), "fragment");
	check(SSL_CTX_set_session_id_context(ctx, (const unsigned char *)"device", 6), "context");
	SSL_CTX_set_keylog_callback(ctx, keep_secret);
	SSL_CTX_set_msg_callback(ctx, on_message);
}

struct tls *tls_new(const struct options *options, struct wire *wire)
{
	struct tls *tls = calloc(1, sizeof(*tls));

	if (tls == NULL)
		err(1, "calloc");
	tls->options = options;
	tls->wire = wire;
	tls->ctx = SSL_CTX_new(TLS_server_method());
	if (tls->ctx == NULL)
		fatal("SSL_CTX_new");
	configure(tls->ctx, options);
	tls->ssl = SSL_new(tls->ctx);
	tls->in = BIO_new(BIO_s_mem());
	tls->out = BIO_new(BIO_s_mem());
	if (tls->ssl == NULL || tls->in == NULL || tls->out == NULL)
		fatal("SSL_new");
	BIO_set_mem_eof_return(tls->in, -1);
	SSL_set_bio(tls->ssl, tls->in, tls->out);
	SSL_set_accept_state(tls->ssl);
	SSL_set_app_data(tls->ssl, tls);
	return tls;
}

void tls_free(struct tls *tls)
{
	SSL_free(tls->ssl);
	SSL_CTX_free(tls->ctx);
	free(tls);
}

static void push(struct tls *tls)
{
	char *data;
	long len = BIO_get_mem_data(tls->out, &data);

	if (len <= 0)
		return;
	if (SSL_is_init_finished(tls->ssl))
		seal_count(&tls->seal, (const uint8_t *)data, (size_t)len);
	wire_put(tls->wire, data, (size_t)len);
	(void)BIO_reset(tls->out);
}

static void pull(struct tls *tls)
{
	uint8_t data[16384];
	size_t len;

	while ((len = wire_take(tls->wire, data, sizeof(data))) > 0)
		BIO_write(tls->in, data, (int)len);
	if (tls->wire->eof || tls->wire->reset)
		BIO_set_mem_eof_return(tls->in, 0);
}

static enum tls_result result_of(struct tls *tls, int result)
{
	switch (SSL_get_error(tls->ssl, result)) {
	case SSL_ERROR_WANT_READ:
	case SSL_ERROR_WANT_WRITE:
		return TLS_AGAIN;
	case SSL_ERROR_ZERO_RETURN:
		return TLS_CLOSED;
	case SSL_ERROR_SYSCALL: /* the end of the stream: the wire knows */
		return TLS_AGAIN;
	default:
		return TLS_FAILED;
	}
}

/* 0.5-RTT data: written behind our Finished, before the client's came. */
static enum tls_result write_early(struct tls *tls)
{
	const struct options *options = tls->options;
	size_t done = 0;
	char unused[16];

	if (!tls->early_read) {
		switch (SSL_read_early_data(tls->ssl, unused, sizeof(unused), &done)) {
		case SSL_READ_EARLY_DATA_FINISH:
			tls->early_read = true;
			break;
		case SSL_READ_EARLY_DATA_ERROR:
			return result_of(tls, -1);
		default:
			errx(4, "the collector sends early data");
		}
	}
	while (tls->early_at < options->early_len) {
		if (SSL_write_early_data(tls->ssl, options->early + tls->early_at,
					 options->early_len - tls->early_at, &done) != 1)
			return result_of(tls, -1);
		tls->early_at += done;
	}
	return TLS_OK;
}

enum tls_result tls_handshake(struct tls *tls)
{
	enum tls_result result = TLS_OK;
	int done;

	ERR_clear_error();
	pull(tls);
	if (tls->options->early != NULL && tls->early_at < tls->options->early_len)
		result = write_early(tls);
	if (result == TLS_OK) {
		done = SSL_do_handshake(tls->ssl);
		if (done != 1)
			result = result_of(tls, done);
	}
	push(tls);
	return result;
}

bool tls_sent_early(const struct tls *tls)
{
	return tls->early_at > 0;
}

int tls_read(struct tls *tls, void *into, size_t len)
{
	int got;

	ERR_clear_error();
	pull(tls);
	got = SSL_read(tls->ssl, into, (int)len);
	push(tls);
	return got > 0 ? got : result_of(tls, got);
}

enum tls_result tls_write(struct tls *tls, const void *data, size_t len)
{
	int done;

	ERR_clear_error();
	done = SSL_write(tls->ssl, data, (int)len);
	push(tls);
	return done == (int)len ? TLS_OK : TLS_FAILED;
}

enum tls_result tls_key_update(struct tls *tls, bool ask)
{
	int type = ask ? SSL_KEY_UPDATE_REQUESTED : SSL_KEY_UPDATE_NOT_REQUESTED;

	ERR_clear_error();
	if (SSL_key_update(tls->ssl, type) != 1 || SSL_do_handshake(tls->ssl) != 1)
		return TLS_FAILED;
	push(tls);
	return TLS_OK;
}

enum tls_result tls_close_notify(struct tls *tls)
{
	ERR_clear_error();
	SSL_shutdown(tls->ssl);
	push(tls);
	return TLS_OK;
}

static enum tls_result many(struct tls *tls, int (*one)(SSL *ssl), int count)
{
	for (int i = 0; i < count; i++) {
		if (one(tls->ssl) != 1 || SSL_do_handshake(tls->ssl) != 1)
			return TLS_FAILED;
		push(tls);
	}
	return TLS_OK;
}

static int one_update(SSL *ssl)
{
	return SSL_key_update(ssl, SSL_KEY_UPDATE_NOT_REQUESTED);
}

enum tls_result tls_attack(struct tls *tls, const char *kind)
{
	ERR_clear_error();
	if (strcmp(kind, "hello-request") == 0)
		return many(tls, SSL_renegotiate, 1);
	if (strcmp(kind, "ticket-flood") == 0)
		return many(tls, SSL_new_session_ticket, 200);
	if (strcmp(kind, "update-flood") == 0)
		return many(tls, one_update, 200);
	return seal_attack(&tls->seal, kind, SSL_version(tls->ssl), tls->wire) ? TLS_OK
									       : TLS_FAILED;
}

const char *tls_describe(struct tls *tls)
{
	snprintf(tls->text, sizeof(tls->text), "%s %s", SSL_get_version(tls->ssl),
		 SSL_get_cipher_name(tls->ssl));
	return tls->text;
}

const char *tls_error(struct tls *tls)
{
	const char *reason = ERR_reason_error_string(ERR_peek_last_error());

	snprintf(tls->text, sizeof(tls->text), "%s", reason != NULL ? reason : "unknown");
	return tls->text;
}
