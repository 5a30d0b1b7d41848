/* SPDX-License-Identifier: Apache-2.0 */
#include "message.h"

#include "xml.h"

#include <string.h>

/** Where a scan stands. */
struct cursor {
	const uint8_t *at;
	const uint8_t *end;
};

enum scan {
	SCAN_DONE,
	SCAN_SHORT, /**< the input ended; more of it could still make it right */
	SCAN_BAD,
};

/* Bytes of XML names; beyond ASCII all are taken, UTF-8 is not judged here. */
static const bool name_byte[256] = {
	['a' ... 'z'] = true, ['A' ... 'Z'] = true, ['0' ... '9'] = true, ['_'] = true,
	['-'] = true,	      ['.'] = true,	    [':'] = true,	  [0x80 ... 0xff] = true,
};

static size_t left(const struct cursor *cursor)
{
	return (size_t)(cursor->end - cursor->at);
}

static void skip_space(struct cursor *cursor)
{
	while (cursor->at < cursor->end && ch_xml_is_space(*cursor->at))
		cursor->at++;
}

static bool slice_is(struct ch_slice slice, struct ch_slice text)
{
	return slice.len == text.len && memcmp(slice.data, text.data, text.len) == 0;
}

/** Is @text here, or the part of it that the input still holds? */
static enum scan take(struct cursor *cursor, struct ch_slice text)
{
	size_t have = left(cursor);

	if (memcmp(cursor->at, text.data, have < text.len ? have : text.len) != 0)
		return SCAN_BAD;
	if (have < text.len)
		return SCAN_SHORT;
	cursor->at += text.len;
	return SCAN_DONE;
}

static enum scan skip_past(struct cursor *cursor, struct ch_slice text)
{
	const uint8_t *hit = memmem(cursor->at, left(cursor), text.data, text.len);

	if (hit == NULL)
		return SCAN_SHORT;
	cursor->at = hit + text.len;
	return SCAN_DONE;
}

/**
 * At `<`: passes a PI, a declaration or a comment. @return BAD also for a DOCTYPE; @passed: there
 * was one
 */
static enum scan skip_misc(struct cursor *cursor, bool *passed)
{
	enum scan scan;

	*passed = false;
	if (left(cursor) < 2)
		return SCAN_SHORT;
	if (cursor->at[1] != '?' && cursor->at[1] != '!')
		return SCAN_DONE;
	*passed = true;
	if (cursor->at[1] == '?') {
		cursor->at += 2;
		return skip_past(cursor, CH_LIT("?>"));
	}
	scan = take(cursor, CH_LIT("<!--"));
	return scan == SCAN_DONE ? skip_past(cursor, CH_LIT("-->")) : scan;
}

/** Goes to the `<` of the first start tag. */
static enum scan skip_prolog(struct cursor *cursor)
{
	bool passed = true;
	enum scan scan;

	if (cursor->at < cursor->end && *cursor->at == 0xef) {
		scan = take(cursor, CH_LIT("\xef\xbb\xbf"));
		if (scan != SCAN_DONE)
			return scan;
	}
	while (passed) {
		skip_space(cursor);
		if (left(cursor) == 0)
			return SCAN_SHORT;
		if (*cursor->at != '<')
			return SCAN_BAD;
		scan = skip_misc(cursor, &passed);
		if (scan != SCAN_DONE)
			return scan;
	}
	return SCAN_DONE;
}

/** A name, whole: something else follows it in the input. @local: without its prefix. */
static enum scan take_name(struct cursor *cursor, struct ch_slice *name, struct ch_slice *local)
{
	const uint8_t *start = cursor->at;
	const uint8_t *colon;

	while (cursor->at < cursor->end && name_byte[*cursor->at])
		cursor->at++;
	if (cursor->at == cursor->end)
		return SCAN_SHORT;
	*name = (struct ch_slice){start, (size_t)(cursor->at - start)};
	*local = *name;
	if (name->len == 0)
		return SCAN_BAD;
	colon = memchr(start, ':', name->len);
	if (colon != NULL) {
		*local = (struct ch_slice){colon + 1, (size_t)(cursor->at - colon) - 1};
		if (colon == start || local->len == 0 ||
		    memchr(local->data, ':', local->len) != NULL)
			return SCAN_BAD;
	}
	if (*start == '-' || *start == '.' || (*start >= '0' && *start <= '9'))
		return SCAN_BAD;
	return SCAN_DONE;
}

/** One attribute; a message-id goes into @message. */
static enum scan take_attribute(struct cursor *cursor, struct ch_message *message)
{
	struct ch_slice name;
	struct ch_slice local;
	struct ch_slice value;
	const uint8_t *end;
	enum scan scan = take_name(cursor, &name, &local);

