/* SPDX-License-Identifier: Apache-2.0 */
#include "context.h"

#include "provider.h"
#include "user/core/heartbeat_mode.h"

#include <errno.h>
#include <openssl/err.h>
#include <stdlib.h>

/* AES-128 first: it is the cheapest with AES instructions, which is where collectors run. */
#define SUITES_1_3 "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256"
#define SUITES_1_2                                                                                 \
	"ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:"                               \
	"ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:"                               \
	"ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305"
/* P-521 comes last: under TLS 1.2 it also says which certificates may be shown (RFC 8422 5.1). */
#define GROUPS "X25519:P-256:P-384:P-521"

/* What both roles have in common: no compression, no renegotiation, no resumption. */
static bool configure(SSL_CTX *ssl, int min_version, int max_version)
{
	SSL_CTX_set_options(ssl, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION);
	SSL_CTX_set_session_cache_mode(ssl, SSL_SESS_CACHE_OFF);
	/* A silent device must not pin 16 kB of buffers until its deadline. */
	SSL_CTX_set_mode(ssl, SSL_MODE_RELEASE_BUFFERS);
	SSL_CTX_set_keylog_callback(ssl, ch_handshake_on_secret);
	return SSL_CTX_set_min_proto_version(ssl, min_version) == 1 &&
	       SSL_CTX_set_max_proto_version(ssl, max_version) == 1 &&
	       SSL_CTX_set1_groups_list(ssl, GROUPS) == 1;
}

static bool configure_client(SSL_CTX *ssl, struct ch_tls_context *context)
{
	/* A resumed session shows no certificate: we would not know who calls (RFC 8071 C7). */
	SSL_CTX_set_options(ssl, SSL_OP_NO_TICKET);
	SSL_CTX_set_security_level(ssl, 2);
	SSL_CTX_set_verify(ssl, SSL_VERIFY_PEER, NULL);
	SSL_CTX_set_cert_verify_callback(ssl, ch_handshake_on_verify, context);
	SSL_CTX_set_tlsext_status_cb(ssl, ch_handshake_on_staple);
	SSL_CTX_set_tlsext_status_type(ssl, TLSEXT_STATUSTYPE_ocsp);
	/* No default certificate: nothing is sent to a device that has not proven its key. */
	SSL_CTX_set_cert_cb(ssl, ch_handshake_on_certificate_request, NULL);
	return configure(ssl, TLS1_2_VERSION, TLS1_3_VERSION) &&
	       SSL_CTX_set_cipher_list(ssl, SUITES_1_2) == 1 &&
	       SSL_CTX_set_ciphersuites(ssl, SUITES_1_3) == 1;
}

static struct ch_tls_context *context_new(const SSL_METHOD *method, OSSL_LIB_CTX *library)
{
	struct ch_tls_context *made = calloc(1, sizeof(*made));

	if (made == NULL)
		return NULL;
	made->ssl = SSL_CTX_new_ex(library, NULL, method);
	if (made->ssl != NULL)
		return made;
	free(made);
	return NULL;
}

int ch_tls_client_new(const struct ch_tls_client_options *options, struct ch_tls_context **context)
{
	struct ch_tls_context *made = context_new(TLS_client_method(), ch_tls_algorithms());
	int err = 0;

	if (made == NULL) {
		err = -ENOMEM;
		goto out;
	}
	made->client = true;
	made->verifier.trust = options->trust;
	made->verifier.lookup = options->lookup;
	made->verifier.lookup_ctx = options->lookup_ctx;
	err = ch_issuers_new(&made->verifier.issuers);
	if (err == 0 && !configure_client(made->ssl, made))
		err = CH_E_CRYPTO;
	if (err == 0 && !ch_tls_offer_heartbeat(made, options->no_heartbeat ? CH_HEARTBEAT_NONE
									    : CH_HEARTBEAT_ALLOWED))
		err = CH_E_CRYPTO;
out:
	ERR_clear_error();
	if (err == 0)
		*context = made;
	else
		ch_tls_context_free(made);
	return err;
}

