/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * TLS messages after the handshake that are not application data: alerts and the handshake stream
 * (RFC 8446 sections 4.6 and 6, RFC 5246 section 7.4.1.1). Sans-IO; works for both record layers.
 */
#include <callhome/reason.h>
#include "user/core/alert.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CH_ALERT_CLOSE_NOTIFY 0
#define CH_ALERT_UNEXPECTED_MESSAGE 10
#define CH_ALERT_BAD_RECORD_MAC 20
#define CH_ALERT_RECORD_OVERFLOW 22
#define CH_ALERT_HANDSHAKE_FAILURE 40
#define CH_ALERT_CERTIFICATE_REVOKED 44
#define CH_ALERT_ILLEGAL_PARAMETER 47
#define CH_ALERT_ACCESS_DENIED 49
#define CH_ALERT_DECODE_ERROR 50
#define CH_ALERT_NO_RENEGOTIATION 100

/**
 * Does this fatal alert say that the device refused our client certificate? (42-46, 48, 49, 116)
 */
bool ch_alert_refuses_certificate(uint8_t code);

enum ch_alert_kind { CH_ALERT_CLOSED, CH_ALERT_FATAL, CH_ALERT_WARNING, CH_ALERT_MALFORMED };

/**
 * Judges one alert record (2 bytes; in TLS 1.3 every alert but close_notify and user_canceled is
 * fatal). @code: the alert, or the one to answer with when it is MALFORMED.
 */
enum ch_alert_kind ch_alert_parse(const uint8_t *data, size_t len, bool tls13, uint8_t *code);

/** The handshake stream after Finished: messages may share a record or straddle records. */
struct ch_tlsmsg {
	uint32_t left;	   /**< bytes of the present body still to come */
	uint8_t header[4]; /**< type, length */
	uint8_t header_len;
	uint8_t body;  /**< the byte of a KeyUpdate */
	uint8_t alert; /**< after REFUSED: the alert to end with */
	bool tls13;
};

enum ch_tlsmsg_result {
	CH_TLSMSG_MORE,		 /**< all consumed */
	CH_TLSMSG_TICKET,	 /**< a NewSessionTicket: its bytes were skipped, never stored */
	CH_TLSMSG_KEY_UPDATE,	 /**< a KeyUpdate, end of its record; @requested: answer with one */
	CH_TLSMSG_HELLO_REQUEST, /**< TLS 1.2: answer with the warning no_renegotiation */
	CH_TLSMSG_REFUSED,	 /**< all else, also a CertificateRequest: end with @alert */
};

void ch_tlsmsg_init(struct ch_tlsmsg *stream, bool tls13);

/**
 * @in is one handshake record, or the rest of it. Call again with the rest until MORE: then all of
 * it was consumed. After REFUSED nothing more may be fed. Nothing points into the input.
 */
enum ch_tlsmsg_result ch_tlsmsg_feed(struct ch_tlsmsg *stream, const uint8_t *in, size_t len,
				     size_t *used, bool *requested);

/** A message is incomplete (then no other record type may come between: RFC 8446 section 5.1). */
bool ch_tlsmsg_pending(const struct ch_tlsmsg *stream);
