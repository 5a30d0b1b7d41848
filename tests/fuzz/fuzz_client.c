/* SPDX-License-Identifier: Apache-2.0 */
/* links: proto core */
/*
 * Input: a byte for the session and one for the piece size, then what a device sends. Cut or whole
 * it gives the same events and ends or not; the budget is kept and all of it comes back.
 */
#include "fuzz.h"
#include "user/proto/client.h"

/** Requests as the session comes up: streamed, plain, timed out, subscription, close, by @how. */
static void ask(struct ch_client *client, uint8_t how, struct ch_buf *out)
{
	struct ch_client_event event;

	for (uint64_t i = 0; i < how % 8u; i++)
		check(ch_client_request(client, CH_LIT("<get/>"), i, i % 2, i, out) > 0);
	check(!(how & 8) || how % 8 == 0 || ch_client_expire(client, 1, &event));
	check(!(how & 16) || ch_client_subscribe(client, 99, 98, out) != CH_E_LIMIT);
	check(!(how & 32) || ch_client_close(client, 99, out) > 0);
}

/** The events as text; parts of a reply come as one. @return did the session live? */
static bool play(uint8_t how, size_t step, const uint8_t *in, size_t len, struct ch_buf *log)
{
	/* a head of at most 512 bytes is judged as soon as it is there, however it is cut */
	static const struct ch_client_limits limits = {{.max_message = 500, .max_chunks = 40}, 8};
	enum ch_client_result result = CH_CLIENT_MORE;
	struct ch_budget budget = {.limit = 1024};
	struct ch_client_event event;
	struct ch_client client;
	struct ch_buf out = {0};
	size_t whole = 0;

	ch_client_init(&client, &limits, &budget);
	for (size_t at = 0, used; at < len && result != CH_CLIENT_ERROR; at += used) {
		result = ch_client_feed(&client, in + at, piece_at(at, len, step), &used, &event);
		check(used <= len - at && client.partial.cap == budget.used);
		if (result != CH_CLIENT_EVENT)
			continue;
		if (event.kind == CH_CLIENT_UP)
			ask(&client, how, &out);
		check(ch_buf_append(log, event.message.data, event.message.len) == 0);
		if (event.kind != CH_CLIENT_REPLY_PART) {
			check(ch_buf_printf(log, " %d %u\n", event.kind, event.id) == 0);
			whole = log->len;
		}
	}
	if (result == CH_CLIENT_ERROR)
		log->len = whole; /* how much of an unfinished reply came may differ */
	ch_client_deinit(&client);
	ch_buf_deinit(&out);
	check(budget.used == 0);
	return result != CH_CLIENT_ERROR;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct ch_buf one = {0}, two = {0};

	if (size < 2)
		return 0;
	check(play(data[0], SIZE_MAX, data + 2, size - 2, &one) ==
	      play(data[0], 1 + data[1], data + 2, size - 2, &two));
	check_same(&one, &two);
	ch_buf_deinit(&one);
	ch_buf_deinit(&two);
	return 0;
}
