/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The inside of the gate: gate.c judges, gate_early.c is its stage on interfaces, gate_files.c
 * keeps what outlives a restart, gate_operator.c shows it and does what operators say. */
#include "gate.h"

#include <pthread.h>
#include <stdatomic.h>

/* One generation of rules; index 0 is "no prefix matches". */
struct ch_gate_rules {
	struct ch_gate_rule rules[GUARD_RULES]; /**< texts are the gate's names, or NULL */
	uint64_t prefix_counts[GUARD_RULES];
	struct ch_prefixes *prefixes;
};

/* What of a rule outlives its reload: its number is its name's for as long as the gate lives. */
struct ch_gate_rule_state {
	char *name; /**< NULL = free */
	_Atomic uint64_t tat_ns;
	_Atomic uint64_t
		accepted[GUARD_LISTENERS + 1]; /**< the last: of no listener with a number */
	_Atomic uint64_t logged; /**< hits, for the sampling of log lines */
};

/** The counters at the last reset: what is shown is counted from here on, and nothing is lost. */
struct ch_gate_baseline {
	struct ch_guard_counters kernel;
	uint64_t accept[CH_GATE_VERDICTS];
	uint64_t accepted[GUARD_RULES][GUARD_LISTENERS + 1];
	uint64_t unix_ns; /**< of the verdicts' reset; 0 = never */
	uint64_t rule_unix_ns[GUARD_RULES];
};

/* What outlives a restart. */
struct ch_gate_file {
	char *path; /**< NULL = nothing does */
	_Atomic bool changed;
	uint64_t written_ns;
};

struct ch_gate {
	enum ch_gate_mode mode;
	bool dry_run;
	const struct ch_log *log;
	struct ch_guard *guard; /**< NULL = at accept only */
	char why[CH_GUARD_WHY];
	enum ch_gate_early early_stage;
	struct ch_early *early; /**< NULL = there is none */
	uint64_t early_tended_ns;
	struct ch_sources *sources;
	struct guard_settings settings; /**< as the kernel has them; of who starts and reloads */
	uint32_t v4_bits, v6_bits;	/**< what makes a source: as at the start */
	pthread_rwlock_t lock;	   /**< of @rules, @dry_run and @kernel_burst_ns */
	struct ch_gate_rules *rules;
	uint64_t kernel_burst_ns; /**< of the limit by which the kernel reads a source's bucket */
	struct ch_gate_rule_state states[GUARD_RULES];
	struct ch_gate_file bans_file, known_file;
	_Atomic uint64_t known_ns; /**< how long a good session makes its source known */
	uint64_t bans_most, sources_most;
	_Atomic uint64_t bans_failed;
	_Atomic uint64_t verdicts[CH_GATE_VERDICTS];
	pthread_mutex_t baseline_lock;
	struct ch_gate_baseline baseline;
};

/** The rule that holds for an address; a copy, its name lives as long as the gate. @return its
 * number */
uint32_t ch_gate_find_rule(struct ch_gate *gate, const struct ch_address *peer,
			   struct ch_gate_rule *rule);
/** The early stage as @options say; the guard and its listeners are there. @return as ch_gate_new
 */
CH_NODISCARD int ch_gate_open_early(struct ch_gate *gate, const struct ch_gate_options *options,
				    struct ch_buf *error);
/** Some times a second: follows interfaces and addresses of the host. */
void ch_gate_tend_early(struct ch_gate *gate, uint64_t now_ns);
/** Reads the files of bans and known sources. @return as ch_gate_new */
CH_NODISCARD int ch_gate_open_files(struct ch_gate *gate, const struct ch_gate_options *options,
				    struct ch_buf *error);
/** Some times a second: writes what changed, when its time has come. */
void ch_gate_tend_files(struct ch_gate *gate, const struct ch_clocks *clocks);
void ch_gate_close_files(struct ch_gate *gate);
bool ch_gate_is_dry_run(struct ch_gate *gate);
bool ch_gate_never_bans(struct ch_gate *gate, const struct ch_address *peer);
/** A ban came into force: the kernel and the file are told. */
void ch_gate_tell_ban(struct ch_gate *gate, const struct ch_ban_change *change);
void ch_gate_address_of(const struct guard_source *source, struct ch_address *address);
