/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * A hierarchical timer wheel (1 ms ticks). Time is an argument: monotonic nanoseconds.
 * O(1) add and cancel, no allocation. Thread: one wheel belongs to one thread.
 */
#include <stdbool.h>
#include <stdint.h>

#define CH_WHEEL_LEVELS 5
#define CH_WHEEL_SLOTS 64 /* 64^5 ms = 12 days; what is later is queued again from the last level */

/** Intrusive: lives inside its owner. All zero is "not armed". */
struct ch_timer {
	struct ch_timer *next;
	struct ch_timer **link; /**< what points at us; NULL = not armed */
	uint64_t deadline_ns;
};

struct ch_wheel {
	struct ch_timer *slots[CH_WHEEL_LEVELS][CH_WHEEL_SLOTS];
	struct ch_timer *due;		    /**< were due already when they were added */
	uint64_t occupied[CH_WHEEL_LEVELS]; /**< bitmap of non-empty slots */
	uint64_t tick;			    /**< ms already processed */
	uint64_t armed;			    /**< timers in the wheel */
};

void ch_wheel_init(struct ch_wheel *wheel, uint64_t now_ns);

/** Arms @timer, moving it if it was armed. A past deadline fires on the next ch_wheel_expire. */
void ch_wheel_add(struct ch_wheel *wheel, struct ch_timer *timer, uint64_t deadline_ns);

/** Disarms @timer; nothing happens if it is not armed. */
void ch_wheel_cancel(struct ch_wheel *wheel, struct ch_timer *timer);

static inline bool ch_timer_armed(const struct ch_timer *timer)
{
	return timer->link != 0;
}

/**
 * Calls @fire for every timer whose deadline, rounded up to a millisecond, is <= @now_ns; disarmed
 * before the call. @fire may add and cancel any timer; what it adds fires in a later call, so one
 * call always ends. A timer never fires early; it fires at most 1 ms late.
 * A clock that stands still or jumps far ahead is fine (cost is bounded by the timers due, not the
 * jump).
 * @return how many fired
 */
uint64_t ch_wheel_expire(struct ch_wheel *wheel, uint64_t now_ns,
			 void (*fire)(struct ch_timer *timer, void *ctx), void *ctx);

/**
 * When to call ch_wheel_expire next: never later than the first deadline rounded up to the next
 * millisecond (when that one fires), maybe earlier (to move timers between levels); 0 when one is
 * due already, UINT64_MAX when the wheel is empty.
 */
uint64_t ch_wheel_next(const struct ch_wheel *wheel);
