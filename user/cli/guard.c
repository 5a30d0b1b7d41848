/* SPDX-License-Identifier: Apache-2.0 */
#include "guard.h"
#include "change.h"
#include "http.h"
#include "listing.h"

#include <string.h>

static void print_load(const json_t *limits, const char *member, const char *what)
{
	const json_t *load = json_object_get(limits, member);

	printf("%llu of %llu %s", member_number(load, "used"), member_number(load, "limit"), what);
}

void guard_print_limits(const json_t *guard)
{
	const json_t *limits = json_object_get(guard, "limits");

	print_load(limits, "sessions", "sessions, ");
	print_load(limits, "handshakes", "logging in, ");
	print_load(limits, "sources", "sources, ");
	print_load(limits, "bans", "bans");
}

static void print_early(const struct cli *cli, const json_t *early)
{
	const json_t *interface;
	const char *before = "; early on ";
	size_t i;

	json_array_foreach(json_object_get(early, "interfaces"), i, interface)
	{
		const char *mode = member_text(interface, "mode");
		const char *why = member_text(interface, "why");

		fputs(before, stdout);
		before = ", ";
		output_bytes(cli, member_text(interface, "interface"),
			     strlen(member_text(interface, "interface")), CLEAN_CELL);
		printf(" (%s", strcmp(mode, "none") == 0 ? "not" : mode);
		if (why[0] != '\0') {
			fputs(": ", stdout);
			output_bytes(cli, why, strlen(why), CLEAN_CELL);
		}
		fputs(")", stdout);
	}
}

void guard_print_where(const struct cli *cli, const json_t *guard)
{
	const char *where = member_text(guard, "where");
	const char *why = member_text(guard, "why");
	const char *doors_why = member_text(guard, "doors_why");

	if (strcmp(where, "off") == 0)
		fputs("off", stdout);
	else if (strcmp(where, "kernel") == 0)
		fputs("in the kernel, and at accept", stdout);
	else
		fputs("at accept only", stdout);
	printf(" (guard.mode: %s)", member_text(guard, "mode"));
	if (why[0] != '\0') {
		fputs(": ", stdout);
		output_bytes(cli, why, strlen(why), CLEAN_CELL);
	}
	if (doors_why[0] != '\0') {
		fputs("; known sources have no door of their own: ", stdout);
		output_bytes(cli, doors_why, strlen(doors_why), CLEAN_CELL);
	}
	print_early(cli, json_object_get(guard, "early"));
	if (json_is_true(json_object_get(guard, "dry_run")))
		fputs("; a dry run: nobody is refused", stdout);
}

/** One row with the counts of @json behind the first cells. */
static void count_row(struct table *table, const char *const *first, unsigned columns,
		      const json_t *json)
{
	const char *cells[TABLE_COLUMNS];
	char early_text[24];
	char kernel_text[24];
	char accept_text[24];

	for (unsigned i = 0; i < columns; i++)
		cells[i] = first[i];
	snprintf(early_text, sizeof(early_text), "%llu", member_number(json, "early"));
	snprintf(kernel_text, sizeof(kernel_text), "%llu", member_number(json, "kernel"));
	snprintf(accept_text, sizeof(accept_text), "%llu", member_number(json, "accept"));
	cells[columns] = early_text;
	cells[columns + 1] = kernel_text;
	cells[columns + 2] = accept_text;
	table_row(table, cells, "");
}

static int print_verdicts(struct cli *cli, const json_t *json)
{
	static const char *const headings[] = {"VERDICT", "EARLY", "KERNEL", "ACCEPT"};
	struct table table;
	const json_t *verdict;
	size_t i;

	table_init(&table, cli, 4, headings);
	json_array_foreach(json_object_get(json, "verdicts"), i, verdict)
	{
		const char *name = member_text(verdict, "verdict");

		count_row(&table, &name, 1, verdict);
	}
	return table_finish(&table) ? CLI_OK : cli_fail(cli, CLI_FAILED, "out of memory");
}

static int print_stats(struct cli *cli, const json_t *json)
{
	fputs("guard    ", stdout);
	guard_print_where(cli, json);
	fputs("\nlimits   ", stdout);
	guard_print_limits(json);
	printf("\ncounted  since %.19s\n\n", json_is_string(json_object_get(json, "reset"))
						     ? member_text(json, "reset")
						     : "the start");
	return print_verdicts(cli, json);
}

static int stats(struct cli *cli, int argc, char **argv)
{
	return cli_object(cli, argc, argv, "/v1/guard", print_stats);
}

static bool rule_line(void *ctx, const json_t *json)
{
	const json_t *listeners = json_object_get(json, "listeners");
	const json_t *listener;
	char prefixes[24];
	char since[24] = "start";
	const char *cells[] = {member_text(json, "rule"), member_text(json, "action"), prefixes,
			       since, "all"};
	size_t i;

	snprintf(prefixes, sizeof(prefixes), "%llu", member_number(json, "prefixes"));
	if (json_is_string(json_object_get(json, "reset")))
		snprintf(since, sizeof(since), "%.19sZ", member_text(json, "reset"));
	count_row(ctx, cells, 5, json);
	if (json_array_size(listeners) < 2)
		return true;
	json_array_foreach(listeners, i, listener)
	{
		const char *lines[] = {"", "", "", "", member_text(listener, "listener")};

		count_row(ctx, lines, 5, listener);
	}
	return true;
}

static int rules(struct cli *cli, int argc, char **argv)
{
	static const struct option options[] = {{"json", no_argument, NULL, 'j'},
						CLI_COMMON_OPTIONS};
	static const char *const headings[] = {"RULE",	   "ACTION", "PREFIXES", "SINCE",
					       "LISTENER", "EARLY",  "KERNEL",	 "ACCEPT"};
	static const struct cli_listing listing = {
		.path = "/v1/guard/rules",
		.none = "there is no rule",
		.headings = headings,
		.columns = 8,
		.line = rule_line,
	};

	if (cli_next(cli, argc, argv, "", options) == CLI_STOP)
		return cli->exit;
	if (optind < argc)
		return cli_usage(cli, "unexpected argument '%s'", argv[optind]);
	return cli_list(cli, &listing);
}

static int reset(struct cli *cli, int argc, char **argv)
{
	static const struct option options[] = {CLI_COMMON_OPTIONS};
	struct ch_buf path = {0};
	int err;

	if (cli_next(cli, argc, argv, "", options) == CLI_STOP)
		return cli->exit;
	if (optind + 1 < argc)
		return cli_usage(cli, "name one rule, or none for all");
	err = ch_buf_append_str(&path, "/v1/guard/reset");
	if (err == 0 && optind < argc)
		err = ch_buf_append_str(&path, "?rule=");
	if (err == 0 && optind < argc)
		err = http_escape(&path, argv[optind]);
	if (err == 0)
		return change_do(cli, "POST", &path, (struct ch_slice){0});
	ch_buf_deinit(&path);
	return cli_fail(cli, CLI_FAILED, "out of memory");
}

int cli_guard(struct cli *cli, int argc, char **argv)
{
	static const struct cli_action actions[] = {
		{"stats", stats}, {"rules", rules}, {"reset", reset}, {0}};

	return cli_act(cli, argc, argv, actions);
}
