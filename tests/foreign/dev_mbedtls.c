/* SPDX-License-Identifier: Apache-2.0 */
/* A device over mbed TLS (2.28: TLS 1.2), the other stack of embedded boxes. */
#include "device.h"

#include <err.h>
#include <mbedtls/ctr_drbg.h>
#include <mbedtls/entropy.h>
#include <mbedtls/error.h>
#include <mbedtls/net_sockets.h>
#include <mbedtls/ssl.h>
#include <mbedtls/ssl_ticket.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct tls {
	mbedtls_entropy_context entropy;
	mbedtls_ctr_drbg_context random;
	mbedtls_x509_crt cert, ca;
	mbedtls_pk_context key;
	mbedtls_ssl_config config;
	mbedtls_ssl_ticket_context tickets;
	mbedtls_ssl_context ssl;
	struct wire *wire;
	int suites[2];
	int error;
	char text[256];
};

static void check(int result, const char *what)
{
	char text[128];

	if (result == 0)
		return;
	mbedtls_strerror(result, text, sizeof(text));
	errx(2, "%s: %s", what, text);
}

static int push(void *context, const unsigned char *data, size_t len)
{
	wire_put(context, data, len);
	return (int)len;
}

static int pull(void *context, unsigned char *into, size_t len)
{
	struct wire *wire = context;
	size_t got = wire_take(wire, into, len);

	if (got > 0 || wire->eof)
		return (int)got;
	return wire->reset ? MBEDTLS_ERR_NET_CONN_RESET : MBEDTLS_ERR_SSL_WANT_READ;
}

static void configure(struct tls *tls, const struct options *options)
{
	mbedtls_ssl_config *config = &tls->config;

	check(mbedtls_ssl_config_defaults(config, MBEDTLS_SSL_IS_SERVER,
					  MBEDTLS_SSL_TRANSPORT_STREAM, MBEDTLS_SSL_PRESET_DEFAULT),
	      "defaults");
	mbedtls_ssl_conf_rng(config, mbedtls_ctr_drbg_random, &tls->random);
	check(mbedtls_ssl_conf_own_cert(config, &tls->cert, &tls->key), "own certificate");
	mbedtls_ssl_conf_ca_chain(config, &tls->ca, NULL);
	mbedtls_ssl_conf_authmode(config, options->no_client_cert ? MBEDTLS_SSL_VERIFY_NONE
								  : MBEDTLS_SSL_VERIFY_REQUIRED);
	mbedtls_ssl_conf_renegotiation(config, MBEDTLS_SSL_RENEGOTIATION_ENABLED);
	if (options->ciphers != NULL) {
		tls->suites[0] = mbedtls_ssl_get_ciphersuite_id(options->ciphers);
		mbedtls_ssl_conf_ciphersuites(config, tls->suites);
	}
	if (options->tickets == 0)
		return;
	check(mbedtls_ssl_ticket_setup(&tls->tickets, mbedtls_ctr_drbg_random, &tls->random,
				       MBEDTLS_CIPHER_AES_256_GCM, 3600),
	      "tickets");
	mbedtls_ssl_conf_session_tickets_cb(config, mbedtls_ssl_ticket_write,
					    mbedtls_ssl_ticket_parse, &tls->tickets);
}

struct tls *tls_new(const struct options *options, struct wire *wire)
{
	struct tls *tls = calloc(1, sizeof(*tls));

