/* SPDX-License-Identifier: Apache-2.0 */
/* links: proto core */
#include "user/proto/hello.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define OPEN "<hello xmlns=\"urn:ietf:params:xml:ns:netconf:base:1.0\">"
#define CAPS(inside) "<capabilities>" inside "</capabilities>"
#define CAP(uri) "<capability>" uri "</capability>"
#define B10 CAP("urn:ietf:params:netconf:base:1.0")
#define B11 CAP("urn:ietf:params:netconf:base:1.1")
#define SID(id) "<session-id>" id "</session-id>"
#define CLOSE "</hello>"

static enum ch_reason parse(const char *text, bool server, struct ch_hello *hello)
{
	size_t len = strlen(text);
	uint8_t *copy = malloc(len > 0 ? len : 1);
	struct ch_slice xml = {copy, len};
	enum ch_reason reason;

	cr_assert_not_null(copy);
	memcpy(copy, text, len);
	reason = server ? ch_hello_parse_server(xml, hello) : ch_hello_parse_client(xml, hello);
	free(copy);
	return reason;
}

static void server_is(const char *text, enum ch_reason reason)
{
	struct ch_hello hello;
	enum ch_reason got = parse(text, true, &hello);

	cr_assert_eq(got, reason, "%s: %s", text, ch_reason_name(got));
}

static void client_is(const char *text, enum ch_reason reason)
{
	struct ch_hello hello;
	enum ch_reason got = parse(text, false, &hello);

	cr_assert_eq(got, reason, "%s: %s", text, ch_reason_name(got));
}

Test(hello, reads_a_device)
{
	struct ch_hello hello;

	cr_assert_eq(
		parse("<?xml version='1.0'?>\n" OPEN CAPS(
			      "\n " B10 B11 CAP("\n\turn:ietf:params:netconf:capability:"
						"notification:1.0 \n")
				      CAP("urn:ietf:params:netconf:capability:url:1.0?scheme=ftp,"
					  "file") CAP("http://example.com/"
						      "m?module=m&amp;revision=2020-01-01"))
			      SID(" 4711\n") CLOSE,
		      true, &hello),
		CH_REASON_NONE);
	cr_assert_eq(hello.session_id, 4711);
	cr_assert_eq(hello.capability_count, 5);
	cr_assert_eq(hello.capabilities,
		     CH_CAP_BASE_1_0 | CH_CAP_BASE_1_1 | CH_CAP_NOTIFICATION | CH_CAP_URL);
}

Test(hello, knows_every_capability_we_act_on)
{
	static const struct {
		const char *name;
		uint32_t bit;
	} table[] = {
		{"base:1.0", CH_CAP_BASE_1_0},
		{"base:1.1", CH_CAP_BASE_1_1},
		{"capability:notification:1.0", CH_CAP_NOTIFICATION},
		{"capability:interleave:1.0", CH_CAP_INTERLEAVE},
		{"capability:candidate:1.0", CH_CAP_CANDIDATE},
		{"capability:confirmed-commit:1.0", CH_CAP_CONFIRMED_COMMIT},
		{"capability:confirmed-commit:1.1", CH_CAP_CONFIRMED_COMMIT},
		{"capability:writable-running:1.0", CH_CAP_WRITABLE_RUNNING},
		{"capability:startup:1.0", CH_CAP_STARTUP},
		{"capability:xpath:1.0", CH_CAP_XPATH},
		{"capability:validate:1.0", CH_CAP_VALIDATE},
		{"capability:validate:1.1", CH_CAP_VALIDATE},
		{"capability:url:1.0", CH_CAP_URL},
		{"capability:yang-library:1.0?revision=2016-06-21&amp;module-set-id=1",
		 CH_CAP_YANG_LIBRARY},
		{"capability:yang-library:1.1?revision=2019-01-04&amp;content-id=1",
		 CH_CAP_YANG_LIBRARY},
		{"capability:yang-library:1.2", 0},
		{"base:1.2", 0},
		{"base:1.1x", 0},
		{"BASE:1.1", 0},
		{"", 0},
	};
	size_t i;

	for (i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct ch_hello hello;
		char text[512];

		snprintf(text, sizeof(text),
			 OPEN "<capabilities>" B10
			      "<capability>urn:ietf:params:netconf:%s</capability>"
			      "</capabilities>" SID("1") CLOSE,
			 table[i].name);
		cr_assert_eq(parse(text, true, &hello), CH_REASON_NONE);
		cr_assert_eq(hello.capabilities, CH_CAP_BASE_1_0 | table[i].bit, "%s",
			     table[i].name);
		cr_assert_eq(hello.capability_count, 2);
	}
}

