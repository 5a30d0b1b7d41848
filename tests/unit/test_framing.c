/* SPDX-License-Identifier: Apache-2.0 */
/* links: proto core */
#include "user/proto/framing.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#define NO_CUT SIZE_MAX

static const struct ch_framer_limits wide = {.max_message = 1 << 20, .max_chunks = 1000};

/** Messages as "<text>" one behind the other, then what ended the input. */
struct outcome {
	char text[8192];
	size_t len;
	enum ch_reason reason;
	bool in_message;
};

static void put(struct outcome *outcome, const void *data, size_t len)
{
	cr_assert_leq(outcome->len + len, sizeof(outcome->text));
	memcpy(outcome->text + outcome->len, data, len);
	outcome->len += len;
}

/** Feeds one piece from a copy of exactly its size, so that ASan sees a read beyond it. */
static void feed_piece(struct ch_framer *framer, const char *piece, size_t len,
		       struct outcome *outcome)
{
	uint8_t *copy = malloc(len + 1);
	size_t at = 0;
	unsigned turns = 0;

	cr_assert_not_null(copy);
	memcpy(copy + 1, piece, len);
	for (;;) {
		struct ch_fragment fragment;
		size_t used;
		enum ch_framer_result result =
			ch_framer_feed(framer, copy + 1 + at, len - at, &used, &fragment);

		cr_assert_leq(used, len - at);
		cr_assert_leq(++turns, 2 * len + 4, "the framer does not get on");
		at += used;
		if (result == CH_FRAMER_ERROR) {
			outcome->reason = framer->reason;
			break;
		}
		if (result == CH_FRAMER_MORE) {
			cr_assert_eq(at, len);
			break;
		}
		cr_assert_eq(fragment.first, !outcome->in_message);
		cr_assert(fragment.len > 0 || fragment.last);
		if (fragment.first)
			put(outcome, "<", 1);
		put(outcome, fragment.data, fragment.len);
		if (fragment.last)
			put(outcome, ">", 1);
		outcome->in_message = !fragment.last;
	}
	free(copy);
}

static void run(enum ch_framing framing, const struct ch_framer_limits *limits, const char *in,
		size_t len, size_t cut1, size_t cut2, struct outcome *outcome)
{
	struct ch_framer framer;
	size_t cuts[3] = {cut1 < len ? cut1 : len, cut2 < len ? cut2 : len, len};
	size_t at = 0;
	size_t i;

	memset(outcome, 0, sizeof(*outcome));
	ch_framer_init(&framer, limits);
	ch_framer_set(&framer, framing);
	for (i = 0; i < 3 && outcome->reason == CH_REASON_NONE; i++) {
		feed_piece(&framer, in + at, cuts[i] - at, outcome);
		at = cuts[i];
	}
}

static void run_bytes(enum ch_framing framing, const struct ch_framer_limits *limits,
		      const char *in, size_t len, struct outcome *outcome)
{
	struct ch_framer framer;
	size_t i;

	memset(outcome, 0, sizeof(*outcome));
	ch_framer_init(&framer, limits);
	ch_framer_set(&framer, framing);
	for (i = 0; i < len && outcome->reason == CH_REASON_NONE; i++)
		feed_piece(&framer, in + i, 1, outcome);
}

static void same(const struct outcome *one, const struct outcome *other, const char *in)
{
	cr_assert_eq(one->reason, other->reason, "reason differs: %s", in);
	/* an error may come before or after a fragment of the message it is about */
	if (one->reason == CH_REASON_NONE) {
		cr_assert_eq(one->len, other->len, "%s", in);
		cr_assert_eq(memcmp(one->text, other->text, one->len), 0, "%s", in);
		cr_assert_eq(one->in_message, other->in_message, "%s", in);
	}
}

