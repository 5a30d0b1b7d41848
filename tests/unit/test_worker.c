/* SPDX-License-Identifier: Apache-2.0 */
/* links: collector tls proto kernel core */
/* sources: tests/unit/fake_ring.c tests/unit/tls_fixture.c */
/*
 * A worker on a ring without a kernel: a device in the same process logs in over it, and the ring
 * misbehaves in every way a real one can.
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
static struct ch_config config;
static struct ch_shared shared;
static struct ch_worker worker;
static struct fake_ring ring;

static char *copy_path(const char *path)
{
	return strdup(path);
}

static void write_devices(void)
{
	static const char csv[] = "acme,SN1,dev1,default,default\n";

	config.devices_file = copy_path(fx_file(csv, sizeof(csv) - 1));
}

static void setup(void)
{
	struct fx_text cert;
	struct fx_text key;
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
	};
	write_devices();
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
	cr_assert_eq(ch_devices_load(&config, (struct ch_devices **)&shared.devices, &error), 0);
	cr_assert_eq(ch_registry_new(1, &shared.registry), 0);
	cr_assert_eq(ch_quarantine_new(8, &shared.quarantine), 0);
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
	uint8_t alert[2];    /* the last one that came */
};

static struct device pool[2];

static void device_deinit(struct device *d)
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
}

static void device_init(struct device *d, uint16_t version)
{
	struct ch_tls_server_options options = {.min_version = version,
						.max_version = version,
						.request_client_certificate = true};

	device_deinit(d);
	memset(d, 0, sizeof(*d));
	d->credential = fx_acme_device(&world, &(struct fx_cert){.serial = "SN1"});
	cr_assert_eq(ch_tls_server_new(&options, &d->context), 0);
	cr_assert_eq(ch_handshake_server(d->context, d->credential, &d->handshake), 0);
	cr_assert_eq(ch_record_engine_new(&d->engine), 0);
}

static void device_arm(struct device *d)
{
	struct ch_record_keys keys;

	cr_assert_eq(ch_handshake_take_keys(d->handshake, &keys), 0);
	ch_record_init(&d->record, d->engine, &keys, NULL);
	d->armed = true;
}

static void device_open(struct device *d)
{
	struct ch_record_event event;
	size_t used;

	while (ch_record_open(&d->record, d->in.data, d->in.len, &used, &event) ==
	       CH_RECORD_EVENT) {
		if (event.type == CH_RECORD_DATA)
			cr_assert_eq(ch_buf_append(&d->plain, event.data, event.len), 0);
		if (event.type == CH_RECORD_ALERT)
			memcpy(d->alert, event.data, 2);
		ch_buf_consume(&d->in, used);
	}
	d->in.len = 0;
}

static void device_read(struct device *d)
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

static void device_say(struct device *d, const char *text)
{
	struct ch_slice part = {(const uint8_t *)text, strlen(text)};

	cr_assert_eq(ch_record_seal(&d->record, CH_RECORD_DATA, &part, 1, &d->out), 0);
}

static void teardown(void)
{
	for (size_t i = 0; i < sizeof(pool) / sizeof(pool[0]); i++)
		device_deinit(&pool[i]);
	worker.ring = &ring.base;
	ch_worker_deinit(&worker);
	ch_devices_free((struct ch_devices *)shared.devices);
	ch_registry_free(shared.registry);
	ch_quarantine_free(shared.quarantine);
	for (size_t i = 0; i < 2; i++)
		free(manufacturers[i].ca);
	free(credentials[0].tls_cert);
	free(credentials[0].tls_key);
	free(config.devices_file);
	fx_world_deinit(&world);
}

TestSuite(worker, .init = setup, .fini = teardown);

/* A device of acme whose serial is in no inventory. */
static void stranger_init(struct device *d)
{
	device_init(d, CH_TLS_1_3);
	ch_handshake_free(d->handshake);
	ch_credential_free(d->credential);
	d->credential = fx_acme_device(&world, &(struct fx_cert){.serial = "SN999"});
	cr_assert_eq(ch_handshake_server(d->context, d->credential, &d->handshake), 0);
}

/* One round of everything the ring waits for. @return false: nothing moved. */
static bool move(struct device *d)
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

static void turn(void)
{
	cr_assert(ch_worker_turn(&worker, 0));
}

static bool turns_wait(void)
{
	return worker.begun.count > 0 || worker.waiting.count > 0;
}

static void pump(struct device *d)
{
	int rounds = 0;

	do {
		turn();
		cr_assert_lt(rounds++, 100);
	} while (move(d) || turns_wait() || ring.ready_count > 0);
}

static struct ch_conn *only_conn(void)
{
	for (uint32_t slot = 0; slot < worker.slab.cap; slot++) {
		if (ch_slab_at(&worker.slab, slot) != NULL)
			return ch_slab_at(&worker.slab, slot);
	}
	return NULL;
}

