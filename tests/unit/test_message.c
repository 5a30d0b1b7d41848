/* SPDX-License-Identifier: Apache-2.0 */
/* links: proto core */
#include "user/proto/message.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#define BASE "xmlns=\"urn:ietf:params:xml:ns:netconf:base:1.0\""

/**
 * The slice of a copy of exactly its size, so that ASan sees a read beyond it. The caller frees
 * data.
 */
static struct ch_slice copy_of(const char *text)
{
	size_t len = strlen(text);
	uint8_t *copy = malloc(len > 0 ? len : 1);

	cr_assert_not_null(copy);
	memcpy(copy, text, len);
	return (struct ch_slice){copy, len};
}

static bool is(struct ch_slice slice, const char *text)
{
	return slice.len == strlen(text) &&
	       (slice.len == 0 || memcmp(slice.data, text, slice.len) == 0);
}

struct row {
	const char *xml;
	enum ch_message_kind kind;
	const char *message_id; /* NULL = absent */
	const char *body;
};

static const struct row good[] = {
	{"<hello>x</hello>", CH_MESSAGE_HELLO, NULL, "x</hello>"},
	{"<rpc message-id=\"1\"><get/></rpc>", CH_MESSAGE_RPC, "1", "<get/></rpc>"},
	{"<rpc-reply message-id=\"101\" " BASE "><ok/></rpc-reply>", CH_MESSAGE_RPC_REPLY, "101",
	 "<ok/></rpc-reply>"},
	{"<rpc-reply " BASE " message-id='7'/>", CH_MESSAGE_RPC_REPLY, "7", ""},
	{"<nc:rpc-reply xmlns:nc=\"x\" message-id=\"2\" a=\"/>\" b='\"'>y", CH_MESSAGE_RPC_REPLY,
	 "2", "y"},
	{"<notification xmlns=\"n\"><eventTime/></notification>", CH_MESSAGE_NOTIFICATION, NULL,
	 "<eventTime/></notification>"},
	{"\xef\xbb\xbf<notification/>", CH_MESSAGE_NOTIFICATION, NULL, ""},
	{"<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<notification>", CH_MESSAGE_NOTIFICATION,
	 NULL, ""},
	{" \r\n\t<!-- a > b <rpc> -- - --><?pi <x>?>\n<rpc>", CH_MESSAGE_RPC, NULL, ""},
	{"<!----><?x?><!-- - --><hello >", CH_MESSAGE_HELLO, NULL, ""},
	{"<rpc-reply\n\tmessage-id\n=\n'3'\n>z", CH_MESSAGE_RPC_REPLY, "3", "z"},
	{"<rpc-reply message-id=\"\">", CH_MESSAGE_RPC_REPLY, "", ""},
	{"<rpc-reply x:message-id=\"4\">", CH_MESSAGE_RPC_REPLY, NULL, ""},
	{"<rpc-reply Message-Id=\"4\">", CH_MESSAGE_RPC_REPLY, NULL, ""},
	{"<data/>", CH_MESSAGE_OTHER, NULL, ""},
	{"<Hello>", CH_MESSAGE_OTHER, NULL, ""},
	{"<hello:x>", CH_MESSAGE_OTHER, NULL, ""},
	{"<rpc-replyx>", CH_MESSAGE_OTHER, NULL, ""},
	{"<notificatiom>", CH_MESSAGE_OTHER, NULL, ""},
	{"<rp\xc3\xa9>", CH_MESSAGE_OTHER, NULL, ""},
};

/* no continuation makes them right */
static const char *const bad[] = {
	"x",
	"]",
	"<>",
	"< hello>",
	"<!DOCTYPE hello []><hello/>",
	"<!doctype x>",
	"<![CDATA[x]]><hello/>",
	"</hello>",
	"<1hello>",
	"<-hello>",
	"<.hello>",
	"<:hello>",
	"<nc:>",
	"<a:b:c>",
	"<hello/ >",
	"<hello x>",
	"<hello x=1>",
	"<hello x= >",
	"<hello x=\"1\"y=\"2\">",
	"<hello x=\"a<b\">",
	"<hello =\"1\">",
	"<hello \"1\">",
	"<hello<",
	"<hello&",
	"<rpc-reply message-id=\"1\" message-id=\"1\">",
	"\xef\xbb<hello>",
	"\xfe\xff<hello>",
};

