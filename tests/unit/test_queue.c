/* SPDX-License-Identifier: Apache-2.0 */
/* links: core */
#include "user/core/queue.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

Test(queue, keeps_the_order_and_refuses_when_full)
{
	struct ch_queue queue;
	uint64_t value;

	cr_assert_eq(ch_queue_init(&queue, 3, sizeof(value)), 0);
	for (uint64_t lap = 0; lap < 100; lap++) {
		for (uint64_t i = 0; i < 4; i++) {
			value = lap * 10 + i;
			cr_assert_geq(ch_queue_push(&queue, &value), 0, "3 is rounded up to 4");
		}
		cr_assert_eq(ch_queue_push(&queue, &value), CH_E_FULL);
		for (uint64_t i = 0; i < 4; i++) {
			cr_assert(ch_queue_pop(&queue, &value));
			cr_assert_eq(value, lap * 10 + i);
		}
		cr_assert_not(ch_queue_pop(&queue, &value));
	}
	ch_queue_deinit(&queue);
}

Test(queue, asks_for_one_wake_up_per_sleep)
{
	struct ch_queue queue;
	int value = 5;

	cr_assert_eq(ch_queue_init(&queue, 8, sizeof(value)), 0);
	cr_assert_eq(ch_queue_push(&queue, &value), 1, "nobody ever looked");
	cr_assert_eq(ch_queue_push(&queue, &value), 0);
	cr_assert(ch_queue_pop(&queue, &value));
	cr_assert_eq(ch_queue_push(&queue, &value), 0, "the consumer is still popping");
	cr_assert(ch_queue_pop(&queue, &value));
	cr_assert(ch_queue_pop(&queue, &value));
	cr_assert_eq(ch_queue_push(&queue, &value), 0, "it has not seen the end yet");
	cr_assert(ch_queue_pop(&queue, &value));
	cr_assert_not(ch_queue_pop(&queue, &value));
	cr_assert_eq(ch_queue_push(&queue, &value), 1);
	cr_assert_eq(ch_queue_push(&queue, &value), 0);
	ch_queue_deinit(&queue);
}

Test(queue, a_full_queue_asks_for_nothing)
{
	struct ch_queue queue;
	int value = 5;

	cr_assert_eq(ch_queue_init(&queue, 1, sizeof(value)), 0);
	cr_assert_eq(ch_queue_push(&queue, &value), 1);
	cr_assert_eq(ch_queue_push(&queue, &value), 0, "the smallest queue holds two");
	cr_assert_eq(ch_queue_push(&queue, &value), CH_E_FULL);
	cr_assert(ch_queue_pop(&queue, &value));
	cr_assert(ch_queue_pop(&queue, &value));
	cr_assert_not(ch_queue_pop(&queue, &value));
	cr_assert_eq(ch_queue_push(&queue, &value), 1);
	ch_queue_deinit(&queue);
}

Test(queue, copies_items_of_any_size)
{
	struct ch_queue queue;
	uint8_t in[13];
	uint8_t back[13];

	cr_assert_eq(ch_queue_init(&queue, 4, sizeof(in)), 0);
	for (uint8_t i = 0; i < 40; i++) {
		memset(in, i, sizeof(in));
		cr_assert_geq(ch_queue_push(&queue, in), 0);
		memset(in, 0xff, sizeof(in));
		cr_assert(ch_queue_pop(&queue, back));
		for (int k = 0; k < 13; k++)
			cr_assert_eq(back[k], i);
	}
	ch_queue_deinit(&queue);
	cr_assert_eq(ch_queue_init(&queue, 1U << 31, SIZE_MAX / 4), -ENOMEM);
	cr_assert_eq(ch_queue_init(&queue, 4, SIZE_MAX), -ENOMEM);
	cr_assert_null(queue.cells);
}

Test(queue, lives_in_plain_heap_memory)
{
	/* An over-aligned type would not: calloc promises 16 bytes. */
	cr_assert_leq(_Alignof(struct ch_queue), _Alignof(max_align_t));
}

#define PRODUCERS 4
#define ITEMS 100000ULL
#define TEASES 300000ULL

