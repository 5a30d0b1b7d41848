/* SPDX-License-Identifier: Apache-2.0 */
/* links: guard kernel core */
/* The doors as the gate has them: it says who is known, the kernel sends them there. */
#include "gate_rig.h"
#include "guard_rig.h"

#include <stdlib.h>

#define DEVICE "127.0.0.2"

static struct ch_gate *gate;
static struct ch_buf error;
static struct ch_gate_rule rules[2];
static struct ch_address at = {.ip = {127, 0, 0, 1}, .family = 4};
static int doors[GUARD_DOORS];
static char known_file[64];

static struct ch_gate_options options(void)
{
	return (struct ch_gate_options){
		.mode = CH_GATE_AUTO,
		.sources = usual_sources(100),
		.rules = rules,
		.rule_count = 2,
		.known_file = known_file[0] != '\0' ? known_file : NULL,
		.listeners = &at,
		.listener_count = 1,
	};
}

static void open_doors(uint32_t listener)
{
	for (int door = 0; door < GUARD_DOORS; door++) {
		const struct ch_gate_place place = {
			.listener = listener, .workers = 1, .door = (enum guard_door)door};

		cr_assert_eq(ch_gate_listen(gate, doors[door], &place), 0);
	}
}

static void open_gate(const struct ch_gate_options *o)
{
	cr_assert_eq(ch_gate_new(o, NULL, &gate, &error), 0);
	if (!ch_gate_has_doors(gate))
		cr_skip_test("no eBPF for us here");
	open_doors(0);
}

static void start(void)
{
	for (int door = 0; door < GUARD_DOORS; door++)
		doors[door] = listen_once_more(&at, 64);
	rules[0] = (struct ch_gate_rule){
		.name = "ours", .action = CH_GATE_ACTION_PERMIT, .prefix = "127.0.1.0/24"};
	rules[1] = (struct ch_gate_rule){
		.name = "balancers", .action = CH_GATE_ACTION_PROXY, .prefix = "127.0.2.0/24"};
}

static void stop(void)
{
	ch_gate_free(gate);
	ch_buf_deinit(&error);
	if (known_file[0] != '\0')
		unlink(known_file);
}

TestSuite(gate_doors, .init = start, .fini = stop);

static bool all_go(enum guard_door door, const char *source)
{
	return all_go_through(doors, door, source, at.port);
}

static void has_session(uint64_t now_ns)
{
	struct ch_address peer = address_of(DEVICE);

	ch_gate_succeed(gate, &peer, now_ns);
}

static void ends(enum ch_session_end end, uint64_t now_ns)
{
	struct ch_address peer = address_of(DEVICE);

	ch_gate_end(gate, &peer, end, now_ns);
}

static void had_good_session(uint64_t now_ns)
{
	has_session(now_ns);
	ends(CH_SESSION_GOOD, now_ns);
}

Test(gate_doors, lets_a_source_through_that_of_the_known_from_its_first_good_session_on)
{
	struct ch_gate_options o = options();

	open_gate(&o);
	visit_gate(gate, DEVICE, T0);
	cr_assert(all_go(GUARD_DOOR_ORDINARY, DEVICE));
	had_good_session(T0);
	cr_assert(all_go(GUARD_DOOR_KNOWN, DEVICE));
	cr_assert(all_go(GUARD_DOOR_ORDINARY, "127.0.0.3"));
	has_session(T0);
	ends(CH_SESSION_FAULT, T0);
	cr_assert(all_go(GUARD_DOOR_ORDINARY, DEVICE), "a fault takes that away");
}

Test(gate_doors, lets_a_busy_source_through_the_ordinary_one_until_it_is_calm)
{
	struct ch_gate_options o = options();

	open_gate(&o);
	had_good_session(T0);
	for (int i = 0; i < 5; i++)
		visit_gate(gate, DEVICE, T0);
	cr_assert(all_go(GUARD_DOOR_KNOWN, DEVICE));
	visit_gate(gate, DEVICE, T0);
	cr_assert(all_go(GUARD_DOOR_ORDINARY, DEVICE));
	visit_gate(gate, DEVICE, T0 + 60 * S);
	cr_assert(all_go(GUARD_DOOR_KNOWN, DEVICE));
}