Test(hello, takes_foreign_elements_comments_and_prefixes)
{
	server_is(OPEN CAPS(B10 "<x xmlns='y'><z/></x>") SID("1") "<other>1</other>" CLOSE,
		  CH_REASON_NONE);
	server_is(OPEN CAPS(CAP("urn:ietf:params:<!-- x -->netconf:base:1.0")) SID("1<?p?>2") CLOSE,
		  CH_REASON_NONE);
	server_is("<n:hello "
		  "xmlns:n='urn:ietf:params:xml:ns:netconf:base:1.0'><n:session-id>1</n:session-id>"
		  "<n:capabilities><n:capability>urn:ietf:params:netconf:base:1.1</n:capability>"
		  "</n:capabilities></n:hello>",
		  CH_REASON_NONE);
}

Test(hello, rejects_what_is_no_hello)
{
	server_is("", CH_REASON_BAD_HELLO);
	server_is("hello", CH_REASON_BAD_HELLO);
	server_is("<hello/>", CH_REASON_BAD_HELLO);
	server_is("<hello xmlns='urn:other'>" CAPS(B10) SID("1") CLOSE, CH_REASON_BAD_HELLO);
	server_is("<rpc xmlns='urn:ietf:params:xml:ns:netconf:base:1.0'/>", CH_REASON_BAD_HELLO);
	server_is(OPEN CAPS(B10) SID("1"), CH_REASON_BAD_HELLO);
	server_is(OPEN CAPS(B10) SID("1") CLOSE "x", CH_REASON_BAD_HELLO);
	server_is(OPEN CAPS(B10) SID("1") CLOSE CLOSE, CH_REASON_BAD_HELLO);
	server_is("<!DOCTYPE hello>" OPEN CAPS(B10) SID("1") CLOSE, CH_REASON_BAD_HELLO);
	server_is("<!DOCTYPE hello [<!ENTITY a '1'>]>" OPEN CAPS(B10) SID("&a;") CLOSE,
		  CH_REASON_BAD_HELLO);
	server_is(OPEN CAPS(B10) SID("1") "\xff" CLOSE, CH_REASON_BAD_HELLO);
	server_is(OPEN CAPS(B10) CAPS(B11) SID("1") CLOSE, CH_REASON_BAD_HELLO);
	server_is(OPEN CAPS(B10) SID("1") SID("1") CLOSE, CH_REASON_BAD_HELLO);
	server_is(OPEN CAPS(B10) SID("1<x/>") CLOSE, CH_REASON_BAD_HELLO);
	server_is(OPEN CAPS(CAP("urn:ietf:params:netconf:base:1.0<x/>")) SID("1") CLOSE,
		  CH_REASON_BAD_HELLO);
}

