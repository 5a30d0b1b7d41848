/* SPDX-License-Identifier: Apache-2.0 */
#include "commands.h"
#include "load.h"
#include "report.h"
#include "verify.h"

#include "user/core/option.h"

#include "kernel/probe.h"
#include "kernel/sock.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define SECOND 1000000000ull
#define DRAIN_NS (5 * SECOND) /* for the last bytes and the closing of sessions */
#define SPOOL_NS (3 * SECOND) /* for the collector to write its last events */
#define PLANS 64
#define TICK_NS 50000000

struct run {
	const char *connection, *anchor_time, *start_with, *source_port, *chain, *cert_to_name;
	const char *pki, *source, *tls, *framing, *record_layer, *impostors, *verify, *own;
	const char *client_certs;
	const char *heartbeat_mode;
	struct sim_texts targets, thresholds;
	uint64_t devices, duration_ns, reply_bytes, threads, seed;
	uint64_t period_ns, idle_timeout_ns, auth_timeout_ns, max_wait_ns, max_attempts,
		backoff_min_ns, backoff_max_ns;
	uint64_t impostor_wait_ns, keepalive_ns, key_update_every, heartbeat_ns,
		heartbeat_attempts;
	double rate, notify_rate;
	bool json, quiet, no_reconnect, key_update_asks;
};

