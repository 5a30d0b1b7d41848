/* SPDX-License-Identifier: Apache-2.0 */
#include "conn.h"
#include "kernel/sock.h"
#include "publish.h"
#include "reload.h"
#include "worker.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define RECORD_BODY_MAX (16384 + 256)
#define DISCARD_BYTES 4096
/* One in so many places is left to sources that call seldom. */
#define SELDOM_SHARE 8

void ch_login_free(struct ch_worker *w, struct ch_login *login)
{
	if (login == NULL)
		return;
	ch_handshake_free(login->handshake);
	if (--login->judge->logins == 0 && login->judge->retired)
		ch_reload_retire(w->shared->reload, login->judge);
	ch_buf_deinit(&login->record);
	free(login);
}

bool ch_login_heard(const struct ch_conn *conn)
{
	/*
	 * An exact receive that is still short completes only later, but what came lies in the
	 * header already; a TLS record never begins with a zero.
	 */
	return conn->login->heard || conn->login->header[0] != 0;
}

/* A reset costs the device and us the least, and it may call again at once. */
static void refuse(struct ch_worker *w, int fd, const struct ch_address *peer,
		   enum ch_reason reason)
{
	ch_sock_reset(fd);
	ch_publish_refused(w, peer, CH_BALANCER_NONE, reason);
}

/* How many places under max-handshakes may be taken when one of @rank takes one more. */
static uint64_t places(const struct ch_worker *w, enum ch_rank rank)
{
	uint64_t count = w->shared->handshakes.limit;

	if (!ch_rank_is_known(rank))
		count -= count * w->shared->config->guard.known_share / 100;
	if (ch_rank_is_busy(rank))
		count -= count / SELDOM_SHARE;
	return count;
}

bool ch_login_leaves_room(const struct ch_worker *w, enum ch_rank rank, uint32_t pending)
{
	uint64_t count = places(w, rank);

	return ch_cap_within(&w->shared->handshakes, count > pending ? count - pending : 0);
}

/*
 * Takes a place under max-sessions and max-handshakes. Known sources have a share of the latter,
 * and so have those that call seldom.
 */
static enum ch_reason take_places(struct ch_worker *w, enum ch_rank rank, uint32_t pending)
{
	struct ch_shared *s = w->shared;

	if (w->stopping)
		return CH_REASON_SHUTDOWN;
	if (!ch_login_leaves_room(w, rank, pending))
		return CH_REASON_HANDSHAKE_LIMIT;
	if (!ch_cap_take(&s->sessions))
		return CH_REASON_SESSION_LIMIT;
	if (!ch_worker_overloaded(w, rank) && ch_cap_take_below(&s->handshakes, places(w, rank)))
		return CH_REASON_NONE;
	ch_cap_give(&s->sessions);
	return CH_REASON_HANDSHAKE_LIMIT;
}

/*
 * Of a roll-over a device gets the certificate that it took last, and the other one if it did not
 * come up with that: it may not trust our new CA yet, or our old one any more.
 */
static bool prefer_next(void *ctx, uint32_t device)
{
	const struct ch_worker *w = ctx;
	struct ch_device_record record;

	ch_registry_read(w->shared->registry, device, &record);
	return (record.next != 0) != (record.state == CH_DEVICE_REFUSED);
}

static struct ch_login *login_new(struct ch_worker *w)
{
	struct ch_login *login = calloc(1, sizeof(*login));

	if (login == NULL)
		return NULL;
	login->record.max = CH_TLS_HEADER + RECORD_BODY_MAX;
	login->record.budget = &w->shared->budget;
	login->judge = w->judge;
	login->judge->logins++;
	login->generation = w->policy->generation;
	return login;
}

/* Not before its turn: accepting must be cheap, or a storm of arrivals keeps everybody waiting. */
static int login_begin(struct ch_worker *w, struct ch_login *login)
{
	int err = ch_handshake_client(login->judge->tls, &login->handshake);

	if (err == 0)
		ch_handshake_prefer(login->handshake, prefer_next, w);
	return err;
}