static void accept_one(void)
{
	ch_login_accept(&worker, open("/dev/null", O_RDONLY | O_CLOEXEC));
}

/* A session that is up, with nothing in flight but its receive. */
static struct ch_conn *log_in(struct device *d)
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
static void settle(void)
{
	do
		turn();
	while (fake_settle(&ring) > 0);
	turn();
}

static uint64_t reason_count(enum ch_reason reason)
{
	return ch_stat(&worker.stats.reasons[reason]);
}

static enum ch_device_state device_state(void)
{
	struct ch_device_record record;

	ch_registry_read(shared.registry, 0, &record);
	return (enum ch_device_state)record.state;
}

static void check_baseline(void)
{
	cr_assert_eq(worker.slab.used, 0);
	cr_assert_eq(shared.sessions.used, 0);
	cr_assert_eq(shared.handshakes.used, 0);
	cr_assert_eq(shared.budget.used, 0);
	cr_assert_eq(ch_stat(&worker.stats.up), 0);
	cr_assert_eq(ch_stat(&worker.stats.handshaking), 0);
	cr_assert_eq(worker.wheel.armed, 0);
}

Test(worker, login_claims_the_device_and_frees_the_descriptor)
{
	struct device *d = &pool[0];
	struct ch_conn *conn = log_in(d);

	cr_assert_eq(device_state(), CH_DEVICE_CONNECTED);
	cr_assert_eq(ch_registry_owner(shared.registry, 0), ch_worker_owner(&worker, conn));
	cr_assert(conn->file.fixed);
	cr_assert_null(conn->login);
	cr_assert_eq(ring.installs, 1);
	cr_assert_eq(conn->client.hello.session_id, 7);
	cr_assert_eq(shared.handshakes.used, 0);
	cr_assert_eq(ch_conn_unsent(conn), 0);
	cr_assert_eq(shared.budget.used, 0, "an idle session holds no buffer");
}

Test(worker, session_keeps_its_descriptor_where_slots_do_not_close)
{
	struct ch_conn *conn;

	shared.fixed = false;
	conn = log_in(&pool[0]);
	cr_assert(!conn->file.fixed);
	cr_assert_eq(ring.installs, 0);
	fake_complete(&ring, fake_find(&ring, FAKE_RECV), -ECONNRESET, false);
	turn();
	cr_assert(!fake_find(&ring, FAKE_CLOSE)->file.fixed, "the descriptor itself is closed");
	settle();
	check_baseline();
}

Test(worker, login_works_over_tls_1_2)
{
	struct device *d = &pool[0];

	device_init(d, CH_TLS_1_2);
	accept_one();
	pump(d);
	device_say(d, SERVER_HELLO);
	pump(d);
	cr_assert_eq(only_conn()->state, CH_CONN_OPEN);
	cr_assert_eq(only_conn()->version, CH_TLS_1_2);
}

Test(worker, session_is_up_only_after_the_hello)
{
	struct device *d = &pool[0];

	device_init(d, CH_TLS_1_3);
	accept_one();
	pump(d);
	cr_assert(d->armed, "TLS is finished");
	cr_assert_eq(only_conn()->state, CH_CONN_HELLO_WAIT);
	cr_assert_eq(device_state(), CH_DEVICE_CONNECTING);
	cr_assert_eq(ch_stat(&worker.stats.logins), 0);
}

Test(worker, short_send_goes_on_where_it_stopped)
{
	struct device *d = &pool[0];
	struct fake_op *op;
	unsigned sends = 0;

	device_init(d, CH_TLS_1_3);
	accept_one();
	turn();
	while ((op = fake_find(&ring, FAKE_SEND)) != NULL) {
		uint32_t some = op->len > 100 ? 100 : op->len;

		cr_assert_eq(ch_buf_append(&d->in, op->data, some), 0);
		fake_complete(&ring, op, (int32_t)some, false);
		sends++;
		turn();
	}
	cr_assert_geq(sends, 2);
	cr_assert_eq(ch_stat(&worker.stats.short_sends), sends - 1);
	device_read(d);
	cr_assert_gt(d->out.len, 0, "the ClientHello came together again");
}

Test(worker, receive_without_buffers_is_armed_again)
{
	struct device *d = &pool[0];
	struct ch_conn *conn = log_in(d);

	fake_complete(&ring, fake_find(&ring, FAKE_RECV), -ENOBUFS, false);
	turn();
	cr_assert_eq(ch_stat(&worker.stats.recv_nobufs), 1);
	cr_assert_eq(ch_stat(&worker.stats.recv_rearmed), 1);
	cr_assert_not_null(fake_find(&ring, FAKE_RECV));
	device_say(d, NOTE);
	pump(d);
	cr_assert_eq(ch_stat(&worker.stats.notifications), 1);
	cr_assert_eq(conn->state, CH_CONN_OPEN);
}

