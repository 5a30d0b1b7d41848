/* SPDX-License-Identifier: Apache-2.0 */
#include "report.h"

#include "kernel/layer.h"
#include "args.h"

#include "user/core/option.h"

#include <string.h>
#include <sys/resource.h>

uint64_t sim_report_failures(const struct sim_counters *counters)
{
	uint64_t failures = 0;

	for (int end = SIM_END_IDLE + 1; end < SIM_END_COUNT; end++) {
		if (end != SIM_END_STOPPED)
			failures += counters->ends[end];
	}
	return failures;
}

static double per_second(uint64_t now, uint64_t before, double seconds)
{
	return seconds > 0 ? (double)(now - before) / seconds : 0;
}

static double milliseconds(const struct ch_hist *hist, double percent)
{
	return (double)ch_hist_percentile(hist, percent) / 1000.0;
}

void sim_report_line(FILE *to, uint64_t elapsed_s, uint32_t devices, const struct sim_snapshot *now,
		     const struct sim_snapshot *before, double seconds, uint64_t refused)
{
	const struct sim_counters *c = &now->counters;

	fprintf(to,
		"%4llus  up %llu/%u  logins/s %.0f  login p50/p99 %.0f/%.0f ms  "
		"notifications/s %.0f  refused %llu  failed %llu\n",
		(unsigned long long)elapsed_s, (unsigned long long)c->up, devices,
		per_second(c->logins, before->counters.logins, seconds),
		milliseconds(&now->login_us, 50), milliseconds(&now->login_us, 99),
		per_second(c->notifications, before->counters.notifications, seconds),
		(unsigned long long)refused, (unsigned long long)sim_report_failures(c));
}

static void put_hist(struct ch_json *json, const char *key, const struct ch_hist *hist)
{
	static const struct {
		const char *name;
		double percent;
	} rows[] = {{"p50", 50}, {"p90", 90}, {"p99", 99}, {"p999", 99.9}};

	ch_json_object(json, key);
	ch_json_uint(json, "count", hist->total);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		ch_json_uint(json, rows[i].name, ch_hist_percentile(hist, rows[i].percent));
	ch_json_uint(json, "max", hist->max);
	ch_json_object_end(json);
}

