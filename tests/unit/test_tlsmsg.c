/* SPDX-License-Identifier: Apache-2.0 */
/* links: proto core */
#include "user/proto/tlsmsg.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

static enum ch_alert_kind alert(uint8_t level, uint8_t description, bool tls13)
{
	uint8_t data[2] = {level, description};
	uint8_t code = 255;
	enum ch_alert_kind kind = ch_alert_parse(data, 2, tls13, &code);

	cr_assert_eq(code, kind == CH_ALERT_MALFORMED ? CH_ALERT_DECODE_ERROR : description);
	return kind;
}

Test(tlsmsg, close_notify_closes_at_any_level)
{
	cr_assert_eq(alert(1, 0, true), CH_ALERT_CLOSED);
	cr_assert_eq(alert(2, 0, true), CH_ALERT_CLOSED);
	cr_assert_eq(alert(1, 0, false), CH_ALERT_CLOSED);
	cr_assert_eq(alert(2, 0, false), CH_ALERT_CLOSED);
}

Test(tlsmsg, every_other_alert_of_tls13_is_fatal_but_user_canceled)
{
	unsigned code;

	for (code = 1; code < 256; code++) {
		enum ch_alert_kind kind = code == 90 ? CH_ALERT_WARNING : CH_ALERT_FATAL;

		cr_assert_eq(alert(0, (uint8_t)code, true), kind, "%u", code);
		cr_assert_eq(alert(1, (uint8_t)code, true), kind, "%u", code);
		cr_assert_eq(alert(2, (uint8_t)code, true), kind, "%u", code);
	}
}

Test(tlsmsg, the_level_decides_in_tls12)
{
	cr_assert_eq(alert(1, 100, false), CH_ALERT_WARNING);
	cr_assert_eq(alert(1, 40, false), CH_ALERT_WARNING);
	cr_assert_eq(alert(2, 40, false), CH_ALERT_FATAL);
	cr_assert_eq(alert(2, 90, false), CH_ALERT_FATAL);
	cr_assert_eq(alert(0, 40, false), CH_ALERT_MALFORMED);
	cr_assert_eq(alert(3, 0, false), CH_ALERT_MALFORMED);
}

Test(tlsmsg, an_alert_has_two_bytes)
{
	static const uint8_t data[4] = {1, 0, 1, 0};
	size_t len;
	uint8_t code;

	for (len = 0; len <= 4; len++)
		cr_assert_eq(ch_alert_parse(data, len, true, &code) == CH_ALERT_MALFORMED, len != 2,
			     "%zu", len);
	cr_assert_eq(ch_alert_parse(data, 1, true, &code), CH_ALERT_MALFORMED);
	cr_assert_eq(code, CH_ALERT_DECODE_ERROR);
	cr_assert_eq(ch_alert_parse(data, 0, false, &code), CH_ALERT_MALFORMED);
	cr_assert_eq(code, CH_ALERT_DECODE_ERROR);
	cr_assert_eq(ch_alert_parse(data, 0, true, &code), CH_ALERT_MALFORMED);
	cr_assert_eq(code, CH_ALERT_UNEXPECTED_MESSAGE);
}

Test(tlsmsg, names_alerts)
{
	cr_assert_str_eq(ch_alert_name(0), "close_notify");
	cr_assert_str_eq(ch_alert_name(40), "handshake_failure");
	cr_assert_str_eq(ch_alert_name(48), "unknown_ca");
	cr_assert_str_eq(ch_alert_name(116), "certificate_required");
	cr_assert_str_eq(ch_alert_name(120), "no_application_protocol");
	cr_assert_str_eq(ch_alert_name(1), "unknown");
	cr_assert_str_eq(ch_alert_name(255), "unknown");
}

Test(tlsmsg, knows_the_alerts_about_our_certificate)
{
	static const uint8_t refusing[] = {42, 43, 44, 45, 46, 48, 49, 116};
	unsigned code;

	for (code = 0; code < 256; code++)
		cr_assert_eq(ch_alert_refuses_certificate((uint8_t)code),
			     memchr(refusing, (int)code, sizeof(refusing)) != NULL, "%u", code);
}

/**
 * One letter per result: T ticket, K key update, R key update with request, H hello request, X
 * refused.
 */
static size_t run(bool tls13, const uint8_t *in, size_t len, size_t cut, char *letters,
		  bool *pending)
{
	struct ch_tlsmsg stream;
	size_t bounds[3] = {0, cut, len};
	size_t count = 0;
	int i;

	ch_tlsmsg_init(&stream, tls13);
	for (i = 0; i < 2; i++) {
		size_t piece = bounds[i + 1] - bounds[i];
		uint8_t *copy = malloc(piece > 0 ? piece : 1);
		size_t at = 0;

		cr_assert_not_null(copy);
		memcpy(copy, in + bounds[i], piece);
		for (;;) {
			size_t used;
			bool requested;
			enum ch_tlsmsg_result result =
				ch_tlsmsg_feed(&stream, copy + at, piece - at, &used, &requested);

			cr_assert_leq(used, piece - at);
			at += used;
			if (result == CH_TLSMSG_MORE) {
				cr_assert_eq(at, piece);
				break;
			}
			letters[count++] =
				result == CH_TLSMSG_KEY_UPDATE && requested ? 'R' : "?TKHX"[result];
			cr_assert(result == CH_TLSMSG_KEY_UPDATE || !requested);
			if (result == CH_TLSMSG_REFUSED)
				break;
		}
		free(copy);
		if (count > 0 && letters[count - 1] == 'X')
			break;
	}
	letters[count] = '\0';
	*pending = ch_tlsmsg_pending(&stream);
	return count;
}