	if (scan != SCAN_DONE)
		return scan;
	skip_space(cursor);
	scan = take(cursor, CH_LIT("="));
	if (scan != SCAN_DONE)
		return scan;
	skip_space(cursor);
	if (left(cursor) == 0)
		return SCAN_SHORT;
	if (*cursor->at != '"' && *cursor->at != '\'')
		return SCAN_BAD;
	value.data = cursor->at + 1;
	end = memchr(value.data, *cursor->at, left(cursor) - 1);
	value.len = end == NULL ? left(cursor) - 1 : (size_t)(end - value.data);
	if (memchr(value.data, '<', value.len) != NULL)
		return SCAN_BAD;
	if (end == NULL)
		return SCAN_SHORT;
	cursor->at = end + 1;
	if (!slice_is(name, CH_LIT("message-id")))
		return SCAN_DONE;
	if (message->message_id.data != NULL)
		return SCAN_BAD;
	message->message_id = value;
	return SCAN_DONE;
}

static enum ch_message_kind kind_of(struct ch_slice local)
{
	switch (local.len) {
	case 3:
		return slice_is(local, CH_LIT("rpc")) ? CH_MESSAGE_RPC : CH_MESSAGE_OTHER;
	case 5:
		return slice_is(local, CH_LIT("hello")) ? CH_MESSAGE_HELLO : CH_MESSAGE_OTHER;
	case 9:
		return slice_is(local, CH_LIT("rpc-reply")) ? CH_MESSAGE_RPC_REPLY
							    : CH_MESSAGE_OTHER;
	case 12:
		return slice_is(local, CH_LIT("notification")) ? CH_MESSAGE_NOTIFICATION
							       : CH_MESSAGE_OTHER;
	default:
		return CH_MESSAGE_OTHER;
	}
}

/** At the `<` of the start tag. */
static enum scan take_start_tag(struct cursor *cursor, struct ch_message *message)
{
	struct ch_slice name;
	struct ch_slice local;
	enum scan scan;

	cursor->at++;
	scan = take_name(cursor, &name, &local);
	while (scan == SCAN_DONE) {
		bool spaced = cursor->at < cursor->end && ch_xml_is_space(*cursor->at);

		skip_space(cursor);
		if (left(cursor) == 0)
			return SCAN_SHORT;
		if (*cursor->at == '>') {
			cursor->at++;
			message->body = (struct ch_slice){cursor->at, left(cursor)};
			message->kind = kind_of(local);
			return SCAN_DONE;
		}
		if (*cursor->at == '/') {
			scan = take(cursor, CH_LIT("/>"));
			if (scan == SCAN_DONE)
				message->kind = kind_of(local);
			message->body = (struct ch_slice){cursor->at, 0};
			return scan;
		}
		scan = spaced ? take_attribute(cursor, message) : SCAN_BAD;
	}
	return scan;
}

static enum scan message_scan(struct ch_slice xml, struct ch_message *message)
{
	struct cursor cursor = {xml.data, xml.data};
	struct ch_message empty = {.kind = CH_MESSAGE_MALFORMED};
	enum scan scan;

	*message = empty;
	if (xml.len == 0)
		return SCAN_SHORT;
	cursor.end += xml.len;
	scan = skip_prolog(&cursor);
	if (scan == SCAN_DONE)
		scan = take_start_tag(&cursor, message);
	if (scan != SCAN_DONE)
		*message = empty;
	return scan;
}

void ch_message_scan(struct ch_slice xml, struct ch_message *message)
{
	(void)message_scan(xml, message);
}

bool ch_message_scan_head(struct ch_slice head, struct ch_message *message)
{
	return message_scan(head, message) != SCAN_SHORT;
}

struct ch_slice ch_message_first_child(struct ch_slice body)
{
	struct cursor cursor = {body.data, body.data};
	struct ch_slice none = {NULL, 0};
	struct ch_slice name;
	struct ch_slice local;

	if (body.len == 0)
		return none;
	cursor.end += body.len;
	while (left(&cursor) > 1) {
		bool passed;

		cursor.at = memchr(cursor.at, '<', left(&cursor));
		if (cursor.at == NULL || left(&cursor) < 2)
			return none;
		if (left(&cursor) >= 9 && memcmp(cursor.at, "<![CDATA[", 9) == 0) {
			if (skip_past(&cursor, CH_LIT("]]>")) != SCAN_DONE)
				return none;
			continue;
		}
		if (skip_misc(&cursor, &passed) != SCAN_DONE)
			return none;
		if (passed)
			continue;
		cursor.at++;
		return take_name(&cursor, &name, &local) == SCAN_DONE ? local : none;
	}
	return none;
}