Test(message, reads_the_first_start_tag)
{
	size_t i;

	for (i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		struct ch_slice xml = copy_of(good[i].xml);
		struct ch_message message;

		ch_message_scan(xml, &message);
		cr_assert_eq(message.kind, good[i].kind, "%s: %d", good[i].xml, message.kind);
		cr_assert_eq(message.message_id.data != NULL, good[i].message_id != NULL, "%s",
			     good[i].xml);
		if (good[i].message_id != NULL)
			cr_assert(is(message.message_id, good[i].message_id), "%s", good[i].xml);
		cr_assert(is(message.body, good[i].body), "%s", good[i].xml);
		free((void *)xml.data);
	}
}

Test(message, calls_what_is_not_xml_malformed)
{
	struct ch_message message;
	size_t i;

	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct ch_slice xml = copy_of(bad[i]);

		ch_message_scan(xml, &message);
		cr_assert_eq(message.kind, CH_MESSAGE_MALFORMED, "%s", bad[i]);
		cr_assert_null(message.message_id.data);
		cr_assert(ch_message_scan_head(xml, &message), "%s can not become right", bad[i]);
		free((void *)xml.data);
	}
	ch_message_scan((struct ch_slice){NULL, 0}, &message);
	cr_assert_eq(message.kind, CH_MESSAGE_MALFORMED);
}

Test(message, a_head_is_incomplete_at_every_cut_before_the_start_tag_ends)
{
	size_t i;

	for (i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		size_t tag = strlen(good[i].xml) - strlen(good[i].body);
		size_t len;

		for (len = 0; len <= strlen(good[i].xml); len++) {
			char *text = strndup(good[i].xml, len);
			struct ch_slice head = copy_of(text);
			struct ch_message message;

			cr_assert_eq(ch_message_scan_head(head, &message), len >= tag, "%s at %zu",
				     good[i].xml, len);
			cr_assert_eq(message.kind,
				     len >= tag ? good[i].kind : CH_MESSAGE_MALFORMED);
			free(text);
			free((void *)head.data);
		}
	}
}

Test(message, a_long_comment_or_attribute_ends_at_the_input)
{
	size_t len = 1 << 20;
	char *text = malloc(len);
	struct ch_message message;

	cr_assert_not_null(text);
	memset(text, '-', len);
	memcpy(text, "<!--x", 5);
	ch_message_scan((struct ch_slice){(uint8_t *)text, len}, &message);
	cr_assert_eq(message.kind, CH_MESSAGE_MALFORMED);
	memset(text, 'a', len);
	memcpy(text, "<rpc x=\"", 8);
	cr_assert_not(ch_message_scan_head((struct ch_slice){(uint8_t *)text, len}, &message));
	memcpy(text + len - 2, "\">", 2);
	ch_message_scan((struct ch_slice){(uint8_t *)text, len}, &message);
	cr_assert_eq(message.kind, CH_MESSAGE_RPC);
	free(text);
}

Test(message, finds_the_first_child)
{
	static const char *const table[][2] = {
		{"<get-config><source/></get-config></rpc>", "get-config"},
		{" \n<nc:edit-config x=\"1\"/>", "edit-config"},
		{"text <!-- <a/> --><?b?><![CDATA[<c/>]]><ok/>", "ok"},
		{"<ok/></rpc-reply>", "ok"},
		{"<ok", ""},
		{"</rpc>", ""},
		{"<", ""},
		{"", ""},
		{"text", ""},
		{"<!-- <a/>", ""},
		{"<![CDATA[<a/>", ""},
		{"<!DOCTYPE a><a/>", ""},
		{"<1/>", ""},
	};
	size_t i;

	for (i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct ch_slice body = copy_of(table[i][0]);

		cr_assert(is(ch_message_first_child(body), table[i][1]), "%s", table[i][0]);
		free((void *)body.data);
	}
	cr_assert_eq(ch_message_first_child((struct ch_slice){NULL, 0}).len, 0);
}

