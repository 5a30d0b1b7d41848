/* SPDX-License-Identifier: Apache-2.0 */
/* Every attack beside a real fleet, with the guard off and on: what the honest devices notice. */
#include "commands.h"
#include "synflood.h"
#include "trial.h"

#include "kernel/probe.h"
#include "kernel/sock.h"
#include "user/core/option.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#define SECOND 1000000000ull
#define FAST_RATE 100000.0    /* more than a core can */
#define FAST_CONNECTIONS 8192 /* at a time: a dropped SYN holds one for a second */
#define SLOW_TIMES 10	      /* the cap of handshakes */
#define SPARE_FILES 512	      /* of the attacker, beside its connections */
#define SPARES 256	      /* identities of attackers that log in */
#define LOGIN_TIMEOUT_S 5
#define BUDGET_KIB (64 * 1024ull) /* byte-budget of the collector */
#define HANDSHAKE_KIB 128ull	  /* what one may hold: its TLS state and its buffers */
#define SLACK_KIB (32 * 1024ull)  /* tables of sources and bans, heap that is not given back */

enum pace {
	PACE_FAST, /* as many as a core makes */
	PACE_SLOW, /* as many at a time as a multiple of what may log in at a time */
	PACE_OWN,  /* few sessions that each send what a core can */
	PACE_RAW,  /* frames, from a namespace of their own */
};

static const struct {
	const char *name;
	enum pace pace;
} kinds[] = {
	{"silent", PACE_SLOW},
	{"half-hello", PACE_SLOW},
	{"slow-handshake", PACE_SLOW},
	{"garbage", PACE_FAST},
	{"connect-flood", PACE_FAST},
	{"handshake-churn", PACE_FAST},
	{"bad-cert-churn", PACE_FAST},
	{"huge-chain", PACE_FAST},
	{"wrong-identity", PACE_FAST},
	{"stolen-cert", PACE_FAST},
	{"junk-after-login", PACE_FAST},
	{"reader-stall", PACE_OWN},
	{"heartbeat-flood", PACE_OWN},
	{"keyupdate-flood", PACE_OWN},
	{"record-flood", PACE_OWN},
	{"notification-flood", PACE_OWN},
	{"flap", PACE_FAST},
	{"syn-flood", PACE_RAW},
	{"spoofed-syn-flood", PACE_RAW},
};
#define KINDS (sizeof(kinds) / sizeof(kinds[0]))

struct resilience_args {
	const char *kinds, *source, *plot, *callhomed, *keep;
	uint64_t devices, duration_ns, cap;
	bool json;
};

struct resilience {
	const struct resilience_args *args;
	struct sim_site site;
	struct sim_trial trial;
	bool chosen[KINDS];
	bool own_network;
	uint64_t nofile;
	struct sim_ordeal ordeals[2 * KINDS]; /* of a kind without and with the guard */
	size_t count;
};

static volatile sig_atomic_t stopped;

static void on_signal(int number)
{
	(void)number;
	stopped = 1;
}

static bool interrupted(void)
{
	return stopped != 0;
}

static int choose_kinds(struct resilience *r, const char *list)
{
	while (list) {
		size_t len = strcspn(list, ","), i = 0;
		while (i < KINDS &&
		       (strlen(kinds[i].name) != len || memcmp(kinds[i].name, list, len) != 0))
			i++;
		if (i == KINDS) {
			fprintf(stderr,
				"callhome-sim resilience: %.*s is no kind of attack "
				"(callhome-sim attack --list tells them)\n",
				(int)len, list);
			return CH_E_SYNTAX;
		}
		r->chosen[i] = true;
		list = list[len] ? list + len + 1 : NULL;
	}
	return 0;
}

static void choose_all(struct resilience *r)
{
	for (size_t i = 0; i < KINDS; i++)
		r->chosen[i] = true;
}

static int make_site(struct resilience *r)
{
	char limits[256], error[SIM_SITE_ERROR];

	snprintf(limits, sizeof(limits),
		 "limits: {login-timeout: %ds, max-handshakes: %llu, byte-budget: %lluKiB, "
		 "shutdown-timeout: 20s}\n",
		 LOGIN_TIMEOUT_S, (unsigned long long)r->args->cap, BUDGET_KIB);
	const struct sim_site_spec spec = {
		.name = "resilience",
		.keep = r->args->keep,
		.callhomed = r->args->callhomed,
		.devices = (uint32_t)r->args->devices,
		.spares = SPARES,
		.any_address = r->own_network,
		.limits = limits,
	};
	int err = sim_site_init(&r->site, &spec, error);
	if (err) {
		fprintf(stderr, "callhome-sim resilience: %s\n", error);
		return err;
	}
	r->trial.site = &r->site;
	r->trial.devices = (uint32_t)r->args->devices;
	r->trial.interrupted = interrupted;
	r->trial.memory_bound_kib = BUDGET_KIB + SLACK_KIB + r->args->cap * HANDSHAKE_KIB;
	return sim_trial_init(&r->trial);
}

