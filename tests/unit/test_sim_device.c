/* SPDX-License-Identifier: Apache-2.0 */
/* links: tls proto core */
/* sources: tests/unit/sim_rig.c bench/device.c bench/cert_to_name.c bench/netconf.c bench/impostor.c bench/pki.c bench/pki_make.c bench/pki_status.c */
#include "sim_rig.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

Test(sim_device, logs_in_over_tls13_with_chunks)
{
	struct rig rig;

	rig_login(&rig, 0);
	cr_assert_eq(rig.device.version, CH_TLS_1_3);
	cr_assert(rig.device.chunked);
	cr_assert_eq(rig.client.framer.framing, CH_FRAMING_CHUNKED);
	cr_assert_eq(rig.client.hello.session_id, 1);
	cr_assert_eq(rig.shared.counters.logins, 1);
	cr_assert_eq(rig.shared.counters.up, 1);
	rig_deinit(&rig);
}

Test(sim_device, logs_in_over_tls12)
{
	struct rig rig;

	rig_login(&rig, 1);
	cr_assert_eq(rig.device.version, CH_TLS_1_2);
	cr_assert(rig.device.chunked);
	rig_deinit(&rig);
}

Test(sim_device, logs_in_as_borg_with_rsa)
{
	struct rig rig;

	rig_login(&rig, 3);
	cr_assert_eq(rig.device.version, CH_TLS_1_2);
	rig_deinit(&rig);
}

Test(sim_device, logs_in_without_chunks)
{
	struct rig rig;

	rig_login(&rig, 2);
	cr_assert_not(rig.device.chunked);
	cr_assert_eq(rig.client.framer.framing, CH_FRAMING_EOM);
	rig_rpc(&rig, "<get/>");
	cr_assert_eq(rig.replies, 1);
	rig_deinit(&rig);
}

Test(sim_device, logs_in_again_after_reset)
{
	struct rig rig;

	rig_login(&rig, 0);
	sim_device_reset(&rig.device);
	cr_assert_eq(rig.device.state, SIM_IDLE);
	cr_assert_eq(rig.shared.counters.up, 0);
	cr_assert_eq(sim_device_connected(&rig.device), 0);
	cr_assert_eq(rig.device.state, SIM_HANDSHAKE);
	rig_deinit(&rig);
}

Test(sim_device, answers_get_config_of_the_asked_size)
{
	struct rig rig;

	rig_login(&rig, 0);
	rig_rpc(&rig, "<get-config><source><running/></source></get-config>");
	cr_assert_eq(rig.replies, 1);
	cr_assert(rig_last_has(&rig, "<name>ge-0/0/0</name>"));
	/* 3000 were asked for; one more interface and the reply around it at most */
	cr_assert_geq(rig.last.len, 3000);
	cr_assert_leq(rig.last.len, 3300);
	cr_assert_eq(rig.shared.counters.rpcs, 1);
	cr_assert_eq(rig.shared.counters.rpc_errors, 0);
	rig_deinit(&rig);
}

Test(sim_device, answers_requests_byte_by_byte)
{
	for (uint32_t index = 0; index < 3; index++) {
		struct rig rig;
		rig_login(&rig, index);
		rig.pump_bytes = 1;
		rig_rpc(&rig, "<get/>");
		rig_rpc(&rig, "<lock><target><running/></target></lock>");
		cr_assert_eq(rig.replies, 2);
		cr_assert(rig_last_has(&rig, "<ok/>"));
		rig_deinit(&rig);
	}
}

Test(sim_device, answers_unknown_operations_with_an_error)
{
	struct rig rig;

	rig_login(&rig, 0);
	rig_rpc(&rig, "<frobnicate/>");
	cr_assert(rig_last_has(&rig, "<error-tag>operation-not-supported</error-tag>"));
	cr_assert(rig_last_has(&rig, "&lt;frobnicate&gt;"));
	cr_assert_eq(rig.shared.counters.rpc_errors, 1);
	rig_deinit(&rig);
}

