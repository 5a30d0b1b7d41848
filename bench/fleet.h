/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * A fleet of simulated devices that call a collector: one thread, one ring, one socket each.
 * Arrivals are open loop: calls begin when they are due, however slow the collector is, and
 * latencies count from then.
 *
 * Thread: made, started, told and asked by one thread; a thread of its own runs it.
 */
#include "device.h"
#include "schedule.h"
#include "user/core/address.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#define SIM_TARGETS 8

struct sim_plan {
	const struct sim_impostor *kind;
	uint32_t count;
};

/** Impostors that call again and again; whoever is gone makes room for the next. */
struct sim_attack_plan {
	const struct sim_impostor *const *kinds; /**< one after the other; borrowed */
	uint32_t kind_count;
	uint32_t connections; /**< at a time, > 0 */
	uint32_t sources;     /**< addresses from options.source on, one after the other; > 0 */
	double rate;	      /**< calls per second, > 0; less where no connection is free */
};

struct sim_fleet_options {
	const struct sim_pki *pki;    /**< borrowed */
	struct ch_address targets[SIM_TARGETS];
	uint32_t target_count;
	struct ch_address source;     /**< v4: device i calls from this address + i; family 0 = no binding */
	uint16_t source_port;	      /**< every device calls from it; 0 = the system's choice */
	bool any_source_port;	      /**< every call binds to a random one */
	uint32_t devices;	      /**< of this fleet */
	uint32_t first, stride;	      /**< device k of it has identity first + k * stride */
	double rate;		      /**< calls per second; 0 = all at once */
	double notify_rate;	      /**< notifications per second and device; 0 = none */
	uint64_t reply_bytes;
	uint8_t tls;		      /**< SIM_TLS_MIX, _ONLY_1_2 or _ONLY_1_3 */
	uint8_t framing;	      /**< enum sim_framing */
	bool fixed;		      /**< sessions live in the fixed table (ch_probe: fixed_close) */
	uint8_t record_layer;	      /**< enum ch_layer_policy */
	uint64_t key_update_every;    /**< TLS 1.3: records of a device under one key; 0 = many */
	bool key_update_asks;	      /**< and it asks for new keys of the collector */
	bool reconnect;
	uint8_t connection;	  /**< enum sim_connection */
	uint64_t period_ns;	  /**< of periodic connections, > 0 */
	uint64_t anchor_unix_ns;  /**< calls begin at a whole period from it; 0 = at once */
	uint64_t idle_timeout_ns; /**< of periodic connections, without a message; 0 = never */
	uint8_t start_with;	  /**< enum sim_start_with */
	uint64_t max_wait_ns;	  /**< for TCP to come up */
	uint64_t max_attempts;	  /**< before the next target is tried, > 0 */
	uint64_t backoff_min_ns, backoff_max_ns;
	uint64_t auth_timeout_ns;     /**< RFC 8071 S5: time for the collector to log in */
	uint8_t heartbeat_mode;	      /**< enum ch_heartbeat_mode: what the devices say */
	struct ch_heartbeat_test heartbeat_test; /**< RFC 8071 S7: how they test the collector */
	uint64_t keepalive_ns;	      /**< TCP keepalive, whole seconds; 0 = off */
	const struct sim_plan *plans; /**< borrowed; impostors come spread over the ramp */
	uint32_t plan_count;
	uint64_t impostor_wait_ns;    /**< how long an impostor waits for its end */
	const struct sim_attack_plan *attack; /**< instead of devices and plans; NULL = none */
	FILE *certificates; /**< a line per login, "DEVICE SHA-256"; NULL = none; borrowed */
	uint64_t seed;
	const struct sim_names *names; /**< borrowed; NULL = any certificate has access */
};

/** What an impostor did and where it came from. */
struct sim_impostor_view {
	const struct sim_impostor *kind;
	struct ch_address local;
	bool called, ended; /**< @ended: by the collector */
};

struct sim_snapshot {
	struct sim_counters counters;
	struct ch_hist login_us;   /**< due -> hellos exchanged */
	struct ch_hist connect_us; /**< due -> TCP up */
	uint32_t waiting;	   /**< calls that were not due yet */
	uint32_t busy;		   /**< sessions with bytes to be sent, or calls being set up */
	uint32_t open;		   /**< sockets */
	bool running;
	int error;		   /**< why the fleet ended early */
	char user[SIM_NAME_MAX];   /**< of the collector, by the last login; "" = none */
};

enum sim_command {
	SIM_COMMAND_RUN,
	SIM_COMMAND_QUIET, /**< no new calls, no notifications; sessions stay */
	SIM_COMMAND_CLOSE, /**< as QUIET, and every session is closed with close_notify */
	SIM_COMMAND_STOP,  /**< end now */
};

struct sim_fleet;

/** Starts the thread. @return 0 or an error (of the ring: ch_probe_advice) */
CH_NODISCARD int sim_fleet_start(const struct sim_fleet_options *options, struct sim_fleet **fleet);
void sim_fleet_tell(struct sim_fleet *fleet, enum sim_command command);

/** Adds what the fleet published last (at most 100 ms old) to @sum. */
void sim_fleet_add(struct sim_fleet *fleet, struct sim_snapshot *sum);

/** Stops the thread and waits for it; snapshots and impostors can be read afterwards. */
void sim_fleet_join(struct sim_fleet *fleet);

/** Impostors in order of their call; legal after sim_fleet_join. */
uint32_t sim_fleet_impostors(const struct sim_fleet *fleet, const struct sim_impostor_view **views);

/** Joins if need be. NULL is fine. */
void sim_fleet_free(struct sim_fleet *fleet);
