/* SPDX-License-Identifier: Apache-2.0 */
/* links: proto core */
/*
 * Input: a byte for version and piece size, then the handshake stream. As one record it gives what
 * a reading of the RFC in a few lines gives; up to the first KeyUpdate (it must end its record, so
 * there the cut matters) pieces and whole give the same results.
 */
#include "fuzz.h"
#include "user/proto/tlsmsg.h"

#define RESULTS 4096
/* RFC 8446 section 4.6.1: every field at its longest. */
#define TICKET_MAX (4 + 4 + 1 + 255 + 2 + 65535 + 2 + 65534)

static char letter(enum ch_tlsmsg_result result)
{
	return (char)('0' + (int)result);
}

/** The message at the front, if it is whole. @used: its bytes. @alert: after REFUSED */
static enum ch_tlsmsg_result expect_one(bool tls13, const uint8_t *in, size_t len, size_t *used,
					uint8_t *alert)
{
	size_t body = (size_t)in[1] << 16 | (size_t)in[2] << 8 | in[3];
	bool whole = len - 4 >= body;

	*used = 4 + body;
	*alert = CH_ALERT_UNEXPECTED_MESSAGE;
	if (in[0] != (tls13 ? 4 : 0) && (!tls13 || in[0] != 24))
		return CH_TLSMSG_REFUSED;
	*alert = CH_ALERT_DECODE_ERROR;
	if (body > (tls13 ? TICKET_MAX : 0) || (in[0] == 24 && body != 1))
		return CH_TLSMSG_REFUSED;
	if (!whole)
		return CH_TLSMSG_MORE;
	if (in[0] != 24)
		return tls13 ? CH_TLSMSG_TICKET : CH_TLSMSG_HELLO_REQUEST;
	*alert = len > 5 ? CH_ALERT_UNEXPECTED_MESSAGE : CH_ALERT_ILLEGAL_PARAMETER;
	return len > 5 || in[4] > 1 ? CH_TLSMSG_REFUSED : CH_TLSMSG_KEY_UPDATE;
}

/** What the whole input gives as one record; @alert 0 = it is not refused. */
static size_t expected(bool tls13, const uint8_t *in, size_t len, char *letters, uint8_t *alert)
{
	enum ch_tlsmsg_result result = CH_TLSMSG_TICKET;
	size_t count = 0;
	size_t used;

	*alert = 0;
	while (len >= 4 && count < RESULTS &&
	       (result == CH_TLSMSG_TICKET || result == CH_TLSMSG_HELLO_REQUEST)) {
		result = expect_one(tls13, in, len, &used, alert);
		if (result == CH_TLSMSG_MORE)
			break;
		letters[count++] = letter(result);
		in += used;
		len -= used;
	}
	if (result != CH_TLSMSG_REFUSED)
		*alert = 0;
	return count;
}

/** The results but MORE, as letters, up to the end, a REFUSED or a KeyUpdate. */
static size_t results(bool tls13, const uint8_t *in, size_t len, size_t step, char *letters,
		      uint8_t *alert)
{
	struct ch_tlsmsg stream;
	enum ch_tlsmsg_result result = CH_TLSMSG_MORE;
	size_t count = 0;

	ch_tlsmsg_init(&stream, tls13);
	for (size_t at = 0; at < len && count < RESULTS;) {
		size_t piece = piece_at(at, len, step);
		bool requested;
		size_t used;

		result = ch_tlsmsg_feed(&stream, in + at, piece, &used, &requested);
		check(used <= piece && (result != CH_TLSMSG_MORE || used == piece));
		check(!requested || result == CH_TLSMSG_KEY_UPDATE);
		at += used;
		if (result == CH_TLSMSG_MORE)
			continue;
		letters[count++] = letter(result);
		if (result == CH_TLSMSG_REFUSED || result == CH_TLSMSG_KEY_UPDATE)
			break;
		check(!ch_tlsmsg_pending(&stream));
	}
	*alert = stream.alert;
	return count;
}

static void check_alert(const uint8_t *data, size_t size, bool tls13)
{
	uint8_t code;
	enum ch_alert_kind kind = ch_alert_parse(data, size, tls13, &code);

	check((kind == CH_ALERT_MALFORMED) == (size != 2 || (!tls13 && data[0] - 1u > 1)));
	check(kind == CH_ALERT_MALFORMED || code == data[1]);
	check((kind == CH_ALERT_CLOSED) == (kind != CH_ALERT_MALFORMED && data[1] == 0));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char model[RESULTS], whole[RESULTS], pieces[RESULTS];
	uint8_t alerts[3];
	size_t count;
	bool tls13;

	if (size < 1)
		return 0;
	tls13 = data[0] % 2;
	count = expected(tls13, data + 1, size - 1, model, &alerts[0]);
	check(results(tls13, data + 1, size - 1, SIZE_MAX, whole, &alerts[1]) == count);
	check(memcmp(model, whole, count) == 0 && alerts[0] == alerts[1]);
	check(results(tls13, data + 1, size - 1, 1 + data[0] / 2 % 16, pieces, &alerts[2]) ==
	      count);
	for (size_t i = 0; i < count; i++)
		check(whole[i] == pieces[i] ||
		      (i + 1 == count && whole[i] == letter(CH_TLSMSG_REFUSED) &&
		       pieces[i] == letter(CH_TLSMSG_KEY_UPDATE)));
	check_alert(data + 1, size - 1, tls13);
	return 0;
}
