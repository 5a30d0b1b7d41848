/* SPDX-License-Identifier: Apache-2.0 */
/* links: collector guard tls proto kernel core */
/* sources: tests/unit/fake_ring.c tests/unit/tls_fixture.c */
/* The ring misbehaves in every way a real one can. */
#include "worker_rig.h"

TestSuite(worker, .init = setup, .fini = teardown);

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

/* A login up to the device's first flight, which lies in its out. @return the receive of a header
 */
static struct fake_op *first_flight(struct device *d, uint16_t version)
{
	struct fake_op *op;

	device_init(d, version);
	accept_one();
	turn();
	op = fake_find(&ring, FAKE_SEND);
	cr_assert_eq(ch_buf_append(&d->in, op->data, op->len), 0);
	fake_complete(&ring, op, (int32_t)op->len, false);
	device_read(d);
	turn();
	op = fake_find(&ring, FAKE_RECV_EXACT);
	cr_assert_eq(op->len, CH_TLS_HEADER);
	memcpy(op->into, d->out.data, CH_TLS_HEADER);
	return op;
}

/*
 * The device's flight is there up to @split bytes when its first header comes; the rest comes
 * later.
 * @return how long the flight is
 */
static uint32_t log_in_with_flight_split_at(struct device *d, uint16_t version, uint32_t split)
{
	struct fake_op *op = first_flight(d, version);
	uint32_t len = (uint32_t)d->out.len - CH_TLS_HEADER;
	uint8_t *there;

	if (split > len)
		split = len;
	fake_complete(&ring, op, CH_TLS_HEADER, false);
	there = malloc(split + 1);
	memcpy(there, d->out.data + CH_TLS_HEADER, split);
	ring.there = there;
	ring.there_len = split;
	ch_buf_consume(&d->out, CH_TLS_HEADER + split);
	for (int i = 0; i < 5; i++)
		turn();
	cr_assert_eq(ring.there_len, 0, "taken before anything is received");
	pump(d);
	device_say(d, SERVER_HELLO);
	pump(d);
	free(there);
	cr_assert_eq(only_conn()->state, CH_CONN_OPEN, "split at %u of %u", split, len);
	ch_conn_end(&worker, only_conn(), CH_EV_ABORT, CH_REASON_KILLED, NULL);
	pump(d);
	settle();
	check_baseline();
	return len;
}

static void split_everywhere(uint16_t version)
{
	uint32_t len = log_in_with_flight_split_at(&pool[0], version, UINT32_MAX);

	/* Around the first two headers byte by byte, then often enough. */
	for (uint32_t split = 0; split < len; split += split < 160 ? 1 : 61)
		log_in_with_flight_split_at(&pool[0], version, split);
	cr_assert_eq(ring.there_len, 0);
}

Test(worker, flight_that_is_there_in_part_is_read_whole_over_tls_1_3)
{
	split_everywhere(CH_TLS_1_3);
}

Test(worker, flight_that_is_there_in_part_is_read_whole_over_tls_1_2)
{
	split_everywhere(CH_TLS_1_2);
}

Test(worker, flight_that_is_there_needs_the_ring_for_its_first_header_only)
{
	struct device *d = &pool[0];
	struct fake_op *op = first_flight(d, CH_TLS_1_3);

	fake_complete(&ring, op, CH_TLS_HEADER, false);
	ring.there = d->out.data + CH_TLS_HEADER;
	ring.there_len = (uint32_t)d->out.len - CH_TLS_HEADER;
	for (int i = 0; i < 10 && only_conn()->state == CH_CONN_TLS_HANDSHAKE; i++) {
		turn();
		cr_assert_null(fake_find(&ring, FAKE_RECV_EXACT));
	}
	cr_assert_eq(ring.there_len, 0);
	cr_assert_neq(only_conn()->state, CH_CONN_TLS_HANDSHAKE);
}

/* row: C8 */
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

