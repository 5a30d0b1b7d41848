/* SPDX-License-Identifier: Apache-2.0 */
#include "conn.h"
#include "publish.h"
#include "worker.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

_Static_assert(sizeof(struct ch_conn) <= 864,
	       "most of what an idle session costs: docs/performance.md");

#define DRAIN_NS (1000ull * 1000000)
#define CLOSE_SESSION_NS (2000ull * 1000000)
/*
 * Room behind max-send-queue for what must never be refused: the alert that ends a session, and one
 * heartbeat's answer (RFC 6520: also while the queue is full).
 */
#define QUEUE_RESERVE (1024 + CH_HEARTBEAT_MAX + CH_RECORD_OVERHEAD)

static void conn_set_state(struct ch_worker *w, struct ch_conn *conn, enum ch_conn_state next,
			   enum ch_conn_event event)
{
	if (conn->state != next)
		ch_log(&w->shared->log, CH_LOG_DEBUG,
		       "event=conn-state conn=%u.%u old=%s new=%s on=%s", w->index, conn->slot,
		       ch_conn_state_name((enum ch_conn_state)conn->state),
		       ch_conn_state_name(next), ch_conn_event_name(event));
	if (conn->state != next && (next == CH_CONN_PROXY_HEADER || next == CH_CONN_TLS_HANDSHAKE ||
				    next == CH_CONN_HELLO_WAIT))
		conn->stage_ns = w->now_ns;
	conn->state = (uint8_t)next;
}

/* Where a device stands after this connection of its ended. */
static enum ch_device_state state_after(const struct ch_conn *conn)
{
	if (conn->claimed || ch_reason_fault(conn->reason) == CH_FAULT_LOCAL)
		return CH_DEVICE_DISCONNECTED;
	return ch_reason_event(conn->reason) == CH_EVENT_DISCONNECTED ? CH_DEVICE_DISCONNECTED
								      : CH_DEVICE_REFUSED;
}

static void conn_fill_record(struct ch_worker *w, const struct ch_conn *conn,
			     struct ch_device_record *record)
{
	*record = (struct ch_device_record){
		.peer = conn->peer,
		.layer = ch_layer_of(conn->armed, conn->rx_kernel, conn->tx_kernel),
		.layer_why = conn->layer_why,
		.reason = (uint8_t)conn->reason,
		.next = conn->next,
		.version = conn->version,
		.worker = (uint8_t)w->index,
		.via = conn->via,
		.session_id = conn->client.hello.session_id,
		.capabilities = conn->client.hello.capabilities,
		.since_unix_ns = w->unix_ns,
		.login_us = conn->login_us,
		.cipher = conn->cipher,
		.identity = conn->proven.tag,
		.heartbeat = conn->heartbeat.mode,
		.group = conn->group,
		.signature = conn->signature,
		.no_ems = conn->no_ems,
	};
	memcpy(record->issuers, conn->issuers, sizeof(record->issuers));
	if (conn->proof.count > 0) {
		record->not_after = conn->proof.not_after;
		memcpy(record->cert_sha256, conn->proof.cert_sha256, sizeof(record->cert_sha256));
	}
}

void ch_conn_connecting(struct ch_worker *w, struct ch_conn *conn)
{
	struct ch_device_record record;

	conn_fill_record(w, conn, &record);
	record.state = CH_DEVICE_CONNECTING;
	ch_registry_connecting(w->shared->registry, conn->device, &record);
}

uint64_t ch_conn_claim(struct ch_worker *w, struct ch_conn *conn)
{
	struct ch_device_record record;

	conn->login_us = (uint32_t)((w->now_ns - conn->accepted_ns) / 1000);
	conn_fill_record(w, conn, &record);
	record.state = CH_DEVICE_CONNECTED;
	conn->claimed = true;
	return ch_registry_claim(w->shared->registry, conn->device, ch_worker_owner(w, conn),
				 &record);
}