Test(worker, multishot_that_stopped_is_armed_again_and_loses_nothing)
{
	struct device *d = &pool[0];

	log_in(d);
	device_say(d, NOTE);
	fake_payload(&ring, fake_find(&ring, FAKE_RECV), d->out.data, (uint32_t)d->out.len, false);
	d->out.len = 0;
	turn();
	cr_assert_eq(ch_stat(&worker.stats.notifications), 1);
	cr_assert_eq(ch_stat(&worker.stats.recv_rearmed), 1);
	device_say(d, NOTE);
	pump(d);
	cr_assert_eq(ch_stat(&worker.stats.notifications), 2);
}

Test(worker, every_receive_buffer_goes_back)
{
	struct device *d = &pool[0];
	unsigned before;

	log_in(d);
	before = ring.recycled;
	for (int i = 0; i < 5; i++) {
		device_say(d, NOTE);
		pump(d);
	}
	cr_assert_eq(ring.recycled, before + 5);
}

Test(worker, stale_completion_is_dropped_and_its_buffer_goes_back)
{
	struct ch_completion stale = {
		.user_data = ch_user_data(CH_OP_RECV, 12345, 2), .buffered = true, .result = 3};
	unsigned before = ring.recycled;

	fake_push(&ring, &stale);
	turn();
	cr_assert_eq(ch_stat(&worker.stats.stale_completions), 1);
	cr_assert_eq(ring.recycled, before + 1);
}

Test(worker, completion_of_an_earlier_life_of_the_slot_is_stale)
{
	struct device *d = &pool[0];
	struct ch_conn *conn = log_in(d);
	uint64_t old = ch_worker_user_data(conn, CH_OP_SEND);

	fake_complete(&ring, fake_find(&ring, FAKE_RECV), -ECONNRESET, false);
	settle();
	check_baseline();
	accept_one();
	turn();
	cr_assert_eq(only_conn()->slot, ch_user_data_slot(old), "the slot lives again");
	fake_push(&ring, &(struct ch_completion){.user_data = old, .result = -EPIPE});
	turn();
	cr_assert_eq(ch_stat(&worker.stats.stale_completions), 1);
	cr_assert_eq(only_conn()->state, CH_CONN_TLS_HANDSHAKE);
}

Test(worker, overflow_of_the_completion_queue_is_counted)
{
	ring.base.counters.cq_overflows = 3;
	turn();
	turn();
	cr_assert_eq(ch_stat(&worker.stats.cq_overflows), 3);
}

Test(worker, handshake_cap_refuses_with_its_own_reason)
{
	for (int i = 0; i < 3; i++)
		accept_one();
	cr_assert_eq(reason_count(CH_REASON_HANDSHAKE_LIMIT), 1);
	cr_assert_eq(worker.slab.used, 2);
	cr_assert_eq(shared.sessions.used, 2);
}

Test(worker, session_cap_refuses_with_its_own_reason)
{
	shared.handshakes.limit = 100;
	for (int i = 0; i < 4; i++)
		accept_one();
	cr_assert_eq(reason_count(CH_REASON_SESSION_LIMIT), 1);
	cr_assert_eq(ch_stat(&worker.stats.table_full), 0);
	cr_assert_eq(worker.slab.used, 3);
}

Test(worker, full_slot_table_refuses_and_gives_every_place_back)
{
	shared.handshakes.limit = 100;
	shared.sessions.limit = 100;
	for (int i = 0; i < 5; i++)
		accept_one();
	cr_assert_eq(ch_stat(&worker.stats.table_full), 1);
	cr_assert_eq(reason_count(CH_REASON_SESSION_LIMIT), 1);
	cr_assert_eq(shared.sessions.used, 4);
	cr_assert_eq(shared.handshakes.used, 4);
}

Test(worker, silent_device_ends_at_the_login_deadline)
{
	accept_one();
	turn();
	config.login_timeout_ns = 0;
	ch_conn_arm_timer(&worker, only_conn());
	usleep(2000);
	turn();
	settle();
	cr_assert_eq(reason_count(CH_REASON_SILENT), 1);
	check_baseline();
}

Test(worker, device_that_stops_in_its_first_header_was_heard)
{
	struct fake_op *op;

	accept_one();
	turn();
	op = fake_find(&ring, FAKE_RECV_EXACT);
	((uint8_t *)op->into)[0] = 22; /* one byte came; the exact receive goes on */
	config.login_timeout_ns = 0;
	ch_conn_arm_timer(&worker, only_conn());
	usleep(2000);
	turn();
	settle();
	cr_assert_eq(reason_count(CH_REASON_HANDSHAKE_TIMEOUT), 1);
	check_baseline();
}

Test(worker, clock_is_read_after_a_long_wait_before_anything_is_handled)
{
	struct fake_op op = {.kind = FAKE_ACCEPT, .user_data = ch_user_data(CH_OP_ACCEPT, 0, 0)};
	struct ch_listener listener = {.fd = -1, .accepting = true};
	uint64_t before;

	/* An idle worker sleeps for a minute; a login must not begin a minute ago. */
	worker.listeners = &listener;
	worker.listener_count = 1;
	turn();
	before = worker.now_ns;
	ring.run_us = 20000;
	fake_complete(&ring, &op, open("/dev/null", O_RDONLY | O_CLOEXEC), true);
	turn();
	cr_assert_geq(only_conn()->accepted_ns, before + 20000000);
	worker.listeners = NULL;
	worker.listener_count = 0;
}

