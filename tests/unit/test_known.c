/* SPDX-License-Identifier: Apache-2.0 */
/* links: guard kernel core */
#include "gate_rig.h"
#include "user/guard/known.h"

#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static const struct ch_clocks before = {T0, U0};
/* A reboot: the monotonic clock began anew. */
static const struct ch_clocks after = {5 * S, U0 + 100 * S};

static char file[64], bans[64], beside[72];
static struct ch_sources *sources;
static struct ch_gate *gate;
static struct ch_buf text;

static void renew(const struct ch_sources_options *o)
{
	ch_sources_free(sources);
	cr_assert_eq(ch_sources_new(o, &sources), 0);
}

static void start(void)
{
	struct ch_sources_options o = usual_sources(3);

	snprintf(file, sizeof(file), "/tmp/known-%d", getpid());
	snprintf(bans, sizeof(bans), "/tmp/known-bans-%d", getpid());
	snprintf(beside, sizeof(beside), "%s.known", bans);
	renew(&o);
}

static void stop(void)
{
	ch_gate_free(gate);
	ch_sources_free(sources);
	ch_buf_deinit(&text);
	unlink(file);
	unlink(bans);
	unlink(beside);
}

TestSuite(known, .init = start, .fini = stop);

static struct guard_source at(const char *ip)
{
	struct ch_address address = address_of(ip);
	struct guard_source source;

	ch_source_of(sources, &address, &source);
	return source;
}

static void has_session(const char *ip, uint64_t since_ns)
{
	struct guard_source source = at(ip);

	ch_sources_succeed(sources, &source, since_ns);
}

static void had_session(const char *ip, uint64_t until_ns)
{
	struct guard_source source = at(ip);

	ch_sources_succeed(sources, &source, until_ns);
	ch_sources_end(sources, &source, CH_SESSION_GOOD, until_ns);
}

static bool is_known(const char *ip, uint64_t now_ns)
{
	struct guard_source source = at(ip);
	struct ch_arrival_info info;

	ch_sources_arrive(sources, &source, now_ns, &info);
	if (info.verdict == CH_ARRIVAL_WELCOME)
		ch_sources_leave(sources, &source);
	return ch_rank_is_known(info.rank);
}

static size_t count_known(uint64_t now_ns)
{
	struct ch_known known[CH_KNOWN_STEP];
	struct ch_known_walk walk = {0};
	size_t sum = 0;
	size_t count;

	for (; ch_sources_known(sources, now_ns, &walk, known, &count); sum += count)
		cr_assert_leq(count, CH_KNOWN_STEP);
	return sum;
}

static void write_file(const char *lines)
{
	FILE *out = fopen(file, "w");

	cr_assert_not_null(out);
	fputs(lines, out);
	fclose(out);
}

/* Into new sources. */
static int read_file(const struct ch_sources_options *o, const struct ch_clocks *clocks)
{
	int err;

	renew(o);
	err = ch_known_read(file, sources, clocks, &text);
	cr_assert_eq(ch_buf_append(&text, "", 1), 0);
	return err;
}

Test(known, sources_outlive_a_reboot)
{
	struct ch_sources_options o = usual_sources(3);
	bool unripe;

	had_session("192.0.2.1", T0 - 10 * S);
	had_session("2001:db8::1", T0);
	had_session("192.0.2.2", T0 - KNOWN + 50 * S); /* for 50 seconds more */
	had_session("192.0.2.3", T0 - KNOWN - S);
	(void)is_known("192.0.2.4", T0);
	cr_assert_eq(ch_known_write(file, sources, &before, &unripe), 0);
	cr_expect_not(unripe);
	cr_assert_eq(read_file(&o, &after), 0);
	cr_expect_str_eq((char *)text.data, "");
	cr_expect_eq(count_known(after.now_ns), 2);
	cr_expect(is_known("2001:db8::ffff", after.now_ns), "all of a /64");
	cr_expect_not(is_known("192.0.2.2", after.now_ns), "its end passed while we were away");
	cr_expect_not(is_known("192.0.2.4", after.now_ns), "a stranger before");
	cr_expect(is_known("192.0.2.1", after.now_ns + KNOWN - 111 * S));
	cr_expect_not(is_known("192.0.2.1", after.now_ns + KNOWN - 109 * S), "by the wall clock");
}

