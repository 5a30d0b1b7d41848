/* SPDX-License-Identifier: Apache-2.0 */
/* `callhome ban` and `callhome guard`, and what others say about the guard. */
/* links: collector guard kernel proto core */
/* sources: tests/unit/fake_collector.c user/cli/ban.c user/cli/change.c user/cli/clean.c */
/* sources: user/cli/cli.c user/cli/config.c user/cli/devices.c user/cli/doctor.c */
/* sources: user/cli/guard.c user/cli/http.c user/cli/input.c user/cli/inventory.c */
/* sources: user/cli/kill.c user/cli/listing.c user/cli/output.c user/cli/reload.c */
/* sources: user/cli/rpc.c user/cli/show.c user/cli/status.c */
#include "cli_rig.h"

TestSuite(cli_guard, .init = setup, .fini = teardown, .timeout = 60);
TestSuite(cli_guard_alone, .init = setup_without, .fini = teardown, .timeout = 60);

static void serve_prepared(void (*how)(struct ch_collector *fake))
{
	prepare = how;
	setenv("CALLHOME_SOCKET", path, 1);
	start_server(1);
}

Test(cli_guard, bans_are_a_table)
{
	expect("ban ls", 0,
	       "SOURCE             SINCE                 UNTIL                 CAUSE     LEVEL  "
	       "HITS\n"
	       "10.0.0.0           2026-01-01T00:00:00Z  2026-01-01T00:05:00Z  failures  1      "
	       "7\n"
	       "2001:db8:0:1::/64  2026-01-01T00:00:00Z  lifted                operator  0      "
	       "8\n",
	       "");
}

Test(cli_guard, bans_as_json_pass_lines_through)
{
	expect("ban ls --json", 0,
	       "{\"source\":\"10.0.0.0\",\"since\":\"2026-01-01T00:00:00.000Z\","
	       "\"until\":\"2026-01-01T00:05:00.000Z\",\"cause\":\"failures\",\"level\":1,"
	       "\"hits\":7}\n"
	       "{\"source\":\"2001:db8:0:1::/64\",\"since\":\"2026-01-01T00:00:00.000Z\","
	       "\"until\":null,\"cause\":\"operator\",\"level\":0,\"hits\":8}\n",
	       "");
}

static void many_bans(struct ch_collector *fake)
{
	fake_set_bans(fake, 12000);
}

Test(cli_guard_alone, bans_are_fetched_page_by_page)
{
	unsigned lines = 0;

	serve_prepared(many_bans);
	run_with("ban ls", "");
	cr_expect_eq(outcome.exit, 0, "%s", outcome.err);
	for (const char *c = outcome.out; *c != '\0'; c++)
		lines += *c == '\n';
	cr_expect_eq(lines, 12002, "%u", lines);
	cr_expect_not_null(strstr(outcome.out, "\n10.0.39.16 "), "the first of the second page");
}

Test(cli_guard, sources_are_banned_and_lifted)
{
	expect("ban add 192.0.2.1", 0, "192.0.2.1 is banned until the ban is lifted\n", "");
	expect("ban add 192.0.2.1 --for 10min", 0, "192.0.2.1 is banned for 600 s\n", "");
	expect("ban add 2001:db8::/64 --for 1500ms", 0, "2001:db8::/64 is banned for 2 s\n", "");
	expect("ban rm 2001:db8:0:1::/64", 0, "2001:db8:0:1::/64 is not banned any more\n", "");
}

Test(cli_guard, mistakes_about_bans_are_explained)
{
	expect("ban add word", 2, "",
	       "callhome: 'word' is no source: write an IPv4 or IPv6 address\n");
	expect("ban add never", 1, "",
	       "callhome: never is never banned: a rule with the action permit or never-ban holds "
	       "for it; see 'callhome guard rules'\n");
	expect("ban rm 192.0.2.77", 1, "",
	       "callhome: 192.0.2.77 is not banned; see 'callhome ban ls'\n");
	expect("ban add 192.0.2.1 --for 10", 2, "",
	       "callhome: --for must be a time from 1s to 3650d, such as 90s, 10min or 2h, not "
	       "'10'; see 'callhome ban --help'\n");
	expect("ban add", 2, "",
	       "callhome: name one source by its address; see 'callhome ban --help'\n");
	expect("ban rm", 2, "",
	       "callhome: name one source by its address; see 'callhome ban --help'\n");
	expect("ban", 2, "",
	       "callhome: say what to do: ls|add SOURCE|rm SOURCE; see 'callhome ban --help'\n");
	expect("ban lift 10.0.0.1", 2, "",
	       "callhome: 'lift' is none of: ls|add SOURCE|rm SOURCE; see 'callhome ban --help'\n");
	expect("ban ls --for 1s", 2, "",
	       "callhome: unrecognized option '--for'\nsee 'callhome ban --help'\n");
}