static struct ch_conn *conn_new(struct ch_worker *w, int fd, const struct ch_address *peer,
				const struct ch_pass *pass)
{
	uint32_t slot;
	struct ch_conn *conn = ch_slab_alloc(&w->slab, &slot);

	if (conn == NULL) {
		ch_count(&w->stats.table_full, 1);
		return NULL;
	}
	conn->login = login_new(w);
	if (conn->login == NULL) {
		ch_slab_free(&w->slab, slot);
		return NULL;
	}
	conn->slot = slot;
	conn->generation = ch_slab_generation(&w->slab, slot);
	conn->device = CH_DEVICE_NONE;
	conn->file = (struct ch_file){.index = fd};
	conn->peer = *peer;
	/* Now or never: behind the peer's FIN the kernel refuses it (ENOTCONN). */
	conn->ulp = ch_layer_wants_ulp(w->shared->config->record_layer, &w->shared->ktls) &&
		    ch_ktls_prepare(fd) == 0;
	conn->accepted_ns = w->now_ns;
	conn->heard_ns = w->now_ns;
	conn->handshaking = true;
	conn->rank = (uint8_t)pass->rank;
	ch_conn_init_queues(w, conn);
	return conn;
}

void ch_login_accept(struct ch_worker *w, int fd, const struct ch_address *peer)
{
	struct ch_conn *conn;
	struct ch_pass pass;
	enum ch_reason reason;

	ch_count(&w->stats.accepted, 1);
	pass = ch_gate_arrive(w->shared->gate, fd, peer, w->now_ns);
	if (pass.refused != CH_REASON_NONE) {
		refuse(w, fd, peer, pass.refused);
		return;
	}
	/* Of a load balancer's it shows later who it is. */
	if (pass.proxied)
		pass.rank = CH_RANK_KNOWN;
	reason = take_places(w, pass.rank, pass.pending);
	if (reason != CH_REASON_NONE) {
		ch_gate_leave(w->shared->gate, peer);
		refuse(w, fd, peer, reason);
		return;
	}
	conn = conn_new(w, fd, peer, &pass);
	if (conn == NULL) {
		ch_gate_leave(w->shared->gate, peer);
		ch_cap_give(&w->shared->handshakes);
		ch_cap_give(&w->shared->sessions);
		refuse(w, fd, peer,
		       w->slab.used == w->slab.cap ? CH_REASON_SESSION_LIMIT : CH_REASON_INTERNAL);
		return;
	}
	ch_count(&w->stats.handshaking, 1);
	if (pass.proxied) {
		ch_conn_event(w, conn, CH_EV_PROXIED);
		return;
	}
	conn->arrived = true;
	ch_conn_arm_timer(w, conn);
	ch_worker_queue_turn(w, conn);
}

/* The CA at place @index above the device, by two bytes. */
static uint16_t authority(struct ch_worker *w, const struct ch_conn *conn, size_t index)
{
	const struct ch_proof *proof = &conn->proof;
	bool anchor = index + 1u == proof->count;
	const uint8_t *key = anchor ? proof->anchor_sha256 : ch_proof_at(proof, index + 1);
	uint16_t id = ch_authorities_find(w->shared->authorities, key);
	struct ch_certificate_facts facts;

	if (id == CH_AUTHORITY_NONE && ch_handshake_ca(conn->login->handshake, index, &facts) == 0)
		id = ch_authorities_add(w->shared->authorities, key, &facts);
	return id;
}

/* Of a long chain the middle is left out. */
static void note_issuers(struct ch_worker *w, struct ch_conn *conn)
{
	size_t count = ch_proof_is_pin(&conn->proof) ? 0 : conn->proof.count;

	for (size_t i = 0; i < count && i < CH_RECORD_ISSUERS; i++)
		conn->issuers[i] = authority(w, conn, i + 1 == CH_RECORD_ISSUERS ? count - 1 : i);
}

/* @return NONE, or why a device that the handshake let in must go all the same */
static enum ch_reason take_device(struct ch_worker *w, struct ch_conn *conn,
				  const struct ch_identity *id, uint32_t device)
{
	struct ch_login *login = conn->login;
	enum ch_reason reason = CH_REASON_NONE;

	if (ch_handshake_take_proof(login->handshake, &conn->proof) != 0)
		return CH_REASON_INTERNAL;
	conn->proven = ch_judge_proven(login->judge, id);
	note_issuers(w, conn);
	if (login->generation != w->policy->generation)
		reason = ch_judge_again(w->judge, &conn->proof, conn->proven, device);
	if (reason == CH_REASON_NONE) {
		conn->device = device;
		ch_registry_hold(w->shared->registry, device);
	}
	return reason;
}

