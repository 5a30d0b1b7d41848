/* SPDX-License-Identifier: Apache-2.0 */
#include "slab.h"

#include <assert.h>
#include <errno.h>
#include <stdalign.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define GENERATION_MASK 0xffffffU
/** Kept beside the generation, so that one load answers "in use and the same one?". */
#define IN_USE 0x80000000U

int ch_slab_init(struct ch_slab *slab, uint32_t cap, size_t item_bytes)
{
	const size_t align = alignof(max_align_t);
	size_t slots = cap > 0 ? cap : 1;
	size_t bytes;

	assert(cap < CH_SLOT_NONE);
	memset(slab, 0, sizeof(*slab));
	slab->free_head = CH_SLOT_NONE;
	if (item_bytes > SIZE_MAX - align)
		return -ENOMEM;
	slab->stride = item_bytes > 0 ? (item_bytes + align - 1) / align * align : align;
	if (__builtin_mul_overflow(slots, slab->stride, &bytes))
		return -ENOMEM;
	/* calloc of large blocks hands out untouched zero pages: an unused slot costs nothing. */
	slab->items = calloc(slots, slab->stride);
	slab->generations = calloc(slots, sizeof(*slab->generations));
	slab->next_free = calloc(slots, sizeof(*slab->next_free));
	if (slab->items == NULL || slab->generations == NULL || slab->next_free == NULL) {
		ch_slab_deinit(slab);
		return -ENOMEM;
	}
	slab->cap = cap;
	return 0;
}

void ch_slab_deinit(struct ch_slab *slab)
{
	free(slab->items);
	free(slab->generations);
	free(slab->next_free);
	memset(slab, 0, sizeof(*slab));
	slab->free_head = CH_SLOT_NONE;
}

void *ch_slab_alloc(struct ch_slab *slab, uint32_t *slot)
{
	uint32_t taken = slab->free_head;
	uint8_t *item;

	if (taken != CH_SLOT_NONE) {
		slab->free_head = slab->next_free[taken];
		item = slab->items + taken * slab->stride;
		memset(item, 0, slab->stride);
	} else if (slab->fresh < slab->cap) {
		taken = slab->fresh++;
		item = slab->items + taken * slab->stride;
	} else {
		*slot = CH_SLOT_NONE;
		return NULL;
	}
	slab->generations[taken] |= IN_USE;
	slab->used++;
	*slot = taken;
	return item;
}

static bool slot_is_used(const struct ch_slab *slab, uint32_t slot)
{
	return slot < slab->fresh && (slab->generations[slot] & IN_USE) != 0;
}

void ch_slab_free(struct ch_slab *slab, uint32_t slot)
{
	assert(slot_is_used(slab, slot));
	slab->generations[slot] = (slab->generations[slot] + 1) & GENERATION_MASK;
	slab->next_free[slot] = slab->free_head;
	slab->free_head = slot;
	slab->used--;
}

void *ch_slab_get(const struct ch_slab *slab, uint32_t slot, uint32_t generation)
{
	if (slot >= slab->fresh || slab->generations[slot] != (generation | IN_USE))
		return NULL;
	return slab->items + slot * slab->stride;
}

void *ch_slab_at(const struct ch_slab *slab, uint32_t slot)
{
	return slot_is_used(slab, slot) ? slab->items + slot * slab->stride : NULL;
}

uint32_t ch_slab_generation(const struct ch_slab *slab, uint32_t slot)
{
	return slot < slab->fresh ? slab->generations[slot] & GENERATION_MASK : 0;
}
