/* SPDX-License-Identifier: Apache-2.0 */
#include "listing.h"
#include "clean.h"

#include <stdio.h>

int cli_list(struct cli *cli, const struct cli_listing *listing)
{
	struct http_call call = {.path = listing->path};
	struct table table;
	int code = http_do(cli, &call);

	if (code == CLI_OK && call.reply.len == 0) {
		fprintf(stderr, "%s\n", listing->none);
	} else if (code == CLI_OK && cli->json) {
		output_bytes(cli, (const char *)call.reply.data, call.reply.len, CLEAN_JSON);
	} else if (code == CLI_OK) {
		table_init(&table, cli, listing->columns, listing->headings);
		if (!http_each_line(&call.reply, listing->line, &table))
			code = cli_fail(cli, CLI_FAILED, "the listing is broken");
		if (!table_finish(&table) && code == CLI_OK)
			code = cli_fail(cli, CLI_FAILED, "out of memory");
	}
	ch_buf_deinit(&call.reply);
	return code;
}

static int fetch_and_print(struct cli *cli, int argc, char **argv, const char *path,
			   int (*print)(struct cli *cli, const json_t *json), bool prints_json)
{
	static const struct option options[] = {{"json", no_argument, NULL, 'j'},
						CLI_COMMON_OPTIONS};
	struct http_call call;
	json_t *json = NULL;
	int code;

	if (cli_next(cli, argc, argv, "", options) == CLI_STOP)
		return cli->exit;
	if (optind < argc)
		return cli_usage(cli, "unexpected argument '%s'", argv[optind]);
	code = http_get_json(cli, path, &call, &json);
	if (code == CLI_OK && cli->json && !prints_json)
		output_bytes(cli, (const char *)call.reply.data, call.reply.len, CLEAN_JSON);
	else if (code == CLI_OK)
		code = print(cli, json);
	json_decref(json);
	ch_buf_deinit(&call.reply);
	return code;
}

int cli_object(struct cli *cli, int argc, char **argv, const char *path,
	       int (*print)(struct cli *cli, const json_t *json))
{
	return fetch_and_print(cli, argc, argv, path, print, false);
}

int cli_judgement(struct cli *cli, int argc, char **argv, const char *path,
		  int (*print)(struct cli *cli, const json_t *json))
{
	return fetch_and_print(cli, argc, argv, path, print, true);
}
