/* SPDX-License-Identifier: Apache-2.0 */
#include "control_views.h"

#include <callhome/guard.h>

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define REASON_PREFIX "reason."
/* Name and help are ours: short. */
#define LINES_MOST 1024

/* What is written, and the first error. */
struct sink {
	struct ch_buf *out;
	int err;
	bool reasons; /**< the reasons, or all other counters */
	bool begun;   /**< the head of the reasons is there */
};

static void put(struct sink *sink, const char *fmt, ...) CH_PRINTF(2, 3);
static void put(struct sink *sink, const char *fmt, ...)
{
	char lines[LINES_MOST];
	va_list args;
	int len;

	va_start(args, fmt);
	len = vsnprintf(lines, sizeof(lines), fmt, args);
	va_end(args);
	if (sink->err == 0 && (len < 0 || (size_t)len >= sizeof(lines)))
		sink->err = CH_E_LIMIT;
	if (sink->err == 0)
		sink->err = ch_buf_append(sink->out, lines, (size_t)len);
}

static void head(struct sink *sink, const char *name, const char *type, const char *help)
{
	put(sink, "# HELP callhome_%s %s\n# TYPE callhome_%s %s\n", name, help, name, type);
}

static void gauge(struct sink *sink, const char *name, const char *help, double value)
{
	head(sink, name, "gauge", help);
	put(sink, "callhome_%s %.10g\n", name, value);
}

static void counter(struct sink *sink, const char *name, const char *help, uint64_t value)
{
	head(sink, name, "counter", help);
	put(sink, "callhome_%s %llu\n", name, (unsigned long long)value);
}

static void put_counter(void *ctx, const char *name, const char *help, bool is_gauge,
			uint64_t value)
{
	struct sink *sink = ctx;
	size_t prefix = sizeof(REASON_PREFIX) - 1;
	bool reason = strncmp(name, REASON_PREFIX, prefix) == 0;
	char full[96];

	if (reason != sink->reasons)
		return;
	if (reason) {
		if (!sink->begun)
			head(sink, "ended_total", "counter", "connections by how they ended");
		sink->begun = true;
		put(sink, "callhome_ended_total{reason=\"%s\"} %llu\n", name + prefix,
		    (unsigned long long)value);
		return;
	}
	snprintf(full, sizeof(full), "%s%s", name, is_gauge ? "" : "_total");
	if (is_gauge)
		gauge(sink, full, help, (double)value);
	else
		counter(sink, full, help, value);
}

static void put_spool(struct sink *sink, const struct ch_collector_view *view)
{
	static const char *const streams[] = {"events", "notifications", "replies"};

	head(sink, "spool_lines_total", "counter", "lines written");
	for (size_t i = 0; i < sizeof(streams) / sizeof(streams[0]); i++)
		put(sink, "callhome_spool_lines_total{stream=\"%s\"} %llu\n", streams[i],
		    (unsigned long long)view->spool_written[i]);
	counter(sink, "spool_lines_lost_total", "lines that the spool writer dropped",
		view->spool_dropped);
	counter(sink, "spool_errors_total", "failures to write the spool", view->spool_errors);
}

static void put_revocation(struct sink *sink, const struct ch_collector_view *view)
{
	if (!view->crl)
		return;
	gauge(sink, "crl_lists", "revocation lists that count", (double)view->crl_lists);
	gauge(sink, "crl_pending", "revocation lists whose issuer was not seen yet",
	      (double)view->crl_pending);
	gauge(sink, "crl_stale", "revocation lists past their next update",
	      (double)view->crl_stale);
	gauge(sink, "crl_refused", "revocation lists that cannot be used",
	      (double)view->crl_refused);
	gauge(sink, "crl_entries", "revoked certificates in all lists",
	      (double)view->crl_entries);
	gauge(sink, "crl_bytes", "memory of all lists", (double)view->crl_bytes);
	gauge(sink, "crl_loaded_timestamp_seconds", "when the lists were read last",
	      (double)view->crl_loaded_unix_ns / 1e9);
}

