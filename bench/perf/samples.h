/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What the benchmark programs have in common: CPU time, and samples as JSON lines for run.py. */
#include <stdint.h>
#include <stdio.h>
#include <time.h>

#define SAMPLES_MAX 64

struct samples {
	const char *name;
	double value[SAMPLES_MAX];
	unsigned count;
};

/** CPU time of the calling thread, in ns: what others do on the machine is not in it. */
static inline uint64_t cpu_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static inline void samples_add(struct samples *samples, double value)
{
	if (samples->count < SAMPLES_MAX)
		samples->value[samples->count++] = value;
}

static inline void samples_print(const struct samples *samples)
{
	printf("{\"name\":\"%s\",\"samples\":[", samples->name);
	for (unsigned i = 0; i < samples->count; i++)
		printf("%s%.4f", i > 0 ? "," : "", samples->value[i]);
	puts("]}");
}
