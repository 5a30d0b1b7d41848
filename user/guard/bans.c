/* SPDX-License-Identifier: Apache-2.0 */
#include "bans.h"
#include "user/core/option.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static const char *const causes[] = {
	[CH_BAN_FAILURES] = "failures", [CH_BAN_OPERATOR] = "operator"};

struct writing {
	const struct ch_sources *sources;
	const struct ch_clocks *clocks;
	struct ch_ban *bans;
	size_t count;
};

static void put_lines(FILE *out, void *ctx)
{
	const struct writing *w = ctx;
	char source[CH_SOURCE_TEXT];
	char end[CH_KEPT_END];

	fputs("# bans of callhomed: source, end, level, cause\n", out);
	for (size_t i = 0; i < w->count; i++) {
		const struct ch_ban *ban = &w->bans[i];

		ch_source_format(w->sources, &ban->source, source);
		ch_kept_format_end(ban->until_ns, w->clocks, end);
		fprintf(out, "%s %s %" PRIu32 " %s\n", source, end, ban->level, causes[ban->cause]);
	}
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
	struct writing writing = {.sources = sources, .clocks = clocks};
	int err = -ENOMEM;

	writing.bans = copy_bans(sources, clocks->now_ns, &writing.count);
	if (writing.bans != NULL)
		err = ch_kept_write(file, put_lines, &writing);
	free(writing.bans);
	return err;
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

struct reading {
	struct ch_sources *sources;
	const struct ch_clocks *clocks;
};

static bool take_line(void *ctx, char *const words[CH_KEPT_WORDS], int *err)
{
	const struct reading *r = ctx;
	struct ch_ban ban = {.since_ns = r->clocks->now_ns};
	struct ch_ban_change change;
	struct guard_prefix prefix;
	uint64_t level;

	if (ch_prefix_parse(words[0], &prefix) != 0 ||
	    !ch_kept_parse_end(words[1], r->clocks, &ban.until_ns) ||
	    ch_parse_uint(words[2], 0, UINT32_MAX, &level) != 0 ||
	    !parse_cause(words[3], &ban.cause))
		return false;
	if (ban.until_ns == 0)
		return true;
	ban.level = (uint32_t)level;
	ban.source = prefix.source;
	*err = ch_sources_ban(r->sources, &ban, &change);
	if (*err == CH_E_FULL) /* the table was larger when it was written: longer bans are in */
		*err = 0;
	return true;
}

int ch_bans_read(const char *file, struct ch_sources *sources, const struct ch_clocks *clocks,
		 struct ch_buf *warnings)
{
	static const struct ch_kept_format format = {"a ban (SOURCE END LEVEL CAUSE)", 4,
						     take_line};
	struct reading reading = {sources, clocks};

	return ch_kept_read(file, &format, &reading, warnings);
}
