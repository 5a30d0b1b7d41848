/* SPDX-License-Identifier: Apache-2.0 */
#include "collector.h"
#include "expiry.h"
#include "kernel/privileges.h"
#include "kernel/sock.h"
#include "reload.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *ch_device_state_name(enum ch_device_state state)
{
	static const char *const names[] = {
		[CH_DEVICE_NEVER] = "never",	     [CH_DEVICE_CONNECTING] = "connecting",
		[CH_DEVICE_CONNECTED] = "connected", [CH_DEVICE_DISCONNECTED] = "disconnected",
		[CH_DEVICE_REFUSED] = "refused",
	};

	return (unsigned)state < sizeof(names) / sizeof(names[0]) ? names[state] : "unknown";
}

/* The handle is const to who looks at it; its lock is not. */
static pthread_mutex_t *policy_lock(const struct ch_collector *c)
{
	return (pthread_mutex_t *)&c->lock;
}

struct ch_policy *ch_collector_policy(const struct ch_collector *c)
{
	struct ch_policy *policy;

	pthread_mutex_lock(policy_lock(c));
	policy = ch_policy_hold(c->shared.policy);
	pthread_mutex_unlock(policy_lock(c));
	return policy;
}

uint32_t ch_collector_device_count(const struct ch_collector *c)
{
	uint32_t count;

	pthread_mutex_lock(policy_lock(c));
	count = ch_devices_count(c->shared.policy->devices);
	pthread_mutex_unlock(policy_lock(c));
	return count;
}

int ch_collector_find(const struct ch_collector *c, const char *name, uint32_t *index)
{
	pthread_mutex_lock(policy_lock(c));
	*index = ch_devices_by_name(c->shared.policy->devices, name);
	pthread_mutex_unlock(policy_lock(c));
	return *index == CH_DEVICE_NONE ? CH_E_UNKNOWN : 0;
}

static const char *version_name(uint16_t version)
{
	if (version == CH_TLS_1_3)
		return "TLSv1.3";
	return version == CH_TLS_1_2 ? "TLSv1.2" : "";
}

static void view_names(const struct ch_policy *policy, uint32_t index, struct ch_device_view *view)
{
	const struct ch_device *device = ch_devices_at(policy->devices, index);
	const struct ch_device_identity *first =
		ch_devices_identity(policy->devices, device->identity);
	const char *manufacturer = "pin";

	if (first->manufacturer < CH_MANUFACTURER_PIN_CERT)
		manufacturer = policy->config->manufacturers[first->manufacturer].name;
	snprintf(view->name, sizeof(view->name), "%s", device->name);
	snprintf(view->identifier, sizeof(view->identifier), "%s", first->text);
	snprintf(view->manufacturer, sizeof(view->manufacturer), "%s", manufacturer);
	snprintf(view->profile, sizeof(view->profile), "%s",
		 policy->config->profiles[device->profile].name);
}

static void view_certificate(const struct ch_collector *c, const struct ch_device_record *record,
			     struct ch_device_view *view)
{
	struct ch_certificate_facts facts;

	view->has_certificate = record->version != CH_TLS_NONE;
	if (!view->has_certificate)
		return;
	view->client_certificate = record->next != 0 ? "next" : "current";
	view->extended_master_secret = record->no_ems == 0;
	view->not_after = record->not_after;
	memcpy(view->cert_sha256, record->cert_sha256, sizeof(view->cert_sha256));
	for (size_t i = 0; i < CH_RECORD_ISSUERS; i++) {
		if (!ch_authorities_read(c->shared.authorities, record->issuers[i], &facts))
			break;
		memcpy(view->issuers[view->issuer_count++], facts.subject, sizeof(facts.subject));
		memcpy(view->anchor_sha256, facts.sha256, sizeof(facts.sha256));
	}
}

