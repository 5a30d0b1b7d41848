/* SPDX-License-Identifier: Apache-2.0 */
/* links: core */
#include "user/core/json.h"

#include <criterion/criterion.h>
#include <float.h>
#include <jansson.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct ch_buf out;
static struct ch_json json;

static void setup(void)
{
	memset(&out, 0, sizeof(out));
	ch_json_init(&json, &out);
}

static void teardown(void)
{
	ch_buf_deinit(&out);
}

TestSuite(json, .init = setup, .fini = teardown);

static void expect(const char *text)
{
	cr_assert_eq(json.err, 0);
	cr_assert_eq(ch_buf_append(&out, "", 1), 0);
	cr_assert_str_eq((char *)out.data, text);
	out.len--;
}

static void expect_escaped(const char *bytes, size_t len, const char *text)
{
	out.len = 0;
	cr_assert_eq(ch_json_escape(&out, (struct ch_slice){(const uint8_t *)bytes, len}), 0);
	expect(text);
}

Test(json, places_commas)
{
	ch_json_object(&json, NULL);
	ch_json_uint(&json, "a", 1);
	ch_json_array(&json, "b");
	ch_json_array_end(&json);
	ch_json_array(&json, "c");
	ch_json_object(&json, NULL);
	ch_json_uint(&json, "x", 1);
	ch_json_object_end(&json);
	ch_json_object(&json, NULL);
	ch_json_bool(&json, "t", true);
	ch_json_bool(&json, "f", false);
	ch_json_object_end(&json);
	ch_json_int(&json, NULL, -5);
	ch_json_array_end(&json);
	ch_json_str(&json, "n", NULL);
	ch_json_object_end(&json);
	expect("{\"a\":1,\"b\":[],\"c\":[{\"x\":1},{\"t\":true,\"f\":false},-5],\"n\":null}");
}

Test(json, outermost_values_are_left_to_the_caller)
{
	for (int i = 0; i < 2; i++) {
		ch_json_object(&json, NULL);
		ch_json_object_end(&json);
		cr_assert_eq(ch_buf_append_str(&out, "\n"), 0);
	}
	expect("{}\n{}\n");
}

Test(json, writes_the_whole_range_of_integers)
{
	ch_json_array(&json, NULL);
	ch_json_uint(&json, NULL, UINT64_MAX);
	ch_json_int(&json, NULL, INT64_MIN);
	ch_json_uint(&json, NULL, 0);
	ch_json_array_end(&json);
	expect("[18446744073709551615,-9223372036854775808,0]");
}

Test(json, doubles_have_three_decimals_in_any_locale)
{
	setlocale(LC_ALL, "de_DE.UTF-8");
	ch_json_array(&json, NULL);
	ch_json_double(&json, NULL, 0);
	ch_json_double(&json, NULL, 1.2345);
	ch_json_double(&json, NULL, -0.5);
	ch_json_double(&json, NULL, 1.9996);
	ch_json_double(&json, NULL, -0.0001);
	ch_json_double(&json, NULL, 1e18);
	ch_json_double(&json, NULL, (double)NAN);
	ch_json_double(&json, NULL, -(double)INFINITY);
	ch_json_array_end(&json);
	expect("[0.000,1.235,-0.500,2.000,0.000,1000000000000000000.000,null,null]");
}

Test(json, the_largest_double_fits)
{
	ch_json_double(&json, NULL, -DBL_MAX);
	cr_assert_eq(json.err, 0);
	cr_assert_eq(out.len, 1 + 309 + 4);
}

Test(json, times_are_rfc3339)
{
	static const struct {
		uint64_t seconds;
		const char *text;
	} rows[] = {
		{1, "\"1970-01-01T00:00:01.000Z\""},
		{951782400, "\"2000-02-29T00:00:00.000Z\""},
		{1709251199, "\"2024-02-29T23:59:59.000Z\""},
		{1735689599, "\"2024-12-31T23:59:59.000Z\""},
		{4107542400, "\"2100-03-01T00:00:00.000Z\""},
		{18446744073, "\"2554-07-21T23:34:33.000Z\""},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		out.len = 0;
		ch_json_time(&json, NULL, rows[i].seconds * 1000000000);
		expect(rows[i].text);
	}
	out.len = 0;
	ch_json_time(&json, NULL, 1700000000123999999);
	expect("\"2023-11-14T22:13:20.123Z\"");
	out.len = 0;
	ch_json_time(&json, NULL, 0);
	expect("null");
}

