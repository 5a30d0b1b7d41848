/* SPDX-License-Identifier: Apache-2.0 */
/* links: kernel core */
/* Several sockets at one address, and which of them a connection comes to. */
#include "guard_rig.h"

#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>

#define ORDINARY GUARD_DOOR_ORDINARY
#define KNOWN GUARD_DOOR_KNOWN
#define BACKLOG 64
#define WORKERS 2

static struct ch_guard *guard;
static struct guard_settings settings;
static struct ch_address at = {.ip = {127, 0, 0, 1}, .family = 4};
static int doors[GUARD_DOORS][WORKERS] = {{-1, -1}, {-1, -1}};
static const struct guard_source device = {.bytes = {[10] = 0xff, 0xff, 127, 0, 0, 2}};

static int open_at(struct ch_address *address, const struct ch_guard_place *place, int backlog)
{
	int fd = listen_once_more(address, backlog);

	cr_assert_eq(ch_guard_attach(guard, fd, place), 0);
	return fd;
}

static void open_door(enum guard_door door, uint32_t worker, int backlog)
{
	const struct ch_guard_place place = {.worker = worker, .door = door};

	doors[door][worker] = open_at(&at, &place, backlog);
}

static void set(uint64_t workers)
{
	settings = (struct guard_settings){.v4_bits = 32, .v6_bits = 64, .workers = workers};
	settings.listeners[0] = (struct guard_listener){
		.address = v4("127.0.0.1"), .port = at.port, .v4 = 1};
	cr_assert_eq(ch_guard_set(guard, &settings), 0);
}

static void open_doors(int backlog)
{
	open_door(ORDINARY, 0, backlog);
	open_door(KNOWN, 0, BACKLOG);
	set(1);
}

static void start(void)
{
	const struct ch_guard_options options = {.bans = 4, .sources = 4};
	char why[CH_GUARD_WHY];

	if (ch_guard_open(&options, &guard, why) != 0)
		cr_skip_test("no eBPF for us here: %s", why);
	cr_assert(ch_guard_steers(guard), "%s", ch_guard_steers_why(guard));
	cr_assert_str_empty(ch_guard_steers_why(guard));
}

static void stop(void)
{
	ch_guard_close(guard);
}

TestSuite(guard_doors, .init = start, .fini = stop);

/* How many came through a door since the last question. */
static int came(enum guard_door door)
{
	return count_at(doors[door][0]);
}

static bool all_go(enum guard_door door, const char *source)
{
	const int first[GUARD_DOORS] = {doors[ORDINARY][0], doors[KNOWN][0]};

	return all_go_through(first, door, source, at.port);
}

Test(guard_doors, sends_the_known_through_theirs_and_strangers_through_the_other)
{
	open_doors(BACKLOG);
	cr_assert(all_go(ORDINARY, "127.0.0.2"));
	cr_assert_eq(ch_guard_know(guard, &device), 0);
	cr_assert(all_go(KNOWN, "127.0.0.2"));
	cr_assert(all_go(ORDINARY, "127.0.0.3"));
	ch_guard_forget(guard, &device);
	cr_assert(all_go(ORDINARY, "127.0.0.2"));
}

Test(guard_doors, sends_whom_a_rule_permits_through_that_of_the_known_but_no_balancer)
{
	struct guard_rule rules[GUARD_RULES] = {[1].action = GUARD_ACTION_PERMIT,
						[2].action = GUARD_ACTION_PROXY};
	const struct ch_guard_prefix prefixes[] = {prefix("127.0.1.0", 24, 1),
						   prefix("127.0.2.0", 24, 2)};
	static struct ch_guard_counters counters;

	open_doors(BACKLOG);
	cr_assert_eq(ch_guard_rules(guard, rules, prefixes, 2), 0);
	cr_assert(all_go(KNOWN, "127.0.1.7"));
	cr_assert(all_go(ORDINARY, "127.0.2.7"));
	cr_assert(all_go(ORDINARY, "127.0.3.7"));
	cr_assert_eq(ch_guard_counters(guard, &counters), 0);
	cr_assert_eq(counters.verdicts[0][GUARD_PERMIT], 32, "both pass by their rule");
}

Test(guard_doors, takes_a_prefix_for_one_source)
{
	open_doors(BACKLOG);
	settings.v4_bits = 24;
	cr_assert_eq(ch_guard_set(guard, &settings), 0);
	cr_assert_eq(ch_guard_know(guard, &(struct guard_source){{[10] = 0xff, 0xff, 127, 0, 5}}),
		     0);
	cr_assert(all_go(KNOWN, "127.0.5.9"));
	cr_assert(all_go(ORDINARY, "127.0.6.9"));
}

