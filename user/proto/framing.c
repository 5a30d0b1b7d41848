/* SPDX-License-Identifier: Apache-2.0 */
#include "framing.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#define EOM_BYTES 6
static const uint8_t eom[EOM_BYTES] = {']', ']', '>', ']', ']', '>'};

/** RFC 6242 section 4.2: chunk-size is at most 4294967295. */
#define CHUNK_MAX UINT32_MAX
#define CHUNK_END_BYTES 4
static const uint8_t chunk_end[CHUNK_END_BYTES] = {'\n', '#', '#', '\n'};

/** What the chunked framing awaits; end-of-message framing knows only STATE_LF and STATE_FAILED. */
enum {
	STATE_LF,     /**< the LF that starts a chunk header or the end of chunks */
	STATE_HASH,   /**< the '#' behind it */
	STATE_FIRST,  /**< first digit of a chunk-size, or the second '#' */
	STATE_SIZE,   /**< more digits, or the LF behind them */
	STATE_DATA,   /**< payload */
	STATE_END,    /**< the LF behind "##" */
	STATE_FAILED, /**< after ERROR */
};

void ch_framer_init(struct ch_framer *framer, const struct ch_framer_limits *limits)
{
	memset(framer, 0, sizeof(*framer));
	framer->limits = limits;
	framer->framing = CH_FRAMING_EOM;
}

void ch_framer_set(struct ch_framer *framer, enum ch_framing framing)
{
	assert(!framer->in_message && framer->held == 0);
	framer->framing = (uint8_t)framing;
}

static enum ch_framer_result framer_fail(struct ch_framer *framer, enum ch_reason reason)
{
	framer->state = STATE_FAILED;
	framer->reason = (uint8_t)reason;
	return CH_FRAMER_ERROR;
}

/** Counts @bytes of the present message. @return false: over the limit */
static bool framer_charge(struct ch_framer *framer, uint64_t bytes)
{
	if (bytes > framer->limits->max_message - framer->message_bytes)
		return false;
	framer->message_bytes += bytes;
	return true;
}

static void framer_emit(struct ch_framer *framer, const uint8_t *data, size_t len, bool last,
			struct ch_fragment *fragment)
{
	fragment->data = data;
	fragment->len = len;
	fragment->first = !framer->in_message;
	fragment->last = last;
	framer->in_message = !last;
	if (last) {
		framer->message_bytes = 0;
		framer->chunks = 0;
	}
}

/* ---- end-of-message framing ---- */

typedef uint8_t vec16 __attribute__((vector_size(16)));

#define BLOCK (4 * sizeof(vec16))

/** 0xff where @data holds @byte. */
static vec16 vec_equals(const uint8_t *data, uint8_t byte)
{
	vec16 vec;

	memcpy(&vec, data, sizeof(vec));
	return (vec16)(vec == byte);
}

static bool vec_any(vec16 vec)
{
	uint64_t halves[2];

	memcpy(halves, &vec, sizeof(halves));
	return (halves[0] | halves[1]) != 0;
}

/** Place of the first byte that is not zero; there is one. */
static size_t vec_first(vec16 vec)
{
	uint64_t halves[2];
	size_t at = 0;

	memcpy(halves, &vec, sizeof(halves));
	if (__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__)
		return halves[0] != 0 ? (size_t)__builtin_ctzll(halves[0]) / 8
				      : 8 + (size_t)__builtin_ctzll(halves[1]) / 8;
	while (vec[at] == 0)
		at++;
	return at;
}

/** Where "]]" starts. */
static vec16 vec_pairs(const uint8_t *data)
{
	return vec_equals(data, ']') & vec_equals(data + 1, ']');
}

/** The delimiter that starts in @data[0..16), or NULL; 21 bytes are there. */
static const uint8_t *eom_find_16(const uint8_t *data)
{
	vec16 hits = vec_pairs(data) & vec_equals(data + 2, '>') & vec_pairs(data + 3) &
		     vec_equals(data + 5, '>');

	return vec_any(hits) ? data + vec_first(hits) : NULL;
}

