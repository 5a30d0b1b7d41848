/* SPDX-License-Identifier: Apache-2.0 */
#include "http.h"
#include "inventory.h"
#include "output.h"
#include "user/core/option.h"

#include <string.h>

/**
 * Devices that are asked for at a time. A reader that stops in the middle (a pager) holds no
 * connection of the daemon, and memory stays the same for any number of devices.
 */
#define PAGE 1000

static const char *const headings[] = {"NAME",	 "STATE", "PEER",  "TLS",
				       "CIPHER", "LAYER", "SINCE", "REASON"};
static const char *const members[] = {"name",	"state",	"peer",	 "tls_version",
				      "cipher", "record_layer", "since", "reason"};
#define MEMBERS (sizeof(members) / sizeof(members[0]))

enum { COLUMN_STATE = 1, COLUMN_SINCE = 6, COLUMN_REASON = 7 };

struct listing {
	struct cli *cli;
	struct ch_buf filters; /**< "&KEY=VALUE..." */
	struct table table;
	uint64_t left;	/**< devices that may still be listed (--limit) */
	uint64_t lines; /**< listed so far */
	long long last; /**< index of the last one, -1 before */
	int keys;	/**< 'P', 'R': pending or rejected keys instead; 0 = devices */
};

static const char *paint_of(const char *state)
{
	if (strcmp(state, "connected") == 0)
		return "\x1b[32m";
	if (strcmp(state, "refused") == 0)
		return "\x1b[31m";
	return strcmp(state, "connecting") == 0 ? "\x1b[33m" : "";
}

static void table_line(struct listing *listing, const json_t *json)
{
	const char *cells[MEMBERS];
	char since[32];

	for (size_t i = 0; i < MEMBERS; i++) {
		cells[i] = json_string_value(json_object_get(json, members[i]));
		if (cells[i] == NULL || cells[i][0] == '\0')
			cells[i] = "-";
	}
	if (strcmp(cells[COLUMN_REASON], "none") == 0)
		cells[COLUMN_REASON] = "-";
	/* To the second: 2026-01-31T23:59:59.123Z */
	if (strlen(cells[COLUMN_SINCE]) == 24) {
		snprintf(since, sizeof(since), "%.19sZ", cells[COLUMN_SINCE]);
		cells[COLUMN_SINCE] = since;
	}
	table_row(&listing->table, cells, paint_of(cells[COLUMN_STATE]));
}

/** One device; @len without the newline. @return false: it is none */
static bool one_line(struct listing *listing, const char *text, size_t len)
{
	json_t *json = json_loadb(text, len, 0, NULL);
	const json_t *index = json_object_get(json, "index");
	bool good = json_is_integer(index);

	if (good) {
		listing->last = json_integer_value(index);
		listing->lines++;
		if (listing->cli->json)
			output_bytes(listing->cli, text, len + 1, CLEAN_JSON);
		else
			table_line(listing, json);
	}
	json_decref(json);
	return good;
}

/** @return CLI_OK or the exit code */
static int one_page(struct listing *listing, const struct ch_buf *page, uint64_t *count)
{
	const char *at = (const char *)page->data;
	const char *end = at + page->len;

	for (*count = 0; at < end; (*count)++) {
		const char *newline = memchr(at, '\n', (size_t)(end - at));

		if (newline == NULL || !one_line(listing, at, (size_t)(newline - at)))
			return cli_fail(listing->cli, CLI_FAILED,
					"the listing is broken after %llu devices",
					(unsigned long long)listing->lines);
		at = newline + 1;
	}
	return CLI_OK;
}

static int build_path(const struct listing *listing, uint64_t limit, struct ch_buf *path)
{
	int err;

	path->len = 0;
	err = ch_buf_printf(path, "/v1/devices?limit=%llu", (unsigned long long)limit);
	if (err == 0 && listing->last >= 0)
		err = ch_buf_printf(path, "&after=%lld", listing->last);
	if (err == 0)
		err = ch_buf_append(path, listing->filters.data, listing->filters.len);
	return err != 0 ? err : ch_buf_append(path, "", 1);
}