Test(worker, busy_worker_waits_for_a_batch_but_never_while_somebody_logs_in)
{
	struct device *d = &pool[0];

	log_in(d);
	turn();
	cr_assert_eq(ring.base.least, 1, "an idle worker takes the first completion at once");
	for (int i = 0; i < 8; i++) {
		device_say(d, NOTE);
		fake_payload(&ring, fake_find(&ring, FAKE_RECV), d->out.data, (uint32_t)d->out.len,
			     true);
		d->out.len = 0;
	}
	cr_assert(ch_worker_turn(&worker, 1000000000));
	cr_assert(ch_worker_turn(&worker, 1000000000));
	cr_assert_eq(ring.base.least, 64);
	cr_assert_leq(ring.last_wait_ns, 2000000);
	worker.last_round = 8;
	accept_one();
	turn();
	turn();
	worker.last_round = 8;
	turn();
	cr_assert_eq(ring.base.least, 1);
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

/* Ends the login of the only connection by the deadline that the configuration has now. */
static void pass_deadline(void)
{
	ch_conn_arm_timer(&worker, only_conn());
	usleep(2000);
	turn();
	settle();
}

Test(worker, silent_device_ends_at_the_login_deadline)
{
	accept_one();
	turn();
	config.login_timeout_ns = 0;
	pass_deadline();
	cr_assert_eq(reason_count(CH_REASON_SILENT), 1);
	check_baseline();
}

Test(worker, first_byte_has_a_deadline_of_its_own_that_the_first_byte_ends)
{
	struct fake_op *op;

	accept_one();
	turn();
	config.first_byte_timeout_ns = 1;
	op = fake_find(&ring, FAKE_RECV_EXACT);
	((uint8_t *)op->into)[0] = 22;
	pass_deadline();
	cr_assert_eq(only_conn()->state, CH_CONN_TLS_HANDSHAKE);
	((uint8_t *)op->into)[0] = 0;
	pass_deadline();
	cr_assert_eq(reason_count(CH_REASON_SILENT), 1);
	check_baseline();
}

Test(worker, handshake_has_a_deadline_of_its_own)
{
	struct fake_op *op;

	accept_one();
	turn();
	config.handshake_timeout_ns = 1;
	pass_deadline();
	cr_assert_eq(only_conn()->state, CH_CONN_TLS_HANDSHAKE);
	op = fake_find(&ring, FAKE_RECV_EXACT);
	((uint8_t *)op->into)[0] = 22;
	pass_deadline();
	cr_assert_eq(reason_count(CH_REASON_HANDSHAKE_TIMEOUT), 1);
	check_baseline();
}

Test(worker, hello_has_a_deadline_of_its_own)
{
	device_init(&pool[0], CH_TLS_1_3);
	accept_one();
	config.first_byte_timeout_ns = config.handshake_timeout_ns = 60000000000;
	pump(&pool[0]);
	cr_assert_eq(only_conn()->state, CH_CONN_HELLO_WAIT);
	config.hello_timeout_ns = 1;
	pass_deadline();
	cr_assert_eq(reason_count(CH_REASON_HELLO_TIMEOUT), 1);
}

Test(worker, a_connection_whose_turn_never_came_is_not_its_devices_fault)
{
	accept_one();
	config.login_timeout_ns = 0;
	ch_conn_timer(&worker, only_conn());
	turn();
	settle();
	cr_assert_eq(reason_count(CH_REASON_HANDSHAKE_LIMIT), 1);
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
	pass_deadline();
	cr_assert_eq(reason_count(CH_REASON_HANDSHAKE_TIMEOUT), 1);
	check_baseline();
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

/* row: 7589-4 */
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

/* row: C8-refused */
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
/* row: C8-refused */
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

Test(worker, reset_that_the_send_took_is_still_a_reset)
{
	struct device *d = &pool[0];

	log_in(d);
	only_conn()->alert = 0;
	cr_assert(ch_postshake_key_update(&worker, only_conn(), true));
	ch_conn_flush(&worker, only_conn());
	/* The kernel tells an error once: to the send here, so that the receive just ends. */
	fake_complete(&ring, fake_find(&ring, FAKE_SEND), -ECONNRESET, false);
	fake_complete(&ring, fake_find(&ring, FAKE_RECV), 0, false);
	settle();
	cr_assert_eq(reason_count(CH_REASON_RESET), 1);
	cr_assert_eq(reason_count(CH_REASON_TRUNCATED), 0);
}

/* Some TLS 1.2 stacks go without an alert when our certificate does not suit them. */
Test(worker, device_that_closes_at_our_certificate_is_named)
{
	struct device *d = &pool[0];

	device_init(d, CH_TLS_1_2);
	accept_one();
	do
		turn();
	while (only_conn()->device == CH_DEVICE_NONE && (move(d) || turns_wait()));
	cr_assert_eq(only_conn()->device, 0);
	cr_assert_eq(only_conn()->state, CH_CONN_TLS_HANDSHAKE);
	fake_complete(&ring, fake_find(&ring, FAKE_RECV_EXACT), 0, false);
	settle();
	cr_assert_eq(reason_count(CH_REASON_CLOSED_IN_HANDSHAKE), 1);
	cr_assert_eq(device_state(), CH_DEVICE_REFUSED);
	check_baseline();
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
	/* The first one's may have been all that there was time for. */
	do
		turn();
	while (turns_wait());
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

/* A second session of the device that has the first; that one's device is silent from here on. */
static struct ch_conn *log_in_again(struct fake_op **first_recv)
{
	struct device *second = &pool[1];
	struct ch_conn *old = log_in(&pool[0]);

	*first_recv = fake_find(&ring, FAKE_RECV);
	(*first_recv)->kind = FAKE_ACCEPT;
	device_init(second, CH_TLS_1_3);
	accept_one();
	pump(second);
	device_say(second, SERVER_HELLO);
	pump(second);
	turn();
	(*first_recv)->kind = FAKE_RECV;
	return old;
}

Test(worker, newer_session_of_the_same_device_supersedes)
{
	struct fake_op *recv;
	struct ch_conn *old = log_in_again(&recv);

	cr_assert_eq(ch_stat(&worker.stats.superseded), 1);
	cr_assert_eq(reason_count(CH_REASON_SUPERSEDED), 1);
	cr_assert_neq(ch_registry_owner(shared.registry, 0), ch_worker_owner(&worker, old));
	cr_assert_neq(ch_registry_owner(shared.registry, 0), CH_OWNER_NONE);
	cr_assert_eq(device_state(), CH_DEVICE_CONNECTED, "the new one is up");
}

static void device_ends(struct device *d, struct fake_op *recv)
{
	static const uint8_t close_notify[2] = {1, 0};
	struct ch_slice part = {close_notify, 2};

	cr_assert_eq(ch_record_seal(&d->record, CH_RECORD_ALERT, &part, 1, &d->out), 0);
	fake_payload(&ring, recv, d->out.data, (uint32_t)d->out.len, true);
	d->out.len = 0;
	turn();
	fake_complete(&ring, recv, 0, false);
	settle();
	cr_assert_eq(worker.slab.used, 1);
}

Test(worker, superseded_session_that_still_answers_is_a_conflict)
{
	struct device *first = &pool[0];
	struct fake_op *recv;

	log_in_again(&recv);
	device_say(first, "<rpc-reply message-id=\"1\"><ok/></rpc-reply>]]>]]>");
	device_ends(first, recv);
	cr_assert_not(ch_registry_conflict(shared.registry, 0, worker.now_ns), "was published");
}

/* libnetconf2 calls again first and closes its old session then. */
Test(worker, superseded_session_that_only_closes_is_no_conflict)
{
	struct fake_op *recv;

	log_in_again(&recv);
	device_ends(&pool[0], recv);
	cr_assert(ch_registry_conflict(shared.registry, 0, worker.now_ns), "none was published");
}
