/* SPDX-License-Identifier: Apache-2.0 */
#include "http.h"
#include "output.h"

static void print_result(const struct cli *cli, const json_t *json)
{
	json_t *warning;
	size_t i;

	printf("generation %llu: %llu devices, %llu added, %llu removed, %llu changed\n",
	       member_number(json, "generation"), member_number(json, "devices"),
	       member_number(json, "added"), member_number(json, "removed"),
	       member_number(json, "changed"));
	json_array_foreach(json_object_get(json, "warnings"), i, warning)
		cli_fail(cli, CLI_OK, "warning: %s", json_string_value(warning));
}

int cli_reload(struct cli *cli, int argc, char **argv)
{
	static const struct option options[] = {{"wait", no_argument, NULL, 'w'},
						{"json", no_argument, NULL, 'j'},
						CLI_COMMON_OPTIONS};
	struct http_call call = {.method = "POST", .path = "/v1/reload?wait=false"};
	json_t *json;
	int code;
	int option;

	while ((option = cli_next(cli, argc, argv, "", options)) != -1) {
		if (option == CLI_STOP)
			return cli->exit;
		call.path = "/v1/reload"; /* --wait */
	}
	if (optind < argc)
		return cli_usage(cli, "unexpected argument '%s'", argv[optind]);
	code = http_do(cli, &call);
	json = json_loadb((const char *)call.reply.data, call.reply.len, 0, NULL);
	if (code == CLI_OK && cli->json)
		output_bytes(cli, (const char *)call.reply.data, call.reply.len, CLEAN_JSON);
	else if (code == CLI_OK && json_object_get(json, "generation") != NULL)
		print_result(cli, json);
	json_decref(json);
	ch_buf_deinit(&call.reply);
	return code;
}
