/* SPDX-License-Identifier: Apache-2.0 */
/* links: core */
#include "user/core/buf.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

Test(buf, grows_and_keeps_its_bytes)
{
	struct ch_buf buf = {0};

	for (unsigned i = 0; i < 10000; i++) {
		uint8_t byte = (uint8_t)i;

		cr_assert_eq(ch_buf_append(&buf, &byte, 1), 0);
	}
	cr_assert_eq(buf.len, 10000);
	cr_assert_leq(buf.cap, 15000);
	for (unsigned i = 0; i < 10000; i++)
		cr_assert_eq(buf.data[i], (uint8_t)i);
	ch_buf_deinit(&buf);
	cr_assert_null(buf.data);
	cr_assert_eq(buf.len, 0);
	cr_assert_eq(buf.cap, 0);
	cr_assert_eq(ch_buf_append_str(&buf, "again"), 0);
	cr_assert_eq(buf.len, 5);
	ch_buf_deinit(&buf);
}

Test(buf, its_maximum_is_exact)
{
	struct ch_buf buf = {.max = 100};
	char data[101] = {0};

	cr_assert_eq(ch_buf_append(&buf, data, 101), CH_E_LIMIT);
	cr_assert_eq(buf.len, 0);
	cr_assert_eq(ch_buf_append(&buf, data, 60), 0);
	cr_assert_eq(ch_buf_append(&buf, data, 41), CH_E_LIMIT);
	cr_assert_eq(buf.len, 60);
	cr_assert_eq(ch_buf_append(&buf, data, 40), 0);
	cr_assert_eq(buf.cap, 100);
	cr_assert_eq(ch_buf_reserve(&buf, SIZE_MAX), CH_E_LIMIT);
	ch_buf_deinit(&buf);
}

Test(buf, a_size_beyond_memory_is_an_error_and_changes_nothing)
{
	struct ch_budget budget = {0};
	struct ch_buf buf = {.budget = &budget};

	cr_assert_eq(ch_buf_append(&buf, "abc", 3), 0);
	cr_assert_eq(ch_buf_reserve(&buf, SIZE_MAX / 2), -ENOMEM);
	cr_assert_eq(ch_buf_reserve(&buf, SIZE_MAX), -ENOMEM);
	cr_assert_eq(buf.len, 3);
	cr_assert_eq(budget.used, buf.cap);
	ch_buf_deinit(&buf);
}

#ifndef __SANITIZE_ADDRESS__ /* its allocator ends the program instead of failing */
Test(buf, memory_that_is_not_there_is_not_charged)
{
	struct ch_budget budget = {0};
	struct ch_buf buf = {.budget = &budget};

	cr_assert_eq(ch_buf_reserve(&buf, (size_t)1 << 60), -ENOMEM);
	cr_assert_eq(budget.used, 0);
	cr_assert_null(buf.data);
}
#endif

Test(buf, formatted_text_may_fill_it_to_the_last_byte)
{
	struct ch_buf buf = {.max = 8};

	cr_assert_eq(ch_buf_printf(&buf, "%d-%s", 42, "abcde"), 0);
	cr_assert_eq(buf.len, 8);
	cr_assert_arr_eq(buf.data, "42-abcde", 8);
	cr_assert_eq(ch_buf_printf(&buf, "%s", ""), 0);
	cr_assert_eq(ch_buf_printf(&buf, "x"), CH_E_LIMIT);
	cr_assert_eq(buf.len, 8);
	ch_buf_deinit(&buf);
}

Test(buf, formatted_text_appends_without_a_nul)
{
	struct ch_buf buf = {0};

	cr_assert_eq(ch_buf_append_str(&buf, "a="), 0);
	cr_assert_eq(ch_buf_printf(&buf, "%05u", 7U), 0);
	cr_assert_eq(ch_buf_append_str(&buf, ";"), 0);
	cr_assert_eq(buf.len, 8);
	cr_assert_arr_eq(buf.data, "a=00007;", 8);
	ch_buf_deinit(&buf);
}

Test(buf, consuming_keeps_the_rest_and_the_memory)
{
	struct ch_buf buf = {0};
	size_t cap;

	cr_assert_eq(ch_buf_append_str(&buf, "abcdef"), 0);
	cap = buf.cap;
	ch_buf_consume(&buf, 0);
	cr_assert_eq(buf.len, 6);
	ch_buf_consume(&buf, 4);
	cr_assert_eq(buf.len, 2);
	cr_assert_arr_eq(buf.data, "ef", 2);
	ch_buf_consume(&buf, 2);
	cr_assert_eq(buf.len, 0);
	cr_assert_eq(buf.cap, cap);
	ch_buf_deinit(&buf);
}

Test(buf, the_budget_is_charged_with_what_is_held)
{
	struct ch_budget budget = {.limit = 1000};
	struct ch_buf a = {.budget = &budget};
	struct ch_buf b = {.budget = &budget};
	char data[600] = {0};

	cr_assert_eq(ch_buf_append(&a, data, 600), 0);
	cr_assert_eq(budget.used, 600);
	cr_assert_eq(ch_buf_append(&b, data, 600), CH_E_BUDGET);
	cr_assert_eq(b.len, 0);
	cr_assert_null(b.data);
	cr_assert_eq(budget.used, 600);
	cr_assert_eq(ch_buf_append(&b, data, 400), 0);
	cr_assert_eq(budget.used, 1000);
	ch_buf_deinit(&a);
	cr_assert_eq(budget.used, 400);
	ch_buf_wipe(&b);
	cr_assert_eq(budget.used, 0);
	cr_assert_eq(b.budget, &budget);
}

Test(buf, a_budget_without_limit_only_counts)
{
	struct ch_budget budget = {0};

	cr_assert_eq(ch_budget_take(&budget, 1ULL << 40), 0);
	cr_assert_eq(budget.used, 1ULL << 40);
	ch_budget_give(&budget, 1ULL << 40);
	cr_assert_eq(budget.used, 0);
	cr_assert_eq(ch_budget_take(NULL, 5), 0);
	ch_budget_give(NULL, 5);
}

Test(buf, empty_appends_need_no_memory)
{
	struct ch_buf buf = {0};

	cr_assert_eq(ch_buf_append(&buf, NULL, 0), 0);
	cr_assert_eq(ch_buf_append_str(&buf, ""), 0);
	cr_assert_null(buf.data);
	ch_buf_wipe(&buf);
	ch_buf_deinit(&buf);
}
