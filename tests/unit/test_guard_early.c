/* SPDX-License-Identifier: Apache-2.0 */
/* links: kernel core */
/*
 * The program of the early stage by itself, run by the kernel on frames (BPF_PROG_TEST_RUN): which
 * it judges, which it leaves alone, and what it answers to one that is rejected.
 */
#include "kernel/early.h"
#include "kernel/guard.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#define PORT 4335
#define LIMIT_FOREVER UINT64_MAX

static struct ch_guard *guard;
static struct guard_settings settings = {.v4_bits = 32, .v6_bits = 64};

static struct guard_source source_of(const char *text)
{
	struct guard_source source = {.bytes = {[10] = 0xff, [11] = 0xff}};

	if (inet_pton(AF_INET, text, &source.bytes[12]) != 1)
		cr_assert_eq(inet_pton(AF_INET6, text, source.bytes), 1);
	return source;
}

static void set_rule(enum guard_action action)
{
	struct guard_rule rules[GUARD_RULES] = {[1] = {.action = action, .log_one_in = 1}};
	const struct ch_guard_prefix prefixes[] = {
		{{96 + 24, source_of("198.51.100.0")}, 1},
		{{48, source_of("2001:db8:1::")}, 1},
	};

	cr_assert_eq(ch_guard_rules(guard, rules, prefixes, 2), 0);
}

static void add_local(const char *address)
{
	struct guard_source local = source_of(address);
	const uint32_t present = 1;

	cr_assert_eq(bpf_map_update_elem(ch_guard_locals(guard), &local, &present, BPF_ANY), 0);
}

static void start(void)
{
	const struct ch_guard_options options = {.bans = 16, .sources = 64, .early = true};
	char why[CH_GUARD_WHY];

	if (ch_guard_open(&options, &guard, why) != 0)
		cr_skip_test("no eBPF for us here: %s", why);
	if (ch_guard_early_program(guard) < 0)
		cr_skip_test("no early stage for us here: %s", ch_guard_early_why(guard));
	settings.listeners[0] = (struct guard_listener){.port = PORT, .any = 1, .v4 = 1};
	settings.listeners[1] = (struct guard_listener){source_of("2001:db8::1"), PORT, 0, 0};
	cr_assert_eq(ch_guard_set(guard, &settings), 0);
	add_local("192.0.2.1");
	add_local("2001:db8::1");
	set_rule(GUARD_ACTION_DROP);
}

static void stop(void)
{
	ch_guard_close(guard);
}

TestSuite(guard_early, .init = start, .fini = stop);

/* --- frames --- */

struct frame {
	uint8_t bytes[256];
	uint32_t len;
	uint32_t ip; /**< where it begins */
	uint32_t tcp;
};

static void put(struct frame *frame, const void *bytes, uint32_t len)
{
	memcpy(frame->bytes + frame->len, bytes, len);
	frame->len += len;
}

static void put_ethernet(struct frame *frame, unsigned tags, bool v4)
{
	static const uint8_t addresses[12] = {2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2};

	put(frame, addresses, sizeof(addresses));
	for (unsigned i = 0; i < tags; i++)
		put(frame, i + 1 < tags ? "\x88\xa8\x00\x07" : "\x81\x00\x00\x05", 4);
	put(frame, v4 ? "\x08\x00" : "\x86\xdd", 2);
	frame->ip = frame->len;
}

static void put_tcp(struct frame *frame, uint16_t port, uint8_t flags)
{
	/* 40000 -> port; sequence number fffffffe; a header of 24 bytes, with MSS */
	uint8_t tcp[24] = {0x9c,	  0x40, (uint8_t)(port >> 8),
			   (uint8_t)port, 0xff, 0xff,
			   0xff,	  0xfe, [12] = 0x60,
			   flags,	  0xff, 0xff,
			   [20] = 2,	  4,	5,
			   0xb4};

	frame->tcp = frame->len;
	put(frame, tcp, sizeof(tcp));
}

