/* SPDX-License-Identifier: Apache-2.0 */
#include "accept.h"
#include "kernel/sock.h"
#include "worker.h"

#include <errno.h>
#include <stdlib.h>

#define RETRY_NS 10000000ull
/* After so many the clock is read. */
#define AT_A_TIME 8

/* ---------------------------------------------------------------- listeners */

static int open_door(struct ch_worker *w, size_t number, const struct ch_address *address,
		     struct ch_listener *l)
{
	const struct ch_config *config = w->shared->config;
	const struct ch_sock_liveness liveness = {
		.keepalive_idle_s = (uint32_t)config->keepalive_idle_s,
		.keepalive_interval_s = (uint32_t)config->keepalive_interval_s,
		.keepalive_count = (uint32_t)config->keepalive_count,
		.user_timeout_ms = (uint32_t)config->user_timeout_ms,
	};
	const struct ch_gate_place place = {
		.listener = (uint32_t)number,
		.worker = w->index,
		.workers = w->shared->worker_count,
		.door = l->known ? GUARD_DOOR_KNOWN : GUARD_DOOR_ORDINARY,
	};
	int err = ch_sock_listen(address, &liveness, (int)config->backlog, &l->fd);
	int guarded;

	if (err != 0)
		return err;
	guarded = ch_gate_listen(w->shared->gate, l->fd, &place);
	if (guarded != 0)
		ch_log(&w->shared->log, CH_LOG_WARNING, "event=guard-not-attached err=\"%s\"",
		       ch_error_text(guarded));
	w->listener_count++;
	return 0;
}

static int open_doors(struct ch_worker *w, size_t number)
{
	struct ch_listener *ordinary = &w->listeners[w->listener_count];
	struct ch_address bound;
	int err;

	ordinary->patient = ch_gate_has_doors(w->shared->gate) && number < GUARD_LISTENERS;
	err = open_door(w, number, &w->shared->config->listeners[number].address, ordinary);
	if (err != 0 || !ordinary->patient)
		return err;
	err = ch_sock_local(ordinary->fd, &bound);
	if (err != 0)
		return err;
	ordinary[1].known = true;
	return open_door(w, number, &bound, &ordinary[1]);
}

int ch_accept_open(struct ch_worker *w, struct ch_buf *error)
{
	const struct ch_config *config = w->shared->config;
	char text[CH_ADDRESS_TEXT];

	w->listeners = calloc(GUARD_DOORS * config->listener_count, sizeof(*w->listeners));
	if (w->listeners == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < config->listener_count; i++) {
		const struct ch_config_listener *from = &config->listeners[i];
		int err = open_doors(w, i);

		if (err == 0 || from->optional)
			continue; /* the collector warned once for all workers */
		ch_address_format(&from->address, text);
		if (ch_buf_printf(error, "cannot listen on %s: %s\n", text, ch_error_text(err)) !=
		    0)
			return -ENOMEM;
		return err;
	}
	return 0;
}

static void close_listener(struct ch_listener *l)
{
	if (l->fd >= 0)
		ch_sock_close(l->fd);
	l->fd = -1;
}

void ch_accept_close(struct ch_worker *w)
{
	for (size_t i = 0; i < w->listener_count; i++)
		close_listener(&w->listeners[i]);
	free(w->listeners);
	while (ch_accept_has_arrivals(w))
		ch_sock_close(w->arrivals[w->arrivals_out++ % CH_ARRIVALS].fd);
}

void ch_accept_stop(struct ch_worker *w)
{
	for (size_t i = 0; i < w->listener_count; i++) {
		struct ch_listener *l = &w->listeners[i];
		uint64_t accepts = ch_user_data(CH_OP_ACCEPT, 0, (uint32_t)i);
		uint64_t cancel = ch_user_data(CH_OP_CANCEL_ACCEPT, 0, (uint32_t)i);

		if (l->accepting == 0 || w->ring->ops->cancel(w->ring, accepts, cancel) != 0)
			close_listener(l);
	}
}

bool ch_accept_stopped(const struct ch_worker *w)
{
	for (size_t i = 0; i < w->listener_count; i++) {
		if (w->listeners[i].accepting > 0)
			return false;
	}
	return true;
}

