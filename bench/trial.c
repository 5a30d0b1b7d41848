/* SPDX-License-Identifier: Apache-2.0 */
#include "trial.h"

#include "kernel/sock.h"
#include "user/core/option.h"

#include <callhome/event.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define SECOND 1000000000ull
#define TICK_NS 5000000
#define RPC_NS 20000000ull /* an rpc is due so often, whatever became of the last one */
#define UP_NS (60 * SECOND)
#define DRAIN_NS (30 * SECOND)
#define STOP_NS (60 * SECOND)
#define GRACE_NS (15 * SECOND) /* for the attacker to end by itself */
#define NOTIFY_RATE 5.0	       /* per device that keeps its session */
#define TEXT_BYTES 1024
#define LINE_BYTES 512 /* what is read of a line of /proc */

enum { STEADY, REDIAL, FLEETS };

struct run {
	struct sim_trial *trial;
	const struct sim_trial_attack *attack;
	struct sim_ordeal *ordeal;
	struct sim_fleet *fleets[FLEETS];
	struct sim_snapshot now[FLEETS];
	struct ch_hist rpc_us;
	uint64_t rpc_due_ns;
	uint32_t next_rpc; /* device that is asked next */
	double ticks_per_s;
	pid_t attacker;
	char output[TEXT_BYTES], errors[TEXT_BYTES]; /* files of the attacker */
};

static void nap(void)
{
	const struct timespec tick = {0, TICK_NS};

	nanosleep(&tick, NULL);
}

static int check(struct run *run, int err, const char *what)
{
	if (err)
		sim_failures_add(&run->ordeal->failures, "%s: %s", what, ch_error_text(err));
	return err;
}

int sim_trial_init(struct sim_trial *trial)
{
	FILE *file = fopen(trial->site->config, "re");
	size_t room = 0;

	if (!file)
		return -errno;
	/* to the end: no configuration has a zero byte */
	ssize_t len = getdelim(&trial->config, &room, '\0', file);
	int err = len < 0 ? -EIO : 0;
	fclose(file);
	return err;
}

void sim_trial_deinit(struct sim_trial *trial)
{
	free(trial->config);
	trial->config = NULL;
}

static int write_config(struct run *run)
{
	FILE *file = fopen(run->trial->site->config, "we");
	bool guard = run->attack->guard;

	if (!file)
		return check(run, -errno, run->trial->site->config);
	fprintf(file, "%sguard: {mode: %s%s}\n", run->trial->config, guard ? "auto" : "off",
		guard ? ", rules: [{name: flood, action: drop, prefix: " SIM_TRIAL_FLOOD_PREFIX "}]"
		      : "");
	bool failed = ferror(file) != 0;
	if (fclose(file) != 0 || failed)
		return check(run, -EIO, run->trial->site->config);
	return 0;
}

static int start_collector(struct run *run)
{
	char error[SIM_SITE_ERROR];

	sim_site_remove(run->trial->site->spool);
	if (write_config(run) != 0)
		return -EIO;
	sim_cores_enter(&run->trial->cores, SIM_ROLE_COLLECTOR);
	int err = sim_site_start(run->trial->site, error);
	sim_cores_enter(&run->trial->cores, SIM_ROLE_FLEET);
	if (err)
		sim_failures_add(&run->ordeal->failures, "%s", error);
	return err;
}

static int start_fleets(struct run *run)
{
	uint32_t half = run->trial->devices / 2;
	struct sim_fleet_options options = {
		.pki = run->trial->site->pki,
		.targets = {run->trial->site->address},
		.target_count = 1,
		.source = {.ip = {127, 1, 0, 1}, .family = 4},
		.devices = run->trial->devices - half,
		.stride = 1,
		.rate = 100,
		.notify_rate = NOTIFY_RATE,
		.reply_bytes = 2048,
		.fixed = run->trial->fixed,
		.reconnect = true,
		.max_wait_ns = 5 * SECOND,
		.max_attempts = 3,
		.backoff_min_ns = SECOND / 2,
		.backoff_max_ns = 5 * SECOND,
		.auth_timeout_ns = 10 * SECOND,
		.heartbeat_mode = CH_HEARTBEAT_ALLOWED,
		.heartbeat_test = {30 * SECOND, 3},
		.seed = 1,
	};
	int err = check(run, sim_fleet_start(&options, &run->fleets[STEADY]), "the fleet");

	options.first = options.devices;
	options.devices = half;
	options.rate = (double)half * 1e9 / (double)SIM_TRIAL_PERIOD_NS;
	options.notify_rate = 0;
	options.connection = SIM_CONNECTION_PERIODIC;
	options.period_ns = SIM_TRIAL_PERIOD_NS;
	options.idle_timeout_ns = SIM_TRIAL_PERIOD_NS / 4;
	if (!err)
		err = check(run, sim_fleet_start(&options, &run->fleets[REDIAL]), "the fleet");
	return err;
}