Test(sim_device, echoes_message_ids_with_quotes)
{
	static const char rpc[] = "\n#69\n<rpc xmlns=\"urn:ietf:params:xml:ns:netconf:base:1.0\" "
				  "message-id='a\"'>\n#13\n<lock/></rpc>\n##\n";
	struct rig rig;

	rig_login(&rig, 0);
	rig_send_raw(&rig, CH_RECORD_DATA, rpc, sizeof(rpc) - 1);
	rig_pump(&rig);
	/* the client never sent such an id, and says so */
	cr_assert_eq(rig.shared.counters.rpcs, 1);
	cr_assert_eq(rig.reason, CH_REASON_UNEXPECTED_REPLY);
	cr_assert(memmem(rig.shared.message.data, rig.shared.message.len, "message-id='a\"'", 15));
	rig_deinit(&rig);
}

Test(sim_device, notifies_only_once_subscribed)
{
	struct rig rig;

	rig_login(&rig, 0);
	sim_device_notify(&rig.device);
	rig_pump(&rig);
	cr_assert_eq(rig.notifications, 0);
	cr_assert_eq(rig.shared.counters.notifications, 0);
	rig_subscribe(&rig);
	cr_assert(rig.device.subscribed);
	cr_assert_eq(rig.shared.counters.subscribed, 1);
	sim_device_notify(&rig.device);
	rig_pump(&rig);
	cr_assert_eq(rig.notifications, 1);
	rig_deinit(&rig);
}

Test(sim_device, numbers_its_notifications)
{
	struct rig rig;

	rig_login(&rig, 1);
	rig_subscribe(&rig);
	for (int i = 0; i < 1000; i++)
		sim_device_notify(&rig.device);
	rig_pump(&rig);
	cr_assert_eq(rig.notifications + rig.shared.counters.held, 1000);
	cr_assert_eq(rig.device.sequence, rig.notifications);
	char last[40];
	snprintf(last, sizeof(last), "<sequence>%u</sequence>", rig.notifications);
	cr_assert(rig_last_has(&rig, last));
	cr_assert(rig_last_has(&rig, "<device>acme-000001</device>"));
	rig_deinit(&rig);
}

Test(sim_device, holds_notifications_when_nobody_reads)
{
	struct rig rig;

	rig_login(&rig, 0);
	rig_subscribe(&rig);
	for (int i = 0; i < 10000; i++)
		sim_device_notify(&rig.device);
	cr_assert_gt(rig.shared.counters.held, 0);
	cr_assert_eq(rig.shared.counters.held + rig.shared.counters.notifications, 10000);
	cr_assert_leq(rig.device.out.len, 66 * 1024);
	rig_pump(&rig);
	cr_assert_eq(rig.notifications, rig.shared.counters.notifications);
	rig_deinit(&rig);
}

/* row: 7589-4 */
Test(sim_device, answers_close_session_and_says_close_notify)
{
	struct rig rig;
	struct ch_buf plain = {0};

	rig_login(&rig, 0);
	cr_assert_gt(ch_client_close(&rig.client, UINT64_MAX - 1, &plain), 0);
	rig_send_raw(&rig, CH_RECORD_DATA, plain.data, plain.len);
	ch_buf_deinit(&plain);
	rig_pump(&rig);
	cr_assert_eq(rig.closed, 1);
	cr_assert_eq(rig.reason, CH_REASON_CLOSED_BY_DEVICE);
	cr_assert_eq(rig.device.state, SIM_CLOSING);
	cr_assert_eq(rig.device.end, SIM_END_CLOSED);
	cr_assert_eq(rig.shared.counters.up, 0);
	rig_deinit(&rig);
}

Test(sim_device, answers_close_notify_with_close_notify)
{
	static const uint8_t close_notify[] = {1, 0};
	struct rig rig;

	for (uint32_t index = 0; index < 2; index++) {
		rig_login(&rig, index);
		rig_send_raw(&rig, CH_RECORD_ALERT, close_notify, sizeof(close_notify));
		rig_pump(&rig);
		cr_assert_eq(rig.device.end, SIM_END_CLOSED);
		cr_assert_eq(rig.reason, CH_REASON_CLOSED_BY_DEVICE);
		rig_deinit(&rig);
	}
}

Test(sim_device, follows_key_updates)
{
	static const uint8_t key_update[] = {24, 0, 0, 1, 1};
	struct rig rig;

	rig_login(&rig, 0);
	for (int i = 0; i < 3; i++) {
		rig_send_raw(&rig, CH_RECORD_HANDSHAKE, key_update, sizeof(key_update));
		cr_assert_eq(ch_record_rekey(&rig.record, true), 0);
		rig_rpc(&rig, "<get/>");
	}
	cr_assert_eq(rig.replies, 3);
	cr_assert_eq(rig.reason, CH_REASON_NONE);
	rig_deinit(&rig);
}

