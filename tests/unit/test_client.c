/* SPDX-License-Identifier: Apache-2.0 */
/* links: proto core */
#include "user/proto/client.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BASE "urn:ietf:params:xml:ns:netconf:base:1.0"
#define CAP(name) "<capability>urn:ietf:params:netconf:" name "</capability>"
#define HELLO(caps, rest)                                                                          \
	"<hello xmlns=\"" BASE "\"><capabilities>" caps "</capabilities>" rest "</hello>"
#define DEVICE(caps) HELLO(caps, "<session-id>4</session-id>") "]]>]]>"
#define B10 CAP("base:1.0")
#define B11 CAP("base:1.1")
#define NOTIFICATION CAP("capability:notification:1.0")
#define INTERLEAVE CAP("capability:interleave:1.0")
#define NO_CUT SIZE_MAX

static const struct ch_client_limits wide = {
	.framing = {.max_message = 1 << 20, .max_chunks = 10000}, .max_depth = 16};

/** A client, and everything that came out of it as text. */
struct rig {
	struct ch_client client;
	struct ch_buf out;
	struct ch_buf log;
	bool in_parts;
};

static void rig_init(struct rig *rig, const struct ch_client_limits *limits,
		     struct ch_budget *budget)
{
	memset(rig, 0, sizeof(*rig));
	ch_client_init(&rig->client, limits, budget);
	cr_assert_eq(ch_client_start(&rig->client, &rig->out), 0);
	rig->out.len = 0;
}

static void rig_deinit(struct rig *rig)
{
	ch_client_deinit(&rig->client);
	ch_buf_deinit(&rig->out);
	ch_buf_deinit(&rig->log);
}

static void note_bytes(struct rig *rig, const void *data, size_t len)
{
	cr_assert_eq(ch_buf_append(&rig->log, data, len), 0);
}

/** U up, N notification, R reply, C closed, T timeout; parts of a reply as P id/cookie(text). */
static void note(struct rig *rig, const struct ch_client_event *event)
{
	static const char letters[] = "UNRPCT";
	char head[64];

	if (event->kind == CH_CLIENT_REPLY_PART && rig->in_parts) {
		note_bytes(rig, event->message.data, event->message.len);
		return;
	}
	if (event->kind == CH_CLIENT_REPLY && rig->in_parts) {
		cr_assert_eq(event->message.len, 0);
		note_bytes(rig, ") ", 2);
	}
	rig->in_parts = event->kind == CH_CLIENT_REPLY_PART;
	snprintf(head, sizeof(head), "%c%u/%llu(", letters[event->kind], event->id,
		 (unsigned long long)event->cookie);
	note_bytes(rig, head, strlen(head));
	if (event->kind != CH_CLIENT_UP)
		note_bytes(rig, event->message.data, event->message.len);
	if (!rig->in_parts)
		note_bytes(rig, ") ", 2);
}

/**
 * Feeds a copy of exactly its size, only as long as there is input left, as a careless caller
 * would.
 */
static void feed(struct rig *rig, const char *in, size_t len)
{
	uint8_t *copy = malloc(len + 1);
	unsigned turns = 0;
	size_t at = 0;

	cr_assert_not_null(copy);
	memcpy(copy + 1, in, len);
	while (at < len) {
		struct ch_client_event event;
		size_t used;
		enum ch_client_result result =
			ch_client_feed(&rig->client, copy + 1 + at, len - at, &used, &event);

		cr_assert_leq(used, len - at);
		cr_assert_leq(++turns, 3 * len + 8, "the client does not get on");
		at += used;
		if (result == CH_CLIENT_EVENT) {
			note(rig, &event);
			continue;
		}
		if (result == CH_CLIENT_MORE) {
			cr_assert_eq(at, len);
			break;
		}
		cr_assert_eq(rig->client.state, CH_CLIENT_FAILED);
		note_bytes(rig, "E", 1);
		note_bytes(rig, ch_reason_name(rig->client.reason),
			   strlen(ch_reason_name(rig->client.reason)));
		break;
	}
	free(copy);
}

static void feed_text(struct rig *rig, const char *in)
{
	feed(rig, in, strlen(in));
}

/** The log since the last time is @text. */
static void log_is(struct rig *rig, const char *text)
{
	cr_assert_eq(rig->log.len, strlen(text), "got %.*s instead of %s", (int)rig->log.len,
		     (char *)rig->log.data, text);
	if (rig->log.len > 0)
		cr_assert_eq(memcmp(rig->log.data, text, rig->log.len), 0, "got %.*s instead of %s",
			     (int)rig->log.len, (char *)rig->log.data, text);
	rig->log.len = 0;
}

static void out_is(struct rig *rig, const char *text)
{
	cr_assert_eq(rig->out.len, strlen(text), "%.*s", (int)rig->out.len, (char *)rig->out.data);
	cr_assert_eq(memcmp(rig->out.data, text, rig->out.len), 0, "%.*s", (int)rig->out.len,
		     (char *)rig->out.data);
	rig->out.len = 0;
}

static void up(struct rig *rig, const struct ch_client_limits *limits, const char *hello)
{
	rig_init(rig, limits, NULL);
	feed_text(rig, hello);
	log_is(rig, "U0/0() ");
}

