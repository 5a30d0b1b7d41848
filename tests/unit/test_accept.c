/* SPDX-License-Identifier: Apache-2.0 */
/* links: collector guard tls proto kernel core */
/* sources: tests/unit/fake_ring.c tests/unit/tls_fixture.c */
/* Who arrives, at which door, and whose turn comes when. */
#include "worker_rig.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

enum { ORDINARY, KNOWN };

/* Two doors of one listener, without sockets. */
static void begin(void)
{
	setup();
	free(worker.listeners);
	worker.listeners = calloc(2, sizeof(*worker.listeners));
	worker.listeners[ORDINARY] =
		(struct ch_listener){.fd = -1, .most = CH_ACCEPTS, .patient = true};
	worker.listeners[KNOWN] = (struct ch_listener){.fd = -1, .most = CH_ACCEPTS, .known = true};
	worker.listener_count = 2;
	cr_assert_eq(ch_accept_begin(&worker), 0);
}

TestSuite(accept, .init = begin, .fini = teardown);

static unsigned armed(uint32_t door)
{
	unsigned count = 0;

	for (unsigned i = 0; i < FAKE_OPS; i++)
		count += ring.ops[i].kind == FAKE_ACCEPT &&
			 ch_user_data_slot(ring.ops[i].user_data) == door;
	cr_assert_eq(count, worker.listeners[door].accepting);
	return count;
}

/* An accept of that door ends so. */
static void complete(uint32_t door, int result)
{
	for (unsigned i = 0; i < FAKE_OPS; i++) {
		struct fake_op *op = &ring.ops[i];

		if (op->kind == FAKE_ACCEPT && ch_user_data_slot(op->user_data) == door) {
			fake_complete(&ring, op, result, false);
			return;
		}
	}
	cr_assert_fail("nobody accepts at door %u", door);
}

static int anybody(void)
{
	return open("/dev/null", O_RDONLY | O_CLOEXEC);
}

/* The collector's end of a connection from @source; the other one is @far. */
static int connection_from(const char *source, int *far)
{
	struct sockaddr_in at = {.sin_family = AF_INET};
	struct sockaddr_in from = {.sin_family = AF_INET};
	socklen_t len = sizeof(at);
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int fd;

	at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	cr_assert_eq(inet_pton(AF_INET, source, &from.sin_addr), 1);
	cr_assert_eq(bind(listener, (struct sockaddr *)&at, len), 0);
	cr_assert_eq(listen(listener, 1), 0);
	cr_assert_eq(getsockname(listener, (struct sockaddr *)&at, &len), 0);
	*far = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	cr_assert_eq(bind(*far, (struct sockaddr *)&from, sizeof(from)), 0);
	cr_assert_eq(connect(*far, (struct sockaddr *)&at, sizeof(at)), 0);
	fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	cr_assert_geq(fd, 0);
	close(listener);
	return fd;
}

/* One of a source whose sessions were good. */
static int known_device(int *far)
{
	struct ch_address known;
	int fd = connection_from("127.0.0.9", far);

	gate.sources.known_ns = 3600000000000;
	cr_assert_eq(ch_gate_reload(shared.gate, &gate, &(struct ch_buf){0}), 0);
	cr_assert_eq(ch_sock_peer(fd, &known), 0);
	ch_gate_succeed(shared.gate, &known, ch_now_ns());
	ch_gate_end(shared.gate, &known, CH_SESSION_GOOD, ch_now_ns());
	return fd;
}

Test(accept, so_many_are_in_flight_at_each_door_and_each_that_ends_is_replaced)
{
	cr_assert_eq(armed(ORDINARY), CH_ACCEPTS);
	cr_assert_eq(armed(KNOWN), CH_ACCEPTS);
	for (int i = 0; i < 3; i++)
		complete(ORDINARY, anybody());
	complete(KNOWN, -ECONNABORTED);
	turn();
	cr_assert_eq(armed(ORDINARY), CH_ACCEPTS);
	cr_assert_eq(armed(KNOWN), CH_ACCEPTS);
	cr_assert_eq(ch_stat(&worker.stats.accepted), 3);
	cr_assert_eq(ch_stat(&worker.stats.accept_errors), 1);
}

