/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only */
#pragma once
/*
 * A SYN in a frame as the interface received it, and the RST that answers it. By helpers instead of
 * pointers into the frame: they take a frame in pieces too, and no kernel's verifier has to follow
 * an offset that the frame itself said.
 */
#include "judge.h"

#include <linux/if_ether.h>

#define FRAME_TAGS 2	   /* VLAN tags */
#define FRAME_EXTENSIONS 4 /* IPv6 extension headers before TCP */
#define FRAME_LEAST 60	   /* bytes of a frame that any interface sends as it is */

#define PROTOCOL_HOP_BY_HOP 0
#define PROTOCOL_TCP 6
#define PROTOCOL_DESTINATION 60

#define V4_BYTES 20
#define V6_BYTES 40
#define TCP_BYTES 20
#define TAG_BYTES 4
#define EXTENSION_BYTES 2 /* of it, that say what it is */
/* TCP: header of 5 words, RST and ACK, no window. */
#define RST_FLAGS 0x50140000ull

struct frame {
	__u64 ip;	/* where it begins */
	__u64 sequence; /* of the SYN */
	/*
	 * What is read from it and written to it, by turns, for a stack has 512 bytes. Reading
	 * comes first: what was written may not be overwritten in part (see struct index).
	 */
	union {
		__u8 bytes[64];
		__u32 words[16];
		__u64 longs[8];
	} part;
};

static __always_inline int frame_load(struct xdp_md *ctx, struct frame *frame, __u64 at, __u32 len)
{
	return bpf_xdp_load_bytes(ctx, at, &frame->part, len) == 0;
}

/* Without tags. @return the type of what follows, host order; 0 = unreadable, or not for one host
 */
static __always_inline __u64 frame_type(struct xdp_md *ctx, struct frame *frame)
{
	const __u8 *bytes = frame->part.bytes;
	__u64 type;

	if (!frame_load(ctx, frame, 0, ETH_HLEN) || (bytes[0] & 1))
		return 0;
	type = (__u64)bytes[12] << 8 | bytes[13];
	frame->ip = ETH_HLEN;
	UNROLLED
	for (int i = 0; i < FRAME_TAGS; i++) {
		if (type != ETH_P_8021Q && type != ETH_P_8021AD)
			break;
		if (!frame_load(ctx, frame, frame->ip, TAG_BYTES))
			return 0;
		type = (__u64)bytes[2] << 8 | bytes[3];
		frame->ip += TAG_BYTES;
	}
	return type;
}

/* @return where TCP begins; 0: no TCP that could be read */
static __always_inline __u64 frame_v4(struct xdp_md *ctx, struct frame *frame, struct syn *syn)
{
	const __u32 *words = frame->part.words;
	__u64 first;

	if (!frame_load(ctx, frame, frame->ip, V4_BYTES))
		return 0;
	first = bpf_ntohl(words[0]);
	/* Fragments are put together behind this stage, and judged at the socket. */
	if (first >> 28 != 4 || (bpf_ntohl(words[1]) & 0x3fff) != 0 ||
	    (bpf_ntohl(words[2]) >> 16 & 0xff) != PROTOCOL_TCP)
		return 0;
	map_v4(&syn->from, words[3]);
	map_v4(&syn->to, words[4]);
	syn->v4 = 1;
	first = (first >> 24 & 15) * 4;
	return first < V4_BYTES ? 0 : frame->ip + first;
}

static __always_inline void put_address(struct guard_source *address, const __u64 *longs)
{
	__u64 *to = (__u64 *)address;

	to[0] = longs[0];
	to[1] = longs[1];
}

/* The same of IPv6: options may stand before TCP, anything else passes. */
static __always_inline __u64 frame_v6(struct xdp_md *ctx, struct frame *frame, struct syn *syn)
{
	const __u8 *bytes = frame->part.bytes;
	__u64 at = frame->ip + V6_BYTES;
	__u64 next;

	if (!frame_load(ctx, frame, frame->ip, V6_BYTES) || bytes[0] >> 4 != 6)
		return 0;
	put_address(&syn->from, &frame->part.longs[1]);
	put_address(&syn->to, &frame->part.longs[3]);
	syn->v4 = 0;
	next = bytes[6];
	UNROLLED
	for (int i = 0; i < FRAME_EXTENSIONS; i++) {
		if (next != PROTOCOL_HOP_BY_HOP && next != PROTOCOL_DESTINATION)
			break;
		if (!frame_load(ctx, frame, at, EXTENSION_BYTES))
			return 0;
		next = bytes[0];
		at += 8 * ((__u64)bytes[1] + 1);
	}
	return next == PROTOCOL_TCP ? at : 0;
}

/* @return 1: a SYN that was read */
static __always_inline int frame_read(struct xdp_md *ctx, struct frame *frame, struct syn *syn)
{
	__u64 type = frame_type(ctx, frame);
	const __u32 *tcp = frame->part.words;
	__u64 at = 0;

	if (type == ETH_P_IP)
		at = frame_v4(ctx, frame, syn);
	else if (type == ETH_P_IPV6)
		at = frame_v6(ctx, frame, syn);
	if (at == 0 || !frame_load(ctx, frame, at, TCP_BYTES) ||
	    (bpf_ntohl(tcp[3]) >> 16 & (TCP_SYN | TCP_ACK | TCP_RST)) != TCP_SYN)
		return 0;
	syn->source_port = (__u16)(bpf_ntohl(tcp[0]) >> 16);
	syn->port = (__u16)bpf_ntohl(tcp[0]);
	syn->ifindex = ctx->ingress_ifindex;
	syn->stage = GUARD_STAGE_EARLY;
	frame->sequence = bpf_ntohl(tcp[1]);
	return 1;
}

