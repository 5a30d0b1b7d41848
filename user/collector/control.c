/* SPDX-License-Identifier: Apache-2.0 */
#include "control.h"
#include "control_change.h"
#include "control_guard.h"
#include "control_http.h"
#include "control_reload.h"
#include "control_rpc.h"
#include "control_socket.h"
#include "control_views.h"
#include "user/core/option.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define CONNECTIONS 64u
/** Fewer than CONNECTIONS, so that `status` works while every device is slow to answer. */
#define RPCS 32u
#define IDLE_TIMEOUT_S 30u
#define CONNECTION_MEMORY ((size_t)32 * 1024)
/** Bytes of an oversized body that are read before the connection is cut instead of answered. */
#define DISCARD_MOST (16 * CH_RPC_BODY_MOST)
#define DRAIN_S 2

struct ch_control {
	struct ch_collector *collector;
	struct MHD_Daemon *daemon;
	struct ch_control_socket sock;
	uint64_t opened_ns; /**< monotonic */
	pthread_mutex_t lock;
	pthread_cond_t idle;	  /**< no request is under way; on CLOCK_MONOTONIC */
	struct request *requests; /**< all that are under way */
	unsigned active;	  /**< length of @requests */
	unsigned rpcs;		  /**< those with an rpc */
	bool stopping;
};

enum target {
	TARGET_HEALTH,
	TARGET_METRICS,
	TARGET_STATUS,
	TARGET_DEVICES,
	TARGET_DEVICE,
	TARGET_RPC,
	TARGET_SESSION,
	TARGET_QUARANTINE,
	TARGET_RELOAD,
	TARGET_PUT,
	TARGET_REMOVE,
	TARGET_EXPORT,
	TARGET_IMPORT,
	TARGET_ACCEPT,
	TARGET_REJECT,
	TARGET_BANS,
	TARGET_BAN,
	TARGET_UNBAN,
	TARGET_GUARD,
	TARGET_GUARD_RULES,
	TARGET_GUARD_RESET,
	TARGET_NONE,
};

struct route {
	const char *prefix; /**< what comes before a name in the path; NULL = there is none */
	const char *path;   /**< whole path, or what follows the name */
	const char *method;
	const char *const *keys; /**< query parameters, NULL-terminated */
	size_t body_most;	 /**< bytes; 0 = CH_RPC_BODY_MOST */
};

static const char *const no_keys[] = {NULL};
static const char *const device_keys[] = {"state", "name",  "profile", "manufacturer",
					  "after", "limit", NULL};
static const char *const rpc_keys[] = {"timeout", NULL};
static const char *const reload_keys[] = {"wait", NULL};
static const char *const quarantine_keys[] = {"state", NULL};

static const char *const import_keys[] = {"source", NULL};
static const char *const accept_keys[] = {"name", "credential", "profile", NULL};

static const char *const bans_keys[] = {"after", "limit", NULL};
static const char *const ban_keys[] = {"source", "seconds", NULL};
static const char *const reset_keys[] = {"rule", NULL};

#define DEVICES "/v1/devices/"
#define QUARANTINE "/v1/quarantine/"

static const struct route routes[] = {
	[TARGET_HEALTH] = {NULL, "/healthz", "GET", no_keys, 0},
	[TARGET_METRICS] = {NULL, "/metrics", "GET", no_keys, 0},
	[TARGET_STATUS] = {NULL, "/v1/status", "GET", no_keys, 0},
	[TARGET_DEVICES] = {NULL, "/v1/devices", "GET", device_keys, 0},
	[TARGET_DEVICE] = {DEVICES, "", "GET", no_keys, 0},
	[TARGET_RPC] = {DEVICES, "/rpc", "POST", rpc_keys, 0},
	[TARGET_SESSION] = {DEVICES, "/session", "DELETE", no_keys, 0},
	[TARGET_QUARANTINE] = {NULL, "/v1/quarantine", "GET", quarantine_keys, 0},
	[TARGET_RELOAD] = {NULL, "/v1/reload", "POST", reload_keys, 0},
	[TARGET_PUT] = {DEVICES, "", "PUT", no_keys, 0},
	[TARGET_REMOVE] = {DEVICES, "", "DELETE", no_keys, 0},
	[TARGET_EXPORT] = {NULL, "/v1/inventory", "GET", no_keys, 0},
	[TARGET_IMPORT] = {NULL, "/v1/inventory", "POST", import_keys, CH_IMPORT_MOST},
	[TARGET_ACCEPT] = {QUARANTINE, "/accept", "POST", accept_keys, 0},
	[TARGET_REJECT] = {QUARANTINE, "/reject", "POST", no_keys, 0},
	[TARGET_BANS] = {NULL, "/v1/bans", "GET", bans_keys, 0},
	[TARGET_BAN] = {NULL, "/v1/bans", "POST", ban_keys, 0},
	[TARGET_UNBAN] = {"/v1/bans/", "", "DELETE", no_keys, 0},
	[TARGET_GUARD] = {NULL, "/v1/guard", "GET", no_keys, 0},
	[TARGET_GUARD_RULES] = {NULL, "/v1/guard/rules", "GET", no_keys, 0},
	[TARGET_GUARD_RESET] = {NULL, "/v1/guard/reset", "POST", reset_keys, 0},
};

