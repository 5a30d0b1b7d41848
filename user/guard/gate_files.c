/* SPDX-License-Identifier: Apache-2.0 */
#include "gate.h"
#include "gate_inside.h"
#include "known.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define SECOND 1000000000ull
#define MINUTE (60 * SECOND)
#define KNOWN_SUFFIX ".known"

static struct ch_clocks clocks_now(void)
{
	struct timespec mono, real;

	clock_gettime(CLOCK_MONOTONIC, &mono);
	clock_gettime(CLOCK_REALTIME, &real);
	return (struct ch_clocks){(uint64_t)mono.tv_sec * SECOND + (uint64_t)mono.tv_nsec,
				  (uint64_t)real.tv_sec * SECOND + (uint64_t)real.tv_nsec};
}

/* The kernel hears of the bans that were read. */
static void tell_all_bans(struct ch_gate *gate, uint64_t now_ns)
{
	size_t cap = ch_sources_bans(gate->sources, now_ns, NULL, 0);
	struct ch_ban *bans = calloc(cap + 1, sizeof(*bans));
	size_t count = bans != NULL ? ch_sources_bans(gate->sources, now_ns, bans, cap) : 0;

	for (size_t i = 0; i < count && i < cap; i++)
		ch_gate_tell_ban(gate, &(struct ch_ban_change){.ban = bans[i]});
	free(bans);
}

typedef int read_fn(const char *file, struct ch_sources *sources, const struct ch_clocks *clocks,
		    struct ch_buf *warnings);

static int read_file(struct ch_gate *gate, const char *path, const char *key, read_fn *read,
		     const struct ch_clocks *clocks, struct ch_buf *error)
{
	struct ch_buf warnings = {0};
	int err = read(path, gate->sources, clocks, &warnings);

	if (warnings.len > 0)
		ch_log(gate->log, CH_LOG_WARNING, "event=%s text=\"%.*s\"", key,
		       (int)warnings.len - 1, (const char *)warnings.data);
	ch_buf_deinit(&warnings);
	if (err != 0 && ch_buf_printf(error, "guard.%s: %s: %s; mend or remove it\n", key, path,
				      ch_error_text(err)) != 0)
		return -ENOMEM;
	return err;
}

static int name_files(struct ch_gate *gate, const struct ch_gate_options *options)
{
	if (options->bans_file != NULL) {
		gate->bans_file.path = strdup(options->bans_file);
		if (gate->bans_file.path == NULL)
			return -ENOMEM;
	}
	if (options->known_file != NULL) {
		gate->known_file.path = strdup(options->known_file);
		if (gate->known_file.path == NULL)
			return -ENOMEM;
	} else if (options->bans_file != NULL &&
		   asprintf(&gate->known_file.path, "%s" KNOWN_SUFFIX, options->bans_file) < 0) {
		gate->known_file.path = NULL;
		return -ENOMEM;
	}
	return 0;
}

int ch_gate_open_files(struct ch_gate *gate, const struct ch_gate_options *options,
		       struct ch_buf *error)
{
	struct ch_clocks clocks = clocks_now();
	int err = name_files(gate, options);

	if (err != 0)
		return err;
	if (gate->bans_file.path != NULL)
		err = read_file(gate, gate->bans_file.path, "bans-file", ch_bans_read, &clocks,
				error);
	if (err == 0 && gate->bans_file.path != NULL)
		tell_all_bans(gate, clocks.now_ns);
	if (err == 0 && gate->known_file.path != NULL)
		err = read_file(gate, gate->known_file.path, "known-file", ch_known_read, &clocks,
				error);
	/* Before its first minute is over it would know less than it was told. */
	gate->known_file.written_ns = clocks.now_ns;
	return err;
}

static void not_written(struct ch_gate *gate, struct ch_gate_file *file, const char *event, int err)
{
	ch_log(gate->log, CH_LOG_ERROR, "event=%s file=%s err=\"%s\" retry=60s", event, file->path,
	       ch_error_text(err));
	atomic_store(&file->changed, true);
}

static void write_bans(struct ch_gate *gate, const struct ch_clocks *clocks)
{
	struct ch_gate_file *file = &gate->bans_file;
	int err;

	if (file->path == NULL || !atomic_exchange(&file->changed, false))
		return;
	file->written_ns = clocks->now_ns;
	err = ch_bans_write(file->path, gate->sources, clocks);
	if (err == 0)
		return;
	file->written_ns = clocks->now_ns + MINUTE - SECOND;
	not_written(gate, file, "bans-not-written", err);
}

static void write_known(struct ch_gate *gate, const struct ch_clocks *clocks)
{
	struct ch_gate_file *file = &gate->known_file;
	bool unripe;
	int err;

	if (file->path == NULL || !atomic_exchange(&file->changed, false))
		return;
	file->written_ns = clocks->now_ns;
	err = ch_known_write(file->path, gate->sources, clocks, &unripe);
	if (err != 0)
		not_written(gate, file, "known-not-written", err);
	else if (unripe)
		atomic_store(&file->changed, true);
}

void ch_gate_flush(struct ch_gate *gate, const struct ch_clocks *clocks)
{
	write_bans(gate, clocks);
	write_known(gate, clocks);
}

void ch_gate_tend_files(struct ch_gate *gate, const struct ch_clocks *clocks)
{
	struct ch_gate_file *known = &gate->known_file;

	if (clocks->now_ns >= gate->bans_file.written_ns + SECOND)
		write_bans(gate, clocks);
	/* The end of a source whose session stays open moves on without a change. */
	if (clocks->now_ns >= known->written_ns + gate->known_ns / 2)
		atomic_store(&known->changed, true);
	if (clocks->now_ns >= known->written_ns + MINUTE)
		write_known(gate, clocks);
}

void ch_gate_close_files(struct ch_gate *gate)
{
	free(gate->bans_file.path);
	free(gate->known_file.path);
}