void ch_conn_logged_in(struct ch_worker *w, struct ch_conn *conn)
{
	if (!conn->handshaking)
		return;
	conn->handshaking = false;
	if (conn->arrived)
		ch_gate_leave(w->shared->gate, &conn->peer);
	ch_cap_give(&w->shared->handshakes);
	ch_uncount(&w->stats.handshaking, 1);
}

static enum ch_session_end end_of(enum ch_reason reason)
{
	switch (ch_reason_fault(reason)) {
	case CH_FAULT_PEER:
		return CH_SESSION_FAULT;
	case CH_FAULT_NETWORK:
		/* By a call of the same device, which may do nothing but that. */
		return reason != CH_REASON_SUPERSEDED ? CH_SESSION_GOOD : CH_SESSION_ENDED;
	case CH_FAULT_LOCAL:
		break;
	}
	return CH_SESSION_ENDED;
}

/*
 * Does the end count against the source? Only what the peer did; before it was up, towards a ban. An
 * unknown device with a good certificate has done nothing: it waits to be enrolled.
 */
static void judge_source(struct ch_worker *w, struct ch_conn *conn)
{
	enum ch_fault fault = ch_reason_fault(conn->reason);
	struct ch_gate *gate = w->shared->gate;
	struct ch_ban ban;

	if (conn->claimed)
		ch_gate_end(gate, &conn->peer, end_of(conn->reason), w->now_ns);
	else if (fault == CH_FAULT_PEER && conn->reason != CH_REASON_UNKNOWN_DEVICE &&
		 ch_gate_fail(gate, &conn->peer, w->now_ns, &ban))
		ch_publish_banned(w, conn, &ban);
}

/* The end, once: counters, registry, waiting requests, event. */
static void act_end(struct ch_worker *w, struct ch_conn *conn)
{
	struct ch_device_record record;

	if (conn->ended)
		return;
	conn->ended = true;
	ch_conn_logged_in(w, conn);
	if (conn->claimed)
		ch_uncount(&w->stats.up, 1);
	if (conn->device != CH_DEVICE_NONE) {
		conn_fill_record(w, conn, &record);
		record.state = (uint8_t)state_after(conn);
		ch_registry_ended(w->shared->registry, conn->device, ch_worker_owner(w, conn),
				  &record);
	}
	ch_session_fail_requests(conn);
	ch_publish_end(w, conn, w->detail);
	judge_source(w, conn);
}

void ch_conn_cancel(struct ch_worker *w, struct ch_conn *conn, uint8_t op)
{
	int err = w->ring->ops->cancel(w->ring, ch_worker_user_data(conn, (enum ch_worker_op)op),
				       ch_worker_user_data(conn, CH_OP_CANCEL));

	if (err == 0)
		conn->inflight++;
}

static void act_cancel(struct ch_worker *w, struct ch_conn *conn)
{
	ch_wheel_cancel(&w->wheel, &conn->timer);
	if (conn->reading != 0)
		ch_conn_cancel(w, conn, conn->reading);
	if (conn->sending) {
		ch_conn_cancel(w, conn, CH_OP_SEND);
		if (conn->control != NULL)
			ch_conn_cancel(w, conn, CH_OP_SEND_RECORD);
	}
	if (conn->receiving)
		ch_conn_cancel(w, conn, CH_OP_RECV);
	/* A change of keys completes at once, so it needs no cancel. */
	if (conn->inflight == 0)
		ch_conn_event(w, conn, CH_EV_QUIET);
}

static void act_close(struct ch_worker *w, struct ch_conn *conn)
{
	if (conn->reason == CH_REASON_SUPERSEDED && conn->answered)
		ch_publish_conflict(w, conn);
	if (w->ring->ops->close(w->ring, conn->file, ch_worker_user_data(conn, CH_OP_CLOSE)) == 0)
		conn->inflight++;
	else
		ch_worker_release(w, conn);
}