static double cpu_seconds(void)
{
	struct rusage usage;

	if (getrusage(RUSAGE_SELF, &usage) != 0)
		return 0;
	return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
	       (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

void sim_report_json(struct ch_json *json, const struct sim_snapshot *snapshot, double seconds)
{
	const struct sim_counters *c = &snapshot->counters;

	ch_json_uint(json, "calls", c->arrivals);
	ch_json_uint(json, "connects", c->connects);
	ch_json_uint(json, "logins", c->logins);
	ch_json_uint(json, "rpcs", c->rpcs);
	ch_json_uint(json, "rpc_errors", c->rpc_errors);
	ch_json_uint(json, "notifications_held", c->held);
	ch_json_uint(json, "key_updates_sent", c->key_updates_sent);
	ch_json_uint(json, "key_updates_received", c->key_updates_received);
	ch_json_uint(json, "heartbeats_sent", c->heartbeats_sent);
	ch_json_uint(json, "heartbeats_answered", c->heartbeats_answered);
	ch_json_uint(json, "sent_bytes", c->sent_bytes);
	ch_json_uint(json, "received_bytes", c->received_bytes);
	ch_json_uint(json, "impostors_ended", c->impostors_ended);
	ch_json_uint(json, "impostors_left", c->impostors_left);
	if (snapshot->user[0] != '\0')
		ch_json_str(json, "user_name", snapshot->user);
	put_hist(json, "login_us", &snapshot->login_us);
	put_hist(json, "connect_us", &snapshot->connect_us);
	ch_json_object(json, "record_layers");
	for (int layer = CH_LAYER_USER; layer <= CH_LAYER_KERNEL_TX; layer++)
		ch_json_uint(json, ch_layer_name((enum ch_layer)layer), c->layers[layer]);
	ch_json_object_end(json);
	ch_json_object(json, "ends");
	for (int end = SIM_END_CLOSED; end < SIM_END_COUNT; end++) {
		if (c->ends[end] > 0)
			ch_json_uint(json, sim_end_name((enum sim_end)end), c->ends[end]);
	}
	ch_json_object_end(json);
	ch_json_double(json, "cpu_seconds", cpu_seconds());
	ch_json_double(json, "seconds", seconds);
}

enum unit { UNIT_COUNT, UNIT_TIME };

struct sim_metric {
	const char *name;
	enum unit unit;
	uint64_t (*value)(const struct sim_snapshot *snapshot); /* a count, or microseconds */
};

static uint64_t login_p50(const struct sim_snapshot *s)
{
	return ch_hist_percentile(&s->login_us, 50);
}

static uint64_t login_p90(const struct sim_snapshot *s)
{
	return ch_hist_percentile(&s->login_us, 90);
}

static uint64_t login_p99(const struct sim_snapshot *s)
{
	return ch_hist_percentile(&s->login_us, 99);
}

static uint64_t login_max(const struct sim_snapshot *s)
{
	return s->login_us.max;
}

static uint64_t connect_p99(const struct sim_snapshot *s)
{
	return ch_hist_percentile(&s->connect_us, 99);
}

static uint64_t up(const struct sim_snapshot *s)
{
	return s->counters.up;
}

static uint64_t logins(const struct sim_snapshot *s)
{
	return s->counters.logins;
}

static uint64_t notifications(const struct sim_snapshot *s)
{
	return s->counters.notifications;
}

static uint64_t failures(const struct sim_snapshot *s)
{
	return sim_report_failures(&s->counters);
}

static uint64_t impostors_left(const struct sim_snapshot *s)
{
	return s->counters.impostors_left;
}

static const struct sim_metric metrics[] = {
	{"login_p50", UNIT_TIME, login_p50},	 {"login_p90", UNIT_TIME, login_p90},
	{"login_p99", UNIT_TIME, login_p99},	 {"login_max", UNIT_TIME, login_max},
	{"connect_p99", UNIT_TIME, connect_p99}, {"up", UNIT_COUNT, up},
	{"logins", UNIT_COUNT, logins},		 {"notifications", UNIT_COUNT, notifications},
	{"failures", UNIT_COUNT, failures},	 {"impostors_left", UNIT_COUNT, impostors_left},
};

enum op { OP_LESS, OP_LESS_EQUAL, OP_MORE, OP_MORE_EQUAL, OP_EQUAL };

static const struct {
	const char *text;
	enum op op;
} ops[] = {
	/* the longer first: "<=" begins with "<" */
	{"<=", OP_LESS_EQUAL}, {">=", OP_MORE_EQUAL}, {"==", OP_EQUAL},
	{"<", OP_LESS},	       {">", OP_MORE},
};

static int bad_threshold(const char *text, const char *what, char error[256])
{
	snprintf(error, 256, "threshold \"%.60s\": %s", text, what);
	return CH_E_SYNTAX;
}

int sim_threshold_parse(const char *text, struct sim_threshold *threshold, char error[256])
{
	size_t name = strcspn(text, "<>=");
	const char *value = NULL;
	int err;

	*threshold = (struct sim_threshold){.text = text};
	for (size_t i = 0; i < sizeof(metrics) / sizeof(metrics[0]); i++) {
		if (strlen(metrics[i].name) == name && memcmp(metrics[i].name, text, name) == 0)
			threshold->metric = &metrics[i];
	}
	if (!threshold->metric)
		return bad_threshold(text, "knows no such metric (see run --help)", error);
	for (size_t i = 0; i < sizeof(ops) / sizeof(ops[0]) && !value; i++) {
		size_t len = strlen(ops[i].text);
		if (strncmp(text + name, ops[i].text, len) == 0) {
			threshold->op = (uint8_t)ops[i].op;
			value = text + name + len;
		}
	}
	if (!value)
		return bad_threshold(text, "needs one of < <= > >= == behind the metric", error);
	if (threshold->metric->unit == UNIT_TIME)
		err = ch_parse_duration(value, 0, UINT64_MAX, &threshold->value);
	else
		err = ch_parse_uint(value, 0, UINT64_MAX, &threshold->value);
	if (err)
		return bad_threshold(text,
				     threshold->metric->unit == UNIT_TIME
					     ? "needs a time such as 200ms"
					     : "needs a number",
				     error);
	return 0;
}

bool sim_threshold_holds(const struct sim_threshold *threshold, const struct sim_snapshot *snapshot,
			 uint64_t *actual)
{
	*actual = threshold->metric->value(snapshot);
	if (threshold->metric->unit == UNIT_TIME)
		*actual *= 1000;
	switch ((enum op)threshold->op) {
	case OP_LESS:
		return *actual < threshold->value;
	case OP_LESS_EQUAL:
		return *actual <= threshold->value;
	case OP_MORE:
		return *actual > threshold->value;
	case OP_MORE_EQUAL:
		return *actual >= threshold->value;
	case OP_EQUAL:
		return *actual == threshold->value;
	}
	return false;
}
