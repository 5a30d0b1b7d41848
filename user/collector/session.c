/* SPDX-License-Identifier: Apache-2.0 */
#include "conn.h"
#include "kernel/sock.h"
#include "publish.h"
#include "worker.h"

#include <errno.h>
#include <string.h>

/* Cookies below any pointer: our own requests. */
enum { COOKIE_NONE, COOKIE_GET_CONFIG, COOKIE_SUBSCRIBE, COOKIE_PROBE, COOKIE_JOBS };

static const char get_config[] = "<get-config><source><running/></source></get-config>";
/* Selects nothing: the cheapest question that every NETCONF server must answer. */
static const char probe[] = "<get><filter type=\"subtree\"/></get>";

static const struct ch_config_profile *profile_of(const struct ch_worker *w,
						  const struct ch_conn *conn)
{
	const struct ch_device *device = ch_devices_at(w->policy->devices, conn->device);

	return &w->policy->config->profiles[device->profile];
}

static struct ch_job *job_of(uint64_t cookie)
{
	return cookie >= COOKIE_JOBS ? (struct ch_job *)(uintptr_t)cookie : NULL;
}

/* Keys into the kernel as far as policy and kernel allow; receiving first, so that half is cheap.
 */
static void hand_over(struct ch_worker *w, struct ch_conn *conn, int fd,
		      const struct ch_record_keys *keys)
{
	struct ch_layer_plan plan = ch_layer_plan(w->shared->config->record_layer, &w->shared->ktls,
						  keys->version, keys->aead);

	conn->layer_why = (uint8_t)plan.why;
	if ((plan.rx || plan.tx) && !conn->ulp) {
		conn->layer_why = CH_WHY_REFUSED;
		return;
	}
	conn->rx_kernel = plan.rx && ch_ktls_install(fd, CH_KTLS_RX, keys, &w->shared->ktls) == 0;
	conn->tx_kernel = plan.tx && ch_ktls_install(fd, CH_KTLS_TX, keys, &w->shared->ktls) == 0;
	if ((plan.rx && !conn->rx_kernel) || (plan.tx && !conn->tx_kernel))
		conn->layer_why = CH_WHY_REFUSED;
}

int ch_session_arm(struct ch_worker *w, struct ch_conn *conn)
{
	struct ch_record_keys keys;
	int fd = conn->file.index;
	int err;

	err = ch_handshake_take_keys(conn->login->handshake, &keys);
	if (err != 0)
		return err;
	if (w->shared->fixed)
		err = w->ring->ops->install(w->ring, conn->slot, fd);
	if (err != 0) {
		explicit_bzero(&keys, sizeof(keys));
		return err;
	}
	/* Nothing below can fail: what the kernel does not take stays in user space. */
	hand_over(w, conn, fd, &keys);
	if (w->shared->fixed) {
		ch_sock_close(fd);
		conn->file = (struct ch_file){.index = (int32_t)conn->slot, .fixed = true};
	}
	ch_record_init(&conn->record, w->engine, &keys, &w->shared->budget);
	explicit_bzero(&keys, sizeof(keys));
	ch_tlsmsg_init(&conn->tlsmsg, conn->version == CH_TLS_1_3);
	ch_client_init(&conn->client, &w->shared->client_limits, &w->shared->budget);
	ch_login_free(w, conn->login);
	conn->login = NULL;
	conn->armed = true;
	ch_session_receive(w, conn);
	return 0;
}

void ch_session_receive(struct ch_worker *w, struct ch_conn *conn)
{
	int err;

	if (conn->paused)
		return;
	err = w->ring->ops->recv(w->ring, conn->file, ch_worker_user_data(conn, CH_OP_RECV));
	if (err != 0) {
		ch_conn_end(w, conn, CH_EV_ABORT, CH_REASON_INTERNAL, ch_error_text(err));
		return;
	}
	conn->receiving = true;
	conn->inflight++;
}