static void look(struct run *run)
{
	for (int i = 0; i < FLEETS; i++) {
		memset(&run->now[i], 0, sizeof(run->now[i]));
		if (run->fleets[i])
			sim_fleet_add(run->fleets[i], &run->now[i]);
	}
}

/* One rpc after the other, each due at its time: who waits for a slow one is late too. */
static void ask(struct run *run)
{
	uint64_t now_ns = ch_now_ns();
	char name[32], path[96];

	if (run->rpc_due_ns == 0)
		run->rpc_due_ns = now_ns;
	if (now_ns < run->rpc_due_ns) {
		nap();
		return;
	}
	uint32_t steady = run->trial->devices - run->trial->devices / 2;
	sim_pki_name(run->next_rpc++ % steady, name);
	snprintf(path, sizeof(path), "/v1/devices/%s/rpc?timeout=2s", name);
	if (sim_control_post(run->trial->site->daemon.control, path, "<get/>") != 0)
		run->ordeal->rpcs_failed++;
	else
		ch_hist_record(&run->rpc_us, (ch_now_ns() - run->rpc_due_ns) / 1000);
	run->rpc_due_ns += RPC_NS;
}

/* The value behind "@name" in a file of the collector in /proc, such as "VmHWM:  1234 kB". */
static uint64_t read_proc(const struct run *run, const char *file, const char *name)
{
	char path[64], line[LINE_BYTES], digits[24];
	uint64_t value = 0;

	snprintf(path, sizeof(path), "/proc/%d/%s", (int)run->trial->site->daemon.pid, file);
	FILE *from = fopen(path, "re");
	while (from && fgets(line, sizeof(line), from)) {
		if (strncmp(line, name, strlen(name)) != 0)
			continue;
		const char *at = line + strlen(name);
		at += strspn(at, ": \t");
		snprintf(digits, sizeof(digits), "%.*s", (int)strspn(at, "0123456789"), at);
		if (ch_parse_uint(digits, 0, UINT64_MAX / 2, &value) != 0)
			value = 0;
	}
	if (from)
		fclose(from);
	return value;
}

/* utime and stime: the 14th and 15th field of /proc/PID/stat, the second of which is in brackets.
 */
static double read_cpu(const struct run *run)
{
	char path[64], line[LINE_BYTES] = "", *at;
	uint64_t ticks = 0;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)run->trial->site->daemon.pid);
	FILE *from = fopen(path, "re");
	if (!from)
		return 0;
	at = fgets(line, sizeof(line), from) ? strrchr(line, ')') : NULL;
	fclose(from);
	for (int field = 3; at && field <= 15; field++) {
		uint64_t value = 0;
		at = strchr(at + 1, ' ');
		if (!at || field < 14)
			continue;
		char digits[24];
		snprintf(digits, sizeof(digits), "%.*s", (int)strspn(at + 1, "0123456789"), at + 1);
		if (ch_parse_uint(digits, 0, UINT64_MAX / 2, &value) == 0)
			ticks += value;
	}
	return (double)ticks / run->ticks_per_s;
}

/* What begins a span; span_end makes differences of it. */
static void span_begin(struct run *run, struct sim_figures *figures)
{
	look(run);
	figures->login_us = run->now[REDIAL].login_us;
	figures->rpc_us = run->rpc_us;
	figures->cpu_s = read_cpu(run);
	figures->seconds = (double)ch_now_ns() / 1e9;
	run->rpc_due_ns = 0;
}

