/* SPDX-License-Identifier: Apache-2.0 */
/* links: collector guard tls proto kernel core */
/* sources: tests/unit/fake_ring.c tests/unit/tls_fixture.c */
/* What TLS itself says after the handshake, with records in user space; test_worker_ktls.c has the
 * kernel's. */
#include "worker_rig.h"

TestSuite(postshake, .init = setup, .fini = teardown);

static void say(struct device *d, uint8_t type, const void *data, size_t len)
{
	struct ch_slice part = {data, len};

	cr_assert_eq(ch_record_seal(&d->record, type, &part, 1, &d->out), 0);
}

static void say_key_update(struct device *d, bool ask)
{
	say(d, CH_RECORD_HANDSHAKE, ask ? "\x18\0\0\1\1" : "\x18\0\0\1\0", 5);
	cr_assert_eq(ch_record_rekey(&d->record, true), 0);
}

static bool was_asked(struct device *d)
{
	bool found = memmem(d->plain.data, d->plain.len, "<get/>", 6) != NULL;

	d->plain.len = 0;
	return found;
}

static struct ch_conn *log_in_tls12(struct device *d)
{
	device_init(d, CH_TLS_1_2);
	accept_one();
	pump(d);
	device_say(d, SERVER_HELLO);
	pump(d);
	cr_assert_eq(only_conn()->state, CH_CONN_OPEN);
	return only_conn();
}

static char end_line[512];

static void keep_end(void *ctx, enum ch_log_level level, const char *line)
{
	(void)ctx, (void)level;
	if (strstr(line, "reason=") != NULL)
		snprintf(end_line, sizeof(end_line), "%s", line);
}

static void expect_detail(const char *detail)
{
	cr_assert_not_null(strstr(end_line, detail), "%s is not in: %s", detail, end_line);
}

/* ---- KeyUpdate ---- */

/* row: 8446-update */
Test(postshake, key_updates_are_followed_and_not_answered_unasked)
{
	struct device *d = &pool[0];
	struct ch_conn *conn = log_in(d);

	for (int i = 0; i < 3; i++) {
		say_key_update(d, false);
		device_say(d, NOTE);
	}
	pump(d);
	cr_assert_eq(ch_stat(&worker.stats.key_updates), 3);
	cr_assert_eq(ch_stat(&worker.stats.notifications), 3);
	ask_device(conn);
	pump(d);
	cr_assert(was_asked(d));
	cr_assert_eq(d->updates, 0);
}

/* row: 8446-update */
Test(postshake, key_updates_that_ask_are_answered_by_one_before_our_next_data)
{
	struct device *d = &pool[0];
	struct ch_conn *conn = log_in(d);

	for (int i = 0; i < 5; i++)
		say_key_update(d, true);
	pump(d);
	cr_assert_eq(ch_stat(&worker.stats.key_updates), 5);
	cr_assert_eq(d->updates, 0, "we have nothing to say yet");
	ask_device(conn);
	pump(d);
	cr_assert_eq(d->updates, 1);
	cr_assert_eq(d->update_asks, 0, "an answer asks for nothing");
	cr_assert(was_asked(d), "under the new key");
	ask_device(conn);
	pump(d);
	cr_assert_eq(d->updates, 1);
	cr_assert(was_asked(d));
	cr_assert_eq(ch_stat(&worker.stats.key_updates_sent), 1);
}

/* row: 8446-limits */
Test(postshake, our_key_is_changed_before_its_limit)
{
	struct device *d = &pool[0];
	struct ch_conn *conn = log_in(d);

	conn->record.keys.tx.sequence = d->record.keys.rx.sequence = 1 << 24;
	ask_device(conn);
	pump(d);
	cr_assert_eq(d->updates, 1);
	cr_assert(was_asked(d));
	cr_assert_eq(conn->record.keys.tx.sequence, 1);
}

