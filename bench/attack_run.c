/* SPDX-License-Identifier: Apache-2.0 */
#include "attack.h"
#include "commands.h"
#include "load.h"
#include "synflood.h"

#include "kernel/layer.h"
#include "kernel/probe.h"
#include "kernel/sock.h"
#include "user/core/json.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#define SECOND 1000000000ull
#define TICK_NS 50000000

struct attack {
	const char *kind, *target, *pki, *source, *own;
	uint64_t connections, duration_ns;
	double rate;
	bool json, list;
};

static const struct sim_arg args[] = {
#define AT(field) offsetof(struct attack, field)
	{"kind", SIM_ARG_TEXT, AT(kind), "KIND", NULL, 0, 0,
	 "one of --list; --kind itself may be left out"},
	{"target", SIM_ARG_TEXT, AT(target), "ADDR:PORT", "127.0.0.1:4335", 0, 0, "the collector"},
	{"pki", SIM_ARG_TEXT, AT(pki), "DIR", NULL, 0, 0,
	 "certificates, made by gen-certs; most kinds need them"},
	{"rate", SIM_ARG_RATE, AT(rate), "R", "0", 0, 0,
	 "calls per second, at most 100000; 0 = as the kind has it"},
	{"connections", SIM_ARG_UINT, AT(connections), "N", "0", 0, SIM_ATTACK_CONNECTIONS_MAX,
	 "at a time; 0 = as the kind has it"},
	{"duration", SIM_ARG_DURATION, AT(duration_ns), "TIME", "10s", SECOND / 10,
	 SIM_ATTACK_DURATION_MAX, "how long, at most 10min"},
	{"source", SIM_ARG_TEXT, AT(source), "PREFIX", "127.66.0.1", 0, 0,
	 "loopback addresses that calls come from, one after the other, such as 127.66.0.0/16"},
	{"i-own", SIM_ARG_TEXT, AT(own), "PREFIX", NULL, 0, 0,
	 "allow a target inside PREFIX that is not on this machine's loopback"},
	{"json", SIM_ARG_FLAG, AT(json), NULL, NULL, 0, 0,
	 "the result as JSON, last line on stdout"},
	{"list", SIM_ARG_FLAG, AT(list), NULL, NULL, 0, 0,
	 "the kinds, each with the defence it exercises"},
#undef AT
};

static volatile sig_atomic_t interrupted;

static void on_signal(int number)
{
	(void)number;
	interrupted = 1;
}

static int usage(const char *what, const char *value)
{
	fprintf(stderr, "callhome-sim attack: %s%s%s\n", what, value ? ": " : "",
		value ? value : "");
	return SIM_EXIT_USAGE;
}

static int list(void)
{
	size_t count;
	const struct sim_attack *table = sim_attacks(&count);
	int width = 0;

	for (size_t i = 0; i < count; i++)
		width = (int)strlen(table[i].help) > width ? (int)strlen(table[i].help) : width;
	printf("%-20s %-*s %s\n", "KIND", width, "WHAT IT DOES", "DEFENCE");
	for (size_t i = 0; i < count; i++)
		printf("%-20s %-*s %s\n", table[i].name, width, table[i].help, table[i].defence);
	return SIM_EXIT_OK;
}

static void nap(void)
{
	const struct timespec tick = {0, TICK_NS};

	nanosleep(&tick, NULL);
}

static double cpu_seconds(void)
{
	struct rusage usage_now;

	if (getrusage(RUSAGE_SELF, &usage_now) != 0)
		return 0;
	return (double)(usage_now.ru_utime.tv_sec + usage_now.ru_stime.tv_sec) +
	       (double)(usage_now.ru_utime.tv_usec + usage_now.ru_stime.tv_usec) / 1e6;
}

struct result {
	struct sim_attack_counts counts;
	double seconds, cpu_s;
};

