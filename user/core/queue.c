/* SPDX-License-Identifier: Apache-2.0 */
#include "queue.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/*
 * The bounded queue of D. Vyukov: each cell carries a sequence number that says whose turn it is.
 * A cell with sequence == position is free for the producer of that position; position + 1 means
 * it is filled; the consumer leaves position + cap, the turn of the next lap.
 */
struct cell {
	_Atomic uint64_t sequence;
	uint8_t item[];
};

static struct cell *cell_at(const struct ch_queue *queue, uint64_t position)
{
	return (struct cell *)(void *)(queue->cells + (position & queue->mask) * queue->stride);
}

int ch_queue_init(struct ch_queue *queue, uint32_t cap, size_t item_bytes)
{
	/* With one cell "filled" and "free on the next lap" were the same number. */
	uint64_t slots = 2;
	size_t bytes;

	assert(cap >= 1 && cap <= 1U << 31);
	while (slots < cap)
		slots *= 2;
	memset(queue, 0, sizeof(*queue));
	if (item_bytes > SIZE_MAX / 2)
		return -ENOMEM;
	queue->item_bytes = item_bytes;
	queue->stride = (sizeof(struct cell) + item_bytes + 7) / 8 * 8;
	if (__builtin_mul_overflow(slots, queue->stride, &bytes))
		return -ENOMEM;
	queue->mask = slots - 1;
	queue->cells = calloc(slots, queue->stride);
	if (queue->cells == NULL)
		return -ENOMEM;
	for (uint64_t i = 0; i < slots; i++)
		atomic_init(&cell_at(queue, i)->sequence, i);
	atomic_init(&queue->tail, 0);
	atomic_init(&queue->head, 0);
	atomic_init(&queue->awake, false);
	return 0;
}

void ch_queue_deinit(struct ch_queue *queue)
{
	free(queue->cells);
	queue->cells = NULL;
}

/*
 * `awake` is only ever exchanged, by both sides. Exchanges of one variable have one order: a
 * producer either comes after the consumer's exchange and sees false, or before it, and then the
 * consumer, which acquires what it reads, sees the cell when it looks again.
 */
int ch_queue_push(struct ch_queue *queue, const void *item)
{
	uint64_t position = atomic_load_explicit(&queue->tail, memory_order_relaxed);
	struct cell *cell;

	for (;;) {
		uint64_t sequence;

		cell = cell_at(queue, position);
		sequence = atomic_load_explicit(&cell->sequence, memory_order_acquire);
		if (sequence == position) {
			if (atomic_compare_exchange_weak_explicit(
				    &queue->tail, &position, position + 1, memory_order_relaxed,
				    memory_order_relaxed))
				break;
		} else if ((int64_t)(sequence - position) < 0) {
			return CH_E_FULL;
		} else {
			position = atomic_load_explicit(&queue->tail, memory_order_relaxed);
		}
	}
	memcpy(cell->item, item, queue->item_bytes);
	atomic_store_explicit(&cell->sequence, position + 1, memory_order_release);
	return atomic_exchange_explicit(&queue->awake, true, memory_order_acq_rel) ? 0 : 1;
}

static bool take(struct ch_queue *queue, void *item)
{
	uint64_t position = atomic_load_explicit(&queue->head, memory_order_relaxed);
	struct cell *cell = cell_at(queue, position);

	if (atomic_load_explicit(&cell->sequence, memory_order_acquire) != position + 1)
		return false;
	memcpy(item, cell->item, queue->item_bytes);
	atomic_store_explicit(&cell->sequence, position + queue->mask + 1, memory_order_release);
	atomic_store_explicit(&queue->head, position + 1, memory_order_relaxed);
	return true;
}

bool ch_queue_pop(struct ch_queue *queue, void *item)
{
	if (take(queue, item))
		return true;
	(void)atomic_exchange_explicit(&queue->awake, false, memory_order_acq_rel);
	if (!take(queue, item))
		return false;
	(void)atomic_exchange_explicit(&queue->awake, true, memory_order_acq_rel);
	return true;
}
