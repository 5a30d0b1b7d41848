/* SPDX-License-Identifier: Apache-2.0 */
/* The whole of callhome in one command: a PKI, a collector, a fleet, impostors, and the proof. */
#include "commands.h"
#include "load.h"
#include "report.h"
#include "site.h"
#include "verify.h"

#include "kernel/layer.h"
#include "kernel/probe.h"
#include "kernel/sock.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define SECOND 1000000000ull
#define TICK_NS 50000000
#define DRAIN_NS (30 * SECOND)
#define STOP_NS (60 * SECOND)
#define STEADY_NS (5 * SECOND) /* at least so long after the last arrival */
#define LOGIN_TIMEOUT_S 8      /* of the collector: silent impostors end then */
#define RAMP_RATE_MAX 160.0    /* logins per second that two shared cores take easily, both sides */
#define NOTIFICATIONS_MAX 5000.0 /* per second, of the whole fleet */
#define DEVICE_NOTIFY_RATE 5.0

/* Two of each; the twelve kinds come while the fleet is still calling in. */
static const char impostor_kinds[] =
	"unknown-ca:2,unknown-serial:2,other-manufacturer:2,expired:2,self-signed:2,stolen-cert:2,"
	"no-cert-request:2,silent:2,garbage:2,bad-hello:2,no-session-id:2,broken-chunk:2";

struct demo_args {
	const char *callhomed, *keep, *record_layer;
	uint64_t devices, duration_ns;
	bool quiet;
};

struct demo {
	const struct demo_args *args;
	struct sim_site site;
	uint64_t nofile;
	bool fixed;
	struct sim_load load;
	struct sim_plan plans[16];
	uint32_t plan_count;
	uint64_t start_ns, last_line_ns;
	struct sim_snapshot now, before;
	json_t *status; /* the collector's last words about itself */
	uint64_t refused;
	struct sim_verdict verdict;
	struct sim_failures failures;
};

static volatile sig_atomic_t interrupted;

static void on_signal(int number)
{
	(void)number;
	interrupted = 1;
}

static void nap(void)
{
	const struct timespec tick = {0, TICK_NS};

	nanosleep(&tick, NULL);
}

/* @return 0, or -1 with a failure noted */
static int check(struct demo *demo, int err, const char *what)
{
	if (!err)
		return 0;
	sim_failures_add(&demo->failures, "%s: %s", what, ch_error_text(err));
	return -1;
}

static int start_site(struct demo *demo)
{
	char limits[256], error[SIM_SITE_ERROR];
	uint64_t sessions = demo->args->devices + 1024;

	snprintf(limits, sizeof(limits),
		 "limits: {login-timeout: %ds, max-sessions: %llu, shutdown-timeout: 30s}\n"
		 "record-layer: %s\n",
		 LOGIN_TIMEOUT_S, (unsigned long long)sessions, demo->args->record_layer);
	const struct sim_site_spec spec = {
		.name = "demo",
		.keep = demo->args->keep,
		.callhomed = demo->args->callhomed,
		.devices = (uint32_t)demo->args->devices,
		.spares = 32,
		.limits = limits,
	};
	int err = sim_site_init(&demo->site, &spec, error);
	if (!err)
		err = sim_site_start(&demo->site, error);
	if (err)
		sim_failures_add(&demo->failures, "%s", error);
	return err;
}

static double ramp_rate(const struct demo *demo)
{
	double half = (double)demo->args->duration_ns / 2e9;
	double rate = (double)(demo->args->devices + 24) / (half > 1 ? half : 1);

	return rate < RAMP_RATE_MAX ? rate : RAMP_RATE_MAX;
}

static int start_load(struct demo *demo)
{
	double share = NOTIFICATIONS_MAX / (double)demo->args->devices;
	char error[256];

	if (sim_plans_parse(impostor_kinds, demo->plans, 16, &demo->plan_count, error) != 0) {
		sim_failures_add(&demo->failures, "%s", error);
		return -1;
	}
	struct sim_fleet_options options = {
		.pki = demo->site.pki,
		.targets = {demo->site.address},
		.target_count = 1,
		.source = {.ip = {127, 1, 0, 1}, .family = 4},
		.devices = (uint32_t)demo->args->devices,
		.rate = ramp_rate(demo),
		.notify_rate = share < DEVICE_NOTIFY_RATE ? share : DEVICE_NOTIFY_RATE,
		.reply_bytes = 2048,
		.reconnect = true,
		.max_wait_ns = 5 * SECOND,
		.max_attempts = 3,
		.backoff_min_ns = SECOND / 2,
		.backoff_max_ns = 10 * SECOND,
		.auth_timeout_ns = 30 * SECOND,
		.heartbeat_mode = CH_HEARTBEAT_ALLOWED,
		.heartbeat_test = {30 * SECOND, 3},
		.plans = demo->plans,
		.plan_count = demo->plan_count,
		.impostor_wait_ns = 30 * SECOND,
		.seed = 1,
	};
	uint32_t threads = sim_load_threads(demo->args->devices, demo->nofile);
	(void)!sim_layer_parse(demo->args->record_layer, &options.record_layer);
	options.fixed = demo->fixed;
	return check(demo, sim_load_start(&demo->load, &options, threads),
		     "the fleet does not start");
}

