/* SPDX-License-Identifier: Apache-2.0 */
/* links: kernel core */
/* Programs that a kernel does not take: the guard works without those that it can do without. */
#include "guard_rig.h"

#include <bpf/libbpf.h>
#include <dlfcn.h>
#include <string.h>

static bool refuse_early, refuse_steering, refuse_all;

static bool wants(const struct bpf_object_skeleton *skeleton, const char *name)
{
	for (int i = 0; i < skeleton->prog_cnt; i++)
		if (strcmp(skeleton->progs[i].name, name) == 0)
			return bpf_program__autoload(*skeleton->progs[i].prog);
	return false;
}

/* In the place of libbpf's own. */
int bpf_object__load_skeleton(struct bpf_object_skeleton *skeleton)
{
	int (*load)(struct bpf_object_skeleton *) = dlsym(RTLD_NEXT, "bpf_object__load_skeleton");

	if (refuse_all)
		return -EPERM;
	if (refuse_early && wants(skeleton, "guard_early"))
		return -EPERM;
	if (refuse_steering && wants(skeleton, "guard_steer"))
		return -EACCES;
	return load(skeleton);
}

static struct ch_guard *guard;

static void open_guard(bool early)
{
	const struct ch_guard_options options = {.bans = 4, .sources = 4, .early = early};
	char why[CH_GUARD_WHY];

	if (ch_guard_open(&options, &guard, why) != 0)
		cr_skip_test("no eBPF for us here: %s", why);
}

static void stop(void)
{
	ch_guard_close(guard);
}

TestSuite(guard_load, .fini = stop);

static void expect(bool early, const char *early_why, bool steers, const char *steers_why)
{
	cr_assert_eq(ch_guard_early_program(guard) >= 0, early);
	cr_assert_eq(ch_guard_steers(guard), steers);
	cr_assert(early_why[0] == '\0' ? ch_guard_early_why(guard)[0] == '\0'
				       : strstr(ch_guard_early_why(guard), early_why) != NULL,
		  "%s", ch_guard_early_why(guard));
	cr_assert(steers_why[0] == '\0' ? ch_guard_steers_why(guard)[0] == '\0'
					: strstr(ch_guard_steers_why(guard), steers_why) != NULL,
		  "%s", ch_guard_steers_why(guard));
}

/* The claim that one may go without the other needs a kernel that takes both. */
static void needs_both(void)
{
	open_guard(true);
	if (ch_guard_early_program(guard) < 0)
		cr_skip_test("no early stage for us here: %s", ch_guard_early_why(guard));
	expect(true, "", true, "");
	ch_guard_close(guard);
	guard = NULL;
}

Test(guard_load, takes_all_that_is_wanted_and_nothing_else)
{
	open_guard(false);
	expect(false, "", true, "");
}

Test(guard_load, guards_without_doors_and_says_why)
{
	const struct ch_guard_place place = {.door = GUARD_DOOR_KNOWN};
	struct ch_address at = {.ip = {127, 0, 0, 1}, .family = 4};
	struct guard_settings settings = {.v4_bits = 32, .v6_bits = 64, .workers = 1};
	struct guard_source bad = v4("127.0.0.2");
	int listener = listen_once_more(&at, 16);

	refuse_steering = true;
	open_guard(false);
	expect(false, "", false, "the verifier of this kernel refuses the program");
	cr_assert_eq(ch_guard_set(guard, &settings), 0);
	cr_assert_eq(ch_guard_attach(guard, listener, &place), 0);
	cr_assert_eq(call_port("127.0.0.2", at.port), 0);
	cr_assert_eq(ch_guard_ban(guard, &bad, UINT64_MAX), 0);
	cr_assert_eq(call_port("127.0.0.2", at.port), -ETIMEDOUT);
	close(listener);
}

Test(guard_load, goes_without_the_early_stage_alone)
{
	needs_both();
	refuse_early = true;
	open_guard(true);
	expect(false, "CAP_NET_ADMIN is missing", true, "");
}

Test(guard_load, goes_without_the_doors_alone)
{
	needs_both();
	refuse_steering = true;
	open_guard(true);
	expect(true, "", false, "the verifier of this kernel refuses the program");
}

Test(guard_load, goes_without_either_and_gives_each_its_own_reason)
{
	refuse_early = refuse_steering = true;
	open_guard(true);
	expect(false, "CAP_NET_ADMIN is missing", false,
	       "the verifier of this kernel refuses the program");
}

Test(guard_load, does_not_go_without_the_filter)
{
	const struct ch_guard_options options = {.bans = 4, .sources = 4, .early = true};
	char why[CH_GUARD_WHY];

	refuse_all = true;
	cr_assert_eq(ch_guard_open(&options, &guard, why), -EPERM);
	cr_assert_not_null(strstr(why, "CAP_BPF is missing"), "%s", why);
}