/* @options: bytes of IPv4 options, a multiple of 4 */
static struct frame v4_frame(const char *from, const char *to, unsigned tags, uint8_t options)
{
	struct guard_source source = source_of(from);
	struct guard_source destination = source_of(to);
	struct frame frame = {0};
	uint8_t ip[60] = {
		(uint8_t)(0x45 + options / 4), [3] = (uint8_t)(44 + options), [6] = 0x40, [8] = 61,
		6};

	memcpy(ip + 12, &source.bytes[12], 4);
	memcpy(ip + 16, &destination.bytes[12], 4);
	memset(ip + 20, 1, options); /* no operation */
	put_ethernet(&frame, tags, true);
	put(&frame, ip, 20u + options);
	put_tcp(&frame, PORT, 0x02);
	return frame;
}

/* @extensions: of 8 bytes each, all of type @type */
static struct frame v6_frame(const char *from, const char *to, unsigned extensions, uint8_t type)
{
	struct guard_source source = source_of(from);
	struct guard_source destination = source_of(to);
	struct frame frame = {0};
	uint8_t ip[8] = {0x60, [5] = (uint8_t)(24 + 8 * extensions), 6, 61};

	put_ethernet(&frame, 0, false);
	if (extensions > 0)
		ip[6] = type;
	put(&frame, ip, sizeof(ip));
	put(&frame, &source, 16);
	put(&frame, &destination, 16);
	for (unsigned i = 0; i < extensions; i++) {
		const uint8_t extension[8] = {i + 1 < extensions ? type : 6, 0, 1, 4};

		put(&frame, extension, sizeof(extension));
	}
	put_tcp(&frame, PORT, 0x02);
	return frame;
}

/* @return XDP_PASS, XDP_DROP or XDP_TX; then @answer is what is sent */
static uint32_t judge(const struct frame *frame, struct frame *answer)
{
	uint8_t out[512];
	LIBBPF_OPTS(bpf_test_run_opts, run, .data_in = frame->bytes, .data_size_in = frame->len,
		    .data_out = out, .data_size_out = sizeof(out));

	cr_assert_eq(bpf_prog_test_run_opts(ch_guard_early_program(guard), &run), 0);
	if (answer != NULL) {
		*answer = (struct frame){.len = run.data_size_out};
		cr_assert_leq(run.data_size_out, sizeof(answer->bytes));
		memcpy(answer->bytes, out, run.data_size_out);
	}
	return run.retval;
}

#define judges(frame, verdict) cr_assert_eq(judge(&(frame), NULL), verdict)

static const char *const bad = "198.51.100.7";
static const char *const good = "203.0.113.7";
static const char *const bad6 = "2001:db8:1:5::7";
static const char *const here = "192.0.2.1";
static const char *const here6 = "2001:db8::1";

/* --- what it judges --- */

/* row: 2.7.2 */
Test(guard_early, drops_a_denied_syn_and_passes_others)
{
	struct frame denied = v4_frame(bad, here, 0, 0);
	struct frame other = v4_frame(good, here, 0, 0);
	struct frame denied6 = v6_frame(bad6, here6, 0, 0);
	struct frame other6 = v6_frame("2001:db8:2::7", here6, 0, 0);

	judges(denied, XDP_DROP);
	judges(other, XDP_PASS);
	judges(denied6, XDP_DROP);
	judges(other6, XDP_PASS);
}

Test(guard_early, reads_behind_vlan_tags)
{
	for (unsigned tags = 1; tags <= 2; tags++) {
		struct frame denied = v4_frame(bad, here, tags, 0);
		struct frame other = v4_frame(good, here, tags, 0);

		judges(denied, XDP_DROP);
		judges(other, XDP_PASS);
	}
	struct frame three = v4_frame(bad, here, 3, 0);

	judges(three, XDP_PASS);
}

Test(guard_early, reads_behind_ip_options)
{
	for (uint8_t options = 4; options <= 40; options = (uint8_t)(options + 4)) {
		struct frame denied = v4_frame(bad, here, 0, options);

		judges(denied, XDP_DROP);
	}
}

