/* SPDX-License-Identifier: Apache-2.0 */
/* links: core */
#include "user/core/slab.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

Test(slab, hands_out_every_slot_once_and_then_none)
{
	struct ch_slab slab;
	bool taken[5] = {false};
	uint32_t slot;

	cr_assert_eq(ch_slab_init(&slab, 5, 3), 0);
	for (int i = 0; i < 5; i++) {
		cr_assert_not_null(ch_slab_alloc(&slab, &slot));
		cr_assert_lt(slot, 5);
		cr_assert_not(taken[slot]);
		taken[slot] = true;
	}
	cr_assert_eq(slab.used, 5);
	cr_assert_null(ch_slab_alloc(&slab, &slot));
	cr_assert_eq(slot, CH_SLOT_NONE);
	ch_slab_free(&slab, 2);
	cr_assert_eq(slab.used, 4);
	cr_assert_not_null(ch_slab_alloc(&slab, &slot));
	cr_assert_eq(slot, 2);
	ch_slab_deinit(&slab);
}

Test(slab, reuses_the_slot_freed_last_and_zeroes_it)
{
	struct ch_slab slab;
	uint32_t slots[3];
	uint32_t slot;
	uint8_t *item = NULL;

	cr_assert_eq(ch_slab_init(&slab, 8, 24), 0);
	for (int i = 0; i < 3; i++)
		item = ch_slab_alloc(&slab, &slots[i]);
	memset(item, 0xff, 24);
	ch_slab_free(&slab, slots[0]);
	ch_slab_free(&slab, slots[2]);
	cr_assert_eq(ch_slab_alloc(&slab, &slot), item);
	cr_assert_eq(slot, slots[2]);
	for (int i = 0; i < 24; i++)
		cr_assert_eq(item[i], 0, "byte %d", i);
	ch_slab_deinit(&slab);
}

Test(slab, a_free_makes_the_generation_stale)
{
	struct ch_slab slab;
	uint32_t slot;
	void *item;

	cr_assert_eq(ch_slab_init(&slab, 2, 8), 0);
	item = ch_slab_alloc(&slab, &slot);
	cr_assert_eq(ch_slab_generation(&slab, slot), 0);
	cr_assert_eq(ch_slab_get(&slab, slot, 0), item);
	cr_assert_null(ch_slab_get(&slab, slot, 1));
	ch_slab_free(&slab, slot);
	cr_assert_null(ch_slab_get(&slab, slot, 0));
	cr_assert_null(ch_slab_get(&slab, slot, 1), "a free slot has no item under any generation");
	cr_assert_null(ch_slab_at(&slab, slot));
	item = ch_slab_alloc(&slab, &slot);
	cr_assert_eq(ch_slab_generation(&slab, slot), 1);
	cr_assert_null(ch_slab_get(&slab, slot, 0));
	cr_assert_eq(ch_slab_get(&slab, slot, 1), item);
	cr_assert_eq(ch_slab_at(&slab, slot), item);
	ch_slab_deinit(&slab);
}

Test(slab, generations_wrap_at_24_bits)
{
	struct ch_slab slab;
	uint32_t slot;
	void *item;

	cr_assert_eq(ch_slab_init(&slab, 1, 8), 0);
	for (uint32_t i = 0; i < 0xffffff; i++) {
		ch_slab_alloc(&slab, &slot);
		ch_slab_free(&slab, slot);
	}
	item = ch_slab_alloc(&slab, &slot);
	cr_assert_eq(ch_slab_generation(&slab, slot), 0xffffff);
	cr_assert_eq(ch_slab_get(&slab, slot, 0xffffff), item);
	ch_slab_free(&slab, slot);
	ch_slab_alloc(&slab, &slot);
	cr_assert_eq(ch_slab_generation(&slab, slot), 0);
	ch_slab_deinit(&slab);
}

Test(slab, slots_outside_and_never_used_are_nothing)
{
	struct ch_slab slab;
	uint32_t slot;

	cr_assert_eq(ch_slab_init(&slab, 4, 8), 0);
	cr_assert_not_null(ch_slab_alloc(&slab, &slot));
	cr_assert_null(ch_slab_get(&slab, 1, 0));
	cr_assert_null(ch_slab_get(&slab, 4, 0));
	cr_assert_null(ch_slab_get(&slab, CH_SLOT_NONE, 0));
	cr_assert_null(ch_slab_at(&slab, 1));
	cr_assert_null(ch_slab_at(&slab, CH_SLOT_NONE));
	cr_assert_eq(ch_slab_generation(&slab, 4), 0);
	ch_slab_deinit(&slab);
	cr_assert_null(ch_slab_at(&slab, 0));
	cr_assert_null(ch_slab_alloc(&slab, &slot));
}

Test(slab, items_are_aligned_for_any_type)
{
	struct ch_slab slab;
	uint32_t slot;

	cr_assert_eq(ch_slab_init(&slab, 4, 17), 0);
	for (int i = 0; i < 4; i++)
		cr_assert_eq((uintptr_t)ch_slab_alloc(&slab, &slot) % _Alignof(max_align_t), 0);
	ch_slab_deinit(&slab);
}

Test(slab, impossible_sizes_are_enomem_and_no_capacity_is_full)
{
	struct ch_slab slab;
	uint32_t slot;

	cr_assert_eq(ch_slab_init(&slab, 1000000, SIZE_MAX / 2), -ENOMEM);
	cr_assert_eq(ch_slab_init(&slab, 1, SIZE_MAX), -ENOMEM);
	cr_assert_eq(ch_slab_init(&slab, 0, 8), 0);
	cr_assert_null(ch_slab_alloc(&slab, &slot));
	ch_slab_deinit(&slab);
}

Test(slab, random_use_never_confuses_slots)
{
	enum { SLOTS = 64, STEPS = 200000 };
	struct ch_slab slab;
	uint64_t *held[SLOTS] = {NULL};
	uint64_t stamp[SLOTS];
	unsigned seed = 1;
	uint32_t used = 0;

	cr_assert_eq(ch_slab_init(&slab, SLOTS, sizeof(uint64_t)), 0);
	for (int step = 0; step < STEPS; step++) {
		uint32_t pick = (uint32_t)rand_r(&seed) % SLOTS;
		uint32_t slot;

		if (held[pick] != NULL) {
			cr_assert_eq(*held[pick], stamp[pick]);
			ch_slab_free(&slab, pick);
			held[pick] = NULL;
			used--;
		} else {
			uint64_t *item = ch_slab_alloc(&slab, &slot);

			cr_assert_not_null(item);
			cr_assert_null(held[slot]);
			cr_assert_eq(*item, 0);
			*item = stamp[slot] = (uint64_t)step + 1;
			held[slot] = item;
			used++;
		}
		cr_assert_eq(slab.used, used);
	}
	ch_slab_deinit(&slab);
}

Test(slab, user_data_keeps_its_three_parts_apart)
{
	uint64_t data = ch_user_data(0xab, 0xff123456, 0x89abcdef);

	cr_assert_eq(data, 0xab12345689abcdefULL);
	cr_assert_eq(ch_user_data_op(data), 0xab);
	cr_assert_eq(ch_user_data_generation(data), 0x123456);
	cr_assert_eq(ch_user_data_slot(data), 0x89abcdef);
}
