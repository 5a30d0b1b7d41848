/* SPDX-License-Identifier: Apache-2.0 */
#include "conn.h"
#include "worker.h"

#include <errno.h>

/* Records without application data that a session may bring: so many at once, then one a second. */
#define CONTROL_BURST 64

int ch_postshake_seal(struct ch_conn *conn, uint8_t type, const uint8_t *data, size_t len)
{
	struct ch_slice part = {data, len};

	if (conn->tx_kernel)
		return ch_conn_queue_control(conn, type, data, len, false);
	return ch_record_seal(&conn->record, type, &part, 1, &conn->queue);
}

void ch_postshake_say_alert(struct ch_worker *w, struct ch_conn *conn)
{
	const uint8_t alert[2] = {conn->alert == CH_ALERT_CLOSE_NOTIFY ? 1 : 2, conn->alert};

	/* It is the last thing said: what still waits would follow it in the kernel's order. */
	if (conn->tx_kernel) {
		conn->queue.len = 0;
		if (!conn->sending)
			conn->sent_at = conn->sent_len;
	}
	if (ch_postshake_seal(conn, CH_RECORD_ALERT, alert, sizeof(alert)) != 0)
		ch_log(&w->shared->log, CH_LOG_DEBUG, "event=alert-lost conn=%u.%u", w->index,
		       conn->slot);
}

bool ch_postshake_allowed(struct ch_worker *w, struct ch_conn *conn)
{
	ch_count(&w->stats.control_records, 1);
	return ch_rate_allow(&conn->control_tat_ns, w->now_ns, 1, CONTROL_BURST);
}

/* ---- keys ---- */

bool ch_postshake_key_update(struct ch_worker *w, struct ch_conn *conn, bool ask)
{
	const uint8_t message[5] = {24, 0, 0, 1, ask};
	int err;

	if (conn->tx_kernel && !w->shared->ktls.rekey) {
		ch_conn_end(w, conn, CH_EV_FAIL, CH_REASON_KEY_UPDATE, "our sending key is due");
		return false;
	}
	/* It leaves under the old key, all behind it under the new one. */
	if (conn->tx_kernel)
		err = ch_conn_queue_control(conn, CH_RECORD_HANDSHAKE, message, sizeof(message),
					    true);
	else
		err = ch_postshake_seal(conn, CH_RECORD_HANDSHAKE, message, sizeof(message));
	if (err == 0 && !conn->tx_kernel)
		err = ch_record_rekey(&conn->record, true);
	if (err != 0) {
		ch_conn_end(w, conn, CH_EV_ABORT, CH_REASON_INTERNAL, "key update");
		return false;
	}
	ch_count(&w->stats.key_updates_sent, 1);
	conn->update_owed = false;
	conn->update_asked |= ask;
	return true;
}

bool ch_postshake_before_data(struct ch_worker *w, struct ch_conn *conn)
{
	/* Kernel TLS: one that waits to be sent serves as well, and goes before this data. */
	for (const struct ch_control_record *c = conn->control; c != NULL; c = c->next) {
		if (c->rekey && !(conn->sending && c == conn->control))
			conn->update_owed = false;
	}
	if (!conn->update_owed && !ch_record_wants_rekey(&conn->record, true))
		return true;
	return ch_postshake_key_update(w, conn, false);
}

void ch_postshake_watch(struct ch_worker *w, struct ch_conn *conn)
{
	if (!ch_conn_listening(conn) || !ch_record_wants_rekey(&conn->record, false))
		return;
	if (conn->rx_kernel && !w->shared->ktls.rekey) {
		ch_conn_end(w, conn, CH_EV_FAIL, CH_REASON_KEY_UPDATE,
			    "the device's sending key is due");
	} else if (!conn->update_asked) {
		/* RFC 8446 section 4.6.3: one question at a time. */
		if (ch_postshake_key_update(w, conn, true))
			ch_conn_flush(w, conn);
	} else if (ch_record_worn_out(&conn->record)) {
		conn->alert = CH_ALERT_UNEXPECTED_MESSAGE;
		ch_conn_end(w, conn, CH_EV_FAIL, CH_REASON_UNEXPECTED_RECORD,
			    "the device goes on with a used-up key, though asked for a new one");
	}
}

