/* SPDX-License-Identifier: Apache-2.0 */
#include "hello.h"

#include "xml.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define MAX_CAPABILITIES 4096
#define MAX_DEPTH 8
/** Longest text we act on: the longest known URI and a session-id fit. */
#define TEXT_MAX 128

/** A bit may have several URIs: the first of them is the one we send. */
static const struct {
	uint32_t bit;
	const char *uri;
} known[] = {
	{CH_CAP_BASE_1_0, "urn:ietf:params:netconf:base:1.0"},
	{CH_CAP_BASE_1_1, "urn:ietf:params:netconf:base:1.1"},
	{CH_CAP_NOTIFICATION, "urn:ietf:params:netconf:capability:notification:1.0"},
	{CH_CAP_INTERLEAVE, "urn:ietf:params:netconf:capability:interleave:1.0"},
	{CH_CAP_CANDIDATE, "urn:ietf:params:netconf:capability:candidate:1.0"},
	{CH_CAP_CONFIRMED_COMMIT, "urn:ietf:params:netconf:capability:confirmed-commit:1.1"},
	{CH_CAP_CONFIRMED_COMMIT, "urn:ietf:params:netconf:capability:confirmed-commit:1.0"},
	{CH_CAP_WRITABLE_RUNNING, "urn:ietf:params:netconf:capability:writable-running:1.0"},
	{CH_CAP_STARTUP, "urn:ietf:params:netconf:capability:startup:1.0"},
	{CH_CAP_XPATH, "urn:ietf:params:netconf:capability:xpath:1.0"},
	{CH_CAP_VALIDATE, "urn:ietf:params:netconf:capability:validate:1.1"},
	{CH_CAP_VALIDATE, "urn:ietf:params:netconf:capability:validate:1.0"},
	{CH_CAP_URL, "urn:ietf:params:netconf:capability:url:1.0"},
	{CH_CAP_YANG_LIBRARY, "urn:ietf:params:netconf:capability:yang-library:1.1"},
	{CH_CAP_YANG_LIBRARY, "urn:ietf:params:netconf:capability:yang-library:1.0"},
};
#define KNOWN_COUNT (sizeof(known) / sizeof(known[0]))

/** Elements by nesting. */
enum { DEPTH_HELLO = 1, DEPTH_PART = 2, DEPTH_CAPABILITY = 3 };

/** What the character data belongs to. */
enum collecting { NOTHING, CAPABILITY, SESSION_ID };

struct reader {
	struct ch_hello *hello;
	enum collecting collecting;
	unsigned collecting_depth;
	char text[TEXT_MAX + 1]; /**< without white space around it */
	size_t text_len;
	bool text_long; /**< more text than we keep */
	bool in_capabilities;
	bool saw_capabilities;
	bool saw_session_id;
};

static bool is_base(const char *name, const char *local)
{
	static const char base[] = CH_XML_BASE_NS;
	size_t len = sizeof(base) - 1;

	return strncmp(name, base, len) == 0 && name[len] == CH_XML_SEPARATOR &&
	       strcmp(name + len + 1, local) == 0;
}

static void collect(struct reader *reader, enum collecting what, unsigned depth)
{
	reader->collecting = what;
	reader->collecting_depth = depth;
	reader->text_len = 0;
	reader->text_long = false;
}

/** A direct child of hello; unknown ones are skipped, ours must not repeat. */
static bool start_part(struct reader *reader, const char *name)
{
	reader->in_capabilities = is_base(name, "capabilities");
	if (reader->in_capabilities) {
		if (reader->saw_capabilities)
			return false;
		reader->saw_capabilities = true;
	} else if (is_base(name, "session-id")) {
		if (reader->saw_session_id)
			return false;
		reader->saw_session_id = true;
		collect(reader, SESSION_ID, DEPTH_PART);
	}
	return true;
}

static bool hello_start(void *ctx, unsigned depth, const char *name)
{
	struct reader *reader = ctx;

	if (reader->collecting != NOTHING)
		return false; /* an element inside a text */
	if (depth == DEPTH_HELLO)
		return is_base(name, "hello");
	if (depth == DEPTH_PART)
		return start_part(reader, name);
	if (depth == DEPTH_CAPABILITY && reader->in_capabilities && is_base(name, "capability")) {
		if (reader->hello->capability_count == MAX_CAPABILITIES)
			return false;
		reader->hello->capability_count++;
		collect(reader, CAPABILITY, DEPTH_CAPABILITY);
	}
	return true;
}

static bool hello_text(void *ctx, unsigned depth, const char *data, size_t len)
{
	struct reader *reader = ctx;
	size_t room = TEXT_MAX - reader->text_len;

	(void)depth;
	if (reader->collecting == NOTHING)
		return true;
	while (reader->text_len == 0 && len > 0 && ch_xml_is_space((uint8_t)*data)) {
		data++;
		len--;
	}
	if (len > room) {
		reader->text_long = true;
		len = room;
	}
	memcpy(reader->text + reader->text_len, data, len);
	reader->text_len += len;
	return true;
}

