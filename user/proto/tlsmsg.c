/* SPDX-License-Identifier: Apache-2.0 */
#include "tlsmsg.h"

#include <string.h>

#define ALERT_BYTES 2
#define LEVEL_WARNING 1
#define LEVEL_FATAL 2
#define ALERT_USER_CANCELED 90

#define HEADER_BYTES 4
#define TYPE_HELLO_REQUEST 0
#define TYPE_NEW_SESSION_TICKET 4
#define TYPE_KEY_UPDATE 24
#define KEY_UPDATE_REQUESTED 1

/**
 * RFC 8446 section 4.6.1: lifetime, age_add, nonce<0..255>, ticket<1..2^16-1>,
 * extensions<0..2^16-2>.
 */
#define TICKET_MAX (4 + 4 + 1 + 255 + 2 + 65535 + 2 + 65534)

bool ch_alert_refuses_certificate(uint8_t code)
{
	return (code >= 42 && code <= 46) || code == 48 || code == 49 || code == 116;
}

enum ch_alert_kind ch_alert_parse(const uint8_t *data, size_t len, bool tls13, uint8_t *code)
{
	/* RFC 8446 section 5.4 has an alert of its own for empty ones */
	*code = tls13 && len == 0 ? CH_ALERT_UNEXPECTED_MESSAGE : CH_ALERT_DECODE_ERROR;
	if (len != ALERT_BYTES)
		return CH_ALERT_MALFORMED;
	/* RFC 8446 section 6: in TLS 1.3 the level means nothing */
	if (!tls13 && data[0] != LEVEL_WARNING && data[0] != LEVEL_FATAL)
		return CH_ALERT_MALFORMED;
	*code = data[1];
	if (*code == CH_ALERT_CLOSE_NOTIFY)
		return CH_ALERT_CLOSED;
	if (tls13)
		return *code == ALERT_USER_CANCELED ? CH_ALERT_WARNING : CH_ALERT_FATAL;
	return data[0] == LEVEL_WARNING ? CH_ALERT_WARNING : CH_ALERT_FATAL;
}

void ch_tlsmsg_init(struct ch_tlsmsg *stream, bool tls13)
{
	memset(stream, 0, sizeof(*stream));
	stream->tls13 = tls13;
}

/** The header of a message is complete. @return the alert that it asks for, 0 = it may come */
static uint8_t check_header(const struct ch_tlsmsg *stream)
{
	uint8_t type = stream->header[0];
	uint32_t most = TICKET_MAX;
	uint32_t least = 0;

	if (type == TYPE_KEY_UPDATE)
		least = most = 1;
	if (!stream->tls13)
		most = 0;
	if (stream->tls13 ? type != TYPE_KEY_UPDATE && type != TYPE_NEW_SESSION_TICKET
			  : type != TYPE_HELLO_REQUEST)
		return CH_ALERT_UNEXPECTED_MESSAGE;
	return stream->left < least || stream->left > most ? CH_ALERT_DECODE_ERROR : 0;
}

static enum ch_tlsmsg_result refuse(struct ch_tlsmsg *stream, uint8_t alert)
{
	stream->alert = alert;
	return CH_TLSMSG_REFUSED;
}

/** A message is complete. @rest: bytes of the record behind it. */
static enum ch_tlsmsg_result message_done(struct ch_tlsmsg *stream, size_t rest, bool *requested)
{
	stream->header_len = 0;
	if (stream->header[0] == TYPE_HELLO_REQUEST)
		return CH_TLSMSG_HELLO_REQUEST;
	if (stream->header[0] == TYPE_NEW_SESSION_TICKET)
		return CH_TLSMSG_TICKET;
	/* RFC 8446 section 5.1: the key changes here, so the record must end here */
	if (rest > 0)
		return refuse(stream, CH_ALERT_UNEXPECTED_MESSAGE);
	/* and section 4.6.3 */
	if (stream->body > KEY_UPDATE_REQUESTED)
		return refuse(stream, CH_ALERT_ILLEGAL_PARAMETER);
	*requested = stream->body == KEY_UPDATE_REQUESTED;
	return CH_TLSMSG_KEY_UPDATE;
}

enum ch_tlsmsg_result ch_tlsmsg_feed(struct ch_tlsmsg *stream, const uint8_t *in, size_t len,
				     size_t *used, bool *requested)
{
	size_t at = 0;
	size_t take;
	uint8_t alert;

	*requested = false;
	*used = 0;
	while (stream->header_len < HEADER_BYTES) {
		if (at == len) {
			*used = at;
			return CH_TLSMSG_MORE;
		}
		stream->header[stream->header_len++] = in[at++];
		if (stream->header_len < HEADER_BYTES)
			continue;
		stream->left = (uint32_t)stream->header[1] << 16 |
			       (uint32_t)stream->header[2] << 8 | stream->header[3];
		alert = check_header(stream);
		if (alert != 0) {
			*used = at;
			return refuse(stream, alert);
		}
	}
	take = stream->left < len - at ? stream->left : len - at;
	if (take > 0)
		stream->body = in[at]; /* only KeyUpdate is looked at, and it has one byte */
	stream->left -= (uint32_t)take;
	*used = at + take;
	if (stream->left > 0)
		return CH_TLSMSG_MORE;
	return message_done(stream, len - *used, requested);
}

bool ch_tlsmsg_pending(const struct ch_tlsmsg *stream)
{
	return stream->header_len > 0;
}
