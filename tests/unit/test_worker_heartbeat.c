/* SPDX-License-Identifier: Apache-2.0 */
/* links: collector guard tls proto kernel core */
/* sources: tests/unit/fake_ring.c tests/unit/tls_fixture.c */
/* Heartbeats on a session of the collector, on both record layers. */
#include "worker_rig.h"

TestSuite(worker_heartbeat, .init = setup, .fini = teardown);

#define SECOND UINT64_C(1000000000)
#define HELLO_REQUEST "\1\0\5hello0123456789abcdef"

static struct ch_conn *log_in_with(enum ch_heartbeat_mode mode)
{
	heartbeat_mode = (uint8_t)mode;
	return log_in(&pool[0]);
}

static void device_beats(struct device *d, const void *message, size_t len)
{
	struct ch_slice part = {message, len};

	cr_assert_eq(ch_record_seal(&d->record, CH_RECORD_HEARTBEAT, &part, 1, &d->out), 0);
}

static uint8_t *request_of(size_t claimed, size_t len)
{
	static uint8_t request[CH_RECORD_PLAIN_MAX];

	for (size_t i = 0; i < sizeof(request); i++)
		request[i] = (uint8_t)(i * 5);
	request[0] = CH_HEARTBEAT_REQUEST;
	request[1] = (uint8_t)(claimed >> 8);
	request[2] = (uint8_t)claimed;
	cr_assert_leq(len, sizeof(request));
	return request;
}

static uint64_t discarded(void)
{
	return ch_stat(&worker.stats.heartbeats_discarded);
}

/* row: HB1 C4-answer */
Test(worker_heartbeat, a_request_is_answered_with_its_payload)
{
	static const size_t sizes[] = {0, 1, 16, 255, 16365};
	struct device *d = &pool[0];

	log_in_with(CH_HEARTBEAT_ALLOWED);
	for (unsigned i = 0; i < 5; i++) {
		uint8_t *request = request_of(sizes[i], 3 + sizes[i] + 16);

		device_beats(d, request, 3 + sizes[i] + 16);
		pump(d);
		cr_assert_eq(d->beats, i + 1);
		cr_assert_eq(d->beat.len, 3 + sizes[i] + 16);
		cr_assert_eq(d->beat.data[0], CH_HEARTBEAT_RESPONSE);
		cr_assert_eq(memcmp(d->beat.data + 1, request + 1, 2 + sizes[i]), 0);
		cr_assert_neq(memcmp(d->beat.data + 3 + sizes[i], request + 3 + sizes[i], 16), 0);
	}
	cr_assert_eq(ch_stat(&worker.stats.heartbeats_received), 5);
	cr_assert_eq(ch_stat(&worker.stats.heartbeats_answered), 5);
	cr_assert_eq(discarded(), 0);
}

/* row: HB2 */
Test(worker_heartbeat, the_heartbleed_shape_gets_no_byte_and_the_session_lives)
{
	struct device *d = &pool[0];
	struct ch_conn *conn = log_in_with(CH_HEARTBEAT_ALLOWED);
	uint64_t sent = ch_stat(&worker.stats.sent_bytes);

	device_beats(d, "\1\x40\0x", 4);
	device_beats(d, "\1\x40\0", 3);
	device_beats(d, request_of(0xffff, 16384), 16384);
	device_beats(d, request_of(6, 24), 24);
	pump(d);
	cr_assert_eq(d->beats, 0);
	cr_assert_eq(ch_stat(&worker.stats.sent_bytes), sent);
	cr_assert_eq(discarded(), 4);
	cr_assert_eq(conn->state, CH_CONN_OPEN);
}

/* row: HB5 */
Test(worker_heartbeat, unknown_types_are_dropped)
{
	struct device *d = &pool[0];
	struct ch_conn *conn = log_in_with(CH_HEARTBEAT_ALLOWED);

	device_beats(d, "\3\0\5hello0123456789abcdef", 24);
	device_beats(d, "\2\0\5hello0123456789abcdef", 24);
	pump(d);
	cr_assert_eq(d->beats, 0);
	cr_assert_eq(discarded(), 2);
	cr_assert_eq(conn->state, CH_CONN_OPEN);
}

