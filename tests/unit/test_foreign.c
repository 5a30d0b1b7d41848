/* SPDX-License-Identifier: Apache-2.0 */
/* links: proto core */
/*
 * What devices on foreign stacks really sent (tests/foreign/corpus), cut at every byte: the events
 * are the same, and they are the ones that were meant. Lengths and hashes were computed from the
 * files by other means than ours.
 */
#include "user/proto/client.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FOLDER "tests/foreign/corpus/"

/** FNV-1a, 64 bits. */
#define HASH_START UINT64_C(0xcbf29ce484222325)
#define HASH_PRIME UINT64_C(0x100000001b3)

/** One session: get-config (1), create-subscription (2), two streamed requests, close-session. */
struct transcript {
	const char *file;
	size_t bytes;
	uint32_t session_id;
	uint32_t capability_count;
	uint32_t capabilities;
	/** U up, N notification, R reply, P streamed reply, C closed; message-id and bytes. */
	const char *events;
	uint64_t hash; /**< of the messages behind the hello, one behind the other */
	const char *tag;
};

#define BOTH (CH_CAP_BASE_1_0 | CH_CAP_BASE_1_1)
#define NOTES (CH_CAP_NOTIFICATION | CH_CAP_INTERLEAVE)

static const struct transcript transcripts[] = {
	{"openssl-plain.wire", 2353, 4294967295, 6, BOTH | NOTES | CH_CAP_URL,
	 "U R1:217 R2:91 N0:247 N0:247 N0:247 P3:217 P4:270 C5:91 ", 0x70ca905c94ecddef,
	 "operation-not-supported"},
	{"openssl-junos.wire", 2762, 4294967295, 5, CH_CAP_BASE_1_0 | NOTES | CH_CAP_URL,
	 "U R1:271 R2:142 N0:287 N0:287 N0:287 P3:271 P4:348 C5:142 ", 0x4e69600723342e0d,
	 "operation-not-supported"},
	{"gnutls-prefix-chunks.wire", 4401, 4294967295, 6, BOTH | NOTES | CH_CAP_URL,
	 "U R1:307 R2:167 N0:265 N0:265 N0:265 P3:307 P4:472 C5:167 ", 0x72a63d8c00b26f4b,
	 "operation-not-supported"},
	{"libnetconf2.wire", 3411, 1, 17,
	 BOTH | NOTES | CH_CAP_WRITABLE_RUNNING | CH_CAP_CANDIDATE | CH_CAP_XPATH |
		 CH_CAP_YANG_LIBRARY,
	 "U R1:183 R2:91 N0:231 N0:231 N0:231 P3:183 P4:322 C5:91 ", 0x2495aecff3be0eac,
	 "operation-failed"},
};
#define TRANSCRIPTS (sizeof(transcripts) / sizeof(transcripts[0]))

static const struct ch_client_limits limits = {
	.framing = {.max_message = 65536, .max_chunks = 1000}, .max_depth = 16};

/** A collector that does what the one did when the transcript was made. */
struct replay {
	struct ch_client client;
	struct ch_buf out;
	struct ch_buf events;
	struct ch_buf part; /**< of the streamed reply in progress */
	uint64_t hash;
	struct ch_reply_info last; /**< of the reply to the request that fails */
};

static void hash_bytes(struct replay *replay, struct ch_slice bytes)
{
	for (size_t i = 0; i < bytes.len; i++)
		replay->hash = (replay->hash ^ bytes.data[i]) * HASH_PRIME;
}

static void note(struct replay *replay, char letter, uint32_t id, size_t len)
{
	cr_assert_eq(ch_buf_printf(&replay->events, "%c%u:%zu ", letter, id, len), 0);
}

static void ask(struct replay *replay)
{
	struct ch_client *client = &replay->client;
	struct ch_buf *out = &replay->out;

	cr_assert_eq(ch_buf_append_str(&replay->events, "U "), 0);
	cr_assert_eq(ch_client_request(client, CH_LIT("<get-config/>"), 1, false, 7, out), 1);
	cr_assert_eq(ch_client_subscribe(client, 1, 8, out), 2);
	cr_assert_eq(ch_client_request(client, CH_LIT("<get-config/>"), 1, true, 9, out), 3);
	cr_assert_eq(ch_client_request(client, CH_LIT("<no-such-thing/>"), 1, true, 10, out), 4);
}

static void on_streamed(struct replay *replay, uint32_t id)
{
	struct ch_slice whole = {replay->part.data, replay->part.len};

	note(replay, 'P', id, whole.len);
	if (id == 4) {
		cr_assert_eq(ch_reply_inspect(whole, 16, &replay->last), 0);
		cr_assert_eq(ch_client_close(&replay->client, 1, &replay->out), 5);
	}
	replay->part.len = 0;
}

static void on_event(struct replay *replay, const struct ch_client_event *event)
{
	switch (event->kind) {
	case CH_CLIENT_UP:
		ask(replay);
		return;
	case CH_CLIENT_NOTIFICATION:
		note(replay, 'N', event->id, event->message.len);
		break;
	case CH_CLIENT_REPLY:
		if (event->id == 3 || event->id == 4)
			on_streamed(replay, event->id);
		else
			note(replay, 'R', event->id, event->message.len);
		break;
	case CH_CLIENT_REPLY_PART:
		cr_assert_eq(ch_buf_append(&replay->part, event->message.data, event->message.len),
			     0);
		break;
	case CH_CLIENT_CLOSED:
		note(replay, 'C', event->id, event->message.len);
		break;
	case CH_CLIENT_TIMEOUT:
		cr_assert_fail("nothing times out by itself");
	}
	hash_bytes(replay, event->message);
}

