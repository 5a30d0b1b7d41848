/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guard-fire PEER: the guard under SYNs that come from another network namespace, that of the
 * process PEER (bench/guard/pair.sh), on all CPUs at once. Prints its claims as the integration
 * tests do.
 */
#include "bench/guard/syns.h"
#include "kernel/early.h"
#include "kernel/guard.h"
#include "kernel/sock.h"

#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <linux/capability.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

enum {
	PORT = 25001,
	WAIT_MS = 150, /* a SYN that is dropped is sent again after a second */
	CPUS_MOST = 8,
	EXACT = 100000, /* SYNs per CPU */
	PREFIXES = 100000,
	SMALL_SWAPS = 100,
};

static int peer;
static struct ch_guard *guard;
static struct guard_settings settings = {.v4_bits = 32, .v6_bits = 64, .log = 1};
static int listeners[2];
static int cpus;

static void claim(const char *name, bool holds, const char *why, uint64_t got, uint64_t want)
{
	printf("%s %s\n", holds ? "ok" : "not ok", name);
	if (!holds)
		printf("# %s: %llu, expected %llu\n", why, (unsigned long long)got,
		       (unsigned long long)want);
}

static void equal(const char *name, uint64_t got, uint64_t want)
{
	claim(name, got == want, "got", got, want);
}

/*
 * Of @sent SYNs those that arrived. What an interface lost may have been another frame (the kernel
 * solicits neighbours and reports groups), so that more may have come than are left over.
 */
static void arrived(const char *name, uint64_t got, uint64_t sent, uint64_t frames_lost)
{
	bool holds = got <= sent && got + frames_lost >= sent;

	claim(name, holds, "got", got, sent - frames_lost);
}

static struct ch_guard_counters counters(void)
{
	static struct ch_guard_counters read;

	if (ch_guard_counters(guard, &read) != 0)
		errx(1, "the counters cannot be read");
	return read;
}

static uint64_t verdicts(enum guard_verdict verdict)
{
	struct ch_guard_counters now = counters();

	return now.verdicts[0][verdict] + now.verdicts[1][verdict];
}

static uint64_t hits(uint32_t rule)
{
	struct ch_guard_counters now = counters();

	return now.rules[0][rule] + now.rules[1][rule];
}

static void listen_at(int index, const char *text)
{
	struct ch_address address = {.port = PORT};
	struct guard_source source = syns_source(text);
	bool v4 = index == 0;

	address.family = v4 ? 4 : 6;
	memcpy(address.ip, &source.bytes[v4 ? 12 : 0], v4 ? 4 : 16);
	if (ch_sock_listen(&address, NULL, 4096, &listeners[index]) != 0 ||
	    ch_guard_attach(guard, listeners[index], NULL) != 0)
		errx(1, "no guarded listener at %s", text);
	settings.listeners[index] = (struct guard_listener){source, PORT, 0, v4};
}

static void set_rules(const struct guard_rule rules[GUARD_RULES],
		      const struct ch_guard_prefix *prefixes, size_t count)
{
	int error = ch_guard_rules(guard, rules, prefixes, count);

	if (error != 0)
		errx(1, "the kernel does not take the rules: %s", strerror(-error));
}

static struct ch_guard_prefix prefix(const char *text, uint32_t bits, uint32_t rule)
{
	return (struct ch_guard_prefix){{bits, syns_source(text)}, rule};
}

static struct syns *aim(const char *from, uint32_t sources, const char *to)
{
	const struct syns_options options = {
		.peer = peer,
		.from = syns_source(from),
		.sources = sources,
		.to = syns_source(to),
		.port = PORT,
		.mac = SYNS_MAC_NEAR,
	};

	return syns_open(&options);
}

static void fire(const char *from, const char *to, uint64_t count)
{
	struct syns *syns = aim(from, 1, to);

	syns_send(syns, count);
	syns_close(syns);
}

/* A connection by the far kernel itself. @return 0, -ETIMEDOUT (dropped) or a negated errno */
static int connect_from(const char *from)
{
	struct sockaddr_in local = {.sin_family = AF_INET};
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(PORT)};
	int fd = syns_socket_at(peer, AF_INET, SOCK_STREAM | SOCK_NONBLOCK);
	struct pollfd wait = {.fd = fd, .events = POLLOUT};
	socklen_t len = sizeof(int);
	int error = 0;

	inet_pton(AF_INET, from, &local.sin_addr);
	inet_pton(AF_INET, "10.76.0.1", &to.sin_addr);
	if (bind(fd, (struct sockaddr *)&local, sizeof(local)) != 0)
		err(1, "%s", from);
	(void)!connect(fd, (struct sockaddr *)&to, sizeof(to));
	if (poll(&wait, 1, WAIT_MS) == 0)
		error = ETIMEDOUT;
	else
		getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len);
	close(fd);
	return -error;
}

