/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What guard.bpf.c and user space share: keys and values of the maps, fixed in size. Sources are 16
 * bytes: IPv6 cut to the configured prefix, IPv4 as v4-mapped.
 */
#include <linux/types.h>

#include "limit.h"

#define GUARD_LISTENERS 16
#define GUARD_WORKERS 128 /**< threads, each with doors of its own at each listener */
#define GUARD_RULES 256 /**< rule 0: no prefix matched */
#define GUARD_LOCALS 4096		   /**< addresses of this host that the early stage knows */
#define GUARD_EVENT_PAUSE_NS 1000000000ull /**< one event per source and second at most */

struct guard_source {
	__u8 bytes[16];
};

/** Key of the prefix tries; @bits counts from the start of @source: 96 + n for IPv4. */
struct guard_prefix {
	__u32 bits;
	struct guard_source source;
};

struct guard_ban {
	__u64 until_ns;
	__u64 hits; /**< SYNs dropped */
	__u64 event_ns; /**< of the last event */
};

/** A source that is over its limit; user space writes it when a bucket runs empty. */
struct guard_bucket {
	__u64 tat_ns;
	__u64 hits;
	__u64 event_ns;
};

enum guard_action {
	GUARD_ACTION_NONE,   /**< bans and limits decide */
	GUARD_ACTION_PERMIT, /**< passes whatever bans and limits say */
	GUARD_ACTION_DROP,   /**< silently */
	GUARD_ACTION_REJECT, /**< with a RST */
	GUARD_ACTION_PROXY,  /**< passes as by PERMIT, but anybody may stand behind it */
};

struct guard_rule {
	struct guard_limit limit; /**< of all sources of the rule together */
	__u32 action;		  /**< enum guard_action */
	__u32 log_one_in;	  /**< an event for one in so many hits; 0 = none */
};

/** What of a rule outlives its reload. */
struct guard_rule_state {
	__u64 tat_ns; /**< written by user space when the bucket of the rule runs empty */
	__u64 hits;   /**< for the sampling of its events */
};

enum guard_verdict {
	GUARD_PASS,
	GUARD_PERMIT,	   /**< by rule */
	GUARD_BANNED,
	GUARD_DENIED,	   /**< by rule: dropped */
	GUARD_REJECTED,	   /**< by rule: reset */
	GUARD_RULE_LIMIT,  /**< the rule's sources are over their limit */
	GUARD_SOURCE_LIMIT,
	GUARD_UNREADABLE,  /**< headers that could not be read: passed */
	GUARD_EVENT_LOST,  /**< no room in the ring buffer */
	GUARD_VERDICTS
};

/** Where a SYN was judged. The early stage counts only what it refuses: the rest comes to the
 * socket. */
enum guard_stage { GUARD_STAGE_SOCKET, GUARD_STAGE_EARLY, GUARD_STAGES };

/** Through which of the sockets of a listener and thread a connection comes. */
enum guard_door {
	GUARD_DOOR_ORDINARY,
	GUARD_DOOR_KNOWN, /**< known sources that call seldom, and whom a rule permits */
	GUARD_DOORS
};

struct guard_listener {
	struct guard_source address; /**< zeros (v6) or ::ffff:0.0.0.0 (v4): any */
	__u16 port;		     /**< host order; 0 ends the list */
	__u16 any;		     /**< any address of its family */
	__u32 v4;
};

struct guard_settings {
	struct guard_limit source; /**< of one source */
	__u32 v4_bits;		   /**< 1..32 */
	__u32 v6_bits;		   /**< 1..128 */
	__u32 dry_run;		   /**< count and tell, but pass */
	__u32 log;		   /**< events for bans and source limits */
	__u64 workers;		   /**< at most GUARD_WORKERS; 0 = there are no doors */
	struct guard_listener listeners[GUARD_LISTENERS];
};

struct guard_event {
	__u64 time_ns;
	struct guard_source source; /**< not cut */
	struct guard_source destination;
	__u16 source_port; /**< host order */
	__u16 port;
	__u16 rule;
	__u8 verdict;
	__u8 dry_run;
	__u32 ifindex;
	__u32 stage; /**< enum guard_stage */
};

/** Index into the per-CPU counters of verdicts. */
static inline __u32 guard_verdict_slot(__u32 stage, __u32 listener, __u32 verdict)
{
	return (stage * GUARD_LISTENERS + listener) * GUARD_VERDICTS + verdict;
}

/** Index into the sockets among which guard_steer selects. */
static inline __u32 guard_door_slot(__u32 listener, __u32 door, __u32 worker)
{
	return (listener * GUARD_DOORS + door) * GUARD_WORKERS + worker;
}

/** Index into the per-CPU counters of rules. */
static inline __u32 guard_rule_slot(__u32 stage, __u32 listener, __u32 rule)
{
	return (stage * GUARD_LISTENERS + listener) * GUARD_RULES + rule;
}

_Static_assert(sizeof(struct guard_limit) == 16, "layout");
_Static_assert(sizeof(struct guard_prefix) == 20, "layout");
_Static_assert(sizeof(struct guard_ban) == 24, "layout");
_Static_assert(sizeof(struct guard_bucket) == 24, "layout");
_Static_assert(sizeof(struct guard_rule) == 24, "layout");
_Static_assert(sizeof(struct guard_rule_state) == 16, "layout");
_Static_assert(sizeof(struct guard_listener) == 24, "layout");
_Static_assert(sizeof(struct guard_settings) == 40 + GUARD_LISTENERS * 24, "layout");
_Static_assert(sizeof(struct guard_event) == 56, "layout");