Test(cli_guard, stats_say_where_how_close_and_what)
{
	expect("guard stats", 0,
	       "guard    in the kernel, and at accept (guard.mode: auto)\n"
	       "limits   987 of 10000 sessions, 13 of 500 logging in, 1200 of 16384 sources, 2 of "
	       "1024 bans\n"
	       "counted  since the start\n"
	       "\n"
	       "VERDICT  EARLY  KERNEL  ACCEPT\n"
	       "pass     0      900     800\n"
	       "banned   40     70      0\n",
	       "");
	run_with("guard stats --json", "");
	cr_expect_eq(outcome.exit, 0);
	cr_expect_eq(strncmp(outcome.out, "{\"mode\":\"auto\",", 15), 0, "%s", outcome.out);
}

/* row: 2.9.3 2.9.4 */
Test(cli_guard, rules_show_their_hits_by_listener)
{
	expect("guard rules", 0,
	       "RULE     ACTION  PREFIXES  SINCE                 LISTENER        EARLY  KERNEL  "
	       "ACCEPT\n"
	       "friends  permit  1         start                 all             0      5       4\n"
	       "                                                 192.0.2.9:4334  0      3       1\n"
	       "                                                 192.0.2.9:4335  0      2       3\n"
	       "foes     drop    100000    2026-01-01T00:00:00Z  all             6      8       0\n"
	       "                                                 192.0.2.9:4334  1      8       0\n"
	       "                                                 192.0.2.9:4335  5      0       "
	       "0\n",
	       "");
	run_with("guard rules --json", "");
	cr_expect_eq(outcome.exit, 0);
	cr_expect_eq(strncmp(outcome.out, "{\"rule\":\"friends\",", 18), 0, "%s", outcome.out);
}

Test(cli_guard, counters_are_reset)
{
	expect("guard reset", 0, "all rules and verdicts are counted anew\n", "");
	expect("guard reset foes", 0, "the hits of rule foes are counted anew\n", "");
	expect("guard reset fiends", 1, "",
	       "callhome: no rule of the guard is called 'fiends'; see 'callhome guard rules' for "
	       "the names\n");
	expect("guard reset a b", 2, "",
	       "callhome: name one rule, or none for all; see 'callhome guard --help'\n");
}

static void expect_in(const char *line, int code, const char *part)
{
	run_with(line, "");
	cr_expect_eq(outcome.exit, code, "%s", outcome.err);
	cr_expect_not_null(strstr(outcome.out, part), "%s", outcome.out);
}

Test(cli_guard_alone, status_and_doctor_say_why_there_is_but_one_door)
{
	serve_prepared(fake_one_door);
	expect_in("status", 0,
		  "guard          in the kernel, and at accept (guard.mode: auto); known sources "
		  "have "
		  "no door of their own: it needs another kernel\n");
	expect_in("doctor", 1,
		  "WRONG known devices do not stand in line behind strangers: it needs another "
		  "kernel\n");
}

Test(cli_guard_alone, status_and_doctor_name_what_is_missing)
{
	serve_prepared(fake_poor_guard);
	expect_in("status", 0,
		  "guard          at accept only (guard.mode: auto): CAP_BPF is missing; early on "
		  "eth0 "
		  "(native), eth1 (not: there is no interface eth1)\n"
		  "limits         987 of 10000 sessions, 13 of 500 logging in, 1200 of 16384 "
		  "sources, 2 of 1024 bans\n");
	expect_in("doctor", 1,
		  "WRONG the guard works where guard.mode wants it: CAP_BPF is missing\n"
		  "ok    the guard's early stage works on eth0\n"
		  "WRONG the guard's early stage works on eth1: there is no interface eth1\n"
		  "WRONG SYN cookies are on: set the sysctl net.ipv4.tcp_syncookies to 1; without "
		  "them a flood of forged SYNs keeps every device out\n"
		  "WRONG the backlog of the listeners is as long as configured: raise the sysctl "
		  "net.core.somaxconn to limits.backlog and restart callhomed\n"
		  "ok    less than 90 % of the bans are in use\n");
}
