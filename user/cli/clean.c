/* SPDX-License-Identifier: Apache-2.0 */
#include "clean.h"

#include <wchar.h>

/** Decodes one character. @return its bytes; 0: not UTF-8. */
static size_t decode(const uint8_t *at, size_t left, uint32_t *code)
{
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
	size_t len = at[0] < 0x80   ? 1
		     : at[0] < 0xc0 ? 0
		     : at[0] < 0xe0 ? 2
		     : at[0] < 0xf0 ? 3
		     : at[0] < 0xf8 ? 4
				    : 0;

	if (len == 0 || len > left)
		return 0;
	*code = len == 1 ? at[0] : at[0] & (0x7fu >> len);
	for (size_t i = 1; i < len; i++) {
		if ((at[i] & 0xc0) != 0x80)
			return 0;
		*code = *code << 6 | (at[i] & 0x3f);
	}
	return *code < least[len] || *code > 0x10ffff || (*code >= 0xd800 && *code < 0xe000) ? 0
											     : len;
}

/** Invisible or direction-changing characters: a name that looks like another one. */
static bool deceives(uint32_t code)
{
	return code == 0xad || code == 0x61c || code == 0x180e ||
	       (code >= 0x200b && code <= 0x200f) || (code >= 0x2028 && code <= 0x202e) ||
	       (code >= 0x2060 && code <= 0x206f) || code == 0xfeff ||
	       (code >= 0xfff9 && code <= 0xfffb) || (code >= 0xe0000 && code <= 0xe0fff);
}

/** Columns of a character that may be shown as it is; negative: it may not. */
static int columns_of(uint32_t code, bool utf8, enum clean_style style)
{
	if (code == '\n' || code == '\t')
		return style == CLEAN_CELL ? -1 : 0;
	if (code < 0x20 || (code >= 0x7f && code < 0xa0))
		return -1;
	if (code < 0x7f)
		return 1;
	if (!utf8 || deceives(code))
		return -1;
	return wcwidth((wchar_t)code);
}

static int append_escape(struct ch_buf *out, uint32_t code, enum clean_style style)
{
	if (style != CLEAN_JSON)
		return ch_buf_printf(out, code < 0x80 ? "\\x%02x" : "\\u{%x}", code);
	if (code >= 0x10000)
		return ch_buf_printf(out, "\\u%04x\\u%04x", 0xd800 + ((code - 0x10000) >> 10),
				     0xdc00 + ((code - 0x10000) & 0x3ff));
	return ch_buf_printf(out, "\\u%04x", code);
}

long clean_append(struct ch_buf *out, const char *text, size_t len, bool utf8,
		  enum clean_style style)
{
	const uint8_t *at = (const uint8_t *)text;
	const uint8_t *end = at + len;
	long columns = 0;

	while (at < end) {
		uint32_t code = 0;
		size_t bytes = decode(at, (size_t)(end - at), &code);
		size_t before = out->len;
		int width = bytes > 0 ? columns_of(code, utf8, style) : -1;
		int err;

		if (width >= 0)
			err = ch_buf_append(out, at, bytes);
		else if (bytes > 0)
			err = append_escape(out, code, style);
		else if (style == CLEAN_JSON)
			err = ch_buf_append_str(out, "\\ufffd");
		else
			err = ch_buf_printf(out, "\\x%02x", *at);
		if (err != 0)
			return err;
		columns += width >= 0 ? width : (long)(out->len - before);
		at += bytes > 0 ? bytes : 1;
	}
	return columns;
}