/** Feeds a copy of exactly its size, so that the sanitizers see each step beyond it. */
static void feed(struct replay *replay, const uint8_t *in, size_t len)
{
	uint8_t *copy = malloc(len);
	struct ch_client_event event;
	size_t at = 0;

	cr_assert_not_null(copy);
	memcpy(copy, in, len);
	while (at < len) {
		enum ch_client_result result;
		size_t used;

		result = ch_client_feed(&replay->client, copy + at, len - at, &used, &event);
		at += used;
		if (result == CH_CLIENT_MORE)
			break;
		cr_assert_eq(result, CH_CLIENT_EVENT, "%s", ch_reason_name(replay->client.reason));
		on_event(replay, &event);
	}
	cr_assert_eq(at, len);
	free(copy);
}

static void begin(struct replay *replay)
{
	memset(replay, 0, sizeof(*replay));
	replay->hash = HASH_START;
	ch_client_init(&replay->client, &limits, NULL);
	cr_assert_eq(ch_client_start(&replay->client, &replay->out), 0);
}

static void check(struct replay *replay, const struct transcript *t)
{
	const struct ch_hello *hello = &replay->client.hello;

	cr_assert_eq(replay->events.len, strlen(t->events), "%s: %.*s", t->file,
		     (int)replay->events.len, (char *)replay->events.data);
	cr_assert_eq(memcmp(replay->events.data, t->events, replay->events.len), 0, "%s: %.*s",
		     t->file, (int)replay->events.len, (char *)replay->events.data);
	cr_assert_eq(replay->hash, t->hash, "%s", t->file);
	cr_assert_eq(hello->session_id, t->session_id);
	cr_assert_eq(hello->capability_count, t->capability_count);
	cr_assert_eq(hello->capabilities, t->capabilities);
	cr_assert(replay->last.error && !replay->last.ok);
	cr_assert_str_eq(replay->last.error_tag, t->tag);
	cr_assert(replay->client.subscribed);
	ch_client_deinit(&replay->client);
	ch_buf_deinit(&replay->out);
	ch_buf_deinit(&replay->events);
	ch_buf_deinit(&replay->part);
}

static uint8_t *load(const struct transcript *t)
{
	char path[128];
	uint8_t *wire = malloc(t->bytes + 1);
	FILE *file;

	snprintf(path, sizeof(path), FOLDER "%s", t->file);
	file = fopen(path, "re");
	cr_assert_not_null(file, "%s: run this from the root of the repository", path);
	cr_assert_not_null(wire);
	cr_assert_eq(fread(wire, 1, t->bytes + 1, file), t->bytes, "%s", path);
	fclose(file);
	return wire;
}

Test(foreign, transcripts_give_their_events_in_one_piece)
{
	for (size_t i = 0; i < TRANSCRIPTS; i++) {
		uint8_t *wire = load(&transcripts[i]);
		struct replay replay;

		begin(&replay);
		feed(&replay, wire, transcripts[i].bytes);
		check(&replay, &transcripts[i]);
		free(wire);
	}
}

Test(foreign, transcripts_give_their_events_at_every_split_point)
{
	for (size_t i = 0; i < TRANSCRIPTS; i++) {
		const struct transcript *t = &transcripts[i];
		uint8_t *wire = load(t);

		for (size_t cut = 1; cut < t->bytes; cut++) {
			struct replay replay;

			begin(&replay);
			feed(&replay, wire, cut);
			feed(&replay, wire + cut, t->bytes - cut);
			check(&replay, t);
		}
		free(wire);
	}
}

Test(foreign, transcripts_give_their_events_in_pieces_of_any_size)
{
	for (size_t i = 0; i < TRANSCRIPTS; i++) {
		const struct transcript *t = &transcripts[i];
		uint8_t *wire = load(t);

		for (size_t piece = 1; piece <= 64; piece++) {
			struct replay replay;

			begin(&replay);
			for (size_t at = 0; at < t->bytes; at += piece)
				feed(&replay, wire + at,
				     piece < t->bytes - at ? piece : t->bytes - at);
			check(&replay, t);
		}
		free(wire);
	}
}

/* A device that goes in the middle leaves nothing behind but the messages that were whole. */
Test(foreign, transcripts_cut_off_anywhere_give_no_event_too_many)
{
	for (size_t i = 0; i < TRANSCRIPTS; i++) {
		const struct transcript *t = &transcripts[i];
		uint8_t *wire = load(t);

		for (size_t cut = 1; cut < t->bytes; cut++) {
			struct replay replay;

			begin(&replay);
			feed(&replay, wire, cut);
			cr_assert_leq(replay.events.len, strlen(t->events));
			cr_assert(replay.events.len == 0 ||
				  memcmp(replay.events.data, t->events, replay.events.len) == 0);
			ch_client_deinit(&replay.client);
			ch_buf_deinit(&replay.out);
			ch_buf_deinit(&replay.events);
			ch_buf_deinit(&replay.part);
		}
		free(wire);
	}
}
