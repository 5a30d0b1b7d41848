/* SPDX-License-Identifier: Apache-2.0 */
/* links: core */
#include "user/core/option.h"

#include <criterion/criterion.h>

Test(option, reads_plain_numbers_up_to_64_bits)
{
	uint64_t value = 7;

	cr_assert_eq(ch_parse_uint("0", 0, UINT64_MAX, &value), 0);
	cr_assert_eq(value, 0);
	cr_assert_eq(ch_parse_uint("18446744073709551615", 0, UINT64_MAX, &value), 0);
	cr_assert_eq(value, UINT64_MAX);
}

Test(option, rejects_whatever_is_not_a_plain_number)
{
	static const char *const bad[] = {
		"",    " ",  "-1", "+5",  "010", "00",	  "1e3", "0x10",
		"1.5", " 1", "1 ", "1\n", "1,0", "one",	  "٣",	 "1KiB",
		"1s",  "0B", "0s", "0 ",  "NaN", "1_000", "-0",	 "99999999999999999999x",
	};
	uint64_t value = 7;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		cr_assert_eq(ch_parse_uint(bad[i], 0, UINT64_MAX, &value), CH_E_SYNTAX, "'%s'",
			     bad[i]);
		cr_assert_eq(value, 7);
	}
}

Test(option, rejects_numbers_out_of_range)
{
	uint64_t value = 7;

	cr_assert_eq(ch_parse_uint("18446744073709551616", 0, UINT64_MAX, &value), CH_E_RANGE);
	cr_assert_eq(ch_parse_uint("99999999999999999999999", 0, UINT64_MAX, &value), CH_E_RANGE);
	cr_assert_eq(ch_parse_uint("9", 10, 20, &value), CH_E_RANGE);
	cr_assert_eq(ch_parse_uint("21", 10, 20, &value), CH_E_RANGE);
	cr_assert_eq(value, 7);
	cr_assert_eq(ch_parse_uint("10", 10, 20, &value), 0);
	cr_assert_eq(ch_parse_uint("20", 10, 20, &value), 0);
	cr_assert_eq(value, 20);
}

Test(option, reads_sizes)
{
	static const struct {
		const char *text;
		uint64_t bytes;
	} rows[] = {
		{"0", 0},
		{"0KiB", 0},
		{"4096", 4096},
		{"1B", 1},
		{"1KiB", 1024},
		{"3MiB", 3145728},
		{"1GiB", 1073741824},
		{"2TiB", 2199023255552},
		{"1kB", 1000},
		{"1MB", 1000000},
		{"1GB", 1000000000},
		{"1TB", 1000000000000},
		{"16777215TiB", 18446742974197923840ULL},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		uint64_t bytes = 7;

		cr_assert_eq(ch_parse_size(rows[i].text, 0, UINT64_MAX, &bytes), 0, "%s",
			     rows[i].text);
		cr_assert_eq(bytes, rows[i].bytes, "%s", rows[i].text);
	}
}

Test(option, rejects_sizes_that_could_be_misread)
{
	static const char *const bad[] = {"1GiB ", " 1GiB", "1 GiB",  "1gib", "1GIB", "1G",
					  "1K",	   "1KB",   "010",    "-1",   "1e3",  "",
					  "KiB",   "+5",    "1.5GiB", "1GiBs"};
	uint64_t bytes = 7;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		cr_assert_eq(ch_parse_size(bad[i], 0, UINT64_MAX, &bytes), CH_E_SYNTAX, "'%s'",
			     bad[i]);
	cr_assert_eq(ch_parse_size("16777216TiB", 0, UINT64_MAX, &bytes), CH_E_RANGE);
	cr_assert_eq(ch_parse_size("1GiB", 0, 1073741823, &bytes), CH_E_RANGE);
	cr_assert_eq(ch_parse_size("1KiB", 1025, UINT64_MAX, &bytes), CH_E_RANGE);
	cr_assert_eq(bytes, 7);
}

Test(option, reads_durations)
{
	static const struct {
		const char *text;
		uint64_t ns;
	} rows[] = {
		{"0", 0},
		{"0s", 0},
		{"250ms", 250000000ULL},
		{"30s", 30000000000ULL},
		{"5min", 300000000000ULL},
		{"2h", 7200000000000ULL},
		{"1d", 86400000000000ULL},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		uint64_t ns = 7;

		cr_assert_eq(ch_parse_duration(rows[i].text, 0, UINT64_MAX, &ns), 0, "%s",
			     rows[i].text);
		cr_assert_eq(ns, rows[i].ns, "%s", rows[i].text);
	}
}

Test(option, a_duration_needs_its_unit)
{
	static const char *const bad[] = {"5",	 "1m", "5sec", "5 s",	  "5s ", "-5s", "1.5s",
					  "05s", "1M", "1us",  "1h30min", "",	 "s",	"00"};
	uint64_t ns = 7;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		cr_assert_eq(ch_parse_duration(bad[i], 0, UINT64_MAX, &ns), CH_E_SYNTAX, "'%s'",
			     bad[i]);
	cr_assert_eq(ch_parse_duration("213504d", 0, UINT64_MAX, &ns), CH_E_RANGE);
	cr_assert_eq(ch_parse_duration("0", 1, UINT64_MAX, &ns), CH_E_RANGE);
	cr_assert_eq(ch_parse_duration("2s", 0, 1999999999, &ns), CH_E_RANGE);
	cr_assert_eq(ns, 7);
}

Test(option, reads_booleans_and_nothing_like_them)
{
	static const char *const yes[] = {"true", "yes", "on"};
	static const char *const no[] = {"false", "no", "off"};
	static const char *const bad[] = {"", "1", "0", "True", "YES", "on ", "y", "n", "tru"};
	bool value;

	for (size_t i = 0; i < 3; i++) {
		value = false;
		cr_assert_eq(ch_parse_bool(yes[i], &value), 0);
		cr_assert(value);
		cr_assert_eq(ch_parse_bool(no[i], &value), 0);
		cr_assert_not(value);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		cr_assert_eq(ch_parse_bool(bad[i], &value), CH_E_SYNTAX, "'%s'", bad[i]);
}

Test(option, writes_values_as_it_reads_them)
{
	static const char *const sizes[] = {"0B",      "1023B", "1KiB",	  "1025B",
					    "1536KiB", "2GiB",	"1024TiB"};
	static const char *const durations[] = {"0s",  "1ms",  "1500ms", "60s",
						"90s", "2min", "1h",	 "24h"};
	char text[CH_VALUE_TEXT];
	uint64_t value;

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		cr_assert_eq(ch_parse_size(sizes[i], 0, UINT64_MAX, &value), 0);
		cr_assert_str_eq(ch_size_text(value, text), sizes[i]);
	}
	for (size_t i = 0; i < sizeof(durations) / sizeof(durations[0]); i++) {
		cr_assert_eq(ch_parse_duration(durations[i], 0, UINT64_MAX, &value), 0);
		cr_assert_str_eq(ch_duration_text(value, text), durations[i]);
	}
}
