/* SPDX-License-Identifier: Apache-2.0 */
#include "bans.h"
#include "user/core/option.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define LINE_MAX_BYTES 256
#define NEVER "never"
#define SECOND 1000000000ull

static const char *const causes[] = {[CH_BAN_FAILURES] = "failures", [CH_BAN_OPERATOR] = "operator"};

static void put_line(FILE *out, const struct ch_sources *sources, const struct ch_ban *ban,
		     const struct ch_clocks *clocks)
{
	char source[CH_SOURCE_TEXT];
	char until[32] = NEVER;
	struct tm tm;
	time_t end;

	ch_source_format(sources, &ban->source, source);
	if (ban->until_ns != UINT64_MAX) {
		/* Rounded up: a ban is never shorter for having been written down. */
		end = (time_t)((clocks->unix_ns + (ban->until_ns - clocks->now_ns) + SECOND - 1) /
			       SECOND);
		strftime(until, sizeof(until), "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&end, &tm));
	}
	fprintf(out, "%s %s %" PRIu32 " %s\n", source, until, ban->level, causes[ban->cause]);
}

/* All bans in force. @return malloc'ed, NULL = no memory; @count of them */
static struct ch_ban *copy_bans(struct ch_sources *sources, uint64_t now_ns, size_t *count)
{
	size_t cap = ch_sources_bans(sources, now_ns, NULL, 0) + 64;
	struct ch_ban *bans = calloc(cap, sizeof(*bans));

	*count = bans != NULL ? ch_sources_bans(sources, now_ns, bans, cap) : 0;
	if (*count > cap)
		*count = cap; /* more came meanwhile: they are written next time */
	return bans;
}

int ch_bans_write(const char *file, struct ch_sources *sources, const struct ch_clocks *clocks)
{
	char *beside = NULL;
	struct ch_ban *bans;
	FILE *out = NULL;
	size_t count;
	int err = -ENOMEM;

	bans = copy_bans(sources, clocks->now_ns, &count);
	if (bans == NULL || asprintf(&beside, "%s.new", file) < 0)
		goto out;
	out = fopen(beside, "we");
	err = out != NULL ? 0 : -errno;
	if (err != 0)
		goto out;
	fputs("# bans of callhomed: source, end, level, cause\n", out);
	for (size_t i = 0; i < count; i++)
		put_line(out, sources, &bans[i], clocks);
	if (fflush(out) != 0 || fsync(fileno(out)) != 0)
		err = -errno;
	if (fclose(out) != 0 && err == 0)
		err = -errno;
	if (err == 0 && rename(beside, file) != 0)
		err = -errno;
	if (err != 0)
		unlink(beside);
out:
	free(beside);
	free(bans);
	return err;
}

/* @return the monotonic end; 0 = it has passed or cannot be read */
static uint64_t parse_end(const char *text, const struct ch_clocks *clocks, bool *readable)
{
	struct tm tm = {0};
	const char *rest = strptime(text, "%Y-%m-%dT%H:%M:%SZ", &tm);
	uint64_t end;

	*readable = true;
	if (strcmp(text, NEVER) == 0)
		return UINT64_MAX;
	*readable = rest != NULL && *rest == '\0' && timegm(&tm) > 0;
	if (!*readable)
		return 0;
	end = (uint64_t)timegm(&tm) * SECOND;
	return end > clocks->unix_ns ? clocks->now_ns + (end - clocks->unix_ns) : 0;
}

static bool parse_cause(const char *text, enum ch_ban_cause *cause)
{
	for (size_t i = 0; i < sizeof(causes) / sizeof(causes[0]); i++) {
		if (strcmp(text, causes[i]) != 0)
			continue;
		*cause = (enum ch_ban_cause)i;
		return true;
	}
	return false;
}

/* Cuts @line into the four words of a ban. */
static bool split(char *line, char *words[4])
{
	char *rest = line;

	for (int i = 0; i < 4; i++) {
		words[i] = strtok_r(rest, " \n", &rest);
		if (words[i] == NULL)
			return false;
	}
	return true;
}

/* @return can it be read? */
static bool take_line(char *line, struct ch_sources *sources, const struct ch_clocks *clocks,
		      int *err)
{
	struct ch_ban ban = {.since_ns = clocks->now_ns};
	struct ch_ban_change change;
	struct guard_prefix prefix;
	char *words[4];
	uint64_t level;
	bool readable;

	if (!split(line, words) || ch_prefix_parse(words[0], &prefix) != 0 ||
	    !parse_cause(words[3], &ban.cause) ||
	    ch_parse_uint(words[2], 0, UINT32_MAX, &level) != 0)
		return false;
	ban.level = (uint32_t)level;
	ban.until_ns = parse_end(words[1], clocks, &readable);
	if (ban.until_ns == 0)
		return readable;
	ban.source = prefix.source;
	*err = ch_sources_ban(sources, &ban, &change);
	if (*err == CH_E_FULL) /* the table was larger when it was written: longer bans are in */
		*err = 0;
	return true;
}

int ch_bans_read(const char *file, struct ch_sources *sources, const struct ch_clocks *clocks,
		 struct ch_buf *warnings)
{
	FILE *in = fopen(file, "re");
	char line[LINE_MAX_BYTES];
	unsigned number = 0;
	int err = 0;

	if (in == NULL)
		return errno == ENOENT ? 0 : -errno;
	while (err == 0 && fgets(line, sizeof(line), in) != NULL) {
		number++;
		if (strchr(line, '\n') == NULL)
			err = CH_E_LIMIT; /* no line of ours is as long */
		else if (line[0] != '#' && line[0] != '\n' &&
			 !take_line(line, sources, clocks, &err))
			err = ch_buf_printf(warnings, "%s:%u: not a ban; the line is ignored\n", file,
					    number);
	}
	fclose(in);
	return err;
}
