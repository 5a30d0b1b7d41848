/* SPDX-License-Identifier: Apache-2.0 */
/* links: collector guard tls proto kernel core */
/* sources: tests/unit/fake_ring.c tests/unit/tls_fixture.c */
/* The kernel's record layer, as far as the ring shows it. */
#include "worker_rig.h"

TestSuite(worker_ktls, .init = setup, .fini = teardown);

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

Test(worker_ktls, kernel_layer_gets_keys_and_sends_plaintext)
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

Test(worker_ktls, direction_that_the_kernel_refuses_stays_in_user_space)
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

Test(worker_ktls, refused_receiving_keys_leave_the_user_layer_in_charge)
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

/* row: 7589-4 */
Test(worker_ktls, close_notify_through_the_kernel_is_a_control_record)
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

/* row: 8446-update */
Test(worker_ktls, key_update_changes_both_keys_in_order)
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
	/* Our answer goes before our next data, under the old key; then the sending key changes. */
	cr_assert_null(fake_find(&ring, FAKE_SEND_RECORD));
	ask_device(conn);
	cr_assert_null(fake_find(&ring, FAKE_SEND));
	op = fake_find(&ring, FAKE_SEND_RECORD);
	cr_assert_eq(op->record_type, CH_RECORD_HANDSHAKE);
	cr_assert_arr_eq(op->data, "\x18\0\0\1\0", 5);
	cr_assert_null(fake_find(&ring, FAKE_REKEY));
	fake_complete(&ring, op, 5, false);
	turn();
	op = fake_find(&ring, FAKE_REKEY);
	cr_assert_eq(op->direction, CH_KTLS_TX);
	cr_assert(conn->rekeying_tx);
	cr_assert_null(fake_find(&ring, FAKE_SEND), "not under the old key");
	fake_complete(&ring, op, 0, false);
	turn();
	cr_assert(!conn->rekeying_tx);
	cr_assert_not_null(fake_find(&ring, FAKE_SEND));
	cr_assert_eq(ch_stat(&worker.stats.key_updates), 1);
	record_comes(CH_RECORD_DATA, NOTE, sizeof(NOTE) - 1);
	cr_assert_eq(ch_stat(&worker.stats.notifications), 1);
}

Test(worker_ktls, key_update_on_a_kernel_that_cannot_ends_with_its_own_reason)
{
	log_in_kernel(&pool[0], false, 0);
	record_comes(CH_RECORD_HANDSHAKE, "\x18\0\0\1\0", 5);
	cr_assert_eq(reason_count(CH_REASON_KEY_UPDATE), 1);
}

/* As the kernel does it once a KeyUpdate came: pauses, takes the key, goes on. */
static void finish_rekey(struct fake_op *recv)
{
	fake_complete(&ring, recv, -EKEYEXPIRED, false);
	turn();
	fake_complete(&ring, fake_find(&ring, FAKE_REKEY), 0, false);
	turn();
}

/* row: 8446-update */
Test(worker_ktls, key_updates_that_ask_are_answered_by_one)
{
	struct ch_buf sent = {0};
	struct ch_conn *conn = log_in_kernel(&pool[0], true, 0);
	unsigned answers = 0;
	struct fake_op *op;

	finish_sends(&sent);
	/* A device that does not read: the answers would pile up. */
	for (int i = 0; i < 6; i++) {
		record_comes(CH_RECORD_HANDSHAKE, "\x18\0\0\1\1", 5);
		finish_rekey(fake_find(&ring, FAKE_RECV));
		ask_device(conn);
	}
	cr_assert_leq(conn->control_count, 2, "one on its way, one behind it");
	while ((op = fake_find(&ring, FAKE_SEND_RECORD)) != NULL) {
		fake_complete(&ring, op, 5, false);
		turn();
		fake_complete(&ring, fake_find(&ring, FAKE_REKEY), 0, false);
		turn();
		answers++;
	}
	cr_assert_eq(answers, 2);
	sent.len = 0;
	finish_sends(&sent);
	cr_assert_not_null(memmem(sent.data, sent.len, "<get/>", 6));
	ch_buf_deinit(&sent);
}

