/* SPDX-License-Identifier: Apache-2.0 */
/* links: collector guard kernel proto core */
/* sources: tests/unit/fake_collector.c */
/* What a Prometheus server scrapes. */
#include "control_rig.h"

#include <regex.h>

TestSuite(control_metrics, .init = setup_open, .fini = teardown, .timeout = 60);

static bool is_match(const char *pattern, const char *text)
{
	regex_t regex;
	bool found;

	cr_assert_eq(regcomp(&regex, pattern, REG_EXTENDED | REG_NOSUB), 0);
	found = regexec(&regex, text, 0, NULL, 0) == 0;
	regfree(&regex);
	return found;
}

Test(control_metrics, are_lines_of_the_text_format)
{
	struct answer answer = request("GET", "/metrics", NULL);
	char type[128] = "";
	char *rest;

	cr_assert_eq(answer.status, 200);
	cr_assert_not_null(strstr(answer.text, "Content-Type: text/plain; version=0.0.4"));
	for (char *line = strtok_r((char *)answer.body, "\n", &rest); line != NULL;
	     line = strtok_r(NULL, "\n", &rest)) {
		if (sscanf(line, "# TYPE %127s", type) == 1)
			continue;
		if (strncmp(line, "# HELP ", 7) == 0) {
			cr_expect(is_match("^# HELP callhome_[a-z0-9_]+ .+$", line), "%s", line);
			continue;
		}
		cr_expect(is_match("^callhome_[a-z0-9_]+(\\{[a-z]+=\"[^\"]+\"(,[a-z]+=\"[^\"]+\")*\\})? "
				   "-?[0-9]+(\\.[0-9]+)?(e[+-][0-9]+)?$",
				   line),
			  "%s", line);
		cr_expect_eq(strncmp(line, type, strlen(type)), 0, "%s is not below its type %s",
			     line, type);
	}
	free(answer.text);
}

Test(control_metrics, hold_counters_reasons_and_what_status_shows)
{
	static const char *const lines[] = {
		"\ncallhome_spool_lines_total{stream=\"replies\"} 33\n",
		"\ncallhome_login_seconds{quantile=\"0.99\"} 0.098700\n",
		"\ncallhome_max_sessions 10000\n",
		"\n# TYPE callhome_up gauge\ncallhome_up 987\n",
		"\n# TYPE callhome_accepted_total counter\ncallhome_accepted_total ",
		"\ncallhome_ended_total{reason=\"",
		"\ncallhome_credential_days 29\n",
		"\ncallhome_guard_verdicts_total{at=\"kernel\",verdict=\"pass\"} 1900\n",
		"\ncallhome_guard_verdicts_total{at=\"accept\",verdict=\"pass\"} 1800\n",
		"\ncallhome_guard_bans 2\n",
	};
	struct answer answer = request("GET", "/metrics", NULL);

	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
		cr_expect_not_null(strstr(answer.body, lines[i]), "%s is not in\n%s", lines[i],
				   answer.body);
	cr_expect_null(strstr(answer.body, "anchor_days"), "there is none");
	free(answer.text);
}

Test(control_metrics, hold_the_early_stage_where_there_is_one)
{
	static const char *const lines[] = {
		"\ncallhome_guard_verdicts_total{at=\"early\",verdict=\"banned\"} 90\n",
		"\ncallhome_guard_early{interface=\"eth0\"} 1\ncallhome_guard_early{interface=\"eth1\"} 0\n",
	};
	struct answer answer = request("GET", "/metrics", NULL);

	cr_expect_null(strstr(answer.body, "callhome_guard_early"));
	cr_expect_null(strstr(answer.body, "at=\"early\""));
	free(answer.text);
	fake_poor_guard(fake);
	answer = request("GET", "/metrics", NULL);
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
		cr_expect_not_null(strstr(answer.body, lines[i]), "%s is not in\n%s", lines[i],
				   answer.body);
	free(answer.text);
}