static void act_alert(struct ch_worker *w, struct ch_conn *conn)
{
	/* Before the record layer is in, the handshake wrote its own alert already. */
	if (conn->armed)
		ch_postshake_say_alert(w, conn);
	ch_conn_flush(w, conn);
	if (!conn->armed)
		ch_login_discard(w, conn);
}

static void act_arm(struct ch_worker *w, struct ch_conn *conn)
{
	int err = ch_session_arm(w, conn);

	if (err != 0) {
		ch_conn_end(w, conn, CH_EV_ABORT, CH_REASON_INTERNAL, ch_error_text(err));
	} else if (conn->no_ems && w->shared->config->master_secret == CH_MASTER_SECRET_EXTENDED) {
		/* The alert of RFC 7627 section 5.2; only the record layer can still say it. */
		conn->alert = CH_ALERT_HANDSHAKE_FAILURE;
		ch_conn_end(w, conn, CH_EV_FAIL, CH_REASON_NO_EMS, NULL);
	}
}

void ch_conn_event(struct ch_worker *w, struct ch_conn *conn, enum ch_conn_event event)
{
	static const struct {
		uint16_t bit;
		void (*run)(struct ch_worker *w, struct ch_conn *conn);
	} actions[] = {
		{CH_ACT_READ, ch_login_read},
		{CH_ACT_ARM, act_arm},
		{CH_ACT_SEND_HELLO, ch_session_hello},
		{CH_ACT_UP, ch_session_up},
		{CH_ACT_END, act_end},
		{CH_ACT_CLOSE_SESSION, ch_session_close},
		{CH_ACT_ALERT, act_alert},
		{CH_ACT_CANCEL, act_cancel},
		{CH_ACT_CLOSE, act_close},
		{CH_ACT_TIMER, ch_conn_arm_timer},
	};
	const struct ch_transition *t = ch_fsm_step((enum ch_conn_state)conn->state, event);

	if (!t->known) {
		ch_log(&w->shared->log, CH_LOG_ERROR, "event=bug conn=%u.%u state=%s on=%s",
		       w->index, conn->slot, ch_conn_state_name((enum ch_conn_state)conn->state),
		       ch_conn_event_name(event));
		return;
	}
	conn_set_state(w, conn, (enum ch_conn_state)t->next, event);
	if (conn->state != CH_CONN_OPEN)
		ch_flow_resume(w, conn);
	for (size_t i = 0; i < sizeof(actions) / sizeof(actions[0]); i++) {
		/* An action may itself have moved the connection on: then the rest is void. */
		if (conn->state != t->next)
			return;
		if (t->actions & actions[i].bit)
			actions[i].run(w, conn);
	}
}

void ch_conn_end(struct ch_worker *w, struct ch_conn *conn, enum ch_conn_event event,
		 enum ch_reason reason, const char *detail)
{
	if (conn->reason == CH_REASON_NONE)
		conn->reason = (uint8_t)reason;
	w->detail = detail;
	ch_conn_event(w, conn, event);
	w->detail = NULL;
}

void ch_conn_gone(struct ch_worker *w, struct ch_conn *conn, int result)
{
	enum ch_reason reason = CH_REASON_TRUNCATED;
	const char *detail = NULL;

	if (result == 0)
		result = conn->send_error;
	if (result == 0)
		detail = ch_session_unfinished(conn);
	if (result == -ETIMEDOUT || result == -EHOSTUNREACH || result == -ENETUNREACH)
		reason = CH_REASON_UNREACHABLE;
	else if (result < 0)
		reason = CH_REASON_RESET;
	if (!conn->armed)
		reason = CH_REASON_CLOSED_IN_HANDSHAKE;
	ch_conn_end(w, conn, CH_EV_PEER_GONE, reason, detail);
}