/* Once per login: the device that is refused at the end proved its key in an earlier step. */
static void note_unknown(struct ch_worker *w, struct ch_login *login, const struct ch_identity *id,
			 const struct ch_address *peer)
{
	const struct ch_config *config = login->judge->policy->config;
	struct ch_quarantine *quarantine = w->shared->quarantine;

	if (login->unknown.identifier[0] != '\0')
		return;
	login->unknown = *id;
	login->rejected = ch_quarantine_is_rejected(quarantine, id->spki_sha256);
	login->quiet =
		login->rejected ||
		!ch_quarantine_note(quarantine, id, config->manufacturers[id->manufacturer].name,
				    peer, w->unix_ns);
}

/*
 * Possession is proven from here on: only now may anything be keyed to the identity.
 * @return false: the connection was ended
 */
static bool note_proven(struct ch_worker *w, struct ch_conn *conn)
{
	const struct ch_handshake *hs = conn->login->handshake;
	const struct ch_match *match = ch_handshake_match(hs);
	const struct ch_identity *id = ch_handshake_identity(hs);
	enum ch_reason reason = CH_REASON_NONE;

	if (!ch_handshake_proven(hs) || match == NULL || id == NULL)
		return true;
	if (match->refuse == CH_REASON_NONE) {
		if (conn->device == CH_DEVICE_NONE)
			reason = take_device(w, conn, id, match->device);
		conn->next = ch_handshake_presented_next(hs);
	} else if (id->manufacturer != CH_MANUFACTURER_NONE) {
		note_unknown(w, conn->login, id, &conn->peer);
	}
	if (reason == CH_REASON_NONE)
		return true;
	/* What the handshake wants to send, our certificate first, must not leave any more. */
	ch_conn_end(w, conn, CH_EV_LOCAL_END, reason, NULL);
	return false;
}

static void step_done(struct ch_worker *w, struct ch_conn *conn)
{
	struct ch_handshake_info info;

	if (!note_proven(w, conn))
		return;
	ch_handshake_info(conn->login->handshake, &info);
	conn->version = info.version;
	conn->aead = info.aead;
	conn->cipher = info.cipher;
	conn->no_ems = !info.extended_master_secret;
	conn->group = info.group;
	conn->signature = info.signature;
	ch_count(&w->stats.staples, info.stapled);
	ch_count(&w->stats.stale_accepted, info.crl_stale);
	ch_heartbeat_init(&conn->heartbeat, (enum ch_heartbeat_mode)info.heartbeat, w->now_ns);
	ch_count(&w->stats.heartbeats_discarded, ch_handshake_dropped(conn->login->handshake));
	ch_conn_connecting(w, conn);
	ch_conn_event(w, conn, CH_EV_STEP_DONE);
	ch_conn_flush(w, conn);
}

static void step_failed(struct ch_worker *w, struct ch_conn *conn)
{
	const struct ch_handshake *hs = conn->login->handshake;
	enum ch_reason reason = ch_handshake_reason(hs);

	if (!note_proven(w, conn))
		return;
	if (conn->login->rejected)
		ch_conn_end(w, conn, CH_EV_FAIL, CH_REASON_REJECTED, NULL);
	else
		ch_conn_end(w, conn, CH_EV_FAIL, reason, ch_handshake_detail(hs));
}

void ch_login_turn(struct ch_worker *w, struct ch_conn *conn)
{
	struct ch_login *login = conn->login;
	enum ch_handshake_status status;

	if (conn->state != CH_CONN_ACCEPTED && conn->state != CH_CONN_TLS_HANDSHAKE)
		return; /* it ended while it waited for its turn */
	if (login->handshake == NULL && login_begin(w, login) != 0) {
		ch_conn_end(w, conn, CH_EV_ABORT, CH_REASON_INTERNAL, "no memory");
		return;
	}
	ch_count(&w->stats.handshake_steps, 1);
	login->steps++;
	status = ch_handshake_step(login->handshake, login->record.data, login->record.len,
				   &conn->queue);
	login->record.len = 0;
	switch (status) {
	case CH_HANDSHAKE_READ:
		/* TLS 1.2: our certificate goes out now, and the device may just hang up at it. */
		if (!note_proven(w, conn))
			break;
		ch_conn_event(w, conn, CH_EV_STEP_READ);
		if (ch_conn_unsent(conn) > 0)
			ch_conn_flush(w, conn);
		break;
	case CH_HANDSHAKE_DONE:
		step_done(w, conn);
		break;
	case CH_HANDSHAKE_FAILED:
		step_failed(w, conn);
		break;
	}
}

