/* SPDX-License-Identifier: Apache-2.0 */
/* links: collector guard kernel tls proto core */
#include "user/collector/conn.h"
#include "user/collector/turns.h"

#include <criterion/criterion.h>
#include <string.h>

#define EACH 64

static struct ch_turns turns;
static struct ch_conn conns[CH_RANKS][EACH];

static void start(void)
{
	memset(conns, 0, sizeof(conns));
	ch_turns_init(&turns);
}

TestSuite(turns, .init = start);

static struct ch_conn *push(enum ch_rank rank, int n, enum ch_conn_state state)
{
	struct ch_conn *conn = &conns[rank][n];

	conn->rank = (uint8_t)(rank & 3);
	conn->state = (uint8_t)state;
	ch_turns_push(&turns, conn);
	return conn;
}

Test(turns, come_by_rank_and_in_it_what_began_goes_first)
{
	struct ch_conn *expected[] = {
		push(CH_RANK_KNOWN, 0, CH_CONN_TLS_HANDSHAKE),
		push(CH_RANK_KNOWN, 1, CH_CONN_TLS_HANDSHAKE),
		NULL,
		push(CH_RANK_KNOWN_BUSY, 0, CH_CONN_ACCEPTED),
		NULL,
		push(CH_RANK_STRANGER_BUSY, 0, CH_CONN_ACCEPTED),
	};

	expected[4] = push(CH_RANK_STRANGER, 0, CH_CONN_ACCEPTED);
	expected[2] = push(CH_RANK_KNOWN, 2, CH_CONN_ACCEPTED);
	for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++)
		cr_assert_eq(ch_turns_pop(&turns, false), expected[i], "%zu", i);
	cr_assert(ch_turns_empty(&turns, false));
	cr_assert_null(ch_turns_pop(&turns, false));
}

Test(turns, each_rank_gets_on_in_a_storm_of_all_others)
{
	unsigned popped[CH_RANKS] = {0};

	for (int rank = 0; rank < CH_RANKS; rank++)
		for (int n = 0; n < EACH; n++)
			push((enum ch_rank)rank, n, CH_CONN_ACCEPTED);
	for (int i = 0; i < EACH; i++)
		popped[ch_turns_pop(&turns, false)->rank]++;
	cr_assert_geq(popped[CH_RANK_KNOWN], EACH * 7 / 8);
	for (int rank = 1; rank < CH_RANKS; rank++)
		cr_assert_eq(popped[rank], EACH / 8 / CH_RANKS, "rank %d: %u", rank, popped[rank]);
}

Test(turns, tells_how_many_logins_go_before_a_new_one)
{
	push(CH_RANK_KNOWN, 0, CH_CONN_ACCEPTED);
	push(CH_RANK_KNOWN, 1, CH_CONN_TLS_HANDSHAKE);
	push(CH_RANK_STRANGER, 0, CH_CONN_ACCEPTED);
	push(CH_RANK_STRANGER_BUSY, 0, CH_CONN_ACCEPTED);
	cr_assert_eq(ch_turns_before(&turns, CH_RANK_KNOWN), 1);
	cr_assert_eq(ch_turns_before(&turns, CH_RANK_KNOWN_BUSY), 1);
	cr_assert_eq(ch_turns_before(&turns, CH_RANK_STRANGER), 2);
	cr_assert_eq(ch_turns_before(&turns, CH_RANK_STRANGER_BUSY), 3);
}

Test(turns, others_can_be_left_waiting)
{
	struct ch_conn *other = push(CH_RANK_KNOWN_BUSY, 0, CH_CONN_TLS_HANDSHAKE);
	struct ch_conn *first = push(CH_RANK_KNOWN, 0, CH_CONN_ACCEPTED);

	cr_assert_eq(ch_turns_pop(&turns, true), first);
	cr_assert(ch_turns_empty(&turns, true));
	cr_assert_null(ch_turns_pop(&turns, true));
	cr_assert_not(ch_turns_empty(&turns, false));
	cr_assert_eq(ch_turns_pop(&turns, false), other);
}