static void inspect_is(const char *text, int err, bool ok, bool error, const char *tag,
		       const char *error_message)
{
	struct ch_slice xml = copy_of(text);
	struct ch_reply_info info;

	cr_assert_eq(ch_reply_inspect(xml, 8, &info), err, "%s", text);
	if (err == 0) {
		cr_assert_eq(info.ok, ok, "%s", text);
		cr_assert_eq(info.error, error, "%s", text);
		cr_assert_str_eq(info.error_tag, tag, "%s", text);
		cr_assert_str_eq(info.error_message, error_message, "%s", text);
	}
	free((void *)xml.data);
}

#define ERROR(tag, severity, message)                                                              \
	"<rpc-error><error-type>rpc</error-type><error-tag>" tag "</error-tag>" severity           \
	"<error-message xml:lang=\"en\">" message "</error-message></rpc-error>"
#define SEVERE "<error-severity> error\n</error-severity>"
#define WARNING "<error-severity>\nwarning </error-severity>"

Test(message, a_reply_without_the_word_costs_no_parser)
{
	inspect_is("<rpc-reply " BASE " message-id=\"1\"><ok/></rpc-reply>", 0, true, false, "",
		   "");
	inspect_is("<r:rpc-reply><r:ok/></r:rpc-reply>", 0, true, false, "", "");
	inspect_is("<rpc-reply><data/></rpc-reply>", 0, false, false, "", "");
	inspect_is("<rpc-reply><data><ok/></data></rpc-reply>", 0, false, false, "", "");
	inspect_is("<rpc-reply/>", 0, false, false, "", "");
	/* nesting is not looked at without a parser */
	inspect_is("<rpc-reply><a><a><a><a><a><a><a><a><a><a>", 0, false, false, "", "");
	inspect_is("hello", CH_E_SYNTAX, false, false, "", "");
}

Test(message, finds_an_rpc_error)
{
	inspect_is("<rpc-reply " BASE
		   ">" ERROR(" in-use\n", SEVERE, "\n  it is &lt;used&gt;  now\n") "</rpc-reply>",
		   0, false, true, "in-use", "it is <used>  now");
	inspect_is("<rpc-reply>" ERROR("in-use", "", "") "</rpc-reply>", 0, false, true, "in-use",
		   "");
	inspect_is("<rpc-reply><rpc-error/></rpc-reply>", 0, false, true, "", "");
	inspect_is("<n:rpc-reply xmlns:n=\"urn:ietf:params:xml:ns:netconf:base:1.0\"><n:rpc-error>"
		   "<n:error-tag>a<!-- x -->b</n:error-tag></n:rpc-error></n:rpc-reply>",
		   0, false, true, "ab", "");
}

Test(message, a_warning_is_no_error)
{
	inspect_is("<rpc-reply>" ERROR("w", WARNING, "careful") "<ok/></rpc-reply>", 0, true, false,
		   "w", "careful");
	/* the first gives the texts, any of them makes it an error */
	inspect_is("<rpc-reply>" ERROR("w", WARNING, "one")
			   ERROR("e", SEVERE, "two") "</rpc-reply>",
		   0, false, true, "w", "one");
	inspect_is("<rpc-reply>" ERROR("e", SEVERE, "one")
			   ERROR("w", WARNING, "two") "</rpc-reply>",
		   0, false, true, "e", "one");
}

Test(message, the_word_elsewhere_is_no_error)
{
	inspect_is("<rpc-reply><data><rpc-error/></data></rpc-reply>", 0, false, false, "", "");
	inspect_is("<rpc-reply><data>rpc-error</data></rpc-reply>", 0, false, false, "", "");
	inspect_is("<rpc-reply><!-- rpc-error --><ok/></rpc-reply>", 0, true, false, "", "");
	inspect_is("<rpc-reply><rpc-error xmlns=\"urn:other\"/></rpc-reply>", 0, false, false, "",
		   "");
	inspect_is("<rpc-reply><data><error-tag>rpc-error</error-tag></data></rpc-reply>", 0, false,
		   false, "", "");
	/* fields deeper than the error's own are not its fields */
	inspect_is("<rpc-reply><rpc-error><error-info><error-tag>x</error-tag></error-info>"
		   "<error-tag>y<a>z</a></error-tag></rpc-error></rpc-reply>",
		   0, false, true, "y", "");
}

