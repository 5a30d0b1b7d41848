/* SPDX-License-Identifier: Apache-2.0 */
#include "json.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define DEPTH_MAX 32

void ch_json_init(struct ch_json *json, struct ch_buf *out)
{
	memset(json, 0, sizeof(*json));
	json->out = out;
}

static void put_bytes(struct ch_json *json, const void *bytes, size_t len)
{
	if (json->err == 0)
		json->err = ch_buf_append(json->out, bytes, len);
}

static void put(struct ch_json *json, const char *text)
{
	put_bytes(json, text, strlen(text));
}

/** The comma and the key before a value. */
static void begin_value(struct ch_json *json, const char *key)
{
	size_t len = key != NULL ? strlen(key) : 0;
	uint8_t *at;

	/* One look at the room for all of it: a line of the spool has half a dozen keys. */
	if (json->err == 0)
		json->err = ch_buf_reserve(json->out, len + 4);
	if (json->err != 0)
		return;
	at = json->out->data + json->out->len;
	if (json->depth > 0) {
		uint32_t bit = 1U << (json->depth - 1);

		if ((json->comma & bit) != 0)
			*at++ = ',';
		json->comma |= bit;
	}
	if (key != NULL) {
		*at++ = '"';
		memcpy(at, key, len);
		at += len;
		*at++ = '"';
		*at++ = ':';
	}
	json->out->len = (size_t)(at - json->out->data);
}

static void open_level(struct ch_json *json, const char *key, const char *bracket)
{
	if (json->depth == DEPTH_MAX) {
		if (json->err == 0)
			json->err = CH_E_LIMIT;
		return;
	}
	begin_value(json, key);
	put(json, bracket);
	json->depth++;
	json->comma &= ~(1U << (json->depth - 1));
}

static void close_level(struct ch_json *json, const char *bracket)
{
	put(json, bracket);
	if (json->depth > 0)
		json->depth--;
}

void ch_json_object(struct ch_json *json, const char *key)
{
	open_level(json, key, "{");
}

void ch_json_object_end(struct ch_json *json)
{
	close_level(json, "}");
}

void ch_json_array(struct ch_json *json, const char *key)
{
	open_level(json, key, "[");
}

void ch_json_array_end(struct ch_json *json)
{
	close_level(json, "]");
}

void ch_json_str(struct ch_json *json, const char *key, const char *value)
{
	if (value == NULL) {
		begin_value(json, key);
		put(json, "null");
		return;
	}
	ch_json_bytes(json, key, (struct ch_slice){(const uint8_t *)value, strlen(value)});
}

void ch_json_bytes(struct ch_json *json, const char *key, struct ch_slice value)
{
	begin_value(json, key);
	put(json, "\"");
	if (json->err == 0)
		json->err = ch_json_escape(json->out, value);
	put(json, "\"");
}

void ch_json_uint(struct ch_json *json, const char *key, uint64_t value)
{
	char text[20];
	size_t at = sizeof(text);

	begin_value(json, key);
	do {
		text[--at] = (char)('0' + value % 10);
		value /= 10;
	} while (value > 0);
	put_bytes(json, text + at, sizeof(text) - at);
}

void ch_json_int(struct ch_json *json, const char *key, int64_t value)
{
	char text[24];

	begin_value(json, key);
	snprintf(text, sizeof(text), "%" PRId64, value);
	put(json, text);
}

void ch_json_double(struct ch_json *json, const char *key, double value)
{
	double size = value < 0 ? -value : value;
	char text[352];

	begin_value(json, key);
	if (!(size <= __DBL_MAX__)) {
		put(json, "null");
		return;
	}
	/* The decimal point of printf depends on the locale; integers do not. */
	if (size < 1e15) {
		uint64_t milli = (uint64_t)(size * 1000 + 0.5);

		snprintf(text, sizeof(text), "%s%" PRIu64 ".%03u",
			 value < 0 && milli > 0 ? "-" : "", milli / 1000, (unsigned)(milli % 1000));
	} else {
		snprintf(text, sizeof(text), "%.0f.000", value);
	}
	put(json, text);
}

void ch_json_bool(struct ch_json *json, const char *key, bool value)
{
	begin_value(json, key);
	put(json, value ? "true" : "false");
}

struct date {
	uint64_t year;
	unsigned month;
	unsigned day;
};

/** Proleptic Gregorian date of a day since 1970, counting from 1 March 0000 in 400-year cycles. */
static struct date date_of(uint64_t unix_day)
{
	const uint64_t days = unix_day + 719468;
	const uint64_t cycle = days / 146097;
	const unsigned in_cycle = (unsigned)(days % 146097);
	const unsigned year =
		(in_cycle - in_cycle / 1460 + in_cycle / 36524 - in_cycle / 146096) / 365;
	const unsigned in_year = in_cycle - (365 * year + year / 4 - year / 100);
	const unsigned month = (5 * in_year + 2) / 153;
	struct date date;

	date.day = in_year - (153 * month + 2) / 5 + 1;
	date.month = month < 10 ? month + 3 : month - 9;
	date.year = cycle * 400 + year + (date.month <= 2 ? 1 : 0);
	return date;
}

