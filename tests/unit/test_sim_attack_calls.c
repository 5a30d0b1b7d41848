/* SPDX-License-Identifier: Apache-2.0 */
/* links: kernel tls proto core */
/* sources: tests/unit/sim_rig.c bench/attack.c bench/load.c bench/device.c bench/cert_to_name.c bench/netconf.c bench/impostor.c bench/pki.c bench/pki_make.c bench/pki_status.c bench/fleet.c bench/call.c bench/call_dial.c bench/call_attack.c bench/call_keys.c bench/schedule.c */
/* The calls of an attack: how many, from where, and what counts as what. */
#include "sim_rig.h"
#include "bench/attack.h"
#include "bench/fleet.h"
#include "kernel/sock.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define PATIENCE_NS 20000000000ull
#define CONNECTIONS 5

static struct sim_fleet *fleet;
static struct sim_snapshot now;
static struct ch_address target;
static int listener = -1;

static void open_listener(void)
{
	const struct ch_address any = {.ip = {127, 0, 0, 1}, .family = 4};

	cr_assert_eq(ch_sock_listen(&any, NULL, 64, &listener), 0);
	cr_assert_eq(ch_sock_local(listener, &target), 0);
}

static void close_all(void)
{
	sim_fleet_free(fleet);
	if (listener >= 0)
		close(listener);
}

TestSuite(sim_attack_calls, .init = open_listener, .fini = close_all);

static void start(const struct sim_impostor *kind, uint32_t sources)
{
	/* the fleet borrows them */
	static const struct sim_impostor *kinds[1];
	static struct sim_attack_plan plan = {
		.kinds = kinds,
		.kind_count = 1,
		.connections = CONNECTIONS,
		.rate = 1000,
	};
	const struct sim_fleet_options options = {
		.targets = {target},
		.target_count = 1,
		.source = {.ip = {127, 9, 0, 1}, .family = 4},
		.reply_bytes = 100,
		.max_wait_ns = 5000000000,
		.max_attempts = 1,
		.attack = &plan,
		.seed = 1,
	};

	cr_assert_not_null(kind);
	kinds[0] = kind;
	plan.sources = sources;
	cr_assert_eq(sim_fleet_start(&options, &fleet), 0);
}

static void look(void)
{
	const struct timespec tick = {0, 10000000};

	nanosleep(&tick, NULL);
	memset(&now, 0, sizeof(now));
	sim_fleet_add(fleet, &now);
	cr_assert(now.running);
}

/* Until *@counter, which is inside @now, is @least or more. */
static void wait_for(const uint64_t *counter, uint64_t least)
{
	uint64_t deadline_ns = ch_now_ns() + PATIENCE_NS;

	do {
		look();
		cr_assert_lt(ch_now_ns(), deadline_ns, "%llu of %llu", (unsigned long long)*counter,
			     (unsigned long long)least);
	} while (*counter < least);
}

static int accept_one(struct ch_address *peer)
{
	struct pollfd wait = {.fd = listener, .events = POLLIN};

	cr_assert_eq(poll(&wait, 1, 20000), 1, "nobody calls");
	int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	cr_assert_geq(fd, 0);
	cr_assert_eq(ch_sock_peer(fd, peer), 0);
	return fd;
}

Test(sim_attack_calls, refused_ones_are_counted_and_made_again)
{
	close(listener);
	listener = -1;
	start(sim_attack_device("silent"), 1);
	wait_for(&now.counters.attack.refused, 20);
	cr_assert_eq(now.counters.attack.connected, 0);
	cr_assert_eq(now.counters.attack.failed, 0);
	cr_assert_eq(now.counters.attack.held_peak, 0);
}

Test(sim_attack_calls, no_more_are_up_than_allowed)
{
	struct ch_address peer;

	start(sim_attack_device("silent"), 1);
	wait_for(&now.counters.attack.held_peak, CONNECTIONS);
	for (int i = 0; i < 30; i++)
		look();
	cr_assert_eq(now.counters.attack.attempts, CONNECTIONS);
	cr_assert_eq(now.counters.attack.connected, CONNECTIONS);
	cr_assert_eq(now.counters.attack.closed_by_target, 0);
	for (int i = 0; i < CONNECTIONS; i++)
		close(accept_one(&peer));
	wait_for(&now.counters.attack.closed_by_target, CONNECTIONS);
	wait_for(&now.counters.attack.attempts, 2 * CONNECTIONS);
	cr_assert_eq(now.counters.attack.held_peak, CONNECTIONS);
}

Test(sim_attack_calls, come_from_all_sources_in_turn)
{
	struct ch_address peer;

	start(sim_attack_device("silent"), 3);
	for (uint8_t i = 0; i < CONNECTIONS; i++) {
		const uint8_t from[4] = {127, 9, 0, (uint8_t)(1 + i % 3)};
		int fd = accept_one(&peer);
		cr_assert_arr_eq(peer.ip, from, 4, "call %d is from 127.9.0.%d", i, peer.ip[3]);
		close(fd);
	}
}

Test(sim_attack_calls, what_the_attacker_ends_is_not_the_targets_doing)
{
	struct ch_address peer;
	char byte;

	start(sim_attack_device("abort-connected"), 1);
	wait_for(&now.counters.attack.connected, 10);
	cr_assert_eq(now.counters.attack.closed_by_target, 0);
	int fd = accept_one(&peer);
	cr_assert_eq(read(fd, &byte, 1), -1);
	cr_assert_eq(errno, ECONNRESET);
	close(fd);
}

/* As much of a ClientHello as these look at. */
static const uint8_t record[6] = {22, 3, 1, 0, 1, 1};

Test(sim_attack_calls, half_a_hello_is_half_of_what_its_header_says)
{
	struct ch_address peer;
	uint8_t got[256];

	start(sim_attack_device("half-hello"), 1);
	int fd = accept_one(&peer);
	cr_assert_eq(write(fd, record, sizeof(record)), sizeof(record));
	ssize_t len = recv(fd, got, 37, MSG_WAITALL);
	cr_assert_eq(len, 37);
	cr_assert_eq(got[3] << 8 | got[4], 64);
	cr_assert_eq(recv(fd, got, sizeof(got), MSG_DONTWAIT), -1);
	close(fd);
}

Test(sim_attack_calls, a_dripping_one_sends_byte_by_byte)
{
	static const struct sim_impostor dripping = {
		"", CH_REASON_NONE, .opening = SIM_OPENING_HALF_HELLO, .drip = true};
	struct ch_address peer;
	uint8_t got[256];

	start(&dripping, 1);
	int fd = accept_one(&peer);
	cr_assert_eq(write(fd, record, sizeof(record)), sizeof(record));
	for (int i = 0; i < 3; i++)
		cr_assert_eq(recv(fd, got, sizeof(got), 0), 1);
	close(fd);
	wait_for(&now.counters.attack.closed_by_target, 1);
}

Test(sim_attack_calls, handshakes_are_aborted_at_each_stage)
{
	static const char *const names[] = {"abort-connected", "abort-client-hello",
					    "abort-half-flight", "abort-flight", "abort-tls-done"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		for (uint32_t index = 0; index < 2; index++) {
			struct rig rig;
			rig_init(&rig, index, sim_attack_device(names[i]));
			rig_pump(&rig);
			cr_assert(rig.device.abort, "%s", names[i]);
			cr_assert_eq(rig.device.state, SIM_CLOSING, "%s", names[i]);
			cr_assert_not(rig.up, "%s", names[i]);
			cr_assert_eq(rig.device.has_record, false, "%s says a hello", names[i]);
			rig_deinit(&rig);
		}
	}
}
