/* SPDX-License-Identifier: Apache-2.0 */
/* links: collector guard kernel proto core */
/* sources: tests/unit/fake_collector.c */
/* The guard over the control socket. */
#include "control_rig.h"

#include <pwd.h>

TestSuite(control_guard, .init = setup_open, .fini = teardown, .timeout = 60);

static void expect_body(const char *method, const char *target, const char *body)
{
	struct answer answer = request(method, target, NULL);

	cr_expect_eq(answer.status, 200, "%s", answer.text);
	cr_expect_str_eq(answer.body, body, "%s", target);
	free(answer.text);
}

#define FIRST                                                                                      \
	"{\"source\":\"10.0.0.0\",\"since\":\"2026-01-01T00:00:00.000Z\","                         \
	"\"until\":\"2026-01-01T00:05:00.000Z\",\"cause\":\"failures\",\"level\":1,\"hits\":7}\n"
#define LAST                                                                                       \
	"{\"source\":\"2001:db8:0:1::/64\",\"since\":\"2026-01-01T00:00:00.000Z\","                \
	"\"until\":null,\"cause\":\"operator\",\"level\":0,\"hits\":8}\n"

Test(control_guard, lists_bans)
{
	expect_body("GET", "/v1/bans", FIRST LAST);
	expect_body("GET", "/v1/bans?limit=1", FIRST);
	expect_body("GET", "/v1/bans?after=10.0.0.0", LAST);
	expect_body("GET", "/v1/bans?after=2001%3Adb8%3A0%3A1%3A%3A%2F64", "");
	expect_error("GET", "/v1/bans?after=word", NULL, 400, "bad-parameter",
		     "'after' must be the source of a ban, such as 192.0.2.1 or "
		     "2001%3Adb8%3A%3A%2F64");
	expect_error("GET", "/v1/bans?limit=0", NULL, 400, "bad-parameter",
		     "'limit' must be a number from 1 to 4294967295");
}

static unsigned count_lines(const char *text)
{
	unsigned lines = 0;

	for (; *text != '\0'; text++)
		lines += *text == '\n';
	return lines;
}

Test(control_guard, streams_many_bans_each_once)
{
	struct answer answer;

	fake_set_bans(fake, 9000);
	answer = request("GET", "/v1/bans", NULL);
	cr_expect_eq(count_lines(answer.body), 9001);
	cr_expect_not_null(strstr(answer.body, "\"10.0.15.255\""), "the last of the first page");
	cr_expect_not_null(strstr(answer.body, "\"10.0.16.0\""), "the first of the second");
	free(answer.text);
	answer = request("GET", "/v1/bans?limit=5000", NULL);
	cr_expect_eq(count_lines(answer.body), 5000);
	free(answer.text);
}

Test(control_guard, bans_and_lifts_in_the_name_of_the_user)
{
	const struct passwd *us = getpwuid(geteuid());
	char expected[128];

	cr_assert_not_null(us);
	expect_body("POST", "/v1/bans?source=192.0.2.1&seconds=600",
		    "{\"message\":\"192.0.2.1 is banned for 600 s\"}\n");
	snprintf(expected, sizeof(expected), "ban 192.0.2.1 600 %s", us->pw_name);
	cr_expect_str_eq(fake_guard_change(fake), expected);
	expect_body("POST", "/v1/bans?source=2001%3Adb8%3A%3A%2F64",
		    "{\"message\":\"2001:db8::/64 is banned until the ban is lifted\"}\n");
	snprintf(expected, sizeof(expected), "ban 2001:db8::/64 0 %s", us->pw_name);
	cr_expect_str_eq(fake_guard_change(fake), expected);
	expect_body("DELETE", "/v1/bans/2001%3Adb8%3A0%3A1%3A%3A%2F64",
		    "{\"message\":\"2001:db8:0:1::/64 is not banned any more\"}\n");
	snprintf(expected, sizeof(expected), "unban 2001:db8:0:1::/64 %s", us->pw_name);
	cr_expect_str_eq(fake_guard_change(fake), expected);
}

Test(control_guard, says_why_a_source_is_not_banned)
{
	expect_error("POST", "/v1/bans", NULL, 400, "bad-parameter",
		     "'source' must say who is banned: an IPv4 or IPv6 address");
	expect_error("POST", "/v1/bans?source=10.0.0.1&seconds=1h", NULL, 400, "bad-parameter",
		     "'seconds' must be a number from 0 (until it is lifted) to 315360000 (ten "
		     "years)");
	expect_error("POST", "/v1/bans?source=word", NULL, 400, "bad-source",
		     "'word' is no source: write an IPv4 or IPv6 address");
	expect_error("POST", "/v1/bans?source=wide", NULL, 400, "bad-source",
		     "'wide' is not one source: that is an IPv4 /32 or an IPv6 /64 here "
		     "(guard.v4-prefix, guard.v6-prefix); for other prefixes make a rule with the "
		     "action drop");
	expect_error("POST", "/v1/bans?source=never", NULL, 409, "never-banned",
		     "never is never banned: a rule with the action permit or never-ban holds for "
		     "it; see 'callhome guard rules'");
	expect_error("POST", "/v1/bans?source=off", NULL, 409, "guard-off",
		     "nobody can be banned: guard.mode is off");
	expect_error("POST", "/v1/bans?source=full", NULL, 409, "full",
		     "all 1024 bans are in use, and all of them end later than this one would; "
		     "lift some, or raise guard.max-bans");
	expect_error("DELETE", "/v1/bans/192.0.2.77", NULL, 404, "unknown-source",
		     "192.0.2.77 is not banned; see 'callhome ban ls'");
	expect_error("DELETE", "/v1/bans/word", NULL, 400, "bad-source",
		     "'word' is no source: write an IPv4 or IPv6 address");
	cr_expect_str_eq(fake_guard_change(fake), "", "nothing was done");
}

