/* SPDX-License-Identifier: Apache-2.0 */
#include "option.h"

#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

struct unit {
	const char *name;
	uint64_t factor;
};

/** Digits up to the first other byte, which @rest points at. No sign, no leading zero. */
static int parse_digits(const char *text, uint64_t *value, const char **rest)
{
	const char *c = text;
	uint64_t sum = 0;
	int err = 0;

	for (; *c >= '0' && *c <= '9'; c++) {
		if (__builtin_mul_overflow(sum, 10, &sum) ||
		    __builtin_add_overflow(sum, (uint64_t)(*c - '0'), &sum))
			err = CH_E_RANGE;
	}
	if (c == text || (text[0] == '0' && c - text > 1))
		return CH_E_SYNTAX;
	*value = sum;
	*rest = c;
	return err;
}

static int parse_unit(const char *text, const struct unit *units, size_t count, uint64_t min,
		      uint64_t max, uint64_t *value)
{
	uint64_t factor = 0;
	uint64_t sum;
	const char *rest = "";
	int err = parse_digits(text, &sum, &rest);

	if (err != 0 && err != CH_E_RANGE)
		return err;
	for (size_t i = 0; i < count; i++) {
		if (strcmp(rest, units[i].name) == 0)
			factor = units[i].factor;
	}
	/* Zero is the same in every unit. */
	if (factor == 0 && sum == 0 && *rest == '\0')
		factor = 1;
	if (factor == 0)
		return CH_E_SYNTAX;
	if (err != 0 || __builtin_mul_overflow(sum, factor, &sum) || sum < min || sum > max)
		return CH_E_RANGE;
	*value = sum;
	return 0;
}

int ch_parse_uint(const char *text, uint64_t min, uint64_t max, uint64_t *value)
{
	static const struct unit units[] = {{"", 1}};

	return parse_unit(text, units, 1, min, max, value);
}

int ch_parse_size(const char *text, uint64_t min, uint64_t max, uint64_t *bytes)
{
	static const struct unit units[] = {
		{"", 1},
		{"B", 1},
		{"KiB", 1ULL << 10},
		{"MiB", 1ULL << 20},
		{"GiB", 1ULL << 30},
		{"TiB", 1ULL << 40},
		{"kB", 1000},
		{"MB", 1000000},
		{"GB", 1000000000},
		{"TB", 1000000000000},
	};

	return parse_unit(text, units, sizeof(units) / sizeof(units[0]), min, max, bytes);
}

int ch_parse_duration(const char *text, uint64_t min_ns, uint64_t max_ns, uint64_t *ns)
{
	static const struct unit units[] = {
		{"ms", 1000000ULL},	      {"s", 1000000000ULL},
		{"min", 60 * 1000000000ULL},  {"h", 3600 * 1000000000ULL},
		{"d", 86400 * 1000000000ULL},
	};

	return parse_unit(text, units, sizeof(units) / sizeof(units[0]), min_ns, max_ns, ns);
}

int ch_parse_bool(const char *text, bool *value)
{
	static const char *const words[][2] = {{"true", "false"}, {"yes", "no"}, {"on", "off"}};

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		for (int is_false = 0; is_false < 2; is_false++) {
			if (strcmp(text, words[i][is_false]) == 0) {
				*value = is_false == 0;
				return 0;
			}
		}
	}
	return CH_E_SYNTAX;
}

const char *ch_size_text(uint64_t bytes, char text[CH_VALUE_TEXT])
{
	static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
	size_t unit = 0;

	for (; unit < 4 && bytes >= 1024 && bytes % 1024 == 0; unit++)
		bytes /= 1024;
	snprintf(text, CH_VALUE_TEXT, "%" PRIu64 "%s", bytes, units[unit]);
	return text;
}

const char *ch_duration_text(uint64_t ns, char text[CH_VALUE_TEXT])
{
	uint64_t ms = ns / 1000000;

	if (ms % 1000 != 0)
		snprintf(text, CH_VALUE_TEXT, "%" PRIu64 "ms", ms);
	else if (ms % 60000 != 0 || ms <= 60000)
		snprintf(text, CH_VALUE_TEXT, "%" PRIu64 "s", ms / 1000);
	else if (ms % 3600000 != 0)
		snprintf(text, CH_VALUE_TEXT, "%" PRIu64 "min", ms / 60000);
	else
		snprintf(text, CH_VALUE_TEXT, "%" PRIu64 "h", ms / 3600000);
	return text;
}
