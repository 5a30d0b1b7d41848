/* SPDX-License-Identifier: Apache-2.0 */
#include "control_views.h"
#include "control_guard.h"
#include "user/core/json.h"
#include "user/core/option.h"
#include "user/proto/hello.h"

#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/** A page is finished when it has so many bytes; one device adds less than 4 kB. */
#define PAGE_BYTES (24 * 1024)
#define QUARANTINE_PAGE 16
#define REASON_PREFIX "reason."

/* --- status --- */

struct counter_sink {
	struct ch_json *json;
	bool reasons; /**< the reasons, or all others */
};

static void put_counter(void *ctx, const char *name, const char *help, bool gauge, uint64_t value)
{
	const struct counter_sink *sink = ctx;
	size_t prefix = sizeof(REASON_PREFIX) - 1;
	bool reason = strncmp(name, REASON_PREFIX, prefix) == 0;

	(void)help;
	(void)gauge;
	if (reason == sink->reasons)
		ch_json_uint(sink->json, reason ? name + prefix : name, value);
}

static void put_counters(struct ch_json *json, const struct ch_collector *collector, bool reasons)
{
	struct counter_sink sink = {json, reasons};

	ch_json_object(json, reasons ? "reasons" : "counters");
	ch_collector_counters(collector, put_counter, &sink);
	ch_json_object_end(json);
}

static void put_revocation(struct ch_json *json, const struct ch_collector_view *view)
{
	if (!view->crl)
		return;
	ch_json_object(json, "revocation");
	ch_json_uint(json, "lists", view->crl_lists);
	ch_json_uint(json, "pending", view->crl_pending);
	ch_json_uint(json, "stale", view->crl_stale);
	ch_json_uint(json, "refused", view->crl_refused);
	ch_json_uint(json, "kept", view->crl_kept);
	ch_json_uint(json, "entries", view->crl_entries);
	ch_json_uint(json, "bytes", view->crl_bytes);
	ch_json_double(json, "build_ms", (double)view->crl_build_ns / 1000000);
	ch_json_time(json, "loaded", view->crl_loaded_unix_ns);
	if (view->crl_oldest_unix_ns != 0) {
		ch_json_time(json, "oldest", view->crl_oldest_unix_ns);
		ch_json_time(json, "next_stale", view->crl_next_stale_unix_ns);
	}
	ch_json_object_end(json);
}

enum MHD_Result ch_control_status(struct MHD_Connection *connection,
				  const struct ch_collector *collector, uint64_t uptime_ns)
{
	struct ch_collector_view view;
	struct ch_buf body = {0};
	struct ch_json json;

	memset(&view, 0, sizeof(view));
	ch_collector_view(collector, &view);
	ch_json_init(&json, &body);
	ch_json_object(&json, NULL);
	ch_json_str(&json, "version", ch_version());
	ch_json_time(&json, "started", view.started_unix_ns);
	ch_json_uint(&json, "uptime_s", uptime_ns / 1000000000u);
	ch_json_uint(&json, "threads", view.threads);
	ch_json_uint(&json, "devices", view.devices);
	ch_json_str(&json, "record_layer", view.record_layer);
	ch_json_uint(&json, "max_sessions", view.max_sessions);
	ch_json_uint(&json, "max_handshakes", view.max_handshakes);
	ch_json_uint(&json, "byte_budget", view.byte_budget);
	ch_json_uint(&json, "byte_budget_used", view.byte_budget_used);
	put_counters(&json, collector, false);
	put_counters(&json, collector, true);
	ch_json_object(&json, "spool");
	ch_json_uint(&json, "events", view.spool_written[0]);
	ch_json_uint(&json, "notifications", view.spool_written[1]);
	ch_json_uint(&json, "replies", view.spool_written[2]);
	ch_json_uint(&json, "dropped", view.spool_dropped);
	ch_json_uint(&json, "errors", view.spool_errors);
	ch_json_object_end(&json);
	ch_json_object(&json, "login");
	ch_json_uint(&json, "p50_us", view.login_p50_us);
	ch_json_uint(&json, "p99_us", view.login_p99_us);
	ch_json_object_end(&json);
	ch_control_put_guard(&json, collector);
	put_revocation(&json, &view);
	ch_json_uint(&json, "quarantined", view.quarantined);
	ch_json_object(&json, "expiry");
	if (view.credential_days != INT64_MAX)
		ch_json_int(&json, "credential_days", view.credential_days);
	if (view.anchor_days != INT64_MAX)
		ch_json_int(&json, "anchor_days", view.anchor_days);
	ch_json_object_end(&json);
	ch_json_object(&json, "privileges");
	ch_json_str(&json, "capabilities", view.capabilities);
	ch_json_bool(&json, "no_new_privileges", view.no_new_privileges);
	ch_json_object_end(&json);
	ch_json_object(&json, "reload");
	ch_json_uint(&json, "generation", view.generation);
	ch_json_time(&json, "loaded", view.loaded_unix_ns);
	ch_json_time(&json, "failed", view.reload_failed_unix_ns);
	ch_json_str(&json, "error", view.reload_error);
	ch_json_object_end(&json);
	ch_json_object_end(&json);
	return ch_http_json(connection, &json);
}