static void span_logins(struct run *run, struct sim_figures *figures, struct ch_hist *before)
{
	look(run);
	figures->login_us = run->now[REDIAL].login_us;
	sim_hist_since(&figures->login_us, before);
}

/* All but the logins: those that began in the span may end behind it. */
static void span_end(struct run *run, struct sim_figures *figures)
{
	struct ch_hist rpc_us = run->rpc_us;

	sim_hist_since(&rpc_us, &figures->rpc_us);
	figures->rpc_us = rpc_us;
	figures->cpu_s = read_cpu(run) - figures->cpu_s;
	figures->seconds = (double)ch_now_ns() / 1e9 - figures->seconds;
	figures->memory_kib = read_proc(run, "status", "VmHWM");
}

static bool is_steady(const struct run *run)
{
	uint32_t half = run->trial->devices / 2;

	return run->now[STEADY].counters.up == run->trial->devices - half &&
	       run->now[REDIAL].counters.logins >= half;
}

static int wait_up(struct run *run)
{
	uint64_t deadline_ns = ch_now_ns() + UP_NS;

	do {
		nap();
		look(run);
		if (is_steady(run))
			return 0;
	} while (ch_now_ns() < deadline_ns && !run->trial->interrupted());
	sim_failures_add(&run->ordeal->failures, "the fleet does not come up when it is quiet");
	return CH_E_TIMEOUT;
}

static void measure_quiet(struct run *run)
{
	struct sim_figures *quiet = &run->ordeal->quiet;
	uint64_t end_ns = ch_now_ns() + run->attack->duration_ns;

	span_begin(run, quiet);
	struct ch_hist before = quiet->login_us;
	while (ch_now_ns() < end_ns && !run->trial->interrupted())
		ask(run);
	span_end(run, quiet);
	span_logins(run, quiet, &before);
}

static int start_attacker(struct run *run)
{
	char target[CH_ADDRESS_TEXT], rate[32], connections[32], duration[32];
	posix_spawn_file_actions_t actions;
	const struct sim_trial_attack *attack = run->attack;

	ch_address_format(&run->trial->site->address, target);
	snprintf(rate, sizeof(rate), "%.0f", attack->rate);
	snprintf(connections, sizeof(connections), "%llu", (unsigned long long)attack->connections);
	snprintf(duration, sizeof(duration), "%llums",
		 (unsigned long long)attack->duration_ns / 1000000);
	char *argv[20] = {"callhome-sim", "attack", (char *)attack->kind,  "--target",
			  target,	  "--pki",  run->trial->site->dir, "--duration",
			  duration,	  "--json"};
	int argc = 10;
	if (attack->rate > 0) {
		argv[argc++] = "--rate";
		argv[argc++] = rate;
	}
	if (attack->connections > 0) {
		argv[argc++] = "--connections";
		argv[argc++] = connections;
	}
	if (attack->source) {
		argv[argc++] = "--source";
		argv[argc++] = (char *)attack->source;
	}
	posix_spawn_file_actions_init(&actions);
	int err = posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, run->output,
						   O_WRONLY | O_CREAT | O_TRUNC, 0600);
	if (!err)
		err = posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, run->errors,
						       O_WRONLY | O_CREAT | O_TRUNC, 0600);
	sim_cores_enter(&run->trial->cores, SIM_ROLE_ATTACKER);
	if (!err)
		err = posix_spawn(&run->attacker, "/proc/self/exe", &actions, NULL, argv, environ);
	sim_cores_enter(&run->trial->cores, SIM_ROLE_FLEET);
	posix_spawn_file_actions_destroy(&actions);
	if (err)
		run->attacker = 0;
	return check(run, -err, "the attacker does not start");
}

/* Is the attacker gone? Then @exit_status, -1 after a signal. */
static bool attacker_ended(struct run *run, int *exit_status)
{
	int status;

	if (waitpid(run->attacker, &status, WNOHANG) != run->attacker)
		return false;
	run->attacker = 0;
	*exit_status = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
	return true;
}

