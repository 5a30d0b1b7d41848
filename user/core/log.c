/* SPDX-License-Identifier: Apache-2.0 */
#include "log.h"

#include "bpf/limit.h"

#include <stddef.h>
#include <stdarg.h>
#include <stdio.h>

#define LINE_BYTES 1024
#define NS_PER_SECOND 1000000000ULL

void ch_log(const struct ch_log *log, enum ch_log_level level, const char *fmt, ...)
{
	char line[LINE_BYTES];
	va_list args;
	int len;

	if (log == NULL || log->write == NULL || level > log->level)
		return;
	va_start(args, fmt);
	len = vsnprintf(line, sizeof(line), fmt, args);
	va_end(args);
	if (len < 0)
		return;
	/* One record, one line: a name that a peer chose must not forge a second one. */
	for (char *c = line; *c != '\0'; c++) {
		if ((unsigned char)*c < 0x20 || *c == 0x7f)
			*c = '?';
	}
	log->write(log->ctx, level, line);
}

const char *ch_log_level_name(enum ch_log_level level)
{
	static const char *const names[] = {
		[CH_LOG_ERROR] = "error",
		[CH_LOG_WARNING] = "warning",
		[CH_LOG_INFO] = "info",
		[CH_LOG_DEBUG] = "debug",
	};

	return (unsigned)level <= CH_LOG_DEBUG ? names[level] : "unknown";
}

bool ch_rate_allow(uint64_t *tat_ns, uint64_t now_ns, uint32_t per_second, uint32_t burst)
{
	struct guard_limit limit;

	if (per_second == 0 || burst == 0)
		return false;
	limit.interval_ns = NS_PER_SECOND / per_second;
	limit.burst_ns = (burst - 1) * limit.interval_ns;
	if (!guard_limit_allows(&limit, *tat_ns, now_ns))
		return false;
	*tat_ns = guard_limit_charge(&limit, *tat_ns, now_ns);
	return true;
}

bool ch_log_allow(struct ch_log_limit *limit, uint64_t now_ns, uint32_t per_second, uint32_t burst,
		  uint64_t *held)
{
	*held = 0;
	if (!ch_rate_allow(&limit->tat_ns, now_ns, per_second, burst)) {
		limit->held++;
		return false;
	}
	*held = limit->held;
	limit->held = 0;
	return true;
}
