/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guard-cost PEER [ROUNDS]: what a SYN costs with the guard and without, as a Markdown table. The
 * SYNs come from the namespace of the process PEER (pair.sh) and are received in the context of the
 * thread that sends them, so that its CPU time is generator + receiver; frames to a wrong MAC
 * address cost the generator alone and are subtracted. By turns: each round measures every row
 * once, a ratio is the median of the ratios of the rounds.
 */
#include "kernel/early.h"
#include "kernel/guard.h"
#include "kernel/sock.h"
#include "syns.h"
#include "user/core/option.h"

#include <dirent.h>
#include <err.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
	PORT = 25002,
	CPU = 0,
	SOURCES = 16384,
	FRAMES = 60000, /* per row and round */
	WARM_UP = 5000,
	ROUNDS_MOST = 99,
	PREFIXES_MOST = 100000,
};

/*
 * EMPTY: nobody is banned or over a limit. FULL: 16,384 sources each. DOORS_KNOWN: all sources of
 * V4 are known. Doors with EMPTY only, for a socket has one place.
 */
enum state { DETACHED, EMPTY, FULL };
enum stage { SOCKET, DOORS, DOORS_KNOWN, DRIVER, GENERIC };
enum flood { NOBODY, V4, V4_BANNED, V4_LIMITED, V6, FLOODS };

struct row {
	const char *name;
	enum state state;
	enum flood flood;
	uint32_t prefixes;
	bool denied;   /* one of the prefixes holds the sources */
	int reference; /* row of the ratio, or -1 */
	enum stage stage;
};

enum { IPV6_UNGUARDED = 20 }; /* row */

static const struct row rows[] = {
	{"generator alone", DETACHED, NOBODY, 0, false, -1, SOCKET},
	{"no guard, admitted", DETACHED, V4, 0, false, -1, SOCKET},
	{"guard, no rule, admitted", EMPTY, V4, 0, false, 1, SOCKET},
	{"guard, full tables, no rule, admitted", FULL, V4, 0, false, 1, SOCKET},
	{"guard, 1,000 prefixes, admitted", EMPTY, V4, 1000, false, 1, SOCKET},
	{"guard, 100,000 prefixes, admitted", EMPTY, V4, 100000, false, 1, SOCKET},
	{"guard, full tables, source is banned: dropped", FULL, V4_BANNED, 0, false, 1, SOCKET},
	{"guard, full tables, source is over its limit: dropped", FULL, V4_LIMITED, 0, false, 1,
	 SOCKET},
	{"guard, 1 prefix, denied: dropped", EMPTY, V4, 1, true, 1, SOCKET},
	{"guard, 1,000 prefixes, denied: dropped", EMPTY, V4, 1000, true, 1, SOCKET},
	{"guard, 100,000 prefixes, denied: dropped", EMPTY, V4, 100000, true, 1, SOCKET},
	{"guard with doors, no rule, admitted", EMPTY, V4, 0, false, 1, DOORS},
	{"guard with doors, 100,000 prefixes, admitted", EMPTY, V4, 100000, false, 1, DOORS},
	{"guard with doors, known source, admitted", EMPTY, V4, 0, false, 1, DOORS_KNOWN},
	{"guard with doors, 1 prefix, denied: dropped", EMPTY, V4, 1, true, 1, DOORS},
	{"early in the driver, no rule, admitted", EMPTY, V4, 0, false, 1, DRIVER},
	{"early in the driver, full tables, source is banned: dropped", FULL, V4_BANNED, 0, false,
	 1, DRIVER},
	{"early in the driver, 1 prefix, denied: dropped", EMPTY, V4, 1, true, 1, DRIVER},
	{"early in the driver, 100,000 prefixes, denied: dropped", EMPTY, V4, 100000, true, 1,
	 DRIVER},
	{"early behind the driver, 1 prefix, denied: dropped", EMPTY, V4, 1, true, 1, GENERIC},
	{"IPv6: no guard, admitted", DETACHED, V6, 0, false, -1, SOCKET},
	{"IPv6: guard, no rule, admitted", EMPTY, V6, 0, false, IPV6_UNGUARDED, SOCKET},
	{"IPv6: guard, 100,000 prefixes, admitted", EMPTY, V6, 100000, false, IPV6_UNGUARDED,
	 SOCKET},
	{"IPv6: guard, 100,000 prefixes, denied: dropped", EMPTY, V6, 100000, true, IPV6_UNGUARDED,
	 SOCKET},
	{"IPv6: guard with doors, 100,000 prefixes, admitted", EMPTY, V6, 100000, false,
	 IPV6_UNGUARDED, DOORS},
	{"IPv6: early in the driver, 100,000 prefixes, denied: dropped", EMPTY, V6, 100000, true,
	 IPV6_UNGUARDED, DRIVER},
};
enum { ROWS = sizeof(rows) / sizeof(rows[0]) };

