/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The connections that wait for their next handshake step, the dearest thing that a worker does.
 *
 * By rank, so that a storm of strangers, or of those who call all the time, keeps no device waiting
 * that calls once; but one turn in eight goes round the ranks, so that each gets on. Within a rank
 * what was begun is finished first: if all took turns alike, a storm would stretch every login beyond
 * its deadline, and nobody would ever get in. Thread: the worker's.
 */
#include "user/guard/sources.h"

struct ch_conn;

/** First come, first served. */
struct ch_turns_list {
	struct ch_conn *head;
	struct ch_conn **tail;
	uint32_t count;
};

struct ch_turns {
	struct ch_turns_list lists[CH_RANKS][2]; /**< and by: has the handshake begun? */
	uint32_t popped;
};

void ch_turns_init(struct ch_turns *turns);
/** By @conn's rank and state. It may wait once only. */
void ch_turns_push(struct ch_turns *turns, struct ch_conn *conn);
/** @return whose turn it is; NULL: nobody waits, or nobody of the first rank if it is @first_only */
struct ch_conn *ch_turns_pop(struct ch_turns *turns, bool first_only);
bool ch_turns_empty(const struct ch_turns *turns, bool first_only);
/** How many logins wait to begin that go before a new one of @rank. */
uint64_t ch_turns_before(const struct ch_turns *turns, enum ch_rank rank);
