/* SPDX-License-Identifier: Apache-2.0 */
#include "control_change.h"
#include "user/core/json.h"

#include <errno.h>
#include <string.h>

/** What a request says beside its path and body. */
struct parameters {
	char device[CH_HTTP_VALUE_MOST + 1];
	char credential[CH_HTTP_VALUE_MOST + 1];
	char profile[CH_HTTP_VALUE_MOST + 1];
	char source[CH_HTTP_VALUE_MOST + 1];
};

static void on_changed(void *ctx, int error, const char *text)
{
	ch_control_wait_done(ctx, error, text);
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/** 64 hexadecimal digits, with or without colons between the bytes (as `openssl -fingerprint`). */
static bool read_fingerprint(const char *text, uint8_t fingerprint[32])
{
	for (int i = 0; i < 32; i++) {
		int high;
		int low;

		if (i > 0 && *text == ':')
			text++;
		high = hex_digit(text[0]);
		low = high >= 0 ? hex_digit(text[1]) : -1;
		if (low < 0)
			return false;
		fingerprint[i] = (uint8_t)(high * 16 + low);
		text += 2;
	}
	return *text == '\0';
}

/** @return the value, or NULL if it is absent; @bad is set to the key of one that is no text */
static const char *read_one(struct MHD_Connection *connection, const char *key, char *value,
			    const char **bad)
{
	int found = ch_http_query(connection, key, value);

	if (found < 0)
		*bad = key;
	return found == 1 ? value : NULL;
}

/** @return true: @change is complete; false: @result is the answer */
static bool read_change(struct MHD_Connection *connection, const char *name,
			struct ch_change *change, struct parameters *texts, enum MHD_Result *result)
{
	const char *bad = NULL;

	change->name = change->kind == CH_CHANGE_REJECT ? "" : name;
	change->source = read_one(connection, "source", texts->source, &bad);
	change->credential = read_one(connection, "credential", texts->credential, &bad);
	change->profile = read_one(connection, "profile", texts->profile, &bad);
	if (change->kind == CH_CHANGE_ACCEPT)
		change->name = read_one(connection, "name", texts->device, &bad);
	if (bad != NULL) {
		*result = ch_http_error(connection, MHD_HTTP_BAD_REQUEST, "bad-parameter",
					"'%s' must be at most 1023 bytes with %%XX escapes", bad);
		return false;
	}
	if (change->name == NULL || (change->kind == CH_CHANGE_ACCEPT && *change->name == '\0')) {
		*result = ch_http_error(connection, MHD_HTTP_BAD_REQUEST, "bad-parameter",
					"'name' must say which device has this key");
		return false;
	}
	if ((change->kind == CH_CHANGE_ACCEPT || change->kind == CH_CHANGE_REJECT) &&
	    !read_fingerprint(name, change->fingerprint)) {
		*result = ch_http_error(connection, MHD_HTTP_BAD_REQUEST, "bad-fingerprint",
					"a fingerprint is the SHA-256 of a public key or "
					"certificate in 64 hexadecimal digits");
		return false;
	}
	return true;
}

static enum MHD_Result refuse(struct MHD_Connection *connection, int err)
{
	if (err == CH_E_UNSUPPORTED)
		return ch_http_error(connection, MHD_HTTP_CONFLICT, "no-database",
				     "the inventory cannot be changed: the configuration has no "
				     "devices.database; add one and restart");
	if (err == CH_E_FULL)
		return ch_http_error(connection, MHD_HTTP_TOO_MANY_REQUESTS, "busy",
				     "too many changes of the inventory are waiting; try again");
	if (err == CH_E_STATE || err == CH_E_TIMEOUT || err == -ECANCELED)
		return ch_http_error(connection, MHD_HTTP_SERVICE_UNAVAILABLE, "stopping",
				     "the collector is stopping");
	return ch_http_error(connection, MHD_HTTP_INTERNAL_SERVER_ERROR, "internal-error", "%s",
			     ch_error_text(err));
}

enum MHD_Result ch_control_change_start(struct MHD_Connection *connection,
					struct ch_collector *collector, enum ch_change_kind kind,
					const char *name, struct ch_slice body,
					struct ch_control_wait **wait)
{
	struct ch_change change = {
		.kind = kind, .csv = (const char *)body.data, .csv_len = body.len};
	struct parameters texts;
	struct ch_control_wait *made;
	enum MHD_Result result;
	int err;

	*wait = NULL;
	if (!read_change(connection, name, &change, &texts, &result))
		return result;
	made = ch_control_wait_new(connection);
	if (made == NULL)
		return MHD_NO;
	err = ch_collector_change(collector, &change, on_changed, made);
	if (err != 0) {
		ch_control_wait_abandon(made);
		ch_control_wait_release(made);
		return refuse(connection, err);
	}
	*wait = made;
	return ch_control_wait_park(made) ? MHD_YES : ch_control_change_finish(connection, made);
}

enum MHD_Result ch_control_change_finish(struct MHD_Connection *connection,
					 struct ch_control_wait *wait)
{
	const char *text;
	int err = ch_control_wait_result(wait, &text);

	switch (err) {
	case 0:
		return ch_http_done(connection, "%s", text);
	case CH_E_CONFIG:
		return ch_http_mistakes(connection, "bad-inventory", "nothing was changed", text);
	case CH_E_UNKNOWN:
		return ch_http_error(connection, MHD_HTTP_NOT_FOUND, "unknown-device", "%s", text);
	case CH_E_STATE:
		return ch_http_error(connection, MHD_HTTP_CONFLICT, "conflict", "%s", text);
	default:
		return refuse(connection, err);
	}
}

enum MHD_Result ch_control_export(struct MHD_Connection *connection,
				  const struct ch_collector *collector)
{
	struct ch_buf body = {0};
	char *csv = NULL;
	int err = ch_collector_export(collector, &csv, &body.len);

	if (err != 0)
		return refuse(connection, err);
	body.data = (uint8_t *)csv;
	return ch_http_answer(connection, MHD_HTTP_OK, "text/csv", &body);
}