/* row: 8446-limits */
Test(postshake, device_whose_key_nears_its_limit_is_asked_once)
{
	struct device *d = &pool[0];
	struct ch_conn *conn = log_in(d);

	conn->record.keys.rx.sequence = d->record.keys.tx.sequence = 1 << 24;
	for (int i = 0; i < 3; i++) {
		device_say(d, NOTE);
		pump(d);
	}
	cr_assert_eq(d->updates, 1);
	cr_assert_eq(d->update_asks, 1);
	say_key_update(d, false);
	device_say(d, NOTE);
	pump(d);
	cr_assert_eq(conn->record.keys.rx.sequence, 1);
	cr_assert_eq(conn->state, CH_CONN_OPEN);
	conn->record.keys.rx.sequence = d->record.keys.tx.sequence = 1 << 24;
	device_say(d, NOTE);
	pump(d);
	cr_assert_eq(d->updates, 2, "and again for the next key");
}

/* row: 8446-limits */
Test(postshake, device_that_goes_on_with_a_used_up_key_is_ended)
{
	struct device *d = &pool[0];
	struct ch_conn *conn = log_in(d);

	conn->record.keys.rx.sequence = d->record.keys.tx.sequence = 1 << 24;
	device_say(d, NOTE);
	pump(d);
	conn->record.keys.rx.sequence = d->record.keys.tx.sequence = 23726566;
	device_say(d, NOTE);
	pump(d);
	cr_assert_eq(reason_count(CH_REASON_UNEXPECTED_RECORD), 1);
	cr_assert_eq(d->alert[1], CH_ALERT_UNEXPECTED_MESSAGE);
}

/* ---- messages that are refused ---- */

static void expect_refused(const void *message, size_t len, uint8_t alert)
{
	struct device *d = &pool[0];

	log_in(d);
	say(d, CH_RECORD_HANDSHAKE, message, len);
	pump(d);
	cr_assert_eq(d->alert[0], 2);
	cr_assert_eq(d->alert[1], alert);
	fake_complete(&ring, fake_find(&ring, FAKE_RECV), 0, false);
	settle();
	check_baseline();
}

/* row: 9918-renegotiation */
Test(postshake, handshake_messages_that_may_not_come_get_their_alert)
{
	expect_refused("\x0d\0\0\3\0\0\0", 7, CH_ALERT_UNEXPECTED_MESSAGE); /* CertificateRequest */
	expect_refused("\0\0\0\0", 4, CH_ALERT_UNEXPECTED_MESSAGE);	    /* HelloRequest */
	expect_refused("\1\0\0\4\3\3\0\0", 8, CH_ALERT_UNEXPECTED_MESSAGE); /* ClientHello */
	expect_refused("\x18\0\0\1\2", 5, CH_ALERT_ILLEGAL_PARAMETER);
	expect_refused("\x18\0\0\2\0\0", 6, CH_ALERT_DECODE_ERROR);
	expect_refused("\x18\0\0\1\0\x18", 6, CH_ALERT_UNEXPECTED_MESSAGE);
	cr_assert_eq(reason_count(CH_REASON_UNEXPECTED_RECORD), 6);
}

/* row: 9918-renegotiation */
Test(postshake, renegotiation_is_declined_and_the_session_goes_on)
{
	struct device *d = &pool[0];
	struct ch_conn *conn = log_in_tls12(d);

	say(d, CH_RECORD_HANDSHAKE, "\0\0\0\0", 4);
	pump(d);
	cr_assert_eq(d->alert[0], 1);
	cr_assert_eq(d->alert[1], CH_ALERT_NO_RENEGOTIATION);
	device_say(d, NOTE);
	pump(d);
	cr_assert_eq(ch_stat(&worker.stats.notifications), 1);
	cr_assert_eq(conn->state, CH_CONN_OPEN);
}

Test(postshake, tickets_are_dropped_and_counted)
{
	struct device *d = &pool[0];
	struct ch_conn *conn = log_in(d);

	say(d, CH_RECORD_HANDSHAKE, "\4\0\0\3abc\4\0\0\1", 11);
	say(d, CH_RECORD_HANDSHAKE, "x", 1);
	device_say(d, NOTE);
	pump(d);
	cr_assert_eq(ch_stat(&worker.stats.tickets), 2);
	cr_assert_eq(ch_stat(&worker.stats.notifications), 1);
	cr_assert_eq(conn->state, CH_CONN_OPEN);
}

