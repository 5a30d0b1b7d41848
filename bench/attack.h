/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Attacks: each is a row of one table, with the defence of the collector that it exercises. An
 * attack is one or more kinds of misbehaving devices that call again and again. No clock, no
 * sockets.
 */
#include "impostor.h"
#include "user/core/address.h"

#define SIM_ATTACK_KINDS 8
#define SIM_ATTACK_ERROR 256

/* Bounds of every attack. */
#define SIM_ATTACK_RATE_MAX 100000		/* calls per second */
#define SIM_ATTACK_CONNECTIONS_MAX 100000	/* at a time */
#define SIM_ATTACK_DURATION_MAX 600000000000ull /* ns */

/** Frames instead of calls (synflood.h). */
enum sim_attack_raw {
	SIM_ATTACK_CALLS,
	SIM_ATTACK_SYNS,
	SIM_ATTACK_SPOOFED_SYNS, /**< another source every time */
};

struct sim_attack {
	const char *name;
	const char *help;			 /**< what it does */
	const char *defence;			 /**< what must hold it off */
	const char *kinds[SIM_ATTACK_KINDS + 1]; /**< NULL behind the last; of sim_attack_device */
	uint32_t rate;				 /**< calls per second, unless told otherwise */
	uint32_t connections;			 /**< at a time, unless told otherwise */
	bool pki;				 /**< needs certificates */
	uint8_t raw; /**< enum sim_attack_raw; then no @kinds, and @rate 0 is all a core can */
};

/** The table; @count receives its length. */
const struct sim_attack *sim_attacks(size_t *count);
/** The attack of that name, or NULL. */
const struct sim_attack *sim_attack_find(const char *name);
/** A kind of device by its name, among those of attacks only and the impostors; NULL = none. */
const struct sim_impostor *sim_attack_device(const char *name);

/** The target and the sources of an attack, and how hard it is. */
struct sim_attack_limits {
	struct ch_address target;
	struct ch_address source; /**< the first; family 0 = the system's choice */
	uint32_t sources;	  /**< addresses from @source on, > 0 */
	uint32_t connections;
	double rate;
};

/**
 * Reads and bounds what the command line says. A target must be on the loopback or inside @own
 * (NULL = none), a source prefix on the IPv4 loopback ("127.66.0.0/16"; an address alone is one
 * source).
 * @rate and @connections 0 = as the attack has it; @nofile limits the connections.
 * @return 0, or CH_E_CONFIG with one sentence in @error
 */
CH_NODISCARD int sim_attack_bound(const struct sim_attack *attack, const char *target,
				  const char *own, const char *source, double rate,
				  uint64_t connections, uint64_t nofile,
				  struct sim_attack_limits *limits, char error[SIM_ATTACK_ERROR]);
