/* SPDX-License-Identifier: Apache-2.0 */
#include "guard.h"

#include "guard.skel.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/membarrier.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#define READERS_MOST_US 100000

/* What one of the two sides holds, so that it can be emptied. */
struct side {
	struct guard_prefix *prefixes;
	size_t count;
};

struct ch_guard {
	struct guard_bpf *bpf;
	struct ring_buffer *ring;
	ch_guard_event_fn event_fn; /**< of the present call of ch_guard_events */
	void *event_ctx;
	uint32_t active;
	struct side sides[2];
	int cpus;
	bool early;
	bool steers;
	char early_why[CH_GUARD_WHY];
	char steers_why[CH_GUARD_WHY];
};

/* libbpf speaks on standard error otherwise; what went wrong is told by our own sentence. */
static int say_nothing(enum libbpf_print_level level, const char *format, va_list args)
{
	(void)level;
	(void)format;
	(void)args;
	return 0;
}

static void explain(int err, char why[CH_GUARD_WHY])
{
	if (err == -EPERM)
		snprintf(why, CH_GUARD_WHY,
			 "CAP_BPF is missing (%s): start as root or with AmbientCapabilities=CAP_BPF; "
			 "in a container without it the limits work in user space",
			 strerror(-err));
	else if (err == -EACCES)
		snprintf(why, CH_GUARD_WHY,
			 "the verifier of this kernel refuses the program (%s): please report it with "
			 "the kernel's version",
			 strerror(-err));
	else if (err == -ENOENT)
		snprintf(why, CH_GUARD_WHY,
			 "/sys/devices/system/cpu/possible cannot be read, by which counters are sized: "
			 "mount /sys");
	else if (err == -ENOSYS || err == -EINVAL)
		snprintf(why, CH_GUARD_WHY,
			 "this kernel does not take the program (%s): it needs CONFIG_BPF_SYSCALL, "
			 "Linux 5.11 or newer",
			 strerror(-err));
	else
		snprintf(why, CH_GUARD_WHY, "the program cannot be loaded: %s", strerror(-err));
}

static void explain_early(int err, char why[CH_GUARD_WHY])
{
	if (err == -EPERM)
		snprintf(why, CH_GUARD_WHY,
			 "CAP_NET_ADMIN is missing (%s): start as root or with "
			 "AmbientCapabilities=CAP_BPF CAP_NET_ADMIN",
			 strerror(-err));
	else if (err == -EACCES)
		snprintf(why, CH_GUARD_WHY,
			 "the verifier of this kernel refuses the early program (%s): please report it "
			 "with the kernel's version; with CAP_PERFMON added it may take it",
			 strerror(-err));
	else
		snprintf(why, CH_GUARD_WHY,
			 "this kernel does not take the early program (%s): it needs Linux 5.18 or "
			 "newer",
			 strerror(-err));
}

static void explain_steering(int err, char why[CH_GUARD_WHY])
{
	snprintf(why, CH_GUARD_WHY,
		 err == -EACCES
			 ? "the verifier of this kernel refuses the program (%s): please "
			   "report it with the kernel's version"
			 : "this kernel does not take the program that chooses sockets (%s): "
			   "it needs Linux 5.11 or newer",
		 strerror(-err));
}

static int on_event(void *ctx, void *data, size_t len)
{
	struct ch_guard *guard = ctx;

	if (len >= sizeof(struct guard_event))
		guard->event_fn(guard->event_ctx, data);
	return 0;
}

