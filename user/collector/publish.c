/* SPDX-License-Identifier: Apache-2.0 */
#include "publish.h"
#include "reload.h"
#include "user/core/json.h"

#include <stdio.h>
#include <string.h>

#define BATCH_DELAY_NS (100ull * 1000000)
/* Beyond this a worker drops lines rather than hold more while the writer is behind. */
#define BATCH_MOST_BYTES (64ull << 20)
#define LINE_KEEP_BYTES (1u << 20)
#define REFUSED_PER_SECOND 20
#define REFUSED_BURST 100

static const char *device_name(const struct ch_worker *w, const struct ch_conn *conn)
{
	if (conn->device == CH_DEVICE_NONE)
		return NULL;
	return ch_devices_at(w->policy->devices, conn->device)->name;
}

static size_t batch_bytes(const struct ch_spool_batch *batch)
{
	size_t bytes = 0;

	for (int i = 0; i < CH_SPOOL_STREAMS; i++)
		bytes += batch->lines[i].len;
	return bytes;
}

uint64_t ch_publish_due(const struct ch_worker *w)
{
	return w->batch_since_ns == 0 ? UINT64_MAX : w->batch_since_ns + BATCH_DELAY_NS;
}

void ch_publish_flush(struct ch_worker *w, bool now)
{
	uint64_t lines = 0;

	if (w->batch_since_ns == 0)
		return;
	if (!now && w->now_ns < ch_publish_due(w) && batch_bytes(&w->batch) < CH_SPOOL_BATCH_BYTES)
		return;
	for (int i = 0; i < CH_SPOOL_STREAMS; i++)
		lines += w->batch.count[i];
	if (ch_spool_submit(w->shared->spool, &w->batch) == 0) {
		ch_count(&w->stats.spool_handed, lines);
		w->batch_since_ns = 0;
	} else {
		/* The writer is behind: try again one delay later. */
		w->batch_since_ns = w->now_ns;
	}
}

/* Starts a line in the scratch buffer with what all lines share. */
static void line_begin(struct ch_worker *w, struct ch_json *json)
{
	w->line.len = 0;
	ch_json_init(json, &w->line);
	ch_json_object(json, NULL);
	ch_json_time(json, "ts", w->unix_ns);
	ch_json_uint(json, "worker", w->index);
	ch_json_uint(json, "seq", w->sequence++);
}

static void line_end(struct ch_worker *w, struct ch_json *json, enum ch_spool_stream stream)
{
	struct ch_buf *to = &w->batch.lines[stream];
	size_t before = to->len;
	int err;

	ch_json_object_end(json);
	if (w->shared->spool == NULL)
		return;
	err = json->err;
	if (err == 0 && batch_bytes(&w->batch) + w->line.len > BATCH_MOST_BYTES)
		err = CH_E_LIMIT;
	if (err == 0)
		err = ch_buf_append(to, w->line.data, w->line.len);
	if (err == 0)
		err = ch_buf_append(to, "\n", 1);
	if (err != 0) {
		to->len = before;
		ch_count(&w->stats.spool_dropped, 1);
	} else {
		w->batch.count[stream]++;
		if (w->batch_since_ns == 0)
			w->batch_since_ns = w->now_ns;
	}
	/* One huge reply must not keep its memory for ever. */
	if (w->line.cap > LINE_KEEP_BYTES)
		ch_buf_deinit(&w->line);
	if (batch_bytes(&w->batch) >= CH_SPOOL_BATCH_BYTES)
		ch_publish_flush(w, false);
}

static void json_peer(struct ch_json *json, const struct ch_address *peer)
{
	char text[CH_ADDRESS_TEXT];

	ch_address_format(peer, text);
	ch_json_str(json, "peer", peer->family == 0 ? NULL : text);
}

static void json_conn(struct ch_worker *w, struct ch_json *json, enum ch_event_kind kind,
		      const struct ch_conn *conn)
{
	ch_json_str(json, "event", ch_event_name(kind));
	ch_json_str(json, "device", device_name(w, conn));
	ch_json_str(json, "transport", "netconf-tls");
	json_peer(json, &conn->peer);
	if (conn->via != CH_BALANCER_NONE)
		ch_json_str(json, "via", ch_balancers_name(&w->shared->balancers, conn->via));
}

/* One log line, at most 20 a second and worker, so that a storm cannot flood the log. */
static void log_conn(struct ch_worker *w, enum ch_log_level level, enum ch_event_kind kind,
		     const struct ch_conn *conn, const char *detail)
{
	const char *name = device_name(w, conn);
	const char *via = ch_balancers_name(&w->shared->balancers, conn->via);
	char peer[CH_ADDRESS_TEXT];
	uint64_t held = 0;

	if (level > w->shared->log.level ||
	    !ch_log_allow(&w->log_limit, w->now_ns, 20, 50, &held))
		return;
	ch_address_format(&conn->peer, peer);
	if (held > 0)
		ch_log(&w->shared->log, CH_LOG_WARNING, "event=log-limited skipped=%llu",
		       (unsigned long long)held);
	ch_log(&w->shared->log, level, "event=%s device=%s peer=%s%s%s%s%s%s%s%s",
	       ch_event_name(kind), name != NULL ? name : "-", peer, via != NULL ? " via=" : "",
	       via != NULL ? via : "", conn->reason != CH_REASON_NONE ? " reason=" : "",
	       conn->reason != CH_REASON_NONE ? ch_reason_name(conn->reason) : "",
	       detail != NULL && *detail ? " detail=\"" : "", detail != NULL ? detail : "",
	       detail != NULL && *detail ? "\"" : "");
}

