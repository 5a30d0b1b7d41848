/* SPDX-License-Identifier: Apache-2.0 */
#include "fake_collector.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define THREADS_MOST 256
#define OPERATION_MOST 4096
#define LARGE_BYTES 1000000

struct ch_collector {
	uint32_t devices;
	unsigned reloads;
	bool killed[16];
	pthread_mutex_t lock;
	pthread_cond_t changed;
	pthread_t threads[THREADS_MOST];
	unsigned thread_count;
	unsigned hanging;
	bool finish;
	uint64_t timeout_ns;
	char operation[OPERATION_MOST];
	uint32_t bans;
	bool poor_guard;
	bool one_door;
	char guard_change[256];
};

struct call {
	struct ch_collector *fake;
	ch_reply_fn fn;
	void *ctx;
	char operation[OPERATION_MOST];
};

struct change_call {
	ch_change_fn fn;
	void *ctx;
	int error;
	char text[512];
};

struct ch_collector *fake_new(uint32_t devices)
{
	struct ch_collector *fake = calloc(1, sizeof(*fake));

	if (fake == NULL)
		abort();
	fake->devices = devices;
	fake->bans = 1;
	pthread_mutex_init(&fake->lock, NULL);
	pthread_cond_init(&fake->changed, NULL);
	return fake;
}

void fake_finish_hanging(struct ch_collector *fake)
{
	pthread_mutex_lock(&fake->lock);
	fake->finish = true;
	pthread_cond_broadcast(&fake->changed);
	pthread_mutex_unlock(&fake->lock);
}

void fake_await_hanging(struct ch_collector *fake, unsigned count)
{
	pthread_mutex_lock(&fake->lock);
	while (fake->hanging < count)
		pthread_cond_wait(&fake->changed, &fake->lock);
	pthread_mutex_unlock(&fake->lock);
}

void fake_free(struct ch_collector *fake)
{
	fake_finish_hanging(fake);
	for (unsigned i = 0; i < fake->thread_count; i++)
		pthread_join(fake->threads[i], NULL);
	pthread_cond_destroy(&fake->changed);
	pthread_mutex_destroy(&fake->lock);
	free(fake);
}

const char *fake_operation(struct ch_collector *fake)
{
	return fake->operation;
}

uint64_t fake_timeout_ns(struct ch_collector *fake)
{
	return fake->timeout_ns;
}

/* --- what the API shows --- */

const char *ch_device_state_name(enum ch_device_state state)
{
	static const char *const names[] = {"never", "connecting", "connected", "disconnected",
					    "refused"};

	return names[state];
}

uint32_t ch_collector_device_count(const struct ch_collector *collector)
{
	return collector->devices;
}

static void special_names(const struct ch_collector *collector, uint32_t index,
			  struct ch_device_view *view)
{
	if (index + 2 == collector->devices)
		snprintf(view->name, sizeof(view->name), "pe/1 %%");
	if (index + 1 == collector->devices)
		snprintf(view->identifier, sizeof(view->identifier),
			 "\x1b[31mX\x07\xc2\x9bY\xff\xe2\x80\xaeZ\xc3\xa9");
}

static void fill_certificate(struct ch_device_view *view, bool seen)
{
	view->has_certificate = seen;
	view->group = seen ? "X25519" : "";
	view->signature = seen ? "ecdsa-sha256" : "";
	view->client_certificate = seen ? "current" : "";
	if (!seen)
		return;
	view->extended_master_secret = true;
	memset(view->cert_sha256, 0xcc, sizeof(view->cert_sha256));
	view->not_after = UINT64_C(253402300799);
	snprintf(view->issuers[0], sizeof(view->issuers[0]), "/CN=factory");
	snprintf(view->issuers[1], sizeof(view->issuers[1]), "/CN=root");
	view->issuer_count = 2;
	memset(view->anchor_sha256, 0xaa, sizeof(view->anchor_sha256));
}

int ch_collector_device(const struct ch_collector *collector, uint32_t index,
			struct ch_device_view *view)
{
	static const enum ch_device_state states[] = {CH_DEVICE_CONNECTED, CH_DEVICE_NEVER,
						      CH_DEVICE_CONNECTING, CH_DEVICE_DISCONNECTED,
						      CH_DEVICE_REFUSED};
	static const enum ch_reason reasons[] = {CH_REASON_NONE, CH_REASON_NONE, CH_REASON_NONE,
						 CH_REASON_CLOSED_BY_DEVICE, CH_REASON_EXPIRED};
	bool seen = index % 5 != 1;