/**
 * The first whole delimiter in @data, or NULL. A `]` is everywhere in some models, "]]" hardly
 * anywhere; a peer that sends nothing else makes it take the second look at every place, which is
 * all it can do. Measured: 2 to 3 x memchr for `]` at one in 170 bytes.
 */
static const uint8_t *eom_find(const uint8_t *data, size_t len)
{
	size_t starts = len < EOM_BYTES ? 0 : len - EOM_BYTES + 1; /* places where it can start */
	const uint8_t *hit = NULL;
	size_t at = 0;

	while (at + BLOCK <= starts && hit == NULL) {
		const uint8_t *p = data + at;

		if (vec_any(vec_pairs(p) | vec_pairs(p + 16) | vec_pairs(p + 32) |
			    vec_pairs(p + 48)))
			for (size_t i = 0; i < BLOCK && hit == NULL; i += sizeof(vec16))
				hit = eom_find_16(p + i);
		at += BLOCK;
	}
	for (; at + sizeof(vec16) <= starts && hit == NULL; at += sizeof(vec16))
		hit = eom_find_16(data + at);
	/* What is left is less than a vector: the last one overlaps what was searched. */
	if (hit == NULL && at < starts && starts >= sizeof(vec16))
		return eom_find_16(data + starts - sizeof(vec16));
	for (; at < starts && hit == NULL; at++)
		if (memcmp(data + at, eom, EOM_BYTES) == 0)
			hit = data + at;
	return hit;
}

/** How many bytes at the end of @data may be the start of a delimiter. */
static size_t eom_tail(const uint8_t *data, size_t len)
{
	size_t tail = len < EOM_BYTES - 1 ? len : EOM_BYTES - 1;

	for (; tail > 0; tail--)
		if (data[len - tail] == ']' && memcmp(data + len - tail, eom, tail) == 0)
			break;
	return tail;
}

static size_t whitespace_len(const uint8_t *data, size_t len)
{
	size_t at = 0;

	while (at < len &&
	       (data[at] == ' ' || data[at] == '\n' || data[at] == '\r' || data[at] == '\t'))
		at++;
	return at;
}

/**
 * The input goes on behind @held delimiter bytes of the last one. All six are looked at in one
 * step, so that a run of `]` does not come out byte by byte.
 */
static enum ch_framer_result eom_held(struct ch_framer *framer, const uint8_t *in, size_t len,
				      size_t *used, struct ch_fragment *fragment)
{
	uint8_t text[2 * EOM_BYTES];
	size_t held = framer->held;
	size_t more = len < EOM_BYTES ? len : EOM_BYTES;
	size_t skip; /* held bytes that turn out to be payload */

	memcpy(text, eom, held);
	memcpy(text + held, in, more);
	for (skip = 0; skip < held; skip++) {
		size_t rest = held + more - skip;

		if (memcmp(text + skip, eom, rest < EOM_BYTES ? rest : EOM_BYTES) == 0)
			break;
	}
	*used = 0;
	if (skip > 0) {
		framer->held = (uint8_t)(held - skip);
		if (!framer_charge(framer, skip))
			return framer_fail(framer, CH_REASON_MESSAGE_LIMIT);
		framer_emit(framer, eom, skip, false, fragment);
		return CH_FRAMER_FRAGMENT;
	}
	if (held + len < EOM_BYTES) {
		framer->held = (uint8_t)(held + len);
		*used = len;
		return CH_FRAMER_MORE;
	}
	*used = EOM_BYTES - held;
	framer->held = 0;
	framer_emit(framer, eom, 0, true, fragment);
	return CH_FRAMER_FRAGMENT;
}

