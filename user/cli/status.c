/* SPDX-License-Identifier: Apache-2.0 */
#include "guard.h"
#include "http.h"
#include "output.h"

#include <string.h>

static unsigned long long number(const json_t *json, const char *member)
{
	return (unsigned long long)json_integer_value(json_object_get(json, member));
}

static const char *text(const json_t *json, const char *member)
{
	const char *value = json_string_value(json_object_get(json, member));

	return value != NULL ? value : "-";
}

static void print_uptime(unsigned long long seconds)
{
	if (seconds >= 86400)
		printf("%llu d ", seconds / 86400);
	if (seconds >= 3600)
		printf("%llu h ", seconds / 3600 % 24);
	if (seconds >= 60)
		printf("%llu min ", seconds / 60 % 60);
	printf("%llu s\n", seconds % 60);
}

/** Bytes in the largest unit that leaves a number of at least 1. */
static void print_bytes(unsigned long long bytes)
{
	static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
	double value = (double)bytes;
	unsigned unit = 0;

	while (value >= 1024 && unit < 4) {
		value /= 1024;
		unit++;
	}
	printf(unit == 0 ? "%.0f %s" : "%.1f %s", value, units[unit]);
}

/** The members of an object that are not zero, one per line. */
static void print_members(const char *heading, const json_t *object, const char *none)
{
	const char *label = heading;
	const char *name;
	json_t *value;

	json_object_foreach((json_t *)object, name, value)
	{
		if (json_integer_value(value) == 0)
			continue;
		printf("%-14s %12lld  %s\n", label, (long long)json_integer_value(value), name);
		label = "";
	}
	if (label[0] != '\0')
		printf("%-14s %s\n", heading, none);
}

static void print_reload(const json_t *reload)
{
	const char *failed = text(reload, "failed");

	printf("judged by      generation %llu, loaded %.19sZ\n", number(reload, "generation"),
	       text(reload, "loaded"));
	if (json_is_string(json_object_get(reload, "failed")))
		printf("               the reload at %.19sZ failed: %.*s\n", failed,
		       (int)strcspn(text(reload, "error"), "\n"), text(reload, "error"));
}

static void print_expiry(const json_t *expiry)
{
	static const char *const members[][2] = {
		{"credential_days", "the first client certificate"},
		{"anchor_days", "the first anchor"}};
	const char *between = "";

	fputs("certificates   ", stdout);
	for (size_t i = 0; i < 2; i++) {
		const json_t *days = json_object_get(expiry, members[i][0]);
		long long left = (long long)json_integer_value(days);

		if (days == NULL)
			continue;
		if (left < 0)
			printf("%s%s has ended", between, members[i][1]);
		else
			printf("%s%s ends in %lld days", between, members[i][1], left);
		between = ", ";
	}
	puts(between[0] == '\0' ? "-" : "");
}

static void print_revocation(const json_t *crl)
{
	if (crl == NULL)
		return;
	printf("revocation     %llu lists with %llu entries", number(crl, "lists"),
	       number(crl, "entries"));
	if (json_is_string(json_object_get(crl, "oldest")))
		printf(", the oldest of %.19sZ, the first out of date at %.19sZ",
		       text(crl, "oldest"), text(crl, "next_stale"));
	printf("\n               %llu stale, %llu not verified yet, %llu refused, %llu kept "
	       "although their file went bad\n",
	       number(crl, "stale"), number(crl, "pending"), number(crl, "refused"),
	       number(crl, "kept"));
}

static void print_status(const struct cli *cli, const json_t *json)
{
	const json_t *counters = json_object_get(json, "counters");
	const json_t *spool = json_object_get(json, "spool");
	const json_t *login = json_object_get(json, "login");
	const json_t *guard = json_object_get(json, "guard");

	printf("%s, started %.19sZ, up ", text(json, "version"), text(json, "started"));
	print_uptime(number(json, "uptime_s"));
	printf("devices        %llu known, %llu up, %llu logging in, %llu in quarantine\n",
	       number(json, "devices"), number(counters, "up"), number(counters, "handshaking"),
	       number(json, "quarantined"));
	printf("logins         %llu, p50 %.1f ms, p99 %.1f ms\n", number(counters, "logins"),
	       (double)number(login, "p50_us") / 1000, (double)number(login, "p99_us") / 1000);
	fputs("guard          ", stdout);
	guard_print_where(cli, guard);
	fputs("\nlimits         ", stdout);
	guard_print_limits(guard);
	printf("\nthreads        %llu\n", number(json, "threads"));
	printf("record layer   %s\n", text(json, "record_layer"));
	printf("capabilities   %s\n", text(json_object_get(json, "privileges"), "capabilities"));
	print_reload(json_object_get(json, "reload"));
	print_expiry(json_object_get(json, "expiry"));
	fputs("held for peers ", stdout);
	print_bytes(number(json, "byte_budget_used"));
	fputs(" of ", stdout);
	print_bytes(number(json, "byte_budget"));
	printf("\nspool          %llu events, %llu notifications, %llu replies; %llu lines "
	       "dropped, "
	       "%llu errors\n",
	       number(spool, "events"), number(spool, "notifications"), number(spool, "replies"),
	       number(spool, "dropped"), number(spool, "errors"));
	print_revocation(json_object_get(json, "revocation"));
	print_members("ended by", json_object_get(json, "reasons"), "nothing yet");
	print_members("counters", counters, "all zero");
}

int cli_status(struct cli *cli, int argc, char **argv)
{
	static const struct option options[] = {{"json", no_argument, NULL, 'j'},
						CLI_COMMON_OPTIONS};
	struct http_call call;
	json_t *json = NULL;
	int code;

	if (cli_next(cli, argc, argv, "", options) == CLI_STOP)
		return cli->exit;
	if (optind < argc)
		return cli_usage(cli, "unexpected argument '%s'", argv[optind]);
	code = http_get_json(cli, "/v1/status", &call, &json);
	if (code == CLI_OK && cli->json)
		output_bytes(cli, (const char *)call.reply.data, call.reply.len, CLEAN_JSON);
	else if (code == CLI_OK)
		print_status(cli, json);
	json_decref(json);
	ch_buf_deinit(&call.reply);
	return code;
}