Test(json, writes_a_digest_in_lower_case_digits)
{
	uint8_t digest[32] = {0x00, 0x1f, 0xa0};

	digest[31] = 0xff;
	ch_json_digest(&json, NULL, digest);
	expect("\"001fa000000000000000000000000000000000000000000000000000000000ff\"");
}

Test(json, escapes_what_json_needs)
{
	expect_escaped("a\"b\\c/\b\f\n\r\t\x01\x1f\x7f", 14,
		       "a\\\"b\\\\c/\\u0008\\u000c\\n\\r\\t\\u0001\\u001f\\u007f");
	expect_escaped("nul\0nul", 7, "nul\\u0000nul");
	expect_escaped("", 0, "");
}

Test(json, keeps_utf8_and_replaces_the_rest_byte_by_byte)
{
	static const char fffd[] = "\xef\xbf\xbd";
	static const struct {
		const char *bytes;
		unsigned bad; /**< bytes that become U+FFFD; 0 = kept as it is */
	} rows[] = {
		{"\xc3\xa4", 0},
		{"\xe2\x82\xac", 0},
		{"\xf0\x9f\x98\x80", 0},
		{"\xf4\x8f\xbf\xbf", 0},
		{"\xed\x9f\xbf", 0},
		{"\xee\x80\x80", 0},
		{"\x80", 1},
		{"\xc0\xaf", 2}, /* overlong "/" */
		{"\xc1\xbf", 2},
		{"\xe0\x9f\xbf", 3},	 /* overlong */
		{"\xed\xa0\x80", 3},	 /* surrogate */
		{"\xf0\x8f\xbf\xbf", 4}, /* overlong */
		{"\xf4\x90\x80\x80", 4}, /* above U+10FFFF */
		{"\xf5\x80\x80\x80", 4},
		{"\xff", 1},
		{"\xe2\x82", 2}, /* cut */
		{"\xf0\x9f\x98", 3},
		{"\xc3", 1},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char want[64];

		snprintf(want, sizeof(want), "%s%s%s%s%s", rows[i].bad == 0 ? rows[i].bytes : "",
			 rows[i].bad > 0 ? fffd : "", rows[i].bad > 1 ? fffd : "",
			 rows[i].bad > 2 ? fffd : "", rows[i].bad > 3 ? fffd : "");
		expect_escaped(rows[i].bytes, strlen(rows[i].bytes), want);
	}
	expect_escaped("\xe2\x82x", 3, "\xef\xbf\xbd\xef\xbf\xbdx");
}

Test(json, hostile_bytes_always_parse)
{
	unsigned seed = 3;

	for (int round = 0; round < 2000; round++) {
		uint8_t bytes[64];
		json_error_t error;
		json_t *parsed;

		for (size_t i = 0; i < sizeof(bytes); i++)
			bytes[i] = (uint8_t)rand_r(&seed);
		out.len = 0;
		ch_json_init(&json, &out);
		ch_json_object(&json, NULL);
		ch_json_bytes(&json, "k", (struct ch_slice){bytes, (size_t)round % 65});
		ch_json_object_end(&json);
		cr_assert_eq(json.err, 0);
		parsed = json_loadb((char *)out.data, out.len, JSON_ALLOW_NUL, &error);
		cr_assert_not_null(parsed, "%s", error.text);
		json_decref(parsed);
	}
}

Test(json, the_first_error_sticks_and_nothing_follows_it)
{
	out.max = 10;
	ch_json_object(&json, NULL);
	ch_json_str(&json, "key", "a long value");
	cr_assert_eq(json.err, CH_E_LIMIT);
	ch_json_object_end(&json);
	cr_assert_eq(json.err, CH_E_LIMIT);
	cr_assert_leq(out.len, 10);
	cr_assert_neq(out.data[out.len - 1], '}');
}

Test(json, depth_32_is_fine_and_33_is_a_limit)
{
	for (int i = 0; i < 32; i++) {
		ch_json_array(&json, NULL);
		ch_json_uint(&json, NULL, 1);
	}
	cr_assert_eq(json.err, 0);
	cr_assert_eq(out.len, 32 * 2 + 31);
	ch_json_array(&json, NULL);
	cr_assert_eq(json.err, CH_E_LIMIT);
}