/* A login has a deadline, and so has each of its stages. */
static uint64_t login_expiry(const struct ch_worker *w, const struct ch_conn *conn)
{
	const struct ch_config *config = w->shared->config;
	uint64_t whole = conn->accepted_ns + config->login_timeout_ns;
	uint64_t stage = config->hello_timeout_ns;

	if (conn->state == CH_CONN_ACCEPTED)
		return whole; /* the device waits for us */
	if (conn->state != CH_CONN_HELLO_WAIT)
		stage = ch_login_heard(conn) ? config->handshake_timeout_ns
					     : config->first_byte_timeout_ns;
	return stage != 0 && conn->stage_ns + stage < whole ? conn->stage_ns + stage : whole;
}

void ch_conn_arm_timer(struct ch_worker *w, struct ch_conn *conn)
{
	uint64_t at = UINT64_MAX;

	switch ((enum ch_conn_state)conn->state) {
	case CH_CONN_ACCEPTED:
	case CH_CONN_PROXY_HEADER:
	case CH_CONN_TLS_HANDSHAKE:
	case CH_CONN_RECORD_ARM:
	case CH_CONN_HELLO_WAIT:
		at = login_expiry(w, conn);
		break;
	case CH_CONN_OPEN:
		at = ch_session_expiry(w, conn);
		break;
	case CH_CONN_CLOSING:
		at = w->now_ns + CLOSE_SESSION_NS;
		break;
	case CH_CONN_DRAIN:
		at = w->now_ns + DRAIN_NS;
		break;
	case CH_CONN_CANCEL: /* completions always come */
	case CH_CONN_CLOSED:
	case CH_CONN_STATE_COUNT:
		break;
	}
	if (at == UINT64_MAX)
		ch_wheel_cancel(&w->wheel, &conn->timer);
	else
		ch_wheel_add(&w->wheel, &conn->timer, at);
}

static enum ch_reason late_for(const struct ch_conn *conn)
{
	if (conn->state == CH_CONN_HELLO_WAIT)
		return CH_REASON_HELLO_TIMEOUT;
	if (conn->state == CH_CONN_ACCEPTED)
		return CH_REASON_HANDSHAKE_LIMIT; /* its turn never came: our doing */
	if (conn->state == CH_CONN_PROXY_HEADER)
		return CH_REASON_PROXY_HEADER;
	return ch_login_heard(conn) ? CH_REASON_HANDSHAKE_TIMEOUT : CH_REASON_SILENT;
}

void ch_conn_timer(struct ch_worker *w, struct ch_conn *conn)
{
	switch ((enum ch_conn_state)conn->state) {
	case CH_CONN_ACCEPTED:
	case CH_CONN_PROXY_HEADER:
	case CH_CONN_TLS_HANDSHAKE:
	case CH_CONN_RECORD_ARM:
	case CH_CONN_HELLO_WAIT:
		/* The stage it was armed for may be over; the next one's deadline is later. */
		if (login_expiry(w, conn) > w->now_ns)
			ch_conn_arm_timer(w, conn);
		else
			ch_conn_end(w, conn, CH_EV_DEADLINE, late_for(conn), NULL);
		break;
	case CH_CONN_OPEN:
		ch_session_timer(w, conn);
		break;
	case CH_CONN_CLOSING:
	case CH_CONN_DRAIN:
		ch_conn_event(w, conn, CH_EV_DEADLINE);
		break;
	case CH_CONN_CANCEL: /* its timer is off */
	case CH_CONN_CLOSED:
	case CH_CONN_STATE_COUNT:
		break;
	}
}