static void judges_both_families(void)
{
	struct guard_rule rules[GUARD_RULES] = {[1].action = GUARD_ACTION_DROP};
	const struct ch_guard_prefix prefixes[] = {prefix("10.77.1.0", 96 + 24, 1),
						   prefix("fd77:0:1::", 48, 1)};

	set_rules(rules, prefixes, 2);
	fire("10.77.1.9", "10.76.0.1", 3);
	fire("10.77.2.9", "10.76.0.1", 1);
	fire("fd77:0:1:5::1", "fd76::1", 4);
	fire("fd77:0:2:5::1", "fd76::1", 1);
	equal("SYNs of IPv4 and IPv6 from another namespace are judged by rule", hits(1), 7);
	equal("and all others pass", verdicts(GUARD_PASS), 2);
	equal("hits are counted by listener", counters().rules[0][1] * 10 + counters().rules[1][1],
	      34);
	equal("a kernel that connects from a denied prefix hears nothing",
	      (uint64_t)-connect_from("10.77.1.5"), ETIMEDOUT);
	equal("and is let in from another", (uint64_t)-connect_from("10.77.2.5"), 0);
}

static void bans_by_64(void)
{
	uint64_t before = verdicts(GUARD_BANNED);
	struct guard_source net = syns_source("fd77:0:3:1::");

	if (ch_guard_ban(guard, &net, UINT64_MAX) != 0)
		errx(1, "no ban");
	fire("fd77:0:3:1::1", "fd76::1", 1);
	fire("fd77:0:3:1:ffff:ffff:ffff:fffe", "fd76::1", 1);
	fire("fd77:0:3:2::1", "fd76::1", 1);
	equal("a ban is of a whole /64 and of no other", verdicts(GUARD_BANNED) - before, 2);
	ch_guard_unban(guard, &net);
}

/* One gun per CPU. */
struct gun {
	pthread_t thread;
	struct syns *syns;
	int cpu;
	uint64_t count; /* 0 = until told */
	uint64_t sent;
};
static struct gun guns[CPUS_MOST];
static atomic_bool cease;

static void *gun_main(void *arg)
{
	struct gun *gun = arg;
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(gun->cpu, &set);
	pthread_setaffinity_np(pthread_self(), sizeof(set), &set);
	while (gun->count != 0 ? gun->sent < gun->count : !atomic_load(&cease)) {
		syns_send(gun->syns, 50);
		gun->sent += 50;
	}
	return NULL;
}

static void open_fire(const char *from, uint64_t count)
{
	atomic_store(&cease, false);
	for (int i = 0; i < cpus; i++) {
		guns[i] =
			(struct gun){.syns = aim(from, 200, "10.76.0.1"), .cpu = i, .count = count};
		pthread_create(&guns[i].thread, NULL, gun_main, &guns[i]);
	}
}

/* @return how many SYNs were sent */
static uint64_t cease_fire(void)
{
	uint64_t sent = 0;

	atomic_store(&cease, true);
	for (int i = 0; i < cpus; i++) {
		pthread_join(guns[i].thread, NULL);
		sent += guns[i].sent;
		syns_close(guns[i].syns);
	}
	usleep(50000); /* what the far end still has in its queues */
	return sent;
}

static uint64_t lost(void)
{
	struct syns *syns = aim("10.77.0.1", 1, "10.76.0.1");
	uint64_t frames = syns_lost(syns);

	syns_close(syns);
	return frames;
}

static void counts_exactly(void)
{
	struct guard_rule rules[GUARD_RULES] = {[2].action = GUARD_ACTION_DROP};
	const struct ch_guard_prefix denied = prefix("10.77.4.0", 96 + 24, 2);
	uint64_t lost_before = lost();
	uint64_t sent;

	set_rules(rules, &denied, 1);
	open_fire("10.77.4.1", EXACT);
	sent = cease_fire();
	arrived("each of many SYNs is counted by its rule, on all CPUs at once", hits(2), sent,
		lost() - lost_before);
	equal("and by its verdict", verdicts(GUARD_DENIED), hits(2) + hits(1));
	printf("# %llu SYNs from %d CPUs\n", (unsigned long long)sent, cpus);
}