/* ---- floods ---- */

static const struct flood {
	const char *name;
	uint8_t type;
	uint8_t len;
	const char *data;
	bool tls12;
} floods[] = {
	{"empty data", CH_RECORD_DATA, 0, "", false},
	{"empty data, TLS 1.2", CH_RECORD_DATA, 0, "", true},
	{"tickets", CH_RECORD_HANDSHAKE, 7, "\4\0\0\3abc", false},
	{"one ticket in many records", CH_RECORD_HANDSHAKE, 5, "\4\1\0\0x", false},
	{"user_canceled", CH_RECORD_ALERT, 2, "\1\x5a", false},
	{"warnings", CH_RECORD_ALERT, 2, "\1\x70", true},
	{"HelloRequests", CH_RECORD_HANDSHAKE, 4, "\0\0\0\0", true},
	{"KeyUpdates", CH_RECORD_HANDSHAKE, 5, "\x18\0\0\1\0", false},
	{"KeyUpdates that ask", CH_RECORD_HANDSHAKE, 5, "\x18\0\0\1\1", false},
};

static void send_flood(struct device *d, const struct flood *flood, int count)
{
	for (int i = 0; i < count; i++) {
		say(d, flood->type, flood->data, flood->len);
		if (flood->data[0] == 24)
			cr_assert_eq(ch_record_rekey(&d->record, true), 0);
	}
	pump(d);
}

/* "one ticket in many records" announces 65536 bytes: all of them are one message. */
Test(postshake, every_kind_of_record_without_data_is_bounded)
{
	for (size_t i = 0; i < sizeof(floods) / sizeof(floods[0]); i++) {
		struct device *d = &pool[0];
		struct ch_conn *conn = floods[i].tls12 ? log_in_tls12(d) : log_in(d);
		uint64_t before = ch_stat(&worker.stats.control_records);

		send_flood(d, &floods[i], 64);
		cr_assert_eq(conn->state, CH_CONN_OPEN, "%s: 64 are borne", floods[i].name);
		cr_assert_eq(ch_stat(&worker.stats.control_records) - before, 64);
		send_flood(d, &floods[i], 8);
		cr_assert_eq(reason_count(CH_REASON_RECORD_FLOOD), i + 1, "%s", floods[i].name);
		cr_assert_eq(d->alert[1], CH_ALERT_UNEXPECTED_MESSAGE);
		fake_complete(&ring, fake_find(&ring, FAKE_RECV), 0, false);
		settle();
		check_baseline();
	}
}

/* A session without application data for days may see hundreds of them. */
Test(postshake, slow_records_without_data_are_no_flood)
{
	for (size_t i = 0; i < sizeof(floods) / sizeof(floods[0]); i++) {
		struct device *d = &pool[0];
		struct ch_conn *conn = floods[i].tls12 ? log_in_tls12(d) : log_in(d);

		for (int minute = 0; minute < 4; minute++) {
			send_flood(d, &floods[i], 60);
			conn->control_tat_ns = 0;
		}
		cr_assert_eq(conn->state, CH_CONN_OPEN, "%s", floods[i].name);
		fake_complete(&ring, fake_find(&ring, FAKE_RECV), 0, false);
		settle();
	}
}

/* ---- ends ---- */

static void end_by(struct device *d, const void *alert)
{
	if (alert != NULL)
		say(d, CH_RECORD_ALERT, alert, 2);
	pump(d);
	fake_complete(&ring, fake_find(&ring, FAKE_RECV), 0, false);
	settle();
	check_baseline();
}

