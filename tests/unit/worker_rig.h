/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * A worker on a ring without a kernel, and a device in the same process that logs in over it. One
 * rig per test program: everything is static, and `setup` and `teardown` go into its TestSuite.
 */
#include "fake_ring.h"
#include "tls_fixture.h"
#include "kernel/sock.h"
#include "user/collector/worker.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SERVER_HELLO                                                                               \
	"<hello xmlns=\"urn:ietf:params:xml:ns:netconf:base:1.0\"><capabilities>"                  \
	"<capability>urn:ietf:params:netconf:base:1.0</capability>"                                \
	"<capability>urn:ietf:params:netconf:capability:notification:1.0</capability>"             \
	"<capability>urn:ietf:params:netconf:capability:interleave:1.0</capability>"               \
	"</capabilities><session-id>7</session-id></hello>]]>]]>"
#define NOTE "<notification xmlns=\"urn:ietf:params:xml:ns:netconf:notification:1.0\"/>]]>]]>"

static struct fx_world world;
static struct ch_config_manufacturer manufacturers[2] = {{.name = "acme", .identifier = 1},
							 {.name = "borg", .identifier = 0}};
static struct ch_config_credential credentials[1] = {{.name = "default"}};
static struct ch_config_profile profiles[1] = {{.name = "default"}};
static struct ch_gate_options gate;
static struct ch_config config;
static struct ch_shared shared;
static struct ch_worker worker;
static struct fake_ring ring;

static inline char *copy_path(const char *path)
{
	return strdup(path);
}

static inline void write_devices(void)
{
	static const char csv[] = "acme,SN1,dev1,default,default\n";

	config.devices_file = copy_path(fx_file(csv, sizeof(csv) - 1));
}

static inline void setup(void)
{
	struct fx_text cert;
	struct fx_text key;
	const struct ch_devices_input from = {.config = &config};
	struct ch_devices *devices;
	struct ch_buf error = {0};

	fx_world_init(&world);
	manufacturers[0].ca = copy_path(world.acme_file);
	manufacturers[1].ca = copy_path(world.borg_file);
	cert = fx_pem_certs((X509 *[]){world.client_cert, NULL});
	key = fx_pem_key(world.client_key);
	credentials[0].tls_cert = copy_path(fx_file(cert.data, cert.len));
	credentials[0].tls_key = copy_path(fx_file(key.data, key.len));
	fx_text_free(&cert);
	fx_text_free(&key);
	config = (struct ch_config){
		.manufacturers = manufacturers,
		.manufacturer_count = 2,
		.credentials = credentials,
		.credential_count = 1,
		.profiles = profiles,
		.profile_count = 1,
		.login_timeout_ns = 10000000000,
		.rpc_timeout_ns = 10000000000,
		.shutdown_timeout_ns = 10000000000,
		.max_send_queue = 65536,
		.peer_allowed_to_send = true,
	};
	write_devices();
	gate = (struct ch_gate_options){.mode = CH_GATE_USERSPACE,
					.sources = {.failures = 3, .window_ns = UINT64_MAX,
						    .ban_ns = 300000000000,
						    .ban_most_ns = 300000000000, .known_ns = 1,
						    .v4_bits = 32, .v6_bits = 64, .most = 64,
						    .bans_most = 16}};
	shared = (struct ch_shared){
		.config = &config,
		.client_limits = {.framing = {.max_message = 65536, .max_chunks = 1000},
				  .max_depth = 32},
		.workers = &worker,
		.worker_count = 1,
		.slots = 4,
		.fixed = true,
		.sessions = {.limit = 3},
		.handshakes = {.limit = 2},
	};
	cr_assert_eq(ch_devices_load(&from, &devices, &error), 0);
	cr_assert_eq(ch_policy_new(&config, devices, 1, &shared.policy), 0);
	cr_assert_eq(ch_registry_new(1, &shared.registry), 0);
	cr_assert_eq(ch_quarantine_new(8, &shared.quarantine), 0);
	cr_assert_eq(ch_authorities_new(&shared.authorities), 0);
	cr_assert_eq(ch_gate_new(&gate, NULL, &shared.gate, &error), 0);
	memset(&worker, 0, sizeof(worker));
	cr_assert_eq(ch_worker_init(&worker, &shared, 0, &error), 0);
	fake_ring_init(&ring);
	cr_assert_eq(ch_worker_begin(&worker, &ring.base), 0);
}

