/* SPDX-License-Identifier: Apache-2.0 */
#include "sim_rig.h"

#include <criterion/criterion.h>
#include <criterion/hooks.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void must(bool fine, const char *what)
{
	if (fine)
		return;
	fprintf(stderr, "rig: %s\n", what);
	abort();
}

/* Tests run in processes of their own, children of the one that makes the PKI. */
static void dir_of(pid_t pid, char dir[64])
{
	snprintf(dir, 64, "/tmp/callhome-sim-test-%d", (int)pid);
}

ReportHook(PRE_ALL)(struct criterion_test_set *tests)
{
	char dir[64], error[SIM_PKI_ERROR];
	const struct sim_pki_spec spec = {
		.dir = dir,
		.devices = RIG_DEVICES,
		.spares = RIG_SPARES,
		.listen = "127.0.0.1:4335",
		.limits = "",
	};

	(void)tests;
	dir_of(getpid(), dir);
	must(sim_pki_make(&spec, error) == 0, error);
}

static int remove_entry(const char *path, const struct stat *info, int type, struct FTW *walk)
{
	(void)info;
	(void)type;
	(void)walk;
	return remove(path);
}

ReportHook(POST_ALL)(struct criterion_global_stats *stats)
{
	char dir[64];

	(void)stats;
	dir_of(getpid(), dir);
	(void)nftw(dir, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}

const char *rig_dir(void)
{
	static char dir[64];

	dir_of(getppid(), dir);
	return dir;
}

/* The inventory: the fleet's and the spares' identifiers, by the rules of the simulator. */
static enum ch_reason lookup(void *ctx, const struct ch_identity *identity, struct ch_match *match)
{
	const struct rig *rig = ctx;
	const char *id = identity->identifier;

	*match = (struct ch_match){.credential = rig->credential};
	if (identity->manufacturer == CH_MANUFACTURER_NONE)
		return CH_REASON_UNKNOWN_DEVICE;
	for (uint32_t i = 0; i < RIG_DEVICES; i++) {
		char fleet[32], spare[32];
		uint32_t maker = i % 4 == 3 ? 1 : 0;
		snprintf(fleet, sizeof(fleet), "%s-%08u", maker ? "BRG" : "ACM", i);
		snprintf(spare, sizeof(spare), "%s-%08u", maker ? "BRG" : "ACM", 90000000 + i);
		if (strcmp(id, fleet) != 0 && strcmp(id, spare) != 0)
			continue;
		match->device = i;
		return maker == identity->manufacturer ? CH_REASON_NONE
						       : CH_REASON_WRONG_MANUFACTURER;
	}
	return CH_REASON_UNKNOWN_DEVICE;
}

/* As gen-certs configures it. */
static void set_lists(struct rig *rig)
{
	char lists[128], error[CH_ERROR_TEXT];
	struct ch_revocation_options options = {.path = lists, .trust = rig->trust};
	struct ch_revocation *set = NULL;

	snprintf(lists, sizeof(lists), "%s/crl", rig_dir());
	must(ch_revocation_build(&options, &set, error) == 0, error);
	ch_tls_client_revocation(rig->context, set);
	ch_revocation_drop(set);
	ch_trust_set_revocation(rig->trust, 0, CH_REVOCATION_IF_PRESENT, CH_STALE_REFUSE);
}

static void init_collector(struct rig *rig)
{
	const struct ch_tls_client_options options = {
		.trust = NULL,
		.lookup = lookup,
		.lookup_ctx = rig,
	};
	struct ch_tls_client_options with_trust = options;
	char cert[128], key[128], acme[128], borg[128], error[CH_ERROR_TEXT];

	snprintf(cert, sizeof(cert), "%s/client.pem", rig_dir());
	snprintf(key, sizeof(key), "%s/client.key", rig_dir());
	snprintf(acme, sizeof(acme), "%s/acme-ca.pem", rig_dir());
	snprintf(borg, sizeof(borg), "%s/borg-ca.pem", rig_dir());
	must(ch_credential_load(cert, key, &rig->credential, error) == 0, error);
	must(ch_trust_new(&rig->trust) == 0, "trust");
	must(ch_trust_add(rig->trust, "acme", acme, CH_IDENTIFIER_SERIAL_NUMBER, error) == 0, error);
	must(ch_trust_add(rig->trust, "borg", borg, CH_IDENTIFIER_CN, error) == 0, error);
	with_trust.trust = rig->trust;
	must(ch_tls_client_new(&with_trust, &rig->context) == 0, "client context");
	set_lists(rig);
	must(ch_record_engine_new(&rig->engine) == 0, "engine");
	rig->limits = (struct ch_client_limits){
		.framing = {.max_message = 16 << 20, .max_chunks = 1 << 20},
		.max_depth = 128,
	};
	ch_client_init(&rig->client, &rig->limits, NULL);
	must(ch_handshake_client(rig->context, &rig->handshake) == 0, "client handshake");
}

static void end(struct rig *rig, enum ch_reason reason)
{
	if (rig->reason == CH_REASON_NONE)
		rig->reason = reason;
}

/* Plaintext of the client becomes records. */
static void seal(struct rig *rig, struct ch_buf *plain)
{
	rig_send_raw(rig, CH_RECORD_DATA, plain->data, plain->len);
	ch_buf_deinit(plain);
}

static void secure(struct rig *rig)
{
	struct ch_handshake_info info;
	struct ch_record_keys keys;
	struct ch_buf hello = {0};

	ch_handshake_info(rig->handshake, &info);
	if (!info.extended_master_secret) {
		end(rig, CH_REASON_NO_EMS);
		return;
	}
	ch_heartbeat_init(&rig->heartbeat, (enum ch_heartbeat_mode)info.heartbeat, 1);
	must(ch_handshake_take_keys(rig->handshake, &keys) == 0, "keys");
	ch_record_init(&rig->record, rig->engine, &keys, NULL);
	ch_handshake_free(rig->handshake);
	rig->handshake = NULL;
	rig->secured = true;
	must(ch_client_start(&rig->client, &hello) == 0, "hello");
	seal(rig, &hello);
}

static void step(struct rig *rig, const uint8_t *record, size_t len)
{
	switch (ch_handshake_step(rig->handshake, record, len, &rig->out)) {
	case CH_HANDSHAKE_READ:
		break;
	case CH_HANDSHAKE_DONE:
		secure(rig);
		break;
	case CH_HANDSHAKE_FAILED:
		end(rig, ch_handshake_reason(rig->handshake));
		break;
	}
}

void rig_init(struct rig *rig, uint32_t index, const struct sim_impostor *impostor)
{
	char error[SIM_PKI_ERROR];

	memset(rig, 0, sizeof(*rig));
	must(sim_pki_load(rig_dir(), &rig->pki, error) == 0, error);
	must(sim_shared_init(&rig->shared, rig->pki, 3000) == 0, "shared");
	rig->shared.framing = SIM_FRAMING_MIX;
	sim_device_init(&rig->device, &rig->shared, index, impostor);
	init_collector(rig);
	must(sim_device_connected(&rig->device) == 0, "connected");
	step(rig, NULL, 0);
}

void rig_deinit(struct rig *rig)
{
	sim_device_reset(&rig->device);
	sim_shared_deinit(&rig->shared);
	sim_pki_free(rig->pki);
	ch_handshake_free(rig->handshake);
	if (rig->secured)
		ch_record_deinit(&rig->record);
	ch_client_deinit(&rig->client);
	ch_record_engine_free(rig->engine);
	ch_tls_context_free(rig->context);
	ch_trust_free(rig->trust);
	ch_credential_free(rig->credential);
	ch_buf_deinit(&rig->in);
	ch_buf_deinit(&rig->out);
	ch_buf_deinit(&rig->last);
}

static void on_event(struct rig *rig, const struct ch_client_event *event)
{
	if (event->kind == CH_CLIENT_UP)
		rig->up = true;
	if (event->kind == CH_CLIENT_CLOSED)
		rig->closed++;
	if (event->kind == CH_CLIENT_REPLY)
		rig->replies++;
	if (event->kind == CH_CLIENT_NOTIFICATION)
		rig->notifications++;
	if (event->kind == CH_CLIENT_REPLY || event->kind == CH_CLIENT_NOTIFICATION) {
		struct ch_reply_info info;
		rig->last.len = 0;
		must(ch_buf_append(&rig->last, event->message.data, event->message.len) == 0, "last");
		if (event->kind == CH_CLIENT_REPLY &&
		    ch_reply_inspect(event->message, rig->limits.max_depth, &info) != 0)
			end(rig, CH_REASON_BAD_MESSAGE);
	}
}

static void on_plain(struct rig *rig, const uint8_t *data, size_t len)
{
	while (rig->reason == CH_REASON_NONE) {
		struct ch_client_event event;
		size_t used;
		enum ch_client_result result =
			ch_client_feed(&rig->client, data, len, &used, &event);
		if (result == CH_CLIENT_ERROR)
			end(rig, rig->client.reason);
		if (result != CH_CLIENT_EVENT)
			return;
		on_event(rig, &event);
		data += used;
		len -= used;
	}
}

static void follow_key_update(struct rig *rig, uint8_t asks)
{
	must(ch_record_rekey(&rig->record, false) == 0, "rekey");
	rig->updates++;
	rig->update_asks += asks;
}

/* Answered as a collector must. */
static void on_heartbeat(struct rig *rig, const struct ch_record_event *event)
{
	static const uint8_t padding[CH_HEARTBEAT_PADDING] = "0123456789abcdef";
	struct ch_buf message = {0};
	struct ch_slice payload;

	switch (ch_heartbeat_received(&rig->heartbeat, event->data, event->len, 1, &payload)) {
	case CH_HEARTBEAT_ANSWER:
		if (rig->leaks)
			payload = (struct ch_slice){(const uint8_t *)"secret", 6};
		must(ch_heartbeat_write(&message, CH_HEARTBEAT_RESPONSE, payload, padding) == 0,
		     "heartbeat");
		rig_send_raw(rig, CH_RECORD_HEARTBEAT, message.data, message.len);
		ch_buf_deinit(&message);
		break;
	case CH_HEARTBEAT_ANSWERED:
		rig->beats++;
		break;
	case CH_HEARTBEAT_FLOOD:
		end(rig, CH_REASON_RECORD_FLOOD);
		break;
	case CH_HEARTBEAT_DISCARDED:
	case CH_HEARTBEAT_CAPPED:
		break;
	}
}

static void on_alert(struct rig *rig, const struct ch_record_event *event)
{
	uint8_t code;

	switch (ch_alert_parse(event->data, event->len, true, &code)) {
	case CH_ALERT_CLOSED:
		end(rig, CH_REASON_CLOSED_BY_DEVICE);
		break;
	case CH_ALERT_WARNING:
		break;
	case CH_ALERT_FATAL:
	case CH_ALERT_MALFORMED:
		end(rig, ch_alert_refuses_certificate(code) ? CH_REASON_CLIENT_CERT_REFUSED
							    : CH_REASON_TLS_ALERT);
		break;
	}
}

static void on_record(struct rig *rig, const struct ch_record_event *event)
{
	if (event->type == CH_RECORD_HEARTBEAT) {
		on_heartbeat(rig, event);
		return;
	}
	if ((event->type != CH_RECORD_DATA || event->len == 0) && ++rig->control > 64)
		end(rig, CH_REASON_RECORD_FLOOD);
	else if (event->type == CH_RECORD_DATA)
		on_plain(rig, event->data, event->len);
	else if (event->type == CH_RECORD_HANDSHAKE && event->len == 5 && event->data[0] == 24)
		follow_key_update(rig, event->data[4]);
	else if (event->type != CH_RECORD_ALERT)
		end(rig, CH_REASON_UNEXPECTED_RECORD);
	else
		on_alert(rig, event);
}

static void read_records(struct rig *rig)
{
	size_t at = 0;

	while (at < rig->in.len && rig->reason == CH_REASON_NONE) {
		struct ch_record_event event;
		size_t used;
		enum ch_record_result result = ch_record_open(&rig->record, rig->in.data + at,
							      rig->in.len - at, &used, &event);
		if (result == CH_RECORD_ERROR)
			end(rig, rig->record.reason);
		if (result != CH_RECORD_EVENT)
			break;
		on_record(rig, &event);
		at += used;
	}
	rig->in.len = 0;
}

/* @return false: the record is not complete */
static bool read_handshake(struct rig *rig)
{
	if (rig->in.len < CH_TLS_HEADER)
		return false;
	int body = ch_handshake_record_length(rig->in.data);
	if (body < 0) {
		end(rig, CH_REASON_NOT_TLS);
		return false;
	}
	size_t len = CH_TLS_HEADER + (size_t)body;
	if (rig->in.len < len)
		return false;
	struct ch_buf record = {0};
	must(ch_buf_append(&record, rig->in.data, len) == 0, "record");
	ch_buf_consume(&rig->in, len);
	step(rig, record.data, record.len);
	ch_buf_deinit(&record);
	return true;
}

static void collector_reads(struct rig *rig)
{
	must(ch_buf_append(&rig->in, rig->device.out.data, rig->device.out.len) == 0, "in");
	rig->device.out.len = 0;
	while (rig->handshake && rig->reason == CH_REASON_NONE && read_handshake(rig))
		continue;
	if (!rig->handshake)
		read_records(rig);
}

static size_t device_reads_handshake(struct rig *rig, const uint8_t *data, size_t len)
{
	uint32_t wanted = 0;
	void *into = sim_device_want(&rig->device, &wanted);

	if (!into) {
		if (sim_device_in_handshake(&rig->device))
			sim_device_step(&rig->device);
		return 0;
	}
	must(wanted <= len, "the device wants more than a record");
	memcpy(into, data, wanted);
	sim_device_got(&rig->device);
	return wanted;
}

static void device_reads(struct rig *rig)
{
	struct ch_buf bytes = rig->out;
	size_t at = 0;

	memset(&rig->out, 0, sizeof(rig->out));
	while (rig->device.state != SIM_CLOSING) {
		size_t left = bytes.len - at;
		if (sim_device_in_handshake(&rig->device)) {
			uint32_t wanted;
			if (left == 0 && sim_device_want(&rig->device, &wanted))
				break;
			at += device_reads_handshake(rig, bytes.data + at, left);
			continue;
		}
		if (left == 0)
			break;
		if (rig->pump_bytes && left > rig->pump_bytes)
			left = rig->pump_bytes;
		sim_device_data(&rig->device, bytes.data + at, left);
		at += left;
	}
	ch_buf_deinit(&bytes);
}

void rig_pump(struct rig *rig)
{
	for (int round = 0; round < 1000; round++) {
		if (rig->out.len == 0 && rig->device.out.len == 0)
			return;
		if (rig->device.out.len > 0)
			collector_reads(rig);
		if (rig->out.len > 0)
			device_reads(rig);
	}
	must(false, "the two never fall silent");
}

void rig_login(struct rig *rig, uint32_t index)
{
	rig_init(rig, index, NULL);
	rig_pump(rig);
	cr_assert_eq(rig->reason, CH_REASON_NONE, "%s", ch_reason_name(rig->reason));
	cr_assert(rig->up);
	cr_assert_eq(rig->device.state, SIM_OPEN);
}

int64_t rig_rpc(struct rig *rig, const char *operation)
{
	const struct ch_slice xml = {(const uint8_t *)operation, strlen(operation)};
	struct ch_buf plain = {0};
	int64_t id = ch_client_request(&rig->client, xml, UINT64_MAX - 1, false, 1, &plain);

	must(id > 0, "request");
	seal(rig, &plain);
	rig_pump(rig);
	return id;
}

void rig_subscribe(struct rig *rig)
{
	struct ch_buf plain = {0};

	must(ch_client_subscribe(&rig->client, UINT64_MAX - 1, 2, &plain) > 0, "subscribe");
	seal(rig, &plain);
	rig_pump(rig);
}

void rig_send_raw(struct rig *rig, uint8_t type, const void *data, size_t len)
{
	const struct ch_slice part = {data, len};

	must(ch_record_seal(&rig->record, type, &part, 1, &rig->out) == 0, "seal");
}

bool rig_last_has(const struct rig *rig, const char *text)
{
	return memmem(rig->last.data, rig->last.len, text, strlen(text)) != NULL;
}