/* Seals the NETCONF output in the scratch buffer and sends it. */
static void send_plain(struct ch_worker *w, struct ch_conn *conn)
{
	struct ch_slice part = {w->plain.data, w->plain.len};
	int err;

	w->plain.len = 0;
	if (part.len == 0)
		return;
	if (ch_conn_unsent(conn) + part.len > w->shared->config->max_send_queue) {
		ch_conn_end(w, conn, CH_EV_FAIL, CH_REASON_READER_STALLED, NULL);
		return;
	}
	if (!ch_postshake_before_data(w, conn))
		return;
	if (conn->tx_kernel)
		err = ch_buf_append(&conn->queue, part.data, part.len);
	else
		err = ch_record_seal(&conn->record, CH_RECORD_DATA, &part, 1, &conn->queue);
	if (err != 0) {
		ch_conn_end(w, conn, CH_EV_FAIL,
			    err == CH_E_BUDGET ? CH_REASON_BYTE_BUDGET : CH_REASON_INTERNAL,
			    ch_error_text(err));
		return;
	}
	ch_conn_flush(w, conn);
}

void ch_session_hello(struct ch_worker *w, struct ch_conn *conn)
{
	if (ch_client_start(&conn->client, &w->plain) != 0)
		ch_conn_end(w, conn, CH_EV_ABORT, CH_REASON_INTERNAL, NULL);
	else
		send_plain(w, conn);
}

static void supersede(struct ch_worker *w, struct ch_conn *conn, uint64_t owner)
{
	struct ch_mail mail = {.kind = CH_MAIL_SUPERSEDED, .device = conn->device, .owner = owner};
	uint32_t index = ch_user_data_op(owner) - 1u;

	ch_count(&w->stats.superseded, 1);
	if (ch_worker_post(&w->shared->workers[index], &mail) != 0)
		ch_log(&w->shared->log, CH_LOG_ERROR,
		       "event=mail-lost what=superseded worker=%u device=%u", index, conn->device);
}

static void request(struct ch_worker *w, struct ch_conn *conn, const char *xml, uint64_t cookie)
{
	struct ch_slice operation = {(const uint8_t *)xml, strlen(xml)};
	uint64_t deadline = w->now_ns + w->shared->config->rpc_timeout_ns;

	/* A refusal is an internal matter here: the client was just opened, or the probe can wait.
	 */
	if (ch_client_request(&conn->client, operation, deadline, false, cookie, &w->plain) > 0)
		send_plain(w, conn);
}

static void subscribe(struct ch_worker *w, struct ch_conn *conn,
		      const struct ch_config_profile *profile)
{
	uint32_t have = conn->client.hello.capabilities;
	uint64_t deadline = w->now_ns + w->shared->config->rpc_timeout_ns;

	if (!(have & CH_CAP_NOTIFICATION)) {
		ch_publish_request_failed(w, conn, "create-subscription", "unsupported",
					  "the device lacks :notification");
		return;
	}
	if (!(have & CH_CAP_INTERLEAVE) && !profile->subscribe_without_interleave) {
		ch_publish_request_failed(w, conn, "create-subscription", "unsupported",
					  "the device lacks :interleave; set "
					  "subscribe-without-interleave to give up rpcs for it");
		return;
	}
	if (ch_client_subscribe(&conn->client, deadline, COOKIE_SUBSCRIBE, &w->plain) > 0)
		send_plain(w, conn);
}

void ch_session_up(struct ch_worker *w, struct ch_conn *conn)
{
	const struct ch_config_profile *profile = profile_of(w, conn);
	uint64_t before;

	ch_conn_logged_in(w, conn);
	ch_flow_begin(w, conn);
	before = ch_conn_claim(w, conn);
	ch_gate_succeed(w->shared->gate, &conn->peer, w->now_ns);
	ch_count(&w->stats.up, 1);
	ch_count(&w->stats.logins, 1);
	ch_registry_count(w->shared->registry, conn->device, CH_DEVICE_SESSIONS, 1);
	pthread_mutex_lock(&w->login_lock);
	ch_hist_record(&w->login_us, conn->login_us);
	pthread_mutex_unlock(&w->login_lock);
	ch_publish_up(w, conn);
	if (before != CH_OWNER_NONE)
		supersede(w, conn, before);
	if (profile->on_connect & CH_ON_CONNECT_GET_CONFIG)
		request(w, conn, get_config, COOKIE_GET_CONFIG);
	if (profile->on_connect & CH_ON_CONNECT_SUBSCRIBE && conn->state == CH_CONN_OPEN)
		subscribe(w, conn, profile);
}

void ch_session_close(struct ch_worker *w, struct ch_conn *conn)
{
	if (ch_client_close(&conn->client, UINT64_MAX - 1, &w->plain) > 0)
		send_plain(w, conn);
	else
		ch_conn_event(w, conn, CH_EV_SESSION_CLOSED);
}