/** One HTTP request, from its headers to the end of its answer. */
struct request {
	struct ch_control *control;
	struct request *next; /**< in control->requests */
	struct request **link;
	enum target target;
	struct ch_buf body;
	uint64_t discarded; /**< bytes of the body that were too many */
	struct ch_control_rpc *rpc;
	struct ch_control_wait *wait;
	bool counted_rpc;
	char device[CH_HTTP_VALUE_MOST + 1]; /**< decoded name in the path, fingerprint, source */
};

static uint64_t monotonic_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* --- routing --- */

/** Does @path (still escaped: a name may contain %2F) lead to the route? */
static bool is_path_of(const struct route *route, const char *path,
		       char name[CH_HTTP_VALUE_MOST + 1])
{
	size_t prefix;
	size_t len;

	if (route->prefix == NULL)
		return strcmp(route->path, path) == 0;
	prefix = strlen(route->prefix);
	if (strncmp(path, route->prefix, prefix) != 0)
		return false;
	path += prefix;
	len = strcspn(path, "/");
	return len > 0 && strcmp(route->path, path + len) == 0 &&
	       ch_http_decode(path, len, name, CH_HTTP_VALUE_MOST + 1) == 0;
}

static bool is_method_of(const struct route *route, const char *method)
{
	return strcmp(method, route->method) == 0 ||
	       (strcmp(method, "HEAD") == 0 && strcmp(route->method, "GET") == 0);
}

/**
 * What @method on @path means, and the name in the path.
 * @return TARGET_NONE: nothing; then @methods are those that the path takes, "" if it leads nowhere
 */
static enum target find_target(const char *path, const char *method,
			       char name[CH_HTTP_VALUE_MOST + 1], char methods[64])
{
	size_t used = 0;

	methods[0] = '\0';
	for (unsigned t = 0; t < TARGET_NONE; t++) {
		if (!is_path_of(&routes[t], path, name))
			continue;
		if (is_method_of(&routes[t], method))
			return (enum target)t;
		used += (size_t)snprintf(methods + used, 64 - used, "%s%s", used > 0 ? ", " : "",
					 routes[t].method);
	}
	return TARGET_NONE;
}

/** What can be said from the headers alone. @return true: @result is the answer. */
static bool refuse_early(struct request *request, struct MHD_Connection *connection,
			 const char *url, const char *method, enum MHD_Result *result)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
	const char *length = MHD_lookup_connection_value(connection, MHD_HEADER_KIND,
							 MHD_HTTP_HEADER_CONTENT_LENGTH);
	const struct route *route;
	const char *unknown;
	char methods[64];
	size_t body_most;
	uint64_t bytes;

	if (info == NULL || !ch_control_peer_allowed(info->connect_fd)) {
		*result = ch_http_error(connection, MHD_HTTP_FORBIDDEN, "forbidden",
					"only root and uid %u may use this socket",
					(unsigned)geteuid());
		return true;
	}
	request->target = find_target(url, method, request->device, methods);
	if (request->target == TARGET_NONE) {
		*result =
			methods[0] == '\0'
				? ch_http_error(connection, MHD_HTTP_NOT_FOUND, "not-found",
						"there is no %s here; see docs/control-api.md", url)
				: ch_http_error(connection, MHD_HTTP_METHOD_NOT_ALLOWED,
						"method-not-allowed",
						"this resource takes %s, not %s", methods, method);
		return true;
	}
	route = &routes[request->target];
	body_most = route->body_most != 0 ? route->body_most : CH_RPC_BODY_MOST;
	request->body.max = body_most;
	unknown = ch_http_unknown_key(connection, route->keys);
	if (unknown != NULL) {
		*result = ch_http_error(connection, MHD_HTTP_BAD_REQUEST, "bad-parameter",
					"'%s' is no parameter of this resource", unknown);
		return true;
	}
	if (length != NULL && ch_parse_uint(length, 0, body_most, &bytes) != 0) {
		*result = ch_http_error(connection, MHD_HTTP_CONTENT_TOO_LARGE, "too-large",
					"the body is larger than %zu bytes", body_most);
		return true;
	}
	return false;
}

