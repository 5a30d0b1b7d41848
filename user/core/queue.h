/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Bounded multi-producer single-consumer queue of fixed-size messages. Any thread pushes, one
 * thread pops. Never blocks, never allocates after init. The caller wakes the consumer (eventfd)
 * when a push says so; the pair (push says "wake", pop finds empty) never loses a wake-up.
 */
#include <callhome/error.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ch_queue {
	uint8_t *cells; /**< cap * (sequence word + item) */
	size_t item_bytes;
	size_t stride;	       /**< bytes per cell */
	uint64_t mask;	       /**< cap - 1 */
	uint8_t pad_tail[64];  /**< padding, not alignment: a queue may live in calloc'ed memory */
	_Atomic uint64_t tail; /**< producers */
	uint8_t pad_head[64];
	_Atomic uint64_t head; /**< consumer */
	uint8_t pad_awake[64];
	_Atomic bool awake; /**< the consumer is known to look again */
	uint8_t pad_end[64];
};

/** @cap (1 .. 2^31) is rounded up to a power of two, at least 2. @return 0 or -ENOMEM. */
CH_NODISCARD int ch_queue_init(struct ch_queue *queue, uint32_t cap, size_t item_bytes);
void ch_queue_deinit(struct ch_queue *queue);

/** Copies @item in. @return 0; 1 done and the consumer must be woken; CH_E_FULL nothing done. */
CH_NODISCARD int ch_queue_push(struct ch_queue *queue, const void *item);

/**
 * Copies the oldest item out. Consumer only.
 * @return true, or false when empty: the next push then asks for a wake-up. So a consumer that goes
 * to sleep must have seen false after its last true.
 */
bool ch_queue_pop(struct ch_queue *queue, void *item);