static const struct sim_arg args[] = {
#define AT(field) offsetof(struct run, field)
	{"pki", SIM_ARG_TEXT, AT(pki), "DIR", NULL, 0, 0, "certificates, made by gen-certs"},
	{"target", SIM_ARG_TEXTS, AT(targets), "ADDR:PORT", NULL, 0, 0,
	 "the collector; up to 8, tried in turn (127.0.0.1:4335)"},
	{"devices", SIM_ARG_UINT, AT(devices), "N", "100", 0, 10000000, "honest devices"},
	{"rate", SIM_ARG_RATE, AT(rate), "R", "100", 0, 0,
	 "calls per second, whatever the collector does; 0 = all at once"},
	{"duration", SIM_ARG_DURATION, AT(duration_ns), "TIME", "30s", 0, 365 * 86400 * SECOND,
	 "how long to run; 0 = until interrupted"},
	{"notify-rate", SIM_ARG_RATE, AT(notify_rate), "R", "1", 0, 0,
	 "notifications per second of each device that has a subscription"},
	{"reply-size", SIM_ARG_SIZE, AT(reply_bytes), "SIZE", "2KiB", 1, 1 << 30,
	 "size of the answer to get and get-config"},
	{"tls", SIM_ARG_TEXT, AT(tls), "VERSION", "mix", 0, 0, "mix, 1.2 or 1.3"},
	{"record-layer", SIM_ARG_TEXT, AT(record_layer), "LAYER", "auto", 0, 0,
	 "where the devices protect records: auto, kernel or user"},
	{"chain", SIM_ARG_TEXT, AT(chain), "WHAT", "as-issued", 0, 0,
	 "CA certificates the devices send: as-issued, three, reversed, gap, none or with-root"},
	{"cert-to-name", SIM_ARG_TEXT, AT(cert_to_name), "FILE", NULL, 0, 0,
	 "users of the collector's certificates (RFC 7589 section 7); who is in no list is "
	 "refused"},
	{"key-update", SIM_ARG_UINT, AT(key_update_every), "N", "0", 0, UINT32_MAX,
	 "TLS 1.3: a device changes its keys after so many records; 0 = near the AEAD limit"},
	{"key-update-asks", SIM_ARG_FLAG, AT(key_update_asks), NULL, NULL, 0, 0,
	 "and asks the collector for new ones each time"},
	{"framing", SIM_ARG_TEXT, AT(framing), "BASE", "mix", 0, 0,
	 "NETCONF base: mix, 1.0 or 1.1"},
	{"source", SIM_ARG_TEXT, AT(source), "ADDR", "127.1.0.1", 0, 0,
	 "address of the first device, the next has the next; none = the system's choice"},
	{"source-port", SIM_ARG_TEXT, AT(source_port), "PORT", "any", 0, 0,
	 "every device calls from this port; any = the system's choice, random = another per call"},
	{"impostors", SIM_ARG_TEXT, AT(impostors), "KINDS", NULL, 0, 0,
	 "KIND[:COUNT],... or all[:COUNT], spread over the ramp"},
	{"impostor-wait", SIM_ARG_DURATION, AT(impostor_wait_ns), "TIME", "30s", SECOND,
	 3600 * SECOND, "how long an impostor waits for its end"},
	{"verify", SIM_ARG_TEXT, AT(verify), "SPOOL", NULL, 0, 0,
	 "the collector's spool directory: compare the reasons it gave to the impostors"},
	{"client-certs", SIM_ARG_TEXT, AT(client_certs), "FILE", NULL, 0, 0,
	 "write which client certificate each device was shown: a line per login"},
	{"auth-timeout", SIM_ARG_DURATION, AT(auth_timeout_ns), "TIME", "30s", SECOND / 10,
	 3600 * SECOND, "a device hangs up when the collector has not logged in by then"},
	{"connection", SIM_ARG_TEXT, AT(connection), "TYPE", "persistent", 0, 0,
	 "persistent or periodic"},
	{"period", SIM_ARG_DURATION, AT(period_ns), "TIME", "60min", SECOND / 10,
	 365 * 86400 * SECOND, "of periodic connections"},
	{"anchor-time", SIM_ARG_TEXT, AT(anchor_time), "WHEN", NULL, 0, 0,
	 "such as 2026-01-31T12:00:00Z: periods, and the first calls, begin at whole periods from "
	 "it"},
	{"idle-timeout", SIM_ARG_DURATION, AT(idle_timeout_ns), "TIME", "180s", 0, 86400 * SECOND,
	 "a periodic connection without a message for so long is closed; 0 = never"},
	{"start-with", SIM_ARG_TEXT, AT(start_with), "WHICH", "first-listed", 0, 0,
	 "target after a session: first-listed, last-connected or random-selection"},
	{"max-wait", SIM_ARG_DURATION, AT(max_wait_ns), "TIME", "5s", SECOND / 10, 600 * SECOND,
	 "for the TCP connection"},
	{"max-attempts", SIM_ARG_UINT, AT(max_attempts), "N", "3", 1, 255,
	 "failed calls before the next target"},
	{"backoff-min", SIM_ARG_DURATION, AT(backoff_min_ns), "TIME", "500ms", SECOND / 1000,
	 3600 * SECOND, "pause after the first failed call; doubles, with jitter"},
	{"backoff-max", SIM_ARG_DURATION, AT(backoff_max_ns), "TIME", "30s", SECOND / 1000,
	 86400 * SECOND, "longest pause"},
	{"keepalive", SIM_ARG_DURATION, AT(keepalive_ns), "TIME", "60s", 0, 32767 * SECOND,
	 "silence after which TCP asks whether the collector lives; 0 = never"},
	{"heartbeat", SIM_ARG_DURATION, AT(heartbeat_ns), "TIME", "30s", 0, 86400 * SECOND,
	 "silence after which a device asks by TLS heartbeat whether the collector lives, and time "
	 "for its answer; 0 = never"},
	{"heartbeat-attempts", SIM_ARG_UINT, AT(heartbeat_attempts), "N", "3", 1, 255,
	 "heartbeats without an answer after which a device calls again"},
	{"heartbeat-mode", SIM_ARG_TEXT, AT(heartbeat_mode), "MODE", "allowed", 0, 0,
	 "may the collector send heartbeats: allowed, not-allowed; none = no heartbeats at all"},
	{"no-reconnect", SIM_ARG_FLAG, AT(no_reconnect), NULL, NULL, 0, 0,
	 "a device calls once (default: persistent connections)"},
	{"threads", SIM_ARG_UINT, AT(threads), "N", NULL, 1, SIM_THREADS,
	 "rings; by default as few as hold the devices"},
	{"seed", SIM_ARG_UINT, AT(seed), "N", "1", 0, UINT64_MAX / 4, "of the jitter"},
	{"threshold", SIM_ARG_TEXTS, AT(thresholds), "EXPR", NULL, 0, 0,
	 "METRIC OP VALUE, such as 'login_p99<2s'; exit 99 when it does not hold"},
	{"i-own", SIM_ARG_TEXT, AT(own), "PREFIX", NULL, 0, 0,
	 "allow targets inside PREFIX that are not on this machine's loopback"},
	{"json", SIM_ARG_FLAG, AT(json), NULL, NULL, 0, 0,
	 "the result as JSON, last line on stdout"},
	{"quiet", SIM_ARG_FLAG, AT(quiet), NULL, NULL, 0, 0, "no live line"},
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
	fprintf(stderr, "callhome-sim run: %s%s%s\n", what, value ? ": " : "", value ? value : "");
	return SIM_EXIT_USAGE;
}

