/* SPDX-License-Identifier: Apache-2.0 */
#include "control_http.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STREAM_BLOCK (32 * 1024)

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)tolower((unsigned char)c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

int ch_http_decode(const char *text, size_t len, char *out, size_t cap)
{
	size_t used = 0;

	for (size_t i = 0; i < len; i++) {
		char c = text[i];

		if (c == '%') {
			int high = len - i > 2 ? hex_value(text[i + 1]) : -1;
			int low = high >= 0 ? hex_value(text[i + 2]) : -1;

			if (low < 0 || high * 16 + low == 0)
				return CH_E_SYNTAX;
			c = (char)(high * 16 + low);
			i += 2;
		}
		if (used + 1 >= cap)
			return CH_E_LIMIT;
		out[used++] = c;
	}
	out[used] = '\0';
	return 0;
}

static enum MHD_Result queue(struct MHD_Connection *connection, unsigned status,
			     const char *content_type, struct MHD_Response *response)
{
	enum MHD_Result result;

	if (response == NULL)
		return MHD_NO;
	MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, content_type);
	MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
	if (status == MHD_HTTP_SERVICE_UNAVAILABLE || status == MHD_HTTP_TOO_MANY_REQUESTS)
		MHD_add_response_header(response, MHD_HTTP_HEADER_RETRY_AFTER, "1");
	result = MHD_queue_response(connection, status, response);
	MHD_destroy_response(response);
	return result;
}

enum MHD_Result ch_http_answer(struct MHD_Connection *connection, unsigned status,
			       const char *content_type, struct ch_buf *body)
{
	struct MHD_Response *response =
		MHD_create_response_from_buffer(body->len, body->data, MHD_RESPMEM_MUST_FREE);

	if (response == NULL)
		free(body->data);
	*body = (struct ch_buf){0};
	return queue(connection, status, content_type, response);
}

enum MHD_Result ch_http_error(struct MHD_Connection *connection, unsigned status, const char *code,
			      const char *fmt, ...)
{
	struct ch_buf body = {0};
	struct ch_json json;
	char message[1024];
	va_list args;

	va_start(args, fmt);
	vsnprintf(message, sizeof(message), fmt, args);
	va_end(args);
	ch_json_init(&json, &body);
	ch_json_object(&json, NULL);
	ch_json_str(&json, "error", code);
	ch_json_str(&json, "message", message);
	ch_json_object_end(&json);
	if (json.err != 0 || ch_buf_append_str(&body, "\n") != 0) {
		ch_buf_deinit(&body);
		return MHD_NO;
	}
	return ch_http_answer(connection, status, "application/json", &body);
}

enum MHD_Result ch_http_json(struct MHD_Connection *connection, struct ch_json *json)
{
	if (json->err == 0)
		json->err = ch_buf_append_str(json->out, "\n");
	if (json->err != 0) {
		ch_buf_deinit(json->out);
		return ch_http_error(connection, MHD_HTTP_INTERNAL_SERVER_ERROR, "internal-error",
				     "%s", ch_error_text(json->err));
	}
	return ch_http_answer(connection, MHD_HTTP_OK, "application/json", json->out);
}

enum MHD_Result ch_http_done(struct MHD_Connection *connection, const char *fmt, ...)
{
	struct ch_buf body = {0};
	struct ch_json json;
	char *message;
	va_list args;
	int len;

	va_start(args, fmt);
	len = vasprintf(&message, fmt, args);
	va_end(args);
	if (len < 0)
		return MHD_NO;
	ch_json_init(&json, &body);
	ch_json_object(&json, NULL);
	ch_json_bytes(&json, "message", (struct ch_slice){(const uint8_t *)message, (size_t)len});
	ch_json_object_end(&json);
	free(message);
	return ch_http_json(connection, &json);
}

void ch_http_put_lines(struct ch_json *json, const char *key, const char *text)
{
	ch_json_array(json, key);
	while (*text != '\0') {
		size_t len = strcspn(text, "\n");

		ch_json_bytes(json, NULL, (struct ch_slice){(const uint8_t *)text, len});
		text += len + (text[len] == '\n');
	}
	ch_json_array_end(json);
}

enum MHD_Result ch_http_mistakes(struct MHD_Connection *connection, const char *code,
				 const char *message, const char *mistakes)
{
	struct ch_buf body = {0};
	struct ch_json json;

	ch_json_init(&json, &body);
	ch_json_object(&json, NULL);
	ch_json_str(&json, "error", code);
	ch_json_str(&json, "message", message);
	ch_http_put_lines(&json, "mistakes", mistakes);
	ch_json_object_end(&json);
	if (json.err != 0 || ch_buf_append_str(&body, "\n") != 0) {
		ch_buf_deinit(&body);
		return MHD_NO;
	}
	return ch_http_answer(connection, MHD_HTTP_UNPROCESSABLE_CONTENT, "application/json",
			      &body);
}