/* row: HB7 */
Test(worker_heartbeat, a_device_that_did_not_negotiate_gets_no_answer)
{
	struct device *d = &pool[0];
	struct ch_conn *conn = log_in_with(CH_HEARTBEAT_NONE);

	device_beats(d, HELLO_REQUEST, 24);
	pump(d);
	cr_assert_eq(d->beats, 0);
	cr_assert_eq(discarded(), 1);
	cr_assert_eq(conn->state, CH_CONN_OPEN);
}

/* row: HB4 */
Test(worker_heartbeat, one_that_comes_in_the_handshake_is_dropped_and_counted)
{
	struct device *d = &pool[0];
	static const uint8_t early[] = "\x18\3\3\0\x18" HELLO_REQUEST;

	heartbeat_mode = CH_HEARTBEAT_ALLOWED;
	device_init(d, CH_TLS_1_3);
	cr_assert_eq(ch_buf_append(&d->out, early, 29), 0);
	accept_one();
	pump(d);
	device_say(d, SERVER_HELLO);
	pump(d);
	cr_assert_eq(only_conn()->state, CH_CONN_OPEN);
	cr_assert_eq(d->beats, 0);
	cr_assert_eq(discarded(), 1);
}

/* row: HB9 */
Test(worker_heartbeat, is_answered_before_the_hello_and_in_the_middle_of_a_message)
{
	struct device *d = &pool[0];

	heartbeat_mode = CH_HEARTBEAT_ALLOWED;
	device_init(d, CH_TLS_1_3);
	accept_one();
	pump(d);
	device_beats(d, HELLO_REQUEST, 24);
	pump(d);
	cr_assert_eq(d->beats, 1);
	cr_assert_eq(only_conn()->state, CH_CONN_HELLO_WAIT);
	device_say(d, SERVER_HELLO);
	device_say(d, "<notification xmlns=\"urn:ietf:params:xml:ns:net");
	device_beats(d, HELLO_REQUEST, 24);
	device_say(d, "conf:notification:1.0\"/>]]>]]>");
	pump(d);
	cr_assert_eq(d->beats, 2);
	cr_assert_eq(ch_stat(&worker.stats.notifications), 1);
	cr_assert_eq(only_conn()->state, CH_CONN_OPEN);
}

/* So many bytes more in the queue, as when the device does not read. */
static void fill_queue(struct ch_conn *conn, size_t len)
{
	cr_assert_eq(ch_buf_reserve(&conn->queue, len), 0);
	memset(conn->queue.data + conn->queue.len, 'x', len);
	conn->queue.len += len;
}

/* row: HB9 */
Test(worker_heartbeat, the_longest_is_answered_while_the_send_queue_is_full)
{
	struct device *d = &pool[0];
	struct ch_conn *conn = log_in_with(CH_HEARTBEAT_ALLOWED);
	size_t full;

	conn->sending = true;
	fill_queue(conn, (size_t)config.max_send_queue - ch_conn_unsent(conn));
	full = conn->queue.len;
	device_beats(d, request_of(16365, 16384), 16384);
	pump(d);
	cr_assert_eq(ch_stat(&worker.stats.heartbeats_answered), 1);
	cr_assert_eq(conn->queue.len, full + 5 + 16384 + 1 + 16);
	/* the next one waits for nobody: what a session can make us hold is one answer */
	device_beats(d, request_of(16365, 16384), 16384);
	device_beats(d, HELLO_REQUEST, 24);
	pump(d);
	cr_assert_eq(ch_stat(&worker.stats.heartbeats_capped), 2);
	cr_assert_eq(conn->queue.len, full + 5 + 16384 + 1 + 16);
	cr_assert_eq(conn->state, CH_CONN_OPEN);
	conn->queue.len = 0;
	conn->sending = false;
}

/* row: HB9 */
Test(worker_heartbeat, an_answer_that_left_makes_room_for_the_next)
{
	struct device *d = &pool[0];
	struct ch_conn *conn = log_in_with(CH_HEARTBEAT_ALLOWED);
	struct fake_op *op;

	device_beats(d, HELLO_REQUEST, 24);
	fake_payload(&ring, fake_find(&ring, FAKE_RECV), d->out.data, (uint32_t)d->out.len, true);
	d->out.len = 0;
	turn();
	op = fake_find(&ring, FAKE_SEND);
	cr_assert_not_null(op);
	cr_assert_eq(conn->answer_left, op->len);
	fake_complete(&ring, op, 10, false); /* short */
	turn();
	cr_assert_eq(conn->answer_left, op->len);
	pump(d);
	cr_assert_eq(conn->answer_left, 0);
}

