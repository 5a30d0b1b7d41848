/* SPDX-License-Identifier: Apache-2.0 */
#include "http.h"
#include "input.h"
#include "output.h"
#include "user/core/option.h"

#include <string.h>

#define OPERATION_MOST (1024 * 1024)
#define TIMEOUT_MOST_NS UINT64_C(3600000000000)
#define TIMEOUT_NS UINT64_C(30000000000) /* the daemon's, when none is given */
/** The daemon answers by itself when the device is late; so much later it does not any more. */
#define GRACE_NS UINT64_C(10000000000)

struct arguments {
	const char *device;
	const char *file; /**< NULL = stdin */
	const char *timeout;
	uint64_t timeout_ns;
};

static int read_arguments(struct cli *cli, int argc, char **argv, struct arguments *arguments,
			  bool *stop)
{
	static const struct option options[] = {{"file", required_argument, NULL, 'f'},
						{"timeout", required_argument, NULL, 't'},
						CLI_COMMON_OPTIONS};
	int option;

	arguments->timeout_ns = TIMEOUT_NS;
	while ((option = cli_next(cli, argc, argv, "f:", options)) != -1) {
		if (option == CLI_STOP) {
			*stop = true;
			return cli->exit;
		}
		if (option == 'f')
			arguments->file = optarg;
		else
			arguments->timeout = optarg;
	}
	if (arguments->timeout != NULL &&
	    ch_parse_duration(arguments->timeout, 1000000, TIMEOUT_MOST_NS,
			      &arguments->timeout_ns) != 0)
		return cli_usage(
			cli, "--timeout must be a duration from 1ms to 1h, such as 90s, not '%s'",
			arguments->timeout);
	if (optind + 1 != argc)
		return cli_usage(cli, "name one device");
	arguments->device = argv[optind];
	return CLI_OK;
}

static int build_path(const struct arguments *arguments, struct ch_buf *path)
{
	int err = http_device_path(path, arguments->device, "/rpc");

	if (err != 0 || arguments->timeout == NULL)
		return err;
	path->len--; /* the NUL */
	err = ch_buf_printf(path, "?timeout=%s", arguments->timeout);
	return err != 0 ? err : ch_buf_append(path, "", 1);
}

static int print_reply(const struct cli *cli, const struct http_call *call)
{
	const char *text = (const char *)call->reply.data;
	size_t len = call->reply.len;

	output_bytes(cli, text, len, CLEAN_TEXT);
	if (len > 0 && text[len - 1] != '\n')
		putchar('\n');
	if (strcmp(call->verdict, "rpc-error") == 0)
		return cli_fail(cli, CLI_RPC_ERROR, "the device answered with rpc-error");
	if (strcmp(call->verdict, "ok") != 0)
		return cli_fail(cli, CLI_FAILED, "the reply of the device is not well-formed XML");
	return CLI_OK;
}

int cli_rpc(struct cli *cli, int argc, char **argv)
{
	struct arguments arguments = {0};
	struct http_call call = {.method = "POST"};
	struct ch_buf operation = {0};
	struct ch_buf path = {0};
	bool stop = false;
	int code = read_arguments(cli, argc, argv, &arguments, &stop);

	if (code == CLI_OK && !stop)
		code = input_read(cli, arguments.file, "operation", OPERATION_MOST, &operation);
	if (code != CLI_OK || stop)
		goto out;
	if (build_path(&arguments, &path) != 0) {
		code = cli_fail(cli, CLI_FAILED, "out of memory");
		goto out;
	}
	call.path = (const char *)path.data;
	call.body = (struct ch_slice){operation.data, operation.len};
	call.timeout_ns = arguments.timeout_ns + GRACE_NS;
	code = http_do(cli, &call);
	if (code == CLI_OK)
		code = print_reply(cli, &call);
out:
	ch_buf_deinit(&operation);
	ch_buf_deinit(&path);
	ch_buf_deinit(&call.reply);
	return code;
}