/* Sum of the connections that ended, of the collector's own words. */
static uint64_t count_refused(const json_t *status)
{
	json_t *reasons = json_object_get(status, "reasons"), *value;
	const char *name;
	uint64_t sum = 0;

	json_object_foreach(reasons, name, value) sum += (uint64_t)json_integer_value(value);
	return sum;
}

static void look(struct demo *demo)
{
	json_t *status = NULL;

	sim_load_snapshot(&demo->load, &demo->now);
	if (sim_daemon_status(&demo->site.daemon, &status) != 0)
		return;
	json_decref(demo->status);
	demo->status = status;
	demo->refused = count_refused(status);
}

static void show_line(struct demo *demo)
{
	uint64_t now_ns = ch_now_ns();

	if (now_ns - demo->last_line_ns < SECOND)
		return;
	look(demo);
	if (!demo->args->quiet)
		sim_report_line(stderr, (now_ns - demo->start_ns) / SECOND,
				(uint32_t)demo->args->devices, &demo->now, &demo->before,
				(double)(now_ns - demo->last_line_ns) / 1e9, demo->refused);
	demo->before = demo->now;
	demo->last_line_ns = now_ns;
}

static bool impostors_done(const struct demo *demo)
{
	const struct sim_counters *c = &demo->now.counters;

	return c->impostors_ended + c->impostors_left == 2 * (uint64_t)demo->plan_count;
}

/* The ramp, and steady traffic until the time is over and everybody had a chance. */
static void run_load(struct demo *demo)
{
	uint64_t end_ns = demo->start_ns + demo->args->duration_ns;
	double ramp_ns = (double)demo->args->devices * 1e9 / ramp_rate(demo);
	uint64_t limit_ns = end_ns + (uint64_t)ramp_ns + 30 * SECOND;
	uint64_t arrived_ns = 0;

	while (!interrupted) {
		uint64_t now_ns = ch_now_ns();
		nap();
		sim_load_snapshot(&demo->load, &demo->now);
		show_line(demo);
		if (demo->now.waiting == 0 && arrived_ns == 0)
			arrived_ns = now_ns;
		bool all = arrived_ns && now_ns > arrived_ns + STEADY_NS && impostors_done(demo) &&
			   demo->now.counters.up == demo->args->devices;
		if (now_ns > limit_ns || !demo->now.running || (all && now_ns > end_ns))
			return;
	}
}

static bool is_drained(const struct demo *demo)
{
	uint64_t sent = demo->now.counters.notifications;

	return demo->now.busy == 0 && demo->status &&
	       sim_control_uint(demo->status, "counters", "notifications") == sent &&
	       sim_control_uint(demo->status, "spool", "notifications") == sent &&
	       sim_control_uint(demo->status, "counters", "replies") == demo->now.counters.rpcs &&
	       sim_control_uint(demo->status, "spool", "replies") == demo->now.counters.logins;
}

/* The devices stop notifying; then every counter must arrive at the same number. */
static void drain(struct demo *demo)
{
	uint64_t deadline_ns = ch_now_ns() + DRAIN_NS;

	sim_load_tell(&demo->load, SIM_COMMAND_QUIET);
	/* longer than the fleet takes to obey and to publish */
	for (int i = 0; i < 5; i++)
		nap();
	do {
		nap();
		look(demo);
	} while (!interrupted && !is_drained(demo) && ch_now_ns() < deadline_ns);
}

static void stop_daemon(struct demo *demo)
{
	int code = sim_daemon_stop(&demo->site.daemon, STOP_NS);

	if (code != 0)
		sim_failures_add(&demo->failures, "callhomed ended with status %d on SIGTERM",
				 code);
}

static void expect(struct demo *demo, const char *what, uint64_t actual, uint64_t expected)
{
	if (actual != expected)
		sim_failures_add(&demo->failures, "%s: %llu, expected %llu", what,
				 (unsigned long long)actual, (unsigned long long)expected);
}

