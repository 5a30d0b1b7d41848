/* SPDX-License-Identifier: Apache-2.0 */
#include "streams.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EOM "]]>]]>"

static void must(int err)
{
	if (err != 0)
		abort();
}

/* splitmix64 */
uint64_t stream_random(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return z ^ z >> 31;
}

uint32_t stream_pick(uint64_t *state, uint32_t below)
{
	return (uint32_t)(stream_random(state) % below);
}

/** A stream that is being made. */
struct maker {
	struct stream *stream;
	uint64_t random;
	bool tls13;
	bool key_updates;
	unsigned controls; /**< records in a row without data */
	struct ch_buf netconf;
	size_t said; /**< bytes of @netconf in records */
};

static uint32_t pick(struct maker *maker, uint32_t below)
{
	return stream_pick(&maker->random, below);
}

static struct stream_item *add(struct maker *maker, uint8_t type, const void *data, size_t len)
{
	struct stream *stream = maker->stream;
	struct stream_item *item;

	if (stream->count == STREAM_ITEMS)
		return &stream->items[STREAM_ITEMS - 1];
	item = &stream->items[stream->count++];
	*item = (struct stream_item){
		.type = type, .at = (uint32_t)stream->text.len, .len = (uint32_t)len};
	must(ch_buf_append(&stream->text, data, len));
	if (maker->tls13 && pick(maker, 6) == 0)
		item->padding = (uint16_t)pick(
			maker, (uint32_t)(CH_RECORD_PLAIN_MAX - len < 400 ? 1 : 400));
	maker->controls = type == CH_RECORD_DATA && len > 0 ? 0 : maker->controls + 1;
	return item;
}

/* ---- NETCONF ---- */

static void add_notification(struct maker *maker)
{
	static const uint32_t most[] = {10, 200, 3000, 40000};
	uint32_t len = pick(maker, most[pick(maker, 4)]);

	must(ch_buf_append_str(&maker->netconf, "<notification xmlns=\"urn:ietf:params:xml:ns:"
						"netconf:notification:1.0\"><x>"));
	for (uint32_t i = 0; i < len; i++)
		must(ch_buf_append(&maker->netconf, &"abcdefgh \n]>&amp;"[pick(maker, 12)], 1));
	must(ch_buf_append_str(&maker->netconf, "</x></notification>" EOM));
}

static void add_netconf(struct maker *maker)
{
	static const char *const wrong[] = {"<rpc-reply message-id=\"77\"/>" EOM, "<foo/>" EOM,
					    "no XML" EOM, EOM};
	uint32_t messages = 1 + pick(maker, 6);

	while (messages-- > 0)
		add_notification(maker);
	if (pick(maker, 10) == 0)
		must(ch_buf_append_str(&maker->netconf, wrong[pick(maker, 4)]));
	if (pick(maker, 10) == 0)
		maker->netconf.len -= pick(maker, (uint32_t)maker->netconf.len);
}

static void add_data(struct maker *maker)
{
	static const uint32_t most[] = {2, 40, 1500, CH_RECORD_PLAIN_MAX + 1};
	size_t left = maker->netconf.len - maker->said;
	size_t len = pick(maker, most[pick(maker, 4)]);

	if (maker->stream->count > STREAM_ITEMS / 2)
		len = CH_RECORD_PLAIN_MAX;
	if (len > left)
		len = left;
	add(maker, CH_RECORD_DATA, maker->netconf.data + maker->said, len);
	maker->said += len;
}

/* ---- what goes on ---- */