/* The reply to get-config or create-subscription of the profile. */
static void on_profile_reply(struct ch_worker *w, struct ch_conn *conn,
			     const struct ch_client_event *event)
{
	const char *what =
		event->cookie == COOKIE_GET_CONFIG ? "get-config" : "create-subscription";
	struct ch_reply_info info;

	if (ch_reply_inspect(event->message, w->shared->client_limits.max_depth, &info) != 0) {
		ch_conn_end(w, conn, CH_EV_FAIL, CH_REASON_BAD_MESSAGE, what);
		return;
	}
	if (info.error) {
		ch_count(&w->stats.rpc_errors, 1);
		ch_publish_request_failed(w, conn, what, info.error_tag, info.error_message);
	}
	if (event->cookie == COOKIE_GET_CONFIG)
		ch_publish_reply(w, conn, what, event->id, event->message);
}

static void on_reply(struct ch_worker *w, struct ch_conn *conn, const struct ch_client_event *event)
{
	struct ch_job *job = job_of(event->cookie);

	ch_count(&w->stats.replies, 1);
	ch_registry_count(w->shared->registry, conn->device, CH_DEVICE_REPLIES, 1);
	if (event->cookie == COOKIE_PROBE)
		conn->probing = false;
	else if (event->cookie == COOKIE_GET_CONFIG || event->cookie == COOKIE_SUBSCRIBE)
		on_profile_reply(w, conn, event);
	else if (job != NULL)
		ch_job_done(job, 0);
}

static void on_client_event(struct ch_worker *w, struct ch_conn *conn,
			    const struct ch_client_event *event)
{
	struct ch_job *job;

	switch (event->kind) {
	case CH_CLIENT_UP:
		ch_conn_event(w, conn, CH_EV_HELLO);
		break;
	case CH_CLIENT_NOTIFICATION:
		ch_count(&w->stats.notifications, 1);
		ch_registry_count(w->shared->registry, conn->device, CH_DEVICE_NOTIFICATIONS, 1);
		ch_publish_notification(w, conn, event->message);
		break;
	case CH_CLIENT_REPLY:
		on_reply(w, conn, event);
		break;
	case CH_CLIENT_REPLY_PART:
		job = job_of(event->cookie);
		if (job != NULL)
			job->fn(job->ctx, event->message.data, event->message.len, false, 0);
		break;
	case CH_CLIENT_CLOSED:
		conn->answered = true;
		ch_conn_event(w, conn, CH_EV_SESSION_CLOSED);
		break;
	case CH_CLIENT_TIMEOUT: /* only from ch_client_expire */
		break;
	}
}

static void on_data(struct ch_worker *w, struct ch_conn *conn, const uint8_t *data, size_t len)
{
	struct ch_client_event event;
	size_t used;

	while (ch_conn_listening(conn)) {
		enum ch_client_result result =
			ch_client_feed(&conn->client, data, len, &used, &event);

		data += used;
		len -= used;
		if (result == CH_CLIENT_MORE)
			return;
		if (result == CH_CLIENT_ERROR) {
			if (conn->client.reason == CH_REASON_BYTE_BUDGET)
				ch_count(&w->stats.budget_hits, 1);
			ch_conn_end(w, conn, CH_EV_FAIL, conn->client.reason, NULL);
			return;
		}
		on_client_event(w, conn, &event);
	}
}

const char *ch_session_unfinished(const struct ch_conn *conn)
{
	if (!conn->armed)
		return NULL;
	if (!conn->rx_kernel && ch_record_pending(&conn->record))
		return "in the middle of a record";
	if (ch_tlsmsg_pending(&conn->tlsmsg))
		return "in the middle of a handshake message";
	return ch_client_pending(&conn->client) ? "in the middle of a message" : NULL;
}