static struct ch_guard *guards[FULL + 1];
static int listeners[2][GUARD_DOORS];
static struct syns *floods[FLOODS];
static double cost[ROUNDS_MOST][ROWS]; /* CPU ns per SYN, the generator's own included */
static int softirq_clock = -1; /* of the kernel thread that takes over when there is too much */

static uint64_t thread_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static void find_softirq_thread(void)
{
	DIR *processes = opendir("/proc");
	const struct dirent *entry;
	char path[300], name[32];

	while (processes != NULL && softirq_clock < 0 && (entry = readdir(processes)) != NULL) {
		FILE *comm;

		snprintf(path, sizeof(path), "/proc/%.255s/comm", entry->d_name);
		comm = fopen(path, "re");
		if (comm == NULL)
			continue;
		if (fgets(name, sizeof(name), comm) != NULL && strcmp(name, "ksoftirqd/0\n") == 0) {
			snprintf(path, sizeof(path), "/proc/%.255s/schedstat", entry->d_name);
			softirq_clock = open(path, O_RDONLY | O_CLOEXEC);
		}
		fclose(comm);
	}
	if (processes != NULL)
		closedir(processes);
	if (softirq_clock < 0)
		errx(1, "the CPU time of ksoftirqd/0 cannot be read (CONFIG_SCHED_INFO)");
}

static uint64_t softirq_ns(void)
{
	char text[64];
	ssize_t len = pread(softirq_clock, text, sizeof(text) - 1, 0);
	uint64_t ns = 0;

	text[len > 0 ? len : 0] = '\0';
	text[strcspn(text, " ")] = '\0';
	if (ch_parse_uint(text, 0, UINT64_MAX, &ns) != 0)
		errx(1, "the CPU time of ksoftirqd/0 is no number");
	return ns;
}

static void listen_at(int index, const char *text)
{
	struct ch_address address = {.port = PORT, .family = index == 0 ? 4 : 6};
	struct guard_source source = syns_source(text);

	memcpy(address.ip, &source.bytes[index == 0 ? 12 : 0], index == 0 ? 4 : 16);
	for (int door = 0; door < GUARD_DOORS; door++)
		if (ch_sock_listen(&address, NULL, 4096, &listeners[index][door]) != 0)
			errx(1, "no listener at %s", text);
}

static struct syns *aim(int peer, const char *from, const char *to, uint8_t mac)
{
	const struct syns_options options = {
		.peer = peer,
		.from = syns_source(from),
		.sources = SOURCES,
		.to = syns_source(to),
		.port = PORT,
		.mac = mac,
	};

	return syns_open(&options);
}

/* The same pseudo-random ones each time, from /20 to /32 and from /36 to /64, half of each family.
 */
static struct guard_prefix prefix_of(uint32_t i, bool v4)
{
	uint32_t bits = v4 ? 20 + i % 13 : 36 + i % 29;
	struct guard_prefix prefix = {.bits = v4 ? 96 + bits : bits};
	uint64_t random = (uint64_t)(i + 1) * 0x9e3779b97f4a7c15ull;

	if (v4) {
		prefix.source = syns_source("10.128.0.0");
		prefix.source.bytes[13] |= (uint8_t)(random >> 56);
		memcpy(&prefix.source.bytes[14], &random, 2);
	} else {
		prefix.source = syns_source("fd77:8000::");
		memcpy(&prefix.source.bytes[3], &random, 5);
	}
	for (uint32_t bit = prefix.bits; bit < 128; bit++)
		prefix.source.bytes[bit / 8] &= (uint8_t) ~(0x80u >> bit % 8);
	return prefix;
}