/* row: 7589-4 */
Test(postshake, where_the_stream_was_cut_is_told)
{
	struct device *d = &pool[0];

	shared.log = (struct ch_log){.write = keep_end, .level = CH_LOG_INFO};
	log_in(d);
	device_say(d, NOTE);
	d->out.len -= 10;
	end_by(d, NULL);
	expect_detail("reason=truncated detail=\"in the middle of a record\"");
	log_in(d);
	say(d, CH_RECORD_HANDSHAKE, "\4\0\0", 3);
	end_by(d, NULL);
	expect_detail("reason=truncated detail=\"in the middle of a handshake message\"");
	log_in(d);
	device_say(d, "<notification xmlns=\"urn:x\">");
	end_by(d, NULL);
	expect_detail("reason=truncated detail=\"in the middle of a message\"");
	log_in(d);
	device_say(d, NOTE);
	end_by(d, NULL);
	cr_assert_null(strstr(end_line, "middle"), "between messages: %s", end_line);
	expect_detail("reason=truncated");
	cr_assert_eq(reason_count(CH_REASON_TRUNCATED), 4);
}

/* row: 7589-4 */
Test(postshake, clean_end_inside_a_message_says_so)
{
	struct device *d = &pool[0];

	shared.log = (struct ch_log){.write = keep_end, .level = CH_LOG_INFO};
	log_in(d);
	device_say(d, "<notification xmlns=\"urn:x\">");
	end_by(d, "\1\0");
	expect_detail("reason=closed-by-device detail=\"in the middle of a message\"");
}

Test(postshake, fatal_alerts_are_told_by_name)
{
	struct device *d = &pool[0];

	shared.log = (struct ch_log){.write = keep_end, .level = CH_LOG_INFO};
	log_in(d);
	end_by(d, "\2\x50");
	expect_detail("reason=alert-from-device detail=\"internal_error\"");
	log_in_tls12(d);
	end_by(d, "\2\x14");
	expect_detail("reason=alert-from-device detail=\"bad_record_mac\"");
	log_in(d);
	end_by(d, "\2\x74");
	expect_detail("reason=client-certificate-refused detail=\"certificate_required\"");
	cr_assert_eq(ch_stat(&worker.stats.alerts), 3);
}

/* ---- extended master secret ---- */

/* A TLS 1.2 device; @ems: as after RFC 7627. */
static void log_in_ems(struct device *d, bool ems)
{
	struct ch_tls_server_options options = {.max_version = CH_TLS_1_2,
						.request_client_certificate = true,
						.no_extended_master_secret = !ems};

	device_init(d, CH_TLS_1_2);
	ch_handshake_free(d->handshake);
	ch_tls_context_free(d->context);
	cr_assert_eq(ch_tls_server_new(&options, &d->context), 0);
	cr_assert_eq(ch_handshake_server(d->context, d->credential, &d->handshake), 0);
	accept_one();
	pump(d);
}

/* row: 9325-ems */
Test(postshake, tls12_without_extended_master_secret_is_refused_before_anything_is_said)
{
	struct device *d = &pool[0];

	log_in_ems(d, false);
	cr_assert_eq(reason_count(CH_REASON_NO_EMS), 1);
	cr_assert_eq(d->plain.len, 0, "not even our hello");
	cr_assert_eq(d->alert[0], 2);
	cr_assert_eq(d->alert[1], CH_ALERT_HANDSHAKE_FAILURE);
	cr_assert_eq(device_state(), CH_DEVICE_REFUSED);
	fake_complete(&ring, fake_find(&ring, FAKE_RECV), 0, false);
	settle();
	check_baseline();
}

/* row: 9325-ems */
Test(postshake, tls12_without_extended_master_secret_is_taken_where_the_configuration_says_so)
{
	struct device *d = &pool[0];

	config.master_secret = CH_MASTER_SECRET_ANY;
	for (int ems = 0; ems < 2; ems++) {
		log_in_ems(d, ems);
		cr_assert_eq(only_conn()->no_ems, !ems);
		device_say(d, SERVER_HELLO);
		pump(d);
		cr_assert_eq(only_conn()->state, CH_CONN_OPEN);
		end_by(d, "\1\0");
	}
}