/**
 * @cuts: also check every split point (a KeyUpdate must end its record, so not with more behind
 * it).
 */
static void expect(bool tls13, const void *in, size_t len, bool cuts, const char *letters,
		   bool pending)
{
	char got[64];
	bool got_pending;
	size_t cut;

	run(tls13, in, len, len, got, &got_pending);
	cr_assert_str_eq(got, letters);
	if (strchr(letters, 'X') == NULL)
		cr_assert_eq(got_pending, pending, "%s", letters);
	for (cut = 0; cuts && cut <= len; cut++) {
		run(tls13, in, len, cut, got, &got_pending);
		cr_assert_str_eq(got, letters, "cut at %zu: %s", cut, got);
	}
}
#define EXPECT(tls13, in, cuts, letters, pending)                                                  \
	expect(tls13, in, sizeof(in) - 1, cuts, letters, pending)

Test(tlsmsg, skips_tickets)
{
	EXPECT(true,
	       "\x04\0\0\x03"
	       "abc",
	       true, "T", false);
	EXPECT(true,
	       "\x04\0\0\x03"
	       "abc\x04\0\0\x01x\x04\0\0\0",
	       true, "TTT", false);
	EXPECT(true,
	       "\x04\0\0\x03"
	       "ab",
	       true, "", true);
	EXPECT(true, "\x04\0\0", true, "", true);
	EXPECT(true, "", true, "", false);
}

Test(tlsmsg, a_ticket_has_a_limit)
{
	uint32_t most = 4 + 4 + 1 + 255 + 2 + 65535 + 2 + 65534;
	uint8_t header[4] = {4, (uint8_t)(most >> 16), (uint8_t)(most >> 8), (uint8_t)most};

	expect(true, header, 4, true, "", true);
	header[3]++;
	expect(true, header, 4, true, "X", false);
	EXPECT(true, "\x04\xff\xff\xff", true, "X", false);
}

Test(tlsmsg, reads_key_updates)
{
	EXPECT(true, "\x18\0\0\x01\0", true, "K", false);
	EXPECT(true, "\x18\0\0\x01\x01", true, "R", false);
	EXPECT(true, "\x04\0\0\x01x\x18\0\0\x01\x01", true, "TR", false);
	EXPECT(true, "\x18\0\0\x01", true, "", true);
	EXPECT(true, "\x18\0\0\x01\x02", true, "X", false);
	EXPECT(true, "\x18\0\0\0", true, "X", false);
	EXPECT(true, "\x18\0\0\x02\0\0", true, "X", false);
}

static uint8_t alert_of(bool tls13, const void *in, size_t len)
{
	struct ch_tlsmsg stream;
	bool requested;
	size_t used;

	ch_tlsmsg_init(&stream, tls13);
	cr_assert_eq(ch_tlsmsg_feed(&stream, in, len, &used, &requested), CH_TLSMSG_REFUSED);
	return stream.alert;
}

/* RFC 8446 sections 4.6.2, 4.6.3, 5.1, 6.2 */
Test(tlsmsg, each_refusal_has_its_alert)
{
	cr_assert_eq(alert_of(true, "\x0d\0\0\x03\0\0\0", 7), 10, "CertificateRequest");
	cr_assert_eq(alert_of(true, "\0\0\0\0", 4), 10, "HelloRequest in TLS 1.3");
	cr_assert_eq(alert_of(false, "\x02\0\0\0", 4), 10, "ServerHello of a renegotiation");
	cr_assert_eq(alert_of(true, "\x18\0\0\x01\0\x18\0\0\x01", 9), 10, "data behind it");
	cr_assert_eq(alert_of(true, "\x18\0\0\x01\x02", 5), 47, "neither asked for nor not");
	cr_assert_eq(alert_of(true, "\x18\0\0\0", 4), 50);
	cr_assert_eq(alert_of(true, "\x18\0\0\x02", 4), 50);
	cr_assert_eq(alert_of(true, "\x04\xff\xff\xff", 4), 50, "too long for a ticket");
	cr_assert_eq(alert_of(false, "\0\0\0\x01", 4), 50, "HelloRequest is empty");
}

Test(tlsmsg, a_key_update_ends_its_record)
{
	EXPECT(true, "\x18\0\0\x01\0\x04\0\0\x01x", false, "X", false);
	EXPECT(true, "\x18\0\0\x01\0\0", false, "X", false);
}

/* row: 9918-renegotiation */
Test(tlsmsg, refuses_everything_else_in_tls13)
{
	unsigned type;

	for (type = 0; type < 256; type++) {
		uint8_t message[5] = {(uint8_t)type, 0, 0, 1, 0};

		expect(true, message, 5, true, type == 4 ? "T" : type == 24 ? "K" : "X", false);
	}
	EXPECT(true, "\0\0\0\0", true, "X", false);
	EXPECT(true, "\x0d\0\0\x03\0\0\0", true, "X",
	       false); /* post-handshake CertificateRequest */
}

/* row: 9918-renegotiation */
Test(tlsmsg, tls12_knows_only_hello_request)
{
	unsigned type;

	EXPECT(false, "\0\0\0\0", true, "H", false);
	EXPECT(false, "\0\0\0\0\0\0\0\0", true, "HH", false);
	EXPECT(false, "\0\0\0", true, "", true);
	EXPECT(false, "\0\0\0\x01\0", true, "X", false);
	for (type = 1; type < 256; type++) {
		uint8_t message[5] = {(uint8_t)type, 0, 0, 1, 0};

		expect(false, message, 5, true, "X", false);
	}
}