static enum ch_framer_result eom_feed(struct ch_framer *framer, const uint8_t *in, size_t len,
				      size_t *used, struct ch_fragment *fragment)
{
	size_t start = 0;
	size_t payload;
	size_t tail = 0;
	const uint8_t *end;

	if (framer->held > 0)
		return eom_held(framer, in, len, used, fragment);
	*used = 0;
	if (!framer->in_message) {
		start = whitespace_len(in, len);
		if (!framer_charge(framer, start))
			return framer_fail(framer, CH_REASON_MESSAGE_LIMIT);
	}
	end = eom_find(in + start, len - start);
	if (end == NULL) {
		tail = eom_tail(in + start, len - start);
		payload = len - start - tail;
	} else {
		payload = (size_t)(end - in) - start;
	}
	if (!framer_charge(framer, payload))
		return framer_fail(framer, CH_REASON_MESSAGE_LIMIT);
	if (end != NULL) {
		*used = start + payload + EOM_BYTES;
		framer_emit(framer, in + start, payload, true, fragment);
		return CH_FRAMER_FRAGMENT;
	}
	*used = len;
	framer->held = (uint8_t)tail;
	if (payload == 0)
		return CH_FRAMER_MORE;
	framer_emit(framer, in + start, payload, false, fragment);
	return CH_FRAMER_FRAGMENT;
}

/* ---- chunked framing ---- */

/** The size is read: judge it before a byte of the chunk is taken. @return NONE or MESSAGE_LIMIT */
static enum ch_reason chunk_begin(struct ch_framer *framer)
{
	if (framer->chunks >= framer->limits->max_chunks ||
	    !framer_charge(framer, framer->chunk_left))
		return CH_REASON_MESSAGE_LIMIT;
	framer->chunks++;
	framer->state = STATE_DATA;
	return CH_REASON_NONE;
}

/** One byte of a chunk header. STATE_END turns into STATE_LF at the end of the message. */
static enum ch_reason chunk_header(struct ch_framer *framer, uint8_t byte)
{
	unsigned digit = (unsigned)byte - '0';
	uint64_t size;

	switch (framer->state) {
	case STATE_LF:
		framer->state = STATE_HASH;
		return byte == '\n' ? CH_REASON_NONE : CH_REASON_FRAMING;
	case STATE_HASH:
		framer->state = STATE_FIRST;
		if (byte == '#')
			return CH_REASON_NONE;
		/* devices that end their hello with an LF behind ]]>]]> */
		framer->state = STATE_HASH;
		if (byte != '\n' || framer->chunks > 0)
			return CH_REASON_FRAMING;
		return framer_charge(framer, 1) ? CH_REASON_NONE : CH_REASON_MESSAGE_LIMIT;
	case STATE_FIRST:
		framer->chunk_left = digit;
		framer->state = byte == '#' ? STATE_END : STATE_SIZE;
		if (byte == '#')
			return framer->chunks > 0 ? CH_REASON_NONE : CH_REASON_FRAMING;
		return digit >= 1 && digit <= 9 ? CH_REASON_NONE : CH_REASON_FRAMING;
	case STATE_SIZE:
		if (byte == '\n')
			return chunk_begin(framer);
		size = framer->chunk_left * UINT64_C(10) + digit;
		framer->chunk_left = (uint32_t)size;
		return digit <= 9 && size <= CHUNK_MAX ? CH_REASON_NONE : CH_REASON_FRAMING;
	default: /* STATE_END */
		framer->state = STATE_LF;
		return byte == '\n' ? CH_REASON_NONE : CH_REASON_FRAMING;
	}
}

/**
 * The common header in one step: LF # size LF, all of it here, at most nine digits. Anything else
 * is left to chunk_header. @return its length with @size set, or 0
 */
static size_t chunk_header_whole(const uint8_t *in, size_t len, uint32_t *size)
{
	size_t most = len < 12 ? len : 12;
	uint32_t value = 0; /* nine digits fit */
	size_t at = 2;

	if (len < 4 || in[0] != '\n' || in[1] != '#' || in[2] == '0')
		return 0;
	while (at < most && in[at] >= '0' && in[at] <= '9')
		value = value * 10 + (uint32_t)(in[at++] - '0');
	if (value == 0 || at == most || in[at] != '\n')
		return 0;
	*size = value;
	return at + 1;
}

