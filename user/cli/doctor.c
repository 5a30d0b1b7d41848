/* SPDX-License-Identifier: Apache-2.0 */
#include <callhome/callhome.h>
#include "listing.h"

#include <stdlib.h>
#include <string.h>

static unsigned long long number(const json_t *json, const char *group, const char *member)
{
	if (group != NULL)
		json = json_object_get(json, group);
	return (unsigned long long)json_integer_value(json_object_get(json, member));
}

/** One line of JSON. @return false: there is no memory for it */
static bool print_json(const struct cli *cli, bool good, const char *text, const char *advice)
{
	json_t *json = json_pack("{s:b, s:s, s:s*}", "ok", good, "finding", text, "advice",
				 good ? NULL : advice);
	char *line = json_dumps(json, JSON_COMPACT);

	if (line != NULL) {
		output_bytes(cli, line, strlen(line), CLEAN_JSON);
		putchar('\n');
	}
	free(line);
	json_decref(json);
	return line != NULL;
}

/** @return 1 if something is wrong, else 0 */
static int finding(const struct cli *cli, bool good, const char *text, const char *advice)
{
	if (!cli->json)
		printf("%-5s %s%s%s\n", good ? "ok" : "WRONG", text, good ? "" : ": ",
		       good ? "" : advice);
	else if (!print_json(cli, good, text, advice))
		return cli_fail(cli, 1, "out of memory");
	return good ? 0 : 1;
}

/** The early stage, where one is configured. */
static int examine_early(const struct cli *cli, const json_t *early)
{
	const json_t *interface;
	int wrong = 0;
	size_t i;

	json_array_foreach(json_object_get(early, "interfaces"), i, interface)
	{
		const char *name = json_string_value(json_object_get(interface, "interface"));
		const char *why = json_string_value(json_object_get(interface, "why"));
		char text[64];

		snprintf(text, sizeof(text), "the guard's early stage works on %.16s",
			 name != NULL ? name : "");
		wrong += finding(cli, why == NULL || why[0] == '\0', text, why);
	}
	return wrong;
}

/** What the defence of the listeners needs of this host. */
static int examine_guard(const struct cli *cli, const json_t *guard)
{
	const char *why = json_string_value(json_object_get(guard, "why"));
	const char *doors_why = json_string_value(json_object_get(guard, "doors_why"));
	const json_t *limits = json_object_get(guard, "limits");
	unsigned long long somaxconn = number(guard, "host", "somaxconn");
	unsigned long long bans = number(limits, "bans", "limit");
	int wrong = 0;

	if (guard == NULL)
		return 0;
	wrong += finding(cli, why == NULL || why[0] == '\0',
			 "the guard works where guard.mode wants it", why);
	/* What is missing without the kernel was told. */
	if (number(guard, NULL, "doors") > 1 || (doors_why != NULL && doors_why[0] != '\0'))
		wrong += finding(cli, number(guard, NULL, "doors") > 1,
				 "known devices do not stand in line behind strangers", doors_why);
	wrong += examine_early(cli, json_object_get(guard, "early"));
	wrong += finding(
		cli, json_is_true(json_object_get(json_object_get(guard, "host"), "syncookies")),
		"SYN cookies are on",
		"set the sysctl net.ipv4.tcp_syncookies to 1; without them a flood of "
		"forged SYNs keeps every device out");
	wrong += finding(cli, somaxconn == 0 || number(guard, "host", "backlog") <= somaxconn,
			 "the backlog of the listeners is as long as configured",
			 "raise the sysctl net.core.somaxconn to limits.backlog and restart "
			 "callhomed");
	wrong += finding(cli, number(limits, "bans", "used") < bans - bans / 10,
			 "less than 90 % of the bans are in use",
			 "raise guard.max-bans, or drop the sources' prefixes by a rule");
	return wrong;
}

static int examine(struct cli *cli, const json_t *json)
{
	const char *version = json_string_value(json_object_get(json, "version"));
	unsigned long long budget = number(json, NULL, "byte_budget");
	int wrong = finding(cli, true, "callhomed answers on its control socket", "");

	wrong += finding(cli, version != NULL && strcmp(version, ch_version()) == 0,
			 "callhome and callhomed have the same version",
			 "restart callhomed after an upgrade");
	wrong += finding(cli, number(json, "spool", "errors") == 0,
			 "the spool was written without errors",
			 "look for event=spool-error in the log of callhomed; is the disk full?");
	wrong += finding(cli, number(json, "spool", "dropped") == 0,
			 "no line of the spool was dropped", "the disk is full or too slow");
	wrong += finding(cli, number(json, "reasons", "session-limit") == 0,
			 "no connection was refused for max-sessions", "raise limits.max-sessions");
	wrong += finding(cli,
			 budget == 0 || number(json, NULL, "byte_budget_used") < budget / 10 * 9,
			 "less than 90 % of the byte budget is used", "raise limits.byte-budget");
	wrong += finding(cli, number(json, "counters", "table_full") == 0,
			 "no slot table was ever full",
			 "raise limits.threads, or the limit of open files");
	wrong += finding(cli, number(json, "counters", "expiring") == 0,
			 "no client certificate and no anchor ends within 30 days",
			 "look for event=credential-expiring and event=anchor-expiring in the log "
			 "of callhomed");
	wrong += finding(cli,
			 json_is_true(json_object_get(json_object_get(json, "privileges"),
						      "no_new_privileges")),
			 "callhomed gave up the privileges that its start needed",
			 "start it anew; a program of your own calls ch_collector_on_prepared");
	wrong += examine_guard(cli, json_object_get(json, "guard"));
	return wrong > 0 ? CLI_FAILED : CLI_OK;
}

int cli_doctor(struct cli *cli, int argc, char **argv)
{
	return cli_judgement(cli, argc, argv, "/v1/status", examine);
}