static void stop_attacker(struct run *run)
{
	if (run->attacker == 0)
		return;
	(void)kill(run->attacker, SIGKILL);
	while (waitpid(run->attacker, NULL, 0) < 0 && errno == EINTR)
		continue;
	run->attacker = 0;
	sim_failures_add(&run->ordeal->failures, "the attacker had to be killed");
}

/* The last line of a file, without its end; "" when there is none. */
static void last_line(const char *path, char **line, size_t *room)
{
	FILE *file = fopen(path, "re");
	ssize_t len = 0, got;
	char *next = NULL;
	size_t next_room = 0;

	while (file && (got = getline(&next, &next_room, file)) > 0) {
		char *kept = *line;
		size_t kept_room = *room;
		*line = next;
		*room = next_room;
		next = kept;
		next_room = kept_room;
		len = got;
	}
	free(next);
	if (file)
		fclose(file);
	if (*line && len > 0)
		(*line)[strcspn(*line, "\n")] = '\0';
}

static void read_attacker(struct run *run, int exit_status)
{
	struct sim_ordeal *ordeal = run->ordeal;
	char *line = NULL;
	size_t room = 0;

	last_line(run->output, &line, &room);
	json_t *root = line ? json_loads(line, 0, NULL) : NULL;
	if (exit_status != 0 || !root) {
		last_line(run->errors, &line, &room);
		sim_failures_add(&ordeal->failures, "the attacker ended with %d: %.150s",
				 exit_status, line ? line : "");
	}
#define TAKE(field) ordeal->field = (uint64_t)json_integer_value(json_object_get(root, #field))
	TAKE(attempts);
	TAKE(connected);
	TAKE(refused);
	TAKE(timed_out);
	TAKE(closed_by_target);
	TAKE(held_peak);
#undef TAKE
	ordeal->attack_s = json_number_value(json_object_get(root, "seconds"));
	ordeal->attacker_cpu_s = json_number_value(json_object_get(root, "attacker_cpu_s"));
	json_decref(root);
	free(line);
}

static void attack(struct run *run)
{
	struct sim_figures *under = &run->ordeal->under;
	uint64_t deadline_ns = ch_now_ns() + run->attack->duration_ns + GRACE_NS;
	int exit_status = -1;

	span_begin(run, under);
	struct ch_hist before = under->login_us;
	if (start_attacker(run) != 0)
		return;
	while (!attacker_ended(run, &exit_status)) {
		if (ch_now_ns() > deadline_ns || run->trial->interrupted()) {
			stop_attacker(run);
			break;
		}
		ask(run);
	}
	span_end(run, under);
	read_attacker(run, exit_status);
	/* who is calling gets the time that it takes; nobody new calls */
	sim_fleet_tell(run->fleets[REDIAL], SIM_COMMAND_QUIET);
	uint64_t drained_ns = ch_now_ns() + DRAIN_NS;
	for (int i = 0; i < 40; i++)
		nap();
	do {
		nap();
		look(run);
	} while (run->now[REDIAL].busy > 0 && ch_now_ns() < drained_ns);
	span_logins(run, under, &before);
}

/* Everything that was sent is written, as far as the collector's own count of it tells. */
static void drain(struct run *run)
{
	uint64_t deadline_ns = ch_now_ns() + DRAIN_NS, last = UINT64_MAX;
	int quiet = 0;

	sim_fleet_tell(run->fleets[STEADY], SIM_COMMAND_QUIET);
	while (quiet < 3 && ch_now_ns() < deadline_ns) {
		json_t *status = NULL;
		for (int i = 0; i < 20; i++)
			nap();
		look(run);
		if (sim_daemon_status(&run->trial->site->daemon, &status) != 0)
			continue;
		uint64_t written = sim_control_uint(status, "spool", "notifications");
		quiet = written == last && run->now[STEADY].busy == 0 ? quiet + 1 : 0;
		last = written;
		json_decref(status);
	}
}