Test(guard_early, reads_behind_ipv6_options_and_no_other_extension)
{
	static const uint8_t options[] = {0, 60};
	static const uint8_t others[] = {43, 44, 50, 51, 17};

	for (unsigned i = 0; i < 2; i++) {
		for (unsigned n = 1; n <= 4; n++) {
			struct frame denied = v6_frame(bad6, here6, n, options[i]);

			judges(denied, XDP_DROP);
		}
		struct frame five = v6_frame(bad6, here6, 5, options[i]);

		judges(five, XDP_PASS);
	}
	for (unsigned i = 0; i < sizeof(others); i++) {
		struct frame other = v6_frame(bad6, here6, 1, others[i]);

		judges(other, XDP_PASS);
	}
}

/* --- what it leaves alone --- */

Test(guard_early, touches_no_other_port_address_or_protocol)
{
	struct frame port = v4_frame(bad, here, 0, 0);
	struct frame address = v4_frame(bad, "192.0.2.2", 0, 0);
	struct frame udp = v4_frame(bad, here, 0, 0);
	struct frame arp = v4_frame(bad, here, 0, 0);
	struct frame address6 = v6_frame(bad6, "2001:db8::2", 0, 0);
	struct frame group = v4_frame(bad, here, 0, 0);

	port.bytes[port.tcp + 3]++;
	udp.bytes[udp.ip + 9] = 17;
	arp.bytes[13] = 6;
	group.bytes[0] |= 1;
	judges(port, XDP_PASS);
	judges(address, XDP_PASS);
	judges(udp, XDP_PASS);
	judges(arp, XDP_PASS);
	judges(address6, XDP_PASS);
	judges(group, XDP_PASS);
	add_local("192.0.2.2");
	judges(address, XDP_DROP); /* by the listener on any address, now that it is ours */
	add_local("2001:db8::2");
	judges(address6, XDP_PASS); /* no listener is there */
}

Test(guard_early, touches_nothing_but_syns)
{
	for (unsigned flags = 0; flags < 64; flags++) {
		struct frame frame = v4_frame(bad, here, 0, 0);
		bool syn = (flags & 0x16) == 0x02;

		frame.bytes[frame.tcp + 13] = (uint8_t)flags;
		cr_assert_eq(judge(&frame, NULL), syn ? XDP_DROP : XDP_PASS, "flags %02x", flags);
	}
}

Test(guard_early, passes_fragments)
{
	struct frame first = v4_frame(bad, here, 0, 0);
	struct frame later = v4_frame(bad, here, 0, 0);

	first.bytes[first.ip + 6] = 0x20;
	later.bytes[later.ip + 7] = 1;
	judges(first, XDP_PASS);
	judges(later, XDP_PASS);
}

Test(guard_early, passes_what_is_cut_short_wherever)
{
	struct frame frames[] = {v4_frame(bad, here, 2, 8), v6_frame(bad6, here6, 2, 0)};

	for (unsigned i = 0; i < 2; i++) {
		uint32_t whole = frames[i].tcp + 20;

		for (uint32_t len = 14; len < frames[i].len; len++) {
			struct frame cut = frames[i];

			cut.len = len;
			cr_assert_eq(judge(&cut, NULL), len < whole ? XDP_PASS : XDP_DROP,
				     "%u of %u", len, whole);
		}
	}
}

Test(guard_early, passes_ip_headers_that_are_none)
{
	struct frame version = v4_frame(bad, here, 0, 0);
	struct frame length = v4_frame(bad, here, 0, 0);
	struct frame version6 = v6_frame(bad6, here6, 0, 0);

	version.bytes[version.ip] = 0x65;
	length.bytes[length.ip] = 0x44;
	version6.bytes[version6.ip] = 0x40;
	judges(version, XDP_PASS);
	judges(length, XDP_PASS);
	judges(version6, XDP_PASS);
}

/* --- counting --- */

static struct ch_guard_counters counters(void)
{
	static struct ch_guard_counters read;

	cr_assert_eq(ch_guard_counters(guard, &read), 0);
	return read;
}