int ch_conn_queue_control(struct ch_conn *conn, uint8_t type, const uint8_t *data, size_t len,
			  bool rekey)
{
	struct ch_control_record **tail = &conn->control;
	struct ch_control_record *record;

	int err = 0;

	if (conn->control_count >= CH_CONTROL_RECORDS_MAX || len > CH_RECORD_PLAIN_MAX)
		return CH_E_LIMIT;
	record = calloc(1, sizeof(*record));
	if (record == NULL)
		return -ENOMEM;
	record->large.budget = conn->queue.budget;
	if (len > sizeof(record->data))
		err = ch_buf_append(&record->large, data, len);
	else
		memcpy(record->data, data, len);
	if (err != 0) {
		free(record);
		return err;
	}
	record->type = type;
	record->rekey = rekey;
	record->len = (uint16_t)len;
	while (*tail != NULL)
		tail = &(*tail)->next;
	*tail = record;
	conn->control_count++;
	return 0;
}

static void drop_control(struct ch_conn *conn)
{
	struct ch_control_record *record = conn->control;

	conn->control = record->next;
	conn->control_count--;
	ch_buf_deinit(&record->large);
	free(record);
}

void ch_conn_free_control(struct ch_conn *conn)
{
	while (conn->control != NULL)
		drop_control(conn);
	for (int i = 0; i < 2; i++) {
		if (conn->new_keys[i] != NULL)
			explicit_bzero(conn->new_keys[i], CH_KTLS_INFO_MAX);
		free(conn->new_keys[i]);
		conn->new_keys[i] = NULL;
	}
}

static void send_began(struct ch_worker *w, struct ch_conn *conn, int err)
{
	if (err != 0) {
		ch_conn_end(w, conn, CH_EV_ABORT, CH_REASON_INTERNAL, ch_error_text(err));
		return;
	}
	conn->sending = true;
	conn->inflight++;
}

static void send_control(struct ch_worker *w, struct ch_conn *conn)
{
	struct ch_control_record *record = conn->control;
	int err = w->ring->ops->send_record(
		w->ring, conn->file, record->type, ch_control_record_data(record), record->len,
		&record->scratch, ch_worker_user_data(conn, CH_OP_SEND_RECORD));

	send_began(w, conn, err);
}

void ch_conn_control_sent(struct ch_worker *w, struct ch_conn *conn, const struct ch_completion *c)
{
	bool rekey = conn->control->rekey;

	conn->sending = false;
	drop_control(conn);
	if (c->result == -ECANCELED)
		return;
	if (c->result < 0) {
		ch_conn_gone(w, conn, c->result);
		return;
	}
	conn->record.keys.tx.sequence++;
	if (rekey)
		ch_conn_rekey(w, conn, CH_KTLS_TX);
	ch_conn_flush(w, conn);
}

void ch_conn_rekey(struct ch_worker *w, struct ch_conn *conn, enum ch_ktls_direction direction)
{
	bool sending = direction == CH_KTLS_TX;
	uint8_t *info = malloc(CH_KTLS_INFO_MAX);
	uint32_t len = 0;
	int err = -ENOMEM;

	if (info != NULL && conn->new_keys[direction] == NULL &&
	    ch_record_rekey(&conn->record, sending) == 0)
		len = ch_ktls_info(&conn->record.keys, direction, info);
	if (len > 0)
		err = w->ring->ops->rekey(
			w->ring, conn->file, direction, info, len,
			ch_worker_user_data(conn, sending ? CH_OP_REKEY_TX : CH_OP_REKEY_RX));
	if (err != 0) {
		free(info);
		ch_conn_end(w, conn, CH_EV_ABORT, CH_REASON_INTERNAL, "key update");
		return;
	}
	conn->new_keys[direction] = info;
	conn->inflight++;
	if (sending)
		conn->rekeying_tx = true;
	else
		conn->rekeying_rx = true;
}

