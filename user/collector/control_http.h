/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* HTTP pieces of the control API: answers, errors, query parameters. MHD's thread only. */
#include <callhome/error.h>
#include <microhttpd.h>
#include <stdbool.h>
#include <stddef.h>
#include "user/core/buf.h"
#include "user/core/json.h"

/** Longest query value and device name that is looked at. */
#define CH_HTTP_VALUE_MOST 1023

/** Decodes %XX of @text. @return 0; CH_E_SYNTAX: bad escape or %00; CH_E_LIMIT: longer than @cap.
 */
CH_NODISCARD int ch_http_decode(const char *text, size_t len, char *out, size_t cap);

/** Answers with @body, whose memory is taken in any case. */
enum MHD_Result ch_http_answer(struct MHD_Connection *connection, unsigned status,
			       const char *content_type, struct ch_buf *body);

/** {"error": code, "message": ...} */
enum MHD_Result ch_http_error(struct MHD_Connection *connection, unsigned status, const char *code,
			      const char *fmt, ...) CH_PRINTF(4, 5);

/** 200: {"message": ...}, a sentence for people. */
enum MHD_Result ch_http_done(struct MHD_Connection *connection, const char *fmt, ...)
	CH_PRINTF(2, 3);

/** Adds an array: a string per line of @text. */
void ch_http_put_lines(struct ch_json *json, const char *key, const char *text);

/** 422: {"error": code, "message": ..., "mistakes": [one per line of @mistakes]} */
enum MHD_Result ch_http_mistakes(struct MHD_Connection *connection, const char *code,
				 const char *message, const char *mistakes);

/** Answers with the finished @json, whose buffer is taken in any case. */
enum MHD_Result ch_http_json(struct MHD_Connection *connection, struct ch_json *json);

/** The HTTP error for an error of ch_collector_*; @device names it in the message. */
enum MHD_Result ch_http_collector_error(struct MHD_Connection *connection, int err,
					const char *device);

/** A list that is streamed: a page of lines is made, sent, made anew. First member of what it is.
 */
struct ch_http_list {
	/** Fills @page with the next lines; leaves it empty at the end. @return 0 or an error. */
	int (*fill)(struct ch_http_list *list);
	struct ch_buf page;
	size_t sent; /**< bytes of @page */
};

/** Frees a malloc'ed list that was not streamed. */
void ch_http_list_free(struct ch_http_list *list);
/** Answers with NDJSON. Takes the malloc'ed @list in any case. */
enum MHD_Result ch_http_stream(struct MHD_Connection *connection, struct ch_http_list *list);

/**
 * A decoded query parameter.
 * @return 1 and @value; 0: absent; CH_E_SYNTAX or CH_E_LIMIT (as ch_http_decode)
 */
CH_NODISCARD int ch_http_query(struct MHD_Connection *connection, const char *key,
			       char value[CH_HTTP_VALUE_MOST + 1]);

/** The first query key that is not in the NULL-terminated @known, or NULL. */
const char *ch_http_unknown_key(struct MHD_Connection *connection, const char *const *known);
