/* SPDX-License-Identifier: Apache-2.0 */
/* links: proto core */
#include "user/proto/proxy.h"

#include <criterion/criterion.h>
#include <string.h>

#define SIGNATURE "\r\n\r\n\0\r\nQUIT\n"
#define V4(src, port) src "\x7f\0\0\1" port "\x10\xef"
#define TLV "\x04\0\5hello"
#define CRC "\x03\0\4"

struct sample {
	const char *bytes;
	size_t len;
	int result;
	const char *source; /* "" = the balancer's own */
};
#define SAMPLE(text, result, source) {text, sizeof(text) - 1, result, source}

static const struct sample samples[] = {
	SAMPLE(SIGNATURE "\x21\x11\0\x0c" V4("\xc0\0\2\7", "\x04\xd2"), 0, "192.0.2.7:1234"),
	SAMPLE(SIGNATURE "\x21\x11\0\x14" V4("\xc0\0\2\7", "\x04\xd2") TLV, 0, "192.0.2.7:1234"),
	SAMPLE(SIGNATURE "\x21\x21\0\x24" "\x20\1\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\7"
	       "\x20\1\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\1" "\x04\xd2\x10\xef", 0, "[2001:db8::7]:1234"),
	SAMPLE(SIGNATURE "\x21\x21\0\x24" "\0\0\0\0\0\0\0\0\0\0\xff\xff\xc0\0\2\7"
	       "\0\0\0\0\0\0\0\0\0\0\xff\xff\x7f\0\0\1" "\x04\xd2\x10\xef", 0, "192.0.2.7:1234"),
	SAMPLE(SIGNATURE "\x21\x11\0\x13" V4("\xc0\0\2\7", "\x04\xd2") CRC "\x64\x0a\xd8\x87", 0, "192.0.2.7:1234"),
	SAMPLE(SIGNATURE "\x21\x11\0\x23" V4("\xc0\0\2\7", "\x04\xd2") TLV CRC "\x36\x72\xca\xb3" TLV, 0, "192.0.2.7:1234"),
	SAMPLE(SIGNATURE "\x21\x11\0\x13" V4("\xc0\0\2\7", "\x04\xd2") CRC "\x64\x0a\xd8\x86", CH_E_RANGE, ""),
	SAMPLE(SIGNATURE "\x21\x11\0\x23" V4("\xc0\0\2\7", "\x04\xd2") TLV CRC "\x36\x72\xca\xb3" "\x04\0\5hellO", CH_E_RANGE, ""),
	SAMPLE(SIGNATURE "\x21\x11\0\x1a" V4("\xc0\0\2\7", "\x04\xd2") CRC "\x64\x0a\xd8\x87" CRC "\x64\x0a\xd8\x87", CH_E_SYNTAX, ""),
	SAMPLE(SIGNATURE "\x21\x11\0\x12" V4("\xc0\0\2\7", "\x04\xd2") "\x03\0\3abc", CH_E_SYNTAX, ""),
	SAMPLE(SIGNATURE "\x21\x11\0\x12" V4("\xc0\0\2\7", "\x04\xd2") "\x04\0\4abc", CH_E_SYNTAX, ""),
	SAMPLE(SIGNATURE "\x21\x11\0\x0e" V4("\xc0\0\2\7", "\x04\xd2") "\x04\0", CH_E_SYNTAX, ""),
	/* What HAProxy says of its own: a checksum that nobody need read. */
	SAMPLE(SIGNATURE "\x20\0\0\7" CRC "\xa9\xb8\x7e\x8f", 0, ""),
	SAMPLE(SIGNATURE "\x20\0\0\7" CRC "\0\0\0\0", 0, ""),
	SAMPLE(SIGNATURE "\x20\0\0\0", 0, ""),
	SAMPLE(SIGNATURE "\x20\x11\0\x0c" V4("\xc0\0\2\7", "\x04\xd2"), 0, ""),
	SAMPLE(SIGNATURE "\x21\0\0\3abc", 0, ""),
	SAMPLE(SIGNATURE "\x11\x11\0\x0c" V4("\xc0\0\2\7", "\x04\xd2"), CH_E_SYNTAX, ""),
	SAMPLE(SIGNATURE "\x22\x11\0\x0c" V4("\xc0\0\2\7", "\x04\xd2"), CH_E_SYNTAX, ""),
	SAMPLE(SIGNATURE "\x21\x11\0\x0b" V4("\xc0\0\2\7", "\x04\xd2"), CH_E_SYNTAX, ""),
	SAMPLE(SIGNATURE "\x21\x21\0\x23" V4("\xc0\0\2\7", "\x04\xd2"), CH_E_SYNTAX, ""),
	SAMPLE(SIGNATURE "\x21\x12\0\x0c" V4("\xc0\0\2\7", "\x04\xd2"), CH_E_UNSUPPORTED, ""),
	SAMPLE(SIGNATURE "\x21\x31\0\xd8 /a socket", CH_E_UNSUPPORTED, ""),
	SAMPLE(SIGNATURE "\x21\x11\x07\xf1" V4("\xc0\0\2\7", "\x04\xd2"), CH_E_LIMIT, ""),
	SAMPLE("PROXY TCP4 192.0.2.7 127.0.0.1 1234 4335\r\n", CH_E_SYNTAX, ""),
	SAMPLE("\x16\3\1\2\0\1\0\1\xfc\3\3 a device that speaks first", CH_E_SYNTAX, ""),
};

