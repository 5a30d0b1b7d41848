/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Log-linear histogram in HDR layout: 64 linear sub-buckets per power of two, so a value is known
 * to better than 1.6 %. Fixed memory, no allocation. Values are unsigned (usually microseconds).
 */
#include <stdint.h>

#define CH_HIST_SUB_BITS 6
#define CH_HIST_BUCKETS ((64 - CH_HIST_SUB_BITS + 1) << CH_HIST_SUB_BITS)

struct ch_hist {
	uint64_t counts[CH_HIST_BUCKETS];
	uint64_t total;
	uint64_t sum;
	uint64_t max;
};

void ch_hist_reset(struct ch_hist *hist);
void ch_hist_record(struct ch_hist *hist, uint64_t value);

/** Adds every count of @from. */
void ch_hist_merge(struct ch_hist *to, const struct ch_hist *from);

/**
 * The highest value of the bucket that holds the @percent-th percentile (0..100), but never more
 * than the largest value recorded; 0 when empty.
 */
uint64_t ch_hist_percentile(const struct ch_hist *hist, double percent);