static void set_rules(struct ch_guard *guard, uint32_t count, bool denied)
{
	static struct ch_guard_prefix prefixes[PREFIXES_MOST];
	static struct guard_rule rules[GUARD_RULES];
	int error;

	for (uint32_t i = 0; i < count; i++)
		prefixes[i] = (struct ch_guard_prefix){prefix_of(i, i % 2 == 0),
						       1 + i % (GUARD_RULES - 1)};
	if (denied)
		prefixes[0] = (struct ch_guard_prefix){{96 + 16, syns_source("10.77.0.0")}, 1};
	if (denied && count > 1)
		prefixes[1] = (struct ch_guard_prefix){{32, syns_source("fd77::")}, 1};
	for (uint32_t i = 1; i < GUARD_RULES; i++)
		rules[i].action = GUARD_ACTION_DROP;
	error = ch_guard_rules(guard, rules, prefixes, count);
	if (error != 0)
		errx(1, "the kernel does not take the rules: %s", strerror(-error));
}

static void open_guard(struct ch_guard **guard)
{
	const struct ch_guard_options options = {
		.bans = SOURCES, .sources = 4 * SOURCES, .early = true};
	const struct guard_settings settings = {
		.source = {1000000000, 0},
		.v4_bits = 32,
		.v6_bits = 64,
		.log = 1,
		.workers = 1,
		.listeners = {{syns_source("10.76.0.1"), PORT, 0, 1},
			      {syns_source("fd76::1"), PORT, 0, 0}},
	};
	char why[CH_GUARD_WHY];

	if (ch_guard_open(&options, guard, why) != 0)
		errx(77, "%s", why);
	if (ch_guard_early_program(*guard) < 0)
		errx(77, "%s", ch_guard_early_why(*guard));
	if (ch_guard_set(*guard, &settings) != 0)
		errx(1, "no settings");
}

static void fill_tables(struct ch_guard *guard)
{
	struct guard_source banned = syns_source("10.77.64.0");
	struct guard_source limited = syns_source("10.77.128.0");

	for (uint32_t i = 0; i < SOURCES; i++) {
		banned.bytes[14] = (uint8_t)(64 + (i >> 8));
		limited.bytes[14] = (uint8_t)(128 + (i >> 8));
		banned.bytes[15] = limited.bytes[15] = (uint8_t)i;
		if (ch_guard_ban(guard, &banned, UINT64_MAX) != 0 ||
		    ch_guard_limit(guard, &limited, UINT64_MAX) != 0)
			errx(1, "no ban or bucket");
	}
}

static void set_known(struct ch_guard *guard, bool known)
{
	struct guard_source source = syns_source("10.77.0.0");

	for (uint32_t i = 0; i < SOURCES; i++) {
		source.bytes[14] = (uint8_t)(i >> 8);
		source.bytes[15] = (uint8_t)i;
		if (!known)
			ch_guard_forget(guard, &source);
		else if (ch_guard_know(guard, &source) != 0)
			errx(1, "no known source");
	}
}

/* All sockets of a listener share what chooses among them. */
static void choose_no_door(int fd)
{
	int unused = 0;

	/* Fails only where nothing does. */
	(void)setsockopt(fd, SOL_SOCKET, SO_DETACH_REUSEPORT_BPF, &unused, sizeof(unused));
}

static bool has_doors(const struct row *row)
{
	return row->stage == DOORS || row->stage == DOORS_KNOWN;
}

static void attach(const struct row *row, uint32_t listener, enum guard_door door)
{
	const struct ch_guard_place place = {.listener = listener, .door = door};
	int fd = listeners[listener][door];

	choose_no_door(fd);
	if (row->state == DETACHED)
		ch_guard_detach(fd);
	else if (ch_guard_attach(guards[row->state], fd, has_doors(row) ? &place : NULL) != 0)
		errx(1, "the guard cannot be attached");
}

static void prepare(int peer)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(CPU, &set);
	if (sched_setaffinity(0, sizeof(set), &set) != 0)
		err(1, "CPU %d", CPU);
	find_softirq_thread();
	open_guard(&guards[EMPTY]);
	open_guard(&guards[FULL]);
	fill_tables(guards[FULL]);
	listen_at(0, "10.76.0.1");
	listen_at(1, "fd76::1");
	floods[NOBODY] = aim(peer, "10.77.0.0", "10.76.0.1", SYNS_MAC_NOBODY);
	floods[V4] = aim(peer, "10.77.0.0", "10.76.0.1", SYNS_MAC_NEAR);
	floods[V4_BANNED] = aim(peer, "10.77.64.0", "10.76.0.1", SYNS_MAC_NEAR);
	floods[V4_LIMITED] = aim(peer, "10.77.128.0", "10.76.0.1", SYNS_MAC_NEAR);
	floods[V6] = aim(peer, "fd77::", "fd76::1", SYNS_MAC_NEAR);
}

