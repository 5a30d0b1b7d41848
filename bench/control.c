/* SPDX-License-Identifier: Apache-2.0 */
#include "control.h"

#include "user/core/buf.h"

#include <curl/curl.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define ANSWER_MAX (1024 * 1024) /* bytes of a body */
#define TIMEOUT_MS 3000L

struct sim_control {
	CURL *curl;
	struct ch_buf body;
};

static size_t on_body(char *data, size_t size, size_t count, void *ctx)
{
	struct sim_control *control = ctx;

	return ch_buf_append(&control->body, data, size * count) == 0 ? size * count : 0;
}

int sim_control_new(const char *socket, struct sim_control **made)
{
	struct sim_control *control = calloc(1, sizeof(*control));

	if (!control)
		return -ENOMEM;
	control->body.max = ANSWER_MAX;
	control->curl = curl_easy_init();
	if (!control->curl ||
	    curl_easy_setopt(control->curl, CURLOPT_UNIX_SOCKET_PATH, socket) != CURLE_OK ||
	    curl_easy_setopt(control->curl, CURLOPT_TIMEOUT_MS, TIMEOUT_MS) != CURLE_OK ||
	    curl_easy_setopt(control->curl, CURLOPT_NOSIGNAL, 1L) != CURLE_OK ||
	    curl_easy_setopt(control->curl, CURLOPT_FAILONERROR, 1L) != CURLE_OK ||
	    curl_easy_setopt(control->curl, CURLOPT_WRITEFUNCTION, on_body) != CURLE_OK ||
	    curl_easy_setopt(control->curl, CURLOPT_WRITEDATA, control) != CURLE_OK) {
		sim_control_free(control);
		return -ENOMEM;
	}
	*made = control;
	return 0;
}

void sim_control_free(struct sim_control *control)
{
	if (!control)
		return;
	curl_easy_cleanup(control->curl);
	ch_buf_deinit(&control->body);
	free(control);
}

static int perform(struct sim_control *control, const char *path)
{
	char url[256];

	snprintf(url, sizeof(url), "http://callhomed%s", path);
	control->body.len = 0;
	if (curl_easy_setopt(control->curl, CURLOPT_URL, url) != CURLE_OK)
		return -ENOMEM;
	CURLcode code = curl_easy_perform(control->curl);
	if (code == CURLE_COULDNT_CONNECT)
		return CH_E_NOT_CONNECTED;
	if (code == CURLE_OPERATION_TIMEDOUT)
		return CH_E_TIMEOUT;
	return code == CURLE_OK ? 0 : CH_E_STATE;
}

int sim_control_post(struct sim_control *control, const char *path, const char *body)
{
	if (curl_easy_setopt(control->curl, CURLOPT_POSTFIELDS, body) != CURLE_OK)
		return -ENOMEM;
	return perform(control, path);
}

int sim_control_get(struct sim_control *control, const char *path, json_t **answer)
{
	if (curl_easy_setopt(control->curl, CURLOPT_HTTPGET, 1L) != CURLE_OK)
		return -ENOMEM;
	int err = perform(control, path);
	if (err)
		return err;
	*answer = json_loadb((const char *)control->body.data, control->body.len, 0, NULL);
	return *answer ? 0 : CH_E_SYNTAX;
}

uint64_t sim_control_uint(const json_t *answer, const char *group, const char *name)
{
	const json_t *members = json_object_get(answer, group);
	json_int_t value = json_integer_value(json_object_get(members, name));

	return value > 0 ? (uint64_t)value : 0;
}
