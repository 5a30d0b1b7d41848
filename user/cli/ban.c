/* SPDX-License-Identifier: Apache-2.0 */
#include "change.h"
#include "http.h"
#include "output.h"
#include "user/core/option.h"

#include <string.h>

/** Bans that are asked for at a time: a reader that stops holds no connection of the daemon. */
#define PAGE 10000
#define SECOND UINT64_C(1000000000)
#define LONGEST (3650 * 86400 * SECOND)
#define SOURCE_BYTES 64

struct listing {
	struct cli *cli;
	struct table table;
	size_t lines;		 /**< of the present page */
	char last[SOURCE_BYTES]; /**< source of the last line; "" before */
};

/** 2026-01-31T23:59:59.123Z to the second. */
static const char *when(const json_t *json, const char *member, const char *never, char text[24])
{
	const char *value = json_string_value(json_object_get(json, member));

	if (value == NULL || strlen(value) < 19)
		return never;
	snprintf(text, 24, "%.19sZ", value);
	return text;
}

static bool ban_line(void *ctx, const json_t *json)
{
	struct listing *listing = ctx;
	const char *source = json_string_value(json_object_get(json, "source"));
	const char *cause = json_string_value(json_object_get(json, "cause"));
	char level[24];
	char hits[24];
	char since[24];
	char until[24];
	const char *cells[6] = {source,
				when(json, "since", "-", since),
				when(json, "until", "lifted", until),
				cause,
				level,
				hits};

	if (source == NULL || cause == NULL || strlen(source) >= SOURCE_BYTES)
		return false;
	snprintf(level, sizeof(level), "%lld",
		 (long long)json_integer_value(json_object_get(json, "level")));
	snprintf(hits, sizeof(hits), "%lld",
		 (long long)json_integer_value(json_object_get(json, "hits")));
	snprintf(listing->last, sizeof(listing->last), "%s", source);
	listing->lines++;
	if (!listing->cli->json)
		table_row(&listing->table, cells, "");
	return true;
}

static int build_path(const struct listing *listing, struct ch_buf *path)
{
	int err;

	path->len = 0;
	err = ch_buf_printf(path, "/v1/bans?limit=%d", PAGE);
	if (err == 0 && listing->last[0] != '\0')
		err = ch_buf_append_str(path, "&after=");
	if (err == 0)
		err = http_escape(path, listing->last);
	return err != 0 ? err : ch_buf_append(path, "", 1);
}

static int one_page(struct listing *listing, struct ch_buf *path)
{
	struct http_call call = {0};
	int code;

	if (build_path(listing, path) != 0)
		return cli_fail(listing->cli, CLI_FAILED, "out of memory");
	call.path = (const char *)path->data;
	listing->lines = 0;
	code = http_do(listing->cli, &call);
	if (code == CLI_OK && !http_each_line(&call.reply, ban_line, listing))
		code = cli_fail(listing->cli, CLI_FAILED, "the listing is broken");
	if (code == CLI_OK && listing->cli->json)
		output_bytes(listing->cli, (const char *)call.reply.data, call.reply.len,
			     CLEAN_JSON);
	ch_buf_deinit(&call.reply);
	return code;
}

static int ls(struct cli *cli, int argc, char **argv)
{
	static const struct option options[] = {{"json", no_argument, NULL, 'j'},
						CLI_COMMON_OPTIONS};
	static const char *const headings[] = {"SOURCE", "SINCE", "UNTIL",
					       "CAUSE",	 "LEVEL", "HITS"};
	struct listing listing = {.cli = cli};
	struct ch_buf path = {0};
	int code;

	if (cli_next(cli, argc, argv, "", options) == CLI_STOP)
		return cli->exit;
	if (optind < argc)
		return cli_usage(cli, "unexpected argument '%s'", argv[optind]);
	if (!cli->json)
		table_init(&listing.table, cli, 6, headings);
	do {
		code = one_page(&listing, &path);
	} while (code == CLI_OK && listing.lines == PAGE && !ferror(stdout));
	if (listing.last[0] == '\0')
		listing.table.rows = 0; /* no heading above nothing */
	if (!cli->json && !table_finish(&listing.table) && code == CLI_OK)
		code = cli_fail(cli, CLI_FAILED, "out of memory");
	if (code == CLI_OK && listing.last[0] == '\0')
		fputs("nobody is banned\n", stderr);
	ch_buf_deinit(&path);
	return code;
}

static int add(struct cli *cli, int argc, char **argv)
{
	static const struct option options[] = {{"for", required_argument, NULL, 'f'},
						CLI_COMMON_OPTIONS};
	struct ch_buf path = {0};
	uint64_t length_ns = 0;
	int option;
	int err;

	while ((option = cli_next(cli, argc, argv, "", options)) != -1) {
		if (option == CLI_STOP)
			return cli->exit;
		if (ch_parse_duration(optarg, SECOND, LONGEST, &length_ns) != 0)
			return cli_usage(cli,
					 "--for must be a time from 1s to 3650d, such as 90s, "
					 "10min or 2h, not '%s'",
					 optarg);
	}
	if (optind + 1 != argc)
		return cli_usage(cli, "name one source by its address");
	err = ch_buf_append_str(&path, "/v1/bans?source=");
	if (err == 0)
		err = http_escape(&path, argv[optind]);
	if (err == 0)
		err = ch_buf_printf(&path, "&seconds=%llu",
				    (unsigned long long)((length_ns + SECOND - 1) / SECOND));
	if (err == 0)
		return change_do(cli, "POST", &path, (struct ch_slice){0});
	ch_buf_deinit(&path);
	return cli_fail(cli, CLI_FAILED, "out of memory");
}

static int rm(struct cli *cli, int argc, char **argv)
{
	struct ch_buf path = {0};
	int code;

	if (!cli_one_argument(cli, argc, argv, "source by its address", &code))
		return code;
	if (ch_buf_append_str(&path, "/v1/bans/") == 0 && http_escape(&path, argv[optind]) == 0)
		return change_do(cli, "DELETE", &path, (struct ch_slice){0});
	ch_buf_deinit(&path);
	return cli_fail(cli, CLI_FAILED, "out of memory");
}

int cli_ban(struct cli *cli, int argc, char **argv)
{
	static const struct cli_action actions[] = {{"ls", ls}, {"add", add}, {"rm", rm}, {0}};

	return cli_act(cli, argc, argv, actions);
}