/* One record's plaintext: the seam where both record layers meet. */
static void on_record(struct ch_worker *w, struct ch_conn *conn, uint8_t type, const uint8_t *data,
		      size_t len)
{
	ch_count(&w->stats.records, 1);
	/* RFC 6520 section 4: a heartbeat says nothing about NETCONF, whose idle timer goes on. */
	if (type == CH_RECORD_HEARTBEAT) {
		ch_session_heartbeat(w, conn, data, len);
		return;
	}
	conn->heard_ns = w->now_ns;
	if (type == CH_RECORD_DATA && len > 0 && !ch_tlsmsg_pending(&conn->tlsmsg)) {
		on_data(w, conn, data, len);
		return;
	}
	if (!ch_postshake_allowed(w, conn)) {
		conn->alert = CH_ALERT_UNEXPECTED_MESSAGE;
		ch_conn_end(w, conn, CH_EV_FAIL, CH_REASON_RECORD_FLOOD, NULL);
	} else if (type == CH_RECORD_ALERT) {
		ch_postshake_alert(w, conn, data, len);
	} else if (type == CH_RECORD_HANDSHAKE && len > 0) {
		ch_postshake_handshake(w, conn, data, len);
	} else if (type != CH_RECORD_DATA || ch_tlsmsg_pending(&conn->tlsmsg)) {
		conn->alert = CH_ALERT_UNEXPECTED_MESSAGE;
		ch_conn_end(w, conn, CH_EV_FAIL, CH_REASON_UNEXPECTED_RECORD, "record type");
	}
}

static void on_ciphertext(struct ch_worker *w, struct ch_conn *conn, uint8_t *data, size_t len)
{
	struct ch_record_event event;
	size_t used;

	while (ch_conn_listening(conn)) {
		enum ch_record_result result =
			ch_record_open(&conn->record, data, len, &used, &event);

		data += used;
		len -= used;
		if (result == CH_RECORD_MORE)
			return;
		if (result == CH_RECORD_ERROR) {
			conn->alert = conn->record.alert;
			ch_conn_end(w, conn, CH_EV_FAIL, conn->record.reason, NULL);
			return;
		}
		on_record(w, conn, event.type, event.data, event.len);
	}
}

static void on_kernel_record(struct ch_worker *w, struct ch_conn *conn,
			     const struct ch_completion *c)
{
	/*
	 * How many records these bytes were is not told. What wears a key out are blocks: records
	 * of one byte are two each, a full one is 1025.
	 */
	conn->record.keys.rx.sequence += 1 + c->payload_len / 512;
	on_record(w, conn, c->record_type, c->payload, c->payload_len);
}

static void on_payload(struct ch_worker *w, struct ch_conn *conn, const struct ch_completion *c)
{
	uint64_t copied = conn->record.copied + conn->client.copied;
	const struct ch_budget *budget = &w->shared->budget;

	ch_heartbeat_heard(&conn->heartbeat, w->now_ns);
	ch_count(&w->stats.received_bytes, c->payload_len);
	if (conn->claimed)
		ch_registry_count(w->shared->registry, conn->device, CH_DEVICE_RECEIVED,
				  c->payload_len);
	/* Near the end of the budget the largest holder goes, not whoever asks next. */
	if (budget->limit != 0 && atomic_load_explicit(&budget->used, memory_order_relaxed) >
					  budget->limit - budget->limit / 8)
		ch_worker_shed(w);
	if (!conn->rx_kernel)
		on_ciphertext(w, conn, c->payload, c->payload_len);
	else if (ch_conn_listening(conn))
		on_kernel_record(w, conn, c);
	ch_postshake_watch(w, conn);
	ch_flow_received(w, conn, c->payload_len);
	ch_count(&w->stats.copied_bytes, conn->record.copied + conn->client.copied - copied);
}

/* @return may the receive be armed again? */
static bool on_receive_error(struct ch_worker *w, struct ch_conn *conn, int result)
{
	if (conn->rx_kernel && result == -EKEYEXPIRED)
		return ch_postshake_key_expired(w, conn);
	/* A record that is malformed or does not authenticate; every further receive says the same.
	 */
	if (conn->rx_kernel && (result == -EBADMSG || result == -EMSGSIZE || result == -EINVAL))
		ch_postshake_bad_record(w, conn, result);
	else
		ch_conn_gone(w, conn, result);
	return false;
}

