/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What is known about each source address: its bucket, its connections that have not proven anything
 * yet, its failures, its ban. A source is an address cut to a prefix (IPv4 /32, IPv6 /64 unless
 * configured otherwise).
 *
 * Charged only at accept, where the TCP handshake has proven the address. Failures count only when
 * they are the peer's fault. A source whose sessions are good is known: it has limits of its own,
 * and its turns come first. Nobody is banned for failures of a known source, nor while a session from
 * there is open: the good devices behind the same NAT would pay for the bad one. What a bad one can
 * take there is the source's own share of handshakes.
 *
 * Time is an argument. Threads: any; each call holds one of many locks for a few hundred nanoseconds,
 * beside a handshake of most of a millisecond.
 */
#include <callhome/error.h>
#include "prefixes.h"
#include "user/core/address.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ch_sources_options {
	struct guard_limit unknown; /**< connections of a source without good sessions */
	struct guard_limit known;   /**< of one with */
	uint32_t pending;	    /**< connections of a source that log in at a time; 0 = any */
	uint32_t pending_known;
	uint32_t failures;     /**< that ban; 0 = never */
	uint64_t window_ns;    /**< in which they must happen */
	uint64_t ban_ns;       /**< of the first ban; each further one takes twice as long */
	uint64_t ban_most_ns;
	uint64_t known_ns;     /**< how long a source stays known after its last good session */
	bool dry_run;	       /**< the verdict is told, but everybody counts as welcome */
	uint32_t v4_bits;
	uint32_t v6_bits;
	uint32_t most;	       /**< sources remembered; the one seen longest ago is forgotten */
	uint32_t bans_most;    /**< a further ban ends the one that would end first */
};

struct ch_sources;

/** They are kept in so many parts of the same size. */
#define CH_SOURCES_PARTS 32

/** How many are remembered at most. */
static inline uint32_t ch_sources_room(uint32_t most)
{
	return (most + CH_SOURCES_PARTS - 1) / CH_SOURCES_PARTS * CH_SOURCES_PARTS;
}

CH_NODISCARD int ch_sources_new(const struct ch_sources_options *options,
				struct ch_sources **sources);
void ch_sources_free(struct ch_sources *sources);
/** Other limits from now on; what is known stays, and so does what makes a source. */
void ch_sources_configure(struct ch_sources *sources, const struct ch_sources_options *options);

/** The source an address belongs to. */
void ch_source_of(const struct ch_sources *sources, const struct ch_address *address,
		  struct guard_source *source);
/** "192.0.2.1", "2001:db8::/64": always with what was cut off. */
#define CH_SOURCE_TEXT CH_PREFIX_TEXT
void ch_source_format(const struct ch_sources *sources, const struct guard_source *source,
		      char text[CH_SOURCE_TEXT]);

/**
 * Somebody keeps account of those sources whose next connection would be of CH_RANK_KNOWN. Called
 * under a lock of that source, so that it hears changes in their order. @return it is noted; else
 * it is told again
 */
typedef bool ch_sources_first_fn(void *ctx, const struct guard_source *source, bool first);
/** Before the first source is there. */
void ch_sources_follow(struct ch_sources *sources, ch_sources_first_fn *fn, void *ctx);
/**
 * Looks at the next one of the parts of all sources, by one thread and some times a second: some
 * are known or are it no more just because time passed.
 */
void ch_sources_review(struct ch_sources *sources, uint64_t now_ns);

enum ch_arrival {
	CH_ARRIVAL_WELCOME,
	CH_ARRIVAL_BANNED,
	CH_ARRIVAL_RATE,    /**< over the limit of the source */
	CH_ARRIVAL_PENDING, /**< too many of its connections log in already */
};

/** Whose turns come first. */
enum ch_rank {
	CH_RANK_KNOWN,	       /**< had good sessions, and calls seldom */
	CH_RANK_KNOWN_BUSY,    /**< had good sessions, and calls more than once a second */
	CH_RANK_STRANGER,      /**< calls seldom */
	CH_RANK_STRANGER_BUSY, /**< calls more than once a second */
	CH_RANKS
};

static inline bool ch_rank_is_known(enum ch_rank rank)
{
	return rank <= CH_RANK_KNOWN_BUSY;
}