/* ---------------------------------------------------------------- accepting */

static uint32_t arrivals(const struct ch_worker *w)
{
	return w->arrivals_in - w->arrivals_out;
}

bool ch_accept_has_arrivals(const struct ch_worker *w)
{
	return arrivals(w) > 0;
}

/*
 * So many at a time, and not one multishot: that would accept all that wait in one go, thousands in
 * a storm, while everybody else waits.
 */
static int arm(struct ch_worker *w, size_t i)
{
	struct ch_listener *l = &w->listeners[i];
	int err = 0;

	l->retry_ns = 0;
	while (err == 0 && l->accepting < CH_ACCEPTS &&
	       (!l->patient || arrivals(w) + l->accepting < CH_ARRIVALS)) {
		err = w->ring->ops->accept(w->ring, l->fd,
					   ch_user_data(CH_OP_ACCEPT, 0, (uint32_t)i));
		l->accepting += err == 0;
	}
	if (err != 0)
		l->retry_ns = w->now_ns + RETRY_NS;
	return err;
}

int ch_accept_begin(struct ch_worker *w)
{
	int err = 0;

	for (size_t i = 0; err == 0 && i < w->listener_count; i++)
		err = arm(w, i);
	return err;
}

static void admit_next(struct ch_worker *w)
{
	const struct ch_accepted *next = &w->arrivals[w->arrivals_out++ % CH_ARRIVALS];

	ch_login_accept(w, next->fd, &next->peer);
}

/* All but those of the first rank wait: here they would stand in the way of what sessions say. */
static void arrived(struct ch_worker *w, int fd)
{
	struct ch_accepted one = {.fd = fd};

	if (ch_sock_peer(fd, &one.peer) != 0)
		one.peer.family = 0;
	if (ch_gate_is_first(w->shared->gate, &one.peer, w->now_ns)) {
		ch_login_accept(w, fd, &one.peer);
		return;
	}
	if (arrivals(w) == CH_ARRIVALS)
		admit_next(w);
	w->arrivals[w->arrivals_in++ % CH_ARRIVALS] = one;
}

void ch_accept_completed(struct ch_worker *w, size_t i, const struct ch_completion *c)
{
	struct ch_listener *l = &w->listeners[i];

	l->accepting--;
	ch_count(&w->stats.accepted_known_door, l->known && c->result >= 0);
	if (c->result >= 0)
		arrived(w, c->result);
	else if (c->result != -ECANCELED)
		ch_count(&w->stats.accept_errors, 1);
	if (w->stopping) {
		if (l->accepting == 0)
			close_listener(l);
		return;
	}
	if (c->result == -EMFILE || c->result == -ENFILE || c->result == -ENOBUFS ||
	    c->result == -ENOMEM)
		l->retry_ns = w->now_ns + RETRY_NS; /* hot retries would burn the core */
	else if (l->retry_ns == 0)
		(void)arm(w, i); /* it tries again by itself */
}

void ch_accept_retry(struct ch_worker *w)
{
	for (size_t i = 0; i < w->listener_count && !w->stopping; i++) {
		if (w->listeners[i].retry_ns != 0 && w->listeners[i].retry_ns <= w->now_ns)
			(void)arm(w, i);
	}
}

uint64_t ch_accept_due(const struct ch_worker *w)
{
	uint64_t due = UINT64_MAX;

	for (size_t i = 0; i < w->listener_count; i++) {
		uint64_t at = w->listeners[i].retry_ns;

		if (at != 0 && at < due)
			due = at;
	}
	return due;
}

void ch_accept_admit(struct ch_worker *w, uint64_t most_ns)
{
	uint64_t start = w->now_ns;

	while (ch_accept_has_arrivals(w)) {
		admit_next(w);
		if (w->arrivals_out % AT_A_TIME != 0)
			continue;
		w->now_ns = ch_now_ns();
		if (w->now_ns - start >= most_ns)
			break;
	}
	/* There is room again for those that wait in the backlog. */
	for (size_t i = 0; i < w->listener_count && !w->stopping; i++) {
		if (w->listeners[i].patient && w->listeners[i].retry_ns == 0)
			(void)arm(w, i);
	}
}