void ch_publish_up(struct ch_worker *w, struct ch_conn *conn)
{
	struct ch_json json;

	log_conn(w, CH_LOG_INFO, CH_EVENT_CONNECTED, conn, NULL);
	line_begin(w, &json);
	json_conn(w, &json, CH_EVENT_CONNECTED, conn);
	ch_json_str(&json, "tls_version", conn->version == CH_TLS_1_3 ? "TLSv1.3" : "TLSv1.2");
	ch_json_str(&json, "cipher", ch_tls_cipher_name(conn->cipher));
	ch_json_str(&json, "record_layer",
		    ch_layer_name(ch_layer_of(conn->armed, conn->rx_kernel, conn->tx_kernel)));
	ch_json_uint(&json, "session_id", conn->client.hello.session_id);
	ch_json_uint(&json, "login_us", conn->login_us);
	line_end(w, &json, CH_SPOOL_EVENTS);
}

void ch_publish_end(struct ch_worker *w, struct ch_conn *conn, const char *detail)
{
	enum ch_event_kind kind = ch_reason_event(conn->reason);
	struct ch_json json;

	/* A session that was up disconnects, and one that never was cannot. */
	if (conn->claimed)
		kind = CH_EVENT_DISCONNECTED;
	else if (kind == CH_EVENT_DISCONNECTED)
		kind = CH_EVENT_CONNECTION_FAILED;
	if (kind == CH_EVENT_CONNECTION_REFUSED) {
		ch_publish_refused(w, &conn->peer, conn->via, conn->reason);
		return;
	}
	ch_count(&w->stats.reasons[conn->reason], 1);
	/* A device that is refused calls again for ever: it is news once. */
	if (conn->login != NULL && conn->login->quiet)
		return;
	log_conn(w, CH_LOG_INFO, kind, conn, detail);
	line_begin(w, &json);
	json_conn(w, &json, kind, conn);
	ch_json_str(&json, "reason", ch_reason_name(conn->reason));
	if (detail != NULL && *detail)
		ch_json_bytes(&json, "detail",
			      (struct ch_slice){(const uint8_t *)detail, strlen(detail)});
	if (conn->login != NULL && conn->login->unknown.identifier[0] != '\0') {
		const struct ch_identity *id = &conn->login->unknown;
		const struct ch_config *config = conn->login->judge->policy->config;

		ch_json_str(&json, "manufacturer", config->manufacturers[id->manufacturer].name);
		ch_json_str(&json, "identifier", id->identifier);
		ch_json_digest(&json, "cert_sha256", id->cert_sha256);
		ch_json_digest(&json, "spki_sha256", id->spki_sha256);
	}
	line_end(w, &json, CH_SPOOL_EVENTS);
}

void ch_publish_refused(struct ch_worker *w, const struct ch_address *peer, uint8_t via,
			enum ch_reason reason)
{
	struct ch_conn conn = {
		.device = CH_DEVICE_NONE, .peer = *peer, .via = via, .reason = reason};
	struct ch_json json;
	uint64_t held = 0;

	ch_count(&w->stats.reasons[reason], 1);
	/* Whoever floods the port must not flood the spool, where the real news are. */
	if (!ch_log_allow(&w->refused_limit, w->now_ns, REFUSED_PER_SECOND, REFUSED_BURST, &held))
		return;
	log_conn(w, CH_LOG_INFO, CH_EVENT_CONNECTION_REFUSED, &conn, NULL);
	line_begin(w, &json);
	json_conn(w, &json, CH_EVENT_CONNECTION_REFUSED, &conn);
	ch_json_str(&json, "reason", ch_reason_name(reason));
	if (held > 0)
		ch_json_uint(&json, "left_out", held);
	line_end(w, &json, CH_SPOOL_EVENTS);
}

void ch_publish_banned(struct ch_worker *w, const struct ch_conn *conn, const struct ch_ban *ban)
{
	char source[CH_SOURCE_TEXT];
	char detail[128];
	struct ch_json json;
	uint64_t seconds = (ban->until_ns - ban->since_ns) / 1000000000;

	ch_gate_format(w->shared->gate, &ban->source, source);
	snprintf(detail, sizeof(detail), "%s for %llus", source, (unsigned long long)seconds);
	log_conn(w, CH_LOG_WARNING, CH_EVENT_BANNED, conn, detail);
	line_begin(w, &json);
	json_conn(w, &json, CH_EVENT_BANNED, conn);
	ch_json_str(&json, "reason", ch_reason_name(conn->reason));
	ch_json_str(&json, "source", source);
	ch_json_uint(&json, "seconds", seconds);
	ch_json_uint(&json, "level", ban->level);
	ch_json_str(&json, "cause", "failures");
	line_end(w, &json, CH_SPOOL_EVENTS);
}