static int call_v6(void)
{
	struct sockaddr_in6 to = {.sin6_family = AF_INET6,
				  .sin6_addr = IN6ADDR_LOOPBACK_INIT,
				  .sin6_port = htons(at.port)};
	int fd = socket(AF_INET6, SOCK_STREAM | SOCK_NONBLOCK, 0);

	return call(fd, (struct sockaddr *)&to, sizeof(to));
}

Test(guard_doors, takes_a_64_of_ipv6_for_one_source)
{
	struct guard_source half = {{0}}; /* ::/64 */
	int fd = socket(AF_INET6, SOCK_STREAM, 0);

	if (fd < 0)
		cr_skip_test("no IPv6 here");
	close(fd);
	at = (struct ch_address){.ip = {[15] = 1}, .family = 6};
	open_doors(BACKLOG);
	settings.listeners[0] = (struct guard_listener){.address = {{[15] = 1}}, .port = at.port};
	cr_assert_eq(ch_guard_set(guard, &settings), 0);
	for (int i = 0; i < 16; i++)
		cr_assert_eq(call_v6(), 0);
	cr_assert_eq(came(ORDINARY), 16);
	cr_assert_eq(ch_guard_know(guard, &half), 0);
	for (int i = 0; i < 16; i++)
		cr_assert_eq(call_v6(), 0);
	cr_assert_eq(came(ORDINARY), 0);
	cr_assert_eq(came(KNOWN), 16);
}

Test(guard_doors, lets_everybody_in_while_a_socket_is_not_there)
{
	open_door(ORDINARY, 0, BACKLOG);
	set(1);
	cr_assert_eq(ch_guard_know(guard, &device), 0);
	cr_assert_eq(call_port("127.0.0.2", at.port), 0);
	cr_assert_eq(came(ORDINARY), 1);
	open_door(KNOWN, 0, BACKLOG);
	cr_assert(all_go(KNOWN, "127.0.0.2"));
	close(doors[KNOWN][0]);
	cr_assert_eq(call_port("127.0.0.2", at.port), 0, "nor any more");
	cr_assert_eq(came(ORDINARY), 1);
	open_door(KNOWN, 0, BACKLOG);
	cr_assert(all_go(KNOWN, "127.0.0.2"), "back again");
}

Test(guard_doors, lets_everybody_in_before_it_knows_the_listeners)
{
	open_door(ORDINARY, 0, BACKLOG);
	open_door(KNOWN, 0, BACKLOG);
	for (int i = 0; i < 32; i++)
		cr_assert_eq(call_port("127.0.0.2", at.port), 0);
	cr_assert_eq(came(ORDINARY) + came(KNOWN), 32);
}

/* Until nobody more gets in. */
static void crowd(void)
{
	int error = 0;

	for (int i = 0; i < 16 && error == 0; i++)
		error = call_port("127.0.0.9", at.port);
	cr_assert_eq(error, -ETIMEDOUT);
}

/* What the doors are for. */
Test(guard_doors, lets_the_known_in_at_once_while_strangers_stand_in_line)
{
	open_doors(2);
	cr_assert_eq(ch_guard_know(guard, &device), 0);
	crowd();
	for (int i = 0; i < 16; i++)
		cr_assert_eq(call_port("127.0.0.2", at.port), 0);
	cr_assert_eq(came(KNOWN), 16);
	crowd();
	ch_guard_forget(guard, &device);
	cr_assert_eq(call_port("127.0.0.2", at.port), -ETIMEDOUT, "one among others");
}

/* A network of its own, whose listeners answer every SYN by a cookie. @return is it to be had? */
static bool always_send_cookies(void)
{
	struct ifreq request = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING};
	FILE *file;
	bool done;
	int fd;

	if (unshare(CLONE_NEWNET) != 0)
		return false;
	fd = socket(AF_INET, SOCK_DGRAM, 0);
	cr_assert_eq(ioctl(fd, SIOCSIFFLAGS, &request), 0);
	close(fd);
	file = fopen("/proc/sys/net/ipv4/tcp_syncookies", "w");
	if (file == NULL)
		return false;
	done = fputs("2\n", file) >= 0;
	return fclose(file) == 0 && done;
}

static unsigned long cookies_received(void)
{
	char names[4096], values[4096], *name, *value, *next_name, *next_value;
	FILE *file = fopen("/proc/thread-self/net/netstat", "r");
	unsigned long count = 0;

	cr_assert_not_null(file);
	cr_assert(fgets(names, sizeof(names), file) && fgets(values, sizeof(values), file));
	fclose(file);
	name = strtok_r(names, " \n", &next_name);
	value = strtok_r(values, " \n", &next_value);
	for (; name && value;
	     name = strtok_r(NULL, " \n", &next_name), value = strtok_r(NULL, " \n", &next_value))
		if (strcmp(name, "SyncookiesRecv") == 0)
			cr_assert_eq(sscanf(value, "%lu", &count), 1);
	return count;
}