static void view_session(const struct ch_collector *c, uint32_t index, struct ch_device_view *view)
{
	const struct ch_registry *registry = c->shared.registry;
	struct ch_device_record record;
	const char *via;

	ch_registry_read(registry, index, &record);
	via = ch_balancers_name(&c->shared.balancers, record.via);
	*view = (struct ch_device_view){
		.state = (enum ch_device_state)record.state,
		.via = "",
		.transport = "netconf-tls",
		.tls_version = version_name(record.version),
		.cipher = ch_tls_cipher_name(record.cipher),
		.record_layer = ch_layer_name((enum ch_layer)record.layer),
		.record_layer_why = ch_layer_why_text((enum ch_layer_why)record.layer_why),
		.heartbeat =
			record.version == CH_TLS_NONE
				? ""
				: ch_heartbeat_mode_name((enum ch_heartbeat_mode)record.heartbeat),
		.group = ch_tls_group_name(record.group),
		.signature = ch_tls_signature_name(record.signature),
		.client_certificate = "",
		.since_unix_ns = record.since_unix_ns,
		.reason = (enum ch_reason)record.reason,
		.session_id = record.session_id,
		.capabilities = record.capabilities,
		.worker = record.worker,
		.login_us = record.login_us,
		.sessions = ch_registry_counter(registry, index, CH_DEVICE_SESSIONS),
		.notifications = ch_registry_counter(registry, index, CH_DEVICE_NOTIFICATIONS),
		.replies = ch_registry_counter(registry, index, CH_DEVICE_REPLIES),
		.received_bytes = ch_registry_counter(registry, index, CH_DEVICE_RECEIVED),
		.sent_bytes = ch_registry_counter(registry, index, CH_DEVICE_SENT),
	};
	if (record.peer.family != 0)
		ch_address_format(&record.peer, view->peer);
	if (via != NULL)
		view->via = via;
	view_certificate(c, &record, view);
}

size_t ch_collector_identities(const struct ch_collector *c, uint32_t index, size_t most,
			       struct ch_identity_view *views)
{
	const struct ch_policy *policy;
	struct ch_device_record record = {0};
	size_t count = 0;
	uint32_t at = CH_DEVICE_NONE;

	pthread_mutex_lock(policy_lock(c));
	policy = c->shared.policy;
	if (index < ch_devices_count(policy->devices)) {
		at = ch_devices_at(policy->devices, index)->identity;
		ch_registry_read(c->shared.registry, index, &record);
	}
	while (at != CH_DEVICE_NONE && count < most) {
		const struct ch_device_identity *identity =
			ch_devices_identity(policy->devices, at);
		const char *manufacturer =
			ch_devices_manufacturer_name(policy->config, identity->manufacturer);
		struct ch_identity_view *view = &views[count++];

		snprintf(view->manufacturer, sizeof(view->manufacturer), "%s", manufacturer);
		snprintf(view->identifier, sizeof(view->identifier), "%s", identity->text);
		view->database = identity->database;
		view->used =
			ch_devices_identity_tag(manufacturer, identity->text) == record.identity;
		at = identity->next;
	}
	pthread_mutex_unlock(policy_lock(c));
	return count;
}

int ch_collector_device(const struct ch_collector *c, uint32_t index, struct ch_device_view *view)
{
	const struct ch_policy *policy;
	int err = CH_E_UNKNOWN;

	pthread_mutex_lock(policy_lock(c));
	policy = c->shared.policy;
	if (index < ch_devices_count(policy->devices) &&
	    !ch_device_gone(ch_devices_at(policy->devices, index))) {
		view_session(c, index, view);
		view_names(policy, index, view);
		err = 0;
	}
	pthread_mutex_unlock(policy_lock(c));
	return err;
}

static void view_logins(const struct ch_collector *c, struct ch_collector_view *view)
{
	struct ch_hist *all = calloc(1, sizeof(*all));

	if (all == NULL)
		return;
	for (uint32_t i = 0; i < c->shared.worker_count; i++) {
		struct ch_worker *w = &c->shared.workers[i];

		pthread_mutex_lock(&w->login_lock);
		ch_hist_merge(all, &w->login_us);
		pthread_mutex_unlock(&w->login_lock);
	}
	view->login_p50_us = ch_hist_percentile(all, 50);
	view->login_p99_us = ch_hist_percentile(all, 99);
	free(all);
}

static void view_revocation(struct ch_revocation *set, struct ch_collector_view *view)
{
	struct ch_revocation_info info;

	if (set == NULL)
		return;
	ch_revocation_info(set, (int64_t)(ch_unix_ns() / 1000000000), &info);
	view->crl = true;
	view->crl_lists = info.lists;
	view->crl_pending = info.pending;
	view->crl_stale = info.stale;
	view->crl_refused = info.refused;
	view->crl_kept = info.kept;
	view->crl_entries = info.entries;
	view->crl_bytes = info.bytes;
	view->crl_build_ns = info.build_ns;
	view->crl_loaded_unix_ns = info.built_unix_ns;
	view->crl_oldest_unix_ns = (uint64_t)info.oldest * 1000000000;
	view->crl_next_stale_unix_ns = (uint64_t)info.next_stale * 1000000000;
}

