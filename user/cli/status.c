/* SPDX-License-Identifier: Apache-2.0 */
#include "guard.h"
#include "listing.h"

#include <string.h>

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
	const char *failed = member_text(reload, "failed");

	printf("judged by      generation %llu, loaded %.19sZ\n",
	       member_number(reload, "generation"), member_text(reload, "loaded"));
	if (json_is_string(json_object_get(reload, "failed")))
		printf("               the reload at %.19sZ failed: %.*s\n", failed,
		       (int)strcspn(member_text(reload, "error"), "\n"),
		       member_text(reload, "error"));
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
	printf("revocation     %llu lists with %llu entries", member_number(crl, "lists"),
	       member_number(crl, "entries"));
	if (json_is_string(json_object_get(crl, "oldest")))
		printf(", the oldest of %.19sZ, the first out of date at %.19sZ",
		       member_text(crl, "oldest"), member_text(crl, "next_stale"));
	printf("\n               %llu stale, %llu not verified yet, %llu refused, %llu kept "
	       "although their file went bad\n",
	       member_number(crl, "stale"), member_number(crl, "pending"),
	       member_number(crl, "refused"), member_number(crl, "kept"));
}

static int print_status(struct cli *cli, const json_t *json)
{
	const json_t *counters = json_object_get(json, "counters");
	const json_t *spool = json_object_get(json, "spool");
	const json_t *login = json_object_get(json, "login");
	const json_t *guard = json_object_get(json, "guard");

	printf("%s, started %.19sZ, up ", member_text(json, "version"),
	       member_text(json, "started"));
	print_uptime(member_number(json, "uptime_s"));
	printf("devices        %llu known, %llu up, %llu logging in, %llu in quarantine\n",
	       member_number(json, "devices"), member_number(counters, "up"),
	       member_number(counters, "handshaking"), member_number(json, "quarantined"));
	printf("logins         %llu, p50 %.1f ms, p99 %.1f ms\n", member_number(counters, "logins"),
	       (double)member_number(login, "p50_us") / 1000,
	       (double)member_number(login, "p99_us") / 1000);
	fputs("guard          ", stdout);
	guard_print_where(cli, guard);
	fputs("\nlimits         ", stdout);
	guard_print_limits(guard);
	printf("\nthreads        %llu\n", member_number(json, "threads"));
	printf("record layer   %s\n", member_text(json, "record_layer"));
	printf("capabilities   %s\n",
	       member_text(json_object_get(json, "privileges"), "capabilities"));
	print_reload(json_object_get(json, "reload"));
	print_expiry(json_object_get(json, "expiry"));
	fputs("held for peers ", stdout);
	print_bytes(member_number(json, "byte_budget_used"));
	fputs(" of ", stdout);
	print_bytes(member_number(json, "byte_budget"));
	printf("\nspool          %llu events, %llu notifications, %llu replies; %llu lines "
	       "dropped, "
	       "%llu errors\n",
	       member_number(spool, "events"), member_number(spool, "notifications"),
	       member_number(spool, "replies"), member_number(spool, "dropped"),
	       member_number(spool, "errors"));
	print_revocation(json_object_get(json, "revocation"));
	print_members("ended by", json_object_get(json, "reasons"), "nothing yet");
	print_members("counters", counters, "all zero");
	return CLI_OK;
}

int cli_status(struct cli *cli, int argc, char **argv)
{
	return cli_object(cli, argc, argv, "/v1/status", print_status);
}
