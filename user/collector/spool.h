/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * NDJSON spools: events.ndjson, notifications.ndjson, replies.ndjson in one directory, each rotated
 * by size (NAME.ndjson -> NAME-<UTC time>-<n>.ndjson), all together capped: the oldest rotated file
 * goes first. One thread writes; workers hand over bounded batches and never wait.
 */
#include "user/core/buf.h"
#include "user/core/log.h"
#include <sys/types.h>

enum ch_spool_stream {
	CH_SPOOL_EVENTS,
	CH_SPOOL_NOTIFICATIONS,
	CH_SPOOL_REPLIES,
	CH_SPOOL_STREAMS
};

/** The system calls of the writer, so that a test can make the disk fail. */
struct ch_spool_ops {
	ssize_t (*write)(int fd, const void *data, size_t len);
	int (*ftruncate)(int fd, off_t len);
	int (*fdatasync)(int fd);
	uint64_t (*now_ns)(void); /**< monotonic */
};

struct ch_spool_options {
	const char *directory;	  /**< created (0750) if missing */
	uint64_t max_bytes;	  /**< of all files together; 0 = no cap */
	uint64_t file_bytes;	  /**< rotation size of one file; at most a quarter of @max_bytes is
				     used; 0 = that */
	uint32_t batches;	  /**< batches that may wait for the writer; 0 = 64 */
	const struct ch_log *log; /**< write errors, at most one line per 10 s; NULL = none */
	const struct ch_spool_ops *ops; /**< NULL = the system's */
};

/** Lines collected by one worker. All zero is empty. */
struct ch_spool_batch {
	struct ch_buf lines[CH_SPOOL_STREAMS]; /**< whole lines, each with its newline */
	uint32_t count[CH_SPOOL_STREAMS];
};

/** Bytes in a batch after which a worker hands it over at once. */
#define CH_SPOOL_BATCH_BYTES (256 * 1024)

struct ch_spool;

/**
 * Locks the directory, repairs what an earlier run left, starts the thread.
 * @return 0; a negated errno with one sentence in @error (directory not writable, on which path;
 * -EBUSY: another process writes there)
 */
CH_NODISCARD int ch_spool_open(const struct ch_spool_options *options, struct ch_spool **spool,
			       char error[256]);

/**
 * Hands the lines over and leaves @batch empty (with memory of an earlier batch to reuse). Never
 * blocks.
 * @return 0; CH_E_FULL: the writer is behind, the batch is as it was (the caller may go on filling
 * it up to a limit of its own, then drops and counts). An empty batch is a no-op. Any thread.
 */
CH_NODISCARD int ch_spool_submit(struct ch_spool *spool, struct ch_spool_batch *batch);

struct ch_spool_counters {
	uint64_t written[CH_SPOOL_STREAMS]; /**< lines on disk */
	uint64_t bytes;
	uint64_t dropped; /**< lines lost to write errors */
	uint64_t errors; /**< failed writes (disk full, ...); the file is cut back to whole lines */
	uint64_t removed_files; /**< rotated files deleted for the cap */
	uint64_t rotations;
	uint64_t torn_lines; /**< unfinished last lines of an earlier run, cut off at open */
};
void ch_spool_counters(const struct ch_spool *spool, struct ch_spool_counters *counters);

/** Frees the buffers of a batch. */
void ch_spool_batch_deinit(struct ch_spool_batch *batch);

/** Writes what was handed over, syncs, ends the thread, frees. NULL is fine. */
void ch_spool_close(struct ch_spool *spool);