static inline bool ch_rank_is_busy(enum ch_rank rank)
{
	return rank == CH_RANK_KNOWN_BUSY || rank == CH_RANK_STRANGER_BUSY;
}

struct ch_arrival_info {
	enum ch_arrival verdict;
	enum ch_rank rank;
	uint32_t pending;  /**< others of the source that log in */
	uint64_t again_ns; /**< when the next one may come, if the bucket is empty now; else 0 */
};

/** Would a connection be of CH_RANK_KNOWN? Changes nothing. */
bool ch_sources_is_first(struct ch_sources *sources, const struct guard_source *source,
			 uint64_t now_ns);
/** A connection was accepted. After WELCOME (or in a dry run) one ch_sources_leave follows. */
void ch_sources_arrive(struct ch_sources *sources, const struct guard_source *source,
		       uint64_t now_ns, struct ch_arrival_info *info);
/** It logs in no longer: it is up, or it ended. */
void ch_sources_leave(struct ch_sources *sources, const struct guard_source *source);
/** It came up: a session is open, and the next ban of the source is half as long. */
void ch_sources_succeed(struct ch_sources *sources, const struct guard_source *source,
			uint64_t now_ns);
enum ch_session_end {
	CH_SESSION_GOOD,  /**< by the device or the network, as sessions end */
	CH_SESSION_ENDED, /**< by us: nothing is said of the device */
	CH_SESSION_FAULT, /**< the device broke the protocol, or a limit */
};
/**
 * A session ended. The source is known from a good end on, and even before when its sessions last;
 * a fault takes that away, unless other sessions from there are open.
 */
void ch_sources_end(struct ch_sources *sources, const struct guard_source *source,
		    enum ch_session_end end, uint64_t now_ns);

struct ch_known {
	struct guard_source source;
	uint64_t until_ns; /**< of one with an open session: as if that ended well now */
};

/** So many sources are looked at under a lock: nobody waits for a whole table. */
#define CH_KNOWN_STEP 256

/** A walk over the known sources, in no order, from zero. What changes meanwhile is in or not. */
struct ch_known_walk {
	uint32_t stripe, number;
	bool unripe; /**< there are open sessions that have yet to make their source known */
};
/** The next step, with @count of them, perhaps none. @return false: the walk is over */
bool ch_sources_known(struct ch_sources *sources, uint64_t now_ns, struct ch_known_walk *walk,
		      struct ch_known known[CH_KNOWN_STEP], size_t *count);
/**
 * As kept in a file: it is known until then, but no longer than one whose good session ends now. A
 * prefix longer than a source stands for its source, of a shorter one nothing is taken.
 * @return 0 or -ENOMEM
 */
CH_NODISCARD int ch_sources_know(struct ch_sources *sources, const struct guard_prefix *prefix,
				 uint64_t until_ns, uint64_t now_ns);

enum ch_ban_cause { CH_BAN_FAILURES, CH_BAN_OPERATOR };

struct ch_ban {
	struct guard_source source;
	uint64_t since_ns;
	uint64_t until_ns; /**< UINT64_MAX = until it is lifted */
	uint32_t level;	   /**< how many times it doubled */
	enum ch_ban_cause cause;
};

/** What a new ban means for the kernel's table. */
struct ch_ban_change {
	struct ch_ban ban;
	bool displaces; /**< the table was full */
	struct guard_source displaced;
};

/** It ended by its own fault. @return the source is banned for it, as @change says */
bool ch_sources_fail(struct ch_sources *sources, const struct guard_source *source, uint64_t now_ns,
		     struct ch_ban_change *change);

/** Bans by hand, or as kept in a file. @return 0, -ENOMEM, or CH_E_FULL: only longer bans are there */
CH_NODISCARD int ch_sources_ban(struct ch_sources *sources, const struct ch_ban *ban,
				struct ch_ban_change *change);
/** @return 0 or CH_E_UNKNOWN. */
int ch_sources_unban(struct ch_sources *sources, const struct guard_source *source);
/** Copies bans that are in force, soonest end first, at most @most. @return how many there are */
size_t ch_sources_bans(struct ch_sources *sources, uint64_t now_ns, struct ch_ban *bans,
		       size_t most);

struct ch_sources_load {
	uint64_t sources;
	uint64_t bans; /**< in force */
	uint64_t pending;
};
void ch_sources_load(struct ch_sources *sources, uint64_t now_ns, struct ch_sources_load *load);
