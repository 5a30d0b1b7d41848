/* SPDX-License-Identifier: Apache-2.0 */
#include "control_rpc.h"
#include "user/core/option.h"
#include "user/proto/message.h"

#include <errno.h>
#include <expat.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define REPLY_DEPTH 256

struct ch_control_rpc {
	_Atomic unsigned owners;
	pthread_mutex_t lock; /**< held before MHD's own, by all */
	struct MHD_Connection *connection;
	struct ch_buf reply;
	int status;	/**< of the collector, once @done */
	bool parked;	/**< @connection is suspended and must be resumed exactly once */
	bool done;	/**< the collector called for the last time */
	bool cancelled; /**< we stop */
	bool released;	/**< nobody will read the reply */
};

/* --- the operation --- */

struct scan {
	XML_Parser parser;
	long begin; /**< offset of the element, -1 = none yet */
	long end;
	unsigned depth;
	char *message;
	bool refused;
};

static void refuse(struct scan *scan, const char *message)
{
	snprintf(scan->message, 256, "%s", message);
	scan->refused = true;
	XML_StopParser(scan->parser, XML_FALSE);
}

static void XMLCALL on_start(void *ctx, const XML_Char *name, const XML_Char **attributes)
{
	struct scan *scan = ctx;
	const char *local = strrchr(name, '|');

	(void)attributes;
	if (scan->depth++ > 0)
		return;
	local = local != NULL ? local + 1 : name;
	scan->begin = XML_GetCurrentByteIndex(scan->parser);
	if (strcmp(local, "rpc") == 0)
		refuse(scan, "send the operation alone, for example <get-config>...</get-config>, "
			     "not the <rpc> around it: callhome adds that with its own message-id");
	else if (strcmp(local, "hello") == 0)
		refuse(scan, "<hello> is no operation; callhome has exchanged it already");
}

static void XMLCALL on_end(void *ctx, const XML_Char *name)
{
	struct scan *scan = ctx;

	(void)name;
	if (--scan->depth == 0)
		scan->end = XML_GetCurrentByteIndex(scan->parser) +
			    XML_GetCurrentByteCount(scan->parser);
}

static void XMLCALL on_doctype(void *ctx, const XML_Char *name, const XML_Char *system,
			       const XML_Char *public, int subset)
{
	(void)name;
	(void)system;
	(void)public;
	(void)subset;
	refuse(ctx, "a DOCTYPE is not allowed in NETCONF (RFC 6241 section 3)");
}

int ch_control_rpc_operation(struct ch_slice body, struct ch_slice *operation, char message[256])
{
	/* UTF-8 whatever the declaration says: it does not travel with the element. */
	struct scan scan = {
		.parser = XML_ParserCreateNS("UTF-8", '|'), .begin = -1, .message = message};
	int err = CH_E_SYNTAX;

	if (scan.parser == NULL) {
		snprintf(message, 256, "out of memory");
		return -ENOMEM;
	}
	if (body.len == 0) {
		snprintf(message, 256,
			 "the body is empty; it must be the operation, for example "
			 "<get xmlns=\"urn:ietf:params:xml:ns:netconf:base:1.0\"/>");
		goto out;
	}
	XML_SetUserData(scan.parser, &scan);
	XML_SetElementHandler(scan.parser, on_start, on_end);
	XML_SetStartDoctypeDeclHandler(scan.parser, on_doctype);
	if (XML_Parse(scan.parser, (const char *)body.data, (int)body.len, 1) != XML_STATUS_OK) {
		if (!scan.refused)
			snprintf(message, 256,
				 "the body is not one XML element: line %lu, column "
				 "%lu: %s",
				 (unsigned long)XML_GetCurrentLineNumber(scan.parser),
				 (unsigned long)XML_GetCurrentColumnNumber(scan.parser) + 1,
				 XML_ErrorString(XML_GetErrorCode(scan.parser)));
		goto out;
	}
	*operation = (struct ch_slice){body.data + scan.begin, (size_t)(scan.end - scan.begin)};
	err = 0;
out:
	XML_ParserFree(scan.parser);
	return err;
}

/* --- ownership --- */

static void drop(struct ch_control_rpc *rpc)
{
	if (atomic_fetch_sub(&rpc->owners, 1) != 1)
		return;
	pthread_mutex_destroy(&rpc->lock);
	ch_buf_deinit(&rpc->reply);
	free(rpc);
}

static void drop_reply(void *ctx)
{
	drop(ctx);
}

/** Lets MHD call the handler again. The lock is held. */
static void unpark(struct ch_control_rpc *rpc)
{
	if (!rpc->parked)
		return;
	rpc->parked = false;
	MHD_resume_connection(rpc->connection);
}

/** On a worker thread. */
static void on_reply(void *ctx, const uint8_t *data, size_t len, bool done, int status)
{
	struct ch_control_rpc *rpc = ctx;

	pthread_mutex_lock(&rpc->lock);
	if (!rpc->released && rpc->status == 0 && len > 0)
		rpc->status = ch_buf_append(&rpc->reply, data, len);
	if (done) {
		if (rpc->status == 0)
			rpc->status = status;
		rpc->done = true;
		unpark(rpc);
	}
	pthread_mutex_unlock(&rpc->lock);
	if (done)
		drop(rpc);
}

