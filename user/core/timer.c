/* SPDX-License-Identifier: Apache-2.0 */
#include "timer.h"

#include <assert.h>
#include <stddef.h>
#include <string.h>

#define NS_PER_TICK 1000000U
#define SLOT_BITS 6
#define SLOT_MASK (CH_WHEEL_SLOTS - 1)
#define TOP (CH_WHEEL_LEVELS - 1)
#define TOP_SHIFT (SLOT_BITS * TOP)

_Static_assert(CH_WHEEL_SLOTS == 1 << SLOT_BITS, "one bit of the bitmap per slot");

/*
 * A timer lies in the lowest level whose block (64^(level+1) ticks) it shares with `tick`. So below
 * the top level every occupied slot lies ahead of the present one, and everything in a level is
 * due before anything in the next: the first event is one bit scan away, however far time jumps.
 * The top level is a ring: its slots up to the present one belong to the next turn, and what lies
 * more than a turn ahead is placed again each time its slot comes by.
 */

/** Rounds up, so that a timer never fires early. */
static uint64_t tick_of_deadline(uint64_t deadline_ns)
{
	return deadline_ns / NS_PER_TICK + (deadline_ns % NS_PER_TICK != 0);
}

static void push(struct ch_timer **head, struct ch_timer *timer)
{
	timer->next = *head;
	timer->link = head;
	if (timer->next != NULL)
		timer->next->link = &timer->next;
	*head = timer;
}

static void unlink_timer(struct ch_timer *timer)
{
	*timer->link = timer->next;
	if (timer->next != NULL)
		timer->next->link = timer->link;
	timer->next = NULL;
	timer->link = NULL;
}

static void place(struct ch_wheel *wheel, struct ch_timer *timer)
{
	uint64_t at = tick_of_deadline(timer->deadline_ns);
	unsigned level;
	unsigned slot;

	if (at <= wheel->tick) {
		push(&wheel->due, timer);
		return;
	}
	level = (63U - (unsigned)__builtin_clzll(at ^ wheel->tick)) / SLOT_BITS;
	if (level > TOP)
		level = TOP;
	slot = (unsigned)(at >> (level * SLOT_BITS)) & SLOT_MASK;
	push(&wheel->slots[level][slot], timer);
	wheel->occupied[level] |= 1ULL << slot;
}

void ch_wheel_init(struct ch_wheel *wheel, uint64_t now_ns)
{
	memset(wheel, 0, sizeof(*wheel));
	wheel->tick = now_ns / NS_PER_TICK;
}

void ch_wheel_add(struct ch_wheel *wheel, struct ch_timer *timer, uint64_t deadline_ns)
{
	ch_wheel_cancel(wheel, timer);
	timer->deadline_ns = deadline_ns;
	place(wheel, timer);
	wheel->armed++;
}

void ch_wheel_cancel(struct ch_wheel *wheel, struct ch_timer *timer)
{
	struct ch_timer **head = timer->link;
	uintptr_t offset;
	size_t index;

	if (!ch_timer_armed(timer))
		return;
	unlink_timer(timer);
	wheel->armed--;
	/* The link of a first timer is the slot itself: an emptied slot leaves the bitmap. */
	offset = (uintptr_t)head - (uintptr_t)wheel->slots;
	if (offset >= sizeof(wheel->slots) || *head != NULL)
		return;
	index = offset / sizeof(wheel->slots[0][0]);
	wheel->occupied[index / CH_WHEEL_SLOTS] &= ~(1ULL << (index % CH_WHEEL_SLOTS));
}

/** The tick at which the first occupied slot must be looked at, UINT64_MAX = none is occupied. */
static uint64_t first_event(const struct ch_wheel *wheel, unsigned *level, unsigned *slot)
{
	for (unsigned l = 0; l < TOP; l++) {
		unsigned shift = l * SLOT_BITS;

		if (wheel->occupied[l] == 0)
			continue;
		*level = l;
		*slot = (unsigned)__builtin_ctzll(wheel->occupied[l]);
		return (wheel->tick >> (shift + SLOT_BITS) << (shift + SLOT_BITS)) |
		       (uint64_t)*slot << shift;
	}
	if (wheel->occupied[TOP] != 0) {
		uint64_t present = wheel->tick >> TOP_SHIFT;
		unsigned turn = (unsigned)(present + 1) & SLOT_MASK;
		uint64_t bits = wheel->occupied[TOP];
		uint64_t rotated = bits >> turn | bits << ((CH_WHEEL_SLOTS - turn) & SLOT_MASK);
		unsigned ahead = (unsigned)__builtin_ctzll(rotated) + 1;

		*level = TOP;
		*slot = (unsigned)(present + ahead) & SLOT_MASK;
		return (present + ahead) << TOP_SHIFT;
	}
	return UINT64_MAX;
}

/** Moves the list at @from behind the link @tail, the last of a list. @return the new last link. */
static struct ch_timer **append(struct ch_timer **tail, struct ch_timer **from)
{
	if (*from == NULL)
		return tail;
	*tail = *from;
	(*tail)->link = tail;
	*from = NULL;
	while (*tail != NULL)
		tail = &(*tail)->next;
	return tail;
}

/** Takes all timers due at @now (ticks) out of the wheel, in the order of their ticks. */
static void collect(struct ch_wheel *wheel, uint64_t now, struct ch_timer **ready)
{
	struct ch_timer **tail = append(ready, &wheel->due);
	unsigned level = 0;
	unsigned slot = 0;

	for (;;) {
		uint64_t at = first_event(wheel, &level, &slot);
		struct ch_timer *list;

		if (at > now)
			break;
		wheel->tick = at;
		wheel->occupied[level] &= ~(1ULL << slot);
		list = wheel->slots[level][slot];
		wheel->slots[level][slot] = NULL;
		while (list != NULL) {
			struct ch_timer *timer = list;

			list = timer->next;
			place(wheel, timer);
		}
		tail = append(tail, &wheel->due);
	}
	if (now > wheel->tick)
		wheel->tick = now;
}

uint64_t ch_wheel_expire(struct ch_wheel *wheel, uint64_t now_ns,
			 void (*fire)(struct ch_timer *timer, void *ctx), void *ctx)
{
	struct ch_timer *ready = NULL;
	uint64_t fired = 0;

	collect(wheel, now_ns / NS_PER_TICK, &ready);
	while (ready != NULL) {
		struct ch_timer *timer = ready;

		ch_wheel_cancel(wheel, timer);
		fire(timer, ctx);
		fired++;
	}
	return fired;
}

uint64_t ch_wheel_next(const struct ch_wheel *wheel)
{
	unsigned level;
	unsigned slot;
	uint64_t at;

	if (wheel->due != NULL)
		return 0;
	at = first_event(wheel, &level, &slot);
	return at > UINT64_MAX / NS_PER_TICK ? UINT64_MAX : at * NS_PER_TICK;
}