/* --- one device --- */

static void put_device(struct ch_json *json, uint32_t index, const struct ch_device_view *view)
{
	ch_json_uint(json, "index", index);
	ch_json_str(json, "name", view->name);
	ch_json_str(json, "state", ch_device_state_name(view->state));
	ch_json_str(json, "peer", view->peer);
	if (*view->via != '\0')
		ch_json_str(json, "via", view->via);
	ch_json_str(json, "transport", view->transport);
	ch_json_str(json, "tls_version", view->tls_version);
	ch_json_str(json, "cipher", view->cipher);
	ch_json_str(json, "record_layer", view->record_layer);
	ch_json_time(json, "since", view->since_unix_ns);
	ch_json_str(json, "reason", ch_reason_name(view->reason));
	ch_json_str(json, "identifier", view->identifier);
	ch_json_str(json, "manufacturer", view->manufacturer);
	ch_json_str(json, "profile", view->profile);
	ch_json_uint(json, "session_id", view->session_id);
	ch_json_uint(json, "notifications", view->notifications);
	ch_json_uint(json, "replies", view->replies);
	ch_json_double(json, "login_ms", (double)view->login_us / 1000.0);
}

static const struct {
	uint32_t bit;
	const char *name;
} capability_names[] = {
	{CH_CAP_BASE_1_0, "base:1.0"},
	{CH_CAP_BASE_1_1, "base:1.1"},
	{CH_CAP_NOTIFICATION, "notification"},
	{CH_CAP_INTERLEAVE, "interleave"},
	{CH_CAP_CANDIDATE, "candidate"},
	{CH_CAP_CONFIRMED_COMMIT, "confirmed-commit"},
	{CH_CAP_WRITABLE_RUNNING, "writable-running"},
	{CH_CAP_STARTUP, "startup"},
	{CH_CAP_XPATH, "xpath"},
	{CH_CAP_VALIDATE, "validate"},
	{CH_CAP_URL, "url"},
	{CH_CAP_YANG_LIBRARY, "yang-library"},
};

/* An IDevID lives to the year 9999, which is beyond 64 bits of nanoseconds. */
static void put_seconds(struct ch_json *json, const char *key, uint64_t seconds)
{
	time_t time = (time_t)seconds;
	char text[32] = "";
	struct tm tm;

	if (gmtime_r(&time, &tm) != NULL)
		(void)strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &tm);
	ch_json_str(json, key, text);
}

static void put_certificate(struct ch_json *json, const struct ch_device_view *view)
{
	ch_json_str(json, "key_exchange", view->group);
	ch_json_str(json, "signature", view->signature);
	ch_json_str(json, "client_certificate", view->client_certificate);
	if (!view->has_certificate)
		return;
	ch_json_bool(json, "extended_master_secret", view->extended_master_secret);
	ch_json_digest(json, "certificate_sha256", view->cert_sha256);
	put_seconds(json, "certificate_not_after", view->not_after);
	ch_json_array(json, "issuers");
	for (uint32_t i = 0; i < view->issuer_count; i++)
		ch_json_str(json, NULL, view->issuers[i]);
	ch_json_array_end(json);
	if (view->issuer_count > 0)
		ch_json_digest(json, "anchor_sha256", view->anchor_sha256);
}

static void put_identities(struct ch_json *json, const struct ch_collector *collector,
			   uint32_t index)
{
	struct ch_identity_view identities[CH_IDENTITIES_MAX];
	size_t count = ch_collector_identities(collector, index, CH_IDENTITIES_MAX, identities);

	ch_json_array(json, "identities");
	for (size_t i = 0; i < count; i++) {
		ch_json_object(json, NULL);
		ch_json_str(json, "manufacturer", identities[i].manufacturer);
		ch_json_str(json, "identifier", identities[i].identifier);
		ch_json_str(json, "source", identities[i].database ? "database" : "file");
		ch_json_bool(json, "used", identities[i].used);
		ch_json_object_end(json);
	}
	ch_json_array_end(json);
}

