/* SPDX-License-Identifier: Apache-2.0 */
#include "worker.h"
#include "kernel/sock.h"
#include "expiry.h"
#include "publish.h"
#include "swap.h"

#include <errno.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#define MS 1000000ull
/*
 * A storm must not stretch the latency of live sessions: so long may a turn be busy with
 * completions, with arrivals and with handshakes of others than the first rank, each; and half as
 * long while a device of the first rank logs in, which waits for a turn at each of its flights.
 */
#define PHASE_NS (MS / 4)
#define FIRST_NS (2 * MS) /* with handshakes of the first rank */
#define COMPLETIONS_PER_TURN 4096
#define COMPLETIONS_AT_A_TIME 128
/* So many times as long as others were busy they pause then, */
#define OTHERS_PAUSE 3
/* but no longer than this, and so long behind it each step of the first rank goes before them. */
#define OTHERS_MOST_NS (5 * MS)
/* So many steps of a login of the first rank make others pause. */
#define FIRST_STEPS 16
/* It logs in while it took a step so short a time ago: a device needs a millisecond for its own. */
#define LOGS_IN_NS (10 * MS)
/* Fewer than this in one entry: nothing is piling up. */
#define DRAIN_LEAST 16
/* After so many completions in one round the next waits a little for a batch. */
#define LINGER_AFTER 8
#define LINGER_LEAST 64
#define LINGER_NS (2 * MS)
/* So many handshakes at a time leave megabytes behind in the heap. */
#define STORM_HANDSHAKES 64
/* Giving the heap back takes milliseconds: nobody may make us do it all the time. */
#define TRIM_PAUSE_NS (10000 * MS)
/* And not in the midst of a storm, which has moments without a handshake. */
#define CALM_NS (1000 * MS)
#define PACE_NS (10 * MS)
#define PACE_LEAST 64
/* Smaller holders are not worth ending for their memory. */
#define SHED_LEAST_BYTES 65536
/* After the deadline of a stop: how long cancelled operations may take. */
#define ABORT_GRACE_NS (1000 * MS)

uint64_t ch_worker_owner(const struct ch_worker *w, const struct ch_conn *conn)
{
	return ch_user_data((uint8_t)(w->index + 1), conn->generation, conn->slot);
}

void ch_job_done(struct ch_job *job, int status)
{
	job->fn(job->ctx, NULL, 0, true, status);
	free(job);
}

int ch_worker_post(struct ch_worker *w, const struct ch_mail *mail)
{
	int result = ch_queue_push(&w->mail, mail);

	if (result < 0)
		return result;
	if (result == 1)
		ch_sock_wake(w->wake_fd);
	return 0;
}

/* An honest login has a dozen steps; one that makes many may not keep others waiting by them. */
static bool is_first_login(const struct ch_conn *conn)
{
	return conn->rank == CH_RANK_KNOWN && conn->login != NULL &&
	       conn->login->steps <= FIRST_STEPS;
}

void ch_worker_queue_turn(struct ch_worker *w, struct ch_conn *conn)
{
	if (conn->queued)
		return;
	conn->queued = true;
	conn->inflight++; /* the queue refers to the slot */
	ch_turns_push(&w->turns, conn);
	if (is_first_login(conn))
		w->first_ns = w->now_ns;
}

bool ch_worker_overloaded(const struct ch_worker *w, enum ch_rank rank)
{
	return ch_turns_before(&w->turns, rank) * w->login_cost_ns >
	       w->shared->config->login_timeout_ns / 2;
}

void ch_worker_release(struct ch_worker *w, struct ch_conn *conn)
{
	ch_wheel_cancel(&w->wheel, &conn->timer);
	ch_login_free(w, conn->login);
	if (conn->device != CH_DEVICE_NONE)
		ch_registry_leave(w->shared->registry, conn->device);
	if (conn->armed) {
		ch_record_deinit(&conn->record);
		ch_client_deinit(&conn->client);
	}
	ch_proof_deinit(&conn->proof);
	ch_conn_free_control(conn);
	ch_conn_deinit_queues(conn);
	ch_slab_free(&w->slab, conn->slot);
	ch_cap_give(&w->shared->sessions);
}

