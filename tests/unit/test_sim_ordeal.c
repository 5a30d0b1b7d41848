/* SPDX-License-Identifier: Apache-2.0 */
/* links: tls proto core */
/* sources: bench/ordeal.c bench/verify.c bench/impostor.c bench/device.c bench/cert_to_name.c bench/netconf.c bench/pki.c */
#include "bench/ordeal.h"

#include <criterion/criterion.h>
#include <string.h>

static struct sim_ordeal ordeal;

static void fill(struct ch_hist *hist, uint64_t us)
{
	ch_hist_reset(hist);
	for (int i = 0; i < 100; i++)
		ch_hist_record(hist, us);
}

/* An attack that nobody noticed. */
static void setup(void)
{
	memset(&ordeal, 0, sizeof(ordeal));
	ordeal.kind = "silent";
	ordeal.guard = true;
	ordeal.attempts = 1000;
	ordeal.devices = ordeal.up = 50;
	ordeal.calls = ordeal.logins = 500;
	ordeal.sent = ordeal.spooled = 9000;
	ordeal.memory_bound_kib = 1000;
	ordeal.quiet.memory_kib = ordeal.under.memory_kib = 20000;
	ordeal.quiet.seconds = 5;
	ordeal.under.seconds = 10;
	ordeal.quiet.cpu_s = 1;
	ordeal.under.cpu_s = 3;
	fill(&ordeal.quiet.login_us, 4000);
	fill(&ordeal.under.login_us, 4000);
	fill(&ordeal.quiet.rpc_us, 1000);
	fill(&ordeal.under.rpc_us, 1000);
}

static void expect_miss(const char *sentence)
{
	sim_ordeal_judge(&ordeal);
	cr_assert_eq(ordeal.failures.count, 1, "%s: %u", sentence, ordeal.failures.count);
	cr_assert_str_eq(ordeal.failures.text[0], sentence);
	setup();
}

Test(sim_ordeal, an_attack_that_nobody_notices_passes, .init = setup)
{
	sim_ordeal_judge(&ordeal);
	cr_assert_eq(ordeal.failures.count, 0, "%s", ordeal.failures.text[0]);
}

Test(sim_ordeal, each_harm_to_the_fleet_is_a_miss, .init = setup)
{
	ordeal.up = 49;
	expect_miss("49 of 50 devices are up at the end");
	ordeal.cut = 1;
	expect_miss("1 sessions were cut");
	ordeal.logins = 499;
	expect_miss("499 of 500 calls got in");
	ordeal.spooled = 8999;
	expect_miss("8999 of 9000 notifications are in the spool");
	ordeal.held = 2;
	expect_miss("2 notifications could not be sent");
	ordeal.rpcs_failed = 3;
	expect_miss("3 rpcs failed");
	ordeal.false_bans = 1;
	expect_miss("1 bans of honest sources");
	ordeal.under.memory_kib = 21001;
	expect_miss("memory grew from 20000 to 21001 KiB");
	ordeal.attempts = 0;
	expect_miss("the attack made no attempt");
}

Test(sim_ordeal, p99_may_double_but_no_more, .init = setup)
{
	fill(&ordeal.under.login_us, 8000);
	fill(&ordeal.under.rpc_us, 2000);
	sim_ordeal_judge(&ordeal);
	cr_assert_eq(ordeal.failures.count, 0, "%s", ordeal.failures.text[0]);
	fill(&ordeal.under.login_us, 9000);
	expect_miss("login p99 9.0 ms, 4.0 ms when it is quiet");
	fill(&ordeal.under.rpc_us, 3000);
	expect_miss("rpc p99 3.0 ms, 1.0 ms when it is quiet");
}

Test(sim_ordeal, nobody_who_logs_in_is_no_latency_but_a_miss, .init = setup)
{
	ch_hist_reset(&ordeal.under.login_us);
	expect_miss("no login during the attack");
}

Test(sim_ordeal, an_attack_that_was_skipped_is_not_judged, .init = setup)
{
	ordeal.skipped = "no root";
	ordeal.up = 0;
	sim_ordeal_judge(&ordeal);
	cr_assert_eq(ordeal.failures.count, 0);
}

Test(sim_ordeal, cpu_per_attempt_is_what_is_beyond_the_quiet, .init = setup)
{
	/* quiet it would have been 2 s in those 10 s */
	cr_assert_float_eq(sim_ordeal_cpu_us(&ordeal), 1000, 1e-6);
	ordeal.under.cpu_s = 1;
	cr_assert_float_eq(sim_ordeal_cpu_us(&ordeal), 0, 1e-6);
	ordeal.under.cpu_s = 3;
	ordeal.attempts = 0;
	cr_assert_float_eq(sim_ordeal_cpu_us(&ordeal), 0, 1e-6);
}

Test(sim_ordeal, a_span_has_only_what_came_in_it)
{
	struct ch_hist before, later;

	fill(&before, 100);
	later = before;
	for (int i = 0; i < 10; i++)
		ch_hist_record(&later, 50000);
	sim_hist_since(&later, &before);
	cr_assert_eq(later.total, 10);
	cr_assert_eq(ch_hist_percentile(&later, 1), 50000);
}

Test(sim_ordeal, the_result_is_an_object_with_both_spans, .init = setup)
{
	struct ch_buf text = {0};
	struct ch_json json;

	sim_ordeal_judge(&ordeal);
	ch_json_init(&json, &text);
	sim_ordeal_json(&json, NULL, &ordeal);
	cr_assert_eq(json.err, 0);
	cr_assert_eq(ch_buf_append(&text, "", 1), 0);
	const char *got = (const char *)text.data;
	cr_assert_not_null(strstr(got, "{\"result\":\"pass\",\"rate\":"), "%s", got);
	cr_assert_not_null(strstr(got, "\"under\":{\"seconds\":10.000,\"logins\":100,"), "%s", got);
	cr_assert_not_null(strstr(got, "\"cpu_per_attempt_us\":1000.000,"), "%s", got);
	ch_buf_deinit(&text);
}

Test(sim_ordeal, the_plot_has_a_bar_for_each_attack_that_ran, .init = setup)
{
	static struct sim_ordeal pair[4];
	char *script = NULL;
	size_t len = 0;

	for (int i = 0; i < 4; i++) {
		pair[i] = ordeal;
		pair[i].guard = i % 2 == 1;
		pair[i].kind = i < 2 ? "silent" : "flap";
		pair[i].skipped = i == 2 ? "no root" : NULL;
		pair[i].calls = 8;
		pair[i].logins = i == 0 ? 6 : 8;
	}
	FILE *to = open_memstream(&script, &len);
	sim_ordeal_plot(to, pair, 4, "x.svg");
	fclose(to);
	cr_assert_not_null(strstr(script, "$off << END\n\"silent\" 4.0"), "%s", script);
	cr_assert_not_null(strstr(script, "\"flap\" 4.0"), "%s", script);
	cr_assert_not_null(strstr(script, "$in_off << END\n\"silent\" 75.000\nEND"), "%s", script);
	cr_assert_not_null(strstr(script, "$in_on << END\n\"silent\" 100.000\n\"flap\" 100.000"),
			   "%s", script);
	cr_assert_not_null(strstr(script, "set output 'x.svg'"), "%s", script);
	free(script);
}
