/* SPDX-License-Identifier: Apache-2.0 */
#include "known.h"

struct writing {
	struct ch_sources *sources;
	const struct ch_clocks *clocks;
	bool unripe;
};

static void put_lines(FILE *out, void *ctx)
{
	struct writing *w = ctx;
	struct ch_known_walk walk = {0};
	struct ch_known known[CH_KNOWN_STEP];
	char source[CH_SOURCE_TEXT];
	char end[CH_KEPT_END];
	size_t count;

	fputs("# known sources of callhomed: source, end\n", out);
	while (ch_sources_known(w->sources, w->clocks->now_ns, &walk, known, &count)) {
		for (size_t i = 0; i < count; i++) {
			ch_source_format(w->sources, &known[i].source, source);
			ch_kept_format_end(known[i].until_ns, w->clocks, end);
			fprintf(out, "%s %s\n", source, end);
		}
	}
	w->unripe = walk.unripe;
}

int ch_known_write(const char *file, struct ch_sources *sources, const struct ch_clocks *clocks,
		   bool *unripe)
{
	struct writing writing = {.sources = sources, .clocks = clocks};
	int err = ch_kept_write(file, put_lines, &writing);

	*unripe = writing.unripe;
	return err;
}

struct reading {
	struct ch_sources *sources;
	const struct ch_clocks *clocks;
};

static bool take_line(void *ctx, char *const words[CH_KEPT_WORDS], int *err)
{
	const struct reading *r = ctx;
	struct guard_prefix prefix;
	uint64_t until_ns;

	if (ch_prefix_parse(words[0], &prefix) != 0 ||
	    !ch_kept_parse_end(words[1], r->clocks, &until_ns) || until_ns == UINT64_MAX)
		return false;
	if (until_ns != 0)
		*err = ch_sources_know(r->sources, &prefix, until_ns, r->clocks->now_ns);
	return true;
}

int ch_known_read(const char *file, struct ch_sources *sources, const struct ch_clocks *clocks,
		  struct ch_buf *warnings)
{
	static const struct ch_kept_format format = {"a known source (SOURCE END)", 2, take_line};
	struct reading reading = {sources, clocks};

	return ch_kept_read(file, &format, &reading, warnings);
}