static int choose(const char *text, const char *const names[3], const uint8_t values[3],
		  uint8_t *to)
{
	for (int i = 0; i < 3 && names[i]; i++) {
		if (strcmp(text, names[i]) == 0) {
			*to = values[i];
			return 0;
		}
	}
	return CH_E_SYNTAX;
}

static int read_targets(const struct run *run, struct sim_fleet_options *options)
{
	const struct sim_texts *texts = &run->targets;
	uint32_t count = texts->count ? texts->count : 1;

	if (count > SIM_TARGETS)
		return usage("at most 8 times --target", NULL);
	for (uint32_t i = 0; i < count; i++) {
		const char *text = texts->count ? texts->text[i] : "127.0.0.1:4335";
		struct ch_address *target = &options->targets[i];
		if (ch_address_parse(text, target) != 0)
			return usage("--target is ADDRESS:PORT, not", text);
		if (!sim_address_is_loopback(target) &&
		    (!run->own || !sim_address_in_prefix(target, run->own)))
			return usage("this target is not on the loopback; if the network is yours, "
				     "say so with --i-own PREFIX",
				     text);
	}
	options->target_count = count;
	return 0;
}

static int read_source(const struct run *run, struct sim_fleet_options *options)
{
	char endpoint[CH_ADDRESS_TEXT];

	/* loopback addresses reach nothing but the loopback */
	bool local = true;
	for (uint32_t i = 0; i < options->target_count; i++)
		local = local && options->targets[i].family == 4 &&
			sim_address_is_loopback(&options->targets[i]);
	if (strcmp(run->source, "none") == 0 || !local)
		return 0;
	snprintf(endpoint, sizeof(endpoint), "%.40s:0", run->source);
	if (ch_address_parse(endpoint, &options->source) != 0 || options->source.family != 4 ||
	    !sim_address_is_loopback(&options->source))
		return usage("--source is a loopback address such as 127.1.0.1, or none, not",
			     run->source);
	return 0;
}

static int read_source_port(const struct run *run, struct sim_fleet_options *options)
{
	uint64_t port = 0;

	options->any_source_port = strcmp(run->source_port, "random") == 0;
	if (!options->any_source_port && strcmp(run->source_port, "any") != 0 &&
	    ch_parse_uint(run->source_port, 1, UINT16_MAX, &port) != 0)
		return usage("--source-port is any, random or a port, not", run->source_port);
	options->source_port = (uint16_t)port;
	return 0;
}

