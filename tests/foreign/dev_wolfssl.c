/* SPDX-License-Identifier: Apache-2.0 */
/* A device over wolfSSL, the stack of many embedded boxes. */
#include "device.h"

/* The library's own headers need its build's options first. */
#include <wolfssl/options.h>
#include <wolfssl/ssl.h>

#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct tls {
	WOLFSSL_CTX *ctx;
	WOLFSSL *ssl;
	struct wire *wire;
	const struct options *options;
	int error;
	char text[256];
};

static void check(int ok, const char *what)
{
	if (ok != WOLFSSL_SUCCESS)
		errx(2, "%s: %d", what, ok);
}

static int push(WOLFSSL *ssl, char *data, int len, void *context)
{
	(void)ssl;
	wire_put(context, data, (size_t)len);
	return len;
}

static int pull(WOLFSSL *ssl, char *into, int len, void *context)
{
	struct wire *wire = context;
	size_t got = wire_take(wire, into, (size_t)len);

	(void)ssl;
	if (got > 0)
		return (int)got;
	if (wire->eof)
		return WOLFSSL_CBIO_ERR_CONN_CLOSE;
	return wire->reset ? WOLFSSL_CBIO_ERR_CONN_RST : WOLFSSL_CBIO_ERR_WANT_READ;
}

static WOLFSSL_METHOD *method(unsigned long version)
{
	if (version == 12)
		return wolfTLSv1_2_server_method();
	return version == 13 ? wolfTLSv1_3_server_method() : wolfSSLv23_server_method();
}

struct tls *tls_new(const struct options *options, struct wire *wire)
{
	struct tls *tls = calloc(1, sizeof(*tls));

	if (tls == NULL)
		err(1, "calloc");
	tls->options = options;
	tls->wire = wire;
	wolfSSL_Init();
	tls->ctx = wolfSSL_CTX_new(method(options->tls));
	if (tls->ctx == NULL)
		errx(1, "wolfSSL_CTX_new");
	check(wolfSSL_CTX_use_certificate_chain_file(tls->ctx, options->cert), options->cert);
	check(wolfSSL_CTX_use_PrivateKey_file(tls->ctx, options->key, WOLFSSL_FILETYPE_PEM),
	      options->key);
	check(wolfSSL_CTX_load_verify_locations(tls->ctx, options->ca, NULL), options->ca);
	if (!options->no_client_cert)
		wolfSSL_CTX_set_verify(
			tls->ctx, WOLFSSL_VERIFY_PEER | WOLFSSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
	if (options->ciphers != NULL)
		check(wolfSSL_CTX_set_cipher_list(tls->ctx, options->ciphers), options->ciphers);
	if (options->tickets == 0 && options->tls != 12)
		wolfSSL_CTX_no_ticket_TLSv13(tls->ctx);
	wolfSSL_CTX_SetIORecv(tls->ctx, pull);
	wolfSSL_CTX_SetIOSend(tls->ctx, push);
	tls->ssl = wolfSSL_new(tls->ctx);
	if (tls->ssl == NULL)
		errx(1, "wolfSSL_new");
	wolfSSL_SetIOReadCtx(tls->ssl, wire);
	wolfSSL_SetIOWriteCtx(tls->ssl, wire);
	return tls;
}

void tls_free(struct tls *tls)
{
	wolfSSL_free(tls->ssl);
	wolfSSL_CTX_free(tls->ctx);
	wolfSSL_Cleanup();
	free(tls);
}

static enum tls_result result_of(struct tls *tls, int result)
{
	if (result > 0)
		return TLS_OK;
	tls->error = wolfSSL_get_error(tls->ssl, result);
	if (tls->error == WOLFSSL_ERROR_WANT_READ || tls->error == WOLFSSL_ERROR_WANT_WRITE)
		return TLS_AGAIN;
	if (tls->error == WOLFSSL_ERROR_ZERO_RETURN)
		return TLS_CLOSED;
	/* The end of the stream: the wire knows. */
	return tls->wire->eof || tls->wire->reset ? TLS_AGAIN : TLS_FAILED;
}

enum tls_result tls_handshake(struct tls *tls)
{
	return result_of(tls, wolfSSL_accept(tls->ssl));
}

bool tls_sent_early(const struct tls *tls)
{
	(void)tls;
	return false;
}

int tls_read(struct tls *tls, void *into, size_t len)
{
	for (;;) {
		size_t before = tls->wire->in_len;
		int got = wolfSSL_read(tls->ssl, into, (int)len);
		enum tls_result result = got > 0 ? TLS_OK : result_of(tls, got);

		if (got > 0)
			return got;
		/* It returns after each handshake message. */
		if (result != TLS_AGAIN || tls->wire->in_len == before)
			return result;
	}
}

enum tls_result tls_write(struct tls *tls, const void *data, size_t len)
{
	return result_of(tls, wolfSSL_write(tls->ssl, data, (int)len));
}

/* wolfSSL always asks for an update in return. */
enum tls_result tls_key_update(struct tls *tls, bool ask)
{
	(void)ask;
	return result_of(tls, wolfSSL_update_keys(tls->ssl));
}

enum tls_result tls_close_notify(struct tls *tls)
{
	wolfSSL_shutdown(tls->ssl);
	return TLS_OK;
}

enum tls_result tls_attack(struct tls *tls, const char *kind)
{
	(void)tls;
	(void)kind;
	return TLS_FAILED;
}

const char *tls_describe(struct tls *tls)
{
	snprintf(tls->text, sizeof(tls->text), "%s %s", wolfSSL_get_version(tls->ssl),
		 wolfSSL_get_cipher(tls->ssl));
	return tls->text;
}

const char *tls_error(struct tls *tls)
{
	wolfSSL_ERR_error_string((unsigned long)tls->error, tls->text);
	return tls->text;
}
