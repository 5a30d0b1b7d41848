/* SPDX-License-Identifier: Apache-2.0 */
/* links: tls proto core */
/* sources: tests/unit/sim_rig.c bench/device.c bench/cert_to_name.c bench/netconf.c bench/impostor.c bench/pki.c bench/pki_make.c bench/pki_status.c */
#include "sim_rig.h"

#include <criterion/criterion.h>
#include <string.h>

static const struct sim_impostor *kind(const char *name)
{
	const struct sim_impostor *found = sim_impostor_find(name, strlen(name));

	cr_assert_not_null(found, "%s", name);
	return found;
}

/* What a collector concludes from the bytes alone; both TLS versions where the kind has both. */
static void assert_reason(const char *name)
{
	for (uint32_t index = 0; index < 2; index++) {
		struct rig rig;
		rig_init(&rig, index, kind(name));
		rig_pump(&rig);
		if (rig.up && rig.reason == CH_REASON_NONE)
			rig_rpc(&rig, "<get/>");
		cr_assert_eq(rig.reason, kind(name)->reason, "%s: %s, not %s", name,
			     ch_reason_name(rig.reason), ch_reason_name(kind(name)->reason));
		cr_assert_eq(rig.shared.counters.logins, 0);
		cr_assert_eq(rig.shared.counters.rpcs, 0);
		rig_deinit(&rig);
	}
}

Test(sim_impostor, certificates_are_refused_for_their_reason)
{
	static const char *const names[] = {
		"unknown-ca", "unknown-serial", "other-manufacturer", "expired", "not-yet-valid",
		"self-signed", "bad-signature-chain", "no-identifier", "wrong-usage", "weak-key",
		"huge-chain", "revoked", "revoked-ca", "staple-revoked", "staple-unknown",
		"staple-stale", "staple-forged",
	};
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		assert_reason(names[i]);
}

Test(sim_impostor, stolen_cert_cannot_prove_possession)
{
	assert_reason("stolen-cert");
}

Test(sim_impostor, tls_settings_are_refused_for_their_reason)
{
	static const char *const names[] = {
		"no-cert-request", "refuses-client", "tls11-only", "cbc-only", "rsa-kx-only",
		"no-ems", "fatal-alert", "broken-handshake", "garbage", "heartbeat-mode",
	};
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		assert_reason(names[i]);
}

Test(sim_impostor, hellos_are_refused_for_their_reason)
{
	assert_reason("bad-hello");
	assert_reason("no-session-id");
	assert_reason("no-base");
}

Test(sim_impostor, sessions_end_for_their_reason)
{
	static const char *const names[] = {
		"broken-chunk",	   "huge-message",     "many-chunks", "junk-message",
		"deep-xml",	   "unexpected-reply", "leaves",      "bad-record",
		"junk-record",	   "record-flood",     "update-flood", "alert-flood",
		"heartbleed",	   "long-heartbeat",   "heartbeat-flood",
	};
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		assert_reason(names[i]);
}

Test(sim_impostor, silent_says_nothing)
{
	struct rig rig;

	rig_init(&rig, 0, kind("silent"));
	rig_pump(&rig);
	cr_assert_eq(rig.in.len, 0);
	cr_assert_eq(rig.device.state, SIM_HANDSHAKE);
	rig_deinit(&rig);
}

Test(sim_impostor, slow_handshake_says_three_bytes)
{
	struct rig rig;

	rig_init(&rig, 0, kind("slow-handshake"));
	rig_pump(&rig);
	cr_assert_eq(rig.in.len, 3);
	cr_assert_eq(rig.device.state, SIM_HANDSHAKE);
	rig_deinit(&rig);
}

Test(sim_impostor, no_hello_says_nothing_after_tls)
{
	struct rig rig;

	rig_init(&rig, 0, kind("no-hello"));
	rig_pump(&rig);
	cr_assert(rig.secured);
	cr_assert_not(rig.up);
	cr_assert_eq(rig.reason, CH_REASON_NONE);
	rig_deinit(&rig);
}

Test(sim_impostor, some_ask_for_what_only_sockets_can_do)
{
	struct rig rig;

	rig_init(&rig, 0, kind("truncated"));
	rig_pump(&rig);
	cr_assert(rig.up);
	cr_assert(rig.device.half_close);
	rig_deinit(&rig);
	rig_init(&rig, 0, kind("close-in-handshake"));
	rig_pump(&rig);
	cr_assert(rig.device.half_close);
	cr_assert_eq(rig.in.len, 0);
	rig_deinit(&rig);
	rig_init(&rig, 0, kind("reset"));
	rig_pump(&rig);
	cr_assert(rig.device.abort);
	cr_assert_eq(rig.device.state, SIM_CLOSING);
	cr_assert_eq(rig.reason, CH_REASON_NONE);
	rig_deinit(&rig);
	rig_init(&rig, 0, kind("reader-stall"));
	rig_pump(&rig);
	cr_assert(rig.device.stall);
	rig_deinit(&rig);
}

/* row: HB2 */
Test(sim_impostor, a_leak_in_answer_to_a_heartbeat_is_told_by_a_reset)
{
	struct rig rig;

	rig_init(&rig, 0, kind("heartbleed"));
	rig.leaks = true;
	rig_pump(&rig);
	cr_assert_eq(rig.reason, CH_REASON_NONE);
	cr_assert(rig.device.abort);
	cr_assert_eq(rig.device.state, SIM_CLOSING);
	rig_deinit(&rig);
}

Test(sim_impostor, heartbeat_mute_answers_no_heartbeat)
{
	struct rig rig;

	rig_init(&rig, 0, kind("heartbeat-mute"));
	rig_pump(&rig);
	rig_send_raw(&rig, CH_RECORD_HEARTBEAT,
		     "\1\0\0"
		     "0123456789abcdef",
		     19);
	rig_pump(&rig);
	cr_assert(rig.up);
	cr_assert_eq(rig.heartbeat.records_tat_ns, 0);
	cr_assert_eq(rig.reason, CH_REASON_NONE);
	rig_deinit(&rig);
}

Test(sim_impostor, mute_answers_nothing)
{
	struct rig rig;

	rig_init(&rig, 0, kind("mute"));
	rig_pump(&rig);
	cr_assert(rig.up);
	rig_rpc(&rig, "<get/>");
	cr_assert_eq(rig.replies, 0);
	cr_assert_eq(rig.reason, CH_REASON_NONE);
	rig_deinit(&rig);
}

Test(sim_impostor, names_are_unique_and_reasons_are_not_local)
{
	size_t count;
	const struct sim_impostor *table = sim_impostors(&count);

	cr_assert_geq(count, 40);
	for (size_t i = 0; i < count; i++) {
		cr_assert_eq(sim_impostor_find(table[i].name, strlen(table[i].name)), &table[i]);
		cr_assert_neq(ch_reason_fault(table[i].reason), CH_FAULT_LOCAL, "%s", table[i].name);
	}
	cr_assert_null(sim_impostor_find("expire", 6));
	cr_assert_null(sim_impostor_find("expiredd", 8));
}