Test(hello, wants_a_session_id_between_1_and_4294967295)
{
	static const char *const wrong[] = {"",
					    "0",
					    "000",
					    "-1",
					    "+1",
					    "1.0",
					    "1x",
					    "0x1",
					    "1 1",
					    "4294967296",
					    "18446744073709551617"};
	struct ch_hello hello;
	char text[512];
	size_t i;

	server_is(OPEN CAPS(B10) CLOSE, CH_REASON_NO_SESSION_ID);
	server_is(OPEN CAPS(B10) "<session-id xmlns='x'>1</session-id>" CLOSE,
		  CH_REASON_NO_SESSION_ID);
	server_is(OPEN CAPS(B10 SID("1")) CLOSE, CH_REASON_NO_SESSION_ID);
	server_is(OPEN CLOSE, CH_REASON_NO_SESSION_ID);
	for (i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		snprintf(text, sizeof(text), OPEN CAPS(B10) "<session-id>%s</session-id>" CLOSE,
			 wrong[i]);
		server_is(text, CH_REASON_NO_SESSION_ID);
	}
	snprintf(text, sizeof(text), OPEN CAPS(B10) "<session-id>%0200d</session-id>" CLOSE, 1);
	server_is(text, CH_REASON_NO_SESSION_ID);
	cr_assert_eq(parse(OPEN CAPS(B10) SID("4294967295") CLOSE, true, &hello), CH_REASON_NONE);
	cr_assert_eq(hello.session_id, 4294967295u);
}

Test(hello, wants_a_common_base)
{
	server_is(OPEN SID("1") CLOSE, CH_REASON_NO_COMMON_BASE);
	server_is(OPEN CAPS("") SID("1") CLOSE, CH_REASON_NO_COMMON_BASE);
	server_is(OPEN CAPS(CAP("urn:ietf:params:netconf:base:1.2")) SID("1") CLOSE,
		  CH_REASON_NO_COMMON_BASE);
	server_is(OPEN CAPS("<x>" B10 "</x>") SID("1") CLOSE, CH_REASON_NO_COMMON_BASE);
	server_is(OPEN CAPS("<capability xmlns='x'>urn:ietf:params:netconf:base:1.0</capability>")
			  SID("1") CLOSE,
		  CH_REASON_NO_COMMON_BASE);
	server_is(OPEN "<c>" B10 "</c>" SID("1") CLOSE, CH_REASON_NO_COMMON_BASE);
	server_is(OPEN CAPS(B11) SID("1") CLOSE, CH_REASON_NONE);
}

Test(hello, a_client_has_no_session_id)
{
	client_is(OPEN CAPS(B10 B11) CLOSE, CH_REASON_NONE);
	client_is(OPEN CAPS(B10) SID("1") CLOSE, CH_REASON_BAD_HELLO);
	client_is(OPEN CAPS(B10) SID("") CLOSE, CH_REASON_BAD_HELLO);
	client_is(OPEN CAPS("") CLOSE, CH_REASON_NO_COMMON_BASE);
	client_is("<hello/>", CH_REASON_BAD_HELLO);
}

/** @count capabilities, each @text; base:1.0 is the first. */
static enum ch_reason many(size_t count, const char *text, struct ch_hello *hello)
{
	struct ch_buf xml = {0};
	enum ch_reason reason;
	size_t i;

	cr_assert_eq(ch_buf_append_str(&xml, OPEN SID("1") "<capabilities>" B10), 0);
	for (i = 1; i < count; i++)
		cr_assert_eq(ch_buf_printf(&xml, "<capability>%s</capability>", text), 0);
	cr_assert_eq(ch_buf_append_str(&xml, "</capabilities>" CLOSE), 0);
	reason = ch_hello_parse_server((struct ch_slice){xml.data, xml.len}, hello);
	ch_buf_deinit(&xml);
	return reason;
}

Test(hello, limits_the_capabilities)
{
	struct ch_hello hello;

	cr_assert_eq(many(4096, "x", &hello), CH_REASON_NONE);
	cr_assert_eq(hello.capability_count, 4096);
	cr_assert_eq(many(4097, "x", &hello), CH_REASON_BAD_HELLO);
}

