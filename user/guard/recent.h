/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Inside user/guard: sources in the order in which they were seen last, found by their address. A
 * fleet has one for each device, so an entry is 64 bytes and a slot of 4 to 8, and no more. Not
 * locked.
 */
#include "prefixes.h"

#include <stdbool.h>

#define CH_RECENT_FAILURES_MAX 1000
#define CH_RECENT_OPEN_MAX ((1u << 21) - 1)

struct ch_recent_entry {
	struct guard_source source;
	uint64_t tat_ns;	 /**< its bucket */
	uint64_t known_until_ns; /**< in good standing: a session from there was a good one */
	/** @open > 0: since when no session from there misbehaved; else the first of @failures. */
	uint64_t since_ns;
	uint32_t open : 21;	/**< sessions; no more than it holds are counted */
	uint32_t first : 1;	/**< somebody was told that it is of the first rank */
	uint32_t failures : 10; /**< at most CH_RECENT_FAILURES_MAX */
	uint32_t pending;	/**< connections that log in */
	uint32_t seldom_ms;	/**< bucket that tells busy sources from others */
	uint32_t next;	  /**< of the same slot; numbers from 1, 0 = none */
	uint32_t older, newer;
};

/** All zero is empty. */
struct ch_recent {
	struct ch_recent_entry **chunks;
	uint32_t *slots;
	uint32_t mask; /**< of @slots, if there are any */
	uint32_t count;
	uint32_t oldest, newest;
	/** Of the last touch: it forgot a source that was @first. */
	bool lost_first;
	struct guard_source lost;
};

/** @return NULL: it is not there */
struct ch_recent_entry *ch_recent_find(const struct ch_recent *recent,
				       const struct guard_source *source);
/**
 * The entry of a source that shows signs of life, new if need be; beyond @most an old one makes
 * room, if possible one without connections, and a stranger. @return NULL: no memory
 */
struct ch_recent_entry *ch_recent_touch(struct ch_recent *recent, const struct guard_source *source,
					uint32_t most);
/** The @n-th entry, in no order; @n < count. */
struct ch_recent_entry *ch_recent_at(const struct ch_recent *recent, uint32_t n);
void ch_recent_deinit(struct ch_recent *recent);
