/* SPDX-License-Identifier: Apache-2.0 */
#include "client_rig.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const struct ch_client_limits rig_limits = {
	.framing = {.max_message = 1 << 20, .max_chunks = 10000}, .max_depth = 16};

void rig_init(struct rig *rig, const struct ch_client_limits *limits, struct ch_budget *budget)
{
	memset(rig, 0, sizeof(*rig));
	ch_client_init(&rig->client, limits, budget);
	cr_assert_eq(ch_client_start(&rig->client, &rig->out), 0);
	rig->out.len = 0;
}

void rig_deinit(struct rig *rig)
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

void rig_feed(struct rig *rig, const char *in, size_t len)
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

void rig_feed_text(struct rig *rig, const char *in)
{
	rig_feed(rig, in, strlen(in));
}

void rig_log_is(struct rig *rig, const char *text)
{
	cr_assert_eq(rig->log.len, strlen(text), "got %.*s instead of %s", (int)rig->log.len,
		     (char *)rig->log.data, text);
	if (rig->log.len > 0)
		cr_assert_eq(memcmp(rig->log.data, text, rig->log.len), 0, "got %.*s instead of %s",
			     (int)rig->log.len, (char *)rig->log.data, text);
	rig->log.len = 0;
}

void rig_out_is(struct rig *rig, const char *text)
{
	cr_assert_eq(rig->out.len, strlen(text), "%.*s", (int)rig->out.len, (char *)rig->out.data);
	cr_assert_eq(memcmp(rig->out.data, text, rig->out.len), 0, "%.*s", (int)rig->out.len,
		     (char *)rig->out.data);
	rig->out.len = 0;
}

void rig_up(struct rig *rig, const struct ch_client_limits *limits, const char *hello)
{
	rig_init(rig, limits, NULL);
	rig_feed_text(rig, hello);
	rig_log_is(rig, "U0/0() ");
}

int64_t rig_request(struct rig *rig, uint64_t deadline_ns, bool stream, uint64_t cookie)
{
	return ch_client_request(&rig->client, CH_LIT("<get/>"), deadline_ns, stream, cookie,
				 &rig->out);
}

void rig_put_chunked(struct ch_buf *wire, const char *message, size_t chunk)
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