static int told;
static struct guard_event last_event;

static void on_event(void *ctx, const struct guard_event *event)
{
	(void)ctx;
	last_event = *event;
	told++;
}

/* row: 2.9.4 */
Test(guard_early, counts_and_tells_what_it_refuses_and_leaves_the_rest_to_the_socket)
{
	struct frame denied = v4_frame(bad, here, 0, 0);
	struct frame denied6 = v6_frame(bad6, here6, 0, 0);
	struct frame other = v4_frame(good, here, 0, 0);

	judges(denied, XDP_DROP);
	judges(denied6, XDP_DROP);
	judges(denied6, XDP_DROP);
	judges(other, XDP_PASS);
	cr_assert_eq(counters().early_verdicts[0][GUARD_DENIED], 1);
	cr_assert_eq(counters().early_verdicts[1][GUARD_DENIED], 2);
	cr_assert_eq(counters().early_rules[0][1], 1);
	cr_assert_eq(counters().early_rules[1][1], 2);
	cr_assert_eq(counters().early_verdicts[0][GUARD_PASS], 0);
	cr_assert_eq(counters().verdicts[0][GUARD_DENIED], 0);
	cr_assert_eq(counters().rules[0][1], 0);
	cr_assert_eq(ch_guard_events(guard, on_event, NULL), 3);
	cr_assert_eq(told, 3);
	cr_assert_eq(last_event.stage, GUARD_STAGE_EARLY);
	cr_assert_eq(last_event.verdict, GUARD_DENIED);
	cr_assert_eq(last_event.source_port, 40000);
	cr_assert_eq(last_event.port, PORT);
	set_rule(GUARD_ACTION_PERMIT);
	judges(denied, XDP_PASS);
	cr_assert_eq(ch_guard_events(guard, on_event, NULL), 0);
	cr_assert_eq(counters().early_rules[0][1], 1);
}

Test(guard_early, holds_bans_and_limits_and_permits)
{
	struct guard_source banned = source_of(good);
	struct guard_source limited = source_of("203.0.113.8");
	struct frame of_banned = v4_frame(good, here, 0, 0);
	struct frame of_limited = v4_frame("203.0.113.8", here, 0, 0);

	settings.source = (struct guard_limit){1000000000, 0};
	cr_assert_eq(ch_guard_set(guard, &settings), 0);
	cr_assert_eq(ch_guard_ban(guard, &banned, LIMIT_FOREVER), 0);
	cr_assert_eq(ch_guard_limit(guard, &limited, LIMIT_FOREVER), 0);
	judges(of_banned, XDP_DROP);
	judges(of_limited, XDP_DROP);
	cr_assert_eq(counters().early_verdicts[0][GUARD_BANNED], 1);
	cr_assert_eq(counters().early_verdicts[0][GUARD_SOURCE_LIMIT], 1);
	cr_assert_eq(ch_guard_ban_hits(guard, &banned), 1);
}

Test(guard_early, touches_nothing_in_a_dry_run)
{
	struct frame denied = v4_frame(bad, here, 0, 0);

	settings.dry_run = 1;
	cr_assert_eq(ch_guard_set(guard, &settings), 0);
	judges(denied, XDP_PASS);
	cr_assert_eq(counters().early_verdicts[0][GUARD_DENIED], 0);
}

/* --- the answer to a rejected one --- */

static uint32_t sum(const uint8_t *bytes, uint32_t len, uint32_t total)
{
	for (uint32_t i = 0; i < len; i += 2)
		total += (uint32_t)bytes[i] << 8 | bytes[i + 1];
	while (total >> 16 != 0)
		total = (total & 0xffff) + (total >> 16);
	return total;
}

