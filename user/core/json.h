/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Append-only JSON emitter over `struct ch_buf`. Commas are placed by the emitter; the first error
 * sticks in @err (nothing is written after it), so a caller checks once at the end. Depth is at
 * most 32; deeper is CH_E_LIMIT. Outermost values get no separator: the caller adds newlines.
 */
#include "buf.h"

#include <stdbool.h>

struct ch_json {
	struct ch_buf *out;
	int err;	/**< first error of the buffer; 0 = fine */
	uint32_t comma; /**< bit d-1: a member was written at depth d */
	uint8_t depth;
};

void ch_json_init(struct ch_json *json, struct ch_buf *out);

/* @key is NULL in arrays and for the outermost value. Keys are trusted literals, never escaped. */
void ch_json_object(struct ch_json *json, const char *key);
void ch_json_object_end(struct ch_json *json);
void ch_json_array(struct ch_json *json, const char *key);
void ch_json_array_end(struct ch_json *json);
/** NULL @value writes null. */
void ch_json_str(struct ch_json *json, const char *key, const char *value);
/** Hostile bytes: escaped; what is not UTF-8 becomes U+FFFD, byte by byte. */
void ch_json_bytes(struct ch_json *json, const char *key, struct ch_slice value);
void ch_json_uint(struct ch_json *json, const char *key, uint64_t value);
void ch_json_int(struct ch_json *json, const char *key, int64_t value);
/** Three decimals, whatever the locale; what is not a finite number becomes null. */
void ch_json_double(struct ch_json *json, const char *key, double value);
void ch_json_bool(struct ch_json *json, const char *key, bool value);
/** RFC 3339 UTC with milliseconds, from nanoseconds since 1970. 0 writes null. */
void ch_json_time(struct ch_json *json, const char *key, uint64_t unix_ns);

/** A digest in hexadecimal. */
void ch_json_digest(struct ch_json *json, const char *key, const uint8_t digest[32]);

/** Appends @value escaped for a JSON string, without quotes. @return as ch_buf_reserve. */
CH_NODISCARD int ch_json_escape(struct ch_buf *out, struct ch_slice value);