Test(accept, without_descriptors_it_waits_and_then_accepts_again)
{
	for (int i = 0; i < CH_ACCEPTS; i++)
		complete(ORDINARY, -EMFILE);
	turn();
	cr_assert_eq(armed(ORDINARY), 0);
	cr_assert_gt(ch_accept_due(&worker), 0);
	cr_assert_leq(ch_accept_due(&worker), worker.now_ns + 10000000);
	usleep(11000);
	turn();
	cr_assert_eq(armed(ORDINARY), 1, "one tries first");
	cr_assert_eq(ch_accept_due(&worker), UINT64_MAX);
	complete(ORDINARY, anybody());
	turn();
	cr_assert_eq(armed(ORDINARY), CH_ACCEPTS);
}

Test(accept, a_stop_waits_for_no_retry)
{
	for (int i = 0; i < CH_ACCEPTS; i++)
		complete(ORDINARY, -EMFILE);
	turn();
	worker.stopping = true;
	ch_accept_stop(&worker);
	cr_assert_eq(ch_accept_due(&worker), UINT64_MAX);
}

/* As while a device of the first rank logs in. */
static void pause_others(void)
{
	worker.first_ns = UINT64_MAX / 2;
	worker.others_at_ns = UINT64_MAX;
}

Test(accept, strangers_that_are_too_many_stay_in_the_backlog_of_their_door)
{
	unsigned took = 0;

	pause_others();
	while (armed(ORDINARY) > 0) {
		complete(ORDINARY, anybody());
		took++;
		turn();
		cr_assert_leq(took, CH_ARRIVALS);
	}
	cr_assert_eq(took, CH_ARRIVALS);
	cr_assert_eq(armed(KNOWN), CH_ACCEPTS);
	cr_assert_eq(ch_stat(&worker.stats.accepted), 0);

	worker.first_ns = 0;
	turn();
	cr_assert_eq(armed(ORDINARY), CH_ACCEPTS);
	cr_assert_gt(ch_stat(&worker.stats.accepted), 0);
}

Test(accept, at_the_one_door_of_all_none_stay_outside)
{
	worker.listeners[ORDINARY].patient = false;
	pause_others();
	for (int i = 0; i < 2 * CH_ARRIVALS; i++) {
		complete(ORDINARY, anybody());
		if (i % 32 == 0)
			turn();
	}
	turn();
	cr_assert_eq(armed(ORDINARY), CH_ACCEPTS);
	cr_assert_eq(ch_stat(&worker.stats.accepted), CH_ARRIVALS);
	worker.first_ns = 0;
	while (ch_accept_has_arrivals(&worker))
		turn();
	settle();
	cr_assert_eq(ch_stat(&worker.stats.accepted), 2 * CH_ARRIVALS);
	cr_assert_eq(reason_count(CH_REASON_HANDSHAKE_LIMIT), 2 * CH_ARRIVALS - 2);
}

static void known_device_logs_in_at(uint32_t door)
{
	struct ch_address peer;
	int far;
	int fd = known_device(&far);

	cr_assert_eq(ch_sock_peer(fd, &peer), 0);
	pause_others();
	complete(ORDINARY, anybody());
	complete(door, fd);
	turn();
	cr_assert_eq(ch_stat(&worker.stats.accepted), 1);
	cr_assert_eq(memcmp(&only_conn()->peer, &peer, sizeof(peer)), 0);
	cr_assert_eq(only_conn()->state, CH_CONN_TLS_HANDSHAKE, "it had its turn");
	close(far);
}

Test(accept, known_device_waits_for_no_stranger_at_its_door)
{
	known_device_logs_in_at(KNOWN);
}

Test(accept, known_device_waits_for_no_stranger_at_the_ordinary_door)
{
	known_device_logs_in_at(ORDINARY);
}

Test(accept, stranger_at_the_door_of_the_known_waits_with_the_others)
{
	pause_others();
	complete(KNOWN, anybody());
	turn();
	cr_assert_eq(ch_stat(&worker.stats.accepted), 0);
	cr_assert(ch_accept_has_arrivals(&worker));
}

Test(accept, what_a_known_device_is_sent_leaves_before_others_go_on)
{
	int far;

	accept_one();
	worker.others_at_ns = ch_now_ns();
	complete(KNOWN, known_device(&far));
	turn();
	cr_assert_eq(ch_stat(&worker.stats.handshake_steps), 1);
	turn();
	cr_assert_eq(ch_stat(&worker.stats.handshake_steps), 2);
	cr_assert_gt(worker.others_at_ns, worker.now_ns, "and others pause behind it");
	close(far);
}