enum MHD_Result ch_control_device(struct MHD_Connection *connection,
				  const struct ch_collector *collector, const char *name)
{
	struct ch_device_view view;
	struct ch_buf body = {0};
	struct ch_json json;
	uint32_t index = 0;
	int err = ch_collector_find(collector, name, &index);

	if (err == 0)
		err = ch_collector_device(collector, index, &view);
	if (err != 0)
		return ch_http_collector_error(connection, err, name);
	ch_json_init(&json, &body);
	ch_json_object(&json, NULL);
	put_device(&json, index, &view);
	ch_json_str(&json, "reason_text",
		    view.reason == CH_REASON_NONE ? "" : ch_reason_text(view.reason));
	put_identities(&json, collector, index);
	put_certificate(&json, &view);
	ch_json_str(&json, "record_layer_why", view.record_layer_why);
	ch_json_str(&json, "heartbeat", view.heartbeat);
	ch_json_array(&json, "capabilities");
	for (size_t i = 0; i < sizeof(capability_names) / sizeof(capability_names[0]); i++) {
		if ((view.capabilities & capability_names[i].bit) != 0)
			ch_json_str(&json, NULL, capability_names[i].name);
	}
	ch_json_array_end(&json);
	ch_json_uint(&json, "worker", view.worker);
	ch_json_uint(&json, "sessions", view.sessions);
	ch_json_uint(&json, "received_bytes", view.received_bytes);
	ch_json_uint(&json, "sent_bytes", view.sent_bytes);
	ch_json_object_end(&json);
	return ch_http_json(connection, &json);
}

/* --- lists --- */

struct list {
	struct ch_http_list list;
	const struct ch_collector *collector;
	uint64_t next;			   /**< index to look at next */
	uint64_t left;			   /**< lines that may still be written (limit=) */
	unsigned
		states; /**< bit per enum ch_device_state, 0 = all; quarantine: PENDING, REJECTED */
	char name[CH_HTTP_VALUE_MOST + 1]; /**< glob; "" = all */
	char profile[CH_HTTP_VALUE_MOST + 1];
	char manufacturer[CH_HTTP_VALUE_MOST + 1];
};

static bool wanted(const struct list *list, const struct ch_device_view *view)
{
	return (list->states == 0 || (list->states & (1u << view->state)) != 0) &&
	       (list->profile[0] == '\0' || strcmp(list->profile, view->profile) == 0) &&
	       (list->manufacturer[0] == '\0' ||
		strcmp(list->manufacturer, view->manufacturer) == 0) &&
	       (list->name[0] == '\0' || fnmatch(list->name, view->name, 0) == 0);
}

static int fill_devices(struct ch_http_list *http)
{
	struct list *list = (struct list *)http;
	uint32_t count = ch_collector_device_count(list->collector);
	struct ch_device_view view;
	struct ch_json json;

	for (; list->next < count && list->left > 0 && list->list.page.len < PAGE_BYTES;
	     list->next++) {
		uint32_t index = (uint32_t)list->next;

		if (ch_collector_device(list->collector, index, &view) != 0)
			continue; /* a device was removed there */
		if (!wanted(list, &view))
			continue;
		ch_json_init(&json, &list->list.page);
		ch_json_object(&json, NULL);
		put_device(&json, index, &view);
		ch_json_object_end(&json);
		if (json.err == 0)
			json.err = ch_buf_append_str(&list->list.page, "\n");
		if (json.err != 0)
			return json.err;
		list->left--;
	}
	return 0;
}

/** Comma-separated state names into bits. @return the bits; 0: @text names an unknown one. */
static unsigned parse_states(char *text)
{
	unsigned bits = 0;
	char *rest = NULL;

	for (char *word = strtok_r(text, ",", &rest); word != NULL;
	     word = strtok_r(NULL, ",", &rest)) {
		unsigned state = CH_DEVICE_NEVER;

		while (state <= CH_DEVICE_REFUSED &&
		       strcmp(ch_device_state_name((enum ch_device_state)state), word) != 0)
			state++;
		if (state > CH_DEVICE_REFUSED)
			return 0;
		bits |= 1u << state;
	}
	return bits;
}

/** @return NULL, or what the parameter should be. */
static const char *read_parameter(struct MHD_Connection *connection, const char *key,
				  struct list *list)
{
	char value[CH_HTTP_VALUE_MOST + 1];
	int found = ch_http_query(connection, key, value);
	uint64_t number;