/* A RST for what @frame asked, with good checksums, behind the same tags and no longer. */
static void check_answer(const struct frame *frame, bool v4)
{
	struct frame answer;
	uint32_t header = v4 ? 20 : 40;
	const uint8_t *ip, *tcp;

	cr_assert_eq(judge(frame, &answer), XDP_TX);
	cr_assert_leq(answer.len, frame->len);
	cr_assert_geq(answer.len, frame->ip + header + 20);
	ip = answer.bytes + frame->ip;
	tcp = ip + header;
	cr_assert_arr_eq(answer.bytes, frame->bytes + 6, 6);
	cr_assert_arr_eq(answer.bytes + 6, frame->bytes, 6);
	cr_assert_arr_eq(answer.bytes + 12, frame->bytes + 12, frame->ip - 12);
	if (v4) {
		cr_assert_arr_eq(ip, "\x45\x00\x00\x28\x00\x00\x40\x00\x40\x06", 10);
		cr_assert_arr_eq(ip + 12, frame->bytes + frame->ip + 16, 4);
		cr_assert_arr_eq(ip + 16, frame->bytes + frame->ip + 12, 4);
		cr_assert_eq(sum(ip, 20, 0), 0xffff);
		cr_assert_eq(sum(tcp, 20, sum(ip + 12, 8, 6 + 20)), 0xffff);
	} else {
		cr_assert_arr_eq(ip, "\x60\x00\x00\x00\x00\x14\x06\x40", 8);
		cr_assert_arr_eq(ip + 8, frame->bytes + frame->ip + 24, 16);
		cr_assert_arr_eq(ip + 24, frame->bytes + frame->ip + 8, 16);
		cr_assert_eq(sum(tcp, 20, sum(ip + 8, 32, 6 + 20)), 0xffff);
	}
	cr_assert_arr_eq(tcp, frame->bytes + frame->tcp + 2, 2);
	cr_assert_arr_eq(tcp + 2, frame->bytes + frame->tcp, 2);
	cr_assert_arr_eq(tcp + 4, "\0\0\0\0", 4);
	cr_assert_arr_eq(tcp + 8, "\xff\xff\xff\xff", 4); /* behind fffffffe */
	cr_assert_arr_eq(tcp + 12, "\x50\x14\x00\x00", 4);
	cr_assert_arr_eq(tcp + 18, "\0\0", 2);
}

/* row: 2.7.6 */
Test(guard_early, answers_a_rejected_syn_with_a_reset)
{
	set_rule(GUARD_ACTION_REJECT);
	for (unsigned tags = 0; tags <= 2; tags++) {
		for (uint8_t options = 0; options <= 40; options = (uint8_t)(options + 20)) {
			struct frame frame = v4_frame(bad, here, tags, options);

			check_answer(&frame, true);
		}
	}
	for (unsigned extensions = 0; extensions <= 4; extensions++) {
		struct frame frame = v6_frame(bad6, here6, extensions, 60);

		check_answer(&frame, false);
	}
}

Test(guard_early, wraps_the_number_that_a_reset_acknowledges)
{
	struct frame frame = v4_frame(bad, here, 0, 0);
	struct frame answer;

	set_rule(GUARD_ACTION_REJECT);
	memset(frame.bytes + frame.tcp + 4, 0xff, 4);
	cr_assert_eq(judge(&frame, &answer), XDP_TX);
	cr_assert_arr_eq(answer.bytes + 14 + 24, "\0\0\0\0\0\0\0\0", 8);
	cr_assert_eq(sum(answer.bytes + 14 + 20, 20, sum(answer.bytes + 14 + 12, 8, 26)), 0xffff);
}

/* --- any frame --- */

static uint32_t number_at(const struct frame *frame, uint32_t at)
{
	return (uint32_t)frame->bytes[at] << 8 | frame->bytes[at + 1];
}