Test(guard_doors, holds_for_the_answer_to_a_cookie_too)
{
	if (!always_send_cookies())
		cr_skip_test("no network of our own here");
	open_doors(2);
	cr_assert_eq(ch_guard_know(guard, &device), 0);
	cr_assert(all_go(KNOWN, "127.0.0.2"));
	cr_assert(all_go(ORDINARY, "127.0.0.9"));
	cr_assert_eq(cookies_received(), 32);
	/* Who answers a cookie thinks that it is in, even if there is no room any more. */
	for (int i = 0; i < 16; i++)
		call_port("127.0.0.9", at.port);
	for (int i = 0; i < 16; i++)
		cr_assert_eq(call_port("127.0.0.2", at.port), 0);
	cr_assert_eq(came(KNOWN), 16);
	cr_assert_leq(came(ORDINARY), 3);
}

Test(guard_doors, spreads_them_over_the_threads)
{
	int counts[GUARD_DOORS][WORKERS] = {{0}};

	for (uint32_t worker = 0; worker < WORKERS; worker++) {
		open_door(ORDINARY, worker, BACKLOG);
		open_door(KNOWN, worker, BACKLOG);
	}
	set(WORKERS);
	cr_assert_eq(ch_guard_know(guard, &device), 0);
	for (int i = 0; i < 60; i++) {
		cr_assert_eq(call_port("127.0.0.2", at.port), 0);
		cr_assert_eq(call_port("127.0.0.3", at.port), 0);
	}
	for (int door = 0; door < GUARD_DOORS; door++) {
		for (int worker = 0; worker < WORKERS; worker++)
			counts[door][worker] = count_at(doors[door][worker]);
		cr_assert_eq(counts[door][0] + counts[door][1], 60, "door %d", door);
		cr_assert_geq(counts[door][0], 5, "door %d", door);
		cr_assert_geq(counts[door][1], 5, "door %d", door);
	}
}

/* One at any address and one at a certain one may have the same port. */
Test(guard_doors, belong_to_the_listener_that_the_kernel_found)
{
	struct ch_address any = {.family = 4};
	int everywhere[GUARD_DOORS];

	for (int door = 0; door < GUARD_DOORS; door++) {
		struct ch_guard_place place = {.listener = 0, .door = (enum guard_door)door};

		/* First this, for it finds a port that nobody has at any address. */
		everywhere[door] = open_at(&any, &place, BACKLOG);
		at.port = any.port;
		place.listener = 1;
		doors[door][0] = open_at(&at, &place, BACKLOG);
	}
	set(1);
	settings.listeners[1] = settings.listeners[0];
	settings.listeners[0] = (struct guard_listener){v4("0.0.0.0"), at.port, 1, 1};
	cr_assert_eq(ch_guard_set(guard, &settings), 0);
	cr_assert_eq(ch_guard_know(guard, &device), 0);
	cr_assert(all_go(KNOWN, "127.0.0.2"));
	cr_assert(all_go(ORDINARY, "127.0.0.3"));
	cr_assert_eq(count_at(everywhere[ORDINARY]) + count_at(everywhere[KNOWN]), 0);
}

Test(guard_doors, says_when_there_is_no_room_for_a_known_source)
{
	struct guard_source source = device;

	for (uint8_t i = 0; i < 4; i++) {
		source.bytes[14] = i;
		cr_assert_eq(ch_guard_know(guard, &source), 0);
		cr_assert_eq(ch_guard_know(guard, &source), 0, "once more takes no more room");
	}
	source.bytes[14] = 9;
	cr_assert_eq(ch_guard_know(guard, &source), -E2BIG);
}

Test(guard_doors, take_a_socket_once_more)
{
	const struct ch_guard_place place = {.door = KNOWN};

	open_doors(BACKLOG);
	cr_assert_eq(ch_guard_know(guard, &device), 0);
	cr_assert_eq(ch_guard_attach(guard, doors[KNOWN][0], &place), 0);
	cr_assert(all_go(KNOWN, "127.0.0.2"));
}

Test(guard_doors, takes_no_place_beyond_those_there_are)
{
	const struct ch_guard_place places[] = {{.listener = GUARD_LISTENERS},
						{.worker = GUARD_WORKERS}};
	int fd;

	cr_assert_eq(ch_sock_listen(&at, NULL, BACKLOG, &fd), 0);
	for (int i = 0; i < 2; i++)
		cr_assert_eq(ch_guard_attach(guard, fd, &places[i]), -EINVAL);
	close(fd);
}