void ch_session_received(struct ch_worker *w, struct ch_conn *conn, const struct ch_completion *c)
{
	if (!c->more)
		conn->receiving = false;
	if (c->buffered) {
		on_payload(w, conn, c);
		w->ring->ops->recycle(w->ring, c->buffer);
	}
	if (c->end) {
		ch_conn_gone(w, conn, 0);
		return;
	}
	/* An empty record of the kernel's comes without a buffer. */
	if (conn->rx_kernel && c->result == 0 && !c->buffered && ch_conn_listening(conn))
		on_record(w, conn, c->record_type, NULL, 0);
	if (c->result < 0 && c->result != -ENOBUFS && c->result != -ECANCELED &&
	    !on_receive_error(w, conn, c->result))
		return;
	if (c->result == -ENOBUFS)
		ch_count(&w->stats.recv_nobufs, 1);
	if (!conn->receiving && !conn->paused &&
	    (ch_conn_listening(conn) || conn->state == CH_CONN_DRAIN)) {
		ch_count(&w->stats.recv_rearmed, 1);
		ch_session_receive(w, conn);
	}
}

static bool may_probe(const struct ch_conn *conn)
{
	return !conn->probing &&
	       !(conn->client.subscribed && !(conn->client.hello.capabilities & CH_CAP_INTERLEAVE));
}

uint64_t ch_session_expiry(const struct ch_worker *w, const struct ch_conn *conn)
{
	uint64_t at = ch_client_expiry(&conn->client);
	uint64_t heartbeat = ch_session_heartbeat_expiry(w, conn);
	uint64_t flow = ch_flow_expiry(w, conn);
	uint64_t interval = profile_of(w, conn)->probe_interval_ns;

	if (interval != 0 && may_probe(conn) && conn->heard_ns + interval < at)
		at = conn->heard_ns + interval;
	if (flow < at)
		at = flow;
	return heartbeat < at ? heartbeat : at;
}

static void on_timeout(struct ch_worker *w, struct ch_conn *conn,
		       const struct ch_client_event *event)
{
	struct ch_job *job = job_of(event->cookie);

	ch_count(&w->stats.rpc_timeouts, 1);
	if (job != NULL)
		ch_job_done(job, CH_E_TIMEOUT);
	else if (event->cookie == COOKIE_PROBE)
		ch_conn_end(w, conn, CH_EV_FAIL, CH_REASON_PROBE_TIMEOUT, NULL);
	else
		ch_publish_request_failed(w, conn,
					  event->cookie == COOKIE_SUBSCRIBE ? "create-subscription"
									    : "get-config",
					  "timeout", "no reply in time");
}

void ch_session_timer(struct ch_worker *w, struct ch_conn *conn)
{
	uint64_t interval = profile_of(w, conn)->probe_interval_ns;
	struct ch_client_event event;

	while (conn->state == CH_CONN_OPEN && ch_client_expire(&conn->client, w->now_ns, &event))
		on_timeout(w, conn, &event);
	if (conn->state != CH_CONN_OPEN)
		return;
	ch_flow_tend(w, conn);
	if (interval != 0 && may_probe(conn) && conn->heard_ns + interval <= w->now_ns) {
		conn->probing = true;
		request(w, conn, probe, COOKIE_PROBE);
	}
	if (conn->state == CH_CONN_OPEN)
		ch_session_heartbeat_timer(w, conn);
	if (conn->state == CH_CONN_OPEN)
		ch_conn_arm_timer(w, conn);
}

void ch_session_fail_requests(struct ch_conn *conn)
{
	if (!conn->armed)
		return;
	for (int i = 0; i < CH_CLIENT_OUTSTANDING; i++) {
		struct ch_request *r = &conn->client.requests[i];
		struct ch_job *job = job_of(r->cookie);

		if (r->id == 0)
			continue;
		if (r->deadline_ns != UINT64_MAX && job != NULL)
			ch_job_done(job, CH_E_NOT_CONNECTED);
		r->cookie = COOKIE_NONE;
	}
}

void ch_session_request(struct ch_worker *w, struct ch_conn *conn, struct ch_job *job)
{
	struct ch_slice operation = {job->operation, job->len};
	uint64_t deadline = w->now_ns + job->timeout_ns;
	int64_t id;

	if (conn->state != CH_CONN_OPEN) {
		ch_job_done(job, CH_E_NOT_CONNECTED);
		return;
	}
	id = ch_client_request(&conn->client, operation, deadline, true, (uintptr_t)job, &w->plain);
	if (id < 0) {
		ch_job_done(job, (int)id);
		return;
	}
	send_plain(w, conn);
	if (conn->state == CH_CONN_OPEN)
		ch_conn_arm_timer(w, conn);
}