/* The same reading once more, in a language of its own. @return where TCP begins, or 0 */
static uint32_t tcp_of(const struct frame *frame, uint32_t ip, uint32_t type)
{
	const uint8_t *b = frame->bytes + ip;
	uint32_t at = ip + 40;
	unsigned extensions = 0;
	uint8_t next;

	if (type == 0x0800)
		return ip + 20 <= frame->len && b[0] >= 0x45 && b[0] <= 0x4f &&
				       (number_at(frame, ip + 6) & ~0xc000u) == 0 && b[9] == 6 &&
				       memcmp(b + 12, "\xc6\x33\x64", 3) == 0 &&
				       memcmp(b + 16, "\xc0\x00\x02\x01", 4) == 0
			       ? ip + (b[0] & 15u) * 4
			       : 0;
	if (type != 0x86dd || at > frame->len || b[0] < 0x60 || b[0] > 0x6f ||
	    memcmp(b + 8, "\x20\x01\x0d\xb8\x00\x01", 6) != 0 ||
	    memcmp(b + 24, "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01", 16) != 0)
		return 0;
	for (next = b[6]; next == 0 || next == 60; extensions++) {
		if (extensions == 4 || at + 2 > frame->len)
			return 0;
		next = frame->bytes[at];
		at += 8u + 8u * frame->bytes[at + 1];
	}
	return next == 6 ? at : 0;
}

static bool is_refused(const struct frame *frame)
{
	uint32_t at = 12;
	uint32_t tcp;
	int tags = 0;

	if (frame->len < 14 || (frame->bytes[0] & 1) != 0)
		return false;
	while (tags < 2 && (number_at(frame, at) == 0x8100 || number_at(frame, at) == 0x88a8)) {
		at += 4;
		tags++;
		if (at + 2 > frame->len)
			return false;
	}
	tcp = tcp_of(frame, at + 2, number_at(frame, at));
	return tcp != 0 && tcp + 20 <= frame->len && number_at(frame, tcp + 2) == PORT &&
	       (frame->bytes[tcp + 13] & 0x16) == 0x02;
}

/* A frame that is judged, and then a few changes anywhere in it. */
static struct frame any_frame(void)
{
	struct frame frame =
		random() % 2
			? v4_frame(bad, here, (unsigned)random() % 3, (uint8_t)(random() % 11 * 4))
			: v6_frame(bad6, here6, (unsigned)random() % 6, random() % 2 ? 0 : 60);

	for (long changes = random() % 4; changes > 0; changes--)
		frame.bytes[random() % frame.len] ^= (uint8_t)(1u << random() % 8);
	if (random() % 4 == 0)
		frame.len = 14 + (uint32_t)random() % (frame.len - 13);
	return frame;
}

static void judge_any_frames(uint32_t refusal)
{
	int refused = 0;

	srandom(3871);
	for (int i = 0; i < 20000; i++) {
		struct frame frame = any_frame();
		struct frame answer;
		uint32_t verdict = judge(&frame, &answer);

		cr_assert_eq(verdict, is_refused(&frame) ? refusal : XDP_PASS, "frame %d", i);
		cr_assert_leq(answer.len, frame.len);
		refused += verdict == refusal;
		if (verdict == XDP_PASS)
			cr_assert_arr_eq(answer.bytes, frame.bytes, frame.len);
	}
	cr_assert_gt(refused, 5000);
	cr_assert_lt(refused, 15000);
}

Test(guard_early, judges_any_frame_as_another_reader_does)
{
	judge_any_frames(XDP_DROP);
}

Test(guard_early, answers_any_frame_with_no_more_than_it_is)
{
	set_rule(GUARD_ACTION_REJECT);
	judge_any_frames(XDP_TX);
}

/* --- names of interfaces --- */

Test(early_names, takes_one_or_several_different_names)
{
	cr_assert(ch_early_is_valid("eth0"));
	cr_assert(ch_early_is_valid("eth0,bond1.100,enp3s0f0np0"));
	cr_assert(ch_early_is_valid("a,b,c,d,e,f,g,h"));
}

Test(early_names, refuses_what_is_no_name)
{
	static const char *const wrong[] = {"",		  ",",	   "eth0,",	",eth0",
					    "eth0,,eth1", "eth0 ", "e/0",	"abcdefghijklmnop",
					    ".",	  "..",	   "eth0,eth0", "a,b,c,d,e,f,g,h,i",
					    "e\"0",	  "e\t0"};

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		cr_assert_not(ch_early_is_valid(wrong[i]), "%s", wrong[i]);
}
