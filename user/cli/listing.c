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