	if (tls == NULL)
		err(1, "calloc");
	tls->wire = wire;
	mbedtls_entropy_init(&tls->entropy);
	mbedtls_ctr_drbg_init(&tls->random);
	mbedtls_x509_crt_init(&tls->cert);
	mbedtls_x509_crt_init(&tls->ca);
	mbedtls_pk_init(&tls->key);
	mbedtls_ssl_config_init(&tls->config);
	mbedtls_ssl_ticket_init(&tls->tickets);
	mbedtls_ssl_init(&tls->ssl);
	check(mbedtls_ctr_drbg_seed(&tls->random, mbedtls_entropy_func, &tls->entropy, NULL, 0),
	      "seed");
	check(mbedtls_x509_crt_parse_file(&tls->cert, options->cert), options->cert);
	check(mbedtls_x509_crt_parse_file(&tls->ca, options->ca), options->ca);
	check(mbedtls_pk_parse_keyfile(&tls->key, options->key, NULL), options->key);
	configure(tls, options);
	check(mbedtls_ssl_setup(&tls->ssl, &tls->config), "setup");
	mbedtls_ssl_set_bio(&tls->ssl, wire, push, pull, NULL);
	return tls;
}

void tls_free(struct tls *tls)
{
	mbedtls_ssl_free(&tls->ssl);
	mbedtls_ssl_ticket_free(&tls->tickets);
	mbedtls_ssl_config_free(&tls->config);
	mbedtls_pk_free(&tls->key);
	mbedtls_x509_crt_free(&tls->ca);
	mbedtls_x509_crt_free(&tls->cert);
	mbedtls_ctr_drbg_free(&tls->random);
	mbedtls_entropy_free(&tls->entropy);
	free(tls);
}

static enum tls_result result_of(struct tls *tls, int result)
{
	if (result >= 0)
		return TLS_OK;
	if (result == MBEDTLS_ERR_SSL_WANT_READ || result == MBEDTLS_ERR_SSL_WANT_WRITE)
		return TLS_AGAIN;
	if (result == MBEDTLS_ERR_SSL_PEER_CLOSE_NOTIFY)
		return TLS_CLOSED;
	tls->error = result;
	/* The end of the stream: the wire knows. */
	return tls->wire->eof || tls->wire->reset ? TLS_AGAIN : TLS_FAILED;
}

enum tls_result tls_handshake(struct tls *tls)
{
	return result_of(tls, mbedtls_ssl_handshake(&tls->ssl));
}

bool tls_sent_early(const struct tls *tls)
{
	(void)tls;
	return false;
}

int tls_read(struct tls *tls, void *into, size_t len)
{
	int got = mbedtls_ssl_read(&tls->ssl, into, len);

	if (got > 0)
		return got;
	return got == 0 ? TLS_AGAIN : (int)result_of(tls, got);
}

enum tls_result tls_write(struct tls *tls, const void *data, size_t len)
{
	const unsigned char *at = data;

	while (len > 0) {
		int sent = mbedtls_ssl_write(&tls->ssl, at, len);

		if (sent < 0)
			return result_of(tls, sent);
		at += sent;
		len -= (size_t)sent;
	}
	return TLS_OK;
}

enum tls_result tls_key_update(struct tls *tls, bool ask)
{
	(void)tls;
	(void)ask;
	return TLS_FAILED;
}

enum tls_result tls_close_notify(struct tls *tls)
{
	return result_of(tls, mbedtls_ssl_close_notify(&tls->ssl));
}

enum tls_result tls_attack(struct tls *tls, const char *kind)
{
	if (strcmp(kind, "hello-request") == 0)
		return result_of(tls, mbedtls_ssl_renegotiate(&tls->ssl));
	if (strcmp(kind, "fatal-alert") == 0)
		return result_of(tls, mbedtls_ssl_send_alert_message(
					      &tls->ssl, MBEDTLS_SSL_ALERT_LEVEL_FATAL,
					      MBEDTLS_SSL_ALERT_MSG_INTERNAL_ERROR));
	return TLS_FAILED;
}

const char *tls_describe(struct tls *tls)
{
	snprintf(tls->text, sizeof(tls->text), "%s %s", mbedtls_ssl_get_version(&tls->ssl),
		 mbedtls_ssl_get_ciphersuite(&tls->ssl));
	return tls->text;
}

const char *tls_error(struct tls *tls)
{
	mbedtls_strerror(tls->error, tls->text, sizeof(tls->text));
	return tls->text;
}