/* Connection type and reconnect strategy, in the words of ietf-netconf-server. */
static int read_schedule(const struct run *run, struct sim_fleet_options *options)
{
	static const char *const types[3] = {"persistent", "periodic", NULL};
	static const uint8_t type_values[3] = {SIM_CONNECTION_PERSISTENT, SIM_CONNECTION_PERIODIC};
	static const char *const starts[3] = {"first-listed", "last-connected", "random-selection"};
	static const uint8_t start_values[3] = {SIM_START_FIRST_LISTED, SIM_START_LAST_CONNECTED,
						SIM_START_RANDOM_SELECTION};

	options->period_ns = run->period_ns;
	options->idle_timeout_ns = run->idle_timeout_ns;
	if (choose(run->connection, types, type_values, &options->connection) != 0)
		return usage("--connection is persistent or periodic, not", run->connection);
	if (choose(run->start_with, starts, start_values, &options->start_with) != 0)
		return usage(
			"--start-with is first-listed, last-connected or random-selection, not",
			run->start_with);
	if (run->anchor_time && sim_schedule_time(run->anchor_time, &options->anchor_unix_ns) != 0)
		return usage("--anchor-time is such as 2026-01-31T12:00:00Z, not",
			     run->anchor_time);
	return 0;
}

static int read_choices(const struct run *run, struct sim_fleet_options *options)
{
	static const char *const tls[3] = {"mix", "1.2", "1.3"};
	static const uint8_t tls_values[3] = {SIM_TLS_MIX, SIM_TLS_ONLY_1_2, SIM_TLS_ONLY_1_3};
	static const char *const framing[3] = {"mix", "1.0", "1.1"};
	static const uint8_t framing_values[3] = {SIM_FRAMING_MIX, SIM_FRAMING_1_0,
						  SIM_FRAMING_1_1};
	static const char *const modes[3] = {"none", "allowed", "not-allowed"};
	static const uint8_t mode_values[3] = {CH_HEARTBEAT_NONE, CH_HEARTBEAT_ALLOWED,
					       CH_HEARTBEAT_NOT_ALLOWED};

	if (choose(run->heartbeat_mode, modes, mode_values, &options->heartbeat_mode) != 0)
		return usage("--heartbeat-mode is allowed, not-allowed or none, not",
			     run->heartbeat_mode);
	if (choose(run->tls, tls, tls_values, &options->tls) != 0)
		return usage("--tls is mix, 1.2 or 1.3, not", run->tls);
	if (sim_layer_parse(run->record_layer, &options->record_layer) != 0)
		return usage("--record-layer is auto, kernel or user, not", run->record_layer);
	if (choose(run->framing, framing, framing_values, &options->framing) != 0)
		return usage("--framing is mix, 1.0 or 1.1, not", run->framing);
	return 0;
}

static int read_options(const struct run *run, struct sim_fleet_options *options,
			struct sim_plan *plans, struct sim_threshold *thresholds)
{
	char error[256];

	*options = (struct sim_fleet_options){
		.devices = (uint32_t)run->devices,
		.rate = run->rate,
		.notify_rate = run->notify_rate,
		.reply_bytes = run->reply_bytes,
		.reconnect = !run->no_reconnect,
		.max_wait_ns = run->max_wait_ns,
		.max_attempts = run->max_attempts,
		.backoff_min_ns = run->backoff_min_ns,
		.backoff_max_ns = run->backoff_max_ns,
		.auth_timeout_ns = run->auth_timeout_ns,
		.keepalive_ns = run->keepalive_ns,
		.key_update_every = run->key_update_every,
		.key_update_asks = run->key_update_asks,
		.heartbeat_test = {run->heartbeat_ns, (uint32_t)run->heartbeat_attempts},
		.plans = plans,
		.impostor_wait_ns = run->impostor_wait_ns,
		.seed = run->seed,
	};
	int code = read_targets(run, options);
	if (!code)
		code = read_source(run, options);
	if (!code)
		code = read_source_port(run, options);
	if (!code)
		code = read_schedule(run, options);
	if (!code)
		code = read_choices(run, options);
	if (!code && run->impostors &&
	    sim_plans_parse(run->impostors, plans, PLANS, &options->plan_count, error) != 0)
		code = usage(error, NULL);
	for (uint32_t i = 0; i < run->thresholds.count && !code; i++) {
		if (sim_threshold_parse(run->thresholds.text[i], &thresholds[i], error) != 0)
			code = usage(error, NULL);
	}
	if (!code && !run->pki)
		code = usage("--pki DIR is needed; make one with: callhome-sim gen-certs --dir DIR "
			     "--devices N",
			     NULL);
	return code;
}

