/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The eBPF guard (bpf/guard.bpf.c): loaded once with CAP_BPF, attached to each listener; everything
 * behind that works without any capability. It judges SYNs; who is banned or over a limit it is told.
 *
 * Threads: any, at the same time, but for ch_guard_rules and ch_guard_events, which belong to one
 * thread each.
 */
#include <callhome/error.h>
#include "bpf/guard.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CH_GUARD_WHY 256 /**< bytes for the sentence below */

struct ch_guard;

struct ch_guard_options {
	uint32_t bans;	  /**< entries */
	uint32_t sources; /**< sources that are over their limit, and those that are known */
	bool early; /**< with the program of the early stage (kernel/early.h): CAP_NET_ADMIN too */
};

/**
 * Loads programs and maps; where only the early stage's or the one that steers cannot be loaded,
 * without it.
 * @return 0; -EPERM (a capability is missing), another negated errno (no eBPF here), with @why:
 * what is missing and what to do
 */
CH_NODISCARD int ch_guard_open(const struct ch_guard_options *options, struct ch_guard **guard,
			       char why[CH_GUARD_WHY]);
void ch_guard_close(struct ch_guard *guard);

/** What kernel/early.h takes; owned by the guard. @return -1: it was not loaded */
int ch_guard_early_program(const struct ch_guard *guard);
int ch_guard_locals(const struct ch_guard *guard);
/** Why the early stage was not loaded although it was asked for; "". */
const char *ch_guard_early_why(const struct ch_guard *guard);

/** Does it choose the socket of a listener, so that known sources have a door of their own? */
bool ch_guard_steers(const struct ch_guard *guard);
/** Why not; "". */
const char *ch_guard_steers_why(const struct ch_guard *guard);

/** Which of the sockets of a listener one is. */
struct ch_guard_place {
	uint32_t listener; /**< as in the settings */
	uint32_t worker;   /**< below their workers */
	enum guard_door door;
};

/**
 * Puts the guard in front of a listening socket. Accepted sockets inherit it: see detach. With a
 * @place, and if it steers, connections are sent there from now on; the socket leaves its place
 * when it is closed. @return 0; a negated errno: it is not guarded, or, with a @place, is but is
 * not chosen
 */
CH_NODISCARD int ch_guard_attach(struct ch_guard *guard, int listen_fd,
				 const struct ch_guard_place *place);
/** Takes it off an accepted socket, where it would see every segment. */
void ch_guard_detach(int fd);

/** Limits, prefix lengths, listeners; readers see the old or the new one or a mixture, once. */
CH_NODISCARD int ch_guard_set(struct ch_guard *guard, const struct guard_settings *settings);

/** @return 0; -E2BIG: all entries are in use; a negated errno */
CH_NODISCARD int ch_guard_ban(struct ch_guard *guard, const struct guard_source *source,
			      uint64_t until_ns);
/** @return 0 or -ENOENT. */
int ch_guard_unban(struct ch_guard *guard, const struct guard_source *source);
/** SYNs dropped since the ban; 0 without one. */
uint64_t ch_guard_ban_hits(const struct ch_guard *guard, const struct guard_source *source);

/** The source goes through the door of the known. @return 0; -E2BIG: all entries are in use */
CH_NODISCARD int ch_guard_know(struct ch_guard *guard, const struct guard_source *source);
/** Through the ordinary one again. */
void ch_guard_forget(struct ch_guard *guard, const struct guard_source *source);

/** The bucket of a source that ran empty. May fail: the limit at accept holds in any case. */
int ch_guard_limit(struct ch_guard *guard, const struct guard_source *source,
				uint64_t tat_ns);
/** The same of all sources of a rule. */
int ch_guard_limit_rule(struct ch_guard *guard, uint32_t rule, uint64_t tat_ns);

struct ch_guard_prefix {
	struct guard_prefix prefix;
	uint32_t rule; /**< 1..GUARD_RULES - 1 */
};

/**
 * Replaces all rules and prefixes at once: every SYN is judged by the old set or by the new one.
 * Rule 0 says what holds where no prefix matches. Milliseconds per thousand prefixes,
 * and a grace period of RCU (some 15 ms).
 * @return 0; a negated errno: the old set stays in force
 */
CH_NODISCARD int ch_guard_rules(struct ch_guard *guard, const struct guard_rule rules[GUARD_RULES],
				const struct ch_guard_prefix *prefixes, size_t count);

/** Counters since the start, over all CPUs; they never go down. */
struct ch_guard_counters {
	uint64_t verdicts[GUARD_LISTENERS][GUARD_VERDICTS];
	uint64_t rules[GUARD_LISTENERS][GUARD_RULES];
	/** What the early stage refused; it did not come to the above. */
	uint64_t early_verdicts[GUARD_LISTENERS][GUARD_VERDICTS];
	uint64_t early_rules[GUARD_LISTENERS][GUARD_RULES];
};
CH_NODISCARD int ch_guard_counters(const struct ch_guard *guard,
				   struct ch_guard_counters *counters);

/** Readable when events wait. */
int ch_guard_event_fd(const struct ch_guard *guard);
typedef void (*ch_guard_event_fn)(void *ctx, const struct guard_event *event);
/** Delivers what waits. @return how many, or a negated errno. */
int ch_guard_events(struct ch_guard *guard, ch_guard_event_fn fn, void *ctx);
