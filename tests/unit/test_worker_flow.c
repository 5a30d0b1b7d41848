/* SPDX-License-Identifier: Apache-2.0 */
/* links: collector guard tls proto kernel core */
/* sources: tests/unit/fake_ring.c tests/unit/tls_fixture.c */
/* A device that sends more than limits.session-rate. */
#include "worker_rig.h"

#define KIB 1024
#define RATE (512 * KIB)
#define NOTE_BYTES (15 * KIB)
/* Beyond its rate by so much that 0.4 s of a busy machine do not bring it back below. */
#define TOO_MANY 31

static char note[NOTE_BYTES + sizeof(NOTE)];

static void start(void)
{
	setup();
	config.session_rate = RATE;
	memset(note, ' ', NOTE_BYTES);
	memcpy(note + NOTE_BYTES, NOTE, sizeof(NOTE));
}

TestSuite(worker_flow, .init = start, .fini = teardown);

/* Everything that is due in the next turn, but what a device would send. */
static void send_notes(struct device *d, int count)
{
	for (int i = 0; i < count; i++) {
		struct fake_op *op = fake_find(&ring, FAKE_RECV);

		cr_assert_not_null(op);
		device_say(d, note);
		fake_payload(&ring, op, d->out.data, (uint32_t)d->out.len, true);
		d->out.len = 0;
		turn();
	}
}

static uint64_t notes_read(void)
{
	return ch_stat(&worker.stats.notifications);
}

/* Sends until the device is over its rate, and lets the cancelled receive end. */
static struct ch_conn *flood(struct device *d)
{
	struct ch_conn *conn = log_in(d);

	send_notes(d, TOO_MANY);
	cr_assert(conn->paused);
	fake_settle(&ring);
	turn();
	cr_assert_null(fake_find(&ring, FAKE_RECV), "it is not read any more");
	return conn;
}

static void wait_until_read(void)
{
	for (int ms = 0; ms < 5000 && fake_find(&ring, FAKE_RECV) == NULL; ms += 10) {
		usleep(10000);
		turn();
	}
	cr_assert_not_null(fake_find(&ring, FAKE_RECV));
}

Test(worker_flow, one_that_keeps_to_its_rate_is_never_paused)
{
	struct ch_conn *conn = log_in(&pool[0]);

	send_notes(&pool[0], 10);
	cr_assert_not(conn->paused);
	cr_assert_eq(ch_stat(&worker.stats.session_pauses), 0);
	cr_assert_eq(notes_read(), 10);
}

Test(worker_flow, one_over_its_rate_waits_and_loses_nothing)
{
	struct ch_conn *conn = flood(&pool[0]);

	cr_assert_eq(notes_read(), TOO_MANY, "what was there already is read");
	cr_assert_eq(ch_stat(&worker.stats.session_pauses), 1);
	wait_until_read();
	cr_assert_not(conn->paused);
	send_notes(&pool[0], 1);
	cr_assert_eq(notes_read(), TOO_MANY + 1);
	cr_assert_eq(conn->state, CH_CONN_OPEN);
}

Test(worker_flow, what_comes_before_the_cancel_takes_effect_is_read)
{
	struct device *d = &pool[0];

	log_in(d);
	send_notes(d, TOO_MANY + 5);
	cr_assert_eq(notes_read(), TOO_MANY + 5);
	cr_assert_eq(ch_stat(&worker.stats.session_pauses), 1);
}

Test(worker_flow, receive_that_is_still_being_cancelled_is_armed_once)
{
	struct device *d = &pool[0];
	struct ch_conn *conn = log_in(d);

	send_notes(d, TOO_MANY);
	for (int ms = 0; ms < 5000 && conn->paused; ms += 10) {
		usleep(10000);
		turn();
	}
	cr_assert_not(conn->paused);
	fake_settle(&ring);
	turn();
	cr_assert(conn->receiving);
	send_notes(d, 1);
	cr_assert_eq(notes_read(), TOO_MANY + 1);
}

Test(worker_flow, end_of_a_paused_session_waits_for_nothing)
{
	struct ch_conn *conn = flood(&pool[0]);

	ch_conn_end(&worker, conn, CH_EV_LOCAL_END, CH_REASON_KILLED, NULL);
	cr_assert_eq(conn->state, CH_CONN_CLOSING);
	cr_assert_not_null(fake_find(&ring, FAKE_RECV), "for the answer to close-session");
	pump(&pool[0]);
	fake_complete(&ring, fake_find(&ring, FAKE_RECV), 0, false);
	settle();
	check_baseline();
}

Test(worker_flow, without_a_limit_nobody_is_paused)
{
	config.session_rate = 0;
	log_in(&pool[0]);
	send_notes(&pool[0], 40);
	cr_assert_eq(notes_read(), 40);
	cr_assert_eq(ch_stat(&worker.stats.session_pauses), 0);
}