void ch_tls_client_revocation(struct ch_tls_context *context, struct ch_revocation *set)
{
	struct ch_revocation *before = context->verifier.revocation;

	context->verifier.revocation = ch_revocation_take(set);
	ch_revocation_drop(before);
}

/* For a client that asked. */
static int give_staple(SSL *ssl, void *context)
{
	const struct ch_buf *staple = &((struct ch_tls_context *)context)->staple;
	uint8_t *copy = OPENSSL_memdup(staple->data, staple->len);

	if (copy == NULL)
		return SSL_TLSEXT_ERR_ALERT_FATAL;
	/* OpenSSL frees it. */
	SSL_set_tlsext_status_ocsp_resp(ssl, copy, (long)staple->len);
	return SSL_TLSEXT_ERR_OK;
}

static int set_staple(struct ch_tls_context *context, const struct ch_tls_server_options *options)
{
	if (options->staple == NULL)
		return 0;
	SSL_CTX_set_tlsext_status_cb(context->ssl, give_staple);
	SSL_CTX_set_tlsext_status_arg(context->ssl, context);
	return ch_buf_append(&context->staple, options->staple, options->staple_len);
}

static int accept_any_client(X509_STORE_CTX *store_ctx, void *unused)
{
	(void)unused;
	X509_STORE_CTX_set_error(store_ctx, X509_V_OK);
	return 1;
}

static bool configure_server(SSL_CTX *ssl, const struct ch_tls_server_options *options)
{
	const char *list = options->cipher_list != NULL ? options->cipher_list : SUITES_1_2;
	const char *suites = options->ciphersuites != NULL ? options->ciphersuites : SUITES_1_3;

	/* A simulated device may be as old and as weak as it likes. */
	SSL_CTX_set_security_level(ssl, 0);
	if (options->tickets == 0)
		SSL_CTX_set_options(ssl, SSL_OP_NO_TICKET);
	if (options->no_extended_master_secret)
		SSL_CTX_set_options(ssl, SSL_OP_NO_EXTENDED_MASTER_SECRET);
	if (options->request_client_certificate)
		SSL_CTX_set_verify(ssl, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
	if (options->client_ca_file == NULL)
		SSL_CTX_set_cert_verify_callback(ssl, accept_any_client, NULL);
	else if (SSL_CTX_load_verify_file(ssl, options->client_ca_file) != 1)
		return false;
	return configure(ssl, options->min_version != 0 ? options->min_version : TLS1_2_VERSION,
			 options->max_version != 0 ? options->max_version : TLS1_3_VERSION) &&
	       SSL_CTX_set_num_tickets(ssl, options->tickets) == 1 &&
	       SSL_CTX_set_cipher_list(ssl, list) == 1 &&
	       SSL_CTX_set_ciphersuites(ssl, suites) == 1;
}

int ch_tls_server_new(const struct ch_tls_server_options *options, struct ch_tls_context **context)
{
	struct ch_tls_context *made = context_new(TLS_server_method(), NULL);
	int err = 0;

	if (made == NULL)
		err = -ENOMEM;
	else if (!configure_server(made->ssl, options) ||
		 !ch_tls_offer_heartbeat(made, options->heartbeat))
		err = CH_E_CONFIG;
	else
		err = set_staple(made, options);
	ERR_clear_error();
	if (err == 0)
		*context = made;
	else
		ch_tls_context_free(made);
	return err;
}

void ch_tls_context_free(struct ch_tls_context *context)
{
	if (context == NULL)
		return;
	ch_issuers_free(context->verifier.issuers);
	ch_revocation_drop(context->verifier.revocation);
	ch_buf_deinit(&context->staple);
	SSL_CTX_free(context->ssl);
	free(context);
}