	if (index >= collector->devices)
		return CH_E_UNKNOWN;
	memset(view, 0, sizeof(*view));
	snprintf(view->name, sizeof(view->name), "r%u", index);
	snprintf(view->identifier, sizeof(view->identifier), "SN-%u", index);
	snprintf(view->manufacturer, sizeof(view->manufacturer), index % 2 == 0 ? "acme" : "borg");
	snprintf(view->profile, sizeof(view->profile), index % 3 == 0 ? "core" : "edge");
	if (seen)
		snprintf(view->peer, sizeof(view->peer), "127.0.0.%u:%u", index % 250 + 1,
			 40000 + index % 10000);
	special_names(collector, index, view);
	view->state = states[index % 5];
	view->reason = reasons[index % 5];
	if (index < 16 && collector->killed[index]) {
		view->state = CH_DEVICE_DISCONNECTED;
		view->reason = CH_REASON_KILLED;
	}
	view->via = index == 4 ? "balancers" : "";
	view->transport = "netconf-tls";
	view->tls_version = seen ? "TLSv1.3" : "";
	view->cipher = seen ? "TLS_AES_128_GCM_SHA256" : "";
	fill_certificate(view, seen);
	view->record_layer = seen ? "user" : "";
	view->record_layer_why = seen ? "the kernel does not do TLS" : "";
	view->heartbeat = seen ? "peer-allowed-to-send" : "";
	view->since_unix_ns = seen ? UINT64_C(1767225600123000000) : 0;
	view->session_id = seen ? 100 + index : 0;
	view->capabilities = seen ? 2u | 4u | 8u : 0; /* base:1.1, notification, interleave */
	view->worker = index % 2;
	view->login_us = seen ? 12345 : 0;
	view->sessions = seen;
	view->notifications = index * 10;
	view->replies = index;
	view->received_bytes = 1000;
	view->sent_bytes = 500;
	return 0;
}

size_t ch_collector_identities(const struct ch_collector *collector, uint32_t index, size_t most,
			       struct ch_identity_view *views)
{
	struct ch_device_view view;
	size_t count = index == 0 && most > 1 ? 2 : 1;

	if (ch_collector_device(collector, index, &view) != 0)
		return 0;
	memset(views, 0, count * sizeof(*views));
	snprintf(views[0].manufacturer, sizeof(views[0].manufacturer), "%s", view.manufacturer);
	snprintf(views[0].identifier, sizeof(views[0].identifier), "%s", view.identifier);
	if (count > 1) {
		snprintf(views[1].manufacturer, sizeof(views[1].manufacturer), "operator");
		snprintf(views[1].identifier, sizeof(views[1].identifier), "L-0");
		views[1].database = views[1].used = true;
	}
	return count;
}

int ch_collector_find(const struct ch_collector *collector, const char *name, uint32_t *index)
{
	struct ch_device_view view;

	for (uint32_t i = 0; ch_collector_device(collector, i, &view) == 0; i++) {
		if (strcmp(view.name, name) == 0) {
			*index = i;
			return 0;
		}
	}
	return CH_E_UNKNOWN;
}

void ch_collector_view(const struct ch_collector *collector, struct ch_collector_view *view)
{
	*view = (struct ch_collector_view){
		.started_unix_ns = UINT64_C(1767225600000000000),
		.threads = 2,
		.devices = collector->devices,
		.byte_budget = 1 << 30,
		.byte_budget_used = 4096,
		.max_sessions = 10000,
		.max_handshakes = 500,
		.spool_written = {11, 22, 33},
		.spool_dropped = 4,
		.spool_errors = 5,
		.login_p50_us = 2100,
		.login_p99_us = 98700,
		.quarantined = 20,
		.credential_days = 29,
		.capabilities = "none",
		.no_new_privileges = true,
		.anchor_days = INT64_MAX,
		.record_layer = "user",
		.generation = 3,
		.loaded_unix_ns = UINT64_C(1767225600000000000),
	};
}

/* Three reloads after each other: good with a warning, bad with two mistakes, stopping. */
int ch_collector_reload_start(struct ch_collector *collector, enum ch_reload_kind kind,
			      ch_reload_fn fn, void *ctx)
{
	const struct ch_reload_result good = {.generation = 4,
					      .devices = 1000,
					      .added = 3,
					      .removed = 2,
					      .changed = 1,
					      .text = "c.yaml: listen.address was changed\n"};
	const struct ch_reload_result bad = {.error = CH_E_CONFIG,
					     .text = "c.yaml:1:2: one\nd.csv:3: two\n"};
	unsigned time = collector->reloads++;

	if (kind != CH_RELOAD_ALL)
		abort();
	if (time % 3 == 2)
		return CH_E_STATE;
	if (fn != NULL)
		fn(ctx, time % 3 == 0 ? &good : &bad);
	return 0;
}