Test(message, refuses_a_reply_that_is_not_well_formed_or_too_deep)
{
	inspect_is("<rpc-reply><rpc-error></rpc-reply>", CH_E_SYNTAX, false, false, "", "");
	inspect_is("<rpc-reply><rpc-error/>", CH_E_SYNTAX, false, false, "", "");
	inspect_is("<rpc-reply><rpc-error/></rpc-reply><x/>", CH_E_SYNTAX, false, false, "", "");
	inspect_is("<!DOCTYPE rpc-error><rpc-reply/>", CH_E_SYNTAX, false, false, "", "");
	inspect_is("<rpc-reply><rpc-error>\xff</rpc-error></rpc-reply>", CH_E_SYNTAX, false, false,
		   "", "");
	inspect_is("<rpc-reply><rpc-error>&x;</rpc-error></rpc-reply>", CH_E_SYNTAX, false, false,
		   "", "");
	inspect_is("<rpc-reply><rpc-error><a><a><a><a><a><a/></a></a></a></a></a></rpc-error></"
		   "rpc-reply>",
		   0, false, true, "", "");
	inspect_is(
		"<rpc-reply><rpc-error><a><a><a><a><a><a><a/></a></a></a></a></a></a></rpc-error>"
		"</rpc-reply>",
		CH_E_SYNTAX, false, false, "", "");
}

/** A reply whose error-message is @lead letters and then @text. */
static void cut_is(size_t lead, const char *text, size_t len)
{
	char xml[1024] = "<rpc-reply><rpc-error><error-message>";
	struct ch_reply_info info;
	size_t at = strlen(xml);

	memset(xml + at, 'a', lead);
	strncat(xml + at + lead, text, 64);
	strncat(xml, "</error-message></rpc-error></rpc-reply>", 64);
	cr_assert_eq(ch_reply_inspect((struct ch_slice){(uint8_t *)xml, strlen(xml)}, 8, &info), 0);
	cr_assert_eq(strlen(info.error_message), len, "%zu", strlen(info.error_message));
	cr_assert_eq(memcmp(info.error_message, xml + at, len), 0);
}

Test(message, cuts_a_long_text_between_characters)
{
	cut_is(254, "b", 255);
	cut_is(255, "b", 255);
	cut_is(300, "", 255);
	cut_is(253, "\xc3\xa9", 255);
	cut_is(254, "\xc3\xa9", 254);
	cut_is(254, "\xf0\x9f\x98\x80zzz", 254);
	cut_is(251, "\xf0\x9f\x98\x80zzz", 255);
	/* what comes behind the cut does not fill the gap */
	cut_is(254, "\xc3\xa9&amp;b", 254);
}

Test(message, a_reply_may_be_larger_than_what_expat_gets_at_once)
{
	size_t len = (size_t)17 << 20;
	static const char head[] =
		"<rpc-reply><rpc-error><error-tag>in-use</error-tag></rpc-error>";
	static const char tail[] = "</rpc-reply>";
	char *text = malloc(len);
	struct ch_reply_info info;

	cr_assert_not_null(text);
	memset(text, 'x', len);
	memcpy(text, head, sizeof(head) - 1);
	memcpy(text + len - (sizeof(tail) - 1), tail, sizeof(tail) - 1);
	cr_assert_eq(ch_reply_inspect((struct ch_slice){(uint8_t *)text, len}, 4, &info), 0);
	cr_assert(info.error);
	cr_assert_str_eq(info.error_tag, "in-use");
	text[len - 1] = ' ';
	cr_assert_eq(ch_reply_inspect((struct ch_slice){(uint8_t *)text, len}, 4, &info),
		     CH_E_SYNTAX);
	free(text);
}
