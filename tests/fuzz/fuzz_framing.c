/* SPDX-License-Identifier: Apache-2.0 */
/* links: proto core */
/*
 * Input: a byte for framing and piece size, then the stream. Cut or whole it gives the same
 * messages and end, none over the limit; and what was read, framed again, is read as the same.
 */
#include "fuzz.h"
#include "user/proto/framing.h"

/** Reads @in in pieces of @step bytes: messages and lengths onto @text, framed onto @wire. */
static enum ch_reason decode(enum ch_framing framing, const uint8_t *in, size_t len, size_t step,
			     struct ch_buf *text, struct ch_buf *wire)
{
	static const struct ch_framer_limits limits = {.max_message = 600, .max_chunks = 40};
	struct ch_framer framer;
	size_t start = 0;

	ch_framer_init(&framer, &limits);
	ch_framer_set(&framer, framing);
	for (size_t at = 0, used; at < len && framer.reason == CH_REASON_NONE; at += used) {
		size_t piece = piece_at(at, len, step);
		struct ch_fragment fragment;
		struct ch_slice message;

		if (ch_framer_feed(&framer, in + at, piece, &used, &fragment) != CH_FRAMER_FRAGMENT)
			continue;
		check(used <= piece && fragment.first == (text->len == start));
		check(ch_buf_append(text, fragment.data, fragment.len) == 0);
		message = (struct ch_slice){text->len > 0 ? text->data + start : NULL,
					    text->len - start};
		check(message.len <= limits.max_message);
		if (!fragment.last)
			continue;
		check(ch_frame(framing, message, wire) == 0);
		check(ch_buf_append(text, &message.len, sizeof(message.len)) == 0);
		start = text->len;
	}
	text->len = start; /* an unfinished message may be cut anywhere */
	return framer.reason;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	enum ch_framing framing = size > 0 && data[0] % 2 ? CH_FRAMING_CHUNKED : CH_FRAMING_EOM;
	struct ch_buf text[3] = {{0}}, wire[3] = {{0}};
	enum ch_reason reason;

	if (size < 2)
		return 0;
	reason = decode(framing, data + 1, size - 1, SIZE_MAX, &text[0], &wire[0]);
	check(decode(framing, data + 1, size - 1, 1 + data[0] / 2, &text[1], &wire[1]) == reason);
	check(decode(framing, wire[0].data, wire[0].len, 5, &text[2], &wire[2]) == CH_REASON_NONE);
	for (int i = 2; i >= 0; i--) {
		check_same(&text[i], &text[0]);
		ch_buf_deinit(&text[i]);
		ch_buf_deinit(&wire[i]);
	}
	return 0;
}