/** Checks the outcome in one piece, then at every pair of split points and byte by byte. */
static void expect(enum ch_framing framing, const struct ch_framer_limits *limits, const char *in,
		   const char *text, enum ch_reason reason)
{
	static struct outcome whole;
	static struct outcome split;
	size_t len = strlen(in);
	size_t i;
	size_t j;

	run(framing, limits, in, len, NO_CUT, NO_CUT, &whole);
	cr_assert_eq(whole.reason, reason, "%s: %s", in, ch_reason_name(whole.reason));
	cr_assert_eq(whole.len, strlen(text), "%s: %.*s", in, (int)whole.len, whole.text);
	cr_assert_eq(memcmp(whole.text, text, whole.len), 0, "%s: %.*s", in, (int)whole.len,
		     whole.text);
	for (i = 0; i <= len; i++)
		for (j = i; j <= len; j++) {
			run(framing, limits, in, len, i, j, &split);
			same(&whole, &split, in);
		}
	run_bytes(framing, limits, in, len, &split);
	same(&whole, &split, in);
}

Test(framing, eom_gives_the_same_messages_at_every_split)
{
	static const char *const table[][2] = {
		{"", ""},
		{"<a/>]]>]]>", "<<a/>>"},
		{"<a/>]]>]]><b/>]]>]]>", "<<a/>><<b/>>"},
		{"<a/>]]>]]>\n <b/>]]>]]>\r\n\t", "<<a/>><<b/>>"},
		{"]]>]]>", "<>"},
		{" \n]]>]]>", "<>"},
		{"]]>]]>]]>]]>", "<><>"},
		{"a]]>]]]>]]>", "<a]]>]>"},
		{"a]]]>]]>", "<a]>"},
		{"a]]]]]]]]]>]]>", "<a]]]]]]]>"},
		{"a]]>]]]]>]]>", "<a]]>]]>"},
		{"a]]>]>]]>]]>", "<a]]>]>>"},
		{"a]]>]]a]]>]]>", "<a]]>]]a>"},
		{"]]>]]x]]>]]>y", "<]]>]]x><y"},
		{"a]b]]c]]>d]]>]e]]>]]f]]>]]>", "<a]b]]c]]>d]]>]e]]>]]f>"},
		{"a]]>]]", "<a"},
		{"a\n]]>]]>", "<a\n>"},
	};
	size_t i;

	for (i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		expect(CH_FRAMING_EOM, &wide, table[i][0], table[i][1], CH_REASON_NONE);
}

Test(framing, chunked_gives_the_same_messages_at_every_split)
{
	static const char *const table[][2] = {
		{"\n#1\na\n##\n", "<a>"},
		{"\n#4\n<a/>\n##\n\n#3\nb/>\n##\n", "<<a/>><b/>>"},
		{"\n#1\na\n#2\nbc\n#3\ndef\n##\n", "<abcdef>"},
		{"\n#12\n\n##\n\n#1\na]]>\n##\n", "<\n##\n\n#1\na]]>>"},
		{"\n\n\n#1\na\n##\n\n\n#1\nb\n##\n", "<a><b>"},
		{"\n#10\n0123456789\n##\n", "<0123456789>"},
		{"\n#5\nabc", "<abc"},
		{"\n#1\na\n##", "<a"},
		{"\n#1\na\n", "<a"},
	};
	size_t i;

	for (i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		expect(CH_FRAMING_CHUNKED, &wide, table[i][0], table[i][1], CH_REASON_NONE);
}

Test(framing, rejects_broken_chunks)
{
	static const char *const table[][2] = {
		{"a", ""},
		{"#1\na", ""},
		{"\n1\na", ""},
		{"\n##\n", ""}, /* needs at least one chunk */
		{"\n#0\n", ""},
		{"\n#01\na", ""},
		{"\n#-1\na", ""},
		{"\n#+1\na", ""},
		{"\n# 1\na", ""},
		{"\n#1 \na", ""},
		{"\n#1\r\na", ""},
		{"\n#\n", ""},
		{"\n#a\n", ""},
		{"\n#1a\n", ""},
		{"\n#:\n", ""},
		{"\r\n#1\na", ""},
		{" \n#1\na", ""},
		{"\n#4294967296\n", ""},
		{"\n#99999999999999999999\n", ""},
		{"\n#1\nab", "<a"},
		{"\n#1\na\n\n##\n", "<a"},
		{"\n#1\na\n###", "<a"},
		{"\n#1\na\n##a", "<a"},
		{"\n#1\na\n##\n##\n", "<a>"},
		{"\n#1\na##\n", "<a"},
		{"<a/>]]>]]>", ""},
	};
	size_t i;

	for (i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		expect(CH_FRAMING_CHUNKED, &wide, table[i][0], table[i][1], CH_REASON_FRAMING);
}

Test(framing, takes_the_largest_chunk_size_and_refuses_one_more)
{
	struct ch_framer_limits limits = {.max_message = UINT64_MAX, .max_chunks = 1};
	struct ch_framer framer;
	struct ch_fragment fragment;
	size_t used;

	ch_framer_init(&framer, &limits);
	ch_framer_set(&framer, CH_FRAMING_CHUNKED);
	cr_assert_eq(
		ch_framer_feed(&framer, (const uint8_t *)"\n#4294967295\nab", 15, &used, &fragment),
		CH_FRAMER_FRAGMENT);
	cr_assert_eq(used, 15);
	cr_assert_eq(fragment.len, 2);
	cr_assert_eq(framer.chunk_left, 4294967293u);
	expect(CH_FRAMING_CHUNKED, &limits, "\n#4294967296\nab", "", CH_REASON_FRAMING);
	expect(CH_FRAMING_CHUNKED, &limits, "\n#42949672950\nab", "", CH_REASON_FRAMING);
}

Test(framing, limits_a_message_before_its_bytes_come)
{
	struct ch_framer_limits four = {.max_message = 4, .max_chunks = 3};

	expect(CH_FRAMING_CHUNKED, &four, "\n#4\nabcd\n##\n\n#4\nefgh\n##\n", "<abcd><efgh>",
	       CH_REASON_NONE);
	expect(CH_FRAMING_CHUNKED, &four, "\n#5\n", "", CH_REASON_MESSAGE_LIMIT);
	expect(CH_FRAMING_CHUNKED, &four, "\n#3\nabc\n#2\n", "<abc", CH_REASON_MESSAGE_LIMIT);
	expect(CH_FRAMING_CHUNKED, &four, "\n#4294967295\n", "", CH_REASON_MESSAGE_LIMIT);
	expect(CH_FRAMING_CHUNKED, &four, "\n\n\n\n#1\na", "<a", CH_REASON_NONE);
	expect(CH_FRAMING_CHUNKED, &four, "\n\n\n\n\n#1\na", "", CH_REASON_MESSAGE_LIMIT);
	expect(CH_FRAMING_EOM, &four, "abcd]]>]]>efgh]]>]]>", "<abcd><efgh>", CH_REASON_NONE);
	expect(CH_FRAMING_EOM, &four, "abcde", "", CH_REASON_MESSAGE_LIMIT);
	expect(CH_FRAMING_EOM, &four, "abcde]]>]]>", "", CH_REASON_MESSAGE_LIMIT);
	expect(CH_FRAMING_EOM, &four, "abc]]>", "<abc", CH_REASON_NONE);
	expect(CH_FRAMING_EOM, &four, "abc]]>x", "", CH_REASON_MESSAGE_LIMIT);
	expect(CH_FRAMING_EOM, &four, "     ", "", CH_REASON_MESSAGE_LIMIT);
}

Test(framing, limits_the_chunks_of_a_message)
{
	struct ch_framer_limits three = {.max_message = 100, .max_chunks = 3};

	expect(CH_FRAMING_CHUNKED, &three, "\n#1\na\n#1\nb\n#1\nc\n##\n\n#1\nd\n##\n", "<abc><d>",
	       CH_REASON_NONE);
	expect(CH_FRAMING_CHUNKED, &three, "\n#1\na\n#1\nb\n#1\nc\n#1\nd\n##\n", "<abc",
	       CH_REASON_MESSAGE_LIMIT);
}

Test(framing, gives_nothing_more_after_an_error)
{
	struct ch_framer framer;
	struct ch_fragment fragment;
	size_t used;

	ch_framer_init(&framer, &wide);
	ch_framer_set(&framer, CH_FRAMING_CHUNKED);
	cr_assert_eq(ch_framer_feed(&framer, (const uint8_t *)"x", 1, &used, &fragment),
		     CH_FRAMER_ERROR);
	cr_assert_eq(framer.reason, CH_REASON_FRAMING);
	cr_assert_eq(ch_framer_feed(&framer, (const uint8_t *)"\n#1\na", 5, &used, &fragment),
		     CH_FRAMER_ERROR);
	cr_assert_eq(used, 0);
}

Test(framing, points_a_whole_message_into_the_input)
{
	static const char eom[] = "<a/>]]>]]>";
	static const char chunked[] = "\n#4\n<a/>\n##\n";
	struct ch_framer framer;
	struct ch_fragment fragment;
	size_t used;

	ch_framer_init(&framer, &wide);
	cr_assert_eq(ch_framer_feed(&framer, (const uint8_t *)eom, 10, &used, &fragment),
		     CH_FRAMER_FRAGMENT);
	cr_assert_eq(used, 10);
	cr_assert_eq(fragment.data, (const uint8_t *)eom);
	cr_assert(fragment.len == 4 && fragment.first && fragment.last);
	ch_framer_set(&framer, CH_FRAMING_CHUNKED);
	cr_assert_eq(ch_framer_feed(&framer, (const uint8_t *)chunked, 12, &used, &fragment),
		     CH_FRAMER_FRAGMENT);
	cr_assert_eq(used, 12);
	cr_assert_eq(fragment.data, (const uint8_t *)chunked + 4);
	cr_assert(fragment.len == 4 && fragment.first && fragment.last);
}

/**
 * Counts fragments of @len bytes of @pattern fed @step at a time (a divisor); it has no delimiter.
 */
static size_t count_fragments(const char *pattern, size_t len, size_t step)
{
	uint8_t *text = malloc(len);
	struct ch_framer framer;
	struct ch_fragment fragment;
	size_t fragments = 0;
	size_t payload = 0;
	size_t at;

	cr_assert_not_null(text);
	for (at = 0; at < len; at++)
		text[at] = (uint8_t)pattern[at % strlen(pattern)];
	ch_framer_init(&framer, &wide);
	for (at = 0; at < len; at += step) {
		size_t done = 0;
		size_t used;

		while (ch_framer_feed(&framer, text + at + done, step - done, &used, &fragment) ==
		       CH_FRAMER_FRAGMENT) {
			payload += fragment.len;
			fragments++;
			done += used;
		}
	}
	cr_assert_leq(len - payload, 5, "%zu of %zu", payload, len);
	free(text);
	return fragments;
}

Test(framing, a_run_of_brackets_makes_few_fragments)
{
	cr_assert_leq(count_fragments("]", 1 << 16, 1 << 16), 2);
	cr_assert_leq(count_fragments("]", 1 << 16, 1024), 2 * 64);
	cr_assert_leq(count_fragments("]]>]]", 1 << 16, 1024), 3 * 64);
	cr_assert_leq(count_fragments("]]>]]]", 1 << 16, 1024), 3 * 64);
}

Test(framing, finds_the_delimiter_among_dense_brackets)
{
	static char text[4096];
	static struct outcome outcome;
	size_t at;
	size_t lead;

	/* every place relative to where the search changes its method, and to its 16-byte steps */
	for (lead = 0; lead < 2100; lead++) {
		for (at = 0; at < lead; at++)
			text[at] = "]]>]"[at % 4];
		if (lead > 0)
			text[lead - 1] = 'x';
		memcpy(text + lead, "]]>]]>", 6);
		memcpy(text + lead + 6, "tail]]", 6);
		run(CH_FRAMING_EOM, &wide, text, lead + 12, NO_CUT, NO_CUT, &outcome);
		cr_assert_eq(outcome.len, lead + 2 + 5, "%zu: %zu", lead, outcome.len);
		cr_assert_eq(memcmp(outcome.text + 1, text, lead), 0);
		cr_assert_eq(memcmp(outcome.text + 1 + lead, "><tail", 6), 0);
	}
}

static void frame_is(enum ch_framing framing, const char *message, int err, const char *text)
{
	struct ch_buf out = {0};

	cr_assert_eq(ch_buf_append_str(&out, "before"), 0);
	cr_assert_eq(ch_frame(framing, (struct ch_slice){(const uint8_t *)message, strlen(message)},
			      &out),
		     err, "%s", message);
	cr_assert_eq(out.len, 6 + strlen(text), "%s", message);
	cr_assert_eq(memcmp(out.data + 6, text, strlen(text)), 0, "%s", message);
	ch_buf_deinit(&out);
}

Test(framing, frames_a_message)
{
	frame_is(CH_FRAMING_EOM, "<a/>", 0, "<a/>]]>]]>");
	frame_is(CH_FRAMING_EOM, "", 0, "]]>]]>");
	frame_is(CH_FRAMING_CHUNKED, "<a/>", 0, "\n#4\n<a/>\n##\n");
	frame_is(CH_FRAMING_CHUNKED, "]]>]]>", 0, "\n#6\n]]>]]>\n##\n");
}

Test(framing, refuses_to_send_what_the_peer_would_read_otherwise)
{
	frame_is(CH_FRAMING_CHUNKED, "", CH_E_SYNTAX, "");
	frame_is(CH_FRAMING_EOM, "<a/>]]>]]><b/>", CH_E_SYNTAX, "");
	frame_is(CH_FRAMING_EOM, "<a/>]]>", CH_E_SYNTAX, "");
	frame_is(CH_FRAMING_EOM, "<a>]]</a>]", 0, "<a>]]</a>]]]>]]>");
}

Test(framing, frames_parts_as_one_message)
{
	struct ch_slice parts[] = {CH_LIT("<rpc>"), CH_LIT("<get/>"), {NULL, 0}, CH_LIT("</rpc>")};
	struct ch_slice smuggled[] = {CH_LIT("<rpc>]]>]"), CH_LIT("]></rpc>")};
	struct ch_buf out = {0};

	cr_assert_eq(ch_frame_parts(CH_FRAMING_CHUNKED, parts, 4, &out), 0);
	cr_assert_eq(out.len, 5 + 17 + 4);
	cr_assert_eq(memcmp(out.data, "\n#17\n<rpc><get/></rpc>\n##\n", 26), 0);
	out.len = 0;
	cr_assert_eq(ch_frame_parts(CH_FRAMING_EOM, smuggled, 2, &out), CH_E_SYNTAX);
	cr_assert_eq(out.len, 0);
	ch_buf_deinit(&out);
}

Test(framing, leaves_the_buffer_alone_when_it_is_full)
{
	struct ch_buf out = {.max = 12};

	cr_assert_eq(ch_frame(CH_FRAMING_CHUNKED, CH_LIT("<abcdef/>"), &out), CH_E_LIMIT);
	cr_assert_eq(out.len, 0);
	cr_assert_eq(ch_frame(CH_FRAMING_EOM, CH_LIT("<a/>"), &out), 0);
	cr_assert_eq(out.len, 10);
	ch_buf_deinit(&out);
}