static struct ch_guard_prefix *many_prefixes(uint32_t rule)
{
	struct ch_guard_prefix *prefixes = calloc(PREFIXES, sizeof(*prefixes));

	for (uint32_t i = 0; i < PREFIXES; i++) {
		prefixes[i] = prefix("10.128.0.0", 128, rule);
		prefixes[i].prefix.source.bytes[13] |= (uint8_t)(i >> 16);
		prefixes[i].prefix.source.bytes[14] = (uint8_t)(i >> 8);
		prefixes[i].prefix.source.bytes[15] = (uint8_t)i;
	}
	prefixes[PREFIXES / 2] = prefix("10.77.5.0", 96 + 24, rule);
	return prefixes;
}

/* Both sets deny the sources that fire, each by a rule of its own: who passes was judged by
 * neither. */
static void swaps_under_fire(size_t count, int swaps, const char *name)
{
	struct guard_rule rules[GUARD_RULES] = {
		[3].action = GUARD_ACTION_DROP, [4].action = GUARD_ACTION_DROP};
	struct ch_guard_prefix *sets[2] = {many_prefixes(3), many_prefixes(4)};
	size_t first = PREFIXES / 2 - count / 2;
	uint64_t before, passed, lost_before, sent;

	set_rules(rules, sets[0] + first, count);
	before = hits(3) + hits(4);
	passed = verdicts(GUARD_PASS);
	lost_before = lost();
	open_fire("10.77.5.1", 0);
	for (int i = 0; i < swaps; i++)
		set_rules(rules, sets[(i + 1) % 2] + first, count);
	sent = cease_fire();
	printf("# %d swaps of %zu prefixes under %llu SYNs\n", swaps, count,
	       (unsigned long long)sent);
	equal(name, verdicts(GUARD_PASS) - passed, 0);
	arrived("and each was counted by the one or the other", hits(3) + hits(4) - before, sent,
		lost() - lost_before);
	free(sets[0]);
	free(sets[1]);
}

static void nothing(void *ctx, const struct guard_event *event)
{
	(void)ctx;
	(void)event;
}

static void counts_lost_events(void)
{
	struct guard_rule rules[GUARD_RULES] = {
		[5] = {.action = GUARD_ACTION_DROP, .log_one_in = 1}};
	const struct ch_guard_prefix denied = prefix("10.77.6.0", 96 + 24, 5);
	uint64_t delivered;

	(void)!ch_guard_events(guard, nothing, NULL);
	set_rules(rules, &denied, 1);
	fire("10.77.6.1", "10.76.0.1", 5000); /* the ring holds a thousand */
	delivered = (uint64_t)ch_guard_events(guard, nothing, NULL);
	claim("events that nobody reads are lost", delivered > 500 && delivered < 5000, "delivered",
	      delivered, 1000);
	equal("and counted, each of them", delivered + verdicts(GUARD_EVENT_LOST), hits(5));
}

static void says_when_full(void)
{
	struct guard_source source = syns_source("10.77.7.0");
	struct guard_source last = syns_source("10.77.7.9");
	uint64_t before = verdicts(GUARD_BANNED);
	int taken = 0;

	for (int i = 0; i < 16; i++, source.bytes[15]++)
		taken += ch_guard_ban(guard, &source, UINT64_MAX) == 0;
	equal("the table of bans takes as many as it was made for", (uint64_t)taken, 16);
	equal("and says that it is full", (uint64_t)-ch_guard_ban(guard, &source, UINT64_MAX),
	      E2BIG);
	fire("10.77.7.9", "10.76.0.1", 1);
	equal("bans in a full table hold", verdicts(GUARD_BANNED) - before, 1);
	ch_guard_unban(guard, &last);
	equal("and one that ends makes room", (uint64_t)-ch_guard_ban(guard, &source, UINT64_MAX),
	      0);
}

static void drop_capabilities(void)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct none[2] = {0};

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || syscall(SYS_capset, &header, none) != 0)
		err(1, "capabilities cannot be dropped");
}

/* --- the early stage --- */

static void note(void *ctx, const struct ch_early_state *state)
{
	*(struct ch_early_state *)ctx = *state;
}

