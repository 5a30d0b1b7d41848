/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The arithmetic of every rate limit, the same in the kernel, in user space and in the tests: GCRA,
 * the generic cell rate algorithm. A bucket is one number, the theoretical arrival time (TAT) of the
 * next event that would come exactly at the rate; it lies in the future by as much as a source is
 * ahead of its rate. Nanoseconds of CLOCK_MONOTONIC.
 */
#include <linux/types.h>

struct guard_limit {
	__u64 interval_ns; /**< between two events at the rate; 0 = no limit */
	__u64 burst_ns;	   /**< how far ahead of the rate a source may be: (burst - 1) * interval */
};

/** May an event happen now? Reads only. */
static inline int guard_limit_allows(const struct guard_limit *limit, __u64 tat, __u64 now)
{
	return limit->interval_ns == 0 || tat <= now || tat - now <= limit->burst_ns;
}

/** The bucket behind an event that happened. Saturates: a bucket never wraps round to full. */
static inline __u64 guard_limit_charge(const struct guard_limit *limit, __u64 tat, __u64 now)
{
	__u64 from = tat > now ? tat : now;
	__u64 to = from + limit->interval_ns;

	return to < from ? ~(__u64)0 : to;
}

/**
 * A bucket that was kept elsewhere (a file, the time before a limit was lowered): no source owes more
 * than one event beyond its burst, so that a clock that was set back locks nobody out.
 */
static inline __u64 guard_limit_clamp(const struct guard_limit *limit, __u64 tat, __u64 now)
{
	__u64 most = limit->burst_ns + limit->interval_ns;

	if (most < limit->burst_ns || now + most < now)
		return tat;
	return tat > now + most ? now + most : tat;
}