/* row: 8446-update */
Test(sim_device, answers_key_updates_by_one_before_its_data)
{
	static const uint8_t key_update[] = {24, 0, 0, 1, 1};
	struct rig rig;

	rig_login(&rig, 0);
	for (int i = 0; i < 3; i++) {
		rig_send_raw(&rig, CH_RECORD_HANDSHAKE, key_update, sizeof(key_update));
		cr_assert_eq(ch_record_rekey(&rig.record, true), 0);
	}
	rig_pump(&rig);
	cr_assert_eq(rig.updates, 0);
	rig_rpc(&rig, "<get/>");
	rig_rpc(&rig, "<get/>");
	cr_assert_eq(rig.replies, 2);
	cr_assert_eq(rig.updates, 1);
	cr_assert_eq(rig.update_asks, 0);
	cr_assert_eq(rig.shared.counters.key_updates_received, 3);
	cr_assert_eq(rig.shared.counters.key_updates_sent, 1);
	rig_deinit(&rig);
}

/* row: 8446-limits */
Test(sim_device, changes_its_keys_after_so_many_records)
{
	static const uint8_t key_update[] = {24, 0, 0, 1, 0};
	struct rig rig;

	rig_login(&rig, 0);
	rig_subscribe(&rig);
	rig.shared.key_update_every = 3;
	rig.shared.key_update_asks = true;
	rig.device.record.keys.tx.sequence = rig.record.keys.rx.sequence = 0;
	for (int i = 0; i < 9; i++) {
		sim_device_notify(&rig.device);
		rig_pump(&rig);
	}
	cr_assert_eq(rig.notifications, 9);
	cr_assert_eq(rig.updates, 2);
	cr_assert_eq(rig.update_asks, 1, "one question at a time");
	rig_send_raw(&rig, CH_RECORD_HANDSHAKE, key_update, sizeof(key_update));
	cr_assert_eq(ch_record_rekey(&rig.record, true), 0);
	rig_rpc(&rig, "<get/>");
	cr_assert_eq(rig.updates, 3);
	cr_assert_eq(rig.update_asks, 2);
	cr_assert_eq(rig.reason, CH_REASON_NONE);
	rig_deinit(&rig);
}

Test(sim_device, keeps_its_keys_under_tls12)
{
	struct rig rig;

	rig_login(&rig, 1);
	rig_subscribe(&rig);
	rig.shared.key_update_every = 1;
	for (int i = 0; i < 9; i++)
		sim_device_notify(&rig.device);
	rig_pump(&rig);
	cr_assert_eq(rig.notifications, 9);
	cr_assert_eq(rig.shared.counters.key_updates_sent, 0);
	rig_deinit(&rig);
}

Test(sim_device, ends_on_broken_input)
{
	struct rig rig;
	uint8_t junk[64] = {CH_RECORD_DATA, 3, 3, 0, 59};

	rig_login(&rig, 0);
	sim_device_data(&rig.device, junk, sizeof(junk));
	cr_assert_eq(rig.device.state, SIM_CLOSING);
	cr_assert_eq(rig.device.end, SIM_END_PROTOCOL);
	rig_deinit(&rig);
}

Test(sim_device, ends_on_a_message_that_is_no_rpc)
{
	struct rig rig;

	rig_login(&rig, 0);
	rig_send_raw(&rig, CH_RECORD_DATA, "\n#8\n<hello/>\n##\n", 16);
	rig_pump(&rig);
	cr_assert_eq(rig.device.end, SIM_END_PROTOCOL);
	rig_deinit(&rig);
}

Test(sim_device, tells_a_cut_from_a_reset)
{
	struct rig rig;

	rig_login(&rig, 0);
	sim_device_gone(&rig.device, 0);
	cr_assert_eq(rig.device.end, SIM_END_CUT);
	rig_deinit(&rig);
	rig_login(&rig, 0);
	sim_device_gone(&rig.device, -104);
	cr_assert_eq(rig.device.end, SIM_END_RESET);
	rig_deinit(&rig);
	rig_init(&rig, 0, NULL);
	sim_device_gone(&rig.device, 0);
	cr_assert_eq(rig.device.end, SIM_END_HANDSHAKE);
	rig_deinit(&rig);
}

