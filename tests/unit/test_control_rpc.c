/* SPDX-License-Identifier: Apache-2.0 */
/* links: collector guard kernel proto core */
/* sources: tests/unit/fake_collector.c */
#include "user/collector/control_rpc.h"

#include <criterion/criterion.h>
#include <string.h>

static void expect_operation(const char *body, const char *operation, const char *message)
{
	struct ch_slice found = {0};
	char got[256] = "";
	int err = ch_control_rpc_operation((struct ch_slice){(const uint8_t *)body, strlen(body)},
					   &found, got);

	cr_expect_eq(err, operation != NULL ? 0 : CH_E_SYNTAX, "%s: %s", body, got);
	cr_expect_str_eq(got, message);
	if (operation != NULL) {
		cr_expect_eq(found.len, strlen(operation));
		cr_expect_eq(memcmp(found.data, operation, found.len), 0, "%s", body);
	}
}

Test(control_rpc, the_operation_is_the_one_element)
{
	expect_operation("<get/>", "<get/>", "");
	expect_operation("\xef\xbb\xbf<?xml version='1.0' encoding='UTF-8'?>\n<!-- a -->"
			 "<a:get xmlns:a='urn:x'>\xc3\xa9</a:get> <!-- b -->\n",
			 "<a:get xmlns:a='urn:x'>\xc3\xa9</a:get>", "");
}

Test(control_rpc, what_would_break_the_session_is_refused)
{
	expect_operation("<get/></rpc><rpc><get/>", NULL,
			 "the body is not one XML element: line 1, column 8: not well-formed "
			 "(invalid token)");
	expect_operation(
		"<get/><get/>", NULL,
		"the body is not one XML element: line 1, column 7: junk after document element");
	expect_operation("<get>", NULL,
			 "the body is not one XML element: line 1, column 6: no element found");
	expect_operation("<a:get/>", NULL,
			 "the body is not one XML element: line 1, column 1: unbound prefix");
	expect_operation("<get>\xe9</get>", NULL,
			 "the body is not one XML element: line 1, column 6: not well-formed "
			 "(invalid token)");
	expect_operation("<!DOCTYPE get [<!ENTITY a 'b'>]><get>&a;</get>", NULL,
			 "a DOCTYPE is not allowed in NETCONF (RFC 6241 section 3)");
	expect_operation(
		"<n:rpc xmlns:n='urn:ietf:params:xml:ns:netconf:base:1.0'/>", NULL,
		"send the operation alone, for example <get-config>...</get-config>, not the "
		"<rpc> around it: callhome adds that with its own message-id");
	expect_operation("<hello/>", NULL,
			 "<hello> is no operation; callhome has exchanged it already");
}

Test(control_rpc, percent_decoding_is_exact)
{
	char out[8];

	cr_expect_eq(ch_http_decode("a%2Fb", 5, out, sizeof(out)), 0);
	cr_expect_str_eq(out, "a/b");
	cr_expect_eq(ch_http_decode("%c3%A9", 6, out, sizeof(out)), 0);
	cr_expect_str_eq(out, "\xc3\xa9");
	cr_expect_eq(ch_http_decode("", 0, out, sizeof(out)), 0);
	cr_expect_str_eq(out, "");
	cr_expect_eq(ch_http_decode("%", 1, out, sizeof(out)), CH_E_SYNTAX);
	cr_expect_eq(ch_http_decode("%4", 2, out, sizeof(out)), CH_E_SYNTAX);
	cr_expect_eq(ch_http_decode("%g0", 3, out, sizeof(out)), CH_E_SYNTAX);
	cr_expect_eq(ch_http_decode("%41", 2, out, sizeof(out)), CH_E_SYNTAX, "not past the end");
	cr_expect_eq(ch_http_decode("%00", 3, out, sizeof(out)), CH_E_SYNTAX);
	cr_expect_eq(ch_http_decode("1234567", 7, out, sizeof(out)), 0);
	cr_expect_eq(ch_http_decode("12345678", 8, out, sizeof(out)), CH_E_LIMIT);
}
