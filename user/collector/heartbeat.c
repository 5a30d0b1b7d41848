/* SPDX-License-Identifier: Apache-2.0 */
/* TLS heartbeats of a session (RFC 6520, RFC 8071 C4), on both record layers. */
#include "conn.h"
#include "user/tls/library.h"
#include "worker.h"

static bool answer_waits(const struct ch_conn *conn)
{
	if (!conn->tx_kernel)
		return conn->answer_left > 0;
	for (const struct ch_control_record *r = conn->control; r != NULL; r = r->next) {
		if (r->type == CH_RECORD_HEARTBEAT &&
		    ch_control_record_data(r)[0] == CH_HEARTBEAT_RESPONSE)
			return true;
	}
	return false;
}

/* Behind what is queued already, in room of its own: a full queue does not keep it back. */
static int send_message(struct ch_worker *w, struct ch_conn *conn, enum ch_heartbeat_type type,
			struct ch_slice payload, const uint8_t padding[CH_HEARTBEAT_PADDING])
{
	struct ch_slice part;
	int err;

	if (!ch_postshake_before_data(w, conn))
		return CH_E_STATE;
	w->plain.len = 0;
	err = ch_heartbeat_write(&w->plain, type, payload, padding);
	part = (struct ch_slice){w->plain.data, w->plain.len};
	w->plain.len = 0;
	if (err == 0 && conn->tx_kernel)
		err = ch_conn_queue_control(conn, CH_RECORD_HEARTBEAT, part.data, part.len, false);
	else if (err == 0)
		err = ch_record_seal(&conn->record, CH_RECORD_HEARTBEAT, &part, 1, &conn->queue);
	return err;
}

/*
 * RFC 6520 section 4: the peer has one request in flight at most. One that comes while the answer
 * to the last still waits is too many, so that what a session can make us hold is one answer.
 */
static void answer(struct ch_worker *w, struct ch_conn *conn, struct ch_slice payload)
{
	uint8_t padding[CH_HEARTBEAT_PADDING];

	if (answer_waits(conn) || ch_tls_random(padding, sizeof(padding)) != 0 ||
	    send_message(w, conn, CH_HEARTBEAT_RESPONSE, payload, padding) != 0) {
		ch_count(&w->stats.heartbeats_capped, 1);
		return;
	}
	ch_count(&w->stats.heartbeats_answered, 1);
	if (!conn->tx_kernel)
		conn->answer_left = (uint32_t)ch_conn_unsent(conn);
	ch_conn_flush(w, conn);
}

void ch_session_heartbeat(struct ch_worker *w, struct ch_conn *conn, const uint8_t *data,
			  size_t len)
{
	struct ch_slice payload;

	ch_count(&w->stats.heartbeats_received, 1);
	switch (ch_heartbeat_received(&conn->heartbeat, data, len, w->now_ns, &payload)) {
	case CH_HEARTBEAT_ANSWER:
		answer(w, conn, payload);
		break;
	case CH_HEARTBEAT_ANSWERED: /* that it was heard is noted already */
		break;
	case CH_HEARTBEAT_DISCARDED:
		ch_count(&w->stats.heartbeats_discarded, 1);
		break;
	case CH_HEARTBEAT_CAPPED:
		ch_count(&w->stats.heartbeats_capped, 1);
		break;
	case CH_HEARTBEAT_FLOOD:
		ch_conn_end(w, conn, CH_EV_FAIL, CH_REASON_RECORD_FLOOD, "heartbeats");
		break;
	}
}

uint64_t ch_session_heartbeat_expiry(const struct ch_worker *w, const struct ch_conn *conn)
{
	return ch_heartbeat_expiry(&conn->heartbeat, &w->shared->heartbeat_test);
}

void ch_session_heartbeat_timer(struct ch_worker *w, struct ch_conn *conn)
{
	struct ch_heartbeat *heartbeat = &conn->heartbeat;
	uint8_t random[CH_HEARTBEAT_COOKIE + CH_HEARTBEAT_PADDING];
	const struct ch_slice cookie = {heartbeat->cookie, CH_HEARTBEAT_COOKIE};

	if (ch_session_heartbeat_expiry(w, conn) > w->now_ns)
		return;
	if (ch_tls_random(random, sizeof(random)) != 0) {
		ch_conn_end(w, conn, CH_EV_ABORT, CH_REASON_INTERNAL, "no random bytes");
		return;
	}
	if (heartbeat->in_flight)
		ch_count(&w->stats.heartbeats_missed, 1);
	switch (ch_heartbeat_on_expiry(heartbeat, &w->shared->heartbeat_test, w->now_ns, random)) {
	case CH_HEARTBEAT_NOT_DUE:
		break;
	case CH_HEARTBEAT_ASK:
		/* Where it cannot be sent its attempt counts all the same: nothing moves there. */
		if (send_message(w, conn, CH_HEARTBEAT_REQUEST, cookie,
				 random + CH_HEARTBEAT_COOKIE) != 0)
			break;
		ch_count(&w->stats.heartbeats_sent, 1);
		ch_conn_flush(w, conn);
		break;
	case CH_HEARTBEAT_DEAD:
		ch_conn_end(w, conn, CH_EV_FAIL, CH_REASON_HEARTBEAT_TIMEOUT, NULL);
		break;
	}
}