/* The device at the other end of the fake ring. */
struct device {
	struct ch_handshake *handshake;
	struct ch_tls_context *context;
	struct ch_credential *credential;
	struct ch_record_engine *engine;
	struct ch_record record;
	bool armed;
	struct ch_buf in;    /* from the collector, not read yet */
	struct ch_buf out;   /* for the collector */
	struct ch_buf plain; /* opened application data */
	struct ch_buf beat;  /* the last heartbeat record that came */
	unsigned beats;
	uint8_t alert[2];    /* the last one that came */
	unsigned updates;    /* KeyUpdates that came, and were followed */
	unsigned update_asks;
};

static struct device pool[2];
static uint8_t heartbeat_mode; /* that devices answer with; enum ch_heartbeat_mode */

static inline void device_deinit(struct device *d)
{
	ch_handshake_free(d->handshake);
	ch_tls_context_free(d->context);
	ch_credential_free(d->credential);
	if (d->armed)
		ch_record_deinit(&d->record);
	ch_record_engine_free(d->engine);
	ch_buf_deinit(&d->in);
	ch_buf_deinit(&d->out);
	ch_buf_deinit(&d->plain);
	ch_buf_deinit(&d->beat);
}

static inline void device_init(struct device *d, uint16_t version)
{
	struct ch_tls_server_options options = {.min_version = version,
						.max_version = version,
						.request_client_certificate = true,
						.heartbeat = heartbeat_mode};

	device_deinit(d);
	memset(d, 0, sizeof(*d));
	d->credential = fx_acme_device(&world, &(struct fx_cert){.serial = "SN1"});
	cr_assert_eq(ch_tls_server_new(&options, &d->context), 0);
	cr_assert_eq(ch_handshake_server(d->context, d->credential, &d->handshake), 0);
	cr_assert_eq(ch_record_engine_new(&d->engine), 0);
}

static inline void device_arm(struct device *d)
{
	struct ch_record_keys keys;

	cr_assert_eq(ch_handshake_take_keys(d->handshake, &keys), 0);
	ch_record_init(&d->record, d->engine, &keys, NULL);
	d->armed = true;
}

static inline void device_open(struct device *d)
{
	struct ch_record_event event;
	size_t used;

	while (ch_record_open(&d->record, d->in.data, d->in.len, &used, &event) ==
	       CH_RECORD_EVENT) {
		if (event.type == CH_RECORD_DATA)
			cr_assert_eq(ch_buf_append(&d->plain, event.data, event.len), 0);
		if (event.type == CH_RECORD_ALERT)
			memcpy(d->alert, event.data, 2);
		if (event.type == CH_RECORD_HANDSHAKE) {
			cr_assert_eq(event.len, 5);
			cr_assert_arr_eq(event.data, "\x18\0\0\1", 4);
			d->updates++;
			d->update_asks += event.data[4];
			cr_assert_eq(ch_record_rekey(&d->record, false), 0);
		}
		if (event.type == CH_RECORD_HEARTBEAT) {
			d->beat.len = 0;
			d->beats++;
			cr_assert_eq(ch_buf_append(&d->beat, event.data, event.len), 0);
		}
		ch_buf_consume(&d->in, used);
	}
	d->in.len = 0;
}

static inline void device_read(struct device *d)
{
	while (!d->armed && d->in.len >= CH_TLS_HEADER) {
		size_t len = CH_TLS_HEADER + (size_t)ch_handshake_record_length(d->in.data);
		enum ch_handshake_status status;

		if (d->in.len < len)
			return;
		status = ch_handshake_step(d->handshake, d->in.data, len, &d->out);
		ch_buf_consume(&d->in, len);
		cr_assert_neq(status, CH_HANDSHAKE_FAILED, "%s", ch_handshake_detail(d->handshake));
		if (status == CH_HANDSHAKE_DONE)
			device_arm(d);
	}
	if (d->armed && d->in.len > 0)
		device_open(d);
}

static inline void device_say(struct device *d, const char *text)
{
	struct ch_slice part = {(const uint8_t *)text, strlen(text)};

	cr_assert_eq(ch_record_seal(&d->record, CH_RECORD_DATA, &part, 1, &d->out), 0);
}

static inline void teardown(void)
{
	for (size_t i = 0; i < sizeof(pool) / sizeof(pool[0]); i++)
		device_deinit(&pool[i]);
	for (uint32_t slot = 0; slot < worker.slab.cap; slot++) {
		if (ch_slab_at(&worker.slab, slot) != NULL)
			ch_session_fail_requests(ch_slab_at(&worker.slab, slot));
	}
	worker.ring = &ring.base;
	ch_worker_deinit(&worker);
	ch_policy_drop(shared.policy);
	ch_registry_free(shared.registry);
	ch_quarantine_free(shared.quarantine);
	ch_authorities_free(shared.authorities);
	ch_gate_free(shared.gate);
	for (size_t i = 0; i < 2; i++)
		free(manufacturers[i].ca);
	free(credentials[0].tls_cert);
	free(credentials[0].tls_key);
	free(config.devices_file);
	fx_world_deinit(&world);
}

