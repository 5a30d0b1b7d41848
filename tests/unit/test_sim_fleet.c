/* SPDX-License-Identifier: Apache-2.0 */
/* links: kernel tls proto core */
/* sources: tests/unit/sim_rig.c bench/device.c bench/cert_to_name.c bench/netconf.c bench/impostor.c bench/pki.c bench/pki_make.c bench/pki_status.c bench/fleet.c bench/call.c bench/call_dial.c bench/call_attack.c bench/call_keys.c bench/schedule.c */
#include "sim_rig.h"
#include "bench/fleet.h"
#include "kernel/sock.h"

#include <criterion/criterion.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define PATIENCE_NS 20000000000ull

static struct sim_pki *pki;
static struct sim_fleet *fleet;
static struct sim_snapshot now;

static void load(void)
{
	char error[SIM_PKI_ERROR];

	cr_assert_eq(sim_pki_load(rig_dir(), &pki, error), 0, "%s", error);
}

static void unload(void)
{
	sim_fleet_free(fleet);
	sim_pki_free(pki);
}

TestSuite(sim_fleet, .init = load, .fini = unload);

static int listen_on(struct ch_address *address)
{
	const struct ch_sock_liveness liveness = {0};
	const struct ch_address any = {.ip = {127, 0, 0, 1}, .family = 4};
	int fd;

	cr_assert_eq(ch_sock_listen(&any, &liveness, 64, &fd), 0);
	cr_assert_eq(ch_sock_local(fd, address), 0);
	return fd;
}

/* A port where nobody listens. */
static struct ch_address closed_port(void)
{
	struct ch_address address;

	ch_sock_close(listen_on(&address));
	return address;
}

static int accept_one(int listener, struct ch_address *peer)
{
	struct pollfd wait = {.fd = listener, .events = POLLIN};

	cr_assert_eq(poll(&wait, 1, 20000), 1, "nobody calls");
	int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	cr_assert_geq(fd, 0);
	cr_assert_eq(ch_sock_peer(fd, peer), 0);
	return fd;
}

static struct sim_fleet_options options_for(const struct ch_address *target)
{
	return (struct sim_fleet_options){
		.pki = pki,
		.targets = {*target},
		.target_count = 1,
		.source = {.ip = {127, 9, 0, 1}, .family = 4},
		.devices = RIG_DEVICES,
		.stride = 1,
		.reply_bytes = 100,
		.max_wait_ns = 5000000000,
		.max_attempts = 3,
		.backoff_min_ns = 1000000,
		.backoff_max_ns = 2000000,
		.auth_timeout_ns = 5000000000,
		.impostor_wait_ns = 5000000000,
		.seed = 1,
	};
}

static void wait_for(bool (*done)(void))
{
	const struct timespec tick = {0, 10000000};
	uint64_t deadline_ns = ch_now_ns() + PATIENCE_NS;

	do {
		nanosleep(&tick, NULL);
		memset(&now, 0, sizeof(now));
		sim_fleet_add(fleet, &now);
		cr_assert(now.running);
		cr_assert_lt(ch_now_ns(), deadline_ns, "it never happens");
	} while (!done());
}

static bool eight_refused(void)
{
	return now.counters.ends[SIM_END_REFUSED] == RIG_DEVICES;
}

/* row: S2 */
Test(sim_fleet, counts_refused_calls_and_calls_once_without_reconnect)
{
	const struct ch_address nobody = closed_port();
	const struct sim_fleet_options options = options_for(&nobody);

	cr_assert_eq(sim_fleet_start(&options, &fleet), 0);
	wait_for(eight_refused);
	cr_assert_eq(now.counters.arrivals, RIG_DEVICES);
	cr_assert_eq(now.counters.connects, 0);
	cr_assert_eq(now.waiting, 0);
	cr_assert_eq(now.open, 0);
}

static bool ten_rounds_refused(void)
{
	return now.counters.ends[SIM_END_REFUSED] >= 10;
}

/* row: S-conn-strategy */
Test(sim_fleet, calls_again_after_a_refusal)
{
	const struct ch_address nobody = closed_port();
	struct sim_fleet_options options = options_for(&nobody);

	options.devices = 1;
	options.reconnect = true;
	cr_assert_eq(sim_fleet_start(&options, &fleet), 0);
	wait_for(ten_rounds_refused);
	cr_assert_geq(now.counters.arrivals, 10);
}

