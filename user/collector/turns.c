/* SPDX-License-Identifier: Apache-2.0 */
#include "turns.h"
#include "conn.h"

/* One turn in so many goes round the ranks. */
#define ROUND 8

void ch_turns_init(struct ch_turns *turns)
{
	*turns = (struct ch_turns){0};
	for (int rank = 0; rank < CH_RANKS; rank++)
		for (int begun = 0; begun < 2; begun++)
			turns->lists[rank][begun].tail = &turns->lists[rank][begun].head;
}

void ch_turns_push(struct ch_turns *turns, struct ch_conn *conn)
{
	struct ch_turns_list *list = &turns->lists[conn->rank][conn->state != CH_CONN_ACCEPTED];

	conn->next_turn = NULL;
	*list->tail = conn;
	list->tail = &conn->next_turn;
	list->count++;
}

/* The list of @rank that is next; NULL: both are empty. */
static struct ch_turns_list *list_of(struct ch_turns *turns, unsigned rank)
{
	struct ch_turns_list *lists = turns->lists[rank];

	if (lists[true].head != NULL)
		return &lists[true];
	return lists[false].head != NULL ? &lists[false] : NULL;
}

struct ch_conn *ch_turns_pop(struct ch_turns *turns, bool first_only)
{
	struct ch_turns_list *list = NULL;
	unsigned ranks = first_only ? 1 : CH_RANKS;
	unsigned rank = 0;
	struct ch_conn *conn;

	if (!first_only && ++turns->popped % ROUND == 0)
		rank = turns->popped / ROUND % CH_RANKS;
	for (unsigned i = 0; i < ranks && list == NULL; i++)
		list = list_of(turns, (rank + i) % CH_RANKS);
	if (list == NULL)
		return NULL;
	conn = list->head;
	list->head = conn->next_turn;
	if (list->head == NULL)
		list->tail = &list->head;
	list->count--;
	return conn;
}

bool ch_turns_empty(const struct ch_turns *turns, bool first_only)
{
	for (int rank = 0; rank < (first_only ? 1 : CH_RANKS); rank++)
		if (turns->lists[rank][true].head != NULL || turns->lists[rank][false].head != NULL)
			return false;
	return true;
}

uint64_t ch_turns_before(const struct ch_turns *turns, enum ch_rank rank)
{
	uint64_t count = 0;

	for (unsigned other = 0; other <= (unsigned)rank; other++)
		count += turns->lists[other][false].count;
	return count;
}
