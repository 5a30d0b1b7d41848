/* SPDX-License-Identifier: Apache-2.0 */
/* links: collector guard kernel core */
/* Four workers hand batches to the spool's writer while a fifth thread reads the counters. */
#include "user/collector/spool.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define WORKERS 4
#define BATCHES 500
#define LINES 7

static struct ch_spool *spool;
static _Atomic bool done;

static void *worker(void *arg)
{
	struct ch_spool_batch batch = {0};

	(void)arg;
	for (int i = 0; i < BATCHES; i++) {
		for (int line = 0; line < LINES; line++) {
			if (ch_buf_append_str(&batch.lines[CH_SPOOL_EVENTS], "{}\n") != 0)
				abort();
			batch.count[CH_SPOOL_EVENTS]++;
		}
		while (ch_spool_submit(spool, &batch) == CH_E_FULL)
			usleep(50);
	}
	ch_spool_batch_deinit(&batch);
	return NULL;
}

static void *reader(void *arg)
{
	struct ch_spool_counters counters;

	(void)arg;
	while (!done)
		ch_spool_counters(spool, &counters);
	return NULL;
}

static void remove_files(const char *directory)
{
	static const char *const names[] = {"events", "notifications", "replies"};
	char path[128];

	for (int i = 0; i < 3; i++) {
		snprintf(path, sizeof(path), "%s/%s.ndjson", directory, names[i]);
		unlink(path);
	}
	rmdir(directory);
}

int main(void)
{
	char directory[] = "/tmp/callhome-tsan-XXXXXX";
	struct ch_spool_options options = {
		.directory = directory, .max_bytes = 1 << 30, .batches = 8};
	struct ch_spool_counters counters;
	pthread_t threads[WORKERS + 1];
	char error[256];

	if (mkdtemp(directory) == NULL || ch_spool_open(&options, &spool, error) != 0)
		return 1;
	for (int i = 0; i < WORKERS; i++)
		pthread_create(&threads[i], NULL, worker, NULL);
	pthread_create(&threads[WORKERS], NULL, reader, NULL);
	for (int i = 0; i < WORKERS; i++)
		pthread_join(threads[i], NULL);
	do {
		usleep(1000);
		ch_spool_counters(spool, &counters);
	} while (counters.written[CH_SPOOL_EVENTS] < WORKERS * BATCHES * LINES &&
		 counters.errors == 0);
	done = true;
	pthread_join(threads[WORKERS], NULL);
	ch_spool_close(spool);
	remove_files(directory);
	if (counters.written[CH_SPOOL_EVENTS] != WORKERS * BATCHES * LINES ||
	    counters.dropped != 0) {
		fprintf(stderr, "%llu lines written, %d expected\n",
			(unsigned long long)counters.written[CH_SPOOL_EVENTS],
			WORKERS * BATCHES * LINES);
		return 1;
	}
	return 0;
}
