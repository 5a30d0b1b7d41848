/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The guard of a collector: who is banned, what it counted, and how close its limits are. All
 * calls: any thread, after the start. docs/guard.md says what the guard does.
 */
#include <callhome/error.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ch_collector;

#define CH_COLLECTOR_SOURCE 64 /**< bytes of a source as text: "192.0.2.1", "2001:db8::/64" */

struct ch_collector_ban {
	char source[CH_COLLECTOR_SOURCE];
	uint64_t since_unix_ns;
	uint64_t until_unix_ns; /**< 0 = until it is lifted */
	uint32_t level;		/**< how many times its length doubled */
	const char *cause;	/**< "failures", "operator" */
	uint64_t hits;		/**< connection attempts that the kernel dropped */
};

/**
 * Copies at most @most bans in force, in the order of addresses, from the first behind @after (the
 * source of a ban; NULL = all) on. A page of a long list costs as much as sorting it.
 * @return 0 and @count; CH_E_SYNTAX or CH_E_RANGE: @after is no source; -ENOMEM
 */
CH_NODISCARD int ch_collector_bans(const struct ch_collector *collector, const char *after,
				   size_t most, struct ch_collector_ban *bans, size_t *count);

/**
 * Refuses a source from now on; sessions of it that are up stay. @seconds 0 = until it is lifted.
 * @by: who wants it, for log and event.
 * @return 0; CH_E_SYNTAX: no address; CH_E_RANGE: more or less than one source (guard.v4-prefix,
 * v6-prefix); CH_E_STATE: a rule says that it is never banned; CH_E_UNSUPPORTED: the guard is off;
 * CH_E_FULL: there are as many bans as there may be, and all of them end later; -ENOMEM
 */
CH_NODISCARD int ch_collector_ban(struct ch_collector *collector, const char *source,
				  uint64_t seconds, const char *by);
/** Lifts a ban. @return 0, CH_E_SYNTAX, CH_E_RANGE, CH_E_UNKNOWN: it is not banned */
CH_NODISCARD int ch_collector_unban(struct ch_collector *collector, const char *source,
				    const char *by);

/** A kind of verdict. Counted since the reset, and since the start. */
struct ch_collector_verdict {
	const char *name;
	uint64_t kernel, kernel_total; /**< connection attempts that came to a listener */
	uint64_t accept, accept_total; /**< accepted connections */
	uint64_t early, early_total;   /**< connection attempts that the early stage refused */
};

#define CH_COLLECTOR_VERDICTS 16
#define CH_COLLECTOR_INTERFACES 8

/** An interface of the early stage. */
struct ch_collector_interface {
	char name[16];
	const char *mode; /**< "native" (in the driver), "generic" (behind it); NULL = it is not
			     there */
	char why[256];	  /**< why not, or what it does not see; "" */
};

struct ch_collector_guard {
	const char *mode;  /**< as configured: "auto", "require", "userspace", "off" */
	const char *where; /**< "kernel" (and at accept), "accept", "off" */
	char why[256];	   /**< why not in the kernel, although the mode wants it; "" */
	uint32_t doors; /**< of each listener: 2, if known sources have one of their own; else 1 */
	char doors_why[256]; /**< why one, although the guard works in the kernel; "" */
	const char *early; /**< as configured: "off", "xdp", "xdp-generic" */
	struct ch_collector_interface interfaces[CH_COLLECTOR_INTERFACES];
	uint32_t interface_count;
	bool dry_run;
	uint32_t v4_prefix, v6_prefix; /**< what counts as one source */
	uint64_t sessions, max_sessions;
	uint64_t handshakes, max_handshakes;
	uint64_t sources, max_sources; /**< remembered */
	uint64_t bans, max_bans;       /**< in force */
	uint64_t pending;	       /**< connections of all sources that log in */
	uint64_t bans_failed; /**< of which the kernel was not told: they hold at accept only */
	bool syncookies;      /**< net.ipv4.tcp_syncookies is not 0 now */
	uint64_t backlog;     /**< that listeners asked for */
	uint32_t somaxconn;   /**< net.core.somaxconn at the start, which clamps it; 0 = unknown */
	uint64_t reset_unix_ns; /**< 0 = never */
	struct ch_collector_verdict verdicts[CH_COLLECTOR_VERDICTS];
	uint32_t verdict_count;
};
void ch_collector_guard(const struct ch_collector *collector, struct ch_collector_guard *view);

#define CH_COLLECTOR_RULES 256
#define CH_COLLECTOR_LISTENERS 16

/** A rule in force. Hits are counted since its reset, and since the start. */
struct ch_collector_rule {
	const char *name; /**< lives as long as the collector */
	const char *action;
	uint64_t prefixes;
	uint64_t kernel, kernel_total;
	uint64_t accept, accept_total;
	uint64_t reset_unix_ns; /**< 0 = never */
	/** In the kernel, by listener, in the order of the configuration. */
	uint64_t listener_kernel[CH_COLLECTOR_LISTENERS];
	uint64_t listener_kernel_total[CH_COLLECTOR_LISTENERS];
	uint64_t early, early_total; /**< refused by the early stage */
	uint64_t listener_early[CH_COLLECTOR_LISTENERS];
	uint64_t listener_early_total[CH_COLLECTOR_LISTENERS];
	uint64_t listener_accept[CH_COLLECTOR_LISTENERS];
	uint64_t listener_accept_total[CH_COLLECTOR_LISTENERS];
};
/** Copies at most @most rules. @return how many there are, at most CH_COLLECTOR_RULES - 1 */
size_t ch_collector_rules(const struct ch_collector *collector, struct ch_collector_rule *rules,
			  size_t most);
/** The address of a listener as text. @return false: there are fewer */
bool ch_collector_listener(const struct ch_collector *collector, size_t index,
			   char address[CH_COLLECTOR_SOURCE]);

/**
 * Counters "since the reset" begin anew: of a rule, or of all rules and verdicts (@rule NULL).
 * @return 0; CH_E_UNKNOWN: no rule is called so; -ENOMEM
 */
CH_NODISCARD int ch_collector_guard_reset(struct ch_collector *collector, const char *rule);