static void add_ticket(struct maker *maker)
{
	uint8_t message[4 + 300] = {4};
	size_t body = pick(maker, 300);
	size_t cut;

	message[2] = (uint8_t)(body >> 8);
	message[3] = (uint8_t)body;
	/* Never 24: at the front of a record the kernel would take it for a KeyUpdate. */
	for (size_t i = 0; i < body; i++)
		message[4 + i] = (uint8_t)(25 + pick(maker, 200));
	if (pick(maker, 3) != 0) {
		add(maker, CH_RECORD_HANDSHAKE, message, 4 + body);
		return;
	}
	cut = 1 + pick(maker, (uint32_t)(3 + body));
	add(maker, CH_RECORD_HANDSHAKE, message, cut);
	if (pick(maker, 4) == 0) /* data between the parts: that is the end */
		add(maker, CH_RECORD_DATA, "x", 1);
	add(maker, CH_RECORD_HANDSHAKE, message + cut, 4 + body - cut);
}

static void add_two_tickets(struct maker *maker)
{
	add(maker, CH_RECORD_HANDSHAKE, "\4\0\0\1a\4\0\0\2bc", 11);
}

static void add_key_update(struct maker *maker)
{
	struct stream_item *item;

	if (!maker->key_updates)
		return;
	item = add(maker, CH_RECORD_HANDSHAKE, pick(maker, 2) ? "\x18\0\0\1\1" : "\x18\0\0\1\0", 5);
	item->key_update = true;
}

static void add_hello_request(struct maker *maker)
{
	add(maker, CH_RECORD_HANDSHAKE, "\0\0\0\0\0\0\0\0", pick(maker, 2) ? 4 : 8);
}

static void add_warning(struct maker *maker)
{
	uint8_t alert[2] = {1, 90};

	if (!maker->tls13)
		alert[1] = (uint8_t)(1 + pick(maker, 255));
	add(maker, CH_RECORD_ALERT, alert, 2);
}

static void add_empty_data(struct maker *maker)
{
	for (uint32_t i = pick(maker, 4) + 1; i > 0 && maker->controls < 20; i--)
		add(maker, CH_RECORD_DATA, "", 0);
}

static void add_heartbeat(struct maker *maker)
{
	static const uint8_t zeros[200];
	uint8_t message[300] = {(uint8_t)(1 + pick(maker, 2))};
	uint32_t payload = pick(maker, 200);
	uint32_t len = 3 + payload + 16 + pick(maker, 60);

	message[2] = (uint8_t)payload;
	memcpy(message + 3, zeros, payload);
	if (pick(maker, 4) == 0) /* Heartbleed, an unknown type, a short one */
		message[pick(maker, 2)] = (uint8_t)pick(maker, 256);
	if (pick(maker, 4) == 0)
		len = pick(maker, 24);
	add(maker, CH_RECORD_HEARTBEAT, message, len);
}

static void add_harmless(struct maker *maker)
{
	static void (*const tls13[])(struct maker *) = {
		add_ticket,  add_two_tickets, add_key_update, add_key_update,
		add_warning, add_empty_data,  add_heartbeat,
	};
	static void (*const tls12[])(struct maker *) = {add_hello_request, add_warning,
							add_empty_data, add_heartbeat};

	if (maker->tls13)
		tls13[pick(maker, 7)](maker);
	else
		tls12[pick(maker, 4)](maker);
}

/* ---- what ends the session ---- */

static void add_close(struct maker *maker)
{
	add(maker, CH_RECORD_ALERT, pick(maker, 2) ? "\1\0" : "\2\0", 2);
}

static void add_fatal(struct maker *maker)
{
	uint8_t alert[2] = {2, (uint8_t)(1 + pick(maker, 89))};

	add(maker, CH_RECORD_ALERT, alert, 2);
}

static void add_malformed_alert(struct maker *maker)
{
	static const struct ch_slice tls12[] = {CH_LIT("\3\1"),
						CH_LIT("\1"),
						CH_LIT("\1\0\1"),
						CH_LIT("\0\0"),
						{(const uint8_t *)"", 0}};
	const struct ch_slice *alert = &tls12[maker->tls13 ? 1 + pick(maker, 2) : pick(maker, 5)];

	add(maker, CH_RECORD_ALERT, alert->data, alert->len);
}