/** The last @digits digits of @value, and what follows them. */
static char *put_digits(char *at, unsigned value, unsigned digits, char next)
{
	for (unsigned i = digits; i-- > 0; value /= 10)
		at[i] = (char)('0' + value % 10);
	at[digits] = next;
	return at + digits + 1;
}

void ch_json_time(struct ch_json *json, const char *key, uint64_t unix_ns)
{
	uint64_t seconds = unix_ns / 1000000000;
	unsigned in_day = (unsigned)(seconds % 86400);
	struct date date = date_of(seconds / 86400);
	char text[32];
	char *at = text;

	begin_value(json, key);
	if (unix_ns == 0) {
		put(json, "null");
		return;
	}
	/* In each line of the spool: printf would take longer than all the rest of the line. */
	*at++ = '"';
	at = put_digits(at, (unsigned)date.year, 4, '-');
	at = put_digits(at, date.month, 2, '-');
	at = put_digits(at, date.day, 2, 'T');
	at = put_digits(at, in_day / 3600, 2, ':');
	at = put_digits(at, in_day / 60 % 60, 2, ':');
	at = put_digits(at, in_day % 60, 2, '.');
	at = put_digits(at, (unsigned)(unix_ns / 1000000 % 1000), 3, 'Z');
	*at++ = '"';
	put_bytes(json, text, (size_t)(at - text));
}

/**
 * Bytes of the UTF-8 sequence at @s (RFC 3629: no overlong forms, no surrogates, nothing above
 * U+10FFFF), or 0 if there is none.
 */
static size_t utf8_sequence(const uint8_t *s, size_t len)
{
	uint8_t low = 0x80;
	uint8_t high = 0xbf;
	size_t need;

	if (s[0] < 0x80)
		return 1;
	if (s[0] >= 0xc2 && s[0] <= 0xdf)
		need = 2;
	else if (s[0] >= 0xe0 && s[0] <= 0xef)
		need = 3;
	else if (s[0] >= 0xf0 && s[0] <= 0xf4)
		need = 4;
	else
		return 0;
	if (len < need)
		return 0;
	if (s[0] == 0xe0)
		low = 0xa0;
	else if (s[0] == 0xed)
		high = 0x9f;
	else if (s[0] == 0xf0)
		low = 0x90;
	else if (s[0] == 0xf4)
		high = 0x8f;
	if (s[1] < low || s[1] > high)
		return 0;
	for (size_t i = 2; i < need; i++) {
		if (s[i] < 0x80 || s[i] > 0xbf)
			return 0;
	}
	return need;
}

static int escape_byte(struct ch_buf *out, uint8_t byte)
{
	switch (byte) {
	case '"':
		return ch_buf_append(out, "\\\"", 2);
	case '\\':
		return ch_buf_append(out, "\\\\", 2);
	case '\n':
		return ch_buf_append(out, "\\n", 2);
	case '\r':
		return ch_buf_append(out, "\\r", 2);
	case '\t':
		return ch_buf_append(out, "\\t", 2);
	default:
		break;
	}
	if (byte >= 0x80)
		return ch_buf_append_str(out, "\xef\xbf\xbd");
	return ch_buf_printf(out, "\\u%04x", (unsigned)byte);
}

static bool is_plain(uint8_t byte)
{
	return byte >= 0x20 && byte < 0x7f && byte != '"' && byte != '\\';
}

typedef uint8_t vec16 __attribute__((vector_size(16)));

/** Bytes at the front of @data that need neither an escape nor a look at their sequence. */
static size_t plain_run(const uint8_t *data, size_t len)
{
	const vec16 space = {32, 32, 32, 32, 32, 32, 32, 32, 32, 32, 32, 32, 32, 32, 32, 32};
	const vec16 most = space + (0x7f - 0x20 - 0x20); /* so many bytes from 0x20 on are plain */
	const vec16 quote = space + ('"' - ' ');
	const vec16 backslash = space + ('\\' - ' ');
	size_t at = 0;

	for (; at + sizeof(vec16) <= len; at += sizeof(vec16)) {
		uint64_t any[2];
		vec16 bytes, special;

		memcpy(&bytes, data + at, sizeof(bytes));
		special = (vec16)(bytes - space >= most) | (vec16)(bytes == quote) |
			  (vec16)(bytes == backslash);
		memcpy(any, &special, sizeof(any));
		if ((any[0] | any[1]) != 0)
			break;
	}
	while (at < len && is_plain(data[at]))
		at++;
	return at;
}

int ch_json_escape(struct ch_buf *out, struct ch_slice value)
{
	size_t start = 0;
	size_t i = 0;
	int err;

	while (i < value.len) {
		size_t sequence;

		i += plain_run(value.data + i, value.len - i);
		if (i == value.len)
			break;
		sequence = value.data[i] < 0x80 ? 0
						: utf8_sequence(value.data + i, value.len - i);
		if (sequence > 0) {
			i += sequence;
			continue;
		}
		err = ch_buf_append(out, value.data + start, i - start);
		if (err == 0)
			err = escape_byte(out, value.data[i]);
		if (err != 0)
			return err;
		start = ++i;
	}
	return ch_buf_append(out, value.data + start, value.len - start);
}

void ch_json_digest(struct ch_json *json, const char *key, const uint8_t digest[32])
{
	char text[CH_HEX_CAP];

	ch_hex(digest, text);
	ch_json_str(json, key, text);
}
