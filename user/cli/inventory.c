/* SPDX-License-Identifier: Apache-2.0 */
#include "inventory.h"
#include "change.h"
#include "http.h"
#include "input.h"
#include "listing.h"

#include <string.h>
#include <unistd.h>

#define IMPORT_MOST ((size_t)64 * 1024 * 1024)

static int import(struct cli *cli, int argc, char **argv)
{
	struct ch_buf path = {0};
	struct ch_buf text = {0};
	int code;

	if (!cli_one_argument(cli, argc, argv, "CSV file (- is standard input)", &code))
		return code;
	code = input_read(cli, argv[optind], "inventory", IMPORT_MOST, &text);
	if (code == CLI_OK && (ch_buf_append_str(&path, "/v1/inventory?source=") != 0 ||
			       http_escape(&path, argv[optind]) != 0))
		code = cli_fail(cli, CLI_FAILED, "out of memory");
	if (code == CLI_OK)
		code = change_do(cli, "POST", &path, (struct ch_slice){text.data, text.len});
	ch_buf_deinit(&path);
	ch_buf_deinit(&text);
	return code;
}

static int export(struct cli *cli, int argc, char **argv)
{
	static const struct option options[] = {CLI_COMMON_OPTIONS};
	struct http_call call = {.path = "/v1/inventory"};
	int code;

	if (cli_next(cli, argc, argv, "", options) == CLI_STOP)
		return cli->exit;
	if (optind < argc)
		return cli_usage(cli, "unexpected argument '%s'", argv[optind]);
	code = http_do(cli, &call);
	if (code == CLI_OK)
		output_bytes(cli, (const char *)call.reply.data, call.reply.len, CLEAN_TEXT);
	ch_buf_deinit(&call.reply);
	return code;
}

static int removal(struct cli *cli, int argc, char **argv)
{
	struct ch_buf path = {0};
	int code;

	if (!cli_one_argument(cli, argc, argv, "device", &code))
		return code;
	if (ch_buf_append_str(&path, "/v1/devices/") != 0 ||
	    http_escape(&path, argv[optind]) != 0) {
		ch_buf_deinit(&path);
		return cli_fail(cli, CLI_FAILED, "out of memory");
	}
	return change_do(cli, "DELETE", &path, (struct ch_slice){0});
}

bool cli_is_inventory(const char *word)
{
	return strcmp(word, "import") == 0 || strcmp(word, "export") == 0 ||
	       strcmp(word, "remove") == 0;
}

int cli_inventory(struct cli *cli, int argc, char **argv)
{
	switch (argv[0][0]) {
	case 'i':
		return import(cli, argc, argv);
	case 'e':
		return export(cli, argc, argv);
	default:
		return removal(cli, argc, argv);
	}
}

/* --- keys in quarantine --- */

static void key_row(struct table *table, const json_t *json)
{
	static const char *const members[] = {"spki_sha256", "manufacturer", "identifier",
					      "peer",	     "first",	     "last"};
	const char *cells[7];
	char calls[24];

	for (size_t i = 0; i < 6; i++) {
		cells[i] = json_string_value(json_object_get(json, members[i]));
		if (cells[i] == NULL || cells[i][0] == '\0')
			cells[i] = "-";
	}
	snprintf(calls, sizeof(calls), "%llu",
		 (unsigned long long)json_integer_value(json_object_get(json, "count")));
	cells[6] = calls;
	table_row(table, cells, "");
}

static bool key_line(void *ctx, const json_t *json)
{
	key_row(ctx, json);
	return true;
}

int cli_keys(struct cli *cli, bool rejected)
{
	static const char *const headings[] = {"FINGERPRINT", "MANUFACTURER", "IDENTIFIER", "PEER",
					       "FIRST",	      "LAST",	      "CALLS"};
	const struct cli_listing listing = {
		.path = rejected ? "/v1/quarantine?state=rejected" : "/v1/quarantine?state=pending",
		.none = rejected ? "no key was rejected" : "no key waits",
		.headings = headings,
		.columns = 7,
		.line = key_line,
	};

	return cli_list(cli, &listing);
}

static int begin_key_path(struct ch_buf *path, const char *fingerprint, const char *what)
{
	int err = ch_buf_append_str(path, "/v1/quarantine/");

	if (err == 0)
		err = http_escape(path, fingerprint);
	return err != 0 ? err : ch_buf_append_str(path, what);
}

int cli_accept(struct cli *cli, int argc, char **argv)
{
	static const struct option options[] = {{"name", required_argument, NULL, 'n'},
						{"credential", required_argument, NULL, 'c'},
						{"profile", required_argument, NULL, 'p'},
						CLI_COMMON_OPTIONS};
	static const char *const keys[] = {['n'] = "name", ['c'] = "credential", ['p'] = "profile"};
	struct ch_buf query = {0};
	struct ch_buf path = {0};
	bool named = false;
	int code = CLI_OK;
	int option;

	while (code == CLI_OK && (option = cli_next(cli, argc, argv, "", options)) != -1) {
		if (option == CLI_STOP) {
			ch_buf_deinit(&query);
			return cli->exit;
		}
		named |= option == 'n';
		if (ch_buf_printf(&query, "%c%s=", query.len == 0 ? '?' : '&', keys[option]) != 0 ||
		    http_escape(&query, optarg) != 0)
			code = cli_fail(cli, CLI_FAILED, "out of memory");
	}
	if (code == CLI_OK && optind + 1 != argc)
		code = cli_usage(cli, "name one key by its fingerprint");
	else if (code == CLI_OK && !named)
		code = cli_usage(cli, "say with --name which device has this key");
	else if (code == CLI_OK && (begin_key_path(&path, argv[optind], "/accept") != 0 ||
				    ch_buf_append(&path, query.data, query.len) != 0))
		code = cli_fail(cli, CLI_FAILED, "out of memory");
	if (code == CLI_OK)
		code = change_do(cli, "POST", &path, (struct ch_slice){0});
	ch_buf_deinit(&query);
	ch_buf_deinit(&path);
	return code;
}

int cli_reject(struct cli *cli, int argc, char **argv)
{
	struct ch_buf path = {0};
	int code;

	if (!cli_one_argument(cli, argc, argv, "key by its fingerprint", &code))
		return code;
	if (begin_key_path(&path, argv[optind], "/reject") != 0) {
		ch_buf_deinit(&path);
		return cli_fail(cli, CLI_FAILED, "out of memory");
	}
	return change_do(cli, "POST", &path, (struct ch_slice){0});
}
