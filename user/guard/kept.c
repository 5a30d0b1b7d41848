/* SPDX-License-Identifier: Apache-2.0 */
#include "kept.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define LINE_MAX_BYTES 256
#define WARNINGS_MOST 20
#define NEVER "never"
#define SECOND 1000000000ull

void ch_kept_format_end(uint64_t until_ns, const struct ch_clocks *clocks, char text[CH_KEPT_END])
{
	struct tm tm;
	time_t end;

	if (until_ns == UINT64_MAX) {
		memcpy(text, NEVER, sizeof(NEVER));
		return;
	}
	/* Rounded up: nothing is shorter for having been written down. */
	end = (time_t)((clocks->unix_ns + (until_ns - clocks->now_ns) + SECOND - 1) / SECOND);
	strftime(text, CH_KEPT_END, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&end, &tm));
}

bool ch_kept_parse_end(const char *text, const struct ch_clocks *clocks, uint64_t *until_ns)
{
	struct tm tm = {0};
	const char *rest = strptime(text, "%Y-%m-%dT%H:%M:%SZ", &tm);
	time_t end = rest != NULL && *rest == '\0' ? timegm(&tm) : 0;
	uint64_t end_ns;

	*until_ns = UINT64_MAX;
	if (strcmp(text, NEVER) == 0)
		return true;
	if (end <= 0)
		return false;
	end_ns = (uint64_t)end * SECOND;
	*until_ns = end_ns > clocks->unix_ns ? clocks->now_ns + (end_ns - clocks->unix_ns) : 0;
	return true;
}

/* Of the last call that failed; a stream may have failed earlier than it says so. */
static int io_error(void)
{
	return errno != 0 ? -errno : -EIO;
}

int ch_kept_write(const char *file, void (*put)(FILE *out, void *ctx), void *ctx)
{
	char *beside = NULL;
	FILE *out;
	int err = 0;

	if (asprintf(&beside, "%s.new", file) < 0)
		return -ENOMEM;
	out = fopen(beside, "we");
	if (out == NULL) {
		err = -errno;
		goto out;
	}
	errno = 0;
	put(out, ctx);
	if (fflush(out) != 0 || ferror(out) || fsync(fileno(out)) != 0)
		err = io_error();
	if (fclose(out) != 0 && err == 0)
		err = io_error();
	if (err == 0 && rename(beside, file) != 0)
		err = -errno;
	if (err != 0)
		unlink(beside);
out:
	free(beside);
	return err;
}

static bool split(char *line, unsigned count, char *words[CH_KEPT_WORDS])
{
	char *rest = line;

	for (unsigned i = 0; i < count; i++) {
		words[i] = strtok_r(rest, " \n", &rest);
		if (words[i] == NULL)
			return false;
	}
	return true;
}

int ch_kept_read(const char *file, const struct ch_kept_format *format, void *ctx,
		 struct ch_buf *warnings)
{
	FILE *in = fopen(file, "re");
	char *words[CH_KEPT_WORDS];
	char line[LINE_MAX_BYTES];
	unsigned number = 0;
	unsigned broken = 0;
	int err = 0;

	if (in == NULL)
		return errno == ENOENT ? 0 : -errno;
	while (err == 0 && fgets(line, sizeof(line), in) != NULL) {
		number++;
		if (strchr(line, '\n') == NULL)
			err = CH_E_LIMIT; /* no line of ours is as long */
		else if (line[0] != '#' && line[0] != '\n' &&
			 !(split(line, format->words, words) && format->take(ctx, words, &err)) &&
			 ++broken <= WARNINGS_MOST)
			err = ch_buf_printf(warnings, "%s:%u: not %s; the line is ignored\n", file,
					    number, format->what);
	}
	if (err == 0 && ferror(in))
		err = io_error();
	if (err == 0 && broken > WARNINGS_MOST)
		err = ch_buf_printf(warnings, "%s: and %u lines more\n", file,
				    broken - WARNINGS_MOST);
	fclose(in);
	return err;
}