static void nap(void)
{
	const struct timespec tick = {0, TICK_NS};

	nanosleep(&tick, NULL);
}

/* The live line, once a second. */
struct live {
	struct sim_snapshot before;
	uint64_t start_ns, last_ns;
};

static void show(const struct run *run, struct live *live, const struct sim_snapshot *now)
{
	uint64_t now_ns = ch_now_ns();

	if (now_ns - live->last_ns < SECOND)
		return;
	if (!run->quiet)
		sim_report_line(stderr, (now_ns - live->start_ns) / SECOND, (uint32_t)run->devices,
				now, &live->before, (double)(now_ns - live->last_ns) / 1e9,
				now->counters.impostors_ended);
	live->before = *now;
	live->last_ns = now_ns;
}

static void wait_until(const struct run *run, struct sim_load *load, struct live *live,
		       uint64_t deadline_ns, bool (*done)(const struct sim_snapshot *))
{
	static struct sim_snapshot now;

	do {
		nap();
		sim_load_snapshot(load, &now);
		show(run, live, &now);
	} while (ch_now_ns() < deadline_ns && now.running && !done(&now));
}

static bool was_interrupted(const struct sim_snapshot *now)
{
	(void)now;
	return interrupted;
}

/* Every byte is out, and the collector ended every impostor (or those gave up waiting for it). */
static bool is_idle(const struct sim_snapshot *now)
{
	const struct sim_counters *c = &now->counters;

	return now->busy == 0 &&
	       (interrupted || c->impostors == c->impostors_ended + c->impostors_left);
}

static bool is_closed(const struct sim_snapshot *now)
{
	return now->open == 0;
}

/* @final: at the end of the load, with the sessions still up. @return the fleet's error or 0 */
static int drive(const struct run *run, struct sim_load *load, struct sim_snapshot *final)
{
	static struct live live;
	uint64_t start_ns = ch_now_ns();

	live.start_ns = live.last_ns = start_ns;
	wait_until(run, load, &live, run->duration_ns ? start_ns + run->duration_ns : UINT64_MAX,
		   was_interrupted);
	sim_load_tell(load, SIM_COMMAND_QUIET);
	/* the answer to the command: what was counted before it is not the end */
	nap();
	nap();
	nap();
	wait_until(run, load, &live, ch_now_ns() + DRAIN_NS + run->impostor_wait_ns, is_idle);
	sim_load_snapshot(load, final);
	sim_load_tell(load, SIM_COMMAND_CLOSE);
	nap();
	nap();
	nap();
	wait_until(run, load, &live, ch_now_ns() + DRAIN_NS, is_closed);
	sim_load_join(load);
	return final->error;
}

static void print_summary(const struct run *run, const struct sim_snapshot *final, double seconds)
{
	const struct sim_counters *c = &final->counters;

	fprintf(stderr,
		"%llu of %llu devices up, %llu logins, login p50 %.1f ms, p99 %.1f ms, "
		"%llu notifications, %llu requests answered, %llu failures, %.1f s\n",
		(unsigned long long)c->up, (unsigned long long)run->devices,
		(unsigned long long)c->logins,
		(double)ch_hist_percentile(&final->login_us, 50) / 1000,
		(double)ch_hist_percentile(&final->login_us, 99) / 1000,
		(unsigned long long)c->notifications, (unsigned long long)c->rpcs,
		(unsigned long long)sim_report_failures(c), seconds);
	for (int end = SIM_END_IDLE + 1; end < SIM_END_COUNT; end++) {
		if (end != SIM_END_STOPPED && c->ends[end] > 0)
			fprintf(stderr, "  %s: %llu\n", sim_end_name((enum sim_end)end),
				(unsigned long long)c->ends[end]);
	}
	if (c->impostors > 0)
		fprintf(stderr, "  impostors: %llu called, %llu ended by the collector, %llu left\n",
			(unsigned long long)c->impostors, (unsigned long long)c->impostors_ended,
			(unsigned long long)c->impostors_left);
}