/* ---- rpc-error ---- */

/** Elements by nesting: rpc-reply 1, rpc-error 2, its fields 3. */
enum { DEPTH_ERROR = 2, DEPTH_FIELD = 3 };

struct inspect {
	struct ch_reply_info *info;
	char *text; /**< field that character data goes to; NULL = none */
	size_t text_max;
	size_t text_len;
	char severity[16];
	bool in_error; /**< inside an rpc-error */
	bool seen;     /**< an rpc-error has ended: the first one gives tag and message */
};

/** The local name in the base namespace (or in none: old devices forget it), else "". */
static const char *base_name(const char *name)
{
	static const char base[] = CH_XML_BASE_NS;
	size_t len = sizeof(base) - 1;

	if (strchr(name, CH_XML_SEPARATOR) == NULL)
		return name;
	return strncmp(name, base, len) == 0 && name[len] == CH_XML_SEPARATOR ? name + len + 1 : "";
}

static void inspect_field(struct inspect *inspect, const char *name)
{
	inspect->text = NULL;
	inspect->text_len = 0;
	if (strcmp(name, "error-severity") == 0) {
		inspect->text = inspect->severity;
		inspect->text_max = sizeof(inspect->severity) - 1;
	} else if (!inspect->seen && strcmp(name, "error-tag") == 0) {
		inspect->text = inspect->info->error_tag;
		inspect->text_max = sizeof(inspect->info->error_tag) - 1;
	} else if (!inspect->seen && strcmp(name, "error-message") == 0) {
		inspect->text = inspect->info->error_message;
		inspect->text_max = sizeof(inspect->info->error_message) - 1;
	}
}

static bool inspect_start(void *ctx, unsigned depth, const char *name)
{
	struct inspect *inspect = ctx;
	const char *local = base_name(name);

	if (depth == DEPTH_ERROR) {
		inspect->in_error = strcmp(local, "rpc-error") == 0;
		inspect->severity[0] = '\0';
		if (strcmp(local, "ok") == 0)
			inspect->info->ok = true;
	} else if (depth == DEPTH_FIELD && inspect->in_error) {
		inspect_field(inspect, local);
	}
	return true;
}

static bool inspect_end(void *ctx, unsigned depth)
{
	struct inspect *inspect = ctx;

	if (depth == DEPTH_FIELD && inspect->text != NULL) {
		while (inspect->text_len > 0 &&
		       ch_xml_is_space((uint8_t)inspect->text[inspect->text_len - 1]))
			inspect->text_len--;
		inspect->text[inspect->text_len] = '\0';
		inspect->text = NULL;
	}
	if (depth == DEPTH_ERROR && inspect->in_error) {
		inspect->in_error = false;
		inspect->seen = true;
		if (strcmp(inspect->severity, "warning") != 0)
			inspect->info->error = true;
	}
	return true;
}

/** Keeps what fits, without leading white space and without half a character at the cut. */
static bool inspect_text(void *ctx, unsigned depth, const char *data, size_t len)
{
	struct inspect *inspect = ctx;
	size_t room;

	if (inspect->text == NULL || depth != DEPTH_FIELD)
		return true;
	while (inspect->text_len == 0 && len > 0 && ch_xml_is_space((uint8_t)*data)) {
		data++;
		len--;
	}
	room = inspect->text_max - inspect->text_len;
	if (len > room) {
		len = room;
		while (len > 0 && ((uint8_t)data[len] & 0xc0) == 0x80)
			len--;
		inspect->text_max = inspect->text_len + len;
	}
	memcpy(inspect->text + inspect->text_len, data, len);
	inspect->text_len += len;
	return true;
}

int ch_reply_inspect(struct ch_slice xml, unsigned max_depth, struct ch_reply_info *info)
{
	static const struct ch_xml_handlers handlers = {inspect_start, inspect_end, inspect_text};
	struct inspect inspect = {.info = info};
	struct ch_message message;

	memset(info, 0, sizeof(*info));
	if (memmem(xml.data, xml.len, "rpc-error", strlen("rpc-error")) != NULL)
		return ch_xml_parse(xml, max_depth, &handlers, &inspect);
	ch_message_scan(xml, &message);
	if (message.kind == CH_MESSAGE_MALFORMED)
		return CH_E_SYNTAX;
	info->ok = slice_is(ch_message_first_child(message.body), CH_LIT("ok"));
	return 0;
}