/** Ends the text; parameters of a capability (from '?') say nothing we act on. */
static void trim_text(struct reader *reader)
{
	const char *parameters;

	parameters = memchr(reader->text, '?', reader->text_len);
	if (reader->collecting == CAPABILITY && parameters != NULL) {
		reader->text_len = (size_t)(parameters - reader->text);
		reader->text_long = false;
	}
	if (!reader->text_long)
		while (reader->text_len > 0 &&
		       ch_xml_is_space((uint8_t)reader->text[reader->text_len - 1]))
			reader->text_len--;
	reader->text[reader->text_len] = '\0';
}

static void end_capability(struct reader *reader)
{
	size_t i;

	if (reader->text_long)
		return;
	for (i = 0; i < KNOWN_COUNT; i++)
		if (strcmp(reader->text, known[i].uri) == 0)
			reader->hello->capabilities |= known[i].bit;
}

/** What is not 1..4294967295 stays 0. */
static void end_session_id(struct reader *reader)
{
	uint64_t id = 0;
	size_t i;

	if (reader->text_long)
		return;
	for (i = 0; i < reader->text_len; i++) {
		if (reader->text[i] < '0' || reader->text[i] > '9')
			return;
		id = id * 10 + (uint64_t)(reader->text[i] - '0');
		if (id > UINT32_MAX)
			return;
	}
	reader->hello->session_id = (uint32_t)id;
}

static bool hello_end(void *ctx, unsigned depth)
{
	struct reader *reader = ctx;

	if (reader->collecting == NOTHING || depth != reader->collecting_depth)
		return true;
	trim_text(reader);
	if (reader->collecting == CAPABILITY)
		end_capability(reader);
	else
		end_session_id(reader);
	reader->collecting = NOTHING;
	return true;
}

static enum ch_reason hello_parse(struct ch_slice xml, struct reader *reader)
{
	static const struct ch_xml_handlers handlers = {hello_start, hello_end, hello_text};
	int err;

	memset(reader->hello, 0, sizeof(*reader->hello));
	if (xml.len > CH_HELLO_MAX_BYTES)
		return CH_REASON_BAD_HELLO;
	err = ch_xml_parse(xml, MAX_DEPTH, &handlers, reader);
	if (err != 0)
		return err == CH_E_SYNTAX ? CH_REASON_BAD_HELLO : CH_REASON_INTERNAL;
	return CH_REASON_NONE;
}

static enum ch_reason judge_base(const struct ch_hello *hello)
{
	return (hello->capabilities & (CH_CAP_BASE_1_0 | CH_CAP_BASE_1_1)) != 0
		       ? CH_REASON_NONE
		       : CH_REASON_NO_COMMON_BASE;
}

enum ch_reason ch_hello_parse_server(struct ch_slice xml, struct ch_hello *hello)
{
	struct reader reader = {.hello = hello};
	enum ch_reason reason = hello_parse(xml, &reader);

	if (reason != CH_REASON_NONE)
		return reason;
	return hello->session_id == 0 ? CH_REASON_NO_SESSION_ID : judge_base(hello);
}

enum ch_reason ch_hello_parse_client(struct ch_slice xml, struct ch_hello *hello)
{
	struct reader reader = {.hello = hello};
	enum ch_reason reason = hello_parse(xml, &reader);

	if (reason != CH_REASON_NONE)
		return reason;
	return reader.saw_session_id ? CH_REASON_BAD_HELLO : judge_base(hello);
}

/** Appends @text with what XML reserves escaped. */
static int append_escaped(struct ch_buf *out, const char *text)
{
	int err = 0;

	while (err == 0 && *text != '\0') {
		size_t plain = strcspn(text, "&<>");

		err = ch_buf_append(out, text, plain);
		text += plain;
		if (err != 0 || *text == '\0')
			break;
		err = ch_buf_append_str(out, *text == '&'   ? "&amp;"
					     : *text == '<' ? "&lt;"
							    : "&gt;");
		text++;
	}
	return err;
}

static int append_capability(struct ch_buf *out, const char *uri)
{
	int err = ch_buf_append_str(out, "<capability>");

	if (err == 0)
		err = append_escaped(out, uri);
	return err != 0 ? err : ch_buf_append_str(out, "</capability>");
}

int ch_hello_build(struct ch_buf *out, uint32_t session_id, uint32_t capabilities,
		   const char *const *extra, size_t extra_count)
{
	size_t start = out->len;
	char id[48] = "";
	size_t i;
	int err;

	err = ch_buf_append_str(out, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
				     "<hello xmlns=\"" CH_XML_BASE_NS "\"><capabilities>");
	for (i = 0; err == 0 && i < KNOWN_COUNT; i++) {
		if ((capabilities & known[i].bit) == 0)
			continue;
		err = append_capability(out, known[i].uri);
		capabilities &= ~known[i].bit;
	}
	for (i = 0; err == 0 && i < extra_count; i++)
		err = append_capability(out, extra[i]);
	if (session_id != 0)
		snprintf(id, sizeof(id), "<session-id>%u</session-id>", session_id);
	if (err == 0)
		err = ch_buf_append_str(out, "</capabilities>");
	if (err == 0)
		err = ch_buf_append_str(out, id);
	if (err == 0)
		err = ch_buf_append_str(out, "</hello>");
	if (err != 0)
		out->len = start;
	return err;
}