/* The four 16-bit parts of a word, for the checksum of the Internet protocols. */
static __always_inline __u64 parts(__u64 word)
{
	return (word >> 48) + (word >> 32 & 0xffff) + (word >> 16 & 0xffff) + (word & 0xffff);
}

static __always_inline __u64 checksum(__u64 sum)
{
	sum = (sum >> 16) + (sum & 0xffff);
	sum = (sum >> 16) + (sum & 0xffff);
	sum = (sum >> 16) + (sum & 0xffff);
	return ~sum & 0xffff;
}

static __always_inline __u64 word_of(const struct guard_source *address, int half)
{
	return bpf_be64_to_cpu(((const __u64 *)address)[half]);
}

/* Back to where it came from, behind the same tags. */
static __always_inline int turn_round(struct xdp_md *ctx, struct frame *frame)
{
	return frame_load(ctx, frame, 0, 2 * ETH_ALEN) &&
	       bpf_xdp_store_bytes(ctx, 0, frame->part.bytes + ETH_ALEN, ETH_ALEN) == 0 &&
	       bpf_xdp_store_bytes(ctx, ETH_ALEN, frame->part.bytes, ETH_ALEN) == 0;
}

/* Headers in words of eight bytes, which any verifier follows (see struct index). */
static __always_inline int put_v4(struct xdp_md *ctx, struct frame *frame, const struct syn *syn,
				  __u64 ports, __u64 acknowledged)
{
	__u64 from = word_of(&syn->to, 1) & 0xffffffff;
	__u64 to = word_of(&syn->from, 1) & 0xffffffff;
	__u64 head = 0x4500000000004000ull | (__u64)(V4_BYTES + TCP_BYTES) << 32; /* DF */
	__u64 ttl = 64ull << 56 | (__u64)PROTOCOL_TCP << 48 | from;
	__u64 *words = frame->part.longs;

	words[0] = bpf_cpu_to_be64(head);
	words[1] = bpf_cpu_to_be64(ttl | checksum(parts(head) + parts(ttl) + parts(to)) << 32);
	words[2] = bpf_cpu_to_be64(to << 32 | ports);
	words[3] = bpf_cpu_to_be64(acknowledged); /* sequence number 0 */
	words[4] =
		bpf_cpu_to_be64(RST_FLAGS << 32 | checksum(parts(from) + parts(to) + parts(ports) +
							   parts(acknowledged) + parts(RST_FLAGS) +
							   PROTOCOL_TCP + TCP_BYTES)
							  << 16);
	return bpf_xdp_store_bytes(ctx, frame->ip, words, V4_BYTES + TCP_BYTES) == 0;
}

static __always_inline int put_v6(struct xdp_md *ctx, struct frame *frame, const struct syn *syn,
				  __u64 ports, __u64 acknowledged)
{
	__u64 from[2] = {word_of(&syn->to, 0), word_of(&syn->to, 1)};
	__u64 to[2] = {word_of(&syn->from, 0), word_of(&syn->from, 1)};
	__u64 sum = parts(from[0]) + parts(from[1]) + parts(to[0]) + parts(to[1]) + parts(ports) +
		    parts(acknowledged) + parts(RST_FLAGS) + PROTOCOL_TCP + TCP_BYTES;
	__u64 *words = frame->part.longs;

	words[0] = bpf_cpu_to_be64(6ull << 60 | (__u64)TCP_BYTES << 16 | PROTOCOL_TCP << 8 | 64);
	words[1] = bpf_cpu_to_be64(from[0]);
	words[2] = bpf_cpu_to_be64(from[1]);
	words[3] = bpf_cpu_to_be64(to[0]);
	words[4] = bpf_cpu_to_be64(to[1]);
	words[5] = bpf_cpu_to_be64(ports << 32); /* sequence number 0 */
	words[6] = bpf_cpu_to_be64(acknowledged << 32 | RST_FLAGS);
	words[7] = bpf_cpu_to_be64(checksum(sum) << 48);
	return bpf_xdp_store_bytes(ctx, frame->ip, words, V6_BYTES + TCP_BYTES) == 0;
}

/* Makes the frame its own answer, which is never longer. @return 1: it can be sent */
static __always_inline int frame_answer(struct xdp_md *ctx, struct frame *frame,
					const struct syn *syn)
{
	__u64 ports = (__u64)syn->port << 16 | syn->source_port;
	__u64 acknowledged = (frame->sequence + 1) & 0xffffffff;
	__u64 len = frame->ip + TCP_BYTES + (syn->v4 ? V4_BYTES : V6_BYTES);
	__u64 is = bpf_xdp_get_buff_len(ctx);
	int put;

	if (!turn_round(ctx, frame))
		return 0;
	put = syn->v4 ? put_v4(ctx, frame, syn, ports, acknowledged)
		      : put_v6(ctx, frame, syn, ports, acknowledged);
	if (len < FRAME_LEAST)
		len = FRAME_LEAST;
	return put && (is <= len || bpf_xdp_adjust_tail(ctx, -(int)(is - len)) == 0);
}