#define STATE(where, why, doors, early, cookies, somaxconn)                                        \
	"\"mode\":\"auto\",\"where\":\"" where "\",\"why\":\"" why "\",\"doors\":" doors           \
	",\"doors_why\":\"\",\"early\":" early ",\"dry_run\":false,"                               \
	"\"limits\":{\"sessions\":{\"used\":987,\"limit\":10000},"                                 \
	"\"handshakes\":{\"used\":13,\"limit\":500},"                                              \
	"\"sources\":{\"used\":1200,\"limit\":16384},\"bans\":{\"used\":2,\"limit\":1024}},"       \
	"\"host\":{\"syncookies\":" cookies ",\"backlog\":4096,\"somaxconn\":" somaxconn "}"

Test(control_guard, shows_where_it_works_what_it_counted_and_how_close_its_limits_are)
{
	expect_body(
		"GET", "/v1/guard",
		"{" STATE(
			"kernel", "", "2", "{\"stage\":\"off\",\"interfaces\":[]}", "true",
			"4096") ",\"v4_prefix\":32,\"v6_prefix\":64,"
				"\"logging_in\":13,\"bans_failed\":0,\"reset\":null,\"verdicts\":["
				"{\"verdict\":\"pass\",\"early\":0,\"kernel\":900,\"accept\":800,"
				"\"early_total\":0,\"kernel_total\":1900,\"accept_total\":1800},"
				"{\"verdict\":\"banned\",\"early\":40,\"kernel\":70,\"accept\":0,"
				"\"early_total\":90,\"kernel_total\":70,\"accept_total\":0}]}\n");
}

Test(control_guard, is_part_of_the_status)
{
	struct answer answer;

	fake_poor_guard(fake);
	answer = request("GET", "/v1/status", NULL);
	cr_expect_not_null(
		strstr(answer.body,
		       "\"guard\":{" STATE(
			       "accept", "CAP_BPF is missing", "1",
			       "{\"stage\":\"xdp\",\"interfaces\":[{\"interface\":\"eth0\","
			       "\"mode\":\"native\",\"why\":\"\"},{\"interface\":\"eth1\","
			       "\"mode\":\"none\",\"why\":\"there is no interface eth1\"}]}",
			       "false", "128") "}"),
		"%s", answer.body);
	free(answer.text);
}

/* row: 2.9.3 2.9.4 */
Test(control_guard, shows_each_rule_with_its_hits_by_listener)
{
	expect_body("GET", "/v1/guard/rules",
		    "{\"rule\":\"friends\",\"action\":\"permit\",\"prefixes\":1,\"early\":0,"
		    "\"kernel\":5,\"accept\":4,\"early_total\":0,\"kernel_total\":15,"
		    "\"accept_total\":14,\"reset\":null,\"listeners\":["
		    "{\"listener\":\"192.0.2.9:4334\",\"early\":0,\"kernel\":3,"
		    "\"accept\":1,\"early_total\":0,\"kernel_total\":9,\"accept_total\":1},"
		    "{\"listener\":\"192.0.2.9:4335\",\"early\":0,\"kernel\":2,"
		    "\"accept\":3,\"early_total\":0,\"kernel_total\":6,\"accept_total\":13}]}\n"
		    "{\"rule\":\"foes\",\"action\":\"drop\",\"prefixes\":100000,\"early\":6,"
		    "\"kernel\":8,\"accept\":0,\"early_total\":16,\"kernel_total\":8,"
		    "\"accept_total\":0,\"reset\":\"2026-01-01T00:00:00.000Z\",\"listeners\":["
		    "{\"listener\":\"192.0.2.9:4334\",\"early\":1,\"kernel\":8,"
		    "\"accept\":0,\"early_total\":2,\"kernel_total\":8,\"accept_total\":0},"
		    "{\"listener\":\"192.0.2.9:4335\",\"early\":5,\"kernel\":0,"
		    "\"accept\":0,\"early_total\":14,\"kernel_total\":0,\"accept_total\":0}]}\n");
}

Test(control_guard, resets_one_rule_or_all)
{
	expect_body("POST", "/v1/guard/reset?rule=foes",
		    "{\"message\":\"the hits of rule foes are counted anew\"}\n");
	cr_expect_str_eq(fake_guard_change(fake), "reset foes");
	expect_body("POST", "/v1/guard/reset",
		    "{\"message\":\"all rules and verdicts are counted anew\"}\n");
	cr_expect_str_eq(fake_guard_change(fake), "reset all");
	expect_error("POST", "/v1/guard/reset?rule=x", NULL, 404, "unknown-rule",
		     "no rule of the guard is called 'x'; see 'callhome guard rules' for the "
		     "names");
}