static int print_json(const struct attack *attack, const struct result *result)
{
	const struct sim_attack_counts *counts = &result->counts;
	struct ch_buf text = {0};
	struct ch_json json;

	ch_json_init(&json, &text);
	ch_json_object(&json, NULL);
	ch_json_str(&json, "kind", attack->kind);
	ch_json_uint(&json, "attempts", counts->attempts);
	ch_json_uint(&json, "connected", counts->connected);
	ch_json_uint(&json, "refused", counts->refused);
	ch_json_uint(&json, "timed_out", counts->timed_out);
	ch_json_uint(&json, "failed", counts->failed);
	ch_json_uint(&json, "closed_by_target", counts->closed_by_target);
	ch_json_uint(&json, "held_peak", counts->held_peak);
	ch_json_double(&json, "seconds", result->seconds);
	ch_json_double(&json, "attacker_cpu_s", result->cpu_s);
	ch_json_object_end(&json);
	int err = json.err;
	if (!err)
		printf("%.*s\n", (int)text.len, (const char *)text.data);
	ch_buf_deinit(&text);
	return err || fflush(stdout) != 0 ? SIM_EXIT_FAILED : SIM_EXIT_OK;
}

static void print_summary(const struct attack *attack, const struct result *result)
{
	const struct sim_attack_counts *counts = &result->counts;

	fprintf(stderr,
		"%s: %llu attempts in %.1f s (%.1f s CPU): %llu connected, %llu refused, %llu "
		"timed "
		"out, %llu failed here; the target closed %llu, at most %llu were up\n",
		attack->kind, (unsigned long long)counts->attempts, result->seconds, result->cpu_s,
		(unsigned long long)counts->connected, (unsigned long long)counts->refused,
		(unsigned long long)counts->timed_out, (unsigned long long)counts->failed,
		(unsigned long long)counts->closed_by_target,
		(unsigned long long)counts->held_peak);
}

/* @return the fleet's error or 0 */
static int wait_for_end(struct sim_fleet *fleet, uint64_t deadline_ns, struct result *result)
{
	static struct sim_snapshot now;

	do {
		nap();
		memset(&now, 0, sizeof(now));
		sim_fleet_add(fleet, &now);
	} while (ch_now_ns() < deadline_ns && now.running && !interrupted);
	sim_fleet_join(fleet);
	memset(&now, 0, sizeof(now));
	sim_fleet_add(fleet, &now);
	result->counts = now.counters.attack;
	return now.error;
}

static int run_attack(const struct attack *attack, const struct sim_attack *row,
		      const struct sim_attack_limits *limits, const struct sim_pki *pki)
{
	const struct sim_impostor *kinds[SIM_ATTACK_KINDS];
	struct sim_attack_plan plan = {
		.kinds = kinds,
		.connections = limits->connections,
		.sources = limits->sources,
		.rate = limits->rate,
	};
	const struct sim_fleet_options options = {
		.pki = pki,
		.targets = {limits->target},
		.target_count = 1,
		.source = limits->source,
		.reply_bytes = 2048,
		.record_layer = CH_LAYER_POLICY_USER,
		.max_wait_ns = SECOND,
		.max_attempts = 1,
		.heartbeat_mode = CH_HEARTBEAT_ALLOWED,
		.attack = &plan,
		.seed = 1,
	};
	struct sigaction action = {.sa_handler = on_signal};
	struct sim_fleet *fleet;
	struct result result;

	while (row->kinds[plan.kind_count]) {
		kinds[plan.kind_count] = sim_attack_device(row->kinds[plan.kind_count]);
		plan.kind_count++;
	}
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	uint64_t start_ns = ch_now_ns();
	double cpu_s = cpu_seconds();
	int err = sim_fleet_start(&options, &fleet);
	if (!err) {
		err = wait_for_end(fleet, start_ns + attack->duration_ns, &result);
		sim_fleet_free(fleet);
	}
	if (err) {
		fprintf(stderr, "callhome-sim attack: the ring failed: %s\n", ch_error_text(err));
		return SIM_EXIT_FAILED;
	}
	result.seconds = (double)(ch_now_ns() - start_ns) / 1e9;
	result.cpu_s = cpu_seconds() - cpu_s;
	print_summary(attack, &result);
	/* last, so that nothing comes behind it on standard output */
	int code = attack->json ? print_json(attack, &result) : SIM_EXIT_OK;
	return result.counts.attempts > result.counts.failed ? code : SIM_EXIT_FAILED;
}