void ch_control_rpc_cancel(struct ch_control_rpc *rpc)
{
	pthread_mutex_lock(&rpc->lock);
	rpc->cancelled = true;
	unpark(rpc);
	pthread_mutex_unlock(&rpc->lock);
}

void ch_control_rpc_release(struct ch_control_rpc *rpc)
{
	if (rpc == NULL)
		return;
	pthread_mutex_lock(&rpc->lock);
	rpc->released = true;
	if (!rpc->done) /* else the response may still be reading it */
		ch_buf_deinit(&rpc->reply);
	pthread_mutex_unlock(&rpc->lock);
	drop(rpc);
}

/* --- request and answer --- */

/** @return 0 and @timeout_ns, or an error that was answered with @result. */
static int read_timeout(struct MHD_Connection *connection, uint64_t *timeout_ns,
			enum MHD_Result *result)
{
	char value[CH_HTTP_VALUE_MOST + 1];
	int err = ch_http_query(connection, "timeout", value);

	*timeout_ns = CH_RPC_TIMEOUT_NS;
	if (err == 1)
		err = ch_parse_duration(value, 1000000, CH_RPC_TIMEOUT_MOST_NS, timeout_ns);
	if (err != 0)
		*result = ch_http_error(connection, MHD_HTTP_BAD_REQUEST, "bad-parameter",
					"'timeout' must be a duration from 1ms to 1h, such as 30s");
	return err;
}

enum MHD_Result ch_control_rpc_start(struct MHD_Connection *connection,
				     struct ch_collector *collector, const char *device,
				     struct ch_slice body, struct ch_control_rpc **rpc)
{
	struct ch_control_rpc *new = NULL;
	enum MHD_Result result = MHD_NO;
	struct ch_slice operation;
	uint64_t timeout_ns;
	char message[256];
	bool done;
	int err;

	*rpc = NULL;
	if (read_timeout(connection, &timeout_ns, &result) != 0)
		return result;
	if (ch_control_rpc_operation(body, &operation, message) != 0)
		return ch_http_error(connection, MHD_HTTP_BAD_REQUEST, "bad-operation", "%s",
				     message);
	new = calloc(1, sizeof(*new));
	if (new == NULL)
		return MHD_NO;
	pthread_mutex_init(&new->lock, NULL);
	new->owners = 2;
	new->connection = connection;
	new->reply.max = CH_RPC_REPLY_MOST;
	err = ch_collector_rpc(collector, device, (const char *)operation.data, operation.len,
			       timeout_ns, on_reply, new);
	if (err != 0) {
		new->owners = 1; /* the callback will never be called */
		drop(new);
		return ch_http_collector_error(connection, err, device);
	}
	*rpc = new;
	pthread_mutex_lock(&new->lock);
	done = new->done;
	if (!done) {
		MHD_suspend_connection(connection);
		new->parked = true;
	}
	pthread_mutex_unlock(&new->lock);
	return done ? ch_control_rpc_finish(connection, new, device) : MHD_YES;
}

/** The reply as it is; its memory lives as long as the response does. */
static enum MHD_Result answer_reply(struct MHD_Connection *connection, struct ch_control_rpc *rpc)
{
	struct ch_slice reply = {rpc->reply.data, rpc->reply.len};
	struct ch_reply_info info;
	struct MHD_Response *response;
	enum MHD_Result result;
	unsigned status = MHD_HTTP_OK;
	const char *verdict = "ok";

	if (ch_reply_inspect(reply, REPLY_DEPTH, &info) != 0) {
		status = MHD_HTTP_BAD_GATEWAY;
		verdict = "malformed";
	} else if (info.error) {
		verdict = "rpc-error";
	}
	atomic_fetch_add(&rpc->owners, 1);
	response = MHD_create_response_from_buffer_with_free_callback_cls(
		reply.len, rpc->reply.data, drop_reply, rpc);
	if (response == NULL) {
		drop(rpc);
		return MHD_NO;
	}
	MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, "application/xml");
	MHD_add_response_header(response, "X-Callhome-RPC", verdict);
	result = MHD_queue_response(connection, status, response);
	MHD_destroy_response(response);
	return result;
}

enum MHD_Result ch_control_rpc_finish(struct MHD_Connection *connection, struct ch_control_rpc *rpc,
				      const char *device)
{
	bool cancelled;
	int status;

	pthread_mutex_lock(&rpc->lock);
	cancelled = rpc->cancelled && !rpc->done;
	status = rpc->status;
	pthread_mutex_unlock(&rpc->lock);
	if (cancelled)
		return ch_http_error(connection, MHD_HTTP_SERVICE_UNAVAILABLE, "stopping",
				     "the collector is stopping; device '%s' did not answer yet",
				     device);
	if (status != 0)
		return ch_http_collector_error(connection, status, device);
	if (rpc->reply.len == 0)
		return ch_http_error(connection, MHD_HTTP_BAD_GATEWAY, "empty-reply",
				     "device '%s' answered with an empty message", device);
	return answer_reply(connection, rpc);
}
