/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only */
#pragma once
/*
 * What the stages of the guard share: the tables, and the decision about one SYN. It never inserts
 * into a map and charges nothing: a SYN's source may be forged, so that charging it would lock the
 * real owner of the address out. User space charges at accept, where the address is proven, and
 * writes here who is over a limit.
 */
#include <linux/bpf.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "guard.h"

#ifdef __bpf__
#define UNROLLED _Pragma("unroll")
#else
#define UNROLLED /* make lint reads this with the host's compiler */
#endif

#define TCP_SYN 0x02
#define TCP_RST 0x04
#define TCP_ACK 0x10

struct {
	__uint(type, BPF_MAP_TYPE_HASH); /* never LRU: others must not push a ban out */
	__uint(max_entries, 16384);
	__type(key, struct guard_source);
	__type(value, struct guard_ban);
} bans SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 16384);
	__type(key, struct guard_source);
	__type(value, struct guard_bucket);
} buckets SEC(".maps");

/* Two of each, and an index that says which is in use: new maps need capabilities that are gone. */
struct prefixes {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(max_entries, 1048576);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct guard_prefix);
	__type(value, __u32);
} prefixes_0 SEC(".maps"), prefixes_1 SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 2 * GUARD_RULES);
	__type(key, __u32);
	__type(value, struct guard_rule);
} rules SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} active SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, GUARD_RULES);
	__type(key, __u32);
	__type(value, struct guard_rule_state);
} rule_states SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct guard_settings);
} settings SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, GUARD_STAGES *GUARD_LISTENERS *GUARD_VERDICTS);
	__type(key, __u32);
	__type(value, __u64);
} verdicts SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, GUARD_STAGES *GUARD_LISTENERS *GUARD_RULES);
	__type(key, __u32);
	__type(value, __u64);
} rule_hits SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 65536);
} events SEC(".maps");

/* The addresses of this host: what comes to others is not for the early stage. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, GUARD_LOCALS);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct guard_source);
	__type(value, __u32);
} locals SEC(".maps");

/*
 * Who comes through the door of the known. Written only by user space, which takes out whom it puts
 * in: it is never full of others, and memory is used for those who are in it.
 */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16384);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct guard_source);
	__type(value, __u32);
} known SEC(".maps");

/* The listening sockets, by guard_door_slot. The kernel takes out those that are closed. */
struct {
	__uint(type, BPF_MAP_TYPE_REUSEPORT_SOCKARRAY);
	__uint(max_entries, GUARD_LISTENERS *GUARD_DOORS *GUARD_WORKERS);
	__type(key, __u32);
	__type(value, __u64);
} doors SEC(".maps");

/* One SYN. Numbers have a word each: see struct index. */
struct syn {
	struct guard_source from;
	struct guard_source key; /* cut to what counts as one source */
	struct guard_source to;
	__u64 source_port;
	__u64 port;
	__u64 v4;
	__u64 ifindex;
	__u64 stage; /* enum guard_stage */
};

/* In words of eight bytes: see struct index. */
static __always_inline void map_v4(struct guard_source *source, __u32 address)
{
	__u64 *words = (__u64 *)source;

	words[0] = 0;
	words[1] = bpf_cpu_to_be64(0xffff00000000ull | bpf_ntohl(address));
}

/* The first @bits bits of a word, 0 to 64. */
static __always_inline __u64 first(__u32 bits)
{
	return bits == 0 ? 0 : bpf_cpu_to_be64(~0ull << ((64 - bits) & 63));
}

/* Keeps the first @bits bits. */
static __always_inline void cut(struct guard_source *key, __u32 bits)
{
	__u64 *words = (__u64 *)key;

	words[0] &= first(bits < 64 ? bits : 64);
	words[1] &= first(bits < 64 ? 0 : bits < 128 ? bits - 64 : 64);
}

static __always_inline void cut_key(const struct guard_settings *set, struct syn *syn)
{
	syn->key = syn->from;
	cut(&syn->key, syn->v4 ? 96 + set->v4_bits : set->v6_bits);
}

static __always_inline int same(const struct guard_source *a, const struct guard_source *b)
{
	const __u64 *x = (const __u64 *)a;
	const __u64 *y = (const __u64 *)b;

	return x[0] == y[0] && x[1] == y[1];
}

#define EITHER 2 /* bound to any address or not: it is not known */

/*
 * @any: is it bound to any address (1, 0, or EITHER)?
 * @return its number; GUARD_LISTENERS: it is none of those that have one
 */
static __always_inline __u64 listener_of(const struct guard_settings *set, const struct syn *syn,
					 __u64 any)
{
	volatile __u64 found = GUARD_LISTENERS; /* in memory as eight bytes: see struct index */

	UNROLLED
	for (__u64 i = 0; i < GUARD_LISTENERS; i++) {
		const struct guard_listener *l = &set->listeners[i];

		if (l->port == syn->port && l->v4 == syn->v4 && (any == EITHER || l->any == any) &&
		    (l->any || same(&l->address, &syn->to))) {
			found = i;
			break;
		}
	}
	return found;
}

/*
 * An index into an array, on the stack. Without CAP_PERFMON the verifiers of older kernels follow a
 * number that is stored at a multiple of eight, and then refuse another one in the same eight
 * bytes. For the same reason all numbers here have 64 bits: the compiler may put any of them on the
 * stack.
 */
struct index {
	__u32 unused;
	__u32 value;
} __attribute__((aligned(8)));

static __always_inline void *at(void *map, __u64 value)
{
	struct index index;

	index.value = (__u32)value;
	return bpf_map_lookup_elem(map, &index.value);
}