	if (found == 0)
		return NULL;
	if (found < 0)
		return "at most 1023 bytes with %XX escapes";
	if (strcmp(key, "state") == 0) {
		list->states = parse_states(value);
		if (list->states == 0)
			return "a comma-separated list of never, connecting, connected, "
			       "disconnected, refused";
	} else if (strcmp(key, "after") == 0) {
		if (ch_parse_uint(value, 0, UINT32_MAX, &number) != 0)
			return "the index of a device, 0 to 4294967295";
		list->next = number + 1;
	} else if (strcmp(key, "limit") == 0) {
		if (ch_parse_uint(value, 1, UINT32_MAX, &list->left) != 0)
			return "a number from 1 to 4294967295";
	} else if (strcmp(key, "name") == 0) {
		memcpy(list->name, value, sizeof(value));
	} else if (strcmp(key, "profile") == 0) {
		memcpy(list->profile, value, sizeof(value));
	} else {
		memcpy(list->manufacturer, value, sizeof(value));
	}
	return NULL;
}

static struct list *new_list(const struct ch_collector *collector,
			     int (*fill)(struct ch_http_list *))
{
	struct list *list = calloc(1, sizeof(*list));

	if (list == NULL)
		return NULL;
	list->collector = collector;
	list->list.fill = fill;
	list->left = UINT64_MAX;
	return list;
}

enum MHD_Result ch_control_devices(struct MHD_Connection *connection,
				   const struct ch_collector *collector)
{
	static const char *const keys[] = {"state",	   "name",  "profile",
					   "manufacturer", "after", "limit"};
	struct list *list = new_list(collector, fill_devices);

	if (list == NULL)
		return MHD_NO;
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		const char *should = read_parameter(connection, keys[i], list);

		if (should != NULL) {
			ch_http_list_free(&list->list);
			return ch_http_error(connection, MHD_HTTP_BAD_REQUEST, "bad-parameter",
					     "'%s' must be %s", keys[i], should);
		}
	}
	return ch_http_stream(connection, &list->list);
}

static int put_quarantined(struct ch_buf *page, const struct ch_quarantine_view *view)
{
	struct ch_json json;

	ch_json_init(&json, page);
	ch_json_object(&json, NULL);
	ch_json_digest(&json, "spki_sha256", view->spki_sha256);
	ch_json_digest(&json, "cert_sha256", view->cert_sha256);
	ch_json_str(&json, "manufacturer", view->manufacturer);
	ch_json_str(&json, "identifier", view->identifier);
	ch_json_str(&json, "peer", view->peer);
	ch_json_time(&json, "first", view->first_unix_ns);
	ch_json_time(&json, "last", view->last_unix_ns);
	ch_json_uint(&json, "count", view->count);
	ch_json_str(&json, "state", view->rejected ? "rejected" : "pending");
	ch_json_object_end(&json);
	return json.err != 0 ? json.err : ch_buf_append_str(page, "\n");
}

/** Of list->states. */
enum { PENDING = 1, REJECTED = 2 };

static int fill_quarantine(struct ch_http_list *http)
{
	struct list *list = (struct list *)http;
	struct ch_quarantine_view views[QUARANTINE_PAGE];
	size_t got = QUARANTINE_PAGE;
	int err = 0;

	while (err == 0 && got == QUARANTINE_PAGE && list->list.page.len == 0) {
		got = ch_collector_quarantine(list->collector, list->next, QUARANTINE_PAGE, views);
		for (size_t i = 0; i < got && err == 0; i++) {
			if ((list->states & (views[i].rejected ? REJECTED : PENDING)) != 0)
				err = put_quarantined(&list->list.page, &views[i]);
		}
		list->next += got;
	}
	return err;
}

enum MHD_Result ch_control_quarantine(struct MHD_Connection *connection,
				      const struct ch_collector *collector)
{
	char value[CH_HTTP_VALUE_MOST + 1] = "";
	int found = ch_http_query(connection, "state", value);
	bool pending = strcmp(value, "pending") == 0;
	struct list *list;

	if (found != 0 && !pending && strcmp(value, "rejected") != 0)
		return ch_http_error(connection, MHD_HTTP_BAD_REQUEST, "bad-parameter",
				     "'state' must be pending or rejected");
	list = new_list(collector, fill_quarantine);
	if (list == NULL)
		return MHD_NO;
	list->states = PENDING | REJECTED;
	if (found != 0)
		list->states = pending ? PENDING : REJECTED;
	return ch_http_stream(connection, &list->list);
}
