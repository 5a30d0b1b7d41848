/* SPDX-License-Identifier: Apache-2.0 */
#include "http.h"
#include "output.h"

#include <string.h>

static const struct {
	const char *member;
	const char *label;
} rows[] = {
	{"name", "name"},
	{"state", "state"},
	{"since", "since"},
	{"reason", "reason"},
	{"reason_text", ""},
	{"peer", "peer"},
	{"via", "via"},
	{"transport", "transport"},
	{"tls_version", "TLS version"},
	{"cipher", "cipher"},
	{"key_exchange", "key exchange"},
	{"signature", "signature"},
	{"extended_master_secret", "extended master"},
	{"record_layer", "record layer"},
	{"record_layer_why", ""},
	{"heartbeat", "TLS heartbeats"},
	{"manufacturer", "manufacturer"},
	{"identifier", "identifier"},
	{"identities", "identities"},
	{"certificate_sha256", "certificate"},
	{"certificate_not_after", "ends"},
	{"issuers", "issuers"},
	{"anchor_sha256", "anchor"},
	{"client_certificate", "shown to it"},
	{"profile", "profile"},
	{"session_id", "session-id"},
	{"capabilities", "capabilities"},
	{"login_ms", "login (ms)"},
	{"sessions", "sessions"},
	{"notifications", "notifications"},
	{"replies", "replies"},
	{"received_bytes", "bytes received"},
	{"sent_bytes", "bytes sent"},
	{"worker", "thread"},
};

/** One of several keys by which a device may log in. */
static int append_identity(struct ch_buf *text, const json_t *identity)
{
	const char *parts[3] = {json_string_value(json_object_get(identity, "manufacturer")),
				json_string_value(json_object_get(identity, "identifier")),
				json_string_value(json_object_get(identity, "source"))};

	for (size_t i = 0; i < 3; i++)
		if (parts[i] == NULL)
			return 0; /* a newer daemon: --json shows it */
	return ch_buf_printf(text, "%s,%s (%s%s)", parts[0], parts[1], parts[2],
			     json_is_true(json_object_get(identity, "used")) ? ", used" : "");
}

/** Appends a scalar, or what is in an array with blanks between. */
static int append_value(struct ch_buf *text, const json_t *value)
{
	const json_t *item;
	size_t i;
	int err = 0;

	switch (json_typeof(value)) {
	case JSON_STRING:
		return ch_buf_append_str(text, json_string_value(value));
	case JSON_INTEGER:
		return ch_buf_printf(text, "%lld", (long long)json_integer_value(value));
	case JSON_REAL:
		return ch_buf_printf(text, "%.3f", json_real_value(value));
	case JSON_TRUE:
	case JSON_FALSE:
		return ch_buf_append_str(text, json_is_true(value) ? "yes" : "no");
	case JSON_ARRAY:
		json_array_foreach(value, i, item)
		{
			if (err == 0 && i > 0)
				err = ch_buf_append_str(text, " ");
			if (err == 0)
				err = append_value(text, item);
		}
		return err;
	case JSON_OBJECT:
		return append_identity(text, value);
	case JSON_NULL:
		return 0;
	}
	return 0;
}

static bool print_rows(const struct cli *cli, const json_t *json)
{
	struct ch_buf text = {0};
	struct ch_buf clean = {0};
	bool good = true;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]) && good; i++) {
		const json_t *value = json_object_get(json, rows[i].member);

		text.len = 0;
		clean.len = 0;
		good = (value == NULL || append_value(&text, value) == 0) &&
		       clean_append(&clean, (const char *)text.data, text.len, cli->utf8,
				    CLEAN_CELL) >= 0;
		if (!good || (clean.len == 0 && rows[i].label[0] == '\0'))
			continue;
		printf("%-15s ", rows[i].label);
		if (clean.len > 0)
			fwrite(clean.data, 1, clean.len, stdout);
		else
			putchar('-');
		putchar('\n');
	}
	ch_buf_deinit(&text);
	ch_buf_deinit(&clean);
	return good;
}

int cli_show(struct cli *cli, int argc, char **argv)
{
	static const struct option options[] = {{"json", no_argument, NULL, 'j'},
						CLI_COMMON_OPTIONS};
	struct http_call call = {0};
	struct ch_buf path = {0};
	json_t *json = NULL;
	int code;

	if (cli_next(cli, argc, argv, "", options) == CLI_STOP)
		return cli->exit;
	if (optind + 1 != argc)
		return cli_usage(cli, "name one device");
	if (http_device_path(&path, argv[optind], "") != 0)
		return cli_fail(cli, CLI_FAILED, "out of memory");
	code = http_get_json(cli, (const char *)path.data, &call, &json);
	if (code == CLI_OK && cli->json)
		output_bytes(cli, (const char *)call.reply.data, call.reply.len, CLEAN_JSON);
	else if (code == CLI_OK && !print_rows(cli, json))
		code = cli_fail(cli, CLI_FAILED, "out of memory");
	json_decref(json);
	ch_buf_deinit(&call.reply);
	ch_buf_deinit(&path);
	return code;
}