static void judge(struct demo *demo)
{
	const struct sim_counters *c = &demo->now.counters;
	const struct sim_impostor_view *impostors;
	uint64_t devices = demo->args->devices, count = 2 * (uint64_t)demo->plan_count;
	uint64_t sent = c->notifications;

	if (interrupted)
		sim_failures_add(&demo->failures, "interrupted");
	uint32_t called = sim_fleet_impostors(demo->load.fleets[0], &impostors);
	(void)!sim_verify(demo->site.spool, impostors, called, CH_REASON_SHUTDOWN, &demo->verdict,
			  &demo->failures);
	expect(demo, "devices up, says the fleet", c->up, devices);
	expect(demo, "devices up, says the collector",
	       sim_control_uint(demo->status, "counters", "up"), devices);
	expect(demo, "logins", c->logins, devices);
	expect(demo, "calls of devices that failed", sim_report_failures(c), 0);
	expect(demo, "impostors that ended for their own reason", demo->verdict.right, count);
	expect(demo, "impostors that nobody ended", c->impostors_left, 0);
	expect(demo, "connections refused or ended by the collector", demo->refused, count);
	expect(demo, "notifications received",
	       sim_control_uint(demo->status, "counters", "notifications"), sent);
	expect(demo, "notifications in the spool", demo->verdict.notifications, sent);
	expect(demo, "notifications left out", c->held, 0);
	expect(demo, "replies received", sim_control_uint(demo->status, "counters", "replies"),
	       c->rpcs);
	/* of each session one: the configuration; the <ok/> to the subscription is not kept */
	expect(demo, "replies in the spool", demo->verdict.replies, c->logins);
	expect(demo, "lines the spool lost", sim_control_uint(demo->status, "spool", "dropped"), 0);
	expect(demo, "rpc-errors", sim_control_uint(demo->status, "counters", "rpc_errors"), 0);
	if (sent == 0)
		sim_failures_add(&demo->failures, "no notification was sent");
}

static void run_demo(struct demo *demo)
{
	demo->start_ns = demo->last_line_ns = ch_now_ns();
	if (start_load(demo) != 0)
		return;
	run_load(demo);
	drain(demo);
	stop_daemon(demo);
	sim_load_join(&demo->load);
	judge(demo);
}

static void print_summary(const struct demo *demo, double seconds)
{
	const struct sim_counters *c = &demo->now.counters;

	printf("%llu of %llu devices up, login p50 %.1f ms, p99 %.1f ms\n",
	       (unsigned long long)c->up, (unsigned long long)demo->args->devices,
	       (double)ch_hist_percentile(&demo->now.login_us, 50) / 1000,
	       (double)ch_hist_percentile(&demo->now.login_us, 99) / 1000);
	printf("%llu notifications sent, %llu received, %llu in the spool; %llu replies\n",
	       (unsigned long long)c->notifications,
	       (unsigned long long)sim_control_uint(demo->status, "counters", "notifications"),
	       (unsigned long long)demo->verdict.notifications,
	       (unsigned long long)demo->verdict.replies);
	const char *layer = json_string_value(json_object_get(demo->status, "record_layer"));
	printf("records protected by: %s\n", layer ? layer : "nobody knows");
	printf("%llu impostors called, %llu refused for the right reason\n",
	       (unsigned long long)c->impostors, (unsigned long long)demo->verdict.right);
	for (uint32_t i = 0; i < demo->failures.count && i < SIM_FAILURES_MAX; i++)
		printf("FAILED: %s\n", demo->failures.text[i]);
	if (demo->failures.count > SIM_FAILURES_MAX)
		printf("FAILED: and %u more\n", demo->failures.count - SIM_FAILURES_MAX);
	if (demo->failures.count > 0 || demo->args->keep)
		printf("Configuration, log and spools: %s\n", demo->site.dir);
	printf("demo %s in %.1f s\n", demo->failures.count ? "FAILED" : "ok", seconds);
}

