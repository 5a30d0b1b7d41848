/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Requests to callhomed over its control socket. */
#include "cli.h"

struct http_call {
	const char *method;   /**< NULL = GET */
	const char *path;     /**< escaped */
	struct ch_slice body; /**< of a POST */
	uint64_t timeout_ns;  /**< of the whole exchange; 0 = only silence of a minute ends it */
	/* Results: */
	long status;
	struct ch_buf reply; /**< the caller frees it */
	char verdict[16];    /**< X-Callhome-RPC, "" without */
};

/**
 * Does @call. Says on stderr what went wrong.
 * @return CLI_OK: a 2xx answer, or one with a verdict; else the exit code
 */
int http_do(const struct cli *cli, struct http_call *call);

/** GETs one JSON object. @return CLI_OK, @json (the caller decrefs), the text in @call->reply */
int http_get_json(const struct cli *cli, const char *path, struct http_call *call, json_t **json);

/** What a member of an object says: 0 and "-" where there is none of that type. */
unsigned long long member_number(const json_t *json, const char *member);
const char *member_text(const json_t *json, const char *member);

/** Calls @fn for each line of NDJSON. @return false: a line is no JSON, or @fn did not take it */
bool http_each_line(const struct ch_buf *reply, bool (*fn)(void *ctx, const json_t *line),
		    void *ctx);

/** Appends @text percent-encoded. @return as ch_buf_reserve */
CH_NODISCARD int http_escape(struct ch_buf *out, const char *text);

/** "/v1/devices/NAME" + @suffix, NUL-terminated. @return as ch_buf_reserve */
CH_NODISCARD int http_device_path(struct ch_buf *out, const char *name, const char *suffix);