/* row: HB8 */
Test(worker_heartbeat, answers_are_capped_and_the_session_lives)
{
	struct device *d = &pool[0];
	struct ch_conn *conn = log_in_with(CH_HEARTBEAT_ALLOWED);

	for (unsigned i = 0; i < 200; i++) {
		device_beats(d, HELLO_REQUEST, 24);
		pump(d);
	}
	cr_assert_geq(d->beats, CH_HEARTBEAT_BURST);
	cr_assert_leq(d->beats, CH_HEARTBEAT_BURST + 3 * CH_HEARTBEAT_PER_SECOND);
	cr_assert_eq(ch_stat(&worker.stats.heartbeats_capped), 200 - d->beats);
	cr_assert_eq(conn->state, CH_CONN_OPEN);
	device_say(d, NOTE);
	pump(d);
	cr_assert_eq(ch_stat(&worker.stats.notifications), 1);
}

/* row: HB8 */
Test(worker_heartbeat, a_flood_of_them_ends_the_session)
{
	struct device *d = &pool[0];

	log_in_with(CH_HEARTBEAT_ALLOWED);
	for (unsigned i = 0; i < 2 * CH_HEARTBEAT_FLOOD_BURST; i++) {
		device_beats(d, "\1", 1);
		if (i % 256 == 255)
			pump(d);
	}
	cr_assert_eq(reason_count(CH_REASON_RECORD_FLOOD), 1);
}

/* row: HB8 */
Test(worker_heartbeat, the_idle_timer_of_netconf_goes_on)
{
	struct device *d = &pool[0];
	struct ch_conn *conn = log_in_with(CH_HEARTBEAT_ALLOWED);

	profiles[0].probe_interval_ns = 60 * SECOND;
	conn->heard_ns -= 50 * SECOND;
	uint64_t heard_ns = conn->heard_ns;
	device_beats(d, HELLO_REQUEST, 24);
	pump(d);
	cr_assert_eq(d->beats, 1);
	cr_assert_eq(conn->heard_ns, heard_ns);
	cr_assert_eq(ch_session_expiry(&worker, conn), heard_ns + 60 * SECOND);
	device_say(d, NOTE);
	pump(d);
	cr_assert_gt(conn->heard_ns, heard_ns);
	profiles[0].probe_interval_ns = 0;
}

/* ---- our own ---- */

/* As if so much time had passed without a byte; then the timer. */
static void pass(struct ch_conn *conn, uint64_t ns)
{
	conn->heartbeat.heard_ns -= ns;
	conn->heartbeat.asked_ns -= ns;
	ch_conn_timer(&worker, conn);
}

static void test_every_30s(void)
{
	shared.heartbeat_test =
		(struct ch_heartbeat_test){.max_wait_ns = 30 * SECOND, .max_attempts = 3};
}

/* row: HB7 */
Test(worker_heartbeat, a_silent_device_is_asked_and_its_answer_is_life)
{
	struct device *d = &pool[0];
	struct ch_conn *conn = log_in_with(CH_HEARTBEAT_ALLOWED);
	struct ch_buf answer = {0};
	struct ch_slice payload;
	uint8_t type;

	test_every_30s();
	pass(conn, 29 * SECOND);
	pump(d);
	cr_assert_eq(d->beats, 0);
	pass(conn, SECOND);
	pump(d);
	cr_assert_eq(d->beats, 1);
	cr_assert(ch_heartbeat_parse(d->beat.data, d->beat.len, &type, &payload));
	cr_assert_eq(type, CH_HEARTBEAT_REQUEST);
	pass(conn, 10 * SECOND);
	pump(d);
	cr_assert_eq(d->beats, 1, "one in flight");
	cr_assert_eq(ch_heartbeat_write(&answer, CH_HEARTBEAT_RESPONSE, payload,
					(const uint8_t *)"0123456789abcdef"),
		     0);
	device_beats(d, answer.data, answer.len);
	pump(d);
	cr_assert_eq(conn->heartbeat.in_flight, false);
	pass(conn, 30 * SECOND);
	cr_assert_eq(ch_stat(&worker.stats.heartbeats_sent), 2);
	cr_assert_eq(ch_stat(&worker.stats.heartbeats_missed), 0);
	cr_assert_eq(conn->state, CH_CONN_OPEN);
	ch_buf_deinit(&answer);
}