/* row: 8446-limits */
Test(worker_ktls, keys_in_the_kernel_are_changed_before_their_limit)
{
	struct ch_buf sent = {0};
	struct ch_conn *conn = log_in_kernel(&pool[0], true, 0);
	struct fake_op *op;

	finish_sends(&sent);
	conn->record.keys.tx.sequence = (1 << 24) - 2;
	ask_device(conn);
	cr_assert_null(fake_find(&ring, FAKE_SEND_RECORD));
	op = fake_find(&ring, FAKE_SEND);
	/* More bytes than records tell: two are the least for so many. */
	fake_complete(&ring, op, (int32_t)op->len, false);
	turn();
	cr_assert_geq(conn->record.keys.tx.sequence, (1 << 24) - 1);
	conn->record.keys.tx.sequence++;
	ask_device(conn);
	op = fake_find(&ring, FAKE_SEND_RECORD);
	cr_assert_arr_eq(op->data, "\x18\0\0\1\0", 5);
	fake_complete(&ring, op, 5, false);
	turn();
	fake_complete(&ring, fake_find(&ring, FAKE_REKEY), 0, false);
	turn();
	cr_assert_eq(conn->record.keys.tx.sequence, 0);
	finish_sends(&sent);
	/* The device's: its records are not counted by the kernel, so their bytes are. */
	conn->record.keys.rx.sequence = (1 << 24) - 1;
	record_comes(CH_RECORD_DATA, NOTE, sizeof(NOTE) - 1);
	op = fake_find(&ring, FAKE_SEND_RECORD);
	cr_assert_not_null(op);
	cr_assert_arr_eq(op->data, "\x18\0\0\1\1", 5);
	ch_buf_deinit(&sent);
}

/* row: 8446-limits */
Test(worker_ktls, full_buffer_counts_as_the_records_it_may_have_been)
{
	static char data[CH_RING_PAYLOAD];
	struct ch_conn *conn = log_in_kernel(&pool[0], true, 0);
	uint64_t before = conn->record.keys.rx.sequence;

	memset(data, ' ', sizeof(data));
	record_comes(CH_RECORD_DATA, data, sizeof(data));
	/* Records of one byte: 2 * 16384 blocks, as 32 full records of 1025. */
	cr_assert_geq(conn->record.keys.rx.sequence - before, 32);
}

/* row: 8446-limits */
Test(worker_ktls, limit_on_a_kernel_that_cannot_rekey_ends_with_its_own_reason)
{
	struct ch_conn *conn = log_in_kernel(&pool[0], false, 0);
	struct ch_buf sent = {0};

	finish_sends(&sent);
	ch_buf_deinit(&sent);
	conn->record.keys.tx.sequence = 1 << 24;
	ask_device(conn);
	cr_assert_eq(reason_count(CH_REASON_KEY_UPDATE), 1);
	cr_assert_eq(fake_find(&ring, FAKE_SEND_RECORD)->record_type, CH_RECORD_ALERT);
}

/* row: 8446-limits */
Test(worker_ktls, limit_of_the_device_on_a_kernel_that_cannot_rekey_ends_likewise)
{
	struct ch_conn *conn = log_in_kernel(&pool[0], false, 0);

	conn->record.keys.rx.sequence = 1 << 24;
	record_comes(CH_RECORD_DATA, NOTE, sizeof(NOTE) - 1);
	cr_assert_eq(reason_count(CH_REASON_KEY_UPDATE), 1);
}

/* The kernel does not see a KeyUpdate behind a ticket, and tries the old key on what follows. */
Test(worker_ktls, key_update_behind_a_ticket_is_followed_too)
{
	struct ch_conn *conn = log_in_kernel(&pool[0], true, 0);
	struct fake_op *recv = fake_find(&ring, FAKE_RECV);

	fake_record(&ring, recv, CH_RECORD_HANDSHAKE, "\4\0\0\1x\x18\0\0\1\0", 10);
	turn();
	fake_complete(&ring, recv, -EBADMSG, false);
	turn();
	cr_assert_eq(conn->state, CH_CONN_OPEN);
	fake_complete(&ring, fake_find(&ring, FAKE_REKEY), 0, false);
	turn();
	record_comes(CH_RECORD_DATA, NOTE, sizeof(NOTE) - 1);
	cr_assert_eq(ch_stat(&worker.stats.notifications), 1);
	/* Without it, it is what it is. */
	fake_complete(&ring, fake_find(&ring, FAKE_RECV), -EBADMSG, false);
	turn();
	cr_assert_eq(reason_count(CH_REASON_BAD_RECORD), 1);
}