Test(worker, garbage_is_not_tls)
{
	struct fake_op *op;

	accept_one();
	turn();
	op = fake_find(&ring, FAKE_RECV_EXACT);
	memcpy(op->into, "GET /", 5);
	fake_complete(&ring, op, 5, false);
	turn();
	cr_assert_eq(reason_count(CH_REASON_NOT_TLS), 1);
	cr_assert_eq(only_conn()->state, CH_CONN_DRAIN);
}

Test(worker, reset_while_logging_in_is_nobodys_fault)
{
	accept_one();
	turn();
	fake_complete(&ring, fake_find(&ring, FAKE_RECV_EXACT), -ECONNRESET, false);
	settle();
	cr_assert_eq(reason_count(CH_REASON_CLOSED_IN_HANDSHAKE), 1);
	cr_assert_eq(ch_reason_fault(CH_REASON_CLOSED_IN_HANDSHAKE), CH_FAULT_NETWORK);
	check_baseline();
}

Test(worker, refused_install_ends_the_connection_cleanly)
{
	struct device *d = &pool[0];

	device_init(d, CH_TLS_1_3);
	ring.fail_install = -ENXIO;
	accept_one();
	pump(d);
	settle();
	cr_assert_eq(reason_count(CH_REASON_INTERNAL), 1);
	check_baseline();
}

Test(worker, clean_close_is_told_from_truncation)
{
	static const uint8_t close_notify[2] = {1, 0};
	struct ch_slice part = {close_notify, 2};
	struct device *d = &pool[0];

	log_in(d);
	cr_assert_eq(ch_record_seal(&d->record, CH_RECORD_ALERT, &part, 1, &d->out), 0);
	pump(d);
	cr_assert_eq(d->alert[1], 0, "answered by close_notify");
	fake_complete(&ring, fake_find(&ring, FAKE_RECV), 0, false);
	settle();
	cr_assert_eq(reason_count(CH_REASON_CLOSED_BY_DEVICE), 1);
	check_baseline();
	log_in(d);
	fake_complete(&ring, fake_find(&ring, FAKE_RECV), 0, false);
	settle();
	cr_assert_eq(reason_count(CH_REASON_TRUNCATED), 1);
	cr_assert_eq(device_state(), CH_DEVICE_DISCONNECTED);
	check_baseline();
}

Test(worker, login_time_is_that_of_the_login_even_after_the_end)
{
	struct ch_device_record up;
	struct ch_device_record down;

	log_in(&pool[0]);
	ch_registry_read(shared.registry, 0, &up);
	usleep(3000);
	fake_complete(&ring, fake_find(&ring, FAKE_RECV), -ECONNRESET, false);
	settle();
	ch_registry_read(shared.registry, 0, &down);
	cr_assert_eq(down.state, CH_DEVICE_DISCONNECTED);
	cr_assert_gt(up.login_us, 0);
	cr_assert_eq(down.login_us, up.login_us);
}

Test(worker, alert_that_waits_behind_a_reset_still_gives_the_reason)
{
	static const uint8_t alert[2] = {2, 48}; /* unknown_ca */
	struct ch_slice part = {alert, 2};
	struct device *d = &pool[0];

	device_init(d, CH_TLS_1_3);
	accept_one();
	do
		turn();
	while (!d->armed && (move(d) || turns_wait() || ring.ready_count > 0));
	while (only_conn()->state != CH_CONN_HELLO_WAIT || fake_find(&ring, FAKE_SEND) == NULL) {
		struct fake_op *op = fake_find(&ring, FAKE_SEND);

		if (op != NULL)
			fake_complete(&ring, op, (int32_t)op->len, false);
		turn();
	}
	/* The device refused us, sent its alert and was gone: our send hears of it first. */
	fake_complete(&ring, fake_find(&ring, FAKE_SEND), -ECONNRESET, false);
	turn();
	cr_assert_eq(only_conn()->state, CH_CONN_HELLO_WAIT);
	cr_assert_eq(ch_record_seal(&d->record, CH_RECORD_ALERT, &part, 1, &d->out), 0);
	fake_payload(&ring, fake_find(&ring, FAKE_RECV), d->out.data, (uint32_t)d->out.len, true);
	turn();
	cr_assert_eq(reason_count(CH_REASON_CLIENT_CERT_REFUSED), 1);
	cr_assert_eq(reason_count(CH_REASON_RESET), 0);
}

