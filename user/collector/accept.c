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

/* @return 0 or a negated errno; @guarded: what the guard said of it, likewise */
static int open_door(struct ch_worker *w, size_t number, const struct ch_address *address,
		     struct ch_listener *l, int *guarded)
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

	if (err != 0)
		return err;
	*guarded = ch_gate_listen(w->shared->gate, l->fd, &place);
	if (*guarded != 0)
		ch_log(&w->shared->log, CH_LOG_WARNING, "event=guard-not-attached err=\"%s\"",
		       ch_error_text(*guarded));
	w->listener_count++;
	return 0;
}

/* Both, or the one that there is without doors. */
static int open_doors(struct ch_worker *w, size_t number)
{
	struct ch_listener *ordinary = &w->listeners[w->listener_count];
	struct ch_listener *known = ordinary + 1;
	struct ch_address bound;
	int guarded;
	int err;

	*ordinary = (struct ch_listener){.fd = -1, .most = CH_ACCEPTS};
	err = open_door(w, number, &w->shared->config->listeners[number].address, ordinary,
			&guarded);
	if (err != 0 || guarded != 0 || number >= GUARD_LISTENERS ||
	    !ch_gate_has_doors(w->shared->gate))
		return err;
	*known = (struct ch_listener){.fd = -1, .most = CH_ACCEPTS, .known = true};
	err = ch_sock_local(ordinary->fd, &bound);
	if (err == 0)
		err = open_door(w, number, &bound, known, &guarded);
	/* Where nobody chooses, known devices come to the ordinary one too. */
	ordinary->patient = err == 0 && guarded == 0;
	return err;
}

/* One that may be missing: the collector warned once for all workers. */
static bool is_missing(const struct ch_config_listener *listener, int err)
{
	return listener->optional && (err == -EAFNOSUPPORT || err == -EADDRNOTAVAIL);
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
		size_t before = w->listener_count;
		int err = open_doors(w, i);

		if (err == 0 || (w->listener_count == before && is_missing(from, err)))
			continue;
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

		l->retry_ns = 0;
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
 * Up to so many at a time, and not one multishot: that would accept all that wait in one go,
 * thousands in a storm, while everybody else waits.
 */
static int arm(struct ch_worker *w, size_t i)
{
	struct ch_listener *l = &w->listeners[i];
	int err = 0;

	l->retry_ns = 0;
	while (err == 0 && l->accepting < l->most &&
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
	if (c->result >= 0) {
		ch_count(&w->stats.accepted_known_door, l->known);
		l->most = CH_ACCEPTS;
		arrived(w, c->result);
	} else if (c->result != -ECANCELED) {
		ch_count(&w->stats.accept_errors, 1);
	}
	if (w->stopping) {
		if (l->accepting == 0)
			close_listener(l);
		return;
	}
	if (c->result == -EMFILE || c->result == -ENFILE || c->result == -ENOBUFS ||
	    c->result == -ENOMEM) {
		l->retry_ns = w->now_ns + RETRY_NS; /* hot retries would burn the core */
		l->most = 1;
	} else if (l->retry_ns == 0) {
		(void)arm(w, i); /* it tries again by itself */
	}
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
