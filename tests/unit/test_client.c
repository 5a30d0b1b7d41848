/* SPDX-License-Identifier: Apache-2.0 */
/* links: proto core */
/* sources: tests/unit/client_rig.c */
#include "client_rig.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NO_CUT SIZE_MAX

/* ---- hello ---- */

Test(client, says_hello_at_once)
{
	struct rig rig = {0};

	ch_client_init(&rig.client, &rig_limits, NULL);
	cr_assert_eq(ch_client_start(&rig.client, &rig.out), 0);
	rig_out_is(&rig, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n" HELLO(B10 B11, "") EOM);
	rig_deinit(&rig);
}

Test(client, a_new_client_takes_no_requests)
{
	struct rig rig;

	rig_init(&rig, &rig_limits, NULL);
	cr_assert_eq(rig_request(&rig, 1, false, 0), CH_E_STATE);
	cr_assert_eq(ch_client_subscribe(&rig.client, 1, 0, &rig.out), CH_E_STATE);
	cr_assert_eq(ch_client_close(&rig.client, 1, &rig.out), CH_E_STATE);
	cr_assert_eq(rig.out.len, 0);
	cr_assert_eq(ch_client_expiry(&rig.client), UINT64_MAX);
	rig_deinit(&rig);
}

Test(client, a_hello_brings_the_session_up)
{
	struct rig rig;

	rig_up(&rig, &rig_limits, DEVICE(B10 NOTIFICATION));
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
		rig_init(&rig, &rig_limits, NULL);
		rig_feed(&rig, in, i);
		if (rig.client.state != CH_CLIENT_FAILED)
			rig_feed(&rig, in + i, len - i);
		rig_log_is(&rig, log);
		cr_assert(log[0] != 'E' || rig.client.partial.cap == 0);
		rig_deinit(&rig);
	}
}

/* row: 1.3 */
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
	rig_feed_text(&rig, "<hello>");
	for (fed = 7; fed + piece <= CH_HELLO_MAX_BYTES; fed += piece)
		rig_feed(&rig, spaces, piece);
	rig_log_is(&rig, "");
	cr_assert_leq(atomic_load(&budget.used), CH_HELLO_MAX_BYTES * 3 / 2);
	rig_feed(&rig, spaces, piece);
	rig_log_is(&rig, "Ebad-hello");
	cr_assert_eq(atomic_load(&budget.used), 0);
	free(spaces);
	rig_deinit(&rig);
}

/* ---- framing after hello ---- */

Test(client, a_1_0_peer_keeps_end_of_message_framing)
{
	struct rig rig;

	rig_up(&rig, &rig_limits, DEVICE(B10));
	cr_assert_eq(rig_request(&rig, 1000, false, 9), 1);
	rig_out_is(&rig, "<rpc xmlns=\"" BASE "\" message-id=\"1\"><get/></rpc>]]>]]>");
	rig_feed_text(&rig, "\n" REPLY("1", "<data/>") EOM "\n" NOTE("x") EOM "\r\n");
	rig_log_is(&rig, "R1/9(" REPLY("1", "<data/>") ") N0/0(" NOTE("x") ") ");
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

	rig_up(&rig, &rig_limits, DEVICE(B10 B11));
	cr_assert_eq(rig_request(&rig, 1000, false, 9), 1);
	rig_out_is(&rig, "\n#80\n<rpc xmlns=\"" BASE "\" message-id=\"1\"><get/></rpc>\n##\n");
	rig_feed_text(&rig,
		      "\n#20\n<rpc-reply message-i\n#7\nd='1'/>\n##\n\n#15\n<notification/>\n##\n");
	rig_log_is(&rig, "R1/9(<rpc-reply message-id='1'/>) N0/0(<notification/>) ");
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

	rig_up(&rig, &rig_limits, chunked ? DEVICE(B10 B11) : DEVICE(B10));
	for (i = 1; i <= 4; i++)
		cr_assert_eq(rig_request(&rig, 1000, i % 2 == 0, (uint64_t)i * 10), i);
	while (at < wire->len) {
		size_t end = wire->len;

		if (at < cut2 && cut2 < end)
			end = cut2;
		if (at < cut1 && cut1 < end)
			end = cut1;
		if (step < end - at)
			end = at + step;
		rig_feed(&rig, (char *)wire->data + at, end - at);
		at = end;
	}
	rig_log_is(&rig, SCRIPT_LOG);
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
			rig_put_chunked(wire, script[i], chunk);
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

/* row: 7589-3 */
Test(client, gives_the_same_events_at_every_split_of_end_of_message_framing)
{
	script_splits(false, 0);
}

/* row: 7589-3 */
Test(client, gives_the_same_events_at_every_split_of_whole_chunks)
{
	script_splits(true, 4096);
}

/* row: 7589-3 */
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

	rig_up(&rig, &rig_limits, DEVICE(B10));
	for (i = 1; i <= 8; i++)
		cr_assert_eq(rig_request(&rig, 1000 + i, false, i + 100), (int64_t)i);
	rig.out.len = 0;
	cr_assert_eq(rig_request(&rig, 1000, false, 0), CH_E_LIMIT);
	cr_assert_eq(rig.out.len, 0);
	cr_assert_eq(ch_client_expiry(&rig.client), 1001);
	for (i = 0; i < 8; i++) {
		snprintf(wire, sizeof(wire), "<rpc-reply message-id='%c'/>" EOM, order[i]);
		snprintf(log, sizeof(log), "R%c/10%c(<rpc-reply message-id='%c'/>) ", order[i],
			 order[i], order[i]);
		rig_feed_text(&rig, wire);
		rig_log_is(&rig, log);
	}
	cr_assert_eq(rig_request(&rig, 5, false, 0), 9);
	rig_deinit(&rig);
}

Test(client, message_ids_are_never_zero_nor_in_use)
{
	struct rig rig;

	rig_up(&rig, &rig_limits, DEVICE(B10));
	cr_assert_eq(rig_request(&rig, 1, false, 0), 1);
	rig.client.next_id = UINT32_MAX;
	cr_assert_eq(rig_request(&rig, 1, false, 0), UINT32_MAX);
	cr_assert_eq(rig_request(&rig, 1, false, 7), 2);
	rig_feed_text(&rig, REPLY("4294967295", "") EOM);
	rig_log_is(&rig, "R4294967295/0(" REPLY("4294967295", "") ") ");
	rig_deinit(&rig);
}

static void second_is(const char *in, const char *log)
{
	size_t len = strlen(in);
	struct rig rig;
	size_t i;

	for (i = 0; i <= len; i++) {
		rig_up(&rig, &rig_limits, DEVICE(B10));
		cr_assert_eq(rig_request(&rig, 1000, false, 0), 1);
		rig_feed(&rig, in, i);
		if (rig.client.state != CH_CLIENT_FAILED)
			rig_feed(&rig, in + i, len - i);
		rig_log_is(&rig, log);
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

/* row: 1.3 */
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

	rig_up(&rig, &rig_limits, DEVICE(B10));
	rig_feed_text(&rig, "<data/>" EOM);
	rig_log_is(&rig, "Ebad-message");
	cr_assert_eq(ch_client_feed(&rig.client, (const uint8_t *)NOTE("") EOM, 36, &used, &event),
		     CH_CLIENT_ERROR);
	cr_assert_eq(used, 0);
	cr_assert_eq(rig_request(&rig, 1, false, 0), CH_E_STATE);
	cr_assert_eq(ch_client_close(&rig.client, 1, &rig.out), CH_E_STATE);
	rig_deinit(&rig);
}
