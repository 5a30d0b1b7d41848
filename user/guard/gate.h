/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The gate in front of the logins: rules, limits and bans by source address, in the kernel where it
 * takes eBPF, and at accept in any case. User space decides and the kernel is told, so that both
 * say the same and the gate works without eBPF, only dearer for us.
 *
 * Threads: any.
 */
#include <callhome/reason.h>
#include "bans.h"
#include "kernel/early.h"
#include "user/core/log.h"

enum ch_gate_mode {
	CH_GATE_AUTO,	   /**< in the kernel where possible */
	CH_GATE_REQUIRE,   /**< in the kernel, or the start fails */
	CH_GATE_USERSPACE, /**< at accept only */
	CH_GATE_OFF,	   /**< nobody is judged */
};

/** A stage in front of the sockets, on interfaces. */
enum ch_gate_early {
	CH_GATE_EARLY_OFF,
	CH_GATE_EARLY_XDP,	   /**< in the driver where it can, else behind it */
	CH_GATE_EARLY_XDP_GENERIC, /**< behind the driver */
};

enum ch_gate_action {
	CH_GATE_ACTION_LIMIT,	  /**< the rule's rate, if any; bans and source limits too */
	CH_GATE_ACTION_PERMIT,	  /**< neither bans nor limits */
	CH_GATE_ACTION_NEVER_BAN, /**< limits, but no bans */
	CH_GATE_ACTION_PROXY,	  /**< a load balancer: who is behind it is judged, by its header */
	CH_GATE_ACTION_DROP,
	CH_GATE_ACTION_REJECT,
};

/** The built-in rule of this name drops special-use sources; the operator's rules go before it. */
#define CH_GATE_BOGONS "bogons"
enum ch_gate_bogons { CH_GATE_BOGONS_OFF, CH_GATE_BOGONS_DROP };

struct ch_gate_rule {
	const char *name;
	enum ch_gate_action action;
	struct guard_limit limit; /**< of all sources of the rule together; interval 0 = none */
	uint32_t log_one_in;	  /**< a log line for one in so many hits; 0 = none */
	const char *prefix;	  /**< text, or NULL */
	const char *file;	  /**< of prefixes, or NULL */
};

/** Borrowed while ch_gate_new or ch_gate_reload runs. */
struct ch_gate_options {
	enum ch_gate_mode mode;
	enum ch_gate_early early;
	const char
		*interfaces; /**< of the early stage, as ch_early_is_valid; NULL = there is none */
	bool dry_run; /**< count and log, but let everybody in */
	struct ch_sources_options sources;
	enum ch_gate_bogons bogons;
	const struct ch_gate_rule *rules; /**< at most GUARD_RULES - 1, with the built-in one */
	size_t rule_count;
	const char *bans_file; /**< NULL = bans end with the process */
	/** Where known sources are kept; NULL = beside @bans_file, if there is one. */
	const char *known_file;
	const struct ch_address *listeners;
	size_t listener_count;
};

struct ch_gate;

/**
 * Loads rules and bans, and the program into the kernel as @options say.
 * @return 0; CH_E_CONFIG or a negated errno with sentences in @error
 */
CH_NODISCARD int ch_gate_new(const struct ch_gate_options *options, const struct ch_log *log,
			     struct ch_gate **gate, struct ch_buf *error);
/** NULL is fine. */
void ch_gate_free(struct ch_gate *gate);

/** Other rules and limits; the mode stays. An error leaves the present ones. @return as ch_gate_new */
CH_NODISCARD int ch_gate_reload(struct ch_gate *gate, const struct ch_gate_options *options,
				struct ch_buf *error);

/**
 * Are there two doors to each listener (of those with a number below GUARD_LISTENERS), so that
 * known devices do not stand in line behind strangers? Then each thread opens two sockets for it.
 */
bool ch_gate_has_doors(const struct ch_gate *gate);

/** What a listening socket is. */
struct ch_gate_place {
	uint32_t listener;    /**< its number in the configuration */
	uint32_t worker;      /**< of the thread that accepts from it, from 0 on */
	uint32_t workers;     /**< threads in all, the same at each call; at most GUARD_WORKERS */
	enum guard_door door; /**< without doors: the ordinary one */
};
/**
 * In front of a listening socket. By the thread that starts the collector.
 * @return 0 or a negated errno: it is judged at accept only, or the kernel chooses among the doors
 */
int ch_gate_listen(struct ch_gate *gate, int listen_fd, const struct ch_gate_place *place);

/** What became of an arrival. */
struct ch_pass {
	enum ch_reason refused; /**< NONE = welcome; then ch_gate_leave follows, once */
	enum ch_rank rank;	/**< known: it may use the reserved share of the handshakes */
	uint32_t pending; /**< others of the source that log in: it takes no place if fewer are free */
	/** It is a load balancer's: ch_gate_arrive_behind follows, with the source that it names.
	 */
	bool proxied;
};

/** A connection was accepted on @fd. */
struct ch_pass ch_gate_arrive(struct ch_gate *gate, int fd, const struct ch_address *peer,
			      uint64_t now_ns);
/** Its balancer said that @source stands behind it. */
struct ch_pass ch_gate_arrive_behind(struct ch_gate *gate, int fd, const struct ch_address *source,
				     uint64_t now_ns);
/** Does a connection of @peer go before those of others? Cheap, and changes nothing. */
bool ch_gate_is_first(struct ch_gate *gate, const struct ch_address *peer, uint64_t now_ns);
/** It logs in no longer: up, or ended. */
void ch_gate_leave(struct ch_gate *gate, const struct ch_address *peer);
/** Its device is up. */
void ch_gate_succeed(struct ch_gate *gate, const struct ch_address *peer, uint64_t now_ns);
/** The session of a device that was up ended. */
void ch_gate_end(struct ch_gate *gate, const struct ch_address *peer, enum ch_session_end end,
		 uint64_t now_ns);
