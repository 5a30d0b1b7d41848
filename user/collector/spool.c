/* SPDX-License-Identifier: Apache-2.0 */
#include "spool.h"
#include "spool_files.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define DEFAULT_BATCHES 64
#define SYNC_INTERVAL_S 1
/** A buffer that one huge reply has blown up is freed, not kept for reuse. */
#define KEEP_BYTES (2 * CH_SPOOL_BATCH_BYTES)

struct node {
	struct ch_spool_batch batch;
	struct node *next;
};

struct ch_spool {
	struct ch_spool_files *files; /**< the thread's; counters are for all */
	struct node *nodes; /**< all of them; each is in one of the lists or with the writer */
	uint32_t node_count;
	pthread_t thread;
	/* The lock is held for a few pointer moves only, never over a system call. */
	pthread_mutex_t lock;
	pthread_cond_t wake; /**< on CLOCK_MONOTONIC */
	struct node *free;
	struct node *first; /**< waiting for the writer, in order */
	struct node **last;
	bool stop;
};

/** Hands the memory of @spare to the worker, with the limits its own buffer had. */
static void swap(struct ch_buf *mine, struct ch_buf *spare)
{
	struct ch_buf given = *mine;

	*mine = *spare;
	mine->max = given.max;
	if (mine->cap == 0)
		mine->budget = given.budget;
	*spare = given;
}

int ch_spool_submit(struct ch_spool *spool, struct ch_spool_batch *batch)
{
	struct node *node;
	size_t bytes = 0;

	for (unsigned s = 0; s < CH_SPOOL_STREAMS; s++)
		bytes += batch->lines[s].len;
	if (bytes == 0)
		return 0;
	pthread_mutex_lock(&spool->lock);
	node = spool->free;
	if (node == NULL) {
		pthread_mutex_unlock(&spool->lock);
		return CH_E_FULL;
	}
	spool->free = node->next;
	for (unsigned s = 0; s < CH_SPOOL_STREAMS; s++) {
		swap(&batch->lines[s], &node->batch.lines[s]);
		node->batch.count[s] = batch->count[s];
		batch->count[s] = 0;
	}
	node->next = NULL;
	*spool->last = node;
	spool->last = &node->next;
	if (spool->first == node)
		pthread_cond_signal(&spool->wake);
	pthread_mutex_unlock(&spool->lock);
	return 0;
}

static void write_batch(struct ch_spool *spool, struct ch_spool_batch *batch)
{
	for (unsigned s = 0; s < CH_SPOOL_STREAMS; s++) {
		struct ch_buf *lines = &batch->lines[s];

		ch_spool_files_append(spool->files, (enum ch_spool_stream)s,
				      (struct ch_slice){lines->data, lines->len}, batch->count[s]);
		lines->len = 0;
		batch->count[s] = 0;
		if (lines->cap > KEEP_BYTES)
			ch_buf_deinit(lines);
	}
}

static struct timespec later(void)
{
	struct timespec at;

	clock_gettime(CLOCK_MONOTONIC, &at);
	at.tv_sec += SYNC_INTERVAL_S;
	return at;
}

/** Waits for a batch. @return NULL at a sync that is due, or (with @stop) when all is written. */
static struct node *take(struct ch_spool *spool, const struct timespec *sync_at, bool *stop)
{
	struct node *node;

	pthread_mutex_lock(&spool->lock);
	while (spool->first == NULL && !spool->stop) {
		if (pthread_cond_timedwait(&spool->wake, &spool->lock, sync_at) == ETIMEDOUT)
			break;
	}
	node = spool->first;
	if (node != NULL) {
		spool->first = node->next;
		if (spool->first == NULL)
			spool->last = &spool->first;
	}
	*stop = node == NULL && spool->stop;
	pthread_mutex_unlock(&spool->lock);
	return node;
}

static void give_back(struct ch_spool *spool, struct node *node)
{
	pthread_mutex_lock(&spool->lock);
	node->next = spool->free;
	spool->free = node;
	pthread_mutex_unlock(&spool->lock);
}

static bool passed(const struct timespec *at)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec > at->tv_sec || (now.tv_sec == at->tv_sec && now.tv_nsec >= at->tv_nsec);
}

static void *writer(void *arg)
{
	struct ch_spool *spool = arg;
	struct timespec sync_at = later();
	bool stop = false;

	while (!stop) {
		struct node *node = take(spool, &sync_at, &stop);

		if (node != NULL) {
			write_batch(spool, &node->batch);
			give_back(spool, node);
		}
		if (passed(&sync_at)) {
			ch_spool_files_sync(spool->files);
			sync_at = later();
		}
	}
	return NULL;
}

static int start_thread(struct ch_spool *spool)
{
	pthread_condattr_t attr;
	sigset_t all;
	sigset_t before;
	int err;

	pthread_mutex_init(&spool->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&spool->wake, &attr);
	pthread_condattr_destroy(&attr);
	/* Signals are for the main thread. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	err = pthread_create(&spool->thread, NULL, writer, spool);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (err != 0) {
		pthread_cond_destroy(&spool->wake);
		pthread_mutex_destroy(&spool->lock);
		return -err;
	}
	pthread_setname_np(spool->thread, "callhome-spool");
	return 0;
}

static void free_spool(struct ch_spool *spool)
{
	ch_spool_files_close(spool->files);
	for (uint32_t i = 0; spool->nodes != NULL && i < spool->node_count; i++)
		ch_spool_batch_deinit(&spool->nodes[i].batch);
	free(spool->nodes);
	free(spool);
}

int ch_spool_open(const struct ch_spool_options *options, struct ch_spool **spool, char error[256])
{
	struct ch_spool *new = calloc(1, sizeof(*new));
	int err = -ENOMEM;

	snprintf(error, 256, "out of memory for the spool");
	if (new == NULL)
		return err;
	new->node_count = options->batches != 0 ? options->batches : DEFAULT_BATCHES;
	new->nodes = calloc(new->node_count, sizeof(*new->nodes));
	if (new->nodes == NULL)
		goto out;
	for (uint32_t i = 0; i < new->node_count; i++) {
		new->nodes[i].next = new->free;
		new->free = &new->nodes[i];
	}
	new->last = &new->first;
	err = ch_spool_files_open(options, &new->files, error);
	if (err != 0)
		goto out;
	err = start_thread(new);
	if (err != 0)
		snprintf(error, 256, "cannot start the spool's thread: %s", strerror(-err));
out:
	if (err != 0) {
		free_spool(new);
		return err;
	}
	error[0] = '\0';
	*spool = new;
	return 0;
}

void ch_spool_counters(const struct ch_spool *spool, struct ch_spool_counters *counters)
{
	ch_spool_files_counters(spool->files, counters);
}

void ch_spool_batch_deinit(struct ch_spool_batch *batch)
{
	for (unsigned s = 0; s < CH_SPOOL_STREAMS; s++) {
		ch_buf_deinit(&batch->lines[s]);
		batch->count[s] = 0;
	}
}

void ch_spool_close(struct ch_spool *spool)
{
	if (spool == NULL)
		return;
	pthread_mutex_lock(&spool->lock);
	spool->stop = true;
	pthread_cond_signal(&spool->wake);
	pthread_mutex_unlock(&spool->lock);
	pthread_join(spool->thread, NULL);
	pthread_cond_destroy(&spool->wake);
	pthread_mutex_destroy(&spool->lock);
	free_spool(spool);
}