static void learn_cost(struct ch_worker *w, uint64_t cost_ns)
{
	w->login_cost_ns = w->login_cost_ns == 0 ? cost_ns : (7 * w->login_cost_ns + cost_ns) / 8;
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* Does a device of the first rank log in just now? It shall not wait long for others. */
static bool first_logs_in(const struct ch_worker *w)
{
	return w->now_ns < w->first_ns + LOGS_IN_NS;
}

static uint64_t others_at(const struct ch_worker *w)
{
	return first_logs_in(w) ? w->others_at_ns : 0;
}

static uint64_t phase_ns(const struct ch_worker *w)
{
	return first_logs_in(w) ? PHASE_NS / 2 : PHASE_NS;
}

static void step(struct ch_worker *w, struct ch_conn *conn)
{
	uint64_t began = w->now_ns;
	bool first = is_first_login(conn);

	conn->queued = false;
	conn->inflight--;
	ch_login_turn(w, conn);
	w->now_ns = ch_now_ns();
	conn->cost_us += (uint32_t)((w->now_ns - began) / 1000);
	if (conn->state == CH_CONN_RECORD_ARM || conn->state == CH_CONN_HELLO_WAIT)
		learn_cost(w, conn->cost_us * UINT64_C(1000));
	if (first)
		w->first_ns = w->now_ns;
	if (conn->inflight == 0)
		ch_conn_event(w, conn, CH_EV_QUIET);
}

/* @return was there a step to take? */
static bool run_first(struct ch_worker *w)
{
	uint64_t start = w->now_ns;
	struct ch_conn *conn = NULL;
	bool any = false;

	while (w->now_ns - start < FIRST_NS && (conn = ch_turns_pop(&w->turns, true)) != NULL) {
		step(w, conn);
		any = true;
	}
	return any;
}

/* Arrivals and steps of others than the first rank. */
static void run_others(struct ch_worker *w)
{
	uint64_t start = w->now_ns;
	uint64_t steps;
	struct ch_conn *conn;

	ch_accept_admit(w, phase_ns(w));
	steps = w->now_ns;
	while (w->now_ns - steps < phase_ns(w) && (conn = ch_turns_pop(&w->turns, false)) != NULL)
		step(w, conn);
	w->others_at_ns = w->now_ns + earlier(OTHERS_PAUSE * (w->now_ns - start), OTHERS_MOST_NS);
}

/*
 * What the first rank's steps want to send leaves with the next look at the ring: others do not go
 * between, unless they have waited long.
 */
static void run_logins(struct ch_worker *w)
{
	bool first = run_first(w);

	if (w->now_ns < others_at(w))
		return;
	if (!first || w->now_ns - others_at(w) >= OTHERS_MOST_NS)
		run_others(w);
}

static size_t held_bytes(const struct ch_conn *conn)
{
	size_t bytes = conn->sent_cap + conn->queue.cap;

	if (conn->armed)
		bytes += conn->record.partial.cap + conn->client.partial.cap;
	else
		bytes += conn->login->record.cap;
	return bytes;
}

void ch_worker_shed(struct ch_worker *w)
{
	struct ch_conn *largest = NULL;
	size_t most = SHED_LEAST_BYTES;

	if (w->shed_ns == w->now_ns)
		return; /* once a turn is enough: this is a walk over all slots */
	w->shed_ns = w->now_ns;
	for (uint32_t slot = 0; slot < w->slab.cap; slot++) {
		struct ch_conn *conn = ch_slab_at(&w->slab, slot);

		if (conn != NULL && !conn->ended && held_bytes(conn) > most) {
			most = held_bytes(conn);
			largest = conn;
		}
	}
	if (largest == NULL)
		return;
	ch_count(&w->stats.budget_hits, 1);
	ch_conn_end(w, largest, CH_EV_ABORT, CH_REASON_BYTE_BUDGET, "largest holder");
}

/* The session an owner word names, if it still lives here. */
static struct ch_conn *conn_of_owner(struct ch_worker *w, uint64_t owner)
{
	if (owner == CH_OWNER_NONE || ch_user_data_op(owner) != w->index + 1)
		return NULL;
	return ch_slab_get(&w->slab, ch_user_data_slot(owner), ch_user_data_generation(owner));
}

static void stop_begin(struct ch_worker *w)
{
	if (w->stopping)
		return;
	w->stopping = true;
	w->stop_started_ns = w->now_ns;
	w->pace_ns = w->now_ns;
	ch_accept_stop(w);
}

static void on_mail(struct ch_worker *w, const struct ch_mail *mail)
{
	struct ch_conn *conn = conn_of_owner(w, mail->owner);

	switch (mail->kind) {
	case CH_MAIL_REQUEST:
		if (conn == NULL)
			ch_job_done(mail->job, CH_E_NOT_CONNECTED);
		else
			ch_session_request(w, conn, mail->job);
		break;
	case CH_MAIL_KILL:
		if (conn != NULL)
			ch_conn_end(w, conn, CH_EV_LOCAL_END, CH_REASON_KILLED, NULL);
		break;
	case CH_MAIL_SUPERSEDED:
		if (conn != NULL)
			ch_conn_end(w, conn, CH_EV_LOCAL_END, CH_REASON_SUPERSEDED, NULL);
		break;
	case CH_MAIL_SWAP:
		ch_swap_take(w, mail->swap);
		break;
	case CH_MAIL_NOTICE:
		ch_publish_notice(w, mail->notice);
		free(mail->notice);
		break;
	case CH_MAIL_BAN:
		ch_publish_ban_notice(w, mail->ban);
		free(mail->ban);
		break;
	case CH_MAIL_STOP:
		stop_begin(w);
		break;
	}
}

static void on_conn(struct ch_worker *w, const struct ch_completion *c)
{
	uint32_t slot = ch_user_data_slot(c->user_data);
	uint32_t generation = ch_user_data_generation(c->user_data);
	enum ch_worker_op op = (enum ch_worker_op)ch_user_data_op(c->user_data);
	struct ch_conn *conn = ch_slab_get(&w->slab, slot, generation);

	if (conn == NULL) {
		ch_count(&w->stats.stale_completions, 1);
		if (c->buffered)
			w->ring->ops->recycle(w->ring, c->buffer);
		return;
	}
	if (!c->more)
		conn->inflight--;
	switch (op) {
	case CH_OP_PROXY:
		ch_proxied_received(w, conn, c);
		break;
	case CH_OP_HEADER:
	case CH_OP_BODY:
	case CH_OP_DISCARD:
		ch_login_received(w, conn, op, c);
		break;
	case CH_OP_SEND:
		ch_conn_sent(w, conn, c);
		break;
	case CH_OP_SEND_RECORD:
		ch_conn_control_sent(w, conn, c);
		break;
	case CH_OP_REKEY_RX:
		ch_conn_rekeyed(w, conn, CH_KTLS_RX, c);
		break;
	case CH_OP_REKEY_TX:
		ch_conn_rekeyed(w, conn, CH_KTLS_TX, c);
		break;
	case CH_OP_RECV:
		ch_session_received(w, conn, c);
		break;
	case CH_OP_CLOSE:
		ch_worker_release(w, conn);
		return;
	case CH_OP_CANCEL: /* what it cancelled completes by itself */
	case CH_OP_ACCEPT: /* not of a connection: see on_completion */
	case CH_OP_WAKE:
	case CH_OP_CANCEL_ACCEPT:
		break;
	}
	if (ch_slab_get(&w->slab, slot, generation) != NULL && conn->inflight == 0)
		ch_conn_event(w, conn, CH_EV_QUIET);
}

static int wake_arm(struct ch_worker *w)
{
	return w->ring->ops->wake(w->ring, w->wake_fd, ch_user_data(CH_OP_WAKE, 0, 0));
}

static void read_clock(struct ch_worker *w)
{
	w->now_ns = ch_now_ns();
	w->unix_ns = ch_unix_ns();
}

static void on_completion(void *ctx, const struct ch_completion *c)
{
	struct ch_worker *w = ctx;

	/* The ring may have slept long before its first completion of this turn. */
	if (!w->clock_fresh)
		read_clock(w);
	w->clock_fresh = true;
	switch (ch_user_data_op(c->user_data)) {
	case CH_OP_ACCEPT:
		ch_accept_completed(w, ch_user_data_slot(c->user_data), c);
		break;
	case CH_OP_WAKE: /* the mail is read at the end of the turn */
		if (wake_arm(w) != 0)
			ch_log(&w->shared->log, CH_LOG_ERROR, "event=wake-lost worker=%u",
			       w->index);
		break;
	case CH_OP_CANCEL_ACCEPT:
		break;
	default:
		on_conn(w, c);
		break;
	}
}

static void on_timer(struct ch_timer *timer, void *ctx)
{
	/* The timer is the first member of its connection. */
	ch_conn_timer(ctx, (struct ch_conn *)timer);
}

_Static_assert(offsetof(struct ch_conn, timer) == 0, "on_timer casts");

static void abort_all(struct ch_worker *w)
{
	if (w->aborted)
		return;
	w->aborted = true;
	for (uint32_t slot = 0; slot < w->slab.cap; slot++) {
		struct ch_conn *conn = ch_slab_at(&w->slab, slot);

		if (conn != NULL)
			ch_conn_end(w, conn, CH_EV_ABORT, CH_REASON_SHUTDOWN, NULL);
	}
}

/* Ends sessions group by group, so that a stop does not make one burst of the whole fleet. */
static void stop_pace(struct ch_worker *w)
{
	uint64_t budget_ns = w->shared->config->shutdown_timeout_ns;
	uint32_t group;

	if (w->shared->aborting || w->now_ns - w->stop_started_ns >= budget_ns) {
		abort_all(w);
		return;
	}
	if (w->now_ns < w->pace_ns)
		return;
	w->pace_ns = w->now_ns + PACE_NS;
	/* All are told within half of the time; the other half is theirs to answer. */
	group = (uint32_t)((uint64_t)w->slab.cap * PACE_NS / (budget_ns / 2 + 1));
	if (group < PACE_LEAST)
		group = PACE_LEAST;
	while (group > 0 && w->stop_cursor < w->slab.cap) {
		struct ch_conn *conn = ch_slab_at(&w->slab, w->stop_cursor++);

		if (conn == NULL)
			continue;
		group--;
		ch_conn_end(w, conn, CH_EV_LOCAL_END, CH_REASON_SHUTDOWN, NULL);
	}
}

static bool finished(const struct ch_worker *w)
{
	if (!w->stopping)
		return false;
	if (!ch_accept_stopped(w))
		return false;
	if (w->slab.used == 0 && !ch_accept_has_arrivals(w))
		return true;
	return w->aborted && w->now_ns - w->stop_started_ns >=
				     w->shared->config->shutdown_timeout_ns + ABORT_GRACE_NS;
}

static uint64_t wait_ns(const struct ch_worker *w, uint64_t most)
{
	uint64_t at = earlier(ch_wheel_next(&w->wheel), ch_publish_due(w));

	if (!ch_turns_empty(&w->turns, true) || w->swap != NULL)
		return 0;
	if (!ch_turns_empty(&w->turns, false) || ch_accept_has_arrivals(w))
		at = earlier(at, others_at(w));
	at = earlier(at, ch_accept_due(w));
	if (w->stopping)
		at = earlier(at, w->pace_ns);
	if (at <= w->now_ns)
		return 0;
	return earlier(at - w->now_ns, most);
}

static void read_mail(struct ch_worker *w)
{
	struct ch_mail mail;

	while (ch_queue_pop(&w->mail, &mail))
		on_mail(w, &mail);
}

/*
 * Waits for the first completions, then takes what else is there: the kernel runs only about 20
 * deferred completions per entry, and live sessions go before new handshakes.
 */
static void run_ring(struct ch_worker *w, uint64_t wait)
{
	bool busy = w->last_round >= LINGER_AFTER;
	uint64_t start = w->now_ns;
	int total = 0;
	int result;

	/* Each entry into the kernel costs as much as a message; a login must not wait for others. */
	w->ring->least = busy && ch_stat(&w->stats.handshaking) == 0 ? LINGER_LEAST : 1;
	if (w->ring->least > 1 && wait > LINGER_NS)
		wait = LINGER_NS;
	do {
		w->clock_fresh = false;
		result = w->ring->ops->run(w->ring, wait, COMPLETIONS_AT_A_TIME, on_completion, w);
		total += result;
		if (wait > 0)
			start = ch_now_ns();
		wait = 0;
	} while (result >= DRAIN_LEAST && total < COMPLETIONS_PER_TURN &&
		 ch_now_ns() - start < phase_ns(w));
	w->last_round = total;
	if (result < 0)
		ch_log(&w->shared->log, CH_LOG_ERROR, "event=ring-error worker=%u err=%s", w->index,
		       ch_error_text(result));
}

/*
 * A handshake takes some 40 kB of heap and a session none. The heap does not shrink by itself after
 * a storm, as what is left in use lies between: 140 MB stayed of 3,000 logins at once, 24 MB after
 * this, which takes some 10 ms then.
 */
static void release_heap(struct ch_worker *w)
{
	uint64_t handshaking = atomic_load_explicit(&w->stats.handshaking, memory_order_relaxed);

	if (handshaking >= STORM_HANDSHAKES)
		w->storm_ns = w->now_ns;
	if (w->storm_ns == 0 || handshaking > 0 || w->now_ns - w->storm_ns < CALM_NS ||
	    w->now_ns - w->trimmed_ns < TRIM_PAUSE_NS)
		return;
	w->storm_ns = 0;
	w->trimmed_ns = w->now_ns;
	(void)malloc_trim(0);
}

bool ch_worker_turn(struct ch_worker *w, uint64_t most_wait_ns)
{
	read_clock(w);
	run_ring(w, wait_ns(w, most_wait_ns));
	read_clock(w);
	ch_wheel_expire(&w->wheel, w->now_ns, on_timer, w);
	read_mail(w);
	ch_swap_continue(w);
	if (w->index == 0)
		ch_expiry_turn(w);
	ch_accept_retry(w);
	run_logins(w);
	release_heap(w);
	if (w->stopping)
		stop_pace(w);
	ch_publish_flush(w, false);
	ch_count(&w->stats.ring_enters, w->ring->counters.enters - w->seen_enters);
	w->seen_enters = w->ring->counters.enters;
	if (w->ring->counters.cq_overflows != w->seen_overflows) {
		ch_count(&w->stats.cq_overflows,
			 w->ring->counters.cq_overflows - w->seen_overflows);
		w->seen_overflows = w->ring->counters.cq_overflows;
	}
	return !finished(w);
}

int ch_worker_init(struct ch_worker *w, struct ch_shared *shared, uint32_t index,
		   struct ch_buf *error)
{
	int err;

	w->shared = shared;
	w->index = index;
	ch_turns_init(&w->turns);
	w->wake_fd = -1;
	pthread_mutex_init(&w->login_lock, NULL);
	read_clock(w);
	ch_wheel_init(&w->wheel, w->now_ns);
	err = ch_slab_init(&w->slab, shared->slots, sizeof(struct ch_conn));
	if (err == 0)
		err = ch_queue_init(&w->mail, shared->slots, sizeof(struct ch_mail));
	if (err == 0) {
		w->wake_fd = ch_sock_eventfd();
		err = w->wake_fd < 0 ? w->wake_fd : 0;
	}
	if (err == 0)
		err = ch_judge_new(shared->policy, &w->judge, error);
	if (err == 0) {
		w->policy = w->judge->policy;
		err = ch_record_engine_new(&w->engine);
	}
	if (err == 0)
		err = ch_accept_open(w, error);
	return err;
}

void ch_worker_deinit(struct ch_worker *w)
{
	struct ch_mail mail;

	if (w->shared == NULL)
		return;
	if (w->mail.cells != NULL) {
		while (ch_queue_pop(&w->mail, &mail)) {
			if (mail.kind == CH_MAIL_REQUEST)
				ch_job_done(mail.job, CH_E_NOT_CONNECTED);
			if (mail.kind == CH_MAIL_NOTICE)
				free(mail.notice);
			if (mail.kind == CH_MAIL_BAN)
				free(mail.ban);
		}
	}
	ch_accept_close(w);
	if (w->ring != NULL)
		w->ring->ops->free(w->ring);
	for (uint32_t slot = 0; slot < w->slab.cap; slot++) {
		struct ch_conn *conn = ch_slab_at(&w->slab, slot);

		if (conn != NULL)
			ch_worker_release(w, conn);
	}
	ch_slab_deinit(&w->slab);
	ch_queue_deinit(&w->mail);
	if (w->wake_fd >= 0)
		ch_sock_close(w->wake_fd);
	ch_record_engine_free(w->engine);
	ch_judge_free(w->judge);
	ch_buf_wipe(&w->plain);
	ch_buf_deinit(&w->line);
	ch_spool_batch_deinit(&w->batch);
	pthread_mutex_destroy(&w->login_lock);
}

int ch_worker_begin(struct ch_worker *w, struct ch_ring *ring)
{
	int err;

	w->ring = ring;
	read_clock(w);
	err = wake_arm(w);
	if (err == 0)
		err = ch_accept_begin(w);
	return err;
}
