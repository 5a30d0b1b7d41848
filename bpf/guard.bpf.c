/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only */
/*
 * The guard: a socket filter on each listener that judges SYNs by their source before a socket
 * exists. It never inserts into a map and charges nothing: a SYN's source may be forged, so that
 * charging it would lock the real owner of the address out. User space charges at accept, where
 * the address is proven, and writes here who is over a limit.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "guard.h"

#define TCP_SYN 0x02
#define TCP_ACK 0x10

char LICENSE[] SEC("license") = "Dual BSD/GPL";

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
	__uint(max_entries, GUARD_LISTENERS * GUARD_VERDICTS);
	__type(key, __u32);
	__type(value, __u64);
} verdicts SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, GUARD_LISTENERS * GUARD_RULES);
	__type(key, __u32);
	__type(value, __u64);
} rule_hits SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 65536);
} events SEC(".maps");

/* One SYN. */
struct syn {
	struct guard_source from;
	struct guard_source key; /* cut to what counts as one source */
	struct guard_source to;
	__u16 source_port;
	__u16 port;
	__u32 v4;
	__u32 ifindex;
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

/* @return 1: a SYN that was read, 0: something else, negative: unreadable */
static __always_inline int read_syn(struct __sk_buff *skb, struct syn *syn)
{
	__u8 tcp[14];

	if (bpf_skb_load_bytes(skb, 0, tcp, sizeof(tcp)) != 0)
		return -1;
	if ((tcp[13] & (TCP_SYN | TCP_ACK)) != TCP_SYN)
		return 0;
	syn->source_port = (__u16)(tcp[0] << 8 | tcp[1]);
	syn->port = (__u16)(tcp[2] << 8 | tcp[3]);
	syn->ifindex = skb->ifindex;
	if (skb->protocol == bpf_htons(ETH_P_IP)) {
		__u32 addresses[2];

		if (bpf_skb_load_bytes_relative(skb, 12, addresses, sizeof(addresses),
						BPF_HDR_START_NET) != 0)
			return -1;
		map_v4(&syn->from, addresses[0]);
		map_v4(&syn->to, addresses[1]);
		syn->v4 = 1;
		return 1;
	}
	if (bpf_skb_load_bytes_relative(skb, 8, &syn->from, 16, BPF_HDR_START_NET) != 0 ||
	    bpf_skb_load_bytes_relative(skb, 24, &syn->to, 16, BPF_HDR_START_NET) != 0)
		return -1;
	syn->v4 = 0;
	return 1;
}

static __always_inline int same(const struct guard_source *a, const struct guard_source *b)
{
	const __u64 *x = (const __u64 *)a;
	const __u64 *y = (const __u64 *)b;

	return x[0] == y[0] && x[1] == y[1];
}

static __always_inline __u64 listener_of(const struct guard_settings *set, const struct syn *syn)
{
	volatile __u64 found = 0; /* in memory as eight bytes: see struct index */

#pragma unroll
	for (__u64 i = 0; i < GUARD_LISTENERS; i++) {
		const struct guard_listener *l = &set->listeners[i];

		if (l->port == syn->port && l->v4 == syn->v4 &&
		    (l->any || same(&l->address, &syn->to))) {
			found = i;
			break;
		}
	}
	return found;
}

/*
 * An index into an array, on the stack. Without CAP_PERFMON the verifiers of older kernels follow a
 * number that is stored at a multiple of eight, and then refuse another one in the same eight bytes.
 */
struct index {
	__u32 unused;
	__u32 value;
} __attribute__((aligned(8)));

static __always_inline void *at(void *map, __u32 value)
{
	struct index index;

	index.value = value;
	return bpf_map_lookup_elem(map, &index.value);
}

static __always_inline void add(void *map, __u32 slot)
{
	__u64 *counter = at(map, slot);

	if (counter)
		*counter += 1; /* per CPU */
}

static __always_inline void tell(const struct guard_settings *set, const struct syn *syn,
				 __u32 rule, __u32 verdict, __u32 listener)
{
	struct guard_event *event = bpf_ringbuf_reserve(&events, sizeof(*event), 0);

	if (!event) {
		add(&verdicts, guard_verdict_slot(listener, GUARD_EVENT_LOST));
		return;
	}
	event->time_ns = bpf_ktime_get_ns();
	event->source = syn->from;
	event->destination = syn->to;
	event->source_port = syn->source_port;
	event->port = syn->port;
	event->rule = (__u16)rule;
	event->verdict = (__u8)verdict;
	event->dry_run = (__u8)set->dry_run;
	event->ifindex = syn->ifindex;
	event->unused = 0;
	bpf_ringbuf_submit(event, 0);
}

/* At most one event per source and second; two CPUs may both think that they are first. */
static __always_inline int may_tell(__u64 *last, __u64 now)
{
	if (now - *last < GUARD_EVENT_PAUSE_NS)
		return 0;
	*last = now;
	return 1;
}

static __always_inline __u32 find_rule(const struct syn *syn, __u32 side)
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
static __always_inline __u64 judge_rule(const struct guard_rule *rule, __u32 id, __u64 now)
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

static __always_inline int rule_tells(const struct guard_rule *rule, __u32 id)
{
	struct guard_rule_state *state;

	if (rule->log_one_in == 0)
		return 0;
	state = at(&rule_states, id);
	return state && __sync_fetch_and_add(&state->hits, 1) % rule->log_one_in == 0;
}

/* permit -> pass; banned -> drop; deny -> drop; an empty bucket -> drop; else pass */
static __always_inline __u64 decide(const struct guard_settings *set, struct syn *syn,
				    __u32 *rule_id, int *loud)
{
	__u32 zero = 0;
	const __u32 *side = bpf_map_lookup_elem(&active, &zero);
	__u64 now = bpf_ktime_get_ns();
	const struct guard_rule *rule;
	struct guard_bucket *bucket;
	struct guard_ban *ban;
	__u64 verdict;
	__u32 slot;

	*rule_id = find_rule(syn, side ? *side & 1 : 0);
	slot = (side && *side & 1 ? GUARD_RULES : 0) + *rule_id;
	rule = at(&rules, slot);
	if (!rule)
		return GUARD_PASS; /* cannot be: the array is whole; open, for we guard, we do not lock */
	if (rule->action == GUARD_ACTION_PERMIT) {
		*loud = rule_tells(rule, *rule_id);
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

SEC("socket")
int guard_syn(struct __sk_buff *skb)
{
	const __u32 zero = 0;
	const struct guard_settings *set = bpf_map_lookup_elem(&settings, &zero);
	struct syn syn = {};
	__u64 listener; /* 64 bits: also as spilled (see struct index) */
	__u64 verdict;
	__u32 rule = 0;
	int loud = 0;
	int got;

	if (!set)
		return -1;
	got = read_syn(skb, &syn);
	if (got == 0)
		return -1; /* only connections to be are judged */
	if (got < 0) {
		/* Open: what TCP cannot read it drops by itself. */
		add(&verdicts, guard_verdict_slot(0, GUARD_UNREADABLE));
		return -1;
	}
	syn.key = syn.from;
	cut(&syn.key, syn.v4 ? 96 + set->v4_bits : set->v6_bits);
	listener = listener_of(set, &syn);
	verdict = decide(set, &syn, &rule, &loud);
	add(&verdicts, guard_verdict_slot(listener, verdict));
	if (rule != 0)
		add(&rule_hits, guard_rule_slot(listener, rule));
	if (loud)
		tell(set, &syn, rule, verdict, listener);
	/* A rejected one goes on to accept, where it is reset. */
	if (set->dry_run || verdict == GUARD_PASS || verdict == GUARD_PERMIT ||
	    verdict == GUARD_REJECTED)
		return -1;
	return 0;
}