static uint64_t early_hits(uint32_t rule)
{
	struct ch_guard_counters now = counters();

	return now.early_rules[0][rule] + now.early_rules[1][rule];
}

static uint64_t socket_verdicts(void)
{
	struct ch_guard_counters now = counters();
	uint64_t all = 0;

	for (int v = 0; v < GUARD_VERDICTS; v++)
		all += now.verdicts[0][v] + now.verdicts[1][v];
	return all;
}

static void judges_early(void)
{
	struct guard_rule rules[GUARD_RULES] = {
		[1].action = GUARD_ACTION_DROP, [2].action = GUARD_ACTION_REJECT};
	const struct ch_guard_prefix prefixes[] = {prefix("10.77.1.0", 96 + 24, 1),
						   prefix("fd77:0:1::", 48, 1),
						   prefix("10.77.2.0", 96 + 24, 2)};
	uint64_t drops = early_hits(1);
	uint64_t rejections = early_hits(2);
	uint64_t came;

	set_rules(rules, prefixes, 3);
	came = socket_verdicts();
	fire("10.77.1.9", "10.76.0.1", 3);
	fire("fd77:0:1:5::1", "fd76::1", 4);
	equal("early: denied SYNs of both families are dropped", early_hits(1) - drops, 7);
	equal("early: and no listener sees them", socket_verdicts() - came, 0);
	equal("early: a kernel that connects from a denied prefix hears nothing",
	      (uint64_t)-connect_from("10.77.1.5"), ETIMEDOUT);
	equal("early: one from a rejected prefix is refused at once",
	      (uint64_t)-connect_from("10.77.2.5"), ECONNREFUSED);
	equal("early: by one answer to one SYN", early_hits(2) - rejections, 1);
	came = socket_verdicts();
	equal("early: others connect", (uint64_t)-connect_from("10.76.0.2"), 0);
	claim("early: and the listener judges them", socket_verdicts() > came, "verdicts",
	      socket_verdicts() - came, 1);
}

static void counts_exactly_early(void)
{
	struct guard_rule rules[GUARD_RULES] = {[3].action = GUARD_ACTION_DROP};
	const struct ch_guard_prefix denied = prefix("10.77.4.0", 96 + 24, 3);
	uint64_t lost_before = lost();
	uint64_t came = socket_verdicts();
	uint64_t sent;

	set_rules(rules, &denied, 1);
	open_fire("10.77.4.1", EXACT / 4);
	sent = cease_fire();
	arrived("early: each of many SYNs is counted, on all CPUs at once", early_hits(3), sent,
		lost() - lost_before);
	equal("early: and none of them twice", socket_verdicts() - came, 0);
}

/* As swaps_under_fire: who passes comes to the listener. */
static void swaps_under_fire_early(void)
{
	struct guard_rule rules[GUARD_RULES] = {
		[4].action = GUARD_ACTION_DROP, [5].action = GUARD_ACTION_DROP};
	const struct ch_guard_prefix sets[2] = {prefix("10.77.5.0", 96 + 24, 4),
						prefix("10.77.5.0", 96 + 24, 5)};
	uint64_t came, lost_before, sent;

	set_rules(rules, &sets[0], 1);
	came = socket_verdicts();
	lost_before = lost();
	open_fire("10.77.5.1", 0);
	for (int i = 0; i < SMALL_SWAPS / 4; i++)
		set_rules(rules, &sets[(i + 1) % 2], 1);
	sent = cease_fire();
	equal("early: swaps of rules under fire let nobody in", socket_verdicts() - came,
	      0);
	arrived("early: and each SYN was judged by the one or the other",
		early_hits(4) + early_hits(5), sent, lost() - lost_before);
}

static struct ch_early *open_early(bool generic, const char *mode)
{
	const struct ch_early_options options = {
		.program = ch_guard_early_program(guard),
		.locals = ch_guard_locals(guard),
		.interfaces = "va",
		.generic = generic,
		.why = "",
	};
	struct ch_early_state state = {0};
	struct ch_early *early;

	if (ch_early_new(&options, &early) != 0)
		errx(1, "no early stage");
	ch_early_tend(early, ch_now_ns(), note, &state);
	claim(generic ? "early: the program is put behind the driver where that is wanted"
		      : "early: the program is taken by the driver",
	      state.mode != NULL && strcmp(state.mode, mode) == 0, state.why, 0, 1);
	return early;
}