struct shared {
	struct ch_queue queue;
	int eventfd;
	_Atomic unsigned next_producer;
	_Atomic uint64_t wakes;
	_Atomic uint64_t popped;
};

/** Pushes each item as soon as the one before was popped: just when the consumer dozes off. */
static void *tease(void *arg)
{
	struct shared *shared = arg;
	const uint64_t one = 1;

	for (uint64_t i = 0; i < TEASES; i++) {
		int result = ch_queue_push(&shared->queue, &i);

		cr_assert_geq(result, 0);
		if (result == 1)
			cr_assert_eq(write(shared->eventfd, &one, sizeof(one)), 8);
		for (unsigned spins = 1;
		     atomic_load_explicit(&shared->popped, memory_order_acquire) <= i; spins++) {
			if (spins % 4096 == 0) /* the consumer may need this core */
				sched_yield();
		}
	}
	return NULL;
}

static void *produce(void *arg)
{
	struct shared *shared = arg;
	uint64_t id = atomic_fetch_add(&shared->next_producer, 1);

	for (uint64_t i = 0; i < ITEMS; i++) {
		uint64_t item = id << 32 | i;
		int result;

		while ((result = ch_queue_push(&shared->queue, &item)) == CH_E_FULL)
			sched_yield();
		if (result == 1) {
			const uint64_t one = 1;

			atomic_fetch_add(&shared->wakes, 1);
			cr_assert_eq(write(shared->eventfd, &one, sizeof(one)), 8);
		}
	}
	return NULL;
}

/** Sleeps without a limit: a lost wake-up hangs, and the runner's time-out tells. */
static void sleep_until_woken(int eventfd)
{
	struct pollfd poller = {.fd = eventfd, .events = POLLIN};
	uint64_t count;

	cr_assert_eq(poll(&poller, 1, -1), 1);
	cr_assert_eq(read(eventfd, &count, sizeof(count)), 8);
}

Test(queue, four_producers_lose_neither_items_nor_wake_ups, .timeout = 120)
{
	struct shared *shared = calloc(1, sizeof(*shared));
	uint64_t expected[PRODUCERS] = {0};
	pthread_t threads[PRODUCERS];
	uint64_t received = 0;

	shared->eventfd = eventfd(0, EFD_CLOEXEC);
	cr_assert_eq(ch_queue_init(&shared->queue, 64, sizeof(uint64_t)), 0);
	for (int i = 0; i < PRODUCERS; i++)
		cr_assert_eq(pthread_create(&threads[i], NULL, produce, shared), 0);
	while (received < PRODUCERS * ITEMS) {
		uint64_t item;

		if (!ch_queue_pop(&shared->queue, &item)) {
			sleep_until_woken(shared->eventfd);
			continue;
		}
		cr_assert_lt(item >> 32, PRODUCERS);
		cr_assert_eq(item & 0xffffffff, expected[item >> 32], "out of order");
		expected[item >> 32]++;
		received++;
	}
	for (int i = 0; i < PRODUCERS; i++)
		pthread_join(threads[i], NULL);
	cr_assert_geq(shared->wakes, 1);
	ch_queue_deinit(&shared->queue);
	close(shared->eventfd);
	free(shared);
}

Test(queue, a_push_while_the_consumer_dozes_off_wakes_it, .timeout = 120)
{
	struct shared *shared = calloc(1, sizeof(*shared));
	uint64_t received = 0;
	pthread_t thread;

	shared->eventfd = eventfd(0, EFD_CLOEXEC);
	cr_assert_eq(ch_queue_init(&shared->queue, 4, sizeof(uint64_t)), 0);
	cr_assert_eq(pthread_create(&thread, NULL, tease, shared), 0);
	while (received < TEASES) {
		uint64_t item;

		if (!ch_queue_pop(&shared->queue, &item)) {
			sleep_until_woken(shared->eventfd);
			continue;
		}
		cr_assert_eq(item, received++);
		atomic_store_explicit(&shared->popped, received, memory_order_release);
		/* Every distance in time to the push that this allows. */
		for (volatile uint64_t spin = received % 512; spin > 0; spin--)
			;
	}
	pthread_join(thread, NULL);
	ch_queue_deinit(&shared->queue);
	close(shared->eventfd);
	free(shared);
}