Test(known, counts_a_session_that_lasts_and_tells_of_one_that_has_yet_to)
{
	struct ch_sources_options o = usual_sources(3);
	bool unripe;

	has_session("192.0.2.1", T0 - 3 * S);
	cr_assert_eq(ch_known_write(file, sources, &before, &unripe), 0);
	cr_expect_not(unripe);
	has_session("192.0.2.2", T0 - S);
	cr_assert_eq(ch_known_write(file, sources, &before, &unripe), 0);
	cr_expect(unripe);
	cr_assert_eq(read_file(&o, &after), 0);
	cr_expect(is_known("192.0.2.1", after.now_ns + KNOWN - 101 * S));
	cr_expect_not(is_known("192.0.2.2", after.now_ns));
}

Test(known, names_lines_that_cannot_be_read_and_goes_on)
{
	struct ch_sources_options o = usual_sources(3);

	write_file("# a comment\n\ngarbage\n192.0.2.1 2030-01-01T00:00:00Z\n192.0.2.2 never\n"
		   "192.0.2.3 2030-13-01T00:00:00Z\n192.0.2.1/24 2030-01-01T00:00:00Z\n");
	cr_assert_eq(read_file(&o, &after), 0);
	cr_expect_eq(count_known(after.now_ns), 1);
	cr_expect_not_null(strstr((char *)text.data, ":3: not a known source (SOURCE END); the line is "
				  "ignored\n"));
	cr_expect_not_null(strstr((char *)text.data, ":5: not"));
	cr_expect_not_null(strstr((char *)text.data, ":6: not"));
	cr_expect_not_null(strstr((char *)text.data, ":7: not"));
}

Test(known, tells_of_twenty_broken_lines_and_counts_the_rest)
{
	struct ch_sources_options o = usual_sources(3);
	FILE *out = fopen(file, "w");

	for (int i = 0; i < 1000; i++)
		fputs("garbage\n", out);
	fclose(out);
	cr_assert_eq(read_file(&o, &after), 0);
	cr_expect_not_null(strstr((char *)text.data, ":20: not"));
	cr_expect_null(strstr((char *)text.data, ":21: not"));
	cr_expect_not_null(strstr((char *)text.data, "and 980 lines more\n"));
}

Test(known, refuses_what_is_no_text)
{
	struct ch_sources_options o = usual_sources(3);
	FILE *out = fopen(file, "w");

	for (int i = 0; i < 1000; i++)
		fputc(i % 7, out);
	fclose(out);
	cr_expect_eq(read_file(&o, &after), CH_E_LIMIT);
	unlink(file);
	cr_expect_eq(read_file(&o, &after), 0, "a file that is not there is an empty one");
}

Test(known, believes_no_end_beyond_the_time_that_a_source_stays_known)
{
	struct ch_sources_options o = usual_sources(3);

	write_file("192.0.2.1 2200-01-01T00:00:00Z\n");
	cr_assert_eq(read_file(&o, &after), 0);
	cr_expect(is_known("192.0.2.1", after.now_ns + KNOWN - S));
	cr_expect_not(is_known("192.0.2.1", after.now_ns + KNOWN + S));
}

Test(known, takes_no_more_sources_than_it_remembers)
{
	struct ch_sources_options o = usual_sources(3);
	struct ch_sources_load load;
	FILE *out = fopen(file, "w");

	for (int i = 0; i < 5000; i++)
		fprintf(out, "192.0.%d.%d 2030-01-01T00:00:00Z\n", i / 250, i % 250);
	fclose(out);
	cr_assert_eq(read_file(&o, &after), 0);
	ch_sources_load(sources, after.now_ns, &load);
	cr_expect_leq(load.sources, 1000 + 32);
	cr_expect_geq(count_known(after.now_ns), 900);
}