static void set_pace(const struct resilience *r, enum pace pace, struct sim_trial_attack *attack)
{
	uint64_t most = r->nofile > 2 * SPARE_FILES ? r->nofile - SPARE_FILES : SPARE_FILES;

	switch (pace) {
	case PACE_FAST:
		attack->rate = FAST_RATE;
		attack->connections = FAST_CONNECTIONS < most ? FAST_CONNECTIONS : most;
		attack->source = r->args->source;
		break;
	case PACE_SLOW:
		attack->connections = SLOW_TIMES * r->args->cap;
		if (attack->connections > most)
			attack->connections = most;
		/* all of them in half of the time */
		attack->rate = 2e9 * (double)attack->connections / (double)attack->duration_ns;
		attack->source = r->args->source;
		break;
	case PACE_OWN:
		attack->source = r->args->source;
		break;
	case PACE_RAW:
		break;
	}
}

static void run_kind(struct resilience *r, size_t kind, bool guard)
{
	struct sim_ordeal *ordeal = &r->ordeals[r->count++];
	struct sim_trial_attack attack = {
		.kind = kinds[kind].name,
		.guard = guard,
		.duration_ns = r->args->duration_ns,
	};

	if (kinds[kind].pace == PACE_RAW && !r->own_network) {
		ordeal->kind = kinds[kind].name;
		ordeal->guard = guard;
		ordeal->skipped = "raw frames need root, for a network namespace of their own";
	} else {
		set_pace(r, kinds[kind].pace, &attack);
		sim_trial_run(&r->trial, &attack, ordeal);
	}
	sim_ordeal_line(stdout, ordeal);
	fflush(stdout);
}

static void run_kinds(struct resilience *r)
{
	sim_ordeal_head(stdout);
	for (size_t i = 0; i < KINDS; i++) {
		for (int guard = 0; guard < 2 && r->chosen[i] && !stopped; guard++)
			run_kind(r, i, guard);
	}
}

/* With the guard nothing may be felt; without it the rows are for comparison. */
static bool has_passed(const struct resilience *r)
{
	bool passed = r->count > 0 && !stopped;

	for (size_t i = 0; i < r->count; i++) {
		if (r->ordeals[i].guard && r->ordeals[i].failures.count > 0)
			passed = false;
	}
	return passed;
}

/* The value of a line "name : value" in /proc/cpuinfo. */
static void read_machine(char machine[128])
{
	FILE *file = fopen("/proc/cpuinfo", "re");
	char line[512];

	snprintf(machine, 128, "unknown");
	while (file && fgets(line, sizeof(line), file)) {
		char *colon = strchr(line, ':');
		if (!colon || strncmp(line, "model name", 10) != 0)
			continue;
		line[strcspn(line, "\n")] = '\0';
		snprintf(machine, 128, "%.*s", 120, colon + 1 + strspn(colon + 1, " "));
		break;
	}
	if (file)
		fclose(file);
}

static void put_members(struct ch_json *json, const struct resilience *r)
{
	const struct resilience_args *args = r->args;
	char machine[128], command[512];
	struct utsname system;

	read_machine(machine);
	snprintf(command, sizeof(command),
		 "callhome-sim resilience --devices %llu --duration-per-attack %llums --cap %llu "
		 "--source %.60s%s%.250s",
		 (unsigned long long)args->devices, (unsigned long long)args->duration_ns / 1000000,
		 (unsigned long long)args->cap, args->source, args->kinds ? " --kinds " : "",
		 args->kinds ? args->kinds : "");
	ch_json_str(json, "result", has_passed(r) ? "pass" : "fail");
	ch_json_str(json, "machine", machine);
	ch_json_int(json, "cpus", sysconf(_SC_NPROCESSORS_ONLN));
	ch_json_str(json, "kernel", uname(&system) == 0 ? system.release : NULL);
	ch_json_str(json, "command", command);
	ch_json_bool(json, "attacker_has_core", r->trial.cores.apart);
	ch_json_str(json, "fleet_core", sim_cores_of_fleet(&r->trial.cores));
	ch_json_double(json, "fleet_calls_per_s",
		       (double)(args->devices / 2) * 1e9 / (double)SIM_TRIAL_PERIOD_NS);
	ch_json_uint(json, "memory_bound_kib", r->trial.memory_bound_kib);
	ch_json_array(json, "attacks");
	for (size_t i = 0; i < r->count; i += 2) {
		ch_json_object(json, NULL);
		ch_json_str(json, "kind", r->ordeals[i].kind);
		sim_ordeal_json(json, "off", &r->ordeals[i]);
		if (i + 1 < r->count)
			sim_ordeal_json(json, "on", &r->ordeals[i + 1]);
		ch_json_object_end(json);
	}
	ch_json_array_end(json);
}

