/* SPDX-License-Identifier: Apache-2.0 */
#include "http.h"

#include <ctype.h>
#include <curl/curl.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>

#define SILENCE_S 60L
#define CONNECT_S 5L
#define REPLY_MOST (128 * 1024 * 1024)
#define PATH_MOST (sizeof(((struct sockaddr_un *)0)->sun_path) - 1)
#define VERDICT "X-Callhome-RPC:"

static size_t on_header(char *data, size_t size, size_t count, void *ctx)
{
	struct http_call *call = ctx;
	size_t len = size * count;
	size_t used = 0;

	if (len <= strlen(VERDICT) || strncasecmp(data, VERDICT, strlen(VERDICT)) != 0)
		return len;
	for (size_t i = strlen(VERDICT); i < len && used + 1 < sizeof(call->verdict); i++) {
		if (isgraph((unsigned char)data[i]))
			call->verdict[used++] = data[i];
	}
	call->verdict[used] = '\0';
	return len;
}

static size_t on_data(char *data, size_t size, size_t count, void *ctx)
{
	struct http_call *call = ctx;
	size_t len = size * count;

	return ch_buf_append(&call->reply, data, len) == 0 ? len : 0;
}

/** Why nobody answers, and what to do. */
static int unreachable(const struct cli *cli, int err)
{
	struct stat st;

	if (err == 0 && stat(cli->socket, &st) != 0)
		err = errno;
	if (err == EACCES || err == EPERM)
		return cli_fail(cli, CLI_UNREACHABLE,
				"not allowed to use the control socket %s: run as root or as the "
				"user that callhomed runs as",
				cli->socket);
	if (err == EAGAIN)
		return cli_fail(cli, CLI_UNREACHABLE,
				"callhomed at %s is too busy to accept the connection: try again",
				cli->socket);
	return cli_fail(cli, CLI_UNREACHABLE,
			"cannot reach callhomed at %s (%s): start it, or name its control socket "
			"with --socket PATH or CALLHOME_SOCKET",
			cli->socket, err != 0 ? strerror(err) : "no answer");
}

/** The message of the daemon, and the exit code that goes with it. */
static int refused(const struct cli *cli, const struct http_call *call)
{
	json_t *json = json_loadb((const char *)call->reply.data, call->reply.len, 0, NULL);
	const char *message = json_string_value(json_object_get(json, "message"));
	const char *error = json_string_value(json_object_get(json, "error"));
	json_t *mistake;
	int code = CLI_FAILED;
	size_t i;

	json_array_foreach(json_object_get(json, "mistakes"), i, mistake)
		cli_fail(cli, code, "%s", json_string_value(mistake));
	if (error != NULL &&
	    (strcmp(error, "unknown-device") == 0 || strcmp(error, "not-connected") == 0 ||
	     strcmp(error, "not-possible") == 0))
		code = CLI_NO_DEVICE;
	else if (error != NULL && call->status == 400)
		code = CLI_USAGE;
	if (message != NULL)
		cli_fail(cli, code, "%s", message);
	else
		cli_fail(cli, code, "%s answers with HTTP status %ld; is that callhomed?",
			 cli->socket, call->status);
	json_decref(json);
	return code;
}

static int judge(const struct cli *cli, CURL *curl, struct http_call *call, CURLcode result)
{
	long os_errno = 0;

	curl_easy_getinfo(curl, CURLINFO_OS_ERRNO, &os_errno);
	curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &call->status);
	if (result == CURLE_COULDNT_CONNECT)
		return unreachable(cli, (int)os_errno);
	if (result == CURLE_WRITE_ERROR)
		return cli_fail(cli, CLI_FAILED,
				"the answer has more than %d bytes, or memory is short",
				REPLY_MOST);
	if (result == CURLE_OPERATION_TIMEDOUT)
		return cli_fail(cli, CLI_FAILED, "callhomed at %s does not answer in time",
				cli->socket);
	if (result != CURLE_OK)
		return cli_fail(cli, CLI_FAILED, "the exchange with callhomed at %s broke off: %s",
				cli->socket, curl_easy_strerror(result));
	if (call->status / 100 == 2 || call->verdict[0] != '\0')
		return CLI_OK;
	return refused(cli, call);
}