/* A guard of its own, with both stages. */
static void works_early(void)
{
	const struct ch_guard_options options = {.bans = 16, .sources = 64, .early = true};
	struct ch_guard *before = guard;
	struct ch_early *early;
	char why[CH_GUARD_WHY];
	int far;

	if (ch_guard_open(&options, &guard, why) != 0 || ch_guard_early_program(guard) < 0)
		errx(1, "no guard with an early stage: %s", ch_guard_early_why(guard));
	for (int i = 0; i < 2; i++)
		if (ch_guard_attach(guard, listeners[i], NULL) != 0)
			errx(1, "the guard cannot be attached");
	if (ch_guard_set(guard, &settings) != 0)
		errx(1, "no settings");
	far = syns_program_at(peer, ch_guard_early_program(guard));
	early = open_early(false, "native");
	judges_early();
	counts_exactly_early();
	swaps_under_fire_early();
	ch_early_free(early);
	close(far);
	early = open_early(true, "generic");
	judges_early();
	ch_early_free(early);
	ch_guard_close(guard);
	guard = before;
	for (int i = 0; i < 2; i++)
		if (ch_guard_attach(guard, listeners[i], NULL) != 0)
			errx(1, "the guard cannot be attached");
}

/* Last of all: there is no way back. The gun was loaded before. */
static void works_without_capabilities(void)
{
	struct guard_rule rules[GUARD_RULES] = {[6].action = GUARD_ACTION_DROP};
	const struct ch_guard_prefix denied = prefix("10.77.8.0", 96 + 24, 6);
	const struct ch_guard_options options = {.bans = 16, .sources = 64};
	const struct ch_guard_place place = {.door = GUARD_DOOR_KNOWN};
	struct guard_source bad = syns_source("10.77.9.1");
	struct guard_source old = syns_source("10.77.7.1");
	struct syns *by_rule = aim("10.77.8.1", 1, "10.76.0.1");
	struct syns *by_ban = aim("10.77.9.1", 1, "10.76.0.1");
	uint64_t before = verdicts(GUARD_BANNED);
	struct ch_guard *other;
	char why[CH_GUARD_WHY];

	drop_capabilities();
	set_rules(rules, &denied, 1);
	ch_guard_unban(guard, &old);
	equal("without any capability: a ban", (uint64_t)-ch_guard_ban(guard, &bad, UINT64_MAX), 0);
	equal("without any capability: a listener",
	      (uint64_t)-ch_guard_attach(guard, listeners[0], &place), 0);
	equal("without any capability: a known source", (uint64_t)-ch_guard_know(guard, &old), 0);
	syns_send(by_rule, 1);
	syns_send(by_ban, 1);
	equal("without any capability: other rules are in force", hits(6), 1);
	equal("without any capability: the ban is in force", verdicts(GUARD_BANNED) - before, 1);
	equal("without any capability: no second guard",
	      (uint64_t)-ch_guard_open(&options, &other, why), EPERM);
	claim("and it is said what is missing", strstr(why, "CAP_BPF is missing") != NULL, why, 0,
	      1);
	syns_close(by_rule);
	syns_close(by_ban);
}

int main(int argc, char **argv)
{
	const struct ch_guard_options options = {.bans = 16, .sources = 64};
	char why[CH_GUARD_WHY];

	if (argc != 2)
		errx(2, "usage: guard-fire PEER");
	setvbuf(stdout, NULL, _IOLBF, 0);
	peer = atoi(argv[1]);
	cpus = (int)sysconf(_SC_NPROCESSORS_ONLN);
	cpus = cpus < CPUS_MOST ? cpus : CPUS_MOST;
	if (ch_guard_open(&options, &guard, why) != 0)
		errx(77, "%s", why);
	listen_at(0, "10.76.0.1");
	listen_at(1, "fd76::1");
	if (ch_guard_set(guard, &settings) != 0)
		errx(1, "no settings");
	judges_both_families();
	bans_by_64();
	counts_exactly();
	swaps_under_fire(PREFIXES, 4,
			 "a swap of a hundred thousand prefixes leaves no SYN between the sets");
	swaps_under_fire(1, SMALL_SWAPS, "a hundred swaps in a row leave none either");
	counts_lost_events();
	says_when_full();
	works_early();
	works_without_capabilities();
	ch_guard_close(guard);
	return 0;
}
