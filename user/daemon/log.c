/* SPDX-License-Identifier: Apache-2.0 */
#include "log.h"

#include <stdarg.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

enum { LINE_MAX_BYTES = 1024, STAMP_BYTES = 64 };

void daemon_log_line(void *ctx, int level, const char *line)
{
	static const char *const names[] = {"error", "warning", "info", "debug"};
	char text[LINE_MAX_BYTES + STAMP_BYTES];
	char stamp[32];
	struct timespec now;
	struct tm utc;
	int len;

	(void)ctx;
	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &utc);
	strftime(stamp, sizeof(stamp), "%Y-%m-%dT%H:%M:%S", &utc);
	len = snprintf(text, sizeof(text) - 1, "%s.%03ldZ %s %s", stamp, now.tv_nsec / 1000000,
		       names[level & 3], line);
	if (len >= (int)sizeof(text) - 1)
		len = (int)sizeof(text) - 2;
	text[len] = '\n';
	/* A log that cannot be written must not stop the service: nobody is left to be told. */
	if (write(STDERR_FILENO, text, (size_t)len + 1) < 0)
		return;
}

void daemon_log(int level, const char *fmt, ...)
{
	char line[LINE_MAX_BYTES];
	va_list args;

	va_start(args, fmt);
	vsnprintf(line, sizeof(line), fmt, args);
	va_end(args);
	daemon_log_line(NULL, level, line);
}
