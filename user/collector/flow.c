/* SPDX-License-Identifier: Apache-2.0 */
/*
 * No session is read faster than limits.session-rate: what a device sends beyond it stays in its own
 * socket, and TCP slows it down. Nothing is lost, and it cannot keep the thread or the spool from
 * the others.
 */
#include "conn.h"
#include "worker.h"

/* So much may come at once: a few milliseconds of work. */
#define BURST_BYTES (256 * 1024)
/* Who seems to be so many bursts ahead was silent for so long that its 32 bits came round. */
#define BURSTS_MOST 64

static uint64_t time_us(const struct ch_worker *w, uint64_t bytes)
{
	return bytes * 1000000 / w->shared->config->session_rate;
}

static uint32_t now_us(const struct ch_worker *w)
{
	return (uint32_t)(w->now_ns / 1000);
}

/* How far @conn is ahead of the rate. */
static uint64_t ahead_us(const struct ch_worker *w, const struct ch_conn *conn)
{
	int32_t ahead = (int32_t)(conn->flow_us - now_us(w));

	if (ahead < 0 || (uint64_t)ahead > BURSTS_MOST * time_us(w, BURST_BYTES))
		return 0;
	return (uint64_t)ahead;
}

void ch_flow_begin(const struct ch_worker *w, struct ch_conn *conn)
{
	conn->flow_us = now_us(w);
}

void ch_flow_received(struct ch_worker *w, struct ch_conn *conn, uint64_t bytes)
{
	uint64_t ahead;

	if (w->shared->config->session_rate == 0 || conn->state != CH_CONN_OPEN)
		return;
	ahead = ahead_us(w, conn) + time_us(w, bytes);
	conn->flow_us = now_us(w) + (uint32_t)ahead;
	if (conn->paused || ahead <= time_us(w, BURST_BYTES))
		return;
	conn->paused = true;
	ch_count(&w->stats.session_pauses, 1);
	if (conn->receiving)
		ch_conn_cancel(w, conn, CH_OP_RECV);
	ch_conn_arm_timer(w, conn);
}

uint64_t ch_flow_expiry(const struct ch_worker *w, const struct ch_conn *conn)
{
	uint64_t ahead;
	uint64_t half;

	if (!conn->paused)
		return UINT64_MAX;
	ahead = ahead_us(w, conn);
	half = time_us(w, BURST_BYTES) / 2;
	return ahead > half ? w->now_ns + (ahead - half) * 1000 : w->now_ns;
}

void ch_flow_resume(struct ch_worker *w, struct ch_conn *conn)
{
	if (!conn->paused)
		return;
	conn->paused = false;
	if (!conn->receiving && (ch_conn_listening(conn) || conn->state == CH_CONN_DRAIN))
		ch_session_receive(w, conn);
}

void ch_flow_tend(struct ch_worker *w, struct ch_conn *conn)
{
	if (conn->paused && ahead_us(w, conn) <= time_us(w, BURST_BYTES) / 2)
		ch_flow_resume(w, conn);
}