/* --- answers --- */

static enum MHD_Result answer_health(struct MHD_Connection *connection)
{
	struct ch_buf body = {0};

	if (ch_buf_append_str(&body, "ok\n") != 0)
		return MHD_NO;
	return ch_http_answer(connection, MHD_HTTP_OK, "text/plain", &body);
}

static enum MHD_Result answer_kill(struct request *request, struct MHD_Connection *connection)
{
	struct ch_buf body = {0};
	int err = ch_collector_kill(request->control->collector, request->device);

	if (err != 0)
		return ch_http_collector_error(connection, err, request->device);
	if (ch_buf_append_str(&body, "{\"accepted\":true}\n") != 0)
		return MHD_NO;
	return ch_http_answer(connection, MHD_HTTP_ACCEPTED, "application/json", &body);
}

static enum MHD_Result answer_rpc(struct request *request, struct MHD_Connection *connection)
{
	struct ch_control *control = request->control;
	enum MHD_Result result;
	struct ch_control_rpc *rpc;
	bool admitted;

	if (request->rpc != NULL)
		return ch_control_rpc_finish(connection, request->rpc, request->device);
	pthread_mutex_lock(&control->lock);
	admitted = control->rpcs < RPCS;
	if (admitted) {
		control->rpcs++;
		request->counted_rpc = true;
	}
	pthread_mutex_unlock(&control->lock);
	if (!admitted)
		return ch_http_error(connection, MHD_HTTP_TOO_MANY_REQUESTS, "busy",
				     "%u requests to devices are waiting already; try again", RPCS);
	result = ch_control_rpc_start(connection, control->collector, request->device,
				      (struct ch_slice){request->body.data, request->body.len},
				      &rpc);
	ch_buf_deinit(&request->body);
	pthread_mutex_lock(&control->lock);
	request->rpc = rpc;
	if (rpc != NULL && control->stopping) /* ch_control_close did not see it */
		ch_control_rpc_cancel(rpc);
	pthread_mutex_unlock(&control->lock);
	return result;
}

static void keep_wait(struct request *request, struct ch_control_wait *wait)
{
	struct ch_control *control = request->control;

	pthread_mutex_lock(&control->lock);
	request->wait = wait;
	if (wait != NULL && control->stopping) /* ch_control_close did not see it */
		ch_control_wait_cancel(wait);
	pthread_mutex_unlock(&control->lock);
}

static enum MHD_Result answer_reload(struct request *request, struct MHD_Connection *connection)
{
	struct ch_control *control = request->control;
	struct ch_control_wait *wait;
	enum MHD_Result result;

	if (request->wait != NULL)
		return ch_control_reload_finish(connection, request->wait);
	result = ch_control_reload_start(connection, control->collector, &wait);
	keep_wait(request, wait);
	return result;
}

static enum MHD_Result answer_change(struct request *request, struct MHD_Connection *connection,
				     enum ch_change_kind kind)
{
	struct ch_control_wait *wait;
	enum MHD_Result result;

	if (request->wait != NULL)
		return ch_control_change_finish(connection, request->wait);
	result = ch_control_change_start(
		connection, request->control->collector, kind, request->device,
		(struct ch_slice){request->body.data, request->body.len}, &wait);
	ch_buf_deinit(&request->body);
	keep_wait(request, wait);
	return result;
}

