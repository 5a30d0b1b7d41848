/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Fixed-capacity slots with generations, and the one place where `user_data` of a completion is
 * encoded and decoded: op:8, generation:24, slot:32. Thread: one slab belongs to one thread.
 */
#include <callhome/error.h>
#include <stddef.h>
#include <stdint.h>

#define CH_SLOT_NONE UINT32_MAX

struct ch_slab {
	uint8_t *items;	       /**< cap * stride bytes, zero pages until first use */
	uint32_t *generations; /**< 24 bits, bumped by every free; the top bit: in use */
	uint32_t *next_free;
	size_t stride;	    /**< bytes per item, a multiple of the largest natural alignment */
	uint32_t cap;	    /**< slots */
	uint32_t used;	    /**< slots in use */
	uint32_t fresh;	    /**< slots from here on were never used (nor touched) */
	uint32_t free_head; /**< CH_SLOT_NONE = none was freed */
};

/**
 * Prepares @cap (< CH_SLOT_NONE) slots of @item_bytes. Memory is touched only when a slot is used.
 * @return 0 or -ENOMEM
 */
CH_NODISCARD int ch_slab_init(struct ch_slab *slab, uint32_t cap, size_t item_bytes);
void ch_slab_deinit(struct ch_slab *slab);

/**
 * Takes the most recently freed slot (its memory is warm); the item is zeroed.
 * @return the item and its @slot, or NULL (and CH_SLOT_NONE) when full
 */
void *ch_slab_alloc(struct ch_slab *slab, uint32_t *slot);

/** Gives the slot back: every user_data made for it is stale from now on. */
void ch_slab_free(struct ch_slab *slab, uint32_t slot);

/** The item in @slot if it is in use and its generation is @generation, else NULL (stale). */
void *ch_slab_get(const struct ch_slab *slab, uint32_t slot, uint32_t generation);

/** The item in @slot if it is in use (for iterating 0..cap-1), else NULL. */
void *ch_slab_at(const struct ch_slab *slab, uint32_t slot);

/** The present generation of @slot (24 bits). */
uint32_t ch_slab_generation(const struct ch_slab *slab, uint32_t slot);

static inline uint64_t ch_user_data(uint8_t op, uint32_t generation, uint32_t slot)
{
	return (uint64_t)op << 56 | (uint64_t)(generation & 0xffffff) << 32 | slot;
}

static inline uint8_t ch_user_data_op(uint64_t user_data)
{
	return (uint8_t)(user_data >> 56);
}

static inline uint32_t ch_user_data_generation(uint64_t user_data)
{
	return (uint32_t)(user_data >> 32) & 0xffffff;
}

static inline uint32_t ch_user_data_slot(uint64_t user_data)
{
	return (uint32_t)user_data;
}
