/* SPDX-License-Identifier: Apache-2.0 */
/* links: tls proto core */
/* sources: bench/verify.c bench/impostor.c bench/device.c bench/cert_to_name.c bench/netconf.c bench/pki.c */
#include "bench/verify.h"

#include <criterion/criterion.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CONNECTED "{\"event\":\"device-connected\",\"device\":\"a\",\"peer\":\"127.1.0.1:1\"}\n"
#define SHUTDOWN                                                                                   \
	"{\"event\":\"device-disconnected\",\"device\":\"a\",\"peer\":\"127.1.0.1:1\","              \
	"\"reason\":\"shutdown\"}\n"
#define STARTED "{\"event\":\"collector-started\"}\n"
#define EXPIRED                                                                                    \
	"{\"event\":\"auth-failed\",\"device\":null,\"peer\":\"127.1.0.9:7\","                       \
	"\"reason\":\"certificate-expired\"}\n"

static char dir[64];
static struct sim_verdict verdict;
static struct sim_failures failures;

static void make(void)
{
	snprintf(dir, sizeof(dir), "/tmp/callhome-verify-XXXXXX");
	cr_assert_not_null(mkdtemp(dir));
}

static int remove_entry(const char *path, const struct stat *info, int type, struct FTW *walk)
{
	(void)info;
	(void)type;
	(void)walk;
	return remove(path);
}

static void unmake(void)
{
	(void)nftw(dir, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}

TestSuite(sim_verify, .init = make, .fini = unmake);

static void put(const char *name, const char *text)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	FILE *file = fopen(path, "w");
	cr_assert_not_null(file);
	fputs(text, file);
	fclose(file);
}

static int verify(enum ch_reason goodbye)
{
	const struct sim_impostor_view views[1] = {{
		.kind = sim_impostor_find("expired", 7),
		.local = {.ip = {127, 1, 0, 9}, .port = 7, .family = 4},
	}};

	return sim_verify(dir, views, 1, goodbye, &verdict, &failures);
}

Test(sim_verify, accepts_an_orderly_run)
{
	put("events.ndjson", SHUTDOWN);
	put("events-20261121T000000Z-1.ndjson", STARTED CONNECTED EXPIRED);
	put("notifications.ndjson", "{\"a\":1}\n{\"a\":2}\n");
	put("notifications-20261121T000000Z-1.ndjson", "{\"a\":0}\n");
	put("replies.ndjson", "{\"r\":1}\n");
	put("other.txt", "not looked at");
	cr_assert_eq(verify(CH_REASON_SHUTDOWN), 0);
	cr_assert_eq(failures.count, 0, "%s", failures.text[0]);
	cr_assert_eq(verdict.right, 1);
	cr_assert_eq(verdict.connected, 1);
	cr_assert_eq(verdict.notifications, 3);
	cr_assert_eq(verdict.replies, 1);
}

Test(sim_verify, tells_a_wrong_reason)
{
	put("events.ndjson", "{\"event\":\"auth-failed\",\"peer\":\"127.1.0.9:7\","
			     "\"reason\":\"unknown-ca\"}\n");
	cr_assert_eq(verify(CH_REASON_SHUTDOWN), 0);
	cr_assert_eq(failures.count, 1);
	cr_assert_str_eq(failures.text[0], "impostor expired from 127.1.0.9:7 ended as unknown-ca "
					   "(auth-failed), not as certificate-expired");
	cr_assert_eq(verdict.right, 0);
}

Test(sim_verify, tells_a_missing_end)
{
	put("events.ndjson", STARTED);
	cr_assert_eq(verify(CH_REASON_SHUTDOWN), 0);
	cr_assert_eq(failures.count, 1);
	cr_assert_str_eq(failures.text[0],
			 "impostor expired from 127.1.0.9:7: the collector told no end");
}

Test(sim_verify, tells_a_second_end)
{
	put("events.ndjson", EXPIRED EXPIRED);
	cr_assert_eq(verify(CH_REASON_SHUTDOWN), 0);
	cr_assert_eq(failures.count, 1);
	cr_assert_str_eq(failures.text[0], "impostor expired from 127.1.0.9:7 ended 2 times");
	cr_assert_eq(verdict.right, 1);
}

Test(sim_verify, tells_devices_that_ended_badly)
{
	put("events.ndjson", EXPIRED "{\"event\":\"device-disconnected\",\"device\":\"a\","
				     "\"peer\":\"127.1.0.1:1\",\"reason\":\"bad-record\"}\n");
	cr_assert_eq(verify(CH_REASON_SHUTDOWN), 0);
	cr_assert_eq(failures.count, 1);
	cr_assert_str_eq(failures.text[0], "device a (127.1.0.1:1): device-disconnected, bad-record");
	memset(&failures, 0, sizeof(failures));
	cr_assert_eq(verify(CH_REASON_NONE), 0);
	cr_assert_eq(failures.count, 0);
}

Test(sim_verify, tells_broken_lines)
{
	put("events.ndjson", EXPIRED "{\"event\":\n");
	put("notifications.ndjson", "{\"a\":1}\n{\"cut");
	cr_assert_eq(verify(CH_REASON_SHUTDOWN), 0);
	cr_assert_eq(failures.count, 2);
}

Test(sim_verify, tells_a_missing_spool)
{
	snprintf(dir, sizeof(dir), "/tmp/callhome-no-such-directory");
	cr_assert_eq(verify(CH_REASON_SHUTDOWN), -2);
	cr_assert_str_eq(failures.text[0], "cannot read the spool /tmp/callhome-no-such-directory: "
					   "No such file or directory");
}

Test(sim_verify, keeps_twenty_failures_and_counts_the_rest)
{
	for (int i = 0; i < 100; i++)
		sim_failures_add(&failures, "number %d", i);
	cr_assert_eq(failures.count, 100);
	cr_assert_str_eq(failures.text[19], "number 19");
}