/* A device may send its hello as 0.5-RTT data: the session is up before it has judged us. */
Test(worker, certificate_that_is_refused_behind_an_early_hello_gives_the_reason)
{
	static const uint8_t alert[2] = {2, 48}; /* unknown_ca */
	struct ch_slice part = {alert, 2};
	struct device *d = &pool[0];

	log_in(d);
	cr_assert_eq(ch_record_seal(&d->record, CH_RECORD_ALERT, &part, 1, &d->out), 0);
	pump(d);
	cr_assert_eq(reason_count(CH_REASON_CLIENT_CERT_REFUSED), 1);
	cr_assert_eq(reason_count(CH_REASON_TLS_ALERT), 0);
	cr_assert_eq(device_state(), CH_DEVICE_DISCONNECTED);
}

Test(worker, handshakes_that_began_go_before_new_ones)
{
	struct device *d = &pool[0];
	struct fake_op *op;
	unsigned flights = 0;

	device_init(d, CH_TLS_1_3);
	accept_one();
	do
		turn();
	while (!turns_wait() && d->out.len == 0 && move(d));
	/* The first device's answer and a second device come in the same turn. */
	while (fake_find(&ring, FAKE_RECV_EXACT)->len == CH_TLS_HEADER) {
		move(d);
		turn();
	}
	move(d);
	accept_one();
	turn();
	for (unsigned i = 0; i < FAKE_OPS; i++) {
		op = &ring.ops[i];
		if (op->kind != FAKE_RECV_EXACT)
			continue;
		if (flights++ == 0)
			cr_assert_eq(ch_user_data_slot(op->user_data), only_conn()->slot,
				     "the one that began was served first");
	}
	cr_assert_eq(flights, 2);
}

Test(worker, queue_that_would_outlast_the_deadline_is_not_joined)
{
	shared.handshakes.limit = 100;
	shared.sessions.limit = 100;
	/* At 4 s a login the third in the queue would wait 8 of its 10 s. */
	worker.login_cost_ns = 4000000000;
	for (int i = 0; i < 3; i++)
		accept_one();
	cr_assert_eq(worker.slab.used, 2);
	cr_assert_eq(reason_count(CH_REASON_HANDSHAKE_LIMIT), 1);
	cr_assert_eq(shared.handshakes.used, 2);
}

Test(worker, cost_of_a_login_is_learnt)
{
	struct ch_conn *conn = log_in(&pool[0]);

	cr_assert_not_null(conn);
	cr_assert_gt(worker.login_cost_ns, 10000);
	cr_assert_lt(worker.login_cost_ns, 1000000000);
}

Test(worker, time_out_of_tcp_says_unreachable)
{
	struct device *d = &pool[0];

	log_in(d);
	fake_complete(&ring, fake_find(&ring, FAKE_RECV), -ETIMEDOUT, false);
	settle();
	cr_assert_eq(reason_count(CH_REASON_UNREACHABLE), 1);
}

Test(worker, tampered_record_is_answered_by_bad_record_mac)
{
	struct device *d = &pool[0];

	log_in(d);
	device_say(d, NOTE);
	d->out.data[d->out.len - 1] ^= 1;
	pump(d);
	cr_assert_eq(reason_count(CH_REASON_BAD_RECORD), 1);
	cr_assert_eq(d->alert[0], 2);
	cr_assert_eq(d->alert[1], CH_ALERT_BAD_RECORD_MAC);
}

Test(worker, newer_session_of_the_same_device_supersedes)
{
	struct device *first = &pool[0];
	struct device *second = &pool[1];
	struct ch_conn *old = log_in(first);
	uint64_t owner = ch_worker_owner(&worker, old);

	/* The old one's device is silent: only the second moves from here on. */
	fake_find(&ring, FAKE_RECV)->kind = FAKE_ACCEPT;
	device_init(second, CH_TLS_1_3);
	accept_one();
	pump(second);
	device_say(second, SERVER_HELLO);
	pump(second);
	turn();
	cr_assert_eq(ch_stat(&worker.stats.superseded), 1);
	cr_assert_eq(reason_count(CH_REASON_SUPERSEDED), 1);
	cr_assert_neq(ch_registry_owner(shared.registry, 0), owner);
	cr_assert_neq(ch_registry_owner(shared.registry, 0), CH_OWNER_NONE);
	cr_assert_eq(device_state(), CH_DEVICE_CONNECTED, "the new one is up");
}

/* What an application's request brought. */
struct answer {
	char text[256];
	size_t len;
	int status;
	int done;
};

static void on_answer(void *ctx, const uint8_t *data, size_t len, bool done, int status)
{
	struct answer *a = ctx;

	if (len > 0 && a->len + len < sizeof(a->text)) {
		memcpy(a->text + a->len, data, len);
		a->len += len;
	}
	a->done += done;
	a->status = status;
}

static void post_request(struct ch_conn *conn, const char *xml, struct answer *a)
{
	struct ch_job *job = calloc(1, sizeof(*job) + strlen(xml));
	struct ch_mail mail = {.kind = CH_MAIL_REQUEST, .job = job};

	*job = (struct ch_job){.fn = on_answer, .ctx = a, .timeout_ns = 1000000000};
	job->len = strlen(xml);
	memcpy(job->operation, xml, job->len);
	mail.owner = ch_worker_owner(&worker, conn);
	cr_assert_eq(ch_worker_post(&worker, &mail), 0);
}

