/* SPDX-License-Identifier: Apache-2.0 */
#include "schedule.h"

#include <stdbool.h>
#include <string.h>
#include <time.h>

#define SECOND 1000000000ull

static int two_digits(const char *text, int most)
{
	if (text[0] < '0' || text[0] > '9' || text[1] < '0' || text[1] > '9')
		return -1;
	int value = (text[0] - '0') * 10 + text[1] - '0';
	return value <= most ? value : -1;
}

/* "Z" or "+hh:mm". @return 0 or CH_E_SYNTAX */
static int read_offset(const char *text, int64_t *seconds)
{
	if (strcmp(text, "Z") == 0) {
		*seconds = 0;
		return 0;
	}
	if ((text[0] != '+' && text[0] != '-') || strlen(text) != 6 || text[3] != ':')
		return CH_E_SYNTAX;
	int hours = two_digits(text + 1, 23), minutes = two_digits(text + 4, 59);
	if (hours < 0 || minutes < 0)
		return CH_E_SYNTAX;
	*seconds = (hours * 60 + minutes) * (text[0] == '-' ? -60 : 60);
	return 0;
}

int sim_schedule_time(const char *text, uint64_t *unix_ns)
{
	static const char shape[] = "0000-00-00T00:00:00";
	struct tm utc = {0};
	int64_t offset;

	/* strptime takes "2026-1-1" and spaces, too */
	for (size_t i = 0; shape[i] != '\0'; i++) {
		bool digit = text[i] >= '0' && text[i] <= '9';
		if (shape[i] == '0' ? !digit : text[i] != shape[i])
			return CH_E_SYNTAX;
	}
	const char *end = strptime(text, "%Y-%m-%dT%H:%M:%S", &utc);
	if (!end || read_offset(end, &offset) != 0)
		return CH_E_SYNTAX;
	int64_t seconds = timegm(&utc) - offset;
	if (seconds < 0 || (uint64_t)seconds > UINT64_MAX / SECOND)
		return CH_E_SYNTAX;
	*unix_ns = (uint64_t)seconds * SECOND;
	return 0;
}

uint64_t sim_schedule_anchor(uint64_t anchor_unix_ns, uint64_t period_ns, uint64_t unix_now_ns,
			     uint64_t now_ns)
{
	if (anchor_unix_ns >= unix_now_ns)
		return now_ns + (anchor_unix_ns - unix_now_ns) % period_ns;
	uint64_t past_ns = (unix_now_ns - anchor_unix_ns) % period_ns;
	return now_ns + (past_ns ? period_ns - past_ns : 0);
}

uint64_t sim_schedule_next(uint64_t due_ns, uint64_t period_ns, uint64_t now_ns)
{
	uint64_t periods = now_ns > due_ns ? (now_ns - due_ns) / period_ns : 0;

	return due_ns + (periods + 1) * period_ns;
}

uint32_t sim_schedule_target(enum sim_start_with start, uint32_t last, uint32_t count,
			     uint64_t random)
{
	switch (start) {
	case SIM_START_FIRST_LISTED:
		return 0;
	case SIM_START_LAST_CONNECTED:
		return last;
	case SIM_START_RANDOM_SELECTION:
		return (uint32_t)(random % count);
	}
	return 0;
}
