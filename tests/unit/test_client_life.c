/* SPDX-License-Identifier: Apache-2.0 */
/* links: proto core */
/* sources: tests/unit/client_rig.c */
#include "client_rig.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

/* ---- memory ---- */

Test(client, has_memory_for_requests_only_while_one_is_out)
{
	struct ch_client idle;
	struct rig rig;

	ch_client_init(&idle, &rig_limits, NULL);
	rig_up(&rig, &rig_limits, DEVICE(B10));
	cr_assert_eq(rig.client.requests, idle.requests);
	cr_assert_eq(rig_request(&rig, UINT64_MAX, false, 0), 1);
	cr_assert_eq(rig_request(&rig, UINT64_MAX, false, 0), 2);
	cr_assert_neq(rig.client.requests, idle.requests);
	rig_feed_text(&rig, REPLY("1", "") EOM);
	cr_assert_neq(rig.client.requests, idle.requests);
	rig_feed_text(&rig, REPLY("2", "") EOM);
	cr_assert_eq(rig.client.requests, idle.requests);
	rig_deinit(&rig);
}

/* ---- time-outs ---- */

Test(client, a_request_times_out_at_its_deadline)
{
	struct ch_client_event event;
	struct rig rig;

	rig_up(&rig, &rig_limits, DEVICE(B10));
	cr_assert_eq(rig_request(&rig, 200, false, 12), 1);
	cr_assert_eq(rig_request(&rig, 100, false, 11), 2);
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

	rig_up(&rig, &rig_limits, DEVICE(B10));
	cr_assert_eq(rig_request(&rig, UINT64_MAX, false, 0), 1);
	cr_assert_not(ch_client_expire(&rig.client, UINT64_MAX - 2, &event));
	rig_feed_text(&rig, REPLY("1", "") EOM);
	rig_log_is(&rig, "R1/0(" REPLY("1", "") ") ");
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

			rig_up(&rig, &rig_limits, DEVICE(B10));
			cr_assert_eq(rig_request(&rig, 100, stream, 5), 1);
			cr_assert(ch_client_expire(&rig.client, 100, &event));
			rig_feed(&rig, late, cut);
			rig_feed(&rig, late + cut, strlen(late) - cut);
			rig_feed_text(&rig, NOTE("x") EOM);
			rig_log_is(&rig, "N0/0(" NOTE("x") ") ");
			cr_assert_eq(rig.client.partial.cap, 0);
			rig_feed_text(&rig, late);
			rig_log_is(&rig, "Eunexpected-reply");
			rig_deinit(&rig);
		}
}

Test(client, a_timed_out_request_keeps_its_entry)
{
	struct ch_client_event event;
	struct rig rig;
	int i;

	rig_up(&rig, &rig_limits, DEVICE(B10));
	for (i = 1; i <= 8; i++)
		cr_assert_eq(rig_request(&rig, 100, false, 0), i);
	for (i = 1; i <= 8; i++)
		cr_assert(ch_client_expire(&rig.client, 100, &event));
	cr_assert_eq(rig_request(&rig, 100, false, 0), CH_E_LIMIT);
	rig_feed_text(&rig, REPLY("3", "") EOM);
	rig_log_is(&rig, "");
	cr_assert_eq(rig_request(&rig, 100, false, 0), 9);
	rig_deinit(&rig);
}

Test(client, a_large_late_reply_is_not_collected)
{
	struct ch_client_event event;
	struct rig rig;
	int i;

	rig_up(&rig, &rig_limits, DEVICE(B10));
	cr_assert_eq(rig_request(&rig, 100, false, 0), 1);
	cr_assert(ch_client_expire(&rig.client, 100, &event));
	rig_feed_text(&rig, "<rpc-reply message-id='1'>");
	for (i = 0; i < 1000; i++)
		rig_feed_text(&rig, "0123456789");
	cr_assert_eq(rig.client.partial.cap, 0);
	cr_assert_eq(rig.client.copied, 0);
	rig_feed_text(&rig, "</rpc-reply>" EOM);
	rig_log_is(&rig, "");
	rig_deinit(&rig);
}