/* Feeds a sample with a cut at @split. @return the first result that is not MORE */
static int feed(const struct sample *s, size_t split, struct ch_proxy *proxy, size_t *used)
{
	size_t more;
	int result;

	*proxy = (struct ch_proxy){0};
	result = ch_proxy_feed(proxy, (const uint8_t *)s->bytes, split, used);
	if (result != CH_PROXY_MORE)
		return result;
	cr_assert_eq(*used, split);
	cr_assert_geq(ch_proxy_wanted(proxy), 1);
	result = ch_proxy_feed(proxy, (const uint8_t *)s->bytes + split, s->len - split, &more);
	*used += more;
	return result;
}

Test(proxy, says_the_same_wherever_the_header_is_split)
{
	for (size_t i = 0; i < sizeof(samples) / sizeof(samples[0]); i++) {
		for (size_t split = 0; split <= samples[i].len; split++) {
			char text[CH_ADDRESS_TEXT];
			struct ch_proxy proxy;
			size_t used;

			cr_assert_eq(feed(&samples[i], split, &proxy, &used), samples[i].result,
				     "sample %zu at %zu", i, split);
			ch_address_format(&proxy.source, text);
			cr_assert_str_eq(text, samples[i].source, "sample %zu at %zu", i, split);
			if (samples[i].result == 0)
				cr_assert_eq(used, samples[i].len);
		}
	}
}

Test(proxy, leaves_what_stands_behind_the_header)
{
	static const char bytes[] = SIGNATURE "\x21\x11\0\x0c" V4("\xc0\0\2\7", "\x04\xd2") "\x16\3\1";
	struct ch_proxy proxy = {0};
	size_t used;

	cr_assert_eq(ch_proxy_feed(&proxy, (const uint8_t *)bytes, sizeof(bytes) - 1, &used), 0);
	cr_assert_eq(used, 28);
}

Test(proxy, wants_no_byte_that_may_be_another_ones)
{
	static const char bytes[] = SIGNATURE "\x21\x11\0\x14" V4("\xc0\0\2\7", "\x04\xd2") TLV;
	struct ch_proxy proxy = {0};
	size_t used;

	cr_assert_eq(ch_proxy_wanted(&proxy), 16);
	cr_assert_eq(ch_proxy_feed(&proxy, (const uint8_t *)bytes, 16, &used), CH_PROXY_MORE);
	cr_assert_eq(ch_proxy_wanted(&proxy), 20);
	cr_assert_eq(ch_proxy_feed(&proxy, (const uint8_t *)bytes + 16, 20, &used), 0);
}

Test(proxy, takes_a_header_of_the_greatest_length)
{
	uint8_t bytes[CH_PROXY_MAX] =
		SIGNATURE "\x21\x11\x07\xf0" V4("\xc0\0\2\7", "\x04\xd2") "\x04\x07\xe1";
	struct ch_proxy proxy = {0};
	size_t used;

	cr_assert_eq(ch_proxy_feed(&proxy, bytes, sizeof(bytes) - 1, &used), CH_PROXY_MORE);
	cr_assert_eq(ch_proxy_feed(&proxy, bytes + sizeof(bytes) - 1, 1, &used), 0);
	cr_assert_eq(proxy.source.family, 4);
}