static int list(struct listing *listing)
{
	struct ch_buf path = {0};
	int code = CLI_OK;
	uint64_t asked = PAGE;
	uint64_t got = PAGE;

	while (code == CLI_OK && got == asked && listing->left > 0 && !ferror(stdout)) {
		struct http_call call = {0};

		asked = listing->left < PAGE ? listing->left : PAGE;
		if (build_path(listing, asked, &path) != 0) {
			code = cli_fail(listing->cli, CLI_FAILED, "out of memory");
			break;
		}
		call.path = (const char *)path.data;
		code = http_do(listing->cli, &call);
		if (code == CLI_OK)
			code = one_page(listing, &call.reply, &got);
		listing->left -= got < listing->left ? got : listing->left;
		ch_buf_deinit(&call.reply);
	}
	ch_buf_deinit(&path);
	return code;
}

/** @return CLI_OK, or the exit code. @stop: help was given, nothing is left to do */
static int read_arguments(struct cli *cli, int argc, char **argv, struct listing *listing,
			  bool *stop)
{
	static const struct option options[] = {{"state", required_argument, NULL, 's'},
						{"name", required_argument, NULL, 'n'},
						{"profile", required_argument, NULL, 'p'},
						{"manufacturer", required_argument, NULL, 'm'},
						{"limit", required_argument, NULL, 'l'},
						{"pending", no_argument, NULL, 'P'},
						{"rejected", no_argument, NULL, 'R'},
						{"json", no_argument, NULL, 'j'},
						CLI_COMMON_OPTIONS};
	static const char *const keys[] = {
		['s'] = "state", ['n'] = "name", ['p'] = "profile", ['m'] = "manufacturer"};
	int option;

	while ((option = cli_next(cli, argc, argv, "", options)) != -1) {
		if (option == CLI_STOP) {
			*stop = true;
			return cli->exit;
		}
		if (option == 'P' || option == 'R') {
			listing->keys = option;
		} else if (option == 'l') {
			if (ch_parse_uint(optarg, 1, UINT32_MAX, &listing->left) != 0)
				return cli_usage(cli,
						 "--limit must be a number from 1 to 4294967295, "
						 "not '%s'",
						 optarg);
		} else if (ch_buf_printf(&listing->filters, "&%s=", keys[option]) != 0 ||
			   http_escape(&listing->filters, optarg) != 0) {
			return cli_fail(cli, CLI_FAILED, "out of memory");
		}
	}
	if (optind < argc)
		return cli_usage(cli, "unexpected argument '%s'", argv[optind]);
	return CLI_OK;
}

int cli_devices(struct cli *cli, int argc, char **argv)
{
	struct listing listing = {.cli = cli, .left = UINT64_MAX, .last = -1};
	bool stop = false;
	int code;

	if (argc > 1 && cli_is_inventory(argv[1]))
		return cli_inventory(cli, argc - 1, argv + 1);
	code = read_arguments(cli, argc, argv, &listing, &stop);

	if (code != CLI_OK || stop)
		goto out;
	if (listing.keys != 0) {
		code = listing.filters.len > 0
			       ? cli_usage(cli, "--pending and --rejected list keys, which none of "
						"the other options is about")
			       : cli_keys(cli, listing.keys == 'R');
		goto out;
	}
	if (!cli->json)
		table_init(&listing.table, cli, MEMBERS, headings);
	code = list(&listing);
	if (listing.lines == 0)
		listing.table.rows = 0; /* no heading above nothing */
	if (!cli->json && !table_finish(&listing.table) && code == CLI_OK)
		code = cli_fail(cli, CLI_FAILED, "out of memory");
	if (code == CLI_OK && listing.lines == 0)
		fputs("no device matches\n", stderr);
out:
	ch_buf_deinit(&listing.filters);
	return code;
}