Test(worker, request_of_an_application_is_answered_once)
{
	struct answer a = {0};
	struct device *d = &pool[0];
	struct ch_conn *conn = log_in(d);

	post_request(conn, "<get/>", &a);
	pump(d);
	cr_assert_not_null(memmem(d->plain.data, d->plain.len, "<get/>", 6));
	device_say(d, "<rpc-reply xmlns=\"urn:ietf:params:xml:ns:netconf:base:1.0\" "
		       "message-id=\"1\"><ok/></rpc-reply>]]>]]>");
	pump(d);
	cr_assert_eq(a.done, 1);
	cr_assert_eq(a.status, 0);
	cr_assert_not_null(strstr(a.text, "<ok/>"));
	cr_assert_eq(ch_stat(&worker.stats.replies), 1);
}

Test(worker, request_fails_when_the_device_goes)
{
	struct answer a = {0};
	struct device *d = &pool[0];
	struct ch_conn *conn = log_in(d);

	post_request(conn, "<get/>", &a);
	pump(d);
	fake_complete(&ring, fake_find(&ring, FAKE_RECV), -ECONNRESET, false);
	settle();
	cr_assert_eq(a.done, 1);
	cr_assert_eq(a.status, CH_E_NOT_CONNECTED);
	check_baseline();
}

Test(worker, request_for_a_session_that_is_gone_is_refused)
{
	struct answer a = {0};
	struct device *d = &pool[0];
	struct ch_conn *conn = log_in(d);

	post_request(conn, "<get/>", &a);
	fake_complete(&ring, fake_find(&ring, FAKE_RECV), -ECONNRESET, false);
	settle();
	cr_assert_eq(a.done, 1);
	cr_assert_eq(a.status, CH_E_NOT_CONNECTED);
}

Test(worker, device_that_does_not_read_ends_as_stalled)
{
	struct answer a[8] = {0};
	char big[20000];
	struct device *d = &pool[0];
	struct ch_conn *conn = log_in(d);

	memset(big, 'x', sizeof(big) - 1);
	big[0] = '<';
	big[sizeof(big) - 2] = '>';
	big[sizeof(big) - 1] = '\0';
	for (int i = 0; i < 4; i++)
		post_request(conn, big, &a[i]);
	turn();
	cr_assert_eq(reason_count(CH_REASON_READER_STALLED), 1);
	cr_assert_eq(a[0].done, 1);
	cr_assert_eq(a[3].done, 1);
}

Test(worker, kill_says_close_session_and_waits_for_the_answer)
{
	struct device *d = &pool[0];
	struct ch_conn *conn = log_in(d);
	struct ch_mail mail = {.kind = CH_MAIL_KILL, .owner = ch_worker_owner(&worker, conn)};

	cr_assert_eq(ch_worker_post(&worker, &mail), 0);
	pump(d);
	cr_assert_eq(conn->state, CH_CONN_CLOSING);
	cr_assert_eq(reason_count(CH_REASON_KILLED), 1);
	cr_assert_not_null(memmem(d->plain.data, d->plain.len, "<close-session/>", 16));
	device_say(d, "<rpc-reply xmlns=\"urn:ietf:params:xml:ns:netconf:base:1.0\" "
		       "message-id=\"1\"><ok/></rpc-reply>]]>]]>");
	pump(d);
	cr_assert_eq(conn->state, CH_CONN_DRAIN);
	fake_complete(&ring, fake_find(&ring, FAKE_RECV), 0, false);
	settle();
	check_baseline();
}

Test(worker, stop_ends_every_session_and_then_itself)
{
	struct device *d = &pool[0];
	struct ch_mail stop = {.kind = CH_MAIL_STOP};

	log_in(d);
	cr_assert_eq(ch_worker_post(&worker, &stop), 0);
	turn();
	cr_assert_eq(reason_count(CH_REASON_SHUTDOWN), 1);
	shared.aborting = true;
	turn();
	fake_settle(&ring);
	turn();
	fake_settle(&ring);
	cr_assert(!ch_worker_turn(&worker, 0), "nothing is left");
	check_baseline();
}

Test(worker, budget_ends_the_largest_holder_not_the_next_caller)
{
	struct device *d = &pool[0];
	struct ch_conn *conn;
	char half[60000];

	shared.client_limits.framing.max_message = 1 << 20;
	conn = log_in(d);
	memset(half, ' ', sizeof(half));
	memcpy(half, "<notification>", 14);
	half[sizeof(half) - 1] = '\0';
	for (int i = 0; i < 3; i++) {
		device_say(d, half);
		pump(d);
	}
	cr_assert_gt(conn->client.partial.cap, 65536);
	shared.budget.limit = shared.budget.used + 1000;
	worker.shed_ns = 0;
	ch_worker_shed(&worker);
	settle();
	cr_assert_eq(reason_count(CH_REASON_BYTE_BUDGET), 1);
	check_baseline();
}