static enum MHD_Result answer_ban(struct request *request, struct MHD_Connection *connection)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
	struct ch_collector *collector = request->control->collector;
	char user[CH_CONTROL_USER];

	ch_control_peer_user(info->connect_fd, user); /* refuse_early saw that it is there */
	if (request->target == TARGET_BAN)
		return ch_control_ban(connection, collector, user);
	return ch_control_unban(connection, collector, request->device, user);
}

static enum MHD_Result answer(struct request *request, struct MHD_Connection *connection)
{
	struct ch_control *control = request->control;

	if (request->discarded > 0)
		return ch_http_error(connection, MHD_HTTP_CONTENT_TOO_LARGE, "too-large",
				     "the body is larger than %zu bytes", request->body.max);
	switch (request->target) {
	case TARGET_HEALTH:
		return answer_health(connection);
	case TARGET_METRICS:
		return ch_control_metrics(connection, control->collector);
	case TARGET_STATUS:
		return ch_control_status(connection, control->collector,
					 monotonic_ns() - control->opened_ns);
	case TARGET_DEVICES:
		return ch_control_devices(connection, control->collector);
	case TARGET_DEVICE:
		return ch_control_device(connection, control->collector, request->device);
	case TARGET_RPC:
		return answer_rpc(request, connection);
	case TARGET_SESSION:
		return answer_kill(request, connection);
	case TARGET_QUARANTINE:
		return ch_control_quarantine(connection, control->collector);
	case TARGET_RELOAD:
		return answer_reload(request, connection);
	case TARGET_PUT:
		return answer_change(request, connection, CH_CHANGE_PUT);
	case TARGET_REMOVE:
		return answer_change(request, connection, CH_CHANGE_REMOVE);
	case TARGET_EXPORT:
		return ch_control_export(connection, control->collector);
	case TARGET_IMPORT:
		return answer_change(request, connection, CH_CHANGE_IMPORT);
	case TARGET_ACCEPT:
		return answer_change(request, connection, CH_CHANGE_ACCEPT);
	case TARGET_REJECT:
		return answer_change(request, connection, CH_CHANGE_REJECT);
	case TARGET_BANS:
		return ch_control_bans(connection, control->collector);
	case TARGET_BAN:
	case TARGET_UNBAN:
		return answer_ban(request, connection);
	case TARGET_GUARD:
		return ch_control_guard(connection, control->collector);
	case TARGET_GUARD_RULES:
		return ch_control_guard_rules(connection, control->collector);
	case TARGET_GUARD_RESET:
		return ch_control_guard_reset(connection, control->collector);
	case TARGET_NONE: /* refuse_early answered it */
		break;
	}
	return MHD_NO;
}

/* --- MHD's callbacks, all on its thread --- */

static struct request *begin(struct ch_control *control)
{
	struct request *request = calloc(1, sizeof(*request));

	if (request == NULL)
		return NULL;
	request->control = control;
	request->target = TARGET_NONE;
	request->body.max = CH_RPC_BODY_MOST;
	pthread_mutex_lock(&control->lock);
	request->next = control->requests;
	request->link = &control->requests;
	if (request->next != NULL)
		request->next->link = &request->next;
	control->requests = request;
	control->active++;
	pthread_mutex_unlock(&control->lock);
	return request;
}

static void on_completed(void *ctx, struct MHD_Connection *connection, void **request_ctx,
			 enum MHD_RequestTerminationCode code)
{
	struct ch_control *control = ctx;
	struct request *request = *request_ctx;

	(void)connection;
	(void)code;
	if (request == NULL)
		return;
	*request_ctx = NULL;
	pthread_mutex_lock(&control->lock);
	*request->link = request->next;
	if (request->next != NULL)
		request->next->link = request->link;
	control->active--;
	if (request->counted_rpc)
		control->rpcs--;
	if (control->active == 0)
		pthread_cond_signal(&control->idle);
	pthread_mutex_unlock(&control->lock);
	ch_control_rpc_release(request->rpc);
	ch_control_wait_release(request->wait);
	ch_buf_deinit(&request->body);
	free(request);
}