/* row: S-conn-strategy */
Test(sim_fleet, tries_the_next_target_after_max_attempts)
{
	const struct ch_address nobody = closed_port();
	struct sim_fleet_options options = options_for(&nobody);
	struct ch_address peer;
	int listener = listen_on(&options.targets[1]);

	options.target_count = 2;
	options.devices = 1;
	options.reconnect = true;
	cr_assert_eq(sim_fleet_start(&options, &fleet), 0);
	int fd = accept_one(listener, &peer);
	sim_fleet_tell(fleet, SIM_COMMAND_QUIET);
	sim_fleet_join(fleet);
	memset(&now, 0, sizeof(now));
	sim_fleet_add(fleet, &now);
	cr_assert_eq(now.counters.ends[SIM_END_REFUSED], 3);
	cr_assert_eq(now.counters.arrivals, 4);
	ch_sock_close(fd);
	ch_sock_close(listener);
}

static bool all_timed_out(void)
{
	return now.counters.ends[SIM_END_AUTH_TIMEOUT] == RIG_DEVICES;
}

/* row: S5b */
Test(sim_fleet, hangs_up_when_the_collector_does_not_authenticate)
{
	struct ch_address address;
	int listener = listen_on(&address);
	struct sim_fleet_options options = options_for(&address);

	options.auth_timeout_ns = 50000000;
	cr_assert_eq(sim_fleet_start(&options, &fleet), 0);
	wait_for(all_timed_out);
	cr_assert_eq(now.counters.connects, RIG_DEVICES);
	cr_assert_eq(now.connect_us.total, RIG_DEVICES);
	cr_assert_eq(now.login_us.total, 0);
	ch_sock_close(listener);
}

Test(sim_fleet, gives_every_device_its_own_source_address)
{
	struct ch_address address, peer;
	int listener = listen_on(&address), fds[RIG_DEVICES];
	unsigned seen = 0;

	const struct sim_fleet_options options = options_for(&address);
	cr_assert_eq(sim_fleet_start(&options, &fleet), 0);
	for (int i = 0; i < RIG_DEVICES; i++) {
		fds[i] = accept_one(listener, &peer);
		cr_assert_eq(peer.ip[0], 127);
		cr_assert_eq(peer.ip[1], 9);
		seen |= 1u << peer.ip[3];
	}
	cr_assert_eq(seen, 0x1fe);
	for (int i = 0; i < RIG_DEVICES; i++)
		ch_sock_close(fds[i]);
	ch_sock_close(listener);
}

/* row: S1c */
Test(sim_fleet, calls_from_the_source_port_it_was_told)
{
	struct ch_address address, peer;
	int listener = listen_on(&address), fds[RIG_DEVICES];
	struct sim_fleet_options options = options_for(&address);

	options.source_port = 4334;
	cr_assert_eq(sim_fleet_start(&options, &fleet), 0);
	for (int i = 0; i < RIG_DEVICES; i++) {
		fds[i] = accept_one(listener, &peer);
		cr_assert_eq(peer.port, 4334);
		cr_assert_eq(peer.ip[1], 9);
	}
	for (int i = 0; i < RIG_DEVICES; i++)
		ch_sock_close(fds[i]);
	ch_sock_close(listener);
}

/* row: S1c */
Test(sim_fleet, calls_from_random_source_ports)
{
	struct ch_address address, peer;
	int listener = listen_on(&address), fds[RIG_DEVICES], privileged = 0, ephemeral = 0;
	struct sim_fleet_options options = options_for(&address);

	options.any_source_port = true;
	cr_assert_eq(sim_fleet_start(&options, &fleet), 0);
	for (int i = 0; i < RIG_DEVICES; i++) {
		fds[i] = accept_one(listener, &peer);
		privileged += peer.port < 1024;
		ephemeral += peer.port >= 32768;
	}
	cr_assert_eq(privileged, 0);
	cr_assert_lt(ephemeral, RIG_DEVICES);
	for (int i = 0; i < RIG_DEVICES; i++)
		ch_sock_close(fds[i]);
	ch_sock_close(listener);
}

static bool all_tried(void)
{
	return now.counters.connects + now.counters.ends[SIM_END_CONNECT_TIMEOUT] == RIG_DEVICES;
}

/* row: S2 */
Test(sim_fleet, tells_a_silent_drop_from_a_refusal)
{
	const struct ch_sock_liveness liveness = {0};
	const struct ch_address any = {.ip = {127, 0, 0, 1}, .family = 4};
	struct ch_address address;
	int listener;

	/* a queue for one connection: SYNs beyond it are dropped */
	cr_assert_eq(ch_sock_listen(&any, &liveness, 0, &listener), 0);
	cr_assert_eq(ch_sock_local(listener, &address), 0);
	struct sim_fleet_options options = options_for(&address);
	options.max_wait_ns = 300000000;
	options.auth_timeout_ns = 60000000000;
	cr_assert_eq(sim_fleet_start(&options, &fleet), 0);
	wait_for(all_tried);
	cr_assert_geq(now.counters.connects, 1);
	cr_assert_geq(now.counters.ends[SIM_END_CONNECT_TIMEOUT], RIG_DEVICES - 2);
	cr_assert_eq(now.counters.ends[SIM_END_REFUSED], 0);
	ch_sock_close(listener);
}

