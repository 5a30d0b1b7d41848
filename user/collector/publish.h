/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What the world is told: NDJSON lines into the worker's spool batch, counters, log lines
 * (limited). docs/spool.md describes the lines. Thread: the worker's.
 */
#include "worker.h"

/** The session came up. */
void ch_publish_up(struct ch_worker *worker, struct ch_conn *conn);
/** The connection ended, or was refused, for conn->reason. */
void ch_publish_end(struct ch_worker *worker, struct ch_conn *conn, const char *detail);
/** A source was banned for the failure of @conn. */
void ch_publish_banned(struct ch_worker *worker, const struct ch_conn *conn,
		       const struct ch_ban *ban);
/** A connection that never got a slot; in a flood only some of them, with the number left out.
 * @via: ch_balancers_name */
void ch_publish_refused(struct ch_worker *worker, const struct ch_address *peer, uint8_t via,
			enum ch_reason reason);
/** A superseded session turned out to be alive: two devices claim one identity. */
void ch_publish_conflict(struct ch_worker *worker, const struct ch_conn *conn);
/** A request of the profile failed: @what is its name, @tag the error-tag or "timeout". */
void ch_publish_request_failed(struct ch_worker *worker, const struct ch_conn *conn,
			       const char *what, const char *tag, const char *message);
void ch_publish_notification(struct ch_worker *worker, const struct ch_conn *conn,
			     struct ch_slice xml);
void ch_publish_reply(struct ch_worker *worker, const struct ch_conn *conn, const char *request,
		      uint32_t id, struct ch_slice xml);
struct ch_notice;
/** A reload ended. */
void ch_publish_notice(struct ch_worker *worker, const struct ch_notice *notice);
/** An operator banned a source or lifted a ban. */
struct ch_ban_notice {
	enum ch_event_kind kind; /**< BANNED, UNBANNED */
	char source[CH_SOURCE_TEXT];
	uint64_t seconds; /**< of a ban; 0 = until it is lifted */
	char user[64];
};
void ch_publish_ban_notice(struct ch_worker *worker, const struct ch_ban_notice *notice);
/** A client certificate or an anchor ends in @days, or ended. */
void ch_publish_expiring(struct ch_worker *worker, const struct ch_config_certificate *certificate,
			 int64_t days);
/** The collector itself started or stopped. */
void ch_publish_lifecycle(struct ch_worker *worker, enum ch_event_kind kind);

/** Hands the batch to the spool if it is due (or @now anyway). */
void ch_publish_flush(struct ch_worker *worker, bool now);
/** When the batch is due; UINT64_MAX = it is empty. */
uint64_t ch_publish_due(const struct ch_worker *worker);
