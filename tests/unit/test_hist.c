/* SPDX-License-Identifier: Apache-2.0 */
/* links: core */
#include "user/core/hist.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

static struct ch_hist *new_hist(void)
{
	struct ch_hist *hist = malloc(sizeof(*hist));

	cr_assert_not_null(hist);
	ch_hist_reset(hist);
	return hist;
}

Test(hist, empty_is_zero_everywhere)
{
	struct ch_hist *hist = new_hist();

	cr_assert_eq(ch_hist_percentile(hist, 0), 0);
	cr_assert_eq(ch_hist_percentile(hist, 50), 0);
	cr_assert_eq(ch_hist_percentile(hist, 100), 0);
	free(hist);
}

Test(hist, small_values_are_exact)
{
	struct ch_hist *hist = new_hist();

	for (uint64_t i = 1; i <= 100; i++)
		ch_hist_record(hist, i);
	cr_assert_eq(hist->total, 100);
	cr_assert_eq(hist->sum, 5050);
	cr_assert_eq(hist->max, 100);
	cr_assert_eq(ch_hist_percentile(hist, 0), 1);
	cr_assert_eq(ch_hist_percentile(hist, 1), 1);
	cr_assert_eq(ch_hist_percentile(hist, 50), 50);
	cr_assert_eq(ch_hist_percentile(hist, 50.5), 51);
	cr_assert_eq(ch_hist_percentile(hist, 99), 99);
	cr_assert_eq(ch_hist_percentile(hist, 100), 100);
	cr_assert_eq(ch_hist_percentile(hist, 1000), 100);
	cr_assert_eq(ch_hist_percentile(hist, -1), 1);
	free(hist);
}

Test(hist, every_value_is_known_to_one_part_in_64)
{
	struct ch_hist *hist = new_hist();

	for (unsigned bit = 0; bit < 64; bit++) {
		for (int off = -1; off <= 1; off++) {
			uint64_t value = (1ULL << bit) + (uint64_t)(int64_t)off;
			uint64_t told;

			ch_hist_reset(hist);
			ch_hist_record(hist, value);
			ch_hist_record(hist, UINT64_MAX);
			told = ch_hist_percentile(hist, 50);
			cr_assert_geq(told, value);
			cr_assert_leq(told - value, value / 64, "value %lu", (unsigned long)value);
		}
	}
	free(hist);
}

Test(hist, a_percentile_never_exceeds_the_maximum)
{
	struct ch_hist *hist = new_hist();

	ch_hist_record(hist, 1000001);
	cr_assert_eq(ch_hist_percentile(hist, 50), 1000001);
	cr_assert_eq(ch_hist_percentile(hist, 100), 1000001);
	ch_hist_record(hist, UINT64_MAX);
	cr_assert_eq(ch_hist_percentile(hist, 100), UINT64_MAX);
	free(hist);
}

Test(hist, merging_equals_recording_both)
{
	struct ch_hist *a = new_hist();
	struct ch_hist *b = new_hist();
	struct ch_hist *both = new_hist();
	unsigned seed = 7;

	for (int i = 0; i < 10000; i++) {
		uint64_t value = (uint64_t)rand_r(&seed) % 1000000;

		ch_hist_record(i % 3 == 0 ? a : b, value);
		ch_hist_record(both, value);
	}
	ch_hist_merge(a, b);
	cr_assert_eq(memcmp(a, both, sizeof(*a)), 0);
	free(a);
	free(b);
	free(both);
}
