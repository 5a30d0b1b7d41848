/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only */
/*
 * The programs of the guard. guard_syn is a socket filter on each listener: it judges a SYN before
 * a socket exists for it. guard_steer sends it to one of the sockets of the listener, so that known
 * devices have an accept queue of their own. guard_early, where the operator names an interface,
 * judges it as XDP before the kernel has made anything of the frame. Both read the same tables
 * (judge.h); what the early stage passes comes to the socket and is judged there again, so it
 * counts only what it refuses.
 */
#include <linux/if_ether.h>

#include "frame.h"
#include "judge.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

/* @ctx: of either program on sockets. @return 1: they were read */
static __always_inline int read_addresses(void *ctx, __u32 protocol, struct syn *syn)
{
	__u32 addresses[2];

	syn->v4 = protocol == bpf_htons(ETH_P_IP);
	if (!syn->v4)
		return bpf_skb_load_bytes_relative(ctx, 8, &syn->from, 16, BPF_HDR_START_NET) ==
			       0 &&
		       bpf_skb_load_bytes_relative(ctx, 24, &syn->to, 16, BPF_HDR_START_NET) == 0;
	if (bpf_skb_load_bytes_relative(ctx, 12, addresses, sizeof(addresses), BPF_HDR_START_NET) !=
	    0)
		return 0;
	map_v4(&syn->from, addresses[0]);
	map_v4(&syn->to, addresses[1]);
	return 1;
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
	return read_addresses(skb, skb->protocol, syn) ? 1 : -1;
}

SEC("socket")
int guard_syn(struct __sk_buff *skb)
{
	const __u32 zero = 0;
	const struct guard_settings *set = bpf_map_lookup_elem(&settings, &zero);
	struct syn syn = {};
	__u64 listener;
	__u64 verdict;
	__u64 rule = 0;
	__u64 loud = 0;
	int got;

	if (!set)
		return -1;
	got = read_syn(skb, &syn);
	if (got == 0)
		return -1; /* only connections to be are judged */
	if (got < 0) {
		/* Open: what TCP cannot read it drops by itself. */
		add(&verdicts, guard_verdict_slot(GUARD_STAGE_SOCKET, 0, GUARD_UNREADABLE));
		return -1;
	}
	cut_key(set, &syn);
	listener = listener_of(set, &syn, EITHER);
	if (listener >= GUARD_LISTENERS)
		listener = 0; /* it is one behind the last that has a number */
	verdict = decide(set, &syn, &rule, &loud);
	account(set, &syn, rule, verdict, listener, loud);
	/* A rejected one goes on to accept, where it is reset. */
	if (set->dry_run || verdict == GUARD_PASS || verdict == GUARD_PERMIT ||
	    verdict == GUARD_REJECTED)
		return -1;
	return 0;
}

/* By a rule, or because its calls ended well: as user space told. */
static __always_inline __u64 door_of(const struct syn *syn)
{
	const struct guard_rule *rule;
	__u64 id;

	if (bpf_map_lookup_elem(&known, &syn->key))
		return GUARD_DOOR_KNOWN;
	rule = rule_of(syn, &id);
	return rule && rule->action == GUARD_ACTION_PERMIT ? GUARD_DOOR_KNOWN : GUARD_DOOR_ORDINARY;
}

/*
 * In front of guard_syn: chooses the socket, for the SYN and, if it was answered by a cookie, again
 * for the ACK. It refuses nobody. Where it cannot choose (the socket is not there yet or any more)
 * the kernel does, among all doors: one call through the wrong one harms nobody.
 */
SEC("sk_reuseport")
int guard_steer(struct sk_reuseport_md *ctx)
{
	const __u32 zero = 0;
	const struct guard_settings *set = bpf_map_lookup_elem(&settings, &zero);
	struct syn syn = {};
	struct index index;
	__u64 listener;
	__u16 ports[2];

	if (!set || set->workers == 0 || bpf_skb_load_bytes(ctx, 0, ports, sizeof(ports)) != 0 ||
	    !read_addresses(ctx, ctx->eth_protocol, &syn))
		return SK_PASS;
	syn.port = bpf_ntohs(ports[1]);
	listener = listener_of(set, &syn, ctx->bind_inany != 0);
	if (listener >= GUARD_LISTENERS)
		return SK_PASS;
	cut_key(set, &syn);
	index.value = guard_door_slot(listener, door_of(&syn), ctx->hash % set->workers);
	(void)bpf_sk_select_reuseport(ctx, &doors, &index.value, 0);
	return SK_PASS;
}

/* Whatever is not surely a SYN for one of our listeners passes: this sees all frames of the host.
 */
SEC("xdp.frags")
int guard_early(struct xdp_md *ctx)
{
	const __u32 zero = 0;
	const struct guard_settings *set = bpf_map_lookup_elem(&settings, &zero);
	struct frame frame;
	struct syn syn = {};
	__u64 listener;
	__u64 verdict;
	__u64 rule = 0;
	__u64 loud = 0;

	if (!set || set->dry_run || !frame_read(ctx, &frame, &syn))
		return XDP_PASS;
	listener = listener_of(set, &syn, EITHER);
	if (listener >= GUARD_LISTENERS || !bpf_map_lookup_elem(&locals, &syn.to))
		return XDP_PASS;
	cut_key(set, &syn);
	verdict = decide(set, &syn, &rule, &loud);
	if (verdict == GUARD_PASS || verdict == GUARD_PERMIT)
		return XDP_PASS;
	account(set, &syn, rule, verdict, listener, loud);
	if (verdict != GUARD_REJECTED)
		return XDP_DROP;
	return frame_answer(ctx, &frame, &syn) ? XDP_TX : XDP_DROP;
}
