/* SPDX-License-Identifier: Apache-2.0 */
/* NETCONF framing alone: 200-byte messages, and one of 1 MB, both framings, against memchr. */
#include "samples.h"

#include "user/proto/framing.h"

#include <stdlib.h>
#include <string.h>

#define SMALL 200
#define BIG (1u << 20)
#define STREAM (1u << 18) /* small messages: what fits the second-level cache */
#define ROUNDS 15
#define ROUND_NS 4000000 /* CPU time of one sample */

static const struct ch_framer_limits limits = {.max_message = 1u << 30, .max_chunks = 1u << 20};
static volatile uint64_t sink;

/* XML-like text; every 170 bytes a byte that could begin the end-of-message delimiter. */
static void fill(uint8_t *text, size_t len)
{
	static const char pattern[] = "<name>ge-0</name";

	for (size_t i = 0; i < len; i++)
		text[i] = i % 170 == 85 ? ']' : (uint8_t)pattern[i % 16];
}

static int build(enum ch_framing framing, size_t size, size_t total, struct ch_buf *out)
{
	uint8_t *text = malloc(size);
	int err = text == NULL ? -1 : 0;

	if (!err)
		fill(text, size);
	while (!err && out->len < total)
		err = ch_frame(framing, (struct ch_slice){text, size}, out);
	free(text);
	return err;
}

/* @return messages in @stream, or 0 after an error */
static uint64_t parse(enum ch_framing framing, const struct ch_buf *stream)
{
	struct ch_framer framer;
	struct ch_fragment fragment;
	const uint8_t *at = stream->data;
	size_t left = stream->len, used;
	uint64_t messages = 0, bytes = 0;
	enum ch_framer_result result;

	ch_framer_init(&framer, &limits);
	ch_framer_set(&framer, framing);
	while ((result = ch_framer_feed(&framer, at, left, &used, &fragment)) ==
	       CH_FRAMER_FRAGMENT) {
		at += used;
		left -= used;
		messages += fragment.last;
		bytes += fragment.len;
	}
	sink += bytes;
	return result == CH_FRAMER_MORE ? messages : 0;
}

/* @return ns of CPU per run over the stream, or a negative number after an error */
static double time_parse(enum ch_framing framing, const struct ch_buf *stream, uint64_t *messages)
{
	uint64_t start = cpu_ns(), end = start, runs = 0;

	while (end - start < ROUND_NS) {
		*messages = parse(framing, stream);
		if (*messages == 0)
			return -1;
		runs++;
		end = cpu_ns();
	}
	return (double)(end - start) / (double)runs;
}

/* memchr for a byte that is not there: what reading the bytes at all costs. */
static double time_memchr(const uint8_t *data, size_t len, size_t piece)
{
	uint64_t start = cpu_ns(), end = start, runs = 0;

	while (end - start < ROUND_NS) {
		for (size_t at = 0; at + piece <= len; at += piece)
			sink += memchr(data + at, '~', piece) != NULL;
		runs++;
		end = cpu_ns();
	}
	return (double)(end - start) / (double)runs;
}

/* One sample of each variant per round, so that all see the same disturbance. */
static int measure(size_t size, size_t total, struct samples out[3])
{
	struct ch_buf stream[2] = {{0}};
	uint64_t messages = 0;
	int err = 0;

	for (int framing = 0; framing < 2 && !err; framing++)
		err = build((enum ch_framing)framing, size, total, &stream[framing]);
	for (int round = 0; round < ROUNDS && !err; round++) {
		for (int framing = 0; framing < 2 && !err; framing++) {
			double ns = time_parse((enum ch_framing)framing, &stream[framing],
					       &messages);
			err = ns < 0;
			samples_add(&out[framing], size == BIG ? size / ns : ns / (double)messages);
		}
		double ns = time_memchr(stream[0].data, total, size);
		samples_add(&out[2], size == BIG ? (double)total / ns
						 : ns / (double)(total / size));
	}
	ch_buf_deinit(&stream[0]);
	ch_buf_deinit(&stream[1]);
	return err;
}

int main(void)
{
	struct samples small[3] = {{.name = "eom-200"}, {.name = "chunked-200"}, {.name = "memchr-200"}};
	struct samples big[3] = {{.name = "eom-1M"}, {.name = "chunked-1M"}, {.name = "memchr-1M"}};

	if (measure(SMALL, STREAM, small) != 0 || measure(BIG, BIG, big) != 0) {
		fputs("framing: the framer refused its own messages\n", stderr);
		return 1;
	}
	for (int i = 0; i < 3; i++) {
		samples_print(&small[i]);
		samples_print(&big[i]);
	}
	return 0;
}