Test(worker, unknown_device_is_remembered_only_with_proven_key)
{
	struct ch_quarantine_view view;
	struct device *d = &pool[0];

	config.unknown = CH_UNKNOWN_QUARANTINE;
	stranger_init(d);
	accept_one();
	for (int i = 0; i < 20 && reason_count(CH_REASON_UNKNOWN_DEVICE) == 0; i++) {
		turn();
		if (reason_count(CH_REASON_UNKNOWN_DEVICE) == 0)
			move(d);
	}
	cr_assert_eq(reason_count(CH_REASON_UNKNOWN_DEVICE), 1);
	cr_assert_eq(ch_quarantine_copy(shared.quarantine, 0, 1, &view), 1);
	cr_assert_str_eq(view.identifier, "SN999");
	cr_assert_str_eq(view.manufacturer, "acme");
}

Test(worker, unknown_device_is_refused_without_a_trace_under_reject)
{
	struct device *d = &pool[0];

	stranger_init(d);
	accept_one();
	for (int i = 0; i < 20 && reason_count(CH_REASON_UNKNOWN_DEVICE) == 0; i++) {
		turn();
		if (reason_count(CH_REASON_UNKNOWN_DEVICE) == 0)
			move(d);
	}
	cr_assert_eq(reason_count(CH_REASON_UNKNOWN_DEVICE), 1);
	cr_assert_eq(ch_quarantine_count(shared.quarantine), 0);
}

/* ---- the kernel's record layer, as far as the ring shows it ---- */

static int tls_installs;
static int refuse_option; /* TLS_TX 1, TLS_RX 2; 0 = none */

static int tls_setsockopt(int fd, int level, int name, const void *value, socklen_t len)
{
	(void)fd, (void)value, (void)len;
	if (level == 282 && name == refuse_option) {
		errno = ENOENT;
		return -1;
	}
	tls_installs += level == 282 && (name == 1 || name == 2);
	return 0;
}

/* Logs in over a kernel that does TLS; the device's record layer is idle from then on. */
static struct ch_conn *log_in_kernel(struct device *d, bool rekey, int refuse)
{
	shared.ktls = (struct ch_ktls_support){.rekey = rekey};
	config.record_layer = CH_LAYER_POLICY_KERNEL;
	ch_sys.setsockopt = tls_setsockopt;
	refuse_option = refuse;
	device_init(d, CH_TLS_1_3);
	accept_one();
	do
		turn();
	while (!only_conn()->armed && (move(d) || turns_wait() || ring.ready_count > 0));
	cr_assert(only_conn()->armed);
	if (refuse != 2)
		fake_record(&ring, fake_find(&ring, FAKE_RECV), CH_RECORD_DATA, SERVER_HELLO,
			    sizeof(SERVER_HELLO) - 1);
	turn();
	return only_conn();
}

static void record_comes(uint8_t type, const void *data, uint32_t len)
{
	fake_record(&ring, fake_find(&ring, FAKE_RECV), type, data, len);
	turn();
}

/* Completes every send; the data ones are gathered in @sent. */
static void finish_sends(struct ch_buf *sent)
{
	struct fake_op *op;

	while ((op = fake_find(&ring, FAKE_SEND)) != NULL) {
		cr_assert_eq(ch_buf_append(sent, op->data, op->len), 0);
		fake_complete(&ring, op, (int32_t)op->len, false);
		turn();
	}
}

Test(worker, kernel_layer_gets_keys_and_sends_plaintext)
{
	struct ch_conn *conn = log_in_kernel(&pool[0], true, 0);
	struct ch_buf sent = {0};

	cr_assert_eq(tls_installs, 2);
	cr_assert(conn->rx_kernel);
	cr_assert(conn->tx_kernel);
	cr_assert_eq(conn->state, CH_CONN_OPEN);
	finish_sends(&sent);
	cr_assert_not_null(memmem(sent.data, sent.len, "<hello", 6), "our hello left as plaintext");
	record_comes(CH_RECORD_DATA, NOTE, sizeof(NOTE) - 1);
	cr_assert_eq(ch_stat(&worker.stats.notifications), 1);
	cr_assert_eq(conn->layer_why, CH_WHY_NONE);
	ch_buf_deinit(&sent);
}

Test(worker, direction_that_the_kernel_refuses_stays_in_user_space)
{
	struct ch_conn *conn = log_in_kernel(&pool[0], true, 1);
	struct ch_buf sent = {0};

	cr_assert(conn->rx_kernel);
	cr_assert(!conn->tx_kernel);
	cr_assert_eq(conn->layer_why, CH_WHY_REFUSED);
	finish_sends(&sent);
	cr_assert_null(memmem(sent.data, sent.len, "<hello", 6), "sealed by us");
	cr_assert_eq(sent.data[0], CH_RECORD_DATA);
	ch_buf_deinit(&sent);
}

