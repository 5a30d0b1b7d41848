/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The files of a spool: append, rotation, the cap over all of them, repair after a crash. One
 * thread works on them (spool.c has it); only the counters may be read by others.
 */
#include "spool.h"

struct ch_spool_files;

/** As ch_spool_open, without the thread. */
CH_NODISCARD int ch_spool_files_open(const struct ch_spool_options *options,
				     struct ch_spool_files **files, char error[256]);

/**
 * Appends @count whole lines: one write(2), more only where a file becomes full in between. What
 * cannot be written is dropped and counted; the next call tries the disk again.
 */
void ch_spool_files_append(struct ch_spool_files *files, enum ch_spool_stream stream,
			   struct ch_slice lines, uint32_t count);

/** fdatasync of what was written since the last one; makes a file anew that somebody deleted. */
void ch_spool_files_sync(struct ch_spool_files *files);

/** Any thread. */
void ch_spool_files_counters(const struct ch_spool_files *files,
			     struct ch_spool_counters *counters);

/** Syncs and closes. NULL is fine. */
void ch_spool_files_close(struct ch_spool_files *files);