Test(client, a_request_may_time_out_in_the_middle_of_its_reply)
{
	struct ch_client_event event;
	struct rig rig;
	int stream;

	for (stream = 0; stream <= 1; stream++) {
		rig_up(&rig, &rig_limits, DEVICE(B10));
		cr_assert_eq(rig_request(&rig, 100, stream, 6), 1);
		rig_feed_text(&rig, "<rpc-reply message-id='1'>part");
		rig_log_is(&rig, stream ? "P1/6(<rpc-reply message-id='1'>part" : "");
		cr_assert(ch_client_expire(&rig.client, 100, &event));
		rig.in_parts = false;
		rig_feed_text(&rig, "more</rpc-reply>" EOM NOTE("x") EOM);
		rig_log_is(&rig, "N0/0(" NOTE("x") ") ");
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

	rig_up(&rig, &rig_limits, DEVICE(B10));
	cr_assert_eq(rig_request(&rig, 100, true, 6), 1);
	cr_assert_eq(
		ch_client_feed(&rig.client, (const uint8_t *)wire, sizeof(wire) - 1, &used, &event),
		CH_CLIENT_EVENT);
	cr_assert_eq(event.kind, CH_CLIENT_REPLY_PART);
	cr_assert_eq(used, strlen(REPLY("1", "") EOM) - 1,
		     "one byte is left for the call that ends it");
	cr_assert(ch_client_expire(&rig.client, 100, &event));
	rig_feed(&rig, wire + used, sizeof(wire) - 1 - used);
	rig_log_is(&rig, "N0/0(<notification/>) ");
	rig_deinit(&rig);
}

/* ---- copying and streaming ---- */

Test(client, a_whole_message_is_not_copied)
{
	static const char wire[] = "\n#15\n<notification/>\n##\n";
	struct ch_client_event event;
	struct rig rig;
	size_t used;

	rig_up(&rig, &rig_limits, DEVICE(B11));
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

	rig_init(&rig, &rig_limits, &budget);
	rig_feed_text(&rig, DEVICE(B10));
	rig_feed_text(&rig, "<notification>");
	rig_feed_text(&rig, "0123456789]]>");
	cr_assert_eq(rig.client.copied, 24, "the ]]> may still belong to the delimiter");
	cr_assert_eq(atomic_load(&budget.used), rig.client.partial.cap);
	rig_feed_text(&rig, "x</notification>" EOM);
	cr_assert_eq(rig.client.copied, 14 + 10 + 3 + 16);
	cr_assert_eq(rig.client.partial.cap, 0);
	cr_assert_eq(atomic_load(&budget.used), 0);
	rig_deinit(&rig);
}

Test(client, many_tiny_chunks_are_coalesced)
{
	struct ch_buf wire = {0};
	struct rig rig;

	rig_put_chunked(&wire, NOTE("0123456789"), 1);
	rig_up(&rig, &rig_limits, DEVICE(B11));
	rig_feed(&rig, (char *)wire.data, wire.len);
	rig_log_is(&rig, "N0/0(" NOTE("0123456789") ") ");
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

	rig_up(&rig, &rig_limits, DEVICE(B10));
	cr_assert_eq(rig_request(&rig, 1000, true, 3), 1);
	rig_feed_text(&rig, "<rpc-reply message-id='1'>");
	rig_log_is(&rig, "P1/3(<rpc-reply message-id='1'>");
	for (i = 0; i < 100; i++) {
		cr_assert_eq(ch_client_feed(&rig.client, (const uint8_t *)more, 10, &used, &event),
			     CH_CLIENT_EVENT);
		cr_assert_eq(event.kind, CH_CLIENT_REPLY_PART);
		cr_assert_eq(event.message.data, (const uint8_t *)more);
		cr_assert_eq(event.message.len, 10);
		cr_assert_eq(used, 10);
	}
	rig_feed_text(&rig, "</rpc-reply>" EOM);
	rig_log_is(&rig, "</rpc-reply>) R1/3() ");
	cr_assert_eq(rig.client.copied, 0);
	rig_deinit(&rig);
}

Test(client, only_the_head_of_a_streamed_reply_is_buffered)
{
	struct rig rig;

	rig_up(&rig, &rig_limits, DEVICE(B10));
	cr_assert_eq(rig_request(&rig, 1000, true, 3), 1);
	rig_feed_text(&rig, "<rpc-reply mess");
	rig_log_is(&rig, "");
	rig_feed_text(&rig, "age-id='1'>0123456789");
	rig_log_is(&rig, "P1/3(<rpc-reply message-id='1'>0123456789");
	rig_feed_text(&rig, "abc");
	rig_log_is(&rig, "abc");
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
	rig_up(&rig, &rig_limits, DEVICE(B10));
	cr_assert_eq(rig_request(&rig, 1000, true, 3), 1);
	for (i = 0; i < len; i++)
		rig_feed(&rig, tag + i, 1);
	rig_log_is(&rig, "");
	rig_feed_text(&rig, EOM);
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

	rig_up(&rig, &limits, DEVICE(B11));
	rig_feed_text(&rig, "\n#301\n");
	rig_log_is(&rig, "Emessage-too-large");
	rig_deinit(&rig);
	rig_up(&rig, &limits, DEVICE(B11));
	rig_feed_text(&rig, "\n#1\n<\n#1\nr\n#1\np\n#1\nc\n#1\n");
	rig_log_is(&rig, "Emessage-too-large");
	rig_deinit(&rig);
	rig_up(&rig, &limits, DEVICE(B11));
	rig_feed_text(&rig, "\n#20\n<notification>012345");
	rig_feed_text(&rig, "\n#281\n");
	rig_log_is(&rig, "Emessage-too-large");
	cr_assert_eq(rig.client.partial.cap, 0);
	rig_deinit(&rig);
}

Test(client, a_spent_byte_budget_ends_the_session)
{
	struct ch_budget budget = {.limit = 1000};
	struct rig rig;
	int i;

	rig_init(&rig, &rig_limits, &budget);
	rig_feed_text(&rig, DEVICE(B10));
	rig_log_is(&rig, "U0/0() ");
	rig_feed_text(&rig, "<notification>");
	for (i = 0; i < 200 && rig.client.state != CH_CLIENT_FAILED; i++) {
		rig_feed_text(&rig, "0123456789");
		cr_assert_leq(atomic_load(&budget.used), 1000);
	}
	rig_log_is(&rig, "Ebyte-budget");
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

	rig_up(&rig, &rig_limits, DEVICE(B10 INTERLEAVE));
	cr_assert_eq(ch_client_subscribe(&rig.client, 9, 8, &rig.out), CH_E_UNSUPPORTED);
	rig_deinit(&rig);
	rig_up(&rig, &rig_limits, DEVICE(B10 NOTIFICATION INTERLEAVE));
	cr_assert_eq(ch_client_subscribe(&rig.client, 9, 8, &rig.out), 1);
	rig_out_is(&rig, "<rpc xmlns=\"" BASE "\" message-id=\"1\">" SUBSCRIBE "</rpc>" EOM);
	cr_assert_eq(ch_client_subscribe(&rig.client, 9, 8, &rig.out), CH_E_STATE);
	cr_assert_eq(rig_request(&rig, 9, false, 2), 2);
	rig_feed_text(&rig, REPLY("1", "<ok/>") EOM);
	rig_log_is(&rig, "R1/8(" REPLY("1", "<ok/>") ") ");
	cr_assert(rig.client.subscribed);
	cr_assert_eq(ch_client_subscribe(&rig.client, 9, 8, &rig.out), CH_E_STATE);
	cr_assert_eq(rig_request(&rig, 9, false, 3), 3);
	rig_deinit(&rig);
}

Test(client, without_interleave_only_close_session_may_follow)
{
	struct rig rig;

	rig_up(&rig, &rig_limits, DEVICE(B10 NOTIFICATION));
	cr_assert_eq(rig_request(&rig, 9, false, 2), 1);
	cr_assert_eq(ch_client_subscribe(&rig.client, 9, 8, &rig.out), 2);
	cr_assert_eq(rig_request(&rig, 9, false, 2), CH_E_STATE);
	rig_feed_text(&rig, REPLY("2", "<ok/>") EOM REPLY("1", "") EOM);
	rig_log_is(&rig, "R2/8(" REPLY("2", "<ok/>") ") R1/2(" REPLY("1", "") ") ");
	cr_assert_eq(rig_request(&rig, 9, false, 2), CH_E_STATE);
	cr_assert_eq(ch_client_close(&rig.client, 9, &rig.out), 3);
	rig_feed_text(&rig, NOTE("") EOM REPLY("3", "<ok/>") EOM);
	rig_log_is(&rig, "N0/0(" NOTE("") ") C3/0(" REPLY("3", "<ok/>") ") ");
	rig_deinit(&rig);
}

Test(client, a_refused_subscription_leaves_the_session_as_it_was)
{
	struct rig rig;

	rig_up(&rig, &rig_limits, DEVICE(B10 NOTIFICATION));
	cr_assert_eq(ch_client_subscribe(&rig.client, 9, 8, &rig.out), 1);
	rig_feed_text(&rig, REPLY("1", RPC_ERROR) EOM);
	rig_log_is(&rig, "R1/8(" REPLY("1", RPC_ERROR) ") ");
	cr_assert_not(rig.client.subscribed);
	cr_assert_eq(rig_request(&rig, 9, false, 2), 2);
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
			rig_up(&rig, &rig_limits, DEVICE(B10 NOTIFICATION));
			cr_assert_eq(ch_client_subscribe(&rig.client, 9, 8, &rig.out), 1);
			cr_assert(ch_client_expire(&rig.client, 9, &event));
			cr_assert_eq(rig_request(&rig, 9, false, 2), CH_E_STATE);
			rig_feed(&rig, answers[i], cut);
			rig_feed(&rig, answers[i] + cut, strlen(answers[i]) - cut);
			rig_log_is(&rig, "");
			cr_assert_eq(rig.client.subscribed, i == 0);
			cr_assert_eq(rig_request(&rig, 9, false, 2), i == 0 ? CH_E_STATE : 2);
			rig_deinit(&rig);
		}
}