void ch_collector_counters(const struct ch_collector *collector,
			   void (*fn)(void *ctx, const char *name, const char *help, bool gauge,
				      uint64_t value),
			   void *ctx)
{
	(void)collector;
	fn(ctx, "accepted", "connections accepted", false, 1234);
	fn(ctx, "up", "NETCONF sessions that are up now", true, 987);
	fn(ctx, "tickets", "TLS session tickets dropped", false, 0);
	fn(ctx, "reason.silent", "", false, 3);
	fn(ctx, "reason.unknown-ca", "", false, 0);
}

size_t ch_collector_quarantine(const struct ch_collector *collector, size_t first, size_t most,
			       struct ch_quarantine_view *views)
{
	size_t count = 0;

	(void)collector;
	for (; count < most && first + count < 20; count++) {
		struct ch_quarantine_view *view = &views[count];

		memset(view, 0, sizeof(*view));
		memset(view->spki_sha256, 0xab, 32);
		memset(view->cert_sha256, 0xcd, 32);
		snprintf(view->manufacturer, sizeof(view->manufacturer), "acme");
		snprintf(view->identifier, sizeof(view->identifier), "Q%zu", first + count);
		snprintf(view->peer, sizeof(view->peer), "127.0.0.9:9");
		view->first_unix_ns = UINT64_C(1767225600000000000);
		view->last_unix_ns = UINT64_C(1767225601000000000);
		view->count = 7;
		view->rejected = first + count >= 17;
	}
	return count;
}

/* --- what the API does --- */

static bool starts(const char *operation, const char *element)
{
	return strncmp(operation + 1, element, strlen(element)) == 0;
}

static void hang(struct ch_collector *fake)
{
	pthread_mutex_lock(&fake->lock);
	fake->hanging++;
	pthread_cond_broadcast(&fake->changed);
	while (!fake->finish)
		pthread_cond_wait(&fake->changed, &fake->lock);
	pthread_mutex_unlock(&fake->lock);
}

static void say(const struct call *call, const char *text)
{
	call->fn(call->ctx, (const uint8_t *)text, strlen(text), false, 0);
}

static void say_large(const struct call *call)
{
	static const char piece[] = "0123456789";

	say(call, "<rpc-reply><data>");
	for (int i = 0; i < LARGE_BYTES / 10; i++)
		say(call, piece);
	say(call, "</data></rpc-reply>");
}

static void *run_call(void *arg)
{
	struct call *call = arg;
	int status = 0;

	if (starts(call->operation, "error")) {
		say(call,
		    "<rpc-reply message-id=\"1\"><rpc-error><error-type>application</error-type>");
		say(call,
		    "<error-tag>access-denied</error-tag><error-severity>error</error-severity>");
		say(call, "</rpc-error></rpc-reply>");
	} else if (starts(call->operation, "junk")) {
		say(call, "<rpc-reply><rpc-error>\x1b[31m</rpc-reply>");
	} else if (starts(call->operation, "large")) {
		say_large(call);
	} else if (starts(call->operation, "hang")) {
		say(call, "<rpc-reply>");
		hang(call->fake);
		status = CH_E_NOT_CONNECTED;
	} else if (starts(call->operation, "timeout")) {
		status = CH_E_TIMEOUT;
	} else if (starts(call->operation, "gone")) {
		say(call, "<rpc-rep");
		status = CH_E_NOT_CONNECTED;
	} else if (starts(call->operation, "limit")) {
		status = CH_E_LIMIT;
	} else if (starts(call->operation, "syntax")) {
		status = CH_E_SYNTAX;
	} else if (!starts(call->operation, "empty")) {
		say(call, "<rpc-reply message-id=\"1\"><ok/><echo>");
		say(call, call->operation);
		say(call, "</echo></rpc-reply>");
	}
	call->fn(call->ctx, NULL, 0, true, status);
	free(call);
	return NULL;
}