static void note_fleet(struct run *run)
{
	struct sim_ordeal *ordeal = run->ordeal;
	const struct sim_counters *steady = &run->now[STEADY].counters;
	const struct sim_counters *redial = &run->now[REDIAL].counters;

	ordeal->devices = run->trial->devices - run->trial->devices / 2;
	ordeal->up = steady->up;
	ordeal->cut = steady->logins > ordeal->devices ? steady->logins - ordeal->devices : 0;
	ordeal->calls = redial->arrivals;
	ordeal->logins = redial->logins;
	ordeal->sent = steady->notifications;
	ordeal->held = steady->held;
}

static bool is_of_fleet(const struct run *run, const char *device)
{
	char name[32];

	for (uint32_t i = 0; device && i < run->trial->devices; i++) {
		sim_pki_name(i, name);
		if (strcmp(name, device) == 0)
			return true;
	}
	return false;
}

static void count_line(struct run *run, const char *line, size_t len, bool events)
{
	json_t *root = json_loadb(line, len, 0, NULL);
	const char *event = json_string_value(json_object_get(root, "event"));
	const char *source = json_string_value(json_object_get(root, "source"));

	if (!events) {
		run->ordeal->spooled +=
			is_of_fleet(run, json_string_value(json_object_get(root, "device")));
	} else if (event && source && strcmp(event, ch_event_name(CH_EVENT_BANNED)) == 0) {
		run->ordeal->bans++;
		run->ordeal->false_bans +=
			strncmp(source, SIM_TRIAL_FLEET, strlen(SIM_TRIAL_FLEET)) == 0;
	}
	json_decref(root);
}

static void count_file(struct run *run, const char *name, bool events)
{
	char path[2 * TEXT_BYTES];
	char *line = NULL;
	size_t room = 0;
	ssize_t len;

	snprintf(path, sizeof(path), "%s/%s", run->trial->site->spool, name);
	FILE *file = fopen(path, "re");
	while (file && (len = getline(&line, &room, file)) > 0)
		count_line(run, line, (size_t)len, events);
	free(line);
	if (file)
		fclose(file);
}

static void count_spool(struct run *run)
{
	DIR *dir = opendir(run->trial->site->spool);
	const struct dirent *entry;

	while (dir && (entry = readdir(dir))) {
		if (strncmp(entry->d_name, "events", 6) == 0)
			count_file(run, entry->d_name, true);
		else if (strncmp(entry->d_name, "notifications", 13) == 0)
			count_file(run, entry->d_name, false);
	}
	if (dir)
		closedir(dir);
}

static void run_all(struct run *run)
{
	if (start_collector(run) != 0 || start_fleets(run) != 0 || wait_up(run) != 0)
		return;
	measure_quiet(run);
	attack(run);
	drain(run);
	note_fleet(run);
	int code = sim_daemon_stop(&run->trial->site->daemon, STOP_NS);
	if (code != 0)
		sim_failures_add(&run->ordeal->failures,
				 "callhomed ended with status %d on SIGTERM", code);
	count_spool(run);
	if (run->trial->interrupted())
		sim_failures_add(&run->ordeal->failures, "interrupted");
	sim_ordeal_judge(run->ordeal);
}

void sim_trial_run(struct sim_trial *trial, const struct sim_trial_attack *trial_attack,
		   struct sim_ordeal *ordeal)
{
	struct run *run = calloc(1, sizeof(*run));

	memset(ordeal, 0, sizeof(*ordeal));
	ordeal->kind = trial_attack->kind;
	ordeal->guard = trial_attack->guard;
	ordeal->rate = trial_attack->rate;
	ordeal->connections = trial_attack->connections;
	ordeal->memory_bound_kib = trial->memory_bound_kib;
	if (!run) {
		sim_failures_add(&ordeal->failures, "no memory");
		return;
	}
	run->trial = trial;
	run->attack = trial_attack;
	run->ordeal = ordeal;
	run->ticks_per_s = (double)sysconf(_SC_CLK_TCK);
	snprintf(run->output, sizeof(run->output), "%s/attack.json", trial->site->dir);
	snprintf(run->errors, sizeof(run->errors), "%s/attack.log", trial->site->dir);
	run_all(run);
	sim_daemon_deinit(&trial->site->daemon);
	for (int i = 0; i < FLEETS; i++)
		sim_fleet_free(run->fleets[i]);
	free(run);
}