static int print_json(const struct resilience *r)
{
	struct ch_buf text = {0};
	struct ch_json json;

	ch_json_init(&json, &text);
	ch_json_object(&json, NULL);
	put_members(&json, r);
	ch_json_object_end(&json);
	if (!json.err)
		printf("%.*s\n", (int)text.len, (const char *)text.data);
	ch_buf_deinit(&text);
	return json.err || fflush(stdout) != 0 ? -1 : 0;
}

static int plot(const struct resilience *r)
{
	FILE *gnuplot = popen("gnuplot", "we");

	if (gnuplot)
		sim_ordeal_plot(gnuplot, r->ordeals, r->count, r->args->plot);
	if (gnuplot && pclose(gnuplot) == 0)
		return 0;
	fprintf(stderr, "callhome-sim resilience: no %s: gnuplot (package gnuplot-nox) failed\n",
		r->args->plot);
	return -1;
}

static int finish(struct resilience *r)
{
	int code = has_passed(r) ? SIM_EXIT_OK : SIM_EXIT_FAILED;

	printf("resilience: %s\n", code == SIM_EXIT_OK ? "pass" : "fail");
	if (r->args->plot && plot(r) != 0)
		code = SIM_EXIT_FAILED;
	if (r->args->json && print_json(r) != 0)
		code = SIM_EXIT_FAILED;
	return code;
}

static int resilience_command(void *into)
{
	static struct resilience r;
	struct sigaction action = {.sa_handler = on_signal};
	struct ch_probe probe;
	int code = SIM_EXIT_FAILED;

	r.args = into;
	if (!r.args->kinds)
		choose_all(&r);
	else if (choose_kinds(&r, r.args->kinds) != 0)
		return SIM_EXIT_USAGE;
	/* before there are threads */
	r.own_network = sim_own_network() == 0;
	sim_cores_init(&r.trial.cores);
	ch_probe(&probe);
	const char *advice = ch_probe_advice(&probe);
	if (advice) {
		fprintf(stderr, "callhome-sim resilience: %s\n", advice);
		return SIM_EXIT_REFUSED;
	}
	r.nofile = probe.nofile;
	r.trial.fixed = probe.fixed_close;
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	signal(SIGPIPE, SIG_IGN);
	if (make_site(&r) == 0) {
		run_kinds(&r);
		code = finish(&r);
	}
	sim_trial_deinit(&r.trial);
	sim_site_deinit(&r.site, !r.args->keep);
	return code;
}

static const struct sim_arg args[] = {
#define AT(field) offsetof(struct resilience_args, field)
	{"devices", SIM_ARG_UINT, AT(devices), "N", "100", 2, 5000,
	 "honest devices: half of them keep their sessions, half redial every two seconds"},
	{"duration-per-attack", SIM_ARG_DURATION, AT(duration_ns), "TIME", "10s", SECOND,
	 600 * SECOND, "of each attack, and of the quiet time before it"},
	{"kinds", SIM_ARG_TEXT, AT(kinds), "LIST", NULL, 0, 0,
	 "attacks, with commas between (default: all)"},
	{"cap", SIM_ARG_UINT, AT(cap), "N", "1024", 4, 100000,
	 "limits.max-handshakes of the collector; slow attacks hold ten times as many connections"},
	{"source", SIM_ARG_TEXT, AT(source), "PREFIX", "127.66.0.0/24", 0, 0,
	 "where attackers call from"},
	{"plot", SIM_ARG_TEXT, AT(plot), "FILE", NULL, 0, 0,
	 "write calls that got in and login p99 by attack as SVG (gnuplot)"},
	{"callhomed", SIM_ARG_TEXT, AT(callhomed), "PATH", NULL, 0, 0,
	 "the daemon (default: beside this program)"},
	{"keep", SIM_ARG_TEXT, AT(keep), "DIR", NULL, 0, 0,
	 "make DIR, use it and keep it (default: a temporary directory)"},
	{"json", SIM_ARG_FLAG, AT(json), NULL, NULL, 0, 0,
	 "the result as JSON, last line on stdout"},
#undef AT
};

const struct sim_command_row sim_command_resilience = {
	.name = "resilience",
	.summary = "each attack beside a real fleet, with the guard off and on, measured",
	.details = "Starts a callhomed of its own for each, in a network namespace of its own "
		   "where it may.\n"
		   "The exit code is 0 only if, with the guard on, every honest device got in, "
		   "nothing was\n"
		   "lost, no honest source was banned, p99 stayed within twice the quiet one and "
		   "memory in its\n"
		   "bounds.\n",
	.args = args,
	.arg_count = sizeof(args) / sizeof(args[0]),
	.into_bytes = sizeof(struct resilience_args),
	.run = resilience_command,
};