void ch_conn_rekeyed(struct ch_worker *w, struct ch_conn *conn, enum ch_ktls_direction direction,
		     const struct ch_completion *c)
{
	explicit_bzero(conn->new_keys[direction], CH_KTLS_INFO_MAX);
	free(conn->new_keys[direction]);
	conn->new_keys[direction] = NULL;
	if (direction == CH_KTLS_TX)
		conn->rekeying_tx = false;
	else
		conn->rekeying_rx = false;
	if (c->result < 0) {
		ch_conn_end(w, conn, CH_EV_ABORT, CH_REASON_KEY_UPDATE, ch_error_text(c->result));
		return;
	}
	if (direction == CH_KTLS_TX)
		ch_conn_flush(w, conn);
	else if (!conn->receiving && conn->state < CH_CONN_CANCEL)
		ch_session_receive(w, conn);
}

static void free_sent(struct ch_conn *conn)
{
	free(conn->sent);
	ch_budget_give(conn->queue.budget, conn->sent_cap);
	conn->sent = NULL;
	conn->sent_len = conn->sent_cap = conn->sent_at = 0;
}

/* What was in flight left entirely: the queue takes its place. */
static void take_queue(struct ch_conn *conn)
{
	struct ch_buf *queue = &conn->queue;

	free_sent(conn);
	conn->sent = queue->data;
	conn->sent_len = (uint32_t)queue->len;
	conn->sent_cap = (uint32_t)queue->cap;
	*queue = (struct ch_buf){.max = queue->max, .budget = queue->budget};
}

void ch_conn_flush(struct ch_worker *w, struct ch_conn *conn)
{
	int err;

	if (conn->sending || conn->rekeying_tx || conn->state == CH_CONN_CANCEL ||
	    conn->state == CH_CONN_CLOSED)
		return;
	if (conn->sent_at == conn->sent_len && conn->control != NULL) {
		send_control(w, conn);
		return;
	}
	if (conn->sent_at == conn->sent_len)
		take_queue(conn);
	if (conn->sent_len == 0) {
		ch_conn_event(w, conn, CH_EV_FLUSHED);
		return;
	}
	err = w->ring->ops->send(w->ring, conn->file, conn->sent + conn->sent_at,
				 conn->sent_len - conn->sent_at,
				 ch_worker_user_data(conn, CH_OP_SEND));
	send_began(w, conn, err);
}

void ch_conn_sent(struct ch_worker *w, struct ch_conn *conn, const struct ch_completion *c)
{
	conn->sending = false;
	if (c->result == -ECANCELED)
		return;
	if (c->result < 0) {
		conn->sent_at = conn->sent_len;
		conn->queue.len = 0;
		conn->send_error = (int16_t)c->result;
		/* An alert may wait in front of the reset: the receive tells why the peer is gone.
		 */
		if (!conn->receiving && conn->reading == 0 && !conn->queued)
			ch_conn_gone(w, conn, c->result);
		return;
	}
	ch_count(&w->stats.sent_bytes, (uint64_t)c->result);
	if (conn->claimed)
		ch_registry_count(w->shared->registry, conn->device, CH_DEVICE_SENT,
				  (uint64_t)c->result);
	conn->sent_at += (uint32_t)c->result;
	conn->answer_left -=
		conn->answer_left < (uint32_t)c->result ? conn->answer_left : (uint32_t)c->result;
	if (conn->tx_kernel) /* the kernel made about as many records */
		conn->record.keys.tx.sequence += 1 + (uint64_t)c->result / CH_RECORD_PLAIN_MAX;
	if (conn->sent_at < conn->sent_len)
		ch_count(&w->stats.short_sends, 1);
	ch_conn_flush(w, conn);
}

size_t ch_conn_unsent(const struct ch_conn *conn)
{
	return conn->sent_len - conn->sent_at + conn->queue.len;
}

void ch_conn_init_queues(struct ch_worker *w, struct ch_conn *conn)
{
	size_t max = (size_t)w->shared->config->max_send_queue + QUEUE_RESERVE;

	conn->queue = (struct ch_buf){.max = max, .budget = &w->shared->budget};
}

void ch_conn_deinit_queues(struct ch_conn *conn)
{
	ch_buf_deinit(&conn->queue);
	free_sent(conn);
}