void ch_login_receive(struct ch_worker *w, struct ch_conn *conn, uint8_t op, void *into,
		      uint32_t len)
{
	int err = w->ring->ops->recv_exact(w->ring, conn->file, into, len,
					   ch_worker_user_data(conn, (enum ch_worker_op)op));

	if (err != 0) {
		ch_conn_end(w, conn, CH_EV_ABORT, CH_REASON_INTERNAL, ch_error_text(err));
		return;
	}
	conn->reading = op;
	conn->inflight++;
}

static void record_received(struct ch_worker *w, struct ch_conn *conn)
{
	struct ch_login *login = conn->login;

	login->record.len += (size_t)ch_handshake_record_length(login->header);
	ch_worker_queue_turn(w, conn);
}

/*
 * What is there already is taken at once: a flight has some seven records, and in a storm each look
 * at the ring costs a turn. Before our own flight left there can be nothing.
 * @return is it whole? Else the ring receives the rest
 */
static bool take_or_receive(struct ch_worker *w, struct ch_conn *conn, uint8_t op, uint8_t *into,
			    uint32_t len)
{
	uint32_t got = 0;

	if (ch_conn_unsent(conn) == 0)
		got = w->ring->ops->take(w->ring, conn->file, into, len);
	if (got > 0) {
		ch_count(&w->stats.received_bytes, got);
		conn->heard_ns = w->now_ns;
	}
	if (got == len)
		return true;
	conn->login->missing = len - got;
	ch_login_receive(w, conn, op, into + got, len - got);
	return false;
}

static void header_received(struct ch_worker *w, struct ch_conn *conn)
{
	struct ch_login *login = conn->login;
	int body = ch_handshake_record_length(login->header);
	bool first = !login->heard;
	int err;

	if (body < 0) {
		ch_conn_end(w, conn, CH_EV_FAIL, first ? CH_REASON_NOT_TLS : CH_REASON_TLS_PROTOCOL,
			    "not the header of a TLS record");
		return;
	}
	login->heard = true;
	err = ch_buf_append(&login->record, login->header, CH_TLS_HEADER);
	if (err == 0)
		err = ch_buf_reserve(&login->record, (size_t)body);
	if (err != 0) {
		ch_conn_end(w, conn, CH_EV_ABORT,
			    err == CH_E_BUDGET ? CH_REASON_BYTE_BUDGET : CH_REASON_INTERNAL,
			    ch_error_text(err));
		return;
	}
	if (take_or_receive(w, conn, CH_OP_BODY, login->record.data + CH_TLS_HEADER,
			    (uint32_t)body))
		record_received(w, conn);
}

void ch_login_read(struct ch_worker *w, struct ch_conn *conn)
{
	if (conn->state == CH_CONN_PROXY_HEADER) {
		ch_proxied_read(w, conn);
		return;
	}
	memset(conn->login->header, 0, sizeof(conn->login->header));
	if (take_or_receive(w, conn, CH_OP_HEADER, conn->login->header, CH_TLS_HEADER))
		header_received(w, conn);
}

static void discarded(struct ch_worker *w, struct ch_conn *conn, const struct ch_completion *c)
{
	if (c->result == DISCARD_BYTES)
		ch_login_discard(w, conn);
	else if (conn->state == CH_CONN_DRAIN)
		ch_conn_event(w, conn, CH_EV_PEER_GONE);
}

void ch_login_received(struct ch_worker *w, struct ch_conn *conn, uint8_t op,
		       const struct ch_completion *c)
{
	conn->reading = 0;
	if (op == CH_OP_DISCARD) {
		discarded(w, conn, c);
		return;
	}
	if (conn->state != CH_CONN_TLS_HANDSHAKE)
		return; /* cancelled, or the connection failed meanwhile */
	if (c->result > 0)
		ch_count(&w->stats.received_bytes, (uint64_t)c->result);
	if (c->result != (int32_t)conn->login->missing) {
		ch_conn_gone(w, conn, c->result < 0 ? c->result : 0);
		return;
	}
	conn->heard_ns = w->now_ns;
	if (op == CH_OP_HEADER)
		header_received(w, conn);
	else
		record_received(w, conn);
}

void ch_login_discard(struct ch_worker *w, struct ch_conn *conn)
{
	struct ch_login *login = conn->login;

	if (conn->state != CH_CONN_DRAIN || conn->reading != 0)
		return;
	login->record.len = 0;
	if (ch_buf_reserve(&login->record, DISCARD_BYTES) != 0) {
		ch_conn_event(w, conn, CH_EV_ABORT);
		return;
	}
	ch_login_receive(w, conn, CH_OP_DISCARD, login->record.data, DISCARD_BYTES);
}
