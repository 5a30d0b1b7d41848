/* SPDX-License-Identifier: Apache-2.0 */
/* links: core */
#include "user/core/address.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void expect(const char *text, uint8_t family, const char *formatted)
{
	struct ch_address address;
	char back[CH_ADDRESS_TEXT];

	cr_assert_eq(ch_address_parse(text, &address), 0, "%s", text);
	cr_assert_eq(address.family, family, "%s", text);
	ch_address_format(&address, back);
	cr_assert_str_eq(back, formatted);
}

Test(address, reads_and_writes_v4)
{
	struct ch_address address;
	const uint8_t ip[4] = {192, 0, 2, 1};

	expect("192.0.2.1:4335", 4, "192.0.2.1:4335");
	expect("0.0.0.0:0", 4, "0.0.0.0:0");
	expect("255.255.255.255:65535", 4, "255.255.255.255:65535");
	cr_assert_eq(ch_address_parse("192.0.2.1:4335", &address), 0);
	cr_assert_arr_eq(address.ip, ip, 4);
	cr_assert_eq(address.port, 4335);
}

Test(address, writes_v6_as_rfc_5952)
{
	expect("[::]:4335", 6, "[::]:4335");
	expect("[::1]:1", 6, "[::1]:1");
	expect("[2001:DB8::1]:4335", 6, "[2001:db8::1]:4335");
	expect("[2001:db8:0:0:1:0:0:1]:1", 6, "[2001:db8::1:0:0:1]:1");
	expect("[2001:0db8:0000:0001:0001:0001:0001:0001]:1", 6, "[2001:db8:0:1:1:1:1:1]:1");
	expect("[2001:db8:0:0:0:0:2:1]:1", 6, "[2001:db8::2:1]:1");
	expect("[2001:0:0:1:0:0:0:1]:1", 6, "[2001:0:0:1::1]:1");
	expect("[1:2:3:4:5:6:7:8]:1", 6, "[1:2:3:4:5:6:7:8]:1");
	expect("[1:2:3:4:5:6:7::]:1", 6, "[1:2:3:4:5:6:7:0]:1");
	expect("[fe80::]:1", 6, "[fe80::]:1");
	expect("[64:ff9b::192.0.2.33]:1", 6, "[64:ff9b::c000:221]:1");
	expect("[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535", 6,
	       "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535");
}

Test(address, a_mapped_v6_address_is_v4)
{
	expect("[::ffff:192.0.2.1]:80", 4, "192.0.2.1:80");
	expect("[::ffff:c000:201]:80", 4, "192.0.2.1:80");
	expect("[::fffe:c000:201]:80", 6, "[::fffe:c000:201]:80");
}

Test(address, rejects_what_is_not_an_endpoint)
{
	static const char *const bad[] = {
		"",
		"192.0.2.1",
		"192.0.2.1:",
		"192.0.2.1:65536",
		"192.0.2.1:-1",
		"192.0.2.1:080",
		"192.0.2.1: 80",
		"192.0.2.1:80 ",
		" 192.0.2.1:80",
		"192.0.2:80",
		"192.0.2.1.5:80",
		"192.0.2.256:80",
		"192.0.2.01:80",
		"192.0..1:80",
		"0x7f.0.0.1:80",
		"host:80",
		":80",
		"::1:80",
		"[::1]",
		"[::1]:",
		"[::1]80",
		"[::1:80",
		"[]:80",
		"[:]:80",
		"[:::]:80",
		"[1:2:3:4:5:6:7]:80",
		"[1:2:3:4:5:6:7:8:9]:80",
		"[1:2:3:4:5:6:7:8::]:80",
		"[1::2::3]:80",
		"[1:]:80",
		"[:1]:80",
		"[12345::]:80",
		"[g::]:80",
		"[fe80::1%eth0]:80",
		"[::192.0.2.1:1]:80",
		"[192.0.2.1]:80",
		"[1:2:3:4:5:6:7:192.0.2.1]:80",
		"[::1.2.3]:80",
		"[192.0.2.1::]:80",
	};
	struct ch_address address = {.port = 7};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		cr_assert_eq(ch_address_parse(bad[i], &address), CH_E_SYNTAX, "'%s'", bad[i]);
		cr_assert_eq(address.port, 7);
	}
}

Test(address, none_is_empty_text)
{
	const struct ch_address none = {0};
	char text[CH_ADDRESS_TEXT] = "x";

	ch_address_format(&none, text);
	cr_assert_str_eq(text, "");
}

/** Addresses with many zero groups, which is where texts differ. */
static void random_ip(unsigned *seed, uint8_t ip[16])
{
	for (int i = 0; i < 16; i += 2) {
		bool zero = rand_r(seed) % 2 == 0;

		ip[i] = zero ? 0 : (uint8_t)(rand_r(seed) % 3);
		ip[i + 1] = zero ? 0 : (uint8_t)rand_r(seed);
	}
}

Test(address, agrees_with_the_system_library)
{
	unsigned seed = 5;

	for (int round = 0; round < 20000; round++) {
		struct ch_address address = {.family = 6, .port = (uint16_t)rand_r(&seed)};
		struct ch_address back;
		char text[CH_ADDRESS_TEXT];
		char theirs[INET6_ADDRSTRLEN];
		char want[CH_ADDRESS_TEXT];

		random_ip(&seed, address.ip);
		if (memcmp(address.ip, "\0\0\0\0\0\0\0\0\0", 10) == 0)
			address.ip[0] = 1; /* glibc writes some of these in the dotted form */
		ch_address_format(&address, text);
		inet_ntop(AF_INET6, address.ip, theirs, sizeof(theirs));
		snprintf(want, sizeof(want), "[%s]:%u", theirs, (unsigned)address.port);
		cr_assert_str_eq(text, want);
		cr_assert_eq(ch_address_parse(text, &back), 0);
		cr_assert_eq(memcmp(&back, &address, sizeof(back)), 0);
	}
}

Test(address, accepts_exactly_what_the_system_library_accepts)
{
	static const char alphabet[] = "01:.fF%2:";
	unsigned seed = 9;
	unsigned accepted = 0;

	for (int round = 0; round < 300000; round++) {
		char inner[24] = "";
		char text[CH_ADDRESS_TEXT];
		struct ch_address address;
		uint8_t ip[16];
		size_t len = (size_t)rand_r(&seed) % 20;

		for (size_t i = 0; i < len; i++)
			inner[i] = alphabet[(size_t)rand_r(&seed) % (sizeof(alphabet) - 1)];
		snprintf(text, sizeof(text), "[%s]:1", inner);
		cr_assert_eq(ch_address_parse(text, &address) == 0,
			     inet_pton(AF_INET6, inner, ip) == 1, "%s", text);
		accepted += inet_pton(AF_INET6, inner, ip) == 1;
	}
	cr_assert_gt(accepted, 1000, "only %u", accepted);
}
