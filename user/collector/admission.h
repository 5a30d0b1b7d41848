/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Caps that hold over all threads. One atomic add per accepted connection and one per login; next
 * to a handshake of ~700 us that is nothing. Threads: any.
 */
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct ch_cap {
	_Atomic uint64_t used;
	uint64_t limit;
};

/** Takes one place if fewer than @limit are taken. @return false: nothing taken. */
static inline bool ch_cap_take_below(struct ch_cap *cap, uint64_t limit)
{
	if (atomic_fetch_add_explicit(&cap->used, 1, memory_order_relaxed) < limit)
		return true;
	atomic_fetch_sub_explicit(&cap->used, 1, memory_order_relaxed);
	return false;
}

/** Takes one place. @return false: full, nothing taken. */
static inline bool ch_cap_take(struct ch_cap *cap)
{
	return ch_cap_take_below(cap, cap->limit);
}

/** Are no more than @limit places taken? */
static inline bool ch_cap_within(const struct ch_cap *cap, uint64_t limit)
{
	return atomic_load_explicit(&cap->used, memory_order_relaxed) <= limit;
}

static inline void ch_cap_give(struct ch_cap *cap)
{
	atomic_fetch_sub_explicit(&cap->used, 1, memory_order_relaxed);
}