static void view_policy(const struct ch_collector *c, struct ch_collector_view *view)
{
	struct ch_reload_view reload;
	struct ch_expiry_view expiry;
	struct ch_revocation *set;

	pthread_mutex_lock(policy_lock(c));
	set = ch_revocation_take(c->shared.policy->revocation);
	view->devices = ch_devices_live(c->shared.policy->devices);
	view->generation = c->shared.policy->generation;
	view->loaded_unix_ns = c->shared.policy->unix_ns;
	ch_expiry_view(c->shared.policy->config, ch_unix_ns(), &expiry);
	view->credential_days = expiry.credential_days;
	view->anchor_days = expiry.anchor_days;
	pthread_mutex_unlock(policy_lock(c));
	view_revocation(set, view);
	ch_revocation_drop(set);
	ch_reload_read(c->shared.reload, &reload);
	view->reload_failed_unix_ns = reload.failed_unix_ns;
	snprintf(view->reload_error, sizeof(view->reload_error), "%s", reload.error);
}

static void view_privileges(struct ch_collector_view *view)
{
	struct ch_privileges privileges;

	ch_privileges_read(&privileges);
	memcpy(view->capabilities, privileges.capabilities, sizeof(view->capabilities));
	view->no_new_privileges = privileges.no_new;
}

void ch_collector_view(const struct ch_collector *c, struct ch_collector_view *view)
{
	struct ch_spool_counters spool = {0};

	*view = (struct ch_collector_view){
		.started_unix_ns = c->started_unix_ns,
		.threads = c->shared.worker_count,
		.byte_budget = c->shared.budget.limit,
		.byte_budget_used = atomic_load(&c->shared.budget.used),
		.max_sessions = c->shared.sessions.limit,
		.max_handshakes = c->shared.handshakes.limit,
		.quarantined = ch_quarantine_count(c->shared.quarantine),
		.record_layer = ch_layer_summary(c->config->record_layer, &c->shared.ktls),
	};
	view_privileges(view);
	view_policy(c, view);
	if (c->shared.spool != NULL)
		ch_spool_counters(c->shared.spool, &spool);
	for (int i = 0; i < CH_SPOOL_STREAMS; i++)
		view->spool_written[i] = spool.written[i];
	view->spool_dropped = spool.dropped;
	view->spool_errors = spool.errors;
	for (uint32_t i = 0; i < c->shared.worker_count; i++)
		view->spool_dropped += ch_stat(&c->shared.workers[i].stats.spool_dropped);
	view_logins(c, view);
}

void ch_collector_counters(const struct ch_collector *c,
			   void (*fn)(void *ctx, const char *name, const char *help, bool gauge,
				      uint64_t value),
			   void *ctx)
{
	enum { COUNTER, GAUGE };
	char name[64];
	uint64_t sum;

#define X(field, kind, text)                                                                       \
	sum = 0;                                                                                   \
	for (uint32_t i = 0; i < c->shared.worker_count; i++)                                      \
		sum += ch_stat(&c->shared.workers[i].stats.field);                                 \
	fn(ctx, #field, text, kind == GAUGE, sum);
	CH_STATS(X)
#undef X
	for (unsigned r = 1; r < CH_REASON_COUNT; r++) {
		sum = 0;
		for (uint32_t i = 0; i < c->shared.worker_count; i++)
			sum += ch_stat(&c->shared.workers[i].stats.reasons[r]);
		snprintf(name, sizeof(name), "reason.%s", ch_reason_name((enum ch_reason)r));
		fn(ctx, name, ch_reason_text((enum ch_reason)r), false, sum);
	}
}

size_t ch_collector_quarantine(const struct ch_collector *c, size_t first, size_t most,
			       struct ch_quarantine_view *views)
{
	return ch_quarantine_copy(c->shared.quarantine, first, most, views);
}

int ch_collector_export(const struct ch_collector *c, char **csv, size_t *len)
{
	struct ch_policy *policy = ch_collector_policy(c);
	struct ch_buf out = {0};
	int err = ch_devices_csv(policy->devices, policy->config, &out);

	ch_policy_drop(policy);
	if (err != 0) {
		ch_buf_deinit(&out);
		return err;
	}
	*csv = (char *)out.data;
	*len = out.len;
	return 0;
}