int ch_collector_rpc(struct ch_collector *collector, const char *device, const char *operation,
		     size_t len, uint64_t timeout_ns, ch_reply_fn fn, void *ctx)
{
	struct call *call;
	uint32_t index;
	int err = ch_collector_find(collector, device, &index);

	if (err != 0)
		return err;
	if (index % 5 != 0)
		return CH_E_NOT_CONNECTED;
	if (starts(operation, "full"))
		return CH_E_FULL;
	if (starts(operation, "state"))
		return CH_E_STATE;
	call = calloc(1, sizeof(*call));
	if (call == NULL)
		abort();
	call->fake = collector;
	call->fn = fn;
	call->ctx = ctx;
	snprintf(call->operation, sizeof(call->operation), "%.*s", (int)len, operation);
	pthread_mutex_lock(&collector->lock);
	collector->timeout_ns = timeout_ns;
	memcpy(collector->operation, call->operation, sizeof(call->operation));
	if (collector->thread_count == THREADS_MOST ||
	    pthread_create(&collector->threads[collector->thread_count++], NULL, run_call, call) !=
		    0)
		abort();
	pthread_mutex_unlock(&collector->lock);
	return 0;
}

int ch_collector_kill(struct ch_collector *collector, const char *device)
{
	uint32_t index;
	int err = ch_collector_find(collector, device, &index);

	if (err != 0)
		return err;
	if (index % 5 != 0 || index >= 16 || collector->killed[index])
		return CH_E_NOT_CONNECTED;
	collector->killed[index] = true;
	return 0;
}

/* --- the inventory --- */

static void *run_change(void *arg)
{
	struct change_call *call = arg;

	call->fn(call->ctx, call->error, call->text);
	free(call);
	return NULL;
}

/* What is asked for decides the end: the name for all, the text of an import. */
static int change_error(const struct ch_change *change)
{
	if (strcmp(change->name, "nobody") == 0)
		return CH_E_UNKNOWN;
	if (strcmp(change->name, "ours") == 0)
		return CH_E_STATE;
	return change->csv_len > 0 && memmem(change->csv, change->csv_len, "bad", 3) != NULL
		       ? CH_E_CONFIG
		       : 0;
}

int ch_collector_change(struct ch_collector *collector, const struct ch_change *change,
			ch_change_fn fn, void *ctx)
{
	static const char *const kinds[] = {"import", "put", "remove", "accept", "reject"};
	struct change_call *call;

	if (strcmp(change->name, "full") == 0)
		return CH_E_FULL;
	if (strcmp(change->name, "none") == 0)
		return CH_E_UNSUPPORTED;
	call = calloc(1, sizeof(*call));
	if (call == NULL)
		abort();
	call->fn = fn;
	call->ctx = ctx;
	call->error = change_error(change);
	if (call->error == CH_E_CONFIG)
		snprintf(call->text, sizeof(call->text), "x.csv:1: one\nx.csv:2: two");
	else
		snprintf(call->text, sizeof(call->text),
			 "%s name=%s cred=%s prof=%s src=%s %02x%02x %.*s", kinds[change->kind],
			 change->name, change->credential != NULL ? change->credential : "-",
			 change->profile != NULL ? change->profile : "-",
			 change->source != NULL ? change->source : "-", change->fingerprint[0],
			 change->fingerprint[31], change->csv_len > 40 ? 40 : (int)change->csv_len,
			 change->csv_len > 0 ? change->csv : "");
	pthread_mutex_lock(&collector->lock);
	if (collector->thread_count == THREADS_MOST ||
	    pthread_create(&collector->threads[collector->thread_count++], NULL, run_change,
			   call) != 0)
		abort();
	pthread_mutex_unlock(&collector->lock);
	return 0;
}

int ch_collector_export(const struct ch_collector *collector, char **csv, size_t *len)
{
	(void)collector;
	*csv = strdup("manufacturer,identifier,name,credential,profile\nacme,SN-0,r0,c,p\n");
	*len = strlen(*csv);
	return 0;
}

/* --- the guard --- */

void fake_set_bans(struct ch_collector *fake, uint32_t count)
{
	fake->bans = count;
}

void fake_poor_guard(struct ch_collector *fake)
{
	fake->poor_guard = true;
}

void fake_one_door(struct ch_collector *fake)
{
	fake->one_door = true;
}

const char *fake_guard_change(struct ch_collector *fake)
{
	return fake->guard_change;
}

static void fill_ban(const struct ch_collector *fake, uint32_t i, struct ch_collector_ban *ban)
{
	*ban = (struct ch_collector_ban){
		.since_unix_ns = UINT64_C(1767225600000000000),
		.until_unix_ns = i < fake->bans ? UINT64_C(1767225900000000000) : 0,
		.level = i < fake->bans ? 1 : 0,
		.cause = i < fake->bans ? "failures" : "operator",
		.hits = 7 + i,
	};
	if (i < fake->bans)
		snprintf(ban->source, sizeof(ban->source), "10.0.%u.%u", i / 256, i % 256);
	else
		snprintf(ban->source, sizeof(ban->source), "2001:db8:0:1::/64");
}