static void put_verdict(struct sink *sink, const char *at, const char *verdict, uint64_t value)
{
	put(sink, "callhome_guard_verdicts_total{at=\"%s\",verdict=\"%s\"} %llu\n", at, verdict,
	    (unsigned long long)value);
}

static void put_guard(struct sink *sink, const struct ch_collector_guard *guard)
{
	gauge(sink, "guard_bans", "sources that are banned", (double)guard->bans);
	gauge(sink, "guard_sources", "sources that are remembered", (double)guard->sources);
	head(sink, "guard_verdicts_total", "counter",
	     "what the guard said: early and kernel of connection attempts, accept of connections");
	for (uint32_t i = 0; i < guard->verdict_count; i++) {
		const struct ch_collector_verdict *verdict = &guard->verdicts[i];

		if (guard->interface_count > 0)
			put_verdict(sink, "early", verdict->name, verdict->early_total);
		put_verdict(sink, "kernel", verdict->name, verdict->kernel_total);
		put_verdict(sink, "accept", verdict->name, verdict->accept_total);
	}
	if (guard->interface_count == 0)
		return;
	head(sink, "guard_early", "gauge", "1 where the early stage works on the interface");
	for (uint32_t i = 0; i < guard->interface_count; i++)
		put(sink, "callhome_guard_early{interface=\"%s\"} %d\n", guard->interfaces[i].name,
		    guard->interfaces[i].mode != NULL);
}

static void put_view(struct sink *sink, const struct ch_collector_view *view)
{
	head(sink, "build_info", "gauge", "which callhomed this is");
	put(sink, "callhome_build_info{version=\"%s\"} 1\n", ch_version());
	gauge(sink, "start_timestamp_seconds", "when the collector started",
	      (double)view->started_unix_ns / 1e9);
	gauge(sink, "devices", "devices in the inventory", view->devices);
	gauge(sink, "quarantined", "unknown devices that wait to be accepted",
	      (double)view->quarantined);
	gauge(sink, "max_sessions", "the limit of connections", (double)view->max_sessions);
	gauge(sink, "max_handshakes", "the limit of connections that log in",
	      (double)view->max_handshakes);
	gauge(sink, "byte_budget_bytes", "the limit of what is held for devices",
	      (double)view->byte_budget);
	gauge(sink, "byte_budget_used_bytes", "held for devices now",
	      (double)view->byte_budget_used);
	head(sink, "login_seconds", "gauge", "accept to hello done, since the start");
	put(sink,
	    "callhome_login_seconds{quantile=\"0.5\"} %.6f\n"
	    "callhome_login_seconds{quantile=\"0.99\"} %.6f\n",
	    (double)view->login_p50_us / 1e6, (double)view->login_p99_us / 1e6);
	gauge(sink, "generation", "of configuration and inventory", (double)view->generation);
	gauge(sink, "reload_failed", "1 while the last reload is one that failed",
	      view->reload_failed_unix_ns != 0);
	if (view->credential_days != INT64_MAX)
		gauge(sink, "credential_days", "until the first client certificate ends",
		      (double)view->credential_days);
	if (view->anchor_days != INT64_MAX)
		gauge(sink, "anchor_days", "until the first trust anchor ends",
		      (double)view->anchor_days);
}

enum MHD_Result ch_control_metrics(struct MHD_Connection *connection,
				   const struct ch_collector *collector)
{
	struct ch_collector_guard guard;
	struct ch_collector_view view;
	struct ch_buf body = {0};
	struct sink sink = {.out = &body};

	memset(&view, 0, sizeof(view));
	ch_collector_view(collector, &view);
	put_view(&sink, &view);
	put_spool(&sink, &view);
	put_revocation(&sink, &view);
	ch_collector_guard(collector, &guard);
	put_guard(&sink, &guard);
	ch_collector_counters(collector, put_counter, &sink);
	sink.reasons = true;
	ch_collector_counters(collector, put_counter, &sink);
	if (sink.err != 0) {
		ch_buf_deinit(&body);
		return ch_http_error(connection, MHD_HTTP_INTERNAL_SERVER_ERROR, "internal-error",
				     "%s", ch_error_text(sink.err));
	}
	return ch_http_answer(connection, MHD_HTTP_OK, "text/plain; version=0.0.4", &body);
}