enum MHD_Result ch_http_collector_error(struct MHD_Connection *connection, int err,
					const char *device)
{
	switch (err) {
	case CH_E_UNKNOWN:
		return ch_http_error(
			connection, MHD_HTTP_NOT_FOUND, "unknown-device",
			"no device is called '%s'; see 'callhome devices' for the names", device);
	case CH_E_NOT_CONNECTED:
		return ch_http_error(connection, MHD_HTTP_CONFLICT, "not-connected",
				     "device '%s' is not connected; it must call home first",
				     device);
	case CH_E_STATE:
		return ch_http_error(
			connection, MHD_HTTP_CONFLICT, "not-possible",
			"device '%s' takes no requests in its present state (subscribed "
			"without :interleave, or closing)",
			device);
	case CH_E_TIMEOUT:
		return ch_http_error(
			connection, MHD_HTTP_GATEWAY_TIMEOUT, "timeout",
			"device '%s' did not answer in time; ask with a longer timeout", device);
	case CH_E_LIMIT:
	case CH_E_BUDGET:
		return ch_http_error(connection, MHD_HTTP_BAD_GATEWAY, "limit",
				     "the reply of device '%s' is larger than a limit, or too many "
				     "requests to it are under way",
				     device);
	case CH_E_SYNTAX:
		return ch_http_error(connection, MHD_HTTP_BAD_REQUEST, "bad-operation",
				     "the operation holds the end-of-message mark of base:1.0, the "
				     "only framing that device '%s' speaks",
				     device);
	case CH_E_FULL:
		return ch_http_error(connection, MHD_HTTP_SERVICE_UNAVAILABLE, "busy",
				     "the thread that serves device '%s' is busy; try again",
				     device);
	default:
		return ch_http_error(connection, MHD_HTTP_INTERNAL_SERVER_ERROR, "internal-error",
				     "device '%s': %s", device, ch_error_text(err));
	}
}

static ssize_t read_list(void *ctx, uint64_t position, char *out, size_t most)
{
	struct ch_http_list *list = ctx;
	size_t len;

	(void)position;
	if (list->sent == list->page.len) {
		list->page.len = 0;
		list->sent = 0;
		if (list->fill(list) != 0)
			return MHD_CONTENT_READER_END_WITH_ERROR;
		if (list->page.len == 0)
			return MHD_CONTENT_READER_END_OF_STREAM;
	}
	len = list->page.len - list->sent < most ? list->page.len - list->sent : most;
	memcpy(out, list->page.data + list->sent, len);
	list->sent += len;
	return (ssize_t)len;
}

void ch_http_list_free(struct ch_http_list *list)
{
	ch_buf_deinit(&list->page);
	free(list);
}

static void free_list(void *ctx)
{
	ch_http_list_free(ctx);
}

enum MHD_Result ch_http_stream(struct MHD_Connection *connection, struct ch_http_list *list)
{
	struct MHD_Response *response = MHD_create_response_from_callback(
		MHD_SIZE_UNKNOWN, STREAM_BLOCK, read_list, list, free_list);

	if (response == NULL)
		ch_http_list_free(list);
	return queue(connection, MHD_HTTP_OK, "application/x-ndjson", response);
}

int ch_http_query(struct MHD_Connection *connection, const char *key,
		  char value[CH_HTTP_VALUE_MOST + 1])
{
	const char *raw = MHD_lookup_connection_value(connection, MHD_GET_ARGUMENT_KIND, key);
	int err;

	if (raw == NULL)
		return 0;
	err = ch_http_decode(raw, strlen(raw), value, CH_HTTP_VALUE_MOST + 1);
	return err != 0 ? err : 1;
}

struct key_search {
	const char *const *known;
	const char *unknown;
};

static enum MHD_Result check_key(void *ctx, enum MHD_ValueKind kind, const char *key,
				 const char *value)
{
	struct key_search *search = ctx;

	(void)kind;
	(void)value;
	for (const char *const *known = search->known; *known != NULL; known++) {
		if (strcmp(*known, key) == 0)
			return MHD_YES;
	}
	search->unknown = key;
	return MHD_NO;
}

const char *ch_http_unknown_key(struct MHD_Connection *connection, const char *const *known)
{
	struct key_search search = {known, NULL};

	MHD_get_connection_values(connection, MHD_GET_ARGUMENT_KIND, check_key, &search);
	return search.unknown;
}