Test(accept, others_that_waited_long_go_on_beside_known_devices)
{
	int far;

	accept_one();
	worker.others_at_ns = ch_now_ns() - 6000000;
	complete(KNOWN, known_device(&far));
	turn();
	cr_assert_eq(ch_stat(&worker.stats.handshake_steps), 2);
	close(far);
}

Test(accept, others_pause_for_milliseconds_at_most_and_only_beside_a_login)
{
	pause_others();
	complete(ORDINARY, anybody());
	turn();
	cr_assert_eq(ch_stat(&worker.stats.accepted), 0);
	worker.first_ns = 0;
	turn();
	cr_assert_eq(ch_stat(&worker.stats.accepted), 1,
		     "nobody of the first rank is there any more");
	cr_assert_leq(worker.others_at_ns, worker.now_ns + 5000000);
}

Test(accept, a_login_of_many_steps_lets_others_go_on)
{
	struct ch_conn *conn;
	int far;

	complete(KNOWN, known_device(&far));
	turn();
	conn = only_conn();
	worker.first_ns = 0;
	conn->login->steps = 16;
	ch_worker_queue_turn(&worker, conn);
	cr_assert_gt(worker.first_ns, 0);
	turn();
	worker.first_ns = 0;
	conn->login->steps = 17;
	ch_worker_queue_turn(&worker, conn);
	cr_assert_eq(worker.first_ns, 0);
	close(far);
}

Test(accept, when_it_stops_both_doors_close_and_who_waits_is_turned_away)
{
	const struct ch_mail stop = {.kind = CH_MAIL_STOP};
	bool runs = true;

	pause_others();
	complete(ORDINARY, anybody());
	turn();
	worker.first_ns = 0;
	cr_assert_eq(ch_worker_post(&worker, &stop), 0);
	for (int i = 0; runs && i < 10; i++) {
		runs = ch_worker_turn(&worker, 0);
		fake_settle(&ring);
	}
	cr_assert_not(runs);
	cr_assert_eq(worker.listeners[ORDINARY].accepting, 0);
	cr_assert_eq(worker.listeners[KNOWN].accepting, 0);
	cr_assert_eq(reason_count(CH_REASON_SHUTDOWN), 1);
}

Test(accept, clock_is_read_after_a_long_wait_before_anything_is_handled)
{
	uint64_t before;

	/* An idle worker sleeps for a minute; a login must not begin a minute ago. */
	turn();
	before = worker.now_ns;
	ring.run_us = 20000;
	complete(ORDINARY, anybody());
	turn();
	cr_assert_geq(only_conn()->accepted_ns, before + 20000000);
}

/* What a counter was when the answer to a request came. */
struct note {
	const _Atomic uint64_t *counter;
	uint64_t before;
	uint64_t at_reply;
};

static void note_counter(void *ctx, const uint8_t *data, size_t len, bool done, int status)
{
	struct note *note = ctx;

	(void)data, (void)len, (void)done, (void)status;
	note->at_reply = ch_stat(note->counter);
}

static void ask_noting(struct device *d, struct note *note)
{
	struct ch_conn *conn = log_in(d);

	note->before = ch_stat(note->counter);
	note->at_reply = UINT64_MAX;
	ask_device_for(conn, note_counter, note);
	pump(d);
}

static void turn_with_reply(struct device *d)
{
	device_say(d, "<rpc-reply message-id=\"1\"><ok/></rpc-reply>]]>]]>");
	fake_payload(&ring, fake_find(&ring, FAKE_RECV), d->out.data, (uint32_t)d->out.len, true);
	turn();
}

Test(accept, reply_reaches_who_asked_before_any_handshake_goes_on)
{
	struct note steps = {.counter = &worker.stats.handshake_steps};

	ask_noting(&pool[0], &steps);
	for (int i = 0; i < 2; i++)
		accept_one();
	turn_with_reply(&pool[0]);
	cr_assert_eq(steps.at_reply, steps.before);
	cr_assert_gt(ch_stat(steps.counter), steps.before);
}

Test(accept, reply_that_came_behind_arrivals_is_dealt_with_before_them)
{
	struct note accepted = {.counter = &worker.stats.accepted};

	ask_noting(&pool[0], &accepted);
	complete(ORDINARY, anybody());
	complete(ORDINARY, anybody());
	turn_with_reply(&pool[0]);
	cr_assert_eq(accepted.at_reply, accepted.before);
	cr_assert_eq(ch_stat(accepted.counter), accepted.before + 2);
}