static int load(struct ch_guard *guard, const struct ch_guard_options *options, bool early,
		bool steers)
{
	int err;

	guard->bpf = guard_bpf__open();
	if (guard->bpf == NULL)
		return -errno;
	guard->early = early;
	guard->steers = steers;
	/* One that is not wanted must not ask for its capability. */
	err = bpf_program__set_autoload(guard->bpf->progs.guard_early, early);
	if (err == 0)
		err = bpf_program__set_autoload(guard->bpf->progs.guard_steer, steers);
	if (err == 0)
		err = bpf_map__set_max_entries(guard->bpf->maps.bans, options->bans);
	if (err == 0)
		err = bpf_map__set_max_entries(guard->bpf->maps.buckets, options->sources);
	if (err == 0)
		err = bpf_map__set_max_entries(guard->bpf->maps.known, options->sources);
	if (err == 0)
		err = guard_bpf__load(guard->bpf);
	if (err != 0)
		return err;
	guard->ring = ring_buffer__new(bpf_map__fd(guard->bpf->maps.events), on_event, guard, NULL);
	return guard->ring != NULL ? 0 : -errno;
}

static void unload(struct ch_guard *guard)
{
	ring_buffer__free(guard->ring);
	guard_bpf__destroy(guard->bpf);
	guard->ring = NULL;
	guard->bpf = NULL;
}

static int load_anew(struct ch_guard *guard, const struct ch_guard_options *options, bool early,
		     bool steers)
{
	unload(guard);
	return load(guard, options, early, steers);
}

/* One program that is refused fails all of them, and it is not said which. */
static int load_what_goes(struct ch_guard *guard, const struct ch_guard_options *options)
{
	int all = load(guard, options, options->early, true);
	int late = all != 0 && options->early ? load_anew(guard, options, false, true) : all;
	int unsteered = late != 0 ? load_anew(guard, options, options->early, false) : 0;
	int plain = unsteered != 0 && options->early ? load_anew(guard, options, false, false)
						     : unsteered;

	if (plain != 0)
		return plain;
	if (options->early && !guard->early)
		explain_early(guard->steers ? all : unsteered, guard->early_why);
	if (!guard->steers)
		explain_steering(late, guard->steers_why);
	return 0;
}

int ch_guard_open(const struct ch_guard_options *options, struct ch_guard **guard,
		  char why[CH_GUARD_WHY])
{
	struct ch_guard *made = calloc(1, sizeof(*made));
	int err;

	why[0] = '\0';
	if (made == NULL)
		return -ENOMEM;
	libbpf_set_print(say_nothing);
	made->cpus = libbpf_num_possible_cpus();
	err = made->cpus > 0 ? load_what_goes(made, options) : made->cpus;
	if (err == 0) {
		*guard = made;
		return 0;
	}
	explain(err, why);
	ch_guard_close(made);
	return err;
}

void ch_guard_close(struct ch_guard *guard)
{
	if (guard == NULL)
		return;
	unload(guard);
	free(guard->sides[0].prefixes);
	free(guard->sides[1].prefixes);
	free(guard);
}

int ch_guard_early_program(const struct ch_guard *guard)
{
	return guard->early ? bpf_program__fd(guard->bpf->progs.guard_early) : -1;
}

int ch_guard_locals(const struct ch_guard *guard)
{
	return bpf_map__fd(guard->bpf->maps.locals);
}

const char *ch_guard_early_why(const struct ch_guard *guard)
{
	return guard->early_why;
}

bool ch_guard_steers(const struct ch_guard *guard)
{
	return guard->steers;
}

const char *ch_guard_steers_why(const struct ch_guard *guard)
{
	return guard->steers_why;
}

static int put(const struct bpf_map *map, const void *key, const void *value)
{
	return bpf_map_update_elem(bpf_map__fd(map), key, value, BPF_ANY);
}

static int attach(int fd, int option, const struct bpf_program *program)
{
	int program_fd = bpf_program__fd(program);

	return setsockopt(fd, SOL_SOCKET, option, &program_fd, sizeof(program_fd)) == 0 ? 0
											: -errno;
}