static bool all_failed(void)
{
	return now.counters.ends[SIM_END_HANDSHAKE] + now.counters.ends[SIM_END_RESET] ==
	       RIG_DEVICES;
}

/* row: S2 */
Test(sim_fleet, counts_connections_that_end_in_the_handshake)
{
	struct ch_address address, peer;
	int listener = listen_on(&address);
	const struct sim_fleet_options options = options_for(&address);

	cr_assert_eq(sim_fleet_start(&options, &fleet), 0);
	for (int i = 0; i < RIG_DEVICES; i++) {
		int fd = accept_one(listener, &peer);
		if (i % 2)
			ch_sock_close(fd);
		else
			ch_sock_reset(fd);
	}
	wait_for(all_failed);
	cr_assert_eq(now.open, 0);
	ch_sock_close(listener);
}

static bool impostors_gone(void)
{
	const struct sim_counters *c = &now.counters;

	return c->impostors > 0 && now.waiting == 0 &&
	       c->impostors == c->impostors_ended + c->impostors_left;
}

Test(sim_fleet, knows_where_its_impostors_called_from)
{
	struct ch_address address, peers[2];
	int listener = listen_on(&address);
	const struct sim_plan plan = {sim_impostor_find("garbage", 7), 2};
	struct sim_fleet_options options = options_for(&address);
	const struct sim_impostor_view *views;
	char text[64];

	options.devices = 0;
	options.plans = &plan;
	options.plan_count = 1;
	options.rate = 100;
	cr_assert_eq(sim_fleet_start(&options, &fleet), 0);
	for (int i = 0; i < 2; i++) {
		int fd = accept_one(listener, &peers[i]);
		cr_assert_gt(recv(fd, text, sizeof(text), 0), 4);
		cr_assert_eq(memcmp(text, "SSH-", 4), 0);
		ch_sock_close(fd);
	}
	wait_for(impostors_gone);
	cr_assert_eq(now.counters.impostors_ended, 2);
	cr_assert_eq(now.counters.arrivals, 0);
	sim_fleet_join(fleet);
	cr_assert_eq(sim_fleet_impostors(fleet, &views), 2);
	for (int i = 0; i < 2; i++) {
		cr_assert(views[i].called);
		cr_assert(views[i].ended);
		cr_assert_eq(views[i].kind, plan.kind);
		cr_assert_eq(views[i].local.port, peers[i].port);
		cr_assert_eq(memcmp(views[i].local.ip, peers[i].ip, 4), 0);
	}
	ch_sock_close(listener);
}

Test(sim_fleet, gives_up_on_impostors_that_nobody_ends)
{
	struct ch_address address;
	int listener = listen_on(&address);
	const struct sim_plan plan = {sim_impostor_find("silent", 6), 3};
	struct sim_fleet_options options = options_for(&address);

	options.devices = 0;
	options.plans = &plan;
	options.plan_count = 1;
	options.impostor_wait_ns = 20000000;
	cr_assert_eq(sim_fleet_start(&options, &fleet), 0);
	wait_for(impostors_gone);
	cr_assert_eq(now.counters.impostors_left, 3);
	cr_assert_eq(now.counters.impostors_ended, 0);
	ch_sock_close(listener);
}

static bool one_up(void)
{
	return now.counters.connects == 1;
}

static bool none_open(void)
{
	return now.open == 0;
}

Test(sim_fleet, closes_what_is_open_when_told)
{
	struct ch_address address, peer;
	int listener = listen_on(&address);
	struct sim_fleet_options options = options_for(&address);
	char byte;

	options.devices = 1;
	options.reconnect = true;
	cr_assert_eq(sim_fleet_start(&options, &fleet), 0);
	int fd = accept_one(listener, &peer);
	wait_for(one_up);
	sim_fleet_tell(fleet, SIM_COMMAND_CLOSE);
	cr_assert_eq(recv(fd, &byte, 1, 0), 0);
	ch_sock_close(fd);
	wait_for(none_open);
	cr_assert_eq(now.counters.ends[SIM_END_STOPPED], 1);
	ch_sock_close(listener);
}
