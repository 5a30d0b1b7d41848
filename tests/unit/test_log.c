/* SPDX-License-Identifier: Apache-2.0 */
/* links: core */
#include "user/core/log.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#define SECOND 1000000000ULL

struct sink {
	char line[2048];
	enum ch_log_level level;
	int lines;
};

static void take(void *ctx, enum ch_log_level level, const char *line)
{
	struct sink *sink = ctx;

	strncpy(sink->line, line, sizeof(sink->line) - 1);
	sink->level = level;
	sink->lines++;
}

Test(log, formats_and_drops_by_level)
{
	struct sink sink = {0};
	struct ch_log log = {.level = CH_LOG_WARNING, .write = take, .ctx = &sink};

	ch_log(&log, CH_LOG_INFO, "event=%s", "no");
	cr_assert_eq(sink.lines, 0);
	ch_log(&log, CH_LOG_WARNING, "event=%s n=%d", "yes", 5);
	cr_assert_eq(sink.lines, 1);
	cr_assert_str_eq(sink.line, "event=yes n=5");
	cr_assert_eq(sink.level, CH_LOG_WARNING);
	ch_log(&log, CH_LOG_ERROR, "event=bad");
	cr_assert_eq(sink.lines, 2);
	ch_log(NULL, CH_LOG_ERROR, "event=nowhere");
	cr_assert_eq(sink.lines, 2);
}

Test(log, cuts_long_lines)
{
	struct sink sink = {0};
	struct ch_log log = {.level = CH_LOG_DEBUG, .write = take, .ctx = &sink};
	char text[1500];

	memset(text, 'x', sizeof(text));
	text[1499] = '\0';
	ch_log(&log, CH_LOG_DEBUG, "%s", text);
	cr_assert_eq(strlen(sink.line), 1023);
}

Test(log, one_record_is_one_line)
{
	struct sink sink = {0};
	struct ch_log log = {.level = CH_LOG_INFO, .write = take, .ctx = &sink};

	ch_log(&log, CH_LOG_INFO, "name=%s", "a\nevent=forged\x1b[2J\x7f\xc3\xa4");
	cr_assert_str_eq(sink.line, "name=a?event=forged?[2J?\xc3\xa4");
}

Test(log, names_its_levels)
{
	cr_assert_str_eq(ch_log_level_name(CH_LOG_ERROR), "error");
	cr_assert_str_eq(ch_log_level_name(CH_LOG_WARNING), "warning");
	cr_assert_str_eq(ch_log_level_name(CH_LOG_INFO), "info");
	cr_assert_str_eq(ch_log_level_name(CH_LOG_DEBUG), "debug");
	cr_assert_str_eq(ch_log_level_name((enum ch_log_level)9), "unknown");
}

Test(log, lets_a_burst_through_and_then_the_rate)
{
	struct ch_log_limit limit = {0};
	uint64_t now = 50 * SECOND;
	uint64_t held;
	unsigned passed = 0;

	for (int i = 0; i < 100; i++)
		passed += ch_log_allow(&limit, now, 10, 5, &held);
	cr_assert_eq(passed, 5);
	cr_assert_not(ch_log_allow(&limit, now + SECOND / 10 - 1, 10, 5, &held));
	cr_assert(ch_log_allow(&limit, now + SECOND / 10, 10, 5, &held));
	cr_assert_eq(held, 96);
	cr_assert_not(ch_log_allow(&limit, now + SECOND / 10, 10, 5, &held));
	cr_assert_eq(held, 0);
	passed = 0;
	for (uint64_t t = 1; t <= 1000; t++)
		passed += ch_log_allow(&limit, now + SECOND + t * SECOND / 100, 10, 5, &held);
	cr_assert_geq(passed, 100);
	cr_assert_leq(passed, 105);
}

Test(log, tells_nothing_held_when_nothing_was)
{
	struct ch_log_limit limit = {0};
	uint64_t held = 9;

	cr_assert(ch_log_allow(&limit, SECOND, 1, 1, &held));
	cr_assert_eq(held, 0);
}

Test(log, a_zero_rate_holds_everything_back)
{
	struct ch_log_limit limit = {0};
	uint64_t held;

	cr_assert_not(ch_log_allow(&limit, SECOND, 0, 5, &held));
	cr_assert_not(ch_log_allow(&limit, SECOND, 5, 0, &held));
	cr_assert(ch_log_allow(&limit, SECOND, 5, 1, &held));
	cr_assert_eq(held, 2);
}