/* row: HB7 */
Test(worker_heartbeat, three_without_an_answer_end_the_session)
{
	struct device *d = &pool[0];
	struct ch_conn *conn = log_in_with(CH_HEARTBEAT_ALLOWED);

	test_every_30s();
	for (unsigned i = 1; i <= 3; i++) {
		pass(conn, 30 * SECOND);
		pump(d);
		cr_assert_eq(d->beats, i);
		cr_assert_eq(conn->state, CH_CONN_OPEN);
	}
	pass(conn, 30 * SECOND);
	cr_assert_eq(reason_count(CH_REASON_HEARTBEAT_TIMEOUT), 1);
	cr_assert_eq(ch_stat(&worker.stats.heartbeats_sent), 3);
	cr_assert_eq(ch_stat(&worker.stats.heartbeats_missed), 3);
	cr_assert_eq(device_state(), CH_DEVICE_DISCONNECTED);
}

/* row: HB7 */
Test(worker_heartbeat, a_device_that_does_not_allow_it_is_never_asked)
{
	for (int mode = 0; mode < 2; mode++) {
		struct ch_conn *conn =
			log_in_with(mode ? CH_HEARTBEAT_NOT_ALLOWED : CH_HEARTBEAT_NONE);

		test_every_30s();
		cr_assert_eq(ch_session_heartbeat_expiry(&worker, conn), UINT64_MAX);
		pass(conn, 3600 * SECOND);
		pump(&pool[0]);
		cr_assert_eq(pool[0].beats, 0);
		ch_conn_end(&worker, conn, CH_EV_ABORT, CH_REASON_KILLED, NULL);
		settle();
	}
}

Test(worker_heartbeat, the_mode_of_the_device_is_on_record)
{
	struct ch_device_record record;

	log_in_with(CH_HEARTBEAT_NOT_ALLOWED);
	ch_registry_read(shared.registry, 0, &record);
	cr_assert_eq(record.heartbeat, CH_HEARTBEAT_NOT_ALLOWED);
}

/* ---- the kernel's record layer ---- */

static int tls_setsockopt(int fd, int level, int name, const void *value, socklen_t len)
{
	(void)fd, (void)level, (void)name, (void)value, (void)len;
	return 0;
}

/* Logs in over a kernel that does TLS; the device's record layer is idle from then on. */
static struct ch_conn *log_in_kernel(void)
{
	struct device *d = &pool[0];
	struct fake_op *op;

	heartbeat_mode = CH_HEARTBEAT_ALLOWED;
	shared.ktls = (struct ch_ktls_support){.rekey = true};
	config.record_layer = CH_LAYER_POLICY_KERNEL;
	ch_sys.setsockopt = tls_setsockopt;
	device_init(d, CH_TLS_1_3);
	accept_one();
	do
		turn();
	while (!only_conn()->armed && (move(d) || turns_wait() || ring.ready_count > 0));
	fake_record(&ring, fake_find(&ring, FAKE_RECV), CH_RECORD_DATA, SERVER_HELLO,
		    sizeof(SERVER_HELLO) - 1);
	turn();
	while ((op = fake_find(&ring, FAKE_SEND)) != NULL) {
		fake_complete(&ring, op, (int32_t)op->len, false);
		turn();
	}
	cr_assert(only_conn()->rx_kernel && only_conn()->tx_kernel);
	cr_assert_eq(only_conn()->state, CH_CONN_OPEN);
	return only_conn();
}

static void record_comes(const void *data, uint32_t len)
{
	fake_record(&ring, fake_find(&ring, FAKE_RECV), CH_RECORD_HEARTBEAT, data, len);
	turn();
}