void ch_publish_ban_notice(struct ch_worker *w, const struct ch_ban_notice *notice)
{
	struct ch_json json;

	line_begin(w, &json);
	ch_json_str(&json, "event", ch_event_name(notice->kind));
	ch_json_str(&json, "source", notice->source);
	if (notice->kind == CH_EVENT_BANNED && notice->seconds != 0)
		ch_json_uint(&json, "seconds", notice->seconds);
	ch_json_str(&json, "cause", "operator");
	ch_json_str(&json, "user", notice->user);
	line_end(w, &json, CH_SPOOL_EVENTS);
}

void ch_publish_conflict(struct ch_worker *w, const struct ch_conn *conn)
{
	struct ch_json json;

	if (!ch_registry_conflict(w->shared->registry, conn->device, w->now_ns))
		return;
	log_conn(w, CH_LOG_WARNING, CH_EVENT_IDENTITY_CONFLICT, conn,
		 "the superseded session was still alive");
	line_begin(w, &json);
	json_conn(w, &json, CH_EVENT_IDENTITY_CONFLICT, conn);
	ch_json_str(&json, "detail", "the superseded session was still alive");
	line_end(w, &json, CH_SPOOL_EVENTS);
}

void ch_publish_request_failed(struct ch_worker *w, const struct ch_conn *conn, const char *what,
			       const char *tag, const char *message)
{
	struct ch_json json;

	line_begin(w, &json);
	json_conn(w, &json, CH_EVENT_RPC_FAILED, conn);
	ch_json_str(&json, "request", what);
	ch_json_bytes(&json, "error_tag",
		      (struct ch_slice){(const uint8_t *)tag, strlen(tag)});
	ch_json_bytes(&json, "error_message",
		      (struct ch_slice){(const uint8_t *)message, strlen(message)});
	line_end(w, &json, CH_SPOOL_EVENTS);
}

void ch_publish_notification(struct ch_worker *w, const struct ch_conn *conn, struct ch_slice xml)
{
	struct ch_json json;

	line_begin(w, &json);
	ch_json_str(&json, "device", device_name(w, conn));
	ch_json_bytes(&json, "notification", xml);
	line_end(w, &json, CH_SPOOL_NOTIFICATIONS);
}

void ch_publish_reply(struct ch_worker *w, const struct ch_conn *conn, const char *request,
		      uint32_t id, struct ch_slice xml)
{
	struct ch_json json;

	line_begin(w, &json);
	ch_json_str(&json, "device", device_name(w, conn));
	ch_json_uint(&json, "message_id", id);
	ch_json_str(&json, "request", request);
	ch_json_bytes(&json, "reply", xml);
	line_end(w, &json, CH_SPOOL_REPLIES);
}

void ch_publish_expiring(struct ch_worker *w, const struct ch_config_certificate *certificate,
			 int64_t days)
{
	const struct ch_certificate_facts *facts = &certificate->facts;
	struct ch_json json;

	line_begin(w, &json);
	ch_json_str(&json, "event",
		    ch_event_name(certificate->anchor ? CH_EVENT_ANCHOR_EXPIRING
						      : CH_EVENT_CREDENTIAL_EXPIRING));
	ch_json_str(&json, certificate->anchor ? "manufacturer" : "credential", certificate->owner);
	ch_json_str(&json, "option", certificate->option);
	ch_json_str(&json, "subject", facts->subject);
	ch_json_digest(&json, "sha256", facts->sha256);
	ch_json_int(&json, "days_left", days);
	line_end(w, &json, CH_SPOOL_EVENTS);
}

void ch_publish_lifecycle(struct ch_worker *w, enum ch_event_kind kind)
{
	struct ch_json json;

	line_begin(w, &json);
	ch_json_str(&json, "event", ch_event_name(kind));
	ch_json_str(&json, "version", ch_version());
	ch_json_uint(&json, "threads", w->shared->worker_count);
	ch_json_uint(&json, "devices", ch_devices_live(w->policy->devices));
	line_end(w, &json, CH_SPOOL_EVENTS);
}

void ch_publish_notice(struct ch_worker *w, const struct ch_notice *notice)
{
	const struct ch_reload_result *result = &notice->result;
	struct ch_json json;

	line_begin(w, &json);
	ch_json_str(&json, "event", ch_event_name(notice->kind));
	if (result->error == 0) {
		ch_json_uint(&json, "generation", result->generation);
		ch_json_uint(&json, "devices", result->devices);
		ch_json_uint(&json, "added", result->added);
		ch_json_uint(&json, "removed", result->removed);
		ch_json_uint(&json, "changed", result->changed);
	}
	if (notice->text[0] != '\0')
		ch_json_str(&json, "detail", notice->text);
	line_end(w, &json, CH_SPOOL_EVENTS);
}