/* A CertificateRequest, a ClientHello, a KeyUpdate of another length or not at the end. */
static void add_forbidden_message(struct maker *maker)
{
	static const struct ch_slice messages[] = {CH_LIT("\x0d\0\0\3\0\0\0"), CH_LIT("\1\0\0\1x"),
						   CH_LIT("\x18\0\0\2\0\0"), CH_LIT("\x18\0\0\1\2"),
						   CH_LIT("\x18\0\0\1\0\4\0\0\1x")};
	const struct ch_slice *message = &messages[pick(maker, 5)];

	add(maker, CH_RECORD_HANDSHAKE, message->data, message->len);
}

/* TLS 1.3, 0 and empty: nothing but padding. */
static void add_illegal_type(struct maker *maker)
{
	static const uint8_t types[] = {20, 25, 26, 99, 255, 0};
	uint8_t type = types[pick(maker, maker->tls13 ? 6 : 5)];

	add(maker, type, "x", type == 0 ? 0 : pick(maker, 2));
}

static void add_empty_handshake(struct maker *maker)
{
	add(maker, pick(maker, 2) ? CH_RECORD_HANDSHAKE : CH_RECORD_ALERT, "", 0);
}

static void add_tampered(struct maker *maker)
{
	add(maker, CH_RECORD_DATA, "tampered with", 13)->tampered = true;
}

static void add_end(struct maker *maker)
{
	static void (*const ends[])(struct maker *) = {
		add_close,	  add_close,	       add_fatal,    add_malformed_alert,
		add_illegal_type, add_empty_handshake, add_tampered, add_forbidden_message,
	};

	ends[pick(maker, 8)](maker);
}

/** The FIN comes in the midst of the last record. */
static void cut_last(struct maker *maker)
{
	struct stream *stream = maker->stream;

	if (stream->count > 0)
		stream->missing = 1 + pick(maker, 20);
}

void stream_make(struct stream *stream, uint64_t seed, bool tls13, bool key_updates)
{
	struct maker maker = {.stream = stream,
			      .random = seed,
			      .tls13 = tls13,
			      .key_updates = tls13 && key_updates};
	unsigned controls = 0;

	memset(stream, 0, sizeof(*stream));
	add_netconf(&maker);
	while (maker.said < maker.netconf.len && stream->count < STREAM_ITEMS - 12) {
		if (pick(&maker, 3) == 0 && controls < 24 && maker.controls < 16) {
			add_harmless(&maker);
			controls++;
		} else {
			add_data(&maker);
		}
		if (pick(&maker, 40) == 0)
			break;
	}
	if (pick(&maker, 8) != 0)
		add_end(&maker);
	if (pick(&maker, 4) == 0) /* nobody may hear this any more */
		add_data(&maker);
	if (pick(&maker, 4) == 0)
		cut_last(&maker);
	ch_buf_deinit(&maker.netconf);
}

static void seal_item(const struct stream *stream, const struct stream_item *item,
		      struct ch_record *sender, struct ch_buf *wire)
{
	static const uint8_t zeros[512];
	struct ch_slice parts[] = {{stream->text.data + item->at, item->len},
				   {&item->type, 1},
				   {zeros, (size_t)item->padding - 1}};

	/* Sealed as type 0, the plaintext brings its own inner type and the 0 is padding. */
	if (item->padding > 0)
		must(ch_record_seal(sender, 0, parts, 3, wire));
	else
		must(ch_record_seal(sender, item->type, parts, 1, wire));
	if (item->tampered)
		wire->data[wire->len - 1] ^= 0x40;
	if (item->key_update)
		must(ch_record_rekey(sender, true));
}

void stream_seal(const struct stream *stream, struct ch_record *sender, struct ch_buf *wire)
{
	for (size_t i = 0; i < stream->count; i++)
		seal_item(stream, &stream->items[i], sender, wire);
	wire->len -= stream->missing;
}

void stream_deinit(struct stream *stream)
{
	ch_buf_deinit(&stream->text);
}
