/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A connection of a load balancer: its header says who calls, and only then the gate judges and TLS
 * begins. Its place among the handshakes it takes at accept, like one of a known source.
 */
#include "conn.h"
#include "kernel/sock.h"
#include "worker.h"

void ch_proxied_read(struct ch_worker *w, struct ch_conn *conn)
{
	struct ch_login *login = conn->login;
	size_t wanted = ch_proxy_wanted(&login->proxy);
	int err = ch_buf_reserve(&login->record, wanted);

	if (err != 0)
		ch_conn_end(w, conn, CH_EV_ABORT,
			    err == CH_E_BUDGET ? CH_REASON_BYTE_BUDGET : CH_REASON_INTERNAL,
			    ch_error_text(err));
	else
		ch_login_receive(w, conn, CH_OP_PROXY, login->record.data, (uint32_t)wanted);
}

static enum ch_reason admit(struct ch_worker *w, struct ch_conn *conn)
{
	struct ch_shared *s = w->shared;
	struct ch_pass pass =
		ch_gate_arrive_behind(s->gate, conn->file.index, &conn->peer, w->now_ns);

	if (pass.refused != CH_REASON_NONE)
		return pass.refused;
	conn->arrived = true;
	conn->rank = (uint8_t)pass.rank;
	/* It has its place already. */
	return ch_login_leaves_room(w, pass.rank, pass.pending) ? CH_REASON_NONE
								: CH_REASON_HANDSHAKE_LIMIT;
}

static void addressed(struct ch_worker *w, struct ch_conn *conn)
{
	const struct ch_address *source = &conn->login->proxy.source;
	enum ch_reason reason;

	ch_buf_deinit(&conn->login->record); /* the first step of TLS has nothing to read */
	if (source->family != 0) {
		conn->via = ch_balancers_add(&w->shared->balancers, &conn->peer);
		conn->peer = *source;
	}
	reason = admit(w, conn);
	if (reason == CH_REASON_NONE) {
		ch_conn_event(w, conn, CH_EV_ADDRESSED);
		ch_worker_queue_turn(w, conn);
		return;
	}
	ch_sock_reset_at_close(conn->file.index);
	ch_conn_end(w, conn, CH_EV_ABORT, reason, NULL);
}

void ch_proxied_received(struct ch_worker *w, struct ch_conn *conn, const struct ch_completion *c)
{
	struct ch_login *login = conn->login;
	size_t wanted = ch_proxy_wanted(&login->proxy);
	size_t used;
	int result;

	conn->reading = 0;
	if (conn->state != CH_CONN_PROXY_HEADER)
		return; /* cancelled meanwhile */
	if (c->result != (int32_t)wanted) {
		ch_conn_gone(w, conn, c->result < 0 ? c->result : 0);
		return;
	}
	ch_count(&w->stats.received_bytes, wanted);
	result = ch_proxy_feed(&login->proxy, login->record.data, wanted, &used);
	if (result == 0)
		addressed(w, conn);
	else if (result == CH_PROXY_MORE)
		ch_proxied_read(w, conn);
	else
		ch_conn_end(w, conn, CH_EV_FAIL, CH_REASON_PROXY_HEADER,
			    result == CH_E_RANGE ? "its checksum (CRC32C) is wrong"
						 : ch_error_text(result));
}