Test(client, an_answer_to_a_subscription_that_nests_too_deeply_ends_the_session)
{
	struct ch_client_limits limits = rig_limits;
	struct rig rig;

	limits.max_depth = 3;
	rig_up(&rig, &limits, DEVICE(B10 NOTIFICATION));
	cr_assert_eq(ch_client_subscribe(&rig.client, 9, 8, &rig.out), 1);
	rig_feed_text(&rig, REPLY("1", "<rpc-error><a><b/></a></rpc-error>") EOM);
	rig_log_is(&rig, "Ebad-message");
	rig_deinit(&rig);
}

/* ---- the end ---- */

Test(client, close_session_has_an_entry_of_its_own)
{
	struct rig rig;
	int i;

	rig_up(&rig, &rig_limits, DEVICE(B10));
	for (i = 1; i <= 8; i++)
		cr_assert_eq(rig_request(&rig, 100, false, (uint64_t)i), i);
	rig.out.len = 0;
	cr_assert_eq(ch_client_close(&rig.client, 50, &rig.out), 9);
	rig_out_is(&rig, "<rpc xmlns=\"" BASE "\" message-id=\"9\"><close-session/></rpc>" EOM);
	cr_assert_eq(rig.client.state, CH_CLIENT_CLOSING);
	cr_assert_eq(ch_client_expiry(&rig.client), 50);
	cr_assert_eq(rig_request(&rig, 100, false, 0), CH_E_STATE);
	cr_assert_eq(ch_client_close(&rig.client, 50, &rig.out), CH_E_STATE);
	rig_feed_text(&rig, REPLY("2", "") EOM NOTE("") EOM REPLY("9", "<ok/>") EOM);
	rig_log_is(&rig,
		   "R2/2(" REPLY("2", "") ") N0/0(" NOTE("") ") C9/0(" REPLY("9", "<ok/>") ") ");
	rig_deinit(&rig);
}

Test(client, close_session_may_time_out)
{
	struct ch_client_event event;
	struct rig rig;

	rig_up(&rig, &rig_limits, DEVICE(B10));
	cr_assert_eq(ch_client_close(&rig.client, 50, &rig.out), 1);
	cr_assert(ch_client_expire(&rig.client, 50, &event));
	cr_assert_eq(event.kind, CH_CLIENT_TIMEOUT);
	cr_assert_eq(event.id, 1);
	rig_feed_text(&rig, REPLY("1", "<ok/>") EOM);
	rig_log_is(&rig, "");
	rig_deinit(&rig);
}

Test(client, a_full_send_buffer_leaves_no_request_behind)
{
	struct ch_buf full = {.max = 10};
	struct rig rig;

	rig_up(&rig, &rig_limits, DEVICE(B10 NOTIFICATION));
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