/* The reasons in the spool, which is written a moment after the connections end. @return how many fail */
static uint32_t verify(const struct run *run, struct sim_load *load, uint64_t *right)
{
	static struct sim_failures failures;
	const struct sim_impostor_view *impostors;
	uint32_t count = sim_fleet_impostors(load->fleets[0], &impostors);
	uint64_t deadline_ns = ch_now_ns() + SPOOL_NS;
	struct sim_verdict verdict = {0};

	do {
		nap();
		memset(&failures, 0, sizeof(failures));
		if (sim_verify(run->verify, impostors, count, CH_REASON_NONE, &verdict,
			       &failures) != 0)
			break;
	} while (failures.count > 0 && ch_now_ns() < deadline_ns);
	for (uint32_t i = 0; i < failures.count && i < SIM_FAILURES_MAX; i++)
		fprintf(stderr, "%s\n", failures.text[i]);
	if (failures.count > SIM_FAILURES_MAX)
		fprintf(stderr, "and %u more\n", failures.count - SIM_FAILURES_MAX);
	*right = verdict.right;
	return failures.count;
}

static int print_json(const struct run *run, const struct sim_snapshot *final, double seconds,
		      uint64_t right)
{
	struct ch_buf text = {0};
	struct ch_json json;

	ch_json_init(&json, &text);
	ch_json_object(&json, NULL);
	ch_json_uint(&json, "devices", run->devices);
	ch_json_uint(&json, "up", final->counters.up);
	ch_json_uint(&json, "failures", sim_report_failures(&final->counters));
	ch_json_uint(&json, "impostors", final->counters.impostors);
	if (run->verify)
		ch_json_uint(&json, "impostors_right", right);
	ch_json_uint(&json, "notifications_sent", final->counters.notifications);
	sim_report_json(&json, final, seconds);
	ch_json_object_end(&json);
	int err = json.err;
	if (!err)
		printf("%.*s\n", (int)text.len, (const char *)text.data);
	ch_buf_deinit(&text);
	return err || fflush(stdout) != 0 ? SIM_EXIT_FAILED : SIM_EXIT_OK;
}

static int judge(const struct run *run, const struct sim_threshold *thresholds,
		 const struct sim_snapshot *final)
{
	int code = SIM_EXIT_OK;

	for (uint32_t i = 0; i < run->thresholds.count; i++) {
		uint64_t actual;
		if (sim_threshold_holds(&thresholds[i], final, &actual))
			continue;
		fprintf(stderr, "threshold %s does not hold: %llu\n", thresholds[i].text,
			(unsigned long long)actual);
		code = SIM_EXIT_THRESHOLD;
	}
	return code;
}

static int start(const struct run *run, const struct sim_fleet_options *options,
		 struct sim_load *load)
{
	struct ch_probe probe;

	ch_probe(&probe);
	const char *advice = ch_probe_advice(&probe);
	if (advice) {
		fprintf(stderr, "callhome-sim run: %s\n", advice);
		return SIM_EXIT_REFUSED;
	}
	uint32_t threads = sim_load_threads(run->devices, probe.nofile);
	if (threads < run->threads)
		threads = (uint32_t)run->threads;
	struct sim_fleet_options with = *options;
	with.fixed = probe.fixed_close;
	int err = sim_load_start(load, &with, threads);
	if (!err)
		return 0;
	fprintf(stderr, "callhome-sim run: cannot start: %s\n", ch_error_text(err));
	return SIM_EXIT_FAILED;
}