/* A device of acme whose serial is in no inventory. */
static inline void stranger_init(struct device *d)
{
	device_init(d, CH_TLS_1_3);
	ch_handshake_free(d->handshake);
	ch_credential_free(d->credential);
	d->credential = fx_acme_device(&world, &(struct fx_cert){.serial = "SN999"});
	cr_assert_eq(ch_handshake_server(d->context, d->credential, &d->handshake), 0);
}

/* One round of everything the ring waits for. @return false: nothing moved. */
static inline bool move(struct device *d)
{
	struct fake_op *op = fake_find(&ring, FAKE_SEND);
	bool moved = false;

	if (op != NULL) {
		cr_assert_eq(ch_buf_append(&d->in, op->data, op->len), 0);
		fake_complete(&ring, op, (int32_t)op->len, false);
		device_read(d);
		moved = true;
	}
	op = fake_find(&ring, FAKE_RECV_EXACT);
	if (op != NULL && d->out.len >= op->len) {
		uint32_t len = op->len;

		memcpy(op->into, d->out.data, len);
		fake_complete(&ring, op, (int32_t)len, false);
		ch_buf_consume(&d->out, len);
		moved = true;
	}
	op = fake_find(&ring, FAKE_RECV);
	if (op != NULL && d->out.len > 0) {
		fake_payload(&ring, op, d->out.data, (uint32_t)d->out.len, true);
		d->out.len = 0;
		moved = true;
	}
	return moved;
}

static inline void ignore_answer(void *ctx, const uint8_t *data, size_t len, bool done, int status)
{
	(void)ctx, (void)data, (void)len, (void)done, (void)status;
}

/* Application data of ours: a <get/>, whose answer @fn gets. */
static inline void ask_device_for(struct ch_conn *conn, ch_reply_fn fn, void *ctx)
{
	struct ch_job *job = calloc(1, sizeof(*job) + 6);

	cr_assert_not_null(job);
	*job = (struct ch_job){.fn = fn, .ctx = ctx, .timeout_ns = 1000000000, .len = 6};
	memcpy(job->operation, "<get/>", 6);
	ch_session_request(&worker, conn, job);
}

static inline void ask_device(struct ch_conn *conn)
{
	ask_device_for(conn, ignore_answer, NULL);
}

static inline void turn(void)
{
	cr_assert(ch_worker_turn(&worker, 0));
}

static inline bool turns_wait(void)
{
	return !ch_turns_empty(&worker.turns, false);
}

static inline void pump(struct device *d)
{
	int rounds = 0;

	do {
		turn();
		cr_assert_lt(rounds++, 100);
	} while (move(d) || turns_wait() || ring.ready_count > 0);
}

static inline struct ch_conn *only_conn(void)
{
	for (uint32_t slot = 0; slot < worker.slab.cap; slot++) {
		if (ch_slab_at(&worker.slab, slot) != NULL)
			return ch_slab_at(&worker.slab, slot);
	}
	return NULL;
}

static inline void accept_one(void)
{
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	struct ch_address peer = {0};

	(void)!ch_sock_peer(fd, &peer);
	ch_login_accept(&worker, fd, &peer);
}

/* A session that is up, with nothing in flight but its receive. */
static inline struct ch_conn *log_in(struct device *d)
{
	device_init(d, CH_TLS_1_3);
	accept_one();
	pump(d);
	device_say(d, SERVER_HELLO);
	pump(d);
	cr_assert_not_null(only_conn());
	cr_assert_eq(only_conn()->state, CH_CONN_OPEN);
	return only_conn();
}

/* Lets everything end that was told to. */
static inline void settle(void)
{
	do
		turn();
	while (fake_settle(&ring) > 0);
	turn();
}

static inline uint64_t reason_count(enum ch_reason reason)
{
	return ch_stat(&worker.stats.reasons[reason]);
}

static inline enum ch_device_state device_state(void)
{
	struct ch_device_record record;

	ch_registry_read(shared.registry, 0, &record);
	return (enum ch_device_state)record.state;
}

static inline void check_baseline(void)
{
	cr_assert_eq(worker.slab.used, 0);
	cr_assert_eq(shared.sessions.used, 0);
	cr_assert_eq(shared.handshakes.used, 0);
	cr_assert_eq(shared.budget.used, 0);
	cr_assert_eq(ch_stat(&worker.stats.up), 0);
	cr_assert_eq(ch_stat(&worker.stats.handshaking), 0);
	cr_assert_eq(worker.wheel.armed, 0);
}