int ch_guard_attach(struct ch_guard *guard, int listen_fd, const struct ch_guard_place *place)
{
	int err = attach(listen_fd, SO_ATTACH_BPF, guard->bpf->progs.guard_syn);
	uint64_t value = (uint32_t)listen_fd;
	uint32_t slot;

	if (err != 0 || place == NULL || !guard->steers)
		return err;
	if (place->listener >= GUARD_LISTENERS || place->worker >= GUARD_WORKERS)
		return -EINVAL;
	slot = guard_door_slot(place->listener, place->door, place->worker);
	/* A socket that has a place takes none, not even its own: it leaves that first. */
	(void)bpf_map_delete_elem(bpf_map__fd(guard->bpf->maps.doors), &slot);
	err = put(guard->bpf->maps.doors, &slot, &value);
	/* One program for all sockets at the address: to say so again changes nothing. */
	return err == 0 ? attach(listen_fd, SO_ATTACH_REUSEPORT_EBPF, guard->bpf->progs.guard_steer)
			: err;
}

void ch_guard_detach(int fd)
{
	int unused = 0;

	/* Fails only where nothing is attached. */
	(void)setsockopt(fd, SOL_SOCKET, SO_DETACH_FILTER, &unused, sizeof(unused));
}

int ch_guard_set(struct ch_guard *guard, const struct guard_settings *settings)
{
	const uint32_t zero = 0;

	return put(guard->bpf->maps.settings, &zero, settings);
}

int ch_guard_ban(struct ch_guard *guard, const struct guard_source *source, uint64_t until_ns)
{
	struct guard_ban ban = {0};

	(void)bpf_map_lookup_elem(bpf_map__fd(guard->bpf->maps.bans), source, &ban);
	ban.until_ns = until_ns;
	return put(guard->bpf->maps.bans, source, &ban);
}

int ch_guard_unban(struct ch_guard *guard, const struct guard_source *source)
{
	return bpf_map_delete_elem(bpf_map__fd(guard->bpf->maps.bans), source);
}

uint64_t ch_guard_ban_hits(const struct ch_guard *guard, const struct guard_source *source)
{
	struct guard_ban ban = {0};

	if (bpf_map_lookup_elem(bpf_map__fd(guard->bpf->maps.bans), source, &ban) != 0)
		return 0;
	return ban.hits;
}

int ch_guard_know(struct ch_guard *guard, const struct guard_source *source)
{
	const uint32_t unused = 0;

	return put(guard->bpf->maps.known, source, &unused);
}

void ch_guard_forget(struct ch_guard *guard, const struct guard_source *source)
{
	/* Fails only where it is not there. */
	(void)bpf_map_delete_elem(bpf_map__fd(guard->bpf->maps.known), source);
}

int ch_guard_limit(struct ch_guard *guard, const struct guard_source *source, uint64_t tat_ns)
{
	struct guard_bucket bucket = {0};

	/* Keeps what the program counts and when it spoke last. */
	(void)bpf_map_lookup_elem(bpf_map__fd(guard->bpf->maps.buckets), source, &bucket);
	bucket.tat_ns = tat_ns;
	return put(guard->bpf->maps.buckets, source, &bucket);
}

int ch_guard_limit_rule(struct ch_guard *guard, uint32_t rule, uint64_t tat_ns)
{
	struct guard_rule_state state = {0};
	int fd = bpf_map__fd(guard->bpf->maps.rule_states);

	if (rule >= GUARD_RULES)
		return -EINVAL;
	(void)bpf_map_lookup_elem(fd, &rule, &state); /* keeps the count of its events */
	state.tat_ns = tat_ns;
	return put(guard->bpf->maps.rule_states, &rule, &state);
}

static const struct bpf_map *trie_of(const struct ch_guard *guard, uint32_t side)
{
	return side == 0 ? guard->bpf->maps.prefixes_0 : guard->bpf->maps.prefixes_1;
}

/* Empties a side that is not in use. */
static void clear(struct ch_guard *guard, uint32_t side)
{
	struct side *s = &guard->sides[side];
	int fd = bpf_map__fd(trie_of(guard, side));

	for (size_t i = 0; i < s->count; i++)
		(void)bpf_map_delete_elem(fd, &s->prefixes[i]);
	free(s->prefixes);
	*s = (struct side){0};
}