static __always_inline void add(void *map, __u64 slot)
{
	__u64 *counter = at(map, slot);

	if (counter)
		*counter += 1; /* per CPU */
}

static __always_inline void tell(const struct guard_settings *set, const struct syn *syn,
				 __u64 rule, __u64 verdict, __u64 listener)
{
	struct guard_event *event = bpf_ringbuf_reserve(&events, sizeof(*event), 0);

	if (!event) {
		add(&verdicts, guard_verdict_slot(syn->stage, listener, GUARD_EVENT_LOST));
		return;
	}
	event->time_ns = bpf_ktime_get_ns();
	event->source = syn->from;
	event->destination = syn->to;
	event->source_port = (__u16)syn->source_port;
	event->port = (__u16)syn->port;
	event->rule = (__u16)rule;
	event->verdict = (__u8)verdict;
	event->dry_run = (__u8)set->dry_run;
	event->ifindex = (__u32)syn->ifindex;
	event->stage = (__u32)syn->stage;
	bpf_ringbuf_submit(event, 0);
}

/* At most one event per source and second; two CPUs may both think that they are first. */
static __always_inline __u64 may_tell(__u64 *last, __u64 now)
{
	if (now - *last < GUARD_EVENT_PAUSE_NS)
		return 0;
	*last = now;
	return 1;
}

static __always_inline __u64 find_rule(const struct syn *syn, __u64 side)
{
	struct {
		__u32 unused; /* as in struct index */
		struct guard_prefix prefix;
	} __attribute__((aligned(8))) key;
	__u64 *source = (__u64 *)&key.prefix.source;
	const __u64 *from = (const __u64 *)&syn->from;
	__u32 *rule;

	key.prefix.bits = 128;
	source[0] = from[0];
	source[1] = from[1];
	rule = side ? bpf_map_lookup_elem(&prefixes_1, &key.prefix)
		    : bpf_map_lookup_elem(&prefixes_0, &key.prefix);
	return rule && *rule < GUARD_RULES ? *rule : 0;
}

/* What the rule says by itself. */
static __always_inline __u64 judge_rule(const struct guard_rule *rule, __u64 id, __u64 now)
{
	const struct guard_rule_state *state;

	if (rule->action == GUARD_ACTION_DROP)
		return GUARD_DENIED;
	if (rule->action == GUARD_ACTION_REJECT)
		return GUARD_REJECTED;
	if (rule->limit.interval_ns == 0)
		return GUARD_PASS;
	state = at(&rule_states, id);
	if (state && !guard_limit_allows(&rule->limit, state->tat_ns, now))
		return GUARD_RULE_LIMIT;
	return GUARD_PASS;
}

static __always_inline __u64 rule_tells(const struct guard_rule *rule, __u64 id)
{
	struct guard_rule_state *state;

	if (rule->log_one_in == 0)
		return 0;
	state = at(&rule_states, id);
	return state && __sync_fetch_and_add(&state->hits, 1) % rule->log_one_in == 0;
}

/* @return NULL: cannot be, the array is whole */
static __always_inline const struct guard_rule *rule_of(const struct syn *syn, __u64 *id)
{
	__u32 zero = 0;
	const __u32 *side = bpf_map_lookup_elem(&active, &zero);

	*id = find_rule(syn, side ? *side & 1 : 0);
	return at(&rules, (side && *side & 1 ? GUARD_RULES : 0) + *id);
}

/* permit -> pass; banned -> drop; deny -> drop; an empty bucket -> drop; else pass */
static __always_inline __u64 decide(const struct guard_settings *set, struct syn *syn,
				    __u64 *rule_id, __u64 *loud)
{
	const struct guard_rule *rule = rule_of(syn, rule_id);
	__u64 now = bpf_ktime_get_ns();
	struct guard_bucket *bucket;
	struct guard_ban *ban;
	__u64 verdict;

	if (!rule)
		return GUARD_PASS; /* open, for we guard, we do not lock */
	if (rule->action == GUARD_ACTION_PERMIT || rule->action == GUARD_ACTION_PROXY) {
		/* The early stage leaves who passes to the socket, which counts and tells. */
		*loud = syn->stage == GUARD_STAGE_SOCKET && rule_tells(rule, *rule_id);
		return GUARD_PERMIT;
	}
	ban = bpf_map_lookup_elem(&bans, &syn->key);
	if (ban && ban->until_ns > now) {
		__sync_fetch_and_add(&ban->hits, 1);
		*loud = set->log && may_tell(&ban->event_ns, now);
		return GUARD_BANNED;
	}
	verdict = judge_rule(rule, *rule_id, now);
	if (verdict != GUARD_PASS) {
		*loud = rule_tells(rule, *rule_id);
		return verdict;
	}
	bucket = bpf_map_lookup_elem(&buckets, &syn->key);
	if (bucket && !guard_limit_allows(&set->source, bucket->tat_ns, now)) {
		__sync_fetch_and_add(&bucket->hits, 1);
		*loud = set->log && may_tell(&bucket->event_ns, now);
		return GUARD_SOURCE_LIMIT;
	}
	return GUARD_PASS;
}

static __always_inline void account(const struct guard_settings *set, const struct syn *syn,
				    __u64 rule, __u64 verdict, __u64 listener, __u64 loud)
{
	add(&verdicts, guard_verdict_slot(syn->stage, listener, verdict));
	if (rule != 0)
		add(&rule_hits, guard_rule_slot(syn->stage, listener, rule));
	if (loud)
		tell(set, syn, rule, verdict, listener);
}