/* A call in the JSON result is a SYN here, and connected is nobody. */
static int run_raw(const struct attack *attack, const struct sim_attack *row,
		   const struct sim_attack_limits *limits)
{
	const struct sim_synflood_options options = {
		.port = limits->target.port,
		.spoofed = row->raw == SIM_ATTACK_SPOOFED_SYNS,
		.rate = (uint64_t)limits->rate,
		.duration_ns = attack->duration_ns,
	};
	struct sim_synflood_result flood;
	char error[SIM_SYNFLOOD_ERROR];

	int err = sim_synflood(&options, &flood, error);
	if (err) {
		fprintf(stderr, "callhome-sim attack: %s\n", error);
		return err == CH_E_STATE || err == -EPERM ? SIM_EXIT_USAGE : SIM_EXIT_FAILED;
	}
	fprintf(stderr, "%s: %llu SYNs in %.1f s (%.1f s CPU), %llu frames came back\n",
		attack->kind, (unsigned long long)flood.sent, flood.seconds, flood.cpu_s,
		(unsigned long long)flood.answered);
	const struct result result = {
		.counts = {.attempts = flood.sent, .timed_out = flood.sent},
		.seconds = flood.seconds,
		.cpu_s = flood.cpu_s,
	};
	return attack->json ? print_json(attack, &result) : SIM_EXIT_OK;
}

static int run_command(void *into)
{
	const struct attack *attack = into;
	char error[SIM_ATTACK_ERROR];
	struct sim_attack_limits limits;
	struct sim_pki *pki = NULL;
	struct ch_probe probe;

	if (attack->list)
		return list();
	if (!attack->kind)
		return usage("which one? callhome-sim attack KIND; --list names them", NULL);
	const struct sim_attack *row = sim_attack_find(attack->kind);
	if (!row)
		return usage("no kind of attack (--list names them)", attack->kind);
	ch_probe(&probe);
	if (sim_attack_bound(row, attack->target, attack->own, attack->source, attack->rate,
			     attack->connections, probe.nofile, &limits, error) != 0)
		return usage(error, NULL);
	if (row->raw != SIM_ATTACK_CALLS)
		return run_raw(attack, row, &limits);
	if (row->pki && !attack->pki)
		return usage("this kind needs --pki DIR (callhome-sim gen-certs makes one)",
			     attack->kind);
	if (ch_probe_advice(&probe)) {
		fprintf(stderr, "callhome-sim attack: %s\n", ch_probe_advice(&probe));
		return SIM_EXIT_REFUSED;
	}
	if (row->pki && sim_pki_load(attack->pki, &pki, error) != 0)
		return usage(error, NULL);
	int code = run_attack(attack, row, &limits, pki);
	sim_pki_free(pki);
	return code;
}

const struct sim_command_row sim_command_attack = {
	.name = "attack",
	.summary = "many misbehaving devices of one kind at once, against a collector of yours",
	.details = "The target is on the loopback, or in a network that --i-own says is yours.\n"
		   "syn-flood and spoofed-syn-flood need root and run where the loopback is the "
		   "only\n"
		   "interface: they add one, " SIM_SYNFLOOD_ADDRESS
		   ", and reach the target's port there.\n"
		   "Exit codes: 0, 1 no call was made, 2 usage, 3 io_uring refused.\n",
	.args = args,
	.arg_count = sizeof(args) / sizeof(args[0]),
	.into_bytes = sizeof(struct attack),
	.operand = "kind",
	.run = run_command,
};