static int fill(struct ch_guard *guard, uint32_t side, const struct guard_rule rules[GUARD_RULES],
		const struct ch_guard_prefix *prefixes, size_t count)
{
	struct side *s = &guard->sides[side];
	int err = 0;

	s->prefixes = calloc(count + 1, sizeof(*s->prefixes));
	if (s->prefixes == NULL)
		return -ENOMEM;
	for (uint32_t i = 0; i < GUARD_RULES && err == 0; i++) {
		uint32_t slot = side * GUARD_RULES + i;

		err = put(guard->bpf->maps.rules, &slot, &rules[i]);
	}
	for (size_t i = 0; i < count && err == 0; i++) {
		err = prefixes[i].rule < GUARD_RULES ? 0 : -EINVAL;
		if (err == 0)
			err = put(trie_of(guard, side), &prefixes[i].prefix, &prefixes[i].rule);
		if (err == 0)
			s->prefixes[s->count++] = prefixes[i].prefix;
	}
	return err;
}

/*
 * Waits until no SYN is judged any more that read @active before it was written: the program runs
 * under RCU, and this barrier waits for a grace period.
 */
static void wait_for_readers(void)
{
	/* Refused where a CPU runs without a tick: then for longer than any packet takes. */
	if (syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0) != 0)
		usleep(READERS_MOST_US);
}

int ch_guard_rules(struct ch_guard *guard, const struct guard_rule rules[GUARD_RULES],
		   const struct ch_guard_prefix *prefixes, size_t count)
{
	const uint32_t zero = 0;
	uint32_t next = 1 - guard->active;
	int err;

	wait_for_readers(); /* of the side that is written now */
	clear(guard, next);
	err = fill(guard, next, rules, prefixes, count);
	if (err == 0)
		err = put(guard->bpf->maps.active, &zero, &next);
	if (err == 0)
		guard->active = next;
	else
		clear(guard, next);
	return err;
}

/* Sums a per-CPU counter. */
static int sum(const struct ch_guard *guard, const struct bpf_map *map, uint32_t slot,
	       uint64_t *values, uint64_t *total)
{
	int err = bpf_map_lookup_elem(bpf_map__fd(map), &slot, values);

	*total = 0;
	for (int cpu = 0; cpu < guard->cpus && err == 0; cpu++)
		*total += values[cpu];
	return err;
}

static int sum_stage(const struct ch_guard *guard, enum guard_stage stage, uint64_t *values,
		     uint64_t verdicts[GUARD_LISTENERS][GUARD_VERDICTS],
		     uint64_t rules[GUARD_LISTENERS][GUARD_RULES])
{
	int err = 0;

	for (uint32_t l = 0; l < GUARD_LISTENERS && err == 0; l++) {
		for (uint32_t v = 0; v < GUARD_VERDICTS && err == 0; v++)
			err = sum(guard, guard->bpf->maps.verdicts, guard_verdict_slot(stage, l, v),
				  values, &verdicts[l][v]);
		for (uint32_t r = 0; r < GUARD_RULES && err == 0; r++)
			err = sum(guard, guard->bpf->maps.rule_hits, guard_rule_slot(stage, l, r),
				  values, &rules[l][r]);
	}
	return err;
}

int ch_guard_counters(const struct ch_guard *guard, struct ch_guard_counters *counters)
{
	uint64_t *values = calloc((size_t)guard->cpus, sizeof(*values));
	int err = values != NULL ? 0 : -ENOMEM;

	memset(counters, 0, sizeof(*counters));
	if (err == 0)
		err = sum_stage(guard, GUARD_STAGE_SOCKET, values, counters->verdicts,
				counters->rules);
	if (err == 0 && guard->early)
		err = sum_stage(guard, GUARD_STAGE_EARLY, values, counters->early_verdicts,
				counters->early_rules);
	free(values);
	return err;
}

int ch_guard_event_fd(const struct ch_guard *guard)
{
	return ring_buffer__epoll_fd(guard->ring);
}

int ch_guard_events(struct ch_guard *guard, ch_guard_event_fn fn, void *ctx)
{
	guard->event_fn = fn;
	guard->event_ctx = ctx;
	return ring_buffer__consume(guard->ring);
}
