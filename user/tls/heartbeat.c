/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The heartbeat extension of RFC 6520 in the hellos of both roles and both versions. OpenSSL
 * dropped its own long ago, and its record layer takes no heartbeats; ours, which follows the
 * handshake, does.
 */
#include "context.h"
#include "user/core/heartbeat_mode.h"

#include <stdio.h>

#define EXTENSION_HEARTBEAT 15
#define WHERE                                                                                      \
	(SSL_EXT_CLIENT_HELLO | SSL_EXT_TLS1_2_SERVER_HELLO | SSL_EXT_TLS1_3_ENCRYPTED_EXTENSIONS)

/* OpenSSL asks a server only when the client sent the extension. */
static int add_mode(SSL *ssl, unsigned type, unsigned where, const uint8_t **out, size_t *len,
		    X509 *cert, size_t index, int *alert, void *ctx)
{
	const struct ch_tls_context *context = ctx;

	(void)ssl, (void)type, (void)where, (void)cert, (void)index, (void)alert;
	*out = &context->heartbeat;
	*len = 1;
	return 1;
}

/* RFC 6520 section 2: illegal_parameter for a mode that nobody knows. */
static int parse_mode(SSL *ssl, unsigned type, unsigned where, const uint8_t *in, size_t len,
		      X509 *cert, size_t index, int *alert, void *ctx)
{
	struct ch_handshake *handshake = SSL_get_app_data(ssl);

	(void)type, (void)where, (void)cert, (void)index, (void)ctx;
	if (len == 1 && (in[0] == CH_HEARTBEAT_ALLOWED || in[0] == CH_HEARTBEAT_NOT_ALLOWED)) {
		handshake->heartbeat = in[0];
		return 1;
	}
	*alert = len == 1 ? SSL_AD_ILLEGAL_PARAMETER : SSL_AD_DECODE_ERROR;
	handshake->reason = CH_REASON_TLS_PROTOCOL;
	if (len == 1)
		snprintf(handshake->detail, sizeof(handshake->detail), "heartbeat mode %u", in[0]);
	else
		snprintf(handshake->detail, sizeof(handshake->detail),
			 "heartbeat extension of %zu bytes", len);
	return 0;
}

bool ch_tls_offer_heartbeat(struct ch_tls_context *context, uint8_t mode)
{
	context->heartbeat = mode;
	return mode == CH_HEARTBEAT_NONE ||
	       SSL_CTX_add_custom_ext(context->ssl, EXTENSION_HEARTBEAT, WHERE, add_mode, NULL,
				      context, parse_mode, NULL) == 1;
}
