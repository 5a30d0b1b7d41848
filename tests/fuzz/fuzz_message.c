/* SPDX-License-Identifier: Apache-2.0 */
/* links: proto core */
/*
 * Input: a message. Its start tag is complete from one prefix on and reads the same in every longer
 * one; the scan takes whatever expat takes; the replies that expat refuses are refused.
 */
#include "fuzz.h"
#include "user/proto/message.h"
#include "user/proto/xml.h"

static bool on_start(void *ctx, unsigned depth, const char *name)
{
	const char *separator = strrchr(name, CH_XML_SEPARATOR);

	if (depth == 1)
		*(char **)ctx = strdup(separator != NULL ? separator + 1 : name);
	return true;
}

static bool on_end(void *ctx, unsigned depth)
{
	return ctx != NULL && depth > 0;
}

static bool on_text(void *ctx, unsigned depth, const char *data, size_t len)
{
	return on_end(ctx, depth) && (data != NULL || len == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct ch_xml_handlers handlers = {on_start, on_end, on_text};
	static const char *const names[] = {"", "hello", "rpc", "rpc-reply", "notification"};
	struct ch_message whole, head;
	struct ch_slice xml = {data, size};
	struct ch_reply_info info;
	bool done = false;
	char *root = NULL;
	int err = ch_xml_parse(xml, 16, &handlers, &root);

	ch_message_scan(xml, &whole);
	for (size_t len = 0; len <= size; len += size < 512 ? 1 : 1 + size / 64) {
		bool now = ch_message_scan_head((struct ch_slice){data, len}, &head);

		check(now || (!done && head.kind == CH_MESSAGE_MALFORMED));
		check(!now ||
		      (head.kind == whole.kind && head.message_id.data == whole.message_id.data));
		done = now;
	}
	check(whole.body.len == 0 || whole.body.data + whole.body.len == data + size);
	(void)ch_message_first_child(whole.body);
	check(err != 0 || whole.kind != CH_MESSAGE_MALFORMED);
	for (size_t i = CH_MESSAGE_HELLO; err == 0 && i <= CH_MESSAGE_NOTIFICATION; i++)
		check((strcmp(root, names[i]) == 0) == (whole.kind == i));
	if (ch_reply_inspect(xml, 16, &info) == 0 && info.error)
		check(err == 0 && strlen(info.error_tag) < 64 && strlen(info.error_message) < 256);
	free(root);
	return 0;
}