static void put_members(struct ch_json *json, const struct demo *demo, double seconds)
{
	const struct sim_counters *c = &demo->now.counters;
	const char *layer = json_string_value(json_object_get(demo->status, "record_layer"));

	ch_json_str(json, "demo", demo->failures.count ? "failed" : "ok");
	ch_json_uint(json, "devices", demo->args->devices);
	ch_json_uint(json, "up", c->up);
	ch_json_uint(json, "impostors", c->impostors);
	ch_json_uint(json, "refused", demo->verdict.right);
	ch_json_uint(json, "notifications_sent", c->notifications);
	ch_json_uint(json, "notifications_received",
		     sim_control_uint(demo->status, "counters", "notifications"));
	ch_json_uint(json, "spooled", demo->verdict.notifications);
	ch_json_uint(json, "replies", demo->verdict.replies);
	ch_json_str(json, "record_layer", layer);
	ch_json_object(json, "device_record_layers");
	for (int i = CH_LAYER_USER; i <= CH_LAYER_KERNEL_TX; i++)
		ch_json_uint(json, ch_layer_name((enum ch_layer)i), c->layers[i]);
	ch_json_object_end(json);
	ch_json_double(json, "login_p50_ms",
		       (double)ch_hist_percentile(&demo->now.login_us, 50) / 1000);
	ch_json_double(json, "login_p99_ms",
		       (double)ch_hist_percentile(&demo->now.login_us, 99) / 1000);
	ch_json_double(json, "seconds", seconds);
	ch_json_array(json, "failures");
	for (uint32_t i = 0; i < demo->failures.count && i < SIM_FAILURES_MAX; i++) {
		const char *text = demo->failures.text[i];
		ch_json_bytes(json, NULL, (struct ch_slice){(const uint8_t *)text, strlen(text)});
	}
	ch_json_array_end(json);
}

static int print_json(const struct demo *demo, double seconds)
{
	struct ch_buf text = {0};
	struct ch_json json;

	ch_json_init(&json, &text);
	ch_json_object(&json, NULL);
	put_members(&json, demo, seconds);
	ch_json_object_end(&json);
	if (!json.err)
		printf("%.*s\n", (int)text.len, (const char *)text.data);
	ch_buf_deinit(&text);
	return json.err || fflush(stdout) != 0 ? -1 : 0;
}

static void clean_up(struct demo *demo)
{
	sim_load_deinit(&demo->load);
	sim_site_deinit(&demo->site, demo->failures.count == 0 && !demo->args->keep);
	json_decref(demo->status);
}

static int demo_command(void *into)
{
	static struct demo demo;
	struct sigaction action = {.sa_handler = on_signal};
	struct ch_probe probe;
	uint64_t start_ns = ch_now_ns();

	ch_probe(&probe);
	const char *advice = ch_probe_advice(&probe);
	if (advice) {
		fprintf(stderr, "callhome-sim demo: %s\n", advice);
		return SIM_EXIT_REFUSED;
	}
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	demo.args = into;
	uint8_t policy;
	if (sim_layer_parse(demo.args->record_layer, &policy) != 0) {
		fprintf(stderr,
			"callhome-sim demo: --record-layer is auto, kernel or user, not %s\n",
			demo.args->record_layer);
		return SIM_EXIT_USAGE;
	}
	demo.nofile = probe.nofile;
	demo.fixed = probe.fixed_close;
	if (start_site(&demo) == 0)
		run_demo(&demo);
	double seconds = (double)(ch_now_ns() - start_ns) / 1e9;
	print_summary(&demo, seconds);
	int written = print_json(&demo, seconds);
	int code = demo.failures.count || written != 0 ? SIM_EXIT_FAILED : SIM_EXIT_OK;
	clean_up(&demo);
	return code;
}

static const struct sim_arg args[] = {
	{"devices", SIM_ARG_UINT, offsetof(struct demo_args, devices), "N", "1000", 1, 15000,
	 "devices that call"},
	{"duration", SIM_ARG_DURATION, offsetof(struct demo_args, duration_ns), "TIME", "20s",
	 5 * SECOND, 86400 * SECOND, "ramp and steady traffic; longer where the ramp needs it"},
	{"callhomed", SIM_ARG_TEXT, offsetof(struct demo_args, callhomed), "PATH", NULL, 0, 0,
	 "the daemon (default: beside this program)"},
	{"keep", SIM_ARG_TEXT, offsetof(struct demo_args, keep), "DIR", NULL, 0, 0,
	 "make DIR, use it and keep it (default: a temporary directory, kept on failure)"},
	{"record-layer", SIM_ARG_TEXT, offsetof(struct demo_args, record_layer), "LAYER", "auto", 0,
	 0, "of collector and devices: auto, kernel or user"},
	{"quiet", SIM_ARG_FLAG, offsetof(struct demo_args, quiet), NULL, NULL, 0, 0,
	 "no live line"},
};

const struct sim_command_row sim_command_demo = {
	.name = "demo",
	.summary = "a collector, a fleet and two dozen impostors, and the proof that all went well",
	.details = "Starts callhomed on a free port of 127.0.0.1. Needs no privileges. The last "
		   "line on\n"
		   "standard output is a JSON object; the exit code is 0 only if every device came "
		   "up,\n"
		   "every impostor was refused for its own reason and no notification was lost.\n",
	.args = args,
	.arg_count = sizeof(args) / sizeof(args[0]),
	.into_bytes = sizeof(struct demo_args),
	.run = demo_command,
};