static int64_t request(struct rig *rig, uint64_t deadline_ns, bool stream, uint64_t cookie)
{
	return ch_client_request(&rig->client, CH_LIT("<get/>"), deadline_ns, stream, cookie,
				 &rig->out);
}

/** @message in chunks of @chunk bytes, the text appended to @wire. */
static void put_chunked(struct ch_buf *wire, const char *message, size_t chunk)
{
	size_t len = strlen(message);
	size_t at;

	for (at = 0; at < len; at += chunk) {
		size_t piece = len - at < chunk ? len - at : chunk;

		cr_assert_eq(ch_buf_printf(wire, "\n#%zu\n%.*s", piece, (int)piece, message + at),
			     0);
	}
	cr_assert_eq(ch_buf_append_str(wire, "\n##\n"), 0);
}

#define REPLY(id, inside) "<rpc-reply message-id=\"" id "\">" inside "</rpc-reply>"
#define NOTE(inside) "<notification>" inside "</notification>"
#define EOM "]]>]]>"

/* ---- hello ---- */

Test(client, says_hello_at_once)
{
	struct rig rig = {0};

	ch_client_init(&rig.client, &wide, NULL);
	cr_assert_eq(ch_client_start(&rig.client, &rig.out), 0);
	out_is(&rig, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n" HELLO(B10 B11, "") EOM);
	rig_deinit(&rig);
}

Test(client, a_new_client_takes_no_requests)
{
	struct rig rig;

	rig_init(&rig, &wide, NULL);
	cr_assert_eq(request(&rig, 1, false, 0), CH_E_STATE);
	cr_assert_eq(ch_client_subscribe(&rig.client, 1, 0, &rig.out), CH_E_STATE);
	cr_assert_eq(ch_client_close(&rig.client, 1, &rig.out), CH_E_STATE);
	cr_assert_eq(rig.out.len, 0);
	cr_assert_eq(ch_client_expiry(&rig.client), UINT64_MAX);
	rig_deinit(&rig);
}

Test(client, a_hello_brings_the_session_up)
{
	struct rig rig;

	up(&rig, &wide, DEVICE(B10 NOTIFICATION));
	cr_assert_eq(rig.client.hello.session_id, 4);
	cr_assert_eq(rig.client.hello.capabilities, CH_CAP_BASE_1_0 | CH_CAP_NOTIFICATION);
	cr_assert_eq(rig.client.state, CH_CLIENT_OPEN);
	cr_assert_eq(rig.client.copied, 0);
	rig_deinit(&rig);
}

static void first_is(const char *in, const char *log)
{
	struct rig rig;
	size_t len = strlen(in);
	size_t i;

	for (i = 0; i <= len; i++) {
		rig_init(&rig, &wide, NULL);
		feed(&rig, in, i);
		if (rig.client.state != CH_CLIENT_FAILED)
			feed(&rig, in + i, len - i);
		log_is(&rig, log);
		cr_assert(log[0] != 'E' || rig.client.partial.cap == 0);
		rig_deinit(&rig);
	}
}

Test(client, the_first_message_must_be_a_hello)
{
	first_is(NOTE("") EOM, "Ebad-hello");
	first_is(REPLY("1", "<ok/>") EOM, "Ebad-hello");
	first_is("<rpc message-id=\"1\"/>" EOM, "Ebad-hello");
	first_is(EOM, "Ebad-hello");
	first_is("\n \n" EOM, "Ebad-hello");
	first_is("garbage", "Ebad-hello");
	first_is("<notification>", "Ebad-hello");
	first_is("<!DOCTYPE x>", "Ebad-hello");
	first_is("\n#5\n<hell", "Ebad-hello");
	first_is("<hello/>" EOM, "Ebad-hello");
	first_is(HELLO(B10, "") EOM, "Eno-session-id");
	first_is(HELLO(B10, "<session-id>0</session-id>") EOM, "Eno-session-id");
	first_is(HELLO(CAP("base:2.0"), "<session-id>1</session-id>") EOM, "Eno-common-base");
	first_is("\r\n\t" DEVICE(B10), "U0/0() ");
}

Test(client, an_endless_hello_is_cut_at_its_own_limit)
{
	struct ch_client_limits limits = {.framing = {.max_message = 64 << 20, .max_chunks = 10},
					  .max_depth = 8};
	struct ch_budget budget = {.limit = 64 << 20};
	struct rig rig;
	size_t piece = 16384;
	char *spaces = malloc(piece);
	size_t fed;

	cr_assert_not_null(spaces);
	memset(spaces, ' ', piece);
	rig_init(&rig, &limits, &budget);
	feed_text(&rig, "<hello>");
	for (fed = 7; fed + piece <= CH_HELLO_MAX_BYTES; fed += piece)
		feed(&rig, spaces, piece);
	log_is(&rig, "");
	cr_assert_leq(atomic_load(&budget.used), CH_HELLO_MAX_BYTES * 3 / 2);
	feed(&rig, spaces, piece);
	log_is(&rig, "Ebad-hello");
	cr_assert_eq(atomic_load(&budget.used), 0);
	free(spaces);
	rig_deinit(&rig);
}

/* ---- framing after hello ---- */

Test(client, a_1_0_peer_keeps_end_of_message_framing)
{
	struct rig rig;

	up(&rig, &wide, DEVICE(B10));
	cr_assert_eq(request(&rig, 1000, false, 9), 1);
	out_is(&rig, "<rpc xmlns=\"" BASE "\" message-id=\"1\"><get/></rpc>]]>]]>");
	feed_text(&rig, "\n" REPLY("1", "<data/>") EOM "\n" NOTE("x") EOM "\r\n");
	log_is(&rig, "R1/9(" REPLY("1", "<data/>") ") N0/0(" NOTE("x") ") ");
	cr_assert_eq(
		ch_client_request(&rig.client, CH_LIT("<a>" EOM "</a>"), 1, false, 0, &rig.out),
		CH_E_SYNTAX);
	cr_assert_eq(rig.out.len, 0);
	cr_assert_eq(ch_client_expiry(&rig.client), UINT64_MAX);
	rig_deinit(&rig);
}

Test(client, a_1_1_peer_is_chunked_from_the_next_message)
{
	struct rig rig;

	up(&rig, &wide, DEVICE(B10 B11));
	cr_assert_eq(request(&rig, 1000, false, 9), 1);
	out_is(&rig, "\n#80\n<rpc xmlns=\"" BASE "\" message-id=\"1\"><get/></rpc>\n##\n");
	feed_text(&rig,
		  "\n#20\n<rpc-reply message-i\n#7\nd='1'/>\n##\n\n#15\n<notification/>\n##\n");
	log_is(&rig, "R1/9(<rpc-reply message-id='1'/>) N0/0(<notification/>) ");
	rig_deinit(&rig);
}

Test(client, the_next_chunk_may_ride_with_the_hello)
{
	first_is(DEVICE(B10 B11) "\n#15\n<notification/>\n##\n", "U0/0() N0/0(<notification/>) ");
	first_is(DEVICE(B11) "\n\n#15\n<notification/>\n##\n", "U0/0() N0/0(<notification/>) ");
	first_is(DEVICE(B10) "<notification/>" EOM, "U0/0() N0/0(<notification/>) ");
	first_is(DEVICE(B10 B11) "<notification/>" EOM, "U0/0() Eframing-error");
	first_is(DEVICE(B10 B11) "\n#0\n", "U0/0() Eframing-error");
	first_is(DEVICE(B10 B11) "\n##\n", "U0/0() Eframing-error");
}

/* ---- every split ---- */

/** What a device says after four requests: 1 and 3 collected, 2 and 4 streamed. */
static const char *const script[] = {
	NOTE("<e>1</e>"),
	REPLY("2", "<data>streamed</data>"),
	REPLY("1", "<ok/>"),
	NOTE("<e>2]]></e>"),
	"<!-- c --><nc:rpc-reply a='>' message-id='4' xmlns:nc='" BASE "'><x/></nc:rpc-reply>",
	"<rpc-reply message-id=\"3\"/>",
};
#define SCRIPT_LOG                                                                                 \
	"N0/0(" NOTE("<e>1</e>") ") P2/20(" REPLY(                                                 \
		"2",                                                                               \
		"<data>streamed</data>") ") R2/20() "                                              \
					 "R1/10(" REPLY("1", "<ok/>") ") N0/0(" NOTE(              \
						 "<e>2]]></e>") ") "                               \
								"P4/40(<!-- c --><nc:rpc-reply "   \
								"a='>' message-id='4' "            \
								"xmlns:nc='" BASE                  \
								"'><x/></nc:rpc-reply>) R4/40() "  \
								"R3/30(<rpc-reply "                \
								"message-id=\"3\"/>) "

static void script_run(bool chunked, const struct ch_buf *wire, size_t cut1, size_t cut2,
		       size_t step)
{
	struct rig rig;
	size_t at = 0;
	int i;

	up(&rig, &wide, chunked ? DEVICE(B10 B11) : DEVICE(B10));
	for (i = 1; i <= 4; i++)
		cr_assert_eq(request(&rig, 1000, i % 2 == 0, (uint64_t)i * 10), i);
	while (at < wire->len) {
		size_t end = wire->len;

		if (at < cut2 && cut2 < end)
			end = cut2;
		if (at < cut1 && cut1 < end)
			end = cut1;
		if (step < end - at)
			end = at + step;
		feed(&rig, (char *)wire->data + at, end - at);
		at = end;
	}
	log_is(&rig, SCRIPT_LOG);
	cr_assert_eq(rig.client.partial.cap, 0, "an idle session holds no buffer");
	cr_assert_eq(ch_client_expiry(&rig.client), UINT64_MAX);
	rig_deinit(&rig);
}

static void script_wire(bool chunked, size_t chunk, struct ch_buf *wire)
{
	size_t i;

	wire->len = 0;
	for (i = 0; i < sizeof(script) / sizeof(script[0]); i++) {
		if (chunked)
			put_chunked(wire, script[i], chunk);
		else
			cr_assert_eq(ch_buf_printf(wire, "%s]]>]]>\n", script[i]), 0);
	}
}

static void script_splits(bool chunked, size_t chunk)
{
	struct ch_buf wire = {0};
	size_t i;
	size_t j;

	script_wire(chunked, chunk, &wire);
	for (i = 1; i < wire.len; i++)
		script_run(chunked, &wire, i, NO_CUT, NO_CUT);
	for (i = 1; i < wire.len; i += 3)
		for (j = i + 1; j < i + 40; j++)
			script_run(chunked, &wire, i, j, NO_CUT);
	for (i = 1; i < 40; i++)
		script_run(chunked, &wire, NO_CUT, NO_CUT, i);
	ch_buf_deinit(&wire);
}

Test(client, gives_the_same_events_at_every_split_of_end_of_message_framing)
{
	script_splits(false, 0);
}

Test(client, gives_the_same_events_at_every_split_of_whole_chunks)
{
	script_splits(true, 4096);
}

Test(client, gives_the_same_events_at_every_split_of_small_chunks)
{
	script_splits(true, 7);
}

Test(client, gives_the_same_events_for_every_chunk_size)
{
	struct ch_buf wire = {0};
	size_t chunk;

	for (chunk = 1; chunk < 120; chunk++) {
		script_wire(true, chunk, &wire);
		script_run(true, &wire, NO_CUT, NO_CUT, NO_CUT);
		script_run(true, &wire, NO_CUT, NO_CUT, 1);
	}
	ch_buf_deinit(&wire);
}

/* ---- requests and replies ---- */

Test(client, pipelines_eight_requests_and_takes_replies_in_any_order)
{
	static const char order[] = "53817264";
	struct rig rig;
	char wire[256];
	char log[256];
	size_t i;

	up(&rig, &wide, DEVICE(B10));
	for (i = 1; i <= 8; i++)
		cr_assert_eq(request(&rig, 1000 + i, false, i + 100), (int64_t)i);
	rig.out.len = 0;
	cr_assert_eq(request(&rig, 1000, false, 0), CH_E_LIMIT);
	cr_assert_eq(rig.out.len, 0);
	cr_assert_eq(ch_client_expiry(&rig.client), 1001);
	for (i = 0; i < 8; i++) {
		snprintf(wire, sizeof(wire), "<rpc-reply message-id='%c'/>" EOM, order[i]);
		snprintf(log, sizeof(log), "R%c/10%c(<rpc-reply message-id='%c'/>) ", order[i],
			 order[i], order[i]);
		feed_text(&rig, wire);
		log_is(&rig, log);
	}
	cr_assert_eq(request(&rig, 5, false, 0), 9);
	rig_deinit(&rig);
}

Test(client, message_ids_are_never_zero_nor_in_use)
{
	struct rig rig;

	up(&rig, &wide, DEVICE(B10));
	cr_assert_eq(request(&rig, 1, false, 0), 1);
	rig.client.next_id = UINT32_MAX;
	cr_assert_eq(request(&rig, 1, false, 0), UINT32_MAX);
	cr_assert_eq(request(&rig, 1, false, 7), 2);
	feed_text(&rig, REPLY("4294967295", "") EOM);
	log_is(&rig, "R4294967295/0(" REPLY("4294967295", "") ") ");
	rig_deinit(&rig);
}

static void second_is(const char *in, const char *log)
{
	size_t len = strlen(in);
	struct rig rig;
	size_t i;

	for (i = 0; i <= len; i++) {
		up(&rig, &wide, DEVICE(B10));
		cr_assert_eq(request(&rig, 1000, false, 0), 1);
		feed(&rig, in, i);
		if (rig.client.state != CH_CLIENT_FAILED)
			feed(&rig, in + i, len - i);
		log_is(&rig, log);
		cr_assert_eq(rig.client.partial.cap, 0);
		rig_deinit(&rig);
	}
}

Test(client, an_unexpected_reply_ends_the_session)
{
	second_is("<rpc-reply/>" EOM, "Eunexpected-reply");
	second_is(REPLY("", "") EOM, "Eunexpected-reply");
	second_is(REPLY("0", "") EOM, "Eunexpected-reply");
	second_is(REPLY("2", "") EOM, "Eunexpected-reply");
	second_is(REPLY("01", "") EOM, "Eunexpected-reply");
	second_is(REPLY("+1", "") EOM, "Eunexpected-reply");
	second_is(REPLY(" 1", "") EOM, "Eunexpected-reply");
	second_is(REPLY("1 ", "") EOM, "Eunexpected-reply");
	second_is(REPLY("4294967297", "") EOM, "Eunexpected-reply");
	second_is(REPLY("99999999999", "") EOM, "Eunexpected-reply");
	second_is(REPLY("1", "") EOM REPLY("1", "") EOM,
		  "R1/0(" REPLY("1", "") ") Eunexpected-reply");
	/* known from the start tag alone, before the rest comes */
	second_is("<rpc-reply message-id='2'>", "Eunexpected-reply");
}

Test(client, any_other_message_ends_the_session)
{
	second_is("<hello/>" EOM, "Ebad-message");
	second_is("<rpc message-id='1'/>" EOM, "Ebad-message");
	second_is("<data/>" EOM, "Ebad-message");
	second_is("text" EOM, "Ebad-message");
	second_is("text", "Ebad-message");
	second_is("<!DOCTYPE x><notification/>" EOM, "Ebad-message");
	second_is(EOM, "Ebad-message");
	second_is(" \n" EOM, "Ebad-message");
	second_is("<rpc-reply" EOM, "Ebad-message");
	second_is("<data>", "Ebad-message");
	second_is(NOTE("") "\n" EOM "\n" EOM, "N0/0(" NOTE("") "\n) Ebad-message");
}

Test(client, nothing_works_after_an_error)
{
	struct ch_client_event event;
	struct rig rig;
	size_t used;

	up(&rig, &wide, DEVICE(B10));
	feed_text(&rig, "<data/>" EOM);
	log_is(&rig, "Ebad-message");
	cr_assert_eq(ch_client_feed(&rig.client, (const uint8_t *)NOTE("") EOM, 36, &used, &event),
		     CH_CLIENT_ERROR);
	cr_assert_eq(used, 0);
	cr_assert_eq(request(&rig, 1, false, 0), CH_E_STATE);
	cr_assert_eq(ch_client_close(&rig.client, 1, &rig.out), CH_E_STATE);
	rig_deinit(&rig);
}

/* ---- time-outs ---- */

Test(client, a_request_times_out_at_its_deadline)
{
	struct ch_client_event event;
	struct rig rig;

	up(&rig, &wide, DEVICE(B10));
	cr_assert_eq(request(&rig, 200, false, 12), 1);
	cr_assert_eq(request(&rig, 100, false, 11), 2);
	cr_assert_eq(ch_client_expiry(&rig.client), 100);
	cr_assert_not(ch_client_expire(&rig.client, 99, &event));
	cr_assert(ch_client_expire(&rig.client, 100, &event));
	cr_assert_eq(event.kind, CH_CLIENT_TIMEOUT);
	cr_assert_eq(event.id, 2);
	cr_assert_eq(event.cookie, 11);
	cr_assert_eq(event.message.len, 0);
	cr_assert_eq(ch_client_expiry(&rig.client), 200);
	cr_assert_not(ch_client_expire(&rig.client, 199, &event));
	cr_assert(ch_client_expire(&rig.client, UINT64_MAX, &event));
	cr_assert_eq(event.id, 1);
	cr_assert_not(ch_client_expire(&rig.client, UINT64_MAX, &event));
	cr_assert_eq(ch_client_expiry(&rig.client), UINT64_MAX);
	rig_deinit(&rig);
}

Test(client, no_deadline_is_not_a_timed_out_one)
{
	struct ch_client_event event;
	struct rig rig;

	up(&rig, &wide, DEVICE(B10));
	cr_assert_eq(request(&rig, UINT64_MAX, false, 0), 1);
	cr_assert_not(ch_client_expire(&rig.client, UINT64_MAX - 2, &event));
	feed_text(&rig, REPLY("1", "") EOM);
	log_is(&rig, "R1/0(" REPLY("1", "") ") ");
	rig_deinit(&rig);
}

Test(client, a_late_reply_is_dropped_once)
{
	struct ch_client_event event;
	const char *late = REPLY("1", "late") EOM;
	size_t cut;
	int stream;

	for (stream = 0; stream <= 1; stream++)
		for (cut = 0; cut <= strlen(late); cut++) {
			struct rig rig;

			up(&rig, &wide, DEVICE(B10));
			cr_assert_eq(request(&rig, 100, stream, 5), 1);
			cr_assert(ch_client_expire(&rig.client, 100, &event));
			feed(&rig, late, cut);
			feed(&rig, late + cut, strlen(late) - cut);
			feed_text(&rig, NOTE("x") EOM);
			log_is(&rig, "N0/0(" NOTE("x") ") ");
			cr_assert_eq(rig.client.partial.cap, 0);
			feed_text(&rig, late);
			log_is(&rig, "Eunexpected-reply");
			rig_deinit(&rig);
		}
}

Test(client, a_timed_out_request_keeps_its_entry)
{
	struct ch_client_event event;
	struct rig rig;
	int i;

	up(&rig, &wide, DEVICE(B10));
	for (i = 1; i <= 8; i++)
		cr_assert_eq(request(&rig, 100, false, 0), i);
	for (i = 1; i <= 8; i++)
		cr_assert(ch_client_expire(&rig.client, 100, &event));
	cr_assert_eq(request(&rig, 100, false, 0), CH_E_LIMIT);
	feed_text(&rig, REPLY("3", "") EOM);
	log_is(&rig, "");
	cr_assert_eq(request(&rig, 100, false, 0), 9);
	rig_deinit(&rig);
}

Test(client, a_large_late_reply_is_not_collected)
{
	struct ch_client_event event;
	struct rig rig;
	int i;

	up(&rig, &wide, DEVICE(B10));
	cr_assert_eq(request(&rig, 100, false, 0), 1);
	cr_assert(ch_client_expire(&rig.client, 100, &event));
	feed_text(&rig, "<rpc-reply message-id='1'>");
	for (i = 0; i < 1000; i++)
		feed_text(&rig, "0123456789");
	cr_assert_eq(rig.client.partial.cap, 0);
	cr_assert_eq(rig.client.copied, 0);
	feed_text(&rig, "</rpc-reply>" EOM);
	log_is(&rig, "");
	rig_deinit(&rig);
}

Test(client, a_request_may_time_out_in_the_middle_of_its_reply)
{
	struct ch_client_event event;
	struct rig rig;
	int stream;

	for (stream = 0; stream <= 1; stream++) {
		up(&rig, &wide, DEVICE(B10));
		cr_assert_eq(request(&rig, 100, stream, 6), 1);
		feed_text(&rig, "<rpc-reply message-id='1'>part");
		log_is(&rig, stream ? "P1/6(<rpc-reply message-id='1'>part" : "");
		cr_assert(ch_client_expire(&rig.client, 100, &event));
		rig.in_parts = false;
		feed_text(&rig, "more</rpc-reply>" EOM NOTE("x") EOM);
		log_is(&rig, "N0/0(" NOTE("x") ") ");
		cr_assert_eq(rig.client.requests[0].id, 0);
		cr_assert_eq(rig.client.partial.cap, 0);
		rig_deinit(&rig);
	}
}

Test(client, a_request_may_time_out_between_the_last_part_and_the_reply)
{
	static const char wire[] = REPLY("1", "") EOM "<notification/>" EOM;
	struct ch_client_event event;
	struct rig rig;
	size_t used;

	up(&rig, &wide, DEVICE(B10));
	cr_assert_eq(request(&rig, 100, true, 6), 1);
	cr_assert_eq(
		ch_client_feed(&rig.client, (const uint8_t *)wire, sizeof(wire) - 1, &used, &event),
		CH_CLIENT_EVENT);
	cr_assert_eq(event.kind, CH_CLIENT_REPLY_PART);
	cr_assert_eq(used, strlen(REPLY("1", "") EOM) - 1,
		     "one byte is left for the call that ends it");
	cr_assert(ch_client_expire(&rig.client, 100, &event));
	feed(&rig, wire + used, sizeof(wire) - 1 - used);
	log_is(&rig, "N0/0(<notification/>) ");
	rig_deinit(&rig);
}

/* ---- copying and streaming ---- */

Test(client, a_whole_message_is_not_copied)
{
	static const char wire[] = "\n#15\n<notification/>\n##\n";
	struct ch_client_event event;
	struct rig rig;
	size_t used;

	up(&rig, &wide, DEVICE(B11));
	cr_assert_eq(ch_client_feed(&rig.client, (const uint8_t *)wire, 24, &used, &event),
		     CH_CLIENT_EVENT);
	cr_assert_eq(used, 24);
	cr_assert_eq(event.kind, CH_CLIENT_NOTIFICATION);
	cr_assert_eq(event.message.data, (const uint8_t *)wire + 5);
	cr_assert_eq(event.message.len, 15);
	cr_assert_eq(rig.client.copied, 0);
	rig_deinit(&rig);
}

Test(client, a_partial_message_is_copied_once_and_counted)
{
	struct ch_budget budget = {.limit = 4096};
	struct rig rig;

	rig_init(&rig, &wide, &budget);
	feed_text(&rig, DEVICE(B10));
	feed_text(&rig, "<notification>");
	feed_text(&rig, "0123456789]]>");
	cr_assert_eq(rig.client.copied, 24, "the ]]> may still belong to the delimiter");
	cr_assert_eq(atomic_load(&budget.used), rig.client.partial.cap);
	feed_text(&rig, "x</notification>" EOM);
	cr_assert_eq(rig.client.copied, 14 + 10 + 3 + 16);
	cr_assert_eq(rig.client.partial.cap, 0);
	cr_assert_eq(atomic_load(&budget.used), 0);
	rig_deinit(&rig);
}

Test(client, many_tiny_chunks_are_coalesced)
{
	struct ch_buf wire = {0};
	struct rig rig;

	put_chunked(&wire, NOTE("0123456789"), 1);
	up(&rig, &wide, DEVICE(B11));
	feed(&rig, (char *)wire.data, wire.len);
	log_is(&rig, "N0/0(" NOTE("0123456789") ") ");
	cr_assert_eq(rig.client.copied, strlen(NOTE("0123456789")));
	ch_buf_deinit(&wire);
	rig_deinit(&rig);
}

Test(client, a_streamed_reply_goes_by_without_a_copy)
{
	static const char more[] = "0123456789";
	struct ch_client_event event;
	struct rig rig;
	size_t used;
	int i;

	up(&rig, &wide, DEVICE(B10));
	cr_assert_eq(request(&rig, 1000, true, 3), 1);
	feed_text(&rig, "<rpc-reply message-id='1'>");
	log_is(&rig, "P1/3(<rpc-reply message-id='1'>");
	for (i = 0; i < 100; i++) {
		cr_assert_eq(ch_client_feed(&rig.client, (const uint8_t *)more, 10, &used, &event),
			     CH_CLIENT_EVENT);
		cr_assert_eq(event.kind, CH_CLIENT_REPLY_PART);
		cr_assert_eq(event.message.data, (const uint8_t *)more);
		cr_assert_eq(event.message.len, 10);
		cr_assert_eq(used, 10);
	}
	feed_text(&rig, "</rpc-reply>" EOM);
	log_is(&rig, "</rpc-reply>) R1/3() ");
	cr_assert_eq(rig.client.copied, 0);
	rig_deinit(&rig);
}

Test(client, only_the_head_of_a_streamed_reply_is_buffered)
{
	struct rig rig;

	up(&rig, &wide, DEVICE(B10));
	cr_assert_eq(request(&rig, 1000, true, 3), 1);
	feed_text(&rig, "<rpc-reply mess");
	log_is(&rig, "");
	feed_text(&rig, "age-id='1'>0123456789");
	log_is(&rig, "P1/3(<rpc-reply message-id='1'>0123456789");
	feed_text(&rig, "abc");
	log_is(&rig, "abc");
	cr_assert_eq(rig.client.partial.cap, 0);
	cr_assert_eq(rig.client.copied, 36);
	rig_deinit(&rig);
}

Test(client, a_start_tag_too_long_for_the_head_comes_in_one_part)
{
	size_t len = 40000;
	char *tag = malloc(len);
	struct rig rig;
	size_t i;

	cr_assert_not_null(tag);
	memset(tag, 'a', len);
	memcpy(tag, "<rpc-reply x='", 14);
	memcpy(tag + len - 18, "' message-id='1'/>", 18);
	up(&rig, &wide, DEVICE(B10));
	cr_assert_eq(request(&rig, 1000, true, 3), 1);
	for (i = 0; i < len; i++)
		feed(&rig, tag + i, 1);
	log_is(&rig, "");
	feed_text(&rig, EOM);
	cr_assert_eq(rig.log.len, strlen("P1/3() R1/3() ") + len);
	cr_assert_eq(rig.client.partial.cap, 0);
	free(tag);
	rig_deinit(&rig);
}

/* ---- limits ---- */

Test(client, a_message_over_the_limit_ends_the_session)
{
	struct ch_client_limits limits = {.framing = {.max_message = 300, .max_chunks = 4},
					  .max_depth = 8};
	struct rig rig;

	up(&rig, &limits, DEVICE(B11));
	feed_text(&rig, "\n#301\n");
	log_is(&rig, "Emessage-too-large");
	rig_deinit(&rig);
	up(&rig, &limits, DEVICE(B11));
	feed_text(&rig, "\n#1\n<\n#1\nr\n#1\np\n#1\nc\n#1\n");
	log_is(&rig, "Emessage-too-large");
	rig_deinit(&rig);
	up(&rig, &limits, DEVICE(B11));
	feed_text(&rig, "\n#20\n<notification>012345");
	feed_text(&rig, "\n#281\n");
	log_is(&rig, "Emessage-too-large");
	cr_assert_eq(rig.client.partial.cap, 0);
	rig_deinit(&rig);
}

Test(client, a_spent_byte_budget_ends_the_session)
{
	struct ch_budget budget = {.limit = 1000};
	struct rig rig;
	int i;

	rig_init(&rig, &wide, &budget);
	feed_text(&rig, DEVICE(B10));
	log_is(&rig, "U0/0() ");
	feed_text(&rig, "<notification>");
	for (i = 0; i < 200 && rig.client.state != CH_CLIENT_FAILED; i++) {
		feed_text(&rig, "0123456789");
		cr_assert_leq(atomic_load(&budget.used), 1000);
	}
	log_is(&rig, "Ebyte-budget");
	cr_assert_eq(atomic_load(&budget.used), 0);
	rig_deinit(&rig);
}

/* ---- subscriptions ---- */

#define SUBSCRIBE                                                                                  \
	"<create-subscription xmlns=\"urn:ietf:params:xml:ns:netconf:notification:1.0\">"          \
	"<stream>NETCONF</stream></create-subscription>"
#define RPC_ERROR "<rpc-error><error-tag>in-use</error-tag></rpc-error>"

Test(client, subscribes_where_the_device_can)
{
	struct rig rig;

	up(&rig, &wide, DEVICE(B10 INTERLEAVE));
	cr_assert_eq(ch_client_subscribe(&rig.client, 9, 8, &rig.out), CH_E_UNSUPPORTED);
	rig_deinit(&rig);
	up(&rig, &wide, DEVICE(B10 NOTIFICATION INTERLEAVE));
	cr_assert_eq(ch_client_subscribe(&rig.client, 9, 8, &rig.out), 1);
	out_is(&rig, "<rpc xmlns=\"" BASE "\" message-id=\"1\">" SUBSCRIBE "</rpc>" EOM);
	cr_assert_eq(ch_client_subscribe(&rig.client, 9, 8, &rig.out), CH_E_STATE);
	cr_assert_eq(request(&rig, 9, false, 2), 2);
	feed_text(&rig, REPLY("1", "<ok/>") EOM);
	log_is(&rig, "R1/8(" REPLY("1", "<ok/>") ") ");
	cr_assert(rig.client.subscribed);
	cr_assert_eq(ch_client_subscribe(&rig.client, 9, 8, &rig.out), CH_E_STATE);
	cr_assert_eq(request(&rig, 9, false, 3), 3);
	rig_deinit(&rig);
}

Test(client, without_interleave_only_close_session_may_follow)
{
	struct rig rig;

	up(&rig, &wide, DEVICE(B10 NOTIFICATION));
	cr_assert_eq(request(&rig, 9, false, 2), 1);
	cr_assert_eq(ch_client_subscribe(&rig.client, 9, 8, &rig.out), 2);
	cr_assert_eq(request(&rig, 9, false, 2), CH_E_STATE);
	feed_text(&rig, REPLY("2", "<ok/>") EOM REPLY("1", "") EOM);
	log_is(&rig, "R2/8(" REPLY("2", "<ok/>") ") R1/2(" REPLY("1", "") ") ");
	cr_assert_eq(request(&rig, 9, false, 2), CH_E_STATE);
	cr_assert_eq(ch_client_close(&rig.client, 9, &rig.out), 3);
	feed_text(&rig, NOTE("") EOM REPLY("3", "<ok/>") EOM);
	log_is(&rig, "N0/0(" NOTE("") ") C3/0(" REPLY("3", "<ok/>") ") ");
	rig_deinit(&rig);
}

Test(client, a_refused_subscription_leaves_the_session_as_it_was)
{
	struct rig rig;

	up(&rig, &wide, DEVICE(B10 NOTIFICATION));
	cr_assert_eq(ch_client_subscribe(&rig.client, 9, 8, &rig.out), 1);
	feed_text(&rig, REPLY("1", RPC_ERROR) EOM);
	log_is(&rig, "R1/8(" REPLY("1", RPC_ERROR) ") ");
	cr_assert_not(rig.client.subscribed);
	cr_assert_eq(request(&rig, 9, false, 2), 2);
	cr_assert_eq(ch_client_subscribe(&rig.client, 9, 8, &rig.out), 3);
	rig_deinit(&rig);
}

Test(client, the_late_answer_to_a_subscription_still_counts)
{
	static const char *const answers[] = {REPLY("1", "<ok/>") EOM, REPLY("1", RPC_ERROR) EOM};
	struct ch_client_event event;
	struct rig rig;
	size_t cut;
	int i;

	for (i = 0; i < 2; i++)
		for (cut = 0; cut <= strlen(answers[i]); cut++) {
			up(&rig, &wide, DEVICE(B10 NOTIFICATION));
			cr_assert_eq(ch_client_subscribe(&rig.client, 9, 8, &rig.out), 1);
			cr_assert(ch_client_expire(&rig.client, 9, &event));
			cr_assert_eq(request(&rig, 9, false, 2), CH_E_STATE);
			feed(&rig, answers[i], cut);
			feed(&rig, answers[i] + cut, strlen(answers[i]) - cut);
			log_is(&rig, "");
			cr_assert_eq(rig.client.subscribed, i == 0);
			cr_assert_eq(request(&rig, 9, false, 2), i == 0 ? CH_E_STATE : 2);
			rig_deinit(&rig);
		}
}

Test(client, an_answer_to_a_subscription_that_nests_too_deeply_ends_the_session)
{
	struct ch_client_limits limits = wide;
	struct rig rig;

	limits.max_depth = 3;
	up(&rig, &limits, DEVICE(B10 NOTIFICATION));
	cr_assert_eq(ch_client_subscribe(&rig.client, 9, 8, &rig.out), 1);
	feed_text(&rig, REPLY("1", "<rpc-error><a><b/></a></rpc-error>") EOM);
	log_is(&rig, "Ebad-message");
	rig_deinit(&rig);
}

/* ---- the end ---- */

Test(client, close_session_has_an_entry_of_its_own)
{
	struct rig rig;
	int i;

	up(&rig, &wide, DEVICE(B10));
	for (i = 1; i <= 8; i++)
		cr_assert_eq(request(&rig, 100, false, (uint64_t)i), i);
	rig.out.len = 0;
	cr_assert_eq(ch_client_close(&rig.client, 50, &rig.out), 9);
	out_is(&rig, "<rpc xmlns=\"" BASE "\" message-id=\"9\"><close-session/></rpc>" EOM);
	cr_assert_eq(rig.client.state, CH_CLIENT_CLOSING);
	cr_assert_eq(ch_client_expiry(&rig.client), 50);
	cr_assert_eq(request(&rig, 100, false, 0), CH_E_STATE);
	cr_assert_eq(ch_client_close(&rig.client, 50, &rig.out), CH_E_STATE);
	feed_text(&rig, REPLY("2", "") EOM NOTE("") EOM REPLY("9", "<ok/>") EOM);
	log_is(&rig, "R2/2(" REPLY("2", "") ") N0/0(" NOTE("") ") C9/0(" REPLY("9", "<ok/>") ") ");
	rig_deinit(&rig);
}

Test(client, close_session_may_time_out)
{
	struct ch_client_event event;
	struct rig rig;

	up(&rig, &wide, DEVICE(B10));
	cr_assert_eq(ch_client_close(&rig.client, 50, &rig.out), 1);
	cr_assert(ch_client_expire(&rig.client, 50, &event));
	cr_assert_eq(event.kind, CH_CLIENT_TIMEOUT);
	cr_assert_eq(event.id, 1);
	feed_text(&rig, REPLY("1", "<ok/>") EOM);
	log_is(&rig, "");
	rig_deinit(&rig);
}

Test(client, a_full_send_buffer_leaves_no_request_behind)
{
	struct ch_buf full = {.max = 10};
	struct rig rig;

	up(&rig, &wide, DEVICE(B10 NOTIFICATION));
	cr_assert_eq(ch_client_request(&rig.client, CH_LIT("<get/>"), 1, false, 0, &full),
		     CH_E_LIMIT);
	cr_assert_eq(ch_client_subscribe(&rig.client, 1, 0, &full), CH_E_LIMIT);
	cr_assert_eq(ch_client_close(&rig.client, 1, &full), CH_E_LIMIT);
	cr_assert_eq(full.len, 0);
	cr_assert_eq(rig.client.state, CH_CLIENT_OPEN);
	cr_assert_eq(rig.client.subscribe_id, 0);
	cr_assert_eq(ch_client_expiry(&rig.client), UINT64_MAX);
	ch_buf_deinit(&full);
	rig_deinit(&rig);
}