static void on_key_update(struct ch_worker *w, struct ch_conn *conn, bool requested)
{
	if (conn->rx_kernel && !w->shared->ktls.rekey) {
		ch_conn_end(w, conn, CH_EV_FAIL, CH_REASON_KEY_UPDATE, NULL);
		return;
	}
	if (conn->rekeying_rx) {
		conn->alert = CH_ALERT_UNEXPECTED_MESSAGE;
		ch_conn_end(w, conn, CH_EV_FAIL, CH_REASON_UNEXPECTED_RECORD,
			    "KeyUpdate under a key that had ended");
		return;
	}
	ch_count(&w->stats.key_updates, 1);
	conn->update_asked = false;
	/*
	 * RFC 8446 section 4.6.3: our answer is due before our next application data, and one
	 * answers any number of questions.
	 */
	conn->update_owed |= requested;
	conn->expiry_due = conn->rx_kernel;
	if (conn->rx_kernel)
		ch_conn_rekey(w, conn, CH_KTLS_RX);
	else if (ch_record_rekey(&conn->record, false) != 0)
		ch_conn_end(w, conn, CH_EV_ABORT, CH_REASON_INTERNAL, "key update");
}

bool ch_postshake_key_expired(struct ch_worker *w, struct ch_conn *conn)
{
	/*
	 * The kernel takes every handshake record that begins with 24 for a KeyUpdate, be it a part
	 * of one or of a ticket, and then waits for a key that nobody owes it: each receive would
	 * end so at once, for ever. One such end belongs to a KeyUpdate.
	 */
	if (!conn->expiry_due) {
		ch_conn_end(w, conn, CH_EV_FAIL, CH_REASON_KEY_UPDATE,
			    "the kernel took another handshake record for a KeyUpdate");
		return false;
	}
	conn->expiry_due = false;
	/* The new key may be in already. */
	return !conn->rekeying_rx && ch_conn_listening(conn);
}

/* ---- what came ---- */

void ch_postshake_alert(struct ch_worker *w, struct ch_conn *conn, const uint8_t *data, size_t len)
{
	enum ch_reason reason = CH_REASON_TLS_ALERT;
	uint8_t code = 0;

	ch_count(&w->stats.alerts, 1);
	switch (ch_alert_parse(data, len, conn->version == CH_TLS_1_3, &code)) {
	case CH_ALERT_CLOSED:
		ch_conn_end(w, conn, CH_EV_PEER_CLOSE, CH_REASON_CLOSED_BY_DEVICE,
			    ch_session_unfinished(conn));
		break;
	case CH_ALERT_WARNING:
		break;
	case CH_ALERT_FATAL:
		/*
		 * TLS 1.3: our handshake was finished before the device judged our certificate;
		 * with its hello in 0.5-RTT data the session is even up.
		 */
		if ((conn->state == CH_CONN_HELLO_WAIT || conn->version == CH_TLS_1_3) &&
		    ch_alert_refuses_certificate(code))
			reason = CH_REASON_CLIENT_CERT_REFUSED;
		ch_conn_end(w, conn, CH_EV_PEER_CLOSE, reason, ch_alert_name(code));
		break;
	case CH_ALERT_MALFORMED:
		conn->alert = code;
		ch_conn_end(w, conn, CH_EV_FAIL, CH_REASON_UNEXPECTED_RECORD, "malformed alert");
		break;
	}
}

void ch_postshake_handshake(struct ch_worker *w, struct ch_conn *conn, const uint8_t *data,
			    size_t len)
{
	static const uint8_t no_renegotiation[2] = {1, CH_ALERT_NO_RENEGOTIATION};
	size_t used;
	bool requested;

	while (ch_conn_listening(conn)) {
		enum ch_tlsmsg_result result =
			ch_tlsmsg_feed(&conn->tlsmsg, data, len, &used, &requested);

		data += used;
		len -= used;
		switch (result) {
		case CH_TLSMSG_MORE:
			return;
		case CH_TLSMSG_TICKET:
			ch_count(&w->stats.tickets, 1);
			break;
		case CH_TLSMSG_KEY_UPDATE:
			on_key_update(w, conn, requested);
			break;
		case CH_TLSMSG_HELLO_REQUEST:
			if (ch_postshake_seal(conn, CH_RECORD_ALERT, no_renegotiation, 2) == 0)
				ch_conn_flush(w, conn);
			break;
		case CH_TLSMSG_REFUSED:
			conn->alert = conn->tlsmsg.alert;
			ch_conn_end(w, conn, CH_EV_FAIL, CH_REASON_UNEXPECTED_RECORD,
				    "handshake message after the handshake");
			return;
		}
	}
}

void ch_postshake_bad_record(struct ch_worker *w, struct ch_conn *conn, int error)
{
	/*
	 * A KeyUpdate that shares its record with a ticket: the kernel does not see it, and tried
	 * the next record with the old key. With the new one, which is on its way, it opens.
	 */
	if (error == -EBADMSG && conn->rekeying_rx)
		return;
	conn->alert = error == -EBADMSG	   ? CH_ALERT_BAD_RECORD_MAC
		      : error == -EMSGSIZE ? CH_ALERT_RECORD_OVERFLOW
					   : CH_ALERT_UNEXPECTED_MESSAGE;
	ch_conn_end(w, conn, CH_EV_FAIL, CH_REASON_BAD_RECORD, ch_error_text(error));
}
