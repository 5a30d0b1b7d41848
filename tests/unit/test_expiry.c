/* SPDX-License-Identifier: Apache-2.0 */
/* links: collector guard proto tls kernel core */
/* sources: tests/unit/fake_ring.c tests/unit/tls_fixture.c */
/* Client certificates and anchors that end soon are told of. */
#include "worker_rig.h"
#include "user/collector/expiry.h"

#include <stdio.h>

TestSuite(expiry, .init = setup, .fini = teardown);

#define DAY INT64_C(86400)
#define NOW INT64_C(1800000000)

static struct ch_config_certificate certificates[40];
static char lines[64][256];
static unsigned line_count;

static void keep_line(void *ctx, enum ch_log_level level, const char *line)
{
	(void)ctx;
	cr_assert_eq(level, CH_LOG_WARNING);
	cr_assert_lt(line_count, 64);
	snprintf(lines[line_count++], sizeof(lines[0]), "%s", line);
}

/* @count certificates that end in so many seconds. */
static void have(size_t count, int64_t left_s)
{
	config.certificates = certificates;
	config.certificate_count = count;
	for (size_t i = 0; i < count; i++)
		certificates[i] = (struct ch_config_certificate){
			.owner = "default",
			.option = "tls-cert",
			.facts = {.not_after = NOW + left_s, .subject = "/CN=collector"}};
	shared.log = (struct ch_log){CH_LOG_INFO, keep_line, NULL};
	worker.expiry_ns = 0;
	worker.unix_ns = (uint64_t)NOW * 1000000000u;
	line_count = 0;
}

Test(expiry, whole_days_are_counted_also_behind_the_end)
{
	const uint64_t now = (uint64_t)NOW * 1000000000u;

	cr_expect_eq(ch_expiry_days(NOW + 30 * DAY, now), 30);
	cr_expect_eq(ch_expiry_days(NOW + 30 * DAY - 1, now), 29);
	cr_expect_eq(ch_expiry_days(NOW + 1, now), 0);
	cr_expect_eq(ch_expiry_days(NOW, now), -1);
	cr_expect_eq(ch_expiry_days(NOW - DAY, now), -2);
	cr_expect_eq(ch_expiry_days(INT64_C(253402300799), now), 2912063);
	cr_expect_eq(ch_expiry_days(INT64_MIN, now), -1 - NOW / DAY);
}

Test(expiry, thirty_days_ahead_it_is_told_in_log_event_and_gauge)
{
	uint64_t sequence = worker.sequence;

	have(1, 30 * DAY);
	ch_expiry_turn(&worker);
	cr_assert_eq(line_count, 0);
	cr_assert_eq(ch_stat(&worker.stats.expiring), 0);
	have(1, 30 * DAY - 1);
	ch_expiry_turn(&worker);
	cr_assert_eq(line_count, 1);
	cr_assert_str_eq(lines[0], "event=credential-expiring credential=default option=tls-cert "
				   "subject=\"/CN=collector\" days-left=29");
	cr_assert_eq(ch_stat(&worker.stats.expiring), 1);
	cr_assert_eq(worker.sequence, sequence + 1, "one line for the spool");
	certificates[0].anchor = true;
	certificates[0].option = "ca";
	certificates[0].facts.not_after = NOW - 1;
	worker.expiry_ns = 0;
	ch_expiry_turn(&worker);
	cr_assert_str_eq(lines[1], "event=anchor-expiring manufacturer=default option=ca "
				   "subject=\"/CN=collector\" days-left=-1");
}

Test(expiry, it_is_looked_at_once_a_day)
{
	have(1, 10 * DAY);
	ch_expiry_turn(&worker);
	ch_expiry_turn(&worker);
	worker.unix_ns += ((uint64_t)DAY - 1) * 1000000000u;
	ch_expiry_turn(&worker);
	cr_assert_eq(line_count, 1);
	worker.unix_ns += 1000000000u;
	ch_expiry_turn(&worker);
	cr_assert_eq(line_count, 2);
	certificates[0].facts.not_after += 365 * DAY;
	worker.expiry_ns = 0;
	ch_expiry_turn(&worker);
	cr_assert_eq(line_count, 2);
	cr_assert_eq(ch_stat(&worker.stats.expiring), 0, "the gauge goes down again");
}

Test(expiry, twenty_lines_are_the_most)
{
	have(40, DAY);
	ch_expiry_turn(&worker);
	cr_assert_eq(line_count, 21);
	cr_assert_str_eq(lines[20], "event=log-limited skipped=20");
	cr_assert_eq(ch_stat(&worker.stats.expiring), 40);
}

Test(expiry, the_view_has_the_first_that_ends)
{
	struct ch_expiry_view view;

	have(0, 0);
	ch_expiry_view(&config, worker.unix_ns, &view);
	cr_assert_eq(view.credential_days, INT64_MAX);
	cr_assert_eq(view.anchor_days, INT64_MAX);
	have(3, 40 * DAY);
	certificates[1].facts.not_after = NOW + 20 * DAY;
	certificates[2].anchor = true;
	ch_expiry_view(&config, worker.unix_ns, &view);
	cr_assert_eq(view.credential_days, 20);
	cr_assert_eq(view.anchor_days, 40);
}