Test(worker, refused_receiving_keys_leave_the_user_layer_in_charge)
{
	struct device *d = &pool[0];
	struct ch_conn *conn = log_in_kernel(d, true, 2);

	cr_assert(!conn->rx_kernel);
	cr_assert(conn->tx_kernel);
	device_say(d, SERVER_HELLO);
	while (d->out.len > 0 || ring.ready_count > 0) {
		struct fake_op *op = fake_find(&ring, FAKE_RECV);

		fake_payload(&ring, op, d->out.data, (uint32_t)d->out.len, true);
		d->out.len = 0;
		turn();
	}
	cr_assert_eq(conn->state, CH_CONN_OPEN);
}

Test(worker, close_notify_through_the_kernel_is_a_control_record)
{
	struct ch_buf sent = {0};
	struct ch_conn *conn = log_in_kernel(&pool[0], true, 0);
	struct fake_op *op;

	finish_sends(&sent);
	ch_buf_deinit(&sent);
	record_comes(CH_RECORD_ALERT, "\1\0", 2);
	op = fake_find(&ring, FAKE_SEND_RECORD);
	cr_assert_not_null(op);
	cr_assert_eq(op->record_type, CH_RECORD_ALERT);
	cr_assert_eq(op->len, 2);
	cr_assert_arr_eq(op->data, "\1\0", 2);
	cr_assert_eq(conn->state, CH_CONN_DRAIN);
	cr_assert_eq(reason_count(CH_REASON_CLOSED_BY_DEVICE), 1);
	fake_complete(&ring, op, 2, false);
	fake_complete(&ring, fake_find(&ring, FAKE_RECV), 0, false);
	settle();
	check_baseline();
}

Test(worker, key_update_changes_both_keys_in_order)
{
	struct ch_buf sent = {0};
	struct ch_conn *conn = log_in_kernel(&pool[0], true, 0);
	struct fake_op *op;

	finish_sends(&sent);
	ch_buf_deinit(&sent);
	record_comes(CH_RECORD_HANDSHAKE, "\x18\0\0\1\1", 5); /* update_requested */
	op = fake_find(&ring, FAKE_REKEY);
	cr_assert_not_null(op);
	cr_assert_eq(op->direction, CH_KTLS_RX);
	/* The kernel stops receiving until the keys are in. */
	fake_complete(&ring, fake_find(&ring, FAKE_RECV), -EKEYEXPIRED, false);
	turn();
	cr_assert_null(fake_find(&ring, FAKE_RECV));
	fake_complete(&ring, op, 0, false);
	turn();
	cr_assert_not_null(fake_find(&ring, FAKE_RECV), "armed again");
	/* Our answer leaves under the old key; only then the sending key changes. */
	op = fake_find(&ring, FAKE_SEND_RECORD);
	cr_assert_eq(op->record_type, CH_RECORD_HANDSHAKE);
	cr_assert_arr_eq(op->data, "\x18\0\0\1\0", 5);
	cr_assert_null(fake_find(&ring, FAKE_REKEY));
	fake_complete(&ring, op, 5, false);
	turn();
	op = fake_find(&ring, FAKE_REKEY);
	cr_assert_eq(op->direction, CH_KTLS_TX);
	cr_assert(conn->rekeying_tx);
	fake_complete(&ring, op, 0, false);
	turn();
	cr_assert(!conn->rekeying_tx);
	cr_assert_eq(ch_stat(&worker.stats.key_updates), 1);
	record_comes(CH_RECORD_DATA, NOTE, sizeof(NOTE) - 1);
	cr_assert_eq(ch_stat(&worker.stats.notifications), 1);
}

Test(worker, key_update_on_a_kernel_that_cannot_ends_with_its_own_reason)
{
	log_in_kernel(&pool[0], false, 0);
	record_comes(CH_RECORD_HANDSHAKE, "\x18\0\0\1\0", 5);
	cr_assert_eq(reason_count(CH_REASON_KEY_UPDATE), 1);
}

Test(worker, bad_record_in_the_kernel_ends_without_spinning)
{
	struct ch_conn *conn = log_in_kernel(&pool[0], true, 0);

	fake_complete(&ring, fake_find(&ring, FAKE_RECV), -EBADMSG, false);
	turn();
	cr_assert_eq(reason_count(CH_REASON_BAD_RECORD), 1);
	cr_assert_eq(conn->state, CH_CONN_DRAIN);
	cr_assert_null(fake_find(&ring, FAKE_RECV), "every further receive would say the same");
}

Test(worker, empty_control_record_of_the_kernel_is_refused)
{
	log_in_kernel(&pool[0], true, 0);
	record_comes(CH_RECORD_HANDSHAKE, NULL, 0);
	cr_assert_eq(reason_count(CH_REASON_UNEXPECTED_RECORD), 1);
}