/** It ended by its own fault before it was up. @return its source is banned for it, as @ban says */
bool ch_gate_fail(struct ch_gate *gate, const struct ch_address *peer, uint64_t now_ns,
		  struct ch_ban *ban);

/**
 * By hand. @seconds 0 = until it is lifted.
 * @return 0; CH_E_SYNTAX; CH_E_RANGE: it is no single source (longer or shorter than what counts as
 * one); CH_E_STATE: a rule says that it is never banned; CH_E_UNSUPPORTED: nobody is judged (OFF);
 * CH_E_FULL; -ENOMEM
 */
CH_NODISCARD int ch_gate_ban(struct ch_gate *gate, const char *source, uint64_t seconds,
			     uint64_t now_ns);
/** @return 0, CH_E_SYNTAX, CH_E_UNKNOWN */
CH_NODISCARD int ch_gate_unban(struct ch_gate *gate, const char *source);
/** What counts as one source, as it is shown. @return 0, CH_E_SYNTAX, CH_E_RANGE (as ch_gate_ban)
 */
CH_NODISCARD int ch_gate_canonical(const struct ch_gate *gate, const char *source,
				   char text[CH_SOURCE_TEXT]);

/** The source as text. */
void ch_gate_format(const struct ch_gate *gate, const struct guard_source *source,
		    char text[CH_SOURCE_TEXT]);

struct ch_ban_view {
	char source[CH_SOURCE_TEXT];
	uint64_t since_ns, until_ns; /**< monotonic; UINT64_MAX = until it is lifted */
	uint32_t level;
	const char *cause; /**< "failures", "operator" */
	uint64_t hits;	   /**< SYNs that the kernel dropped */
};
/**
 * In the order of addresses, from the first behind @after (a source; NULL = all) on.
 * @return 0 and how many were copied in @count; as ch_gate_canonical of @after; -ENOMEM
 */
CH_NODISCARD int ch_gate_bans(struct ch_gate *gate, uint64_t now_ns, const char *after, size_t most,
			      struct ch_ban_view *views, size_t *count);

/** Housekeeping, some times a second: log lines of the kernel's events, the files. */
void ch_gate_tick(struct ch_gate *gate, const struct ch_clocks *clocks);
/** Writes bans and known sources now, if there is something new. */
void ch_gate_flush(struct ch_gate *gate, const struct ch_clocks *clocks);

/** Verdicts at accept; in the order of enum guard_verdict, and one more. */
enum { CH_GATE_PENDING = GUARD_VERDICTS, CH_GATE_VERDICTS };

struct ch_gate_view {
	enum ch_gate_mode mode; /**< as configured */
	bool kernel;		/**< it works in the kernel */
	char why[CH_GUARD_WHY]; /**< why not */
	bool doors;		/**< ch_gate_has_doors */
	char doors_why[CH_GUARD_WHY]; /**< why the kernel has none although the guard works there */
	enum ch_gate_early early; /**< as configured */
	struct ch_early_state interfaces[CH_EARLY_INTERFACES];
	size_t interface_count;
	bool dry_run;
	uint32_t v4_bits, v6_bits;
	uint64_t early_verdicts[GUARD_VERDICTS]; /**< since the start */
	uint64_t kernel_verdicts[GUARD_VERDICTS];
	uint64_t accept_verdicts[CH_GATE_VERDICTS];
	uint64_t early_since[GUARD_VERDICTS]; /**< since the reset */
	uint64_t kernel_since[GUARD_VERDICTS];
	uint64_t accept_since[CH_GATE_VERDICTS];
	uint64_t reset_unix_ns; /**< 0 = never */
	struct ch_sources_load load;
	uint64_t sources_most, bans_most;
	uint64_t bans_failed; /**< that found the table full of longer ones */
};
void ch_gate_read(struct ch_gate *gate, uint64_t now_ns, struct ch_gate_view *view);
/** "pass", "permit", "banned", ... of enum guard_verdict or CH_GATE_PENDING. */
const char *ch_gate_verdict_name(unsigned verdict);

struct ch_gate_rule_view {
	const char *name; /**< lives as long as the gate */
	enum ch_gate_action action;
	uint64_t prefixes;
	uint64_t early[GUARD_LISTENERS]; /**< SYNs that the early stage refused, since the start */
	uint64_t hits[GUARD_LISTENERS];	 /**< SYNs that came to the sockets */
	uint64_t accepted;		 /**< hits at accept, also of listeners without a number */
	uint64_t accepted_by[GUARD_LISTENERS];
	uint64_t early_since[GUARD_LISTENERS]; /**< since the reset */
	uint64_t hits_since[GUARD_LISTENERS];
	uint64_t accepted_since;
	uint64_t accepted_by_since[GUARD_LISTENERS];
	uint64_t reset_unix_ns; /**< 0 = never */
};
/** The rules in force, at most @most. @return how many there are */
size_t ch_gate_rules(struct ch_gate *gate, struct ch_gate_rule_view *views, size_t most);
const char *ch_gate_action_name(enum ch_gate_action action);

/**
 * What counts "since the reset" begins anew: of @rule, or of all rules and verdicts (NULL). The
 * counters themselves go on. @return 0; CH_E_UNKNOWN: no rule in force is called so
 */
CH_NODISCARD int ch_gate_reset(struct ch_gate *gate, const char *rule, uint64_t unix_ns);