/* row: HB1 C4-answer */
Test(worker_heartbeat, the_kernel_sends_answers_of_every_size_as_control_records)
{
	static const size_t sizes[] = {0, 1, 16, 45, 46, 255, 16365};

	log_in_kernel();
	for (unsigned i = 0; i < 7; i++) {
		uint32_t len = (uint32_t)(3 + sizes[i] + 16);
		uint8_t *request = request_of(sizes[i], len);
		struct fake_op *op;

		record_comes(request, len);
		op = fake_find(&ring, FAKE_SEND_RECORD);
		cr_assert_not_null(op);
		cr_assert_eq(op->record_type, CH_RECORD_HEARTBEAT);
		cr_assert_eq(op->len, len);
		cr_assert_eq(*(const uint8_t *)op->data, CH_HEARTBEAT_RESPONSE);
		cr_assert_eq(memcmp((const uint8_t *)op->data + 1, request + 1, 2 + sizes[i]), 0);
		cr_assert_eq(shared.budget.used > 0, len > 64, "long ones are charged");
		fake_complete(&ring, op, (int32_t)len, false);
		turn();
	}
	cr_assert_eq(ch_stat(&worker.stats.heartbeats_answered), 7);
	cr_assert_eq(shared.budget.used, 0);
}

/* row: HB2 HB5 */
Test(worker_heartbeat, what_the_kernel_opens_is_judged_alike)
{
	struct ch_conn *conn = log_in_kernel();

	record_comes("\1\x40\0x", 4);
	record_comes("\3\0\0" HELLO_REQUEST, 27);
	record_comes(NULL, 0);
	cr_assert_null(fake_find(&ring, FAKE_SEND_RECORD));
	cr_assert_eq(discarded(), 3);
	cr_assert_eq(conn->state, CH_CONN_OPEN);
}

/* row: HB9 */
Test(worker_heartbeat, with_the_kernel_one_answer_waits_and_a_full_queue_does_not_matter)
{
	struct ch_conn *conn = log_in_kernel();
	struct fake_op *op;

	fill_queue(conn, 1000);
	ch_conn_flush(&worker, conn); /* these are in flight now, and the device does not read */
	fill_queue(conn, (size_t)config.max_send_queue - 1000);
	record_comes(request_of(16365, 16384), 16384);
	record_comes(HELLO_REQUEST, 24);
	cr_assert_eq(ch_stat(&worker.stats.heartbeats_answered), 1);
	cr_assert_eq(ch_stat(&worker.stats.heartbeats_capped), 1);
	cr_assert_null(fake_find(&ring, FAKE_SEND_RECORD));
	op = fake_find(&ring, FAKE_SEND);
	fake_complete(&ring, op, (int32_t)op->len, false);
	turn();
	op = fake_find(&ring, FAKE_SEND_RECORD);
	cr_assert_not_null(op, "before what still waits in the queue");
	cr_assert_eq(op->len, 16384);
	cr_assert_null(fake_find(&ring, FAKE_SEND));
	cr_assert_eq(ch_conn_unsent(conn), config.max_send_queue - 1000);
	cr_assert_eq(conn->state, CH_CONN_OPEN);
}

/* row: HB1 */
Test(worker_heartbeat, no_budget_for_a_long_answer_is_no_answer)
{
	struct ch_conn *conn = log_in_kernel();

	shared.budget.limit = 1000;
	record_comes(request_of(16365, 16384), 16384);
	cr_assert_null(fake_find(&ring, FAKE_SEND_RECORD));
	cr_assert_eq(ch_stat(&worker.stats.heartbeats_capped), 1);
	cr_assert_eq(shared.budget.used, 0);
	cr_assert_eq(conn->state, CH_CONN_OPEN);
	shared.budget.limit = 0;
}

/* row: HB7 */
Test(worker_heartbeat, through_the_kernel_we_ask_too)
{
	struct ch_conn *conn = log_in_kernel();
	struct fake_op *op;

	test_every_30s();
	pass(conn, 30 * SECOND);
	op = fake_find(&ring, FAKE_SEND_RECORD);
	cr_assert_not_null(op);
	cr_assert_eq(op->record_type, CH_RECORD_HEARTBEAT);
	cr_assert_eq(op->len, 3 + 8 + 16);
	cr_assert_eq(*(const uint8_t *)op->data, CH_HEARTBEAT_REQUEST);
}
