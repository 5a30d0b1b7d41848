/* SPDX-License-Identifier: Apache-2.0 */
/* links: collector guard tls proto kernel core */
#include "user/collector/host.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

static char lines[4][256];
static size_t line_count;

static void keep(void *ctx, enum ch_log_level level, const char *line)
{
	(void)ctx;
	cr_assert_eq(level, CH_LOG_WARNING);
	cr_assert_lt(line_count, 4);
	snprintf(lines[line_count++], sizeof(lines[0]), "%s", line);
}

static void warn(const struct ch_probe *probe)
{
	const struct ch_config config = {.backlog = 4096};
	const struct ch_log log = {CH_LOG_INFO, keep, NULL};

	line_count = 0;
	ch_host_warn(probe, &config, &log);
}

Test(host, says_nothing_of_a_machine_that_is_well_set)
{
	warn(&(struct ch_probe){.syncookies = true, .somaxconn = 4096});
	cr_assert_eq(line_count, 0);
	warn(&(struct ch_probe){.syncookies = true, .somaxconn = 0});
	cr_assert_eq(line_count, 0, "an unknown limit is none");
}

Test(host, names_syn_cookies_that_are_off_and_how_to_switch_them_on)
{
	warn(&(struct ch_probe){.syncookies = false, .somaxconn = 4096});
	cr_assert_eq(line_count, 1);
	cr_assert_not_null(strstr(lines[0], "sysctl net.ipv4.tcp_syncookies=1"));
}

Test(host, names_a_backlog_that_the_kernel_cuts)
{
	warn(&(struct ch_probe){.syncookies = true, .somaxconn = 128});
	cr_assert_eq(line_count, 1);
	cr_assert_not_null(strstr(lines[0], "limit=backlog asked=4096 used=128"));
	cr_assert_not_null(strstr(lines[0], "sysctl net.core.somaxconn=4096"));
}
