/* SPDX-License-Identifier: Apache-2.0 */
#include "hist.h"

#include <string.h>

#define SUB (1U << CH_HIST_SUB_BITS)

/** Values below 64 have a bucket each; above, the 6 bits behind the leading one choose it. */
static unsigned bucket_of(uint64_t value)
{
	unsigned shift;

	if (value < SUB)
		return (unsigned)value;
	shift = 63U - (unsigned)__builtin_clzll(value) - CH_HIST_SUB_BITS;
	return (shift << CH_HIST_SUB_BITS) + (unsigned)(value >> shift);
}

static uint64_t bucket_top(unsigned bucket)
{
	unsigned shift;
	uint64_t first;

	if (bucket < SUB)
		return bucket;
	shift = (bucket >> CH_HIST_SUB_BITS) - 1;
	first = (uint64_t)(bucket - (shift << CH_HIST_SUB_BITS)) << shift;
	return first + ((1ULL << shift) - 1);
}

void ch_hist_reset(struct ch_hist *hist)
{
	memset(hist, 0, sizeof(*hist));
}

void ch_hist_record(struct ch_hist *hist, uint64_t value)
{
	hist->counts[bucket_of(value)]++;
	hist->total++;
	hist->sum += value;
	if (value > hist->max)
		hist->max = value;
}

void ch_hist_merge(struct ch_hist *to, const struct ch_hist *from)
{
	for (unsigned i = 0; i < CH_HIST_BUCKETS; i++)
		to->counts[i] += from->counts[i];
	to->total += from->total;
	to->sum += from->sum;
	if (from->max > to->max)
		to->max = from->max;
}

uint64_t ch_hist_percentile(const struct ch_hist *hist, double percent)
{
	double exact = percent / 100.0 * (double)hist->total;
	uint64_t rank;
	uint64_t seen = 0;

	if (!(exact > 0))
		exact = 0;
	rank = exact < (double)hist->total ? (uint64_t)exact : hist->total;
	if ((double)rank < exact && rank < hist->total)
		rank++;
	if (rank == 0)
		rank = 1;
	for (unsigned i = 0; i < CH_HIST_BUCKETS; i++) {
		seen += hist->counts[i];
		if (seen >= rank) {
			uint64_t top = bucket_top(i);

			return top < hist->max ? top : hist->max;
		}
	}
	return 0;
}