Test(known, follows_a_change_of_what_makes_a_source)
{
	struct ch_sources_options o = usual_sources(3);

	write_file("192.0.2.7 2030-01-01T00:00:00Z\n198.51.0.0/16 2030-01-01T00:00:00Z\n");
	o.v4_bits = 24;
	cr_assert_eq(read_file(&o, &after), 0);
	cr_expect(is_known("192.0.2.1", after.now_ns), "all of the /24 now");
	cr_expect_not(is_known("198.51.0.1", after.now_ns), "one source of many");
}

Test(known, walks_all_of_a_large_table_in_small_steps)
{
	struct ch_sources_options o = usual_sources(3);
	char ip[32];

	o.most = 100000;
	renew(&o);
	for (int i = 0; i < 40000; i++) {
		snprintf(ip, sizeof(ip), "10.%d.%d.1", i / 200, i % 200);
		had_session(ip, T0);
	}
	cr_expect_eq(count_known(T0 + S), 40000);
}

/* ---------------------------------------------------------------- the gate and its file */

static uint64_t real_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * S + (uint64_t)now.tv_nsec;
}

static void open_gate(const char *known_file)
{
	struct ch_gate_options o = {.mode = CH_GATE_USERSPACE,
				    .sources = usual_sources(3),
				    .bans_file = bans,
				    .known_file = known_file};

	ch_gate_free(gate);
	gate = NULL;
	cr_assert_eq(ch_gate_new(&o, NULL, &gate, &text), 0);
}

static enum ch_rank rank_at_gate(const char *ip)
{
	return visit_gate(gate, ip, real_now()).rank;
}

static void good_session(const char *ip)
{
	struct ch_address peer = address_of(ip);

	ch_gate_succeed(gate, &peer, real_now());
	ch_gate_end(gate, &peer, CH_SESSION_GOOD, real_now());
}

static struct ch_clocks in(uint64_t ns)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (struct ch_clocks){real_now() + ns,
				  (uint64_t)now.tv_sec * S + (uint64_t)now.tv_nsec + ns};
}

Test(known, gate_knows_again_who_was_known_when_it_was_stopped)
{
	struct ch_clocks now = in(0);

	open_gate(NULL);
	good_session("192.0.2.1");
	ch_gate_flush(gate, &now);
	cr_expect_eq(access(beside, F_OK), 0, "beside the file of bans");
	open_gate(NULL);
	cr_expect_eq(rank_at_gate("192.0.2.1"), CH_RANK_KNOWN);
	cr_expect_eq(rank_at_gate("192.0.2.2"), CH_RANK_STRANGER);
	open_gate(file);
	cr_expect_eq(rank_at_gate("192.0.2.1"), CH_RANK_STRANGER, "of another file");
}

Test(known, gate_writes_at_most_once_a_minute_and_only_what_is_new)
{
	struct ch_clocks soon = in(50 * S);
	struct ch_clocks minute = in(61 * S);
	struct ch_clocks later = in(200 * S);
	struct ch_clocks half_a_day = in(KNOWN / 2 + 300 * S);

	open_gate(file);
	good_session("192.0.2.1");
	ch_gate_tick(gate, &soon);
	cr_expect_neq(access(file, F_OK), 0, "it is too soon");
	ch_gate_tick(gate, &minute);
	cr_expect_eq(access(file, F_OK), 0);
	unlink(file);
	ch_gate_tick(gate, &later);
	cr_expect_neq(access(file, F_OK), 0, "nothing is new");
	good_session("192.0.2.2");
	ch_gate_tick(gate, &later);
	cr_expect_eq(access(file, F_OK), 0);
	unlink(file);
	ch_gate_tick(gate, &half_a_day);
	cr_expect_eq(access(file, F_OK), 0, "ends of open sessions move on");
}

Test(known, gate_says_which_file_is_to_be_mended)
{
	struct ch_gate_options o = {
		.mode = CH_GATE_USERSPACE, .sources = usual_sources(3), .known_file = "/dev/zero"};

	cr_assert_eq(ch_gate_new(&o, NULL, &gate, &text), CH_E_LIMIT);
	cr_assert_eq(ch_buf_append(&text, "", 1), 0);
	cr_expect_not_null(strstr((char *)text.data, "guard.known-file: /dev/zero: "));
	cr_expect_not_null(strstr((char *)text.data, "; mend or remove it\n"));
}
