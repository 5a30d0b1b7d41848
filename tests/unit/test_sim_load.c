/* SPDX-License-Identifier: Apache-2.0 */
/* links: kernel tls proto core */
/* sources: bench/load.c bench/args.c bench/report.c bench/device.c bench/cert_to_name.c bench/netconf.c bench/impostor.c bench/pki.c bench/fleet.c bench/call.c bench/call_dial.c bench/call_attack.c bench/call_keys.c bench/schedule.c */
#include "bench/args.h"
#include "bench/load.h"
#include "bench/report.h"

#include <criterion/criterion.h>
#include <string.h>

Test(sim_load, reads_rates)
{
	double value = -1;

	cr_assert_eq(sim_parse_rate("0", &value), 0);
	cr_assert_float_eq(value, 0, 1e-9);
	cr_assert_eq(sim_parse_rate("12.5", &value), 0);
	cr_assert_float_eq(value, 12.5, 1e-9);
	cr_assert_eq(sim_parse_rate("0.000001", &value), 0);
	cr_assert_float_eq(value, 0.000001, 1e-12);
	cr_assert_eq(sim_parse_rate("0.0000001", &value), CH_E_SYNTAX);
	cr_assert_eq(sim_parse_rate(".5", &value), CH_E_SYNTAX);
	cr_assert_eq(sim_parse_rate("5.", &value), CH_E_SYNTAX);
	cr_assert_eq(sim_parse_rate("-1", &value), CH_E_SYNTAX);
	cr_assert_eq(sim_parse_rate("1e3", &value), CH_E_SYNTAX);
	cr_assert_eq(sim_parse_rate("", &value), CH_E_SYNTAX);
}

Test(sim_load, reads_bare_numbers_as_seconds)
{
	uint64_t ns = 0;

	cr_assert_eq(sim_parse_duration("20", 0, UINT64_MAX, &ns), 0);
	cr_assert_eq(ns, 20000000000ull);
	cr_assert_eq(sim_parse_duration("20ms", 0, UINT64_MAX, &ns), 0);
	cr_assert_eq(ns, 20000000ull);
	cr_assert_eq(sim_parse_duration("20", 0, 1000, &ns), CH_E_RANGE);
	cr_assert_eq(sim_parse_duration("99999999999999", 0, UINT64_MAX, &ns), CH_E_SYNTAX);
	cr_assert_eq(sim_parse_duration("x", 0, UINT64_MAX, &ns), CH_E_SYNTAX);
}

Test(sim_load, reads_kinds_of_impostors)
{
	struct sim_plan plans[64];
	uint32_t count;
	char error[256];

	cr_assert_eq(sim_plans_parse("expired", plans, 64, &count, error), 0);
	cr_assert_eq(count, 1);
	cr_assert_eq(plans[0].count, 1);
	cr_assert_str_eq(plans[0].kind->name, "expired");
	cr_assert_eq(sim_plans_parse("expired:3,silent:12", plans, 64, &count, error), 0);
	cr_assert_eq(count, 2);
	cr_assert_eq(plans[1].count, 12);
	cr_assert_str_eq(plans[1].kind->name, "silent");
	cr_assert_eq(sim_plans_parse("all:2", plans, 64, &count, error), 0);
	size_t kinds;
	(void)sim_impostors(&kinds);
	cr_assert_eq(count, kinds);
}

Test(sim_load, refuses_unknown_kinds_and_counts)
{
	struct sim_plan plans[2];
	uint32_t count;
	char error[256];

	cr_assert_eq(sim_plans_parse("mallory", plans, 2, &count, error), CH_E_SYNTAX);
	cr_assert_str_eq(error, "mallory is no kind of impostor (callhome-sim impostors lists them)");
	cr_assert_eq(sim_plans_parse("expired:0", plans, 2, &count, error), CH_E_SYNTAX);
	cr_assert_str_eq(error, "expired:0: the count is a number from 1 to 100000");
	cr_assert_eq(sim_plans_parse("expired,,silent", plans, 2, &count, error), CH_E_SYNTAX);
	cr_assert_eq(sim_plans_parse("", plans, 2, &count, error), CH_E_SYNTAX);
	cr_assert_eq(sim_plans_parse("all", plans, 2, &count, error), CH_E_SYNTAX);
	cr_assert_str_eq(error, "more than 2 kinds of impostors");
}

Test(sim_load, takes_as_many_threads_as_hold_the_devices)
{
	cr_assert_eq(sim_load_threads(0, 1024), 1);
	cr_assert_eq(sim_load_threads(768, 1024), 1);
	cr_assert_eq(sim_load_threads(769, 1024), 2);
	cr_assert_eq(sim_load_threads(100000, 20000), 6);
	cr_assert_eq(sim_load_threads(300, 10), 2);
	cr_assert_eq(sim_load_threads(UINT32_MAX, 1024), 64);
}

