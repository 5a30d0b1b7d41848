/* SPDX-License-Identifier: Apache-2.0 */
#include "change.h"
#include "http.h"
#include "output.h"

#include <string.h>

int change_do(struct cli *cli, const char *method, struct ch_buf *path, struct ch_slice body)
{
	struct http_call call = {.method = method, .body = body};
	json_t *json;
	const char *message;
	int code;

	if (ch_buf_append(path, "", 1) != 0) {
		ch_buf_deinit(path);
		return cli_fail(cli, CLI_FAILED, "out of memory");
	}
	call.path = (const char *)path->data;
	code = http_do(cli, &call);
	json = json_loadb((const char *)call.reply.data, call.reply.len, 0, NULL);
	message = json_string_value(json_object_get(json, "message"));
	if (code == CLI_OK && message != NULL) {
		output_bytes(cli, message, strlen(message), CLEAN_TEXT);
		output_bytes(cli, "\n", 1, CLEAN_TEXT);
	}
	json_decref(json);
	ch_buf_deinit(&call.reply);
	ch_buf_deinit(path);
	return code;
}