/* A power cut leaves its old session open: it calls again before that has ended. */
Test(gate_doors, lets_a_source_through_that_of_the_known_while_its_session_lasts)
{
	struct ch_gate_options o = options();

	open_gate(&o);
	has_session(T0);
	for (uint64_t i = 0; i < 32; i++)
		ch_gate_tick(gate, &(struct ch_clocks){T0 + S, U0});
	cr_assert(all_go(GUARD_DOOR_ORDINARY, DEVICE), "it does not last yet");
	for (uint64_t i = 0; i < 32; i++)
		ch_gate_tick(gate, &(struct ch_clocks){T0 + 2 * S, U0});
	cr_assert(all_go(GUARD_DOOR_KNOWN, DEVICE));
}

Test(gate_doors, knows_whom_the_rules_permit)
{
	struct ch_gate_options o = options();

	open_gate(&o);
	cr_assert(all_go(GUARD_DOOR_KNOWN, "127.0.1.9"));
	cr_assert(all_go(GUARD_DOOR_ORDINARY, "127.0.2.9"), "strangers stand behind a balancer");
	o.rule_count = 0;
	cr_assert_eq(ch_gate_reload(gate, &o, &error), 0);
	had_good_session(T0);
	cr_assert(all_go(GUARD_DOOR_ORDINARY, "127.0.1.9"), "a reload puts other rules in force");
	cr_assert(all_go(GUARD_DOOR_KNOWN, DEVICE), "and leaves the doors");
}

Test(gate_doors, are_open_in_a_dry_run_too)
{
	struct ch_gate_options o = options();

	o.dry_run = true;
	open_gate(&o);
	had_good_session(T0);
	cr_assert(all_go(GUARD_DOOR_KNOWN, DEVICE));
	cr_assert(all_go(GUARD_DOOR_ORDINARY, "127.0.0.3"));
}

/* All that a file may hold; the time of a start. */
Test(gate_doors, know_from_the_start_whom_the_file_names, .timeout = 60)
{
	enum { COUNT = 20000 };
	struct ch_gate_options o;
	FILE *file;

	snprintf(known_file, sizeof(known_file), "/tmp/gate-doors-%d", getpid());
	file = fopen(known_file, "w");
	cr_assert_not_null(file);
	for (unsigned i = 0; i < COUNT; i++)
		fprintf(file, "127.%u.%u.1 2999-01-01T00:00:00Z\n", 16 + i / 256, i % 256);
	fclose(file);
	o = options();
	o.sources.most = 65536;
	open_gate(&o);
	for (unsigned i = 0; i < COUNT; i += COUNT / 16) {
		char source[32];

		snprintf(source, sizeof(source), "127.%u.%u.1", 16 + i / 256, i % 256);
		cr_assert(goes_through(doors, GUARD_DOOR_KNOWN, source, at.port), "%s", source);
	}
}

/* The kernel's table has room for those that the gate remembers, and for no others. */
Test(gate_doors, forget_whom_the_gate_forgets)
{
	struct ch_gate_options o = options();

	o.sources.most = 64;
	open_gate(&o);
	for (unsigned round = 0; round < 2; round++) {
		for (unsigned i = 0; i < 1000; i++) {
			char source[32];
			struct ch_address peer;

			snprintf(source, sizeof(source), "127.7.%u.%u", i / 250, 1 + i % 250);
			peer = address_of(source);
			ch_gate_succeed(gate, &peer, T0);
			ch_gate_end(gate, &peer, CH_SESSION_GOOD, T0);
		}
		cr_assert(all_go(GUARD_DOOR_ORDINARY, "127.7.0.1"));
		had_good_session(T0);
		cr_assert(all_go(GUARD_DOOR_KNOWN, DEVICE));
	}
}

Test(gate_doors, are_two_only_of_listeners_with_a_number)
{
	struct ch_gate_options o = options();

	cr_assert_eq(ch_gate_new(&o, NULL, &gate, &error), 0);
	if (!ch_gate_has_doors(gate))
		cr_skip_test("no eBPF for us here");
	open_doors(GUARD_LISTENERS);
	had_good_session(T0);
	cr_assert_eq(call_port(DEVICE, at.port), 0);
}

Test(gate_doors, are_one_without_the_kernel)
{
	struct ch_gate_options o = options();
	const struct ch_gate_place place = {.workers = 1};

	o.mode = CH_GATE_USERSPACE;
	cr_assert_eq(ch_gate_new(&o, NULL, &gate, &error), 0);
	cr_assert_not(ch_gate_has_doors(gate));
	cr_assert_eq(ch_gate_listen(gate, doors[0], &place), 0);
	had_good_session(T0);
	cr_assert_eq(call_port(DEVICE, at.port), 0);
}