static uint32_t find_ban(const struct ch_collector *fake, const char *source)
{
	struct ch_collector_ban ban;
	uint32_t i = 0;

	for (; i <= fake->bans; i++) {
		fill_ban(fake, i, &ban);
		if (strcmp(ban.source, source) == 0)
			break;
	}
	return i;
}

int ch_collector_bans(const struct ch_collector *fake, const char *after, size_t most,
		      struct ch_collector_ban *bans, size_t *count)
{
	uint32_t first = after != NULL ? find_ban(fake, after) + 1 : 0;

	*count = 0;
	if (first > fake->bans + 1)
		return CH_E_SYNTAX;
	for (uint32_t i = first; i <= fake->bans && *count < most; i++)
		fill_ban(fake, i, &bans[(*count)++]);
	return 0;
}

int ch_collector_ban(struct ch_collector *fake, const char *source, uint64_t seconds,
		     const char *by)
{
	static const struct {
		const char *source;
		int err;
	} refused[] = {{"full", CH_E_FULL},
		       {"off", CH_E_UNSUPPORTED},
		       {"never", CH_E_STATE},
		       {"wide", CH_E_RANGE},
		       {"word", CH_E_SYNTAX}};

	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
		if (strcmp(source, refused[i].source) == 0)
			return refused[i].err;
	}
	snprintf(fake->guard_change, sizeof(fake->guard_change), "ban %s %llu %s", source,
		 (unsigned long long)seconds, by);
	return 0;
}

int ch_collector_unban(struct ch_collector *fake, const char *source, const char *by)
{
	if (strcmp(source, "word") == 0)
		return CH_E_SYNTAX;
	if (find_ban(fake, source) > fake->bans)
		return CH_E_UNKNOWN;
	snprintf(fake->guard_change, sizeof(fake->guard_change), "unban %s %s", source, by);
	return 0;
}

void ch_collector_guard(const struct ch_collector *fake, struct ch_collector_guard *view)
{
	*view = (struct ch_collector_guard){
		.mode = "auto",
		.where = fake->poor_guard ? "accept" : "kernel",
		.doors = fake->poor_guard || fake->one_door ? 1 : 2,
		.early = fake->poor_guard ? "xdp" : "off",
		.interfaces = {{"eth0", "native", ""},
			       {"eth1", NULL, "there is no interface eth1"}},
		.interface_count = fake->poor_guard ? 2 : 0,
		.v4_prefix = 32,
		.v6_prefix = 64,
		.sessions = 987,
		.max_sessions = 10000,
		.handshakes = 13,
		.max_handshakes = 500,
		.sources = 1200,
		.max_sources = 16384,
		.bans = fake->bans + 1,
		.max_bans = 1024,
		.pending = 13,
		.syncookies = !fake->poor_guard,
		.backlog = 4096,
		.somaxconn = fake->poor_guard ? 128 : 4096,
		.verdicts = {{"pass", 900, 1900, 800, 1800, 0, 0},
			     {"banned", 70, 70, 0, 0, 40, 90}},
		.verdict_count = 2,
	};
	if (fake->poor_guard)
		snprintf(view->why, sizeof(view->why), "CAP_BPF is missing");
	if (fake->one_door)
		snprintf(view->doors_why, sizeof(view->doors_why), "it needs another kernel");
}

size_t ch_collector_rules(const struct ch_collector *fake, struct ch_collector_rule *rules,
			  size_t most)
{
	static const struct ch_collector_rule all[] = {
		{"friends", "permit", 1, 5, 15, 4, 14, 0, {3, 2}, {9, 6}, 0, 0, {0}, {0}, {1, 3},
		 {1, 13}},
		{"foes", "drop", 100000, 8, 8, 0, 0, UINT64_C(1767225600000000000), {8}, {8}, 6, 16,
		 {1, 5}, {2, 14}, {0}, {0}},
	};

	(void)fake;
	for (size_t i = 0; i < 2 && i < most; i++)
		rules[i] = all[i];
	return 2;
}

bool ch_collector_listener(const struct ch_collector *fake, size_t index,
			   char address[CH_COLLECTOR_SOURCE])
{
	(void)fake;
	snprintf(address, CH_COLLECTOR_SOURCE, "192.0.2.9:%zu", 4334 + index);
	return index < 2;
}

int ch_collector_guard_reset(struct ch_collector *fake, const char *rule)
{
	if (rule != NULL && strcmp(rule, "friends") != 0 && strcmp(rule, "foes") != 0)
		return CH_E_UNKNOWN;
	snprintf(fake->guard_change, sizeof(fake->guard_change), "reset %s",
		 rule != NULL ? rule : "all");
	return 0;
}