static void set_body(CURL *curl, const struct http_call *call)
{
	if (call->method != NULL)
		curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, call->method);
	if (call->body.data == NULL)
		return;
	curl_easy_setopt(curl, CURLOPT_POSTFIELDS, call->body.data);
	curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE, (long)call->body.len);
}

static void set_limits(CURL *curl, const struct http_call *call)
{
	curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, CONNECT_S);
	if (call->timeout_ns != 0) {
		curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)(call->timeout_ns / 1000000));
	} else {
		curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
		curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, SILENCE_S);
	}
}

int http_do(const struct cli *cli, struct http_call *call)
{
	CURL *curl = curl_easy_init();
	struct curl_slist *headers = NULL;
	struct ch_buf url = {0};
	int code = CLI_FAILED;

	call->reply.max = REPLY_MOST;
	if (strlen(cli->socket) > PATH_MOST) {
		code = cli_fail(
			cli, CLI_USAGE,
			"the path of the control socket has %zu bytes, at most %zu are possible",
			strlen(cli->socket), PATH_MOST);
		goto out;
	}
	headers = curl_slist_append(headers, "Content-Type: application/xml");
	if (curl == NULL || headers == NULL || ch_buf_append_str(&url, "http://callhomed") != 0 ||
	    ch_buf_append(&url, call->path, strlen(call->path) + 1) != 0) {
		cli_fail(cli, code, "out of memory");
		goto out;
	}
	curl_easy_setopt(curl, CURLOPT_UNIX_SOCKET_PATH, cli->socket);
	curl_easy_setopt(curl, CURLOPT_URL, (const char *)url.data);
	curl_easy_setopt(curl, CURLOPT_PATH_AS_IS, 1L); /* a device may be called ".." */
	curl_easy_setopt(curl, CURLOPT_NOPROXY, "*");
	curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
	curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, on_header);
	curl_easy_setopt(curl, CURLOPT_HEADERDATA, call);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_data);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, call);
	set_body(curl, call);
	set_limits(curl, call);
	code = judge(cli, curl, call, curl_easy_perform(curl));
out:
	ch_buf_deinit(&url);
	curl_slist_free_all(headers);
	curl_easy_cleanup(curl);
	return code;
}

int http_get_json(const struct cli *cli, const char *path, struct http_call *call, json_t **json)
{
	int code;

	*call = (struct http_call){.path = path};
	*json = NULL;
	code = http_do(cli, call);
	if (code != CLI_OK)
		return code;
	*json = json_loadb((const char *)call->reply.data, call->reply.len, 0, NULL);
	if (!json_is_object(*json)) {
		json_decref(*json);
		*json = NULL;
		return cli_fail(cli, CLI_FAILED, "%s does not answer as callhomed does",
				cli->socket);
	}
	return CLI_OK;
}

unsigned long long member_number(const json_t *json, const char *member)
{
	return (unsigned long long)json_integer_value(json_object_get(json, member));
}

const char *member_text(const json_t *json, const char *member)
{
	const char *value = json_string_value(json_object_get(json, member));

	return value != NULL ? value : "-";
}

bool http_each_line(const struct ch_buf *reply, bool (*fn)(void *ctx, const json_t *line),
		    void *ctx)
{
	const char *at = (const char *)reply->data;
	const char *end = at + reply->len;
	bool good = true;

	while (good && at < end) {
		const char *newline = memchr(at, '\n', (size_t)(end - at));
		json_t *json =
			newline != NULL ? json_loadb(at, (size_t)(newline - at), 0, NULL) : NULL;

		good = json != NULL && fn(ctx, json);
		json_decref(json);
		at = newline + 1;
	}
	return good;
}

int http_escape(struct ch_buf *out, const char *text)
{
	int err = 0;

	for (; *text != '\0' && err == 0; text++) {
		unsigned char c = (unsigned char)*text;

		if ((c < 0x80 && isalnum(c)) || strchr("-_~", c) != NULL)
			err = ch_buf_append(out, text, 1);
		else
			err = ch_buf_printf(out, "%%%02X", c);
	}
	return err;
}

int http_device_path(struct ch_buf *out, const char *name, const char *suffix)
{
	int err = ch_buf_append_str(out, "/v1/devices/");

	if (err == 0)
		err = http_escape(out, name);
	return err != 0 ? err : ch_buf_append(out, suffix, strlen(suffix) + 1);
}