static int run_load(const struct run *run, const struct sim_fleet_options *options,
		    const struct sim_threshold *thresholds)
{
	static struct sim_snapshot final;
	struct sim_load load;
	int code = start(run, options, &load);

	if (code)
		return code;
	uint64_t start_ns = ch_now_ns();
	int err = drive(run, &load, &final);
	double seconds = (double)(ch_now_ns() - start_ns) / 1e9;
	uint64_t right = 0;
	uint32_t wrong = run->verify && !err ? verify(run, &load, &right) : 0;
	sim_load_deinit(&load);
	if (err) {
		fprintf(stderr, "callhome-sim run: the ring failed: %s\n", ch_error_text(err));
		return SIM_EXIT_FAILED;
	}
	print_summary(run, &final, seconds);
	code = wrong ? SIM_EXIT_FAILED : judge(run, thresholds, &final);
	/* last, so that nothing comes behind it on standard output */
	if (run->json && print_json(run, &final, seconds, right) != 0)
		code = SIM_EXIT_FAILED;
	return code;
}

/* The PKI directory, as its devices show it. @return an exit code */
static int load_pki(const struct run *run, struct sim_pki **pki)
{
	char error[SIM_PKI_ERROR];
	int chain = 0;

	while (chain < SIM_CHAIN_COUNT && strcmp(run->chain, sim_chain_names[chain]) != 0)
		chain++;
	if (chain == SIM_CHAIN_COUNT)
		return usage("--chain is as-issued, three, reversed, gap, none or with-root, not",
			     run->chain);
	int err = sim_pki_load(run->pki, pki, error);
	if (!err)
		err = sim_pki_set_chain(*pki, run->pki, (enum sim_chain)chain, error);
	return err ? usage(error, NULL) : SIM_EXIT_OK;
}

static int load_names(const struct run *run, struct sim_names **names)
{
	char error[SIM_NAMES_ERROR];

	if (!run->cert_to_name || sim_names_load(run->cert_to_name, names, error) == 0)
		return SIM_EXIT_OK;
	return usage(error, NULL);
}

static int run_command(void *into)
{
	const struct run *run = into;
	struct sim_fleet_options options;
	struct sim_plan plans[PLANS];
	struct sim_threshold thresholds[SIM_TEXTS_MAX];
	struct sim_pki *pki = NULL;
	struct sim_names *names = NULL;
	struct sigaction action = {.sa_handler = on_signal};

	int code = read_options(run, &options, plans, thresholds);
	if (code)
		return code;
	code = load_pki(run, &pki);
	if (!code)
		code = load_names(run, &names);
	if (code)
		goto out;
	if (run->devices > sim_pki_devices(pki)) {
		fprintf(stderr, "callhome-sim run: %s has certificates for %u devices: make more with "
				"gen-certs, or use --devices\n",
			run->pki, sim_pki_devices(pki));
		code = SIM_EXIT_USAGE;
		goto out;
	}
	options.pki = pki;
	options.names = names;
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	if (run->client_certs) {
		options.certificates = fopen(run->client_certs, "w");
		if (!options.certificates) {
			code = usage(strerror(errno), run->client_certs);
			goto out;
		}
		setvbuf(options.certificates, NULL, _IOLBF, 0);
	}
	code = run_load(run, &options, thresholds);
	if (options.certificates && fclose(options.certificates) != 0)
		code = usage(strerror(errno), run->client_certs);
out:
	sim_pki_free(pki);
	sim_names_free(names);
	return code;
}

const struct sim_command_row sim_command_run = {
	.name = "run",
	.summary = "devices that call a collector, log it in, answer and notify",
	.details = "Metrics for --threshold: login_p50 login_p90 login_p99 login_max connect_p99\n"
		   "(times), up logins notifications failures impostors_left (counts).\n"
		   "Exit codes: 0, 1 the load failed, 2 usage, 3 io_uring refused, 99 a threshold.\n",
	.args = args,
	.arg_count = sizeof(args) / sizeof(args[0]),
	.into_bytes = sizeof(struct run),
	.run = run_command,
};
