/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Log lines on standard error: "2026-03-01T12:00:00.123Z info event=...". */

enum { DAEMON_ERROR, DAEMON_WARNING, DAEMON_INFO };

/** A ch_log_fn: one write(2) per line, so lines of several threads never mix. */
void daemon_log_line(void *ctx, int level, const char *line);

/** Formats and writes one line of at most 1023 bytes. */
void daemon_log(int level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
