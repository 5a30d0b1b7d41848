/* SPDX-License-Identifier: Apache-2.0 */
#include "control_reload.h"
#include "user/core/json.h"

#include <string.h>

/* On the thread that reloads: the answer is made here, where the result is. */
static void on_reloaded(void *ctx, const struct ch_reload_result *result)
{
	struct ch_buf body = {0};
	struct ch_json json;

	if (result->error != 0) {
		ch_control_wait_done(ctx, result->error, result->text);
		return;
	}
	ch_json_init(&json, &body);
	ch_json_object(&json, NULL);
	ch_json_uint(&json, "generation", result->generation);
	ch_json_uint(&json, "devices", result->devices);
	ch_json_uint(&json, "added", result->added);
	ch_json_uint(&json, "removed", result->removed);
	ch_json_uint(&json, "changed", result->changed);
	ch_http_put_lines(&json, "warnings", result->text);
	ch_json_object_end(&json);
	if (json.err == 0)
		json.err = ch_buf_append(&body, "\n", 2);
	ch_control_wait_done(ctx, json.err, json.err == 0 ? (const char *)body.data : "");
	ch_buf_deinit(&body);
}

static enum MHD_Result refuse(struct MHD_Connection *connection, int err)
{
	if (err == CH_E_STATE)
		return ch_http_error(connection, MHD_HTTP_SERVICE_UNAVAILABLE, "stopping",
				     "the collector is stopping");
	return ch_http_error(connection, MHD_HTTP_INTERNAL_SERVER_ERROR, "internal-error", "%s",
			     ch_error_text(err));
}

static enum MHD_Result answer_text(struct MHD_Connection *connection, unsigned status,
				   const char *text)
{
	struct ch_buf body = {0};

	if (ch_buf_append_str(&body, text) != 0)
		return MHD_NO;
	return ch_http_answer(connection, status, "application/json", &body);
}

static enum MHD_Result start_only(struct MHD_Connection *connection, struct ch_collector *collector)
{
	int err = ch_collector_reload_start(collector, CH_RELOAD_ALL, NULL, NULL);

	if (err != 0)
		return refuse(connection, err);
	return answer_text(connection, MHD_HTTP_ACCEPTED, "{\"accepted\":true}\n");
}

enum MHD_Result ch_control_reload_start(struct MHD_Connection *connection,
					struct ch_collector *collector,
					struct ch_control_wait **wait)
{
	char value[CH_HTTP_VALUE_MOST + 1] = "true";
	struct ch_control_wait *made;
	int err = ch_http_query(connection, "wait", value);

	*wait = NULL;
	if (err < 0 || (strcmp(value, "true") != 0 && strcmp(value, "false") != 0))
		return ch_http_error(connection, MHD_HTTP_BAD_REQUEST, "bad-parameter",
				     "'wait' must be true or false");
	if (strcmp(value, "false") == 0)
		return start_only(connection, collector);
	made = ch_control_wait_new(connection);
	if (made == NULL)
		return MHD_NO;
	err = ch_collector_reload_start(collector, CH_RELOAD_ALL, on_reloaded, made);
	if (err != 0) {
		ch_control_wait_abandon(made);
		ch_control_wait_release(made);
		return refuse(connection, err);
	}
	*wait = made;
	return ch_control_wait_park(made) ? MHD_YES : ch_control_reload_finish(connection, made);
}

enum MHD_Result ch_control_reload_finish(struct MHD_Connection *connection,
					 struct ch_control_wait *wait)
{
	const char *text;
	int err = ch_control_wait_result(wait, &text);

	if (err == 0)
		return answer_text(connection, MHD_HTTP_OK, text);
	if (err == CH_E_CONFIG)
		return ch_http_mistakes(connection, "bad-configuration",
					"nothing was changed; mend the mistakes and reload again",
					text);
	return refuse(connection, err == CH_E_TIMEOUT ? CH_E_STATE : err);
}
