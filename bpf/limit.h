/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The arithmetic of every rate limit, the same in the kernel, in user space and in the tests: GCRA,
 * the generic cell rate algorithm. A bucket is one number, the theoretical arrival time (TAT) of
 * the next event that would come exactly at the rate; it lies in the future by as much as a source
 * is ahead of its rate. Nanoseconds of CLOCK_MONOTONIC.
 */

/* As __u64, but of the language alone: user/core has this too and knows no kernel. */
typedef unsigned long long guard_ns;
_Static_assert(sizeof(guard_ns) == 8, "a bucket ends with its 64 bits");

struct guard_limit {
	guard_ns interval_ns; /**< between two events at the rate; 0 = no limit */
	guard_ns burst_ns; /**< how far ahead of the rate a source may be: (burst - 1) * interval */
};

/** May an event happen now? Reads only. */
static inline int guard_limit_allows(const struct guard_limit *limit, guard_ns tat, guard_ns now)
{
	return limit->interval_ns == 0 || tat <= now || tat - now <= limit->burst_ns;
}

/** The bucket behind an event that happened. Saturates: a bucket never wraps round to full. */
static inline guard_ns guard_limit_charge(const struct guard_limit *limit, guard_ns tat,
					  guard_ns now)
{
	guard_ns from = tat > now ? tat : now;
	guard_ns to = from + limit->interval_ns;

	return to < from ? ~(guard_ns)0 : to;
}

/**
 * A bucket that was kept elsewhere (a file, the time before a limit was lowered): no source owes
 * more than one event beyond its burst, so that a clock that was set back locks nobody out.
 */
static inline guard_ns guard_limit_clamp(const struct guard_limit *limit, guard_ns tat,
					 guard_ns now)
{
	guard_ns most = limit->burst_ns + limit->interval_ns;

	if (most < limit->burst_ns || now + most < now)
		return tat;
	return tat > now + most ? now + most : tat;
}
