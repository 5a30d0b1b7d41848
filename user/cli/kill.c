/* SPDX-License-Identifier: Apache-2.0 */
#include "http.h"

int cli_kill(struct cli *cli, int argc, char **argv)
{
	static const struct option options[] = {CLI_COMMON_OPTIONS};
	struct http_call call = {.method = "DELETE"};
	struct ch_buf path = {0};
	int code;

	if (cli_next(cli, argc, argv, "", options) == CLI_STOP)
		return cli->exit;
	if (optind + 1 != argc)
		return cli_usage(cli, "name one device");
	if (http_device_path(&path, argv[optind], "/session") != 0)
		return cli_fail(cli, CLI_FAILED, "out of memory");
	call.path = (const char *)path.data;
	code = http_do(cli, &call);
	ch_buf_deinit(&call.reply);
	ch_buf_deinit(&path);
	return code;
}