static void nothing(void *ctx, const struct ch_early_state *state)
{
	(void)ctx;
	(void)state;
}

/* @return NULL: the row has none */
static struct ch_early *open_early(const struct row *row)
{
	struct ch_early_options options = {
		.interfaces = "va", .generic = row->stage == GENERIC, .why = ""};
	struct ch_early_state states[CH_EARLY_INTERFACES];
	struct ch_early *early;

	if (row->stage < DRIVER)
		return NULL;
	options.program = ch_guard_early_program(guards[row->state]);
	options.locals = ch_guard_locals(guards[row->state]);
	if (ch_early_new(&options, &early) != 0)
		errx(1, "no early stage");
	ch_early_tend(early, ch_now_ns(), nothing, NULL);
	ch_early_read(early, states);
	if (states[0].mode == NULL ||
	    strcmp(states[0].mode, row->stage == GENERIC ? "generic" : "native") != 0)
		errx(1, "va: no early stage as the row wants it: %s", states[0].why);
	return early;
}

static double measure(const struct row *row)
{
	struct ch_early *early = open_early(row);
	uint64_t before, lost;

	for (uint32_t i = 0; i < 2; i++)
		for (int door = 0; door < GUARD_DOORS; door++)
			attach(row, i, (enum guard_door)door);
	set_known(guards[EMPTY], row->stage == DOORS_KNOWN);
	if (row->state != DETACHED)
		set_rules(guards[row->state], row->prefixes, row->denied);
	syns_send(floods[row->flood], WARM_UP);
	lost = syns_lost(floods[row->flood]);
	before = thread_ns() + softirq_ns();
	syns_send(floods[row->flood], FRAMES);
	before = thread_ns() + softirq_ns() - before;
	ch_early_free(early);
	return (double)before / (double)(FRAMES - (syns_lost(floods[row->flood]) - lost));
}

static int by_size(const void *a, const void *b)
{
	const double *x = a;
	const double *y = b;

	return (*x > *y) - (*x < *y);
}

static void print_row(int at, int rounds)
{
	const struct row *row = &rows[at];
	double net[ROUNDS_MOST], ratio[ROUNDS_MOST];

	for (int i = 0; i < rounds; i++) {
		net[i] = cost[i][at] - cost[i][0];
		ratio[i] =
			row->reference >= 0 ? net[i] / (cost[i][row->reference] - cost[i][0]) : 0;
	}
	qsort(net, (size_t)rounds, sizeof(net[0]), by_size);
	qsort(ratio, (size_t)rounds, sizeof(ratio[0]), by_size);
	if (at == 0)
		return;
	printf("| %s | %.0f | %.0f to %.0f |", row->name, net[rounds / 2], net[0], net[rounds - 1]);
	if (row->reference >= 0)
		printf(" %.2f |\n", ratio[rounds / 2]);
	else
		printf(" 1 |\n");
}

int main(int argc, char **argv)
{
	uint64_t peer, rounds = 9;

	if (argc < 2 || argc > 3 || ch_parse_uint(argv[1], 1, INT32_MAX, &peer) != 0 ||
	    (argc == 3 && ch_parse_uint(argv[2], 1, ROUNDS_MOST, &rounds) != 0))
		errx(2, "usage: guard-cost PEER [ROUNDS, at most %d]", ROUNDS_MOST);
	prepare((int)peer);
	for (uint64_t round = 0; round < rounds; round++)
		for (int i = 0; i < ROWS; i++)
			cost[round][i] = measure(&rows[i]);
	printf("| a SYN | ns of CPU | range | ratio |\n| --- | --- | --- | --- |\n");
	for (int i = 0; i < ROWS; i++)
		print_row(i, (int)rounds);
	for (int i = 0; i < FLOODS; i++)
		syns_close(floods[i]);
	ch_guard_close(guards[EMPTY]);
	ch_guard_close(guards[FULL]);
	return 0;
}
