/* SPDX-License-Identifier: Apache-2.0 */
/* Why a handshake failed: OpenSSL's errors and the device's alerts as reasons of the one table. */
#include "context.h"
#include "user/core/alert.h"

#include <openssl/err.h>
#include <stdio.h>

/*
 * In answer to our certificate. handshake_failure is what a TLS 1.2 server says that got none it can
 * use (RFC 5246 section 7.4.6): there is nothing else left to fail on.
 */
static bool refuses_certificate(int alert)
{
	return (alert >= SSL_AD_BAD_CERTIFICATE && alert <= SSL_AD_CERTIFICATE_UNKNOWN) ||
	       alert == SSL_AD_UNKNOWN_CA || alert == SSL_AD_ACCESS_DENIED ||
	       alert == SSL_AD_CERTIFICATE_REQUIRED || alert == SSL_AD_HANDSHAKE_FAILURE;
}

/* Our ClientHello is out and no ServerHello was accepted. */
static bool before_server_hello(const SSL *ssl)
{
	OSSL_HANDSHAKE_STATE state = SSL_get_state(ssl);

	return state == TLS_ST_CW_CLNT_HELLO || state == TLS_ST_CR_SRVR_HELLO;
}

static bool in_certificate(const SSL *ssl)
{
	OSSL_HANDSHAKE_STATE state = SSL_get_state(ssl);

	return state == TLS_ST_CR_CERT || state == TLS_ST_SR_CERT;
}

static enum ch_reason reason_of_alert(const struct ch_handshake *handshake, int alert)
{
	if (alert == SSL_AD_CLOSE_NOTIFY)
		return CH_REASON_CLOSED_IN_HANDSHAKE;
	if (alert == SSL_AD_PROTOCOL_VERSION)
		return CH_REASON_TLS_VERSION;
	if (before_server_hello(handshake->ssl) &&
	    (alert == SSL_AD_HANDSHAKE_FAILURE || alert == SSL_AD_INSUFFICIENT_SECURITY))
		return CH_REASON_TLS_CIPHER;
	if (handshake->presented && refuses_certificate(alert))
		return CH_REASON_CLIENT_CERT_REFUSED;
	return CH_REASON_TLS_ALERT;
}

/* @code: a reason of OpenSSL's SSL library */
static enum ch_reason reason_of_error(const SSL *ssl, int code)
{
	switch (code) {
	case SSL_R_UNSUPPORTED_PROTOCOL:
	case SSL_R_WRONG_SSL_VERSION:
	case SSL_R_VERSION_TOO_LOW:
		return CH_REASON_TLS_VERSION;
	case SSL_R_WRONG_VERSION_NUMBER:
		return before_server_hello(ssl) ? CH_REASON_TLS_VERSION : CH_REASON_TLS_PROTOCOL;
	case SSL_R_WRONG_CIPHER_RETURNED:
	case SSL_R_UNKNOWN_CIPHER_RETURNED:
	case SSL_R_NO_SHARED_CIPHER:
		return CH_REASON_TLS_CIPHER;
	case SSL_R_BAD_SIGNATURE:
		return CH_REASON_NO_POSSESSION;
	case SSL_R_CERTIFICATE_VERIFY_FAILED:
		return ch_verify_reason((int)SSL_get_verify_result(ssl));
	case SSL_R_EXCESSIVE_MESSAGE_SIZE:
		return in_certificate(ssl) ? CH_REASON_CHAIN_LIMIT : CH_REASON_TLS_PROTOCOL;
	case ERR_R_ASN1_LIB:
		return in_certificate(ssl) ? CH_REASON_BAD_CERT : CH_REASON_TLS_PROTOCOL;
	case ERR_R_MALLOC_FAILURE:
		return CH_REASON_INTERNAL;
	default:
		return CH_REASON_TLS_PROTOCOL;
	}
}

/* The alert that ended the handshake, or -1. */
static int alert_of(unsigned long error, int ssl_error)
{
	int alert = ERR_GET_REASON(error) - SSL_AD_REASON_OFFSET;

	if (ssl_error == SSL_ERROR_ZERO_RETURN)
		return SSL_AD_CLOSE_NOTIFY;
	return ERR_GET_LIB(error) == ERR_LIB_SSL && alert >= 0 && alert < 256 ? alert : -1;
}

void ch_handshake_explain(struct ch_handshake *handshake, int ssl_error)
{
	unsigned long error = ERR_peek_last_error();
	const char *text = ERR_reason_error_string(error);
	int alert = alert_of(error, ssl_error);

	if (handshake->reason == CH_REASON_NONE && alert >= 0) {
		handshake->reason = reason_of_alert(handshake, alert);
		snprintf(handshake->detail, sizeof(handshake->detail), "alert %s",
			 ch_alert_name((uint8_t)alert));
	} else if (handshake->reason == CH_REASON_NONE) {
		handshake->reason = reason_of_error(handshake->ssl, ERR_GET_REASON(error));
		snprintf(handshake->detail, sizeof(handshake->detail), "%.150s",
			 text != NULL ? text : "");
	}
	ERR_clear_error();
}
