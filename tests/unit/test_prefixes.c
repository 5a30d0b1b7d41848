/* SPDX-License-Identifier: Apache-2.0 */
/* links: guard core */
#include "user/guard/prefixes.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct ch_prefix_list list;

static void add(const char *text, uint32_t rule)
{
	struct guard_prefix prefix;

	cr_assert_eq(ch_prefix_parse(text, &prefix), 0, "%s", text);
	cr_assert_eq(ch_prefix_list_add(&list, &prefix, rule), 0);
}

static uint32_t find(const struct ch_prefixes *prefixes, const char *endpoint)
{
	struct ch_address address;
	struct guard_source source;

	cr_assert_eq(ch_address_parse(endpoint, &address), 0);
	ch_source_whole(&address, &source);
	return ch_prefixes_find(prefixes, &source);
}

static void expect_text(const char *text, const char *same)
{
	struct guard_prefix prefix;
	char got[CH_PREFIX_TEXT];

	cr_assert_eq(ch_prefix_parse(text, &prefix), 0, "%s", text);
	ch_prefix_format(&prefix, got);
	cr_assert_str_eq(got, same);
}

Test(prefixes, are_read_and_written)
{
	expect_text("192.0.2.0/24", "192.0.2.0/24");
	expect_text("192.0.2.1", "192.0.2.1");
	expect_text("192.0.2.1/32", "192.0.2.1");
	expect_text("0.0.0.0/0", "0.0.0.0/0");
	expect_text("2001:db8::/32", "2001:db8::/32");
	expect_text("2001:0DB8::1", "2001:db8::1");
	expect_text("::/0", "::/0");
}

Test(prefixes, refuses_what_is_none)
{
	const char *const bad[] = {"",	      "/24",	       "192.0.2.0/33", "192.0.2.0/",
				   "192.0.2", "192.0.2.0/024", "2001:db8::/129", "192.0.2.0/+8",
				   "host",    "192.0.2.0/24 x"};
	struct guard_prefix prefix;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		cr_assert_eq(ch_prefix_parse(bad[i], &prefix), CH_E_SYNTAX, "%s", bad[i]);
	cr_assert_eq(ch_prefix_parse("192.0.2.1/24", &prefix), CH_E_RANGE);
	cr_assert_eq(ch_prefix_parse("2001:db8::1/32", &prefix), CH_E_RANGE);
}

/* row: 2.8.2 */
Test(prefixes, match_the_longest)
{
	struct ch_prefixes *prefixes;

	add("10.0.0.0/8", 1);
	add("10.1.0.0/16", 2);
	add("10.1.2.3", 3);
	add("2001:db8::/32", 4);
	cr_assert_eq(ch_prefixes_new(&list, &prefixes), 0);
	cr_assert_eq(find(prefixes, "10.9.9.9:1"), 1);
	cr_assert_eq(find(prefixes, "10.1.9.9:1"), 2);
	cr_assert_eq(find(prefixes, "10.1.2.3:1"), 3);
	cr_assert_eq(find(prefixes, "11.0.0.1:1"), 0);
	cr_assert_eq(find(prefixes, "[2001:db8:ffff::1]:1"), 4);
	cr_assert_eq(find(prefixes, "[2001:db9::1]:1"), 0);
	ch_prefixes_free(prefixes);
	ch_prefix_list_deinit(&list);
}

Test(prefixes, of_all_ipv6_leave_ipv4_alone)
{
	struct ch_prefixes *prefixes;

	add("::/0", 1);
	cr_assert_eq(ch_prefixes_new(&list, &prefixes), 0);
	cr_assert_eq(find(prefixes, "[2001:db8::1]:1"), 1);
	cr_assert_eq(find(prefixes, "[::1]:1"), 1);
	cr_assert_eq(find(prefixes, "[::fffe:1.2.3.4]:1"), 1);
	cr_assert_eq(find(prefixes, "192.0.2.1:1"), 0);
	ch_prefixes_free(prefixes);
	ch_prefix_list_deinit(&list);
	add("0.0.0.0/0", 1);
	cr_assert_eq(ch_prefixes_new(&list, &prefixes), 0);
	cr_assert_eq(find(prefixes, "192.0.2.1:1"), 1);
	cr_assert_eq(find(prefixes, "[2001:db8::1]:1"), 0);
	ch_prefixes_free(prefixes);
	ch_prefix_list_deinit(&list);
}

Test(prefixes, of_a_file_with_every_mistake_named)
{
	char name[] = "/tmp/prefixes-XXXXXX";
	struct ch_buf error = {0};
	FILE *file = fdopen(mkstemp(name), "w");

	fputs("# bad ones\n192.0.2.0/24\n\n  2001:db8::/32 # documentation\nnonsense\n10.0.0.1/8\n",
	      file);
	fclose(file);
	cr_assert_eq(ch_prefix_list_read(&list, name, 1, &error), CH_E_CONFIG);
	cr_assert_eq(ch_buf_append(&error, "", 1), 0);
	cr_assert_not_null(strstr((char *)error.data, ":5: \"nonsense\" is no address or prefix"));
	cr_assert_not_null(strstr((char *)error.data, ":6: \"10.0.0.1/8\" has bits behind"));
	cr_assert_eq(list.count, 2);
	unlink(name);
	ch_buf_deinit(&error);
	ch_prefix_list_deinit(&list);
}