Test(hello, a_capability_may_be_long)
{
	struct ch_hello hello;
	char text[1024];

	memset(text, ' ', sizeof(text));
	memcpy(text + 500, "urn:ietf:params:netconf:base:1.1?", 33);
	memset(text + 533, 'x', 400);
	text[1023] = '\0';
	cr_assert_eq(many(2, text, &hello), CH_REASON_NONE);
	cr_assert_eq(hello.capabilities, CH_CAP_BASE_1_0 | CH_CAP_BASE_1_1);
	text[532] = 'x';
	cr_assert_eq(many(2, text, &hello), CH_REASON_NONE);
	cr_assert_eq(hello.capabilities, CH_CAP_BASE_1_0);
}

Test(hello, limits_size_and_depth)
{
	static const char head[] = OPEN CAPS(B10) SID("1");
	size_t len = CH_HELLO_MAX_BYTES + 1;
	char *text = malloc(len + 1);

	cr_assert_not_null(text);
	memset(text, ' ', len);
	memcpy(text, head, sizeof(head) - 1);
	memcpy(text + len - strlen(CLOSE), CLOSE, strlen(CLOSE) + 1);
	cr_assert_eq(strlen(text), len);
	server_is(text, CH_REASON_BAD_HELLO);
	memmove(text + len - 20, text + len - 19, 20);
	server_is(text, CH_REASON_NONE);
	free(text);
	server_is(OPEN CAPS(B10) SID("1") "<a><b><c><d><e><f><g/></f></e></d></c></b></a>" CLOSE,
		  CH_REASON_NONE);
	server_is(OPEN CAPS(B10)
			  SID("1") "<a><b><c><d><e><f><g><h/></g></f></e></d></c></b></a>" CLOSE,
		  CH_REASON_BAD_HELLO);
}

Test(hello, what_we_build_is_read_back)
{
	static const char *const extra[] = {"http://x/?module=a&revision=<b>"};
	uint32_t all = (CH_CAP_YANG_LIBRARY << 1) - 1;
	struct ch_hello hello;
	struct ch_buf out = {0};

	cr_assert_eq(ch_hello_build(&out, 77, all, extra, 1), 0);
	cr_assert_eq(ch_hello_parse_server((struct ch_slice){out.data, out.len}, &hello),
		     CH_REASON_NONE);
	cr_assert_eq(hello.session_id, 77);
	cr_assert_eq(hello.capabilities, all);
	cr_assert_eq(hello.capability_count, 13);
	out.len = 0;
	cr_assert_eq(ch_hello_build(&out, 0, CH_CAP_BASE_1_1, NULL, 0), 0);
	cr_assert_eq(ch_hello_parse_client((struct ch_slice){out.data, out.len}, &hello),
		     CH_REASON_NONE);
	cr_assert_eq(hello.capabilities, CH_CAP_BASE_1_1);
	ch_buf_deinit(&out);
}

Test(hello, the_bytes_we_send_are_these)
{
	static const char text[] =
		"x<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n" OPEN CAPS(B10 B11) CLOSE;
	struct ch_buf out = {0};

	cr_assert_eq(ch_buf_append_str(&out, "x"), 0);
	cr_assert_eq(ch_hello_build(&out, 0, CH_CAP_BASE_1_0 | CH_CAP_BASE_1_1, NULL, 0), 0);
	cr_assert_eq(out.len, strlen(text));
	cr_assert_eq(memcmp(out.data, text, out.len), 0);
	ch_buf_deinit(&out);
}

Test(hello, building_fails_whole)
{
	struct ch_buf out = {0};
	size_t max;
	size_t need;

	cr_assert_eq(ch_hello_build(&out, 1, CH_CAP_BASE_1_0, NULL, 0), 0);
	need = out.len;
	ch_buf_deinit(&out);
	for (max = 1; max < need; max++) {
		out.max = max;
		cr_assert_eq(ch_hello_build(&out, 1, CH_CAP_BASE_1_0, NULL, 0), CH_E_LIMIT, "%zu",
			     max);
		cr_assert_eq(out.len, 0);
		ch_buf_deinit(&out);
	}
}