Test(sim_device, is_small_when_idle)
{
	struct rig rig;

	cr_assert_leq(sizeof(struct sim_device), 1024);
	rig_login(&rig, 0);
	rig_rpc(&rig, "<get/>");
	rig_subscribe(&rig);
	sim_device_trim(&rig.device);
	cr_assert_eq(rig.device.in.cap, 0);
	cr_assert_leq(rig.device.out.cap, 1024);
	cr_assert_eq(rig.device.record.partial.cap, 0);
	rig_deinit(&rig);
}

/* ---- heartbeats ---- */

/* row: HB1 */
Test(sim_device, answers_heartbeats_in_both_versions)
{
	for (uint32_t index = 0; index < 2; index++) {
		struct rig rig;
		struct ch_buf message = {0};
		const struct ch_slice cookie = {rig.heartbeat.cookie, CH_HEARTBEAT_COOKIE};
		const struct ch_heartbeat_test test = {.max_wait_ns = 1, .max_attempts = 1};

		rig_login(&rig, index);
		cr_assert_eq(rig.heartbeat.mode, CH_HEARTBEAT_ALLOWED);
		cr_assert_eq(ch_heartbeat_on_expiry(&rig.heartbeat, &test, 5,
						    (const uint8_t *)"12345678"),
			     CH_HEARTBEAT_ASK);
		cr_assert_eq(ch_heartbeat_write(&message, CH_HEARTBEAT_REQUEST, cookie,
						(const uint8_t *)"0123456789abcdef"),
			     0);
		rig_send_raw(&rig, CH_RECORD_HEARTBEAT, message.data, message.len);
		rig_pump(&rig);
		cr_assert_eq(rig.beats, 1);
		ch_buf_deinit(&message);
		rig_deinit(&rig);
	}
}

/* row: S7b */
Test(sim_device, asks_a_silent_collector_and_is_content_with_its_answer)
{
	struct rig rig;

	rig_login(&rig, 0);
	rig.shared.heartbeat_test = (struct ch_heartbeat_test){1000, 3};
	cr_assert_eq(sim_device_test_due(&rig.device), 1000);
	sim_device_test(&rig.device);
	cr_assert_eq(rig.device.out.len, 0, "not due");
	rig.shared.now_ns = 1000;
	sim_device_test(&rig.device);
	cr_assert_gt(rig.device.out.len, 0);
	rig_pump(&rig);
	cr_assert_eq(rig.shared.counters.heartbeats_sent, 1);
	cr_assert_eq(rig.shared.counters.heartbeats_answered, 1);
	cr_assert_eq(sim_device_test_due(&rig.device), 2000);
	rig_deinit(&rig);
}

/* row: S7a */
Test(sim_device, gives_a_dead_collector_up_after_max_attempts)
{
	struct rig rig;

	rig_login(&rig, 0);
	rig.shared.heartbeat_test = (struct ch_heartbeat_test){1000, 3};
	for (unsigned i = 1; i <= 3; i++) {
		rig.shared.now_ns = 1000 * i;
		sim_device_test(&rig.device);
		cr_assert_eq(rig.device.state, SIM_OPEN);
	}
	cr_assert_eq(rig.shared.counters.heartbeats_sent, 3);
	rig.shared.now_ns = 4000;
	sim_device_test(&rig.device);
	cr_assert_eq(rig.device.state, SIM_CLOSING);
	cr_assert_eq(rig.device.end, SIM_END_SILENT);
	rig_deinit(&rig);
}

/* row: S7b */
Test(sim_device, with_the_kernel_a_heartbeat_waits_as_a_record_of_its_own)
{
	struct rig rig;

	rig_login(&rig, 0);
	rig.device.tx_kernel = true;
	rig.shared.heartbeat_test = (struct ch_heartbeat_test){1000, 3};
	rig.shared.now_ns = 1000;
	sim_device_test(&rig.device);
	cr_assert_eq(rig.device.out.len, 0);
	cr_assert_eq(rig.device.beat.len, 3 + 8 + 16);
	cr_assert_eq(rig.device.beat.data[0], CH_HEARTBEAT_REQUEST);
	rig_deinit(&rig);
}