/** Payload is next. The end of chunks right behind it makes the fragment the last one. */
static size_t chunk_data(struct ch_framer *framer, const uint8_t *in, size_t len,
			 struct ch_fragment *fragment)
{
	size_t take = framer->chunk_left < len ? framer->chunk_left : len;
	bool last = false;
	size_t used = take;

	framer->chunk_left -= (uint32_t)take;
	if (framer->chunk_left == 0) {
		framer->state = STATE_LF;
		last = len - take >= CHUNK_END_BYTES &&
		       memcmp(in + take, chunk_end, CHUNK_END_BYTES) == 0;
		if (last)
			used += CHUNK_END_BYTES;
	}
	framer_emit(framer, in, take, last, fragment);
	return used;
}

static enum ch_framer_result chunked_feed(struct ch_framer *framer, const uint8_t *in, size_t len,
					  size_t *used, struct ch_fragment *fragment)
{
	size_t at = 0;

	while (at < len) {
		enum ch_reason reason;
		bool ending = framer->state == STATE_END;
		size_t header = 0;

		if (framer->state == STATE_DATA) {
			*used = at + chunk_data(framer, in + at, len - at, fragment);
			return CH_FRAMER_FRAGMENT;
		}
		if (framer->state == STATE_LF)
			header = chunk_header_whole(in + at, len - at, &framer->chunk_left);
		reason = header > 0 ? chunk_begin(framer) : chunk_header(framer, in[at]);
		at += header > 0 ? header : 1;
		if (reason != CH_REASON_NONE) {
			*used = at;
			return framer_fail(framer, reason);
		}
		if (ending) {
			*used = at;
			framer_emit(framer, chunk_end, 0, true, fragment);
			return CH_FRAMER_FRAGMENT;
		}
	}
	*used = len;
	return CH_FRAMER_MORE;
}

enum ch_framer_result ch_framer_feed(struct ch_framer *framer, const uint8_t *in, size_t len,
				     size_t *used, struct ch_fragment *fragment)
{
	*used = 0;
	if (framer->state == STATE_FAILED)
		return CH_FRAMER_ERROR;
	if (len == 0)
		return CH_FRAMER_MORE;
	if (framer->framing == CH_FRAMING_CHUNKED)
		return chunked_feed(framer, in, len, used, fragment);
	return eom_feed(framer, in, len, used, fragment);
}

/* ---- sending ---- */

int ch_frame_parts(enum ch_framing framing, const struct ch_slice *parts, size_t count,
		   struct ch_buf *out)
{
	char header[16] = "";
	size_t start = out->len;
	size_t total = 0;
	size_t i;
	int err;

	for (i = 0; i < count; i++)
		if (__builtin_add_overflow(total, parts[i].len, &total))
			return CH_E_LIMIT;
	if (framing == CH_FRAMING_CHUNKED) {
		if (total == 0)
			return CH_E_SYNTAX;
		if (total > CHUNK_MAX)
			return CH_E_LIMIT;
		snprintf(header, sizeof(header), "\n#%zu\n", total);
	}
	err = ch_buf_reserve(out, strlen(header) + total + EOM_BYTES);
	if (err != 0)
		return err;
	err = ch_buf_append_str(out, header);
	for (i = 0; err == 0 && i < count; i++)
		err = ch_buf_append(out, parts[i].data, parts[i].len);
	if (err == 0 && framing == CH_FRAMING_CHUNKED)
		err = ch_buf_append(out, chunk_end, CHUNK_END_BYTES);
	else if (err == 0)
		err = ch_buf_append(out, eom, EOM_BYTES);
	/* what would end the message early must not leave: it smuggles a second message in */
	if (err == 0 && framing == CH_FRAMING_EOM &&
	    eom_find(out->data + start, total + EOM_BYTES) != out->data + start + total)
		err = CH_E_SYNTAX;
	if (err != 0)
		out->len = start;
	return err;
}

int ch_frame(enum ch_framing framing, struct ch_slice message, struct ch_buf *out)
{
	return ch_frame_parts(framing, &message, 1, out);
}