static struct ch_address address(const char *text)
{
	struct ch_address parsed;

	cr_assert_eq(ch_address_parse(text, &parsed), 0);
	return parsed;
}

Test(sim_load, knows_the_loopback)
{
	const struct ch_address inside = address("127.255.0.1:1"), six = address("[::1]:1");
	const struct ch_address outside = address("128.0.0.1:1"), two = address("[::2]:1");

	cr_assert(sim_address_is_loopback(&inside));
	cr_assert(sim_address_is_loopback(&six));
	cr_assert_not(sim_address_is_loopback(&outside));
	cr_assert_not(sim_address_is_loopback(&two));
}

Test(sim_load, knows_prefixes)
{
	const struct ch_address four = address("192.0.2.130:1"), six = address("[2001:db8::1]:1");

	cr_assert(sim_address_in_prefix(&four, "192.0.2.0/24"));
	cr_assert(sim_address_in_prefix(&four, "192.0.2.128/25"));
	cr_assert_not(sim_address_in_prefix(&four, "192.0.2.0/25"));
	cr_assert(sim_address_in_prefix(&four, "192.0.2.130"));
	cr_assert_not(sim_address_in_prefix(&four, "192.0.2.131"));
	cr_assert(sim_address_in_prefix(&four, "0.0.0.0/0"));
	cr_assert_not(sim_address_in_prefix(&four, "192.0.2.0/33"));
	cr_assert_not(sim_address_in_prefix(&four, "here"));
	cr_assert(sim_address_in_prefix(&six, "2001:db8::/32"));
	cr_assert_not(sim_address_in_prefix(&six, "2001:db9::/32"));
	cr_assert_not(sim_address_in_prefix(&six, "192.0.2.0/24"));
}

Test(sim_load, holds_thresholds_by_value)
{
	static struct sim_snapshot snapshot;
	struct sim_threshold threshold;
	uint64_t actual;
	char error[256];
	static const struct {
		const char *text;
		bool holds;
	} cases[] = {
		{"up>=3", true}, {"up>3", false}, {"up==3", true}, {"up<=2", false}, {"up<4", true},
		{"failures==2", true}, {"login_p99<=11ms", true}, {"login_p99<10ms", false},
		{"login_max==10ms", true}, {"impostors_left<1", true},
	};

	snapshot.counters.up = 3;
	snapshot.counters.ends[SIM_END_CLOSED] = 7;
	snapshot.counters.ends[SIM_END_STOPPED] = 7;
	snapshot.counters.ends[SIM_END_RESET] = 2;
	ch_hist_record(&snapshot.login_us, 10000);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		cr_assert_eq(sim_threshold_parse(cases[i].text, &threshold, error), 0, "%s", error);
		cr_assert_eq(sim_threshold_holds(&threshold, &snapshot, &actual), cases[i].holds,
			     "%s: %llu", cases[i].text, (unsigned long long)actual);
	}
}

Test(sim_load, refuses_thresholds_it_does_not_understand)
{
	struct sim_threshold threshold;
	char error[256];

	cr_assert_eq(sim_threshold_parse("speed>1", &threshold, error), CH_E_SYNTAX);
	cr_assert_str_eq(error, "threshold \"speed>1\": knows no such metric (see run --help)");
	cr_assert_eq(sim_threshold_parse("up", &threshold, error), CH_E_SYNTAX);
	cr_assert_str_eq(error, "threshold \"up\": needs one of < <= > >= == behind the metric");
	cr_assert_eq(sim_threshold_parse("up>many", &threshold, error), CH_E_SYNTAX);
	cr_assert_str_eq(error, "threshold \"up>many\": needs a number");
	cr_assert_eq(sim_threshold_parse("login_p50<5", &threshold, error), CH_E_SYNTAX);
	cr_assert_str_eq(error, "threshold \"login_p50<5\": needs a time such as 200ms");
	cr_assert_eq(sim_threshold_parse("up=3", &threshold, error), CH_E_SYNTAX);
}

Test(sim_load, reports_json_by_value)
{
	static struct sim_snapshot snapshot;
	struct ch_buf text = {0};
	struct ch_json json;

	snapshot.counters.arrivals = 5;
	snapshot.counters.ends[SIM_END_REFUSED] = 2;
	ch_json_init(&json, &text);
	ch_json_object(&json, NULL);
	sim_report_json(&json, &snapshot, 1.5);
	ch_json_object_end(&json);
	cr_assert_eq(json.err, 0);
	cr_assert_eq(ch_buf_append(&text, "", 1), 0);
	cr_assert_not_null(strstr((char *)text.data, "\"calls\":5,"));
	cr_assert_not_null(strstr((char *)text.data, "\"ends\":{\"connect-refused\":2}"));
	cr_assert_not_null(strstr((char *)text.data, "\"seconds\":1.500}"));
	ch_buf_deinit(&text);
}
