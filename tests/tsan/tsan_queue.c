/* SPDX-License-Identifier: Apache-2.0 */
/* links: core */
/*
 * Four producers and a consumer that sleeps on an eventfd, as a plain program for ThreadSanitizer:
 * the producers also hand over memory through the queue. A lost wake-up hangs it.
 */
#include "user/core/queue.h"

#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define PRODUCERS 4
#define ITEMS 20000

struct message {
	unsigned *counter; /**< plain memory: the producer writes, the consumer reads and frees */
	unsigned producer;
};

static struct ch_queue queue;
static int wake_fd;
static _Atomic unsigned next_producer;

static void *produce(void *arg)
{
	const uint64_t one = 1;
	unsigned id = atomic_fetch_add(&next_producer, 1);

	(void)arg;
	for (unsigned i = 0; i < ITEMS; i++) {
		struct message message = {malloc(sizeof(unsigned)), id};
		int result;

		if (message.counter == NULL)
			abort();
		*message.counter = i;
		while ((result = ch_queue_push(&queue, &message)) == CH_E_FULL)
			sched_yield();
		if (result == 1 && write(wake_fd, &one, sizeof(one)) != sizeof(one))
			abort();
	}
	return NULL;
}

static void consume(void)
{
	unsigned expected[PRODUCERS] = {0};
	unsigned received = 0;

	while (received < PRODUCERS * ITEMS) {
		struct pollfd poller = {.fd = wake_fd, .events = POLLIN};
		struct message message;
		uint64_t count;

		if (!ch_queue_pop(&queue, &message)) {
			if (poll(&poller, 1, -1) != 1 || read(wake_fd, &count, sizeof(count)) != 8)
				abort();
			continue;
		}
		if (*message.counter != expected[message.producer]++)
			abort();
		free(message.counter);
		received++;
	}
}

int main(void)
{
	pthread_t threads[PRODUCERS];

	wake_fd = eventfd(0, EFD_CLOEXEC);
	if (wake_fd < 0 || ch_queue_init(&queue, 32, sizeof(struct message)) != 0)
		return 1;
	for (int i = 0; i < PRODUCERS; i++) {
		if (pthread_create(&threads[i], NULL, produce, NULL) != 0)
			return 1;
	}
	consume();
	for (int i = 0; i < PRODUCERS; i++)
		pthread_join(threads[i], NULL);
	ch_queue_deinit(&queue);
	close(wake_fd);
	puts("queue: 80000 messages of 4 producers, in order");
	return 0;
}