Test(worker_ktls, two_key_updates_under_one_key_are_refused)
{
	log_in_kernel(&pool[0], true, 0);
	record_comes(CH_RECORD_HANDSHAKE, "\4\0\0\1x\x18\0\0\1\0", 10);
	record_comes(CH_RECORD_HANDSHAKE, "\x18\0\0\1\0", 5);
	cr_assert_eq(reason_count(CH_REASON_UNEXPECTED_RECORD), 1);
}

Test(worker_ktls, every_kind_of_record_without_data_is_bounded)
{
	static const struct {
		uint8_t type;
		uint8_t len;
		const char *data;
	} floods[] = {
		{CH_RECORD_DATA, 0, NULL}, /* the kernels we know skip them */
		{CH_RECORD_HANDSHAKE, 7, "\4\0\0\3abc"},
		{CH_RECORD_ALERT, 2, "\1\x5a"},
	};

	for (size_t i = 0; i < sizeof(floods) / sizeof(floods[0]); i++) {
		struct ch_conn *conn = log_in_kernel(&pool[0], true, 0);

		for (int n = 0; n < 64; n++)
			record_comes(floods[i].type, floods[i].data, floods[i].len);
		cr_assert_eq(conn->state, CH_CONN_OPEN, "%zu: 64 are borne", i);
		for (int n = 0; n < 8 && conn->state == CH_CONN_OPEN; n++)
			record_comes(floods[i].type, floods[i].data, floods[i].len);
		cr_assert_eq(reason_count(CH_REASON_RECORD_FLOOD), i + 1);
		fake_complete(&ring, fake_find(&ring, FAKE_RECV), -ECONNRESET, false);
		settle();
		check_baseline();
	}
}

/* The kernel sees the first byte, and no more, of a handshake record. */
Test(worker_ktls, half_a_key_update_ends_without_spinning)
{
	struct ch_conn *conn = log_in_kernel(&pool[0], true, 0);

	record_comes(CH_RECORD_HANDSHAKE, "\x18\0\0", 3);
	cr_assert_eq(conn->state, CH_CONN_OPEN);
	fake_complete(&ring, fake_find(&ring, FAKE_RECV), -EKEYEXPIRED, false);
	turn();
	cr_assert_eq(reason_count(CH_REASON_KEY_UPDATE), 1);
	cr_assert_null(fake_find(&ring, FAKE_RECV), "every further receive would say the same");
}

Test(worker_ktls, second_expiry_of_one_key_update_ends_too)
{
	struct ch_conn *conn = log_in_kernel(&pool[0], true, 0);

	record_comes(CH_RECORD_HANDSHAKE, "\x18\0\0\1\0", 5);
	fake_complete(&ring, fake_find(&ring, FAKE_REKEY), 0, false);
	turn();
	fake_complete(&ring, fake_find(&ring, FAKE_RECV), -EKEYEXPIRED, false);
	turn();
	cr_assert_eq(conn->state, CH_CONN_OPEN);
	fake_complete(&ring, fake_find(&ring, FAKE_RECV), -EKEYEXPIRED, false);
	turn();
	cr_assert_eq(reason_count(CH_REASON_KEY_UPDATE), 1);
	cr_assert_null(fake_find(&ring, FAKE_RECV));
}

Test(worker_ktls, bad_record_in_the_kernel_ends_without_spinning)
{
	struct ch_conn *conn = log_in_kernel(&pool[0], true, 0);

	fake_complete(&ring, fake_find(&ring, FAKE_RECV), -EBADMSG, false);
	turn();
	cr_assert_eq(reason_count(CH_REASON_BAD_RECORD), 1);
	cr_assert_eq(conn->state, CH_CONN_DRAIN);
	cr_assert_null(fake_find(&ring, FAKE_RECV), "every further receive would say the same");
	cr_assert_eq(conn->alert, CH_ALERT_BAD_RECORD_MAC, "tried, though most kernels refuse it");
}

Test(worker_ktls, empty_control_record_of_the_kernel_is_refused)
{
	log_in_kernel(&pool[0], true, 0);
	record_comes(CH_RECORD_HANDSHAKE, NULL, 0);
	cr_assert_eq(reason_count(CH_REASON_UNEXPECTED_RECORD), 1);
}