static enum MHD_Result take_body(struct request *request, const char *data, size_t *len)
{
	if (request->discarded > 0 || ch_buf_append(&request->body, data, *len) != 0) {
		ch_buf_deinit(&request->body);
		request->discarded += *len;
	}
	*len = 0;
	return request->discarded < DISCARD_MOST ? MHD_YES : MHD_NO;
}

static enum MHD_Result on_request(void *ctx, struct MHD_Connection *connection, const char *url,
				  const char *method, const char *version, const char *upload,
				  size_t *upload_len, void **request_ctx)
{
	struct ch_control *control = ctx;
	struct request *request = *request_ctx;
	enum MHD_Result result = MHD_YES;

	(void)version;
	if (request == NULL) {
		request = begin(control);
		if (request == NULL)
			return MHD_NO;
		*request_ctx = request;
		refuse_early(request, connection, url, method, &result);
		return result;
	}
	if (*upload_len > 0)
		return take_body(request, upload, upload_len);
	return answer(request, connection);
}

/** Leaves paths and queries as they came: we split first and decode then. */
static size_t keep_escapes(void *ctx, struct MHD_Connection *connection, char *text)
{
	(void)ctx;
	(void)connection;
	return strlen(text);
}

/* --- life --- */

static int start_daemon(struct ch_control *control)
{
	sigset_t all;
	sigset_t before;

	errno = 0;
	sigfillset(&all); /* signals are for the main thread; MHD's inherits this mask */
	pthread_sigmask(SIG_SETMASK, &all, &before);
	control->daemon = MHD_start_daemon(
		MHD_USE_AUTO_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME, 0, NULL, NULL, on_request,
		control, MHD_OPTION_LISTEN_SOCKET, control->sock.listen_fd,
		MHD_OPTION_NOTIFY_COMPLETED, on_completed, control, MHD_OPTION_UNESCAPE_CALLBACK,
		keep_escapes, NULL, MHD_OPTION_CONNECTION_LIMIT, CONNECTIONS,
		MHD_OPTION_CONNECTION_TIMEOUT, IDLE_TIMEOUT_S, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
		CONNECTION_MEMORY, MHD_OPTION_END);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (control->daemon == NULL)
		return errno != 0 ? -errno : -EIO;
	control->sock.listen_fd = -1; /* MHD's from here on */
	return 0;
}

static void free_control(struct ch_control *control)
{
	ch_control_socket_close(&control->sock);
	pthread_cond_destroy(&control->idle);
	pthread_mutex_destroy(&control->lock);
	free(control);
}

int ch_control_open(struct ch_collector *collector, const char *path, struct ch_control **control,
		    char error[256])
{
	struct ch_control *new = calloc(1, sizeof(*new));
	pthread_condattr_t attr;
	int err;

	if (new == NULL) {
		snprintf(error, 256, "out of memory for the control socket");
		return -ENOMEM;
	}
	new->collector = collector;
	new->opened_ns = monotonic_ns();
	pthread_mutex_init(&new->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&new->idle, &attr);
	pthread_condattr_destroy(&attr);
	err = ch_control_socket_open(&new->sock, path, error);
	if (err != 0)
		goto out;
	err = start_daemon(new);
	if (err != 0)
		snprintf(error, 256, "cannot start the thread of the control socket: %s",
			 strerror(-err));
out:
	if (err != 0) {
		free_control(new);
		return err;
	}
	*control = new;
	return 0;
}

/** Answers what waits for a device, then gives every answer a moment to be read. */
static void drain(struct ch_control *control)
{
	struct timespec until;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += DRAIN_S;
	pthread_mutex_lock(&control->lock);
	control->stopping = true;
	for (struct request *request = control->requests; request != NULL;
	     request = request->next) {
		if (request->rpc != NULL)
			ch_control_rpc_cancel(request->rpc);
		if (request->wait != NULL)
			ch_control_wait_cancel(request->wait);
	}
	while (control->active > 0) {
		if (pthread_cond_timedwait(&control->idle, &control->lock, &until) == ETIMEDOUT)
			break;
	}
	pthread_mutex_unlock(&control->lock);
}

void ch_control_close(struct ch_control *control)
{
	if (control == NULL)
		return;
	control->sock.listen_fd = MHD_quiesce_daemon(control->daemon);
	drain(control);
	MHD_stop_daemon(control->daemon);
	free_control(control);
}
