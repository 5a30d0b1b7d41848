/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Inside the fleet: the calls of one device. A call goes WAITING -> CONNECTING -> CONNECTED ->
 * ENDING (until nothing is in flight) and back to WAITING for the next, or to DONE.
 */
#include "fleet.h"
#include "kernel/layer.h"
#include "kernel/ring.h"
#include "user/core/slab.h"
#include "user/core/timer.h"

#include <pthread.h>
#include <stdatomic.h>

enum call_phase { CALL_WAITING, CALL_CONNECTING, CALL_CONNECTED, CALL_ENDING, CALL_DONE };

enum call_op {
	CALL_OP_CONNECT,
	CALL_OP_READ, /* record-exact, in the handshake */
	CALL_OP_RECV, /* multishot */
	CALL_OP_SEND,
	CALL_OP_CANCEL,
	CALL_OP_CLOSE,
	CALL_OP_RECORD, /* close_notify, KeyUpdate or a heartbeat through kernel TLS */
	CALL_OP_REKEY_RX, /* kernel TLS: new keys */
	CALL_OP_REKEY_TX,
	CALL_OP_WAKE, /* of the fleet, not of a call */
};

struct call {
	struct sim_device device;
	struct ch_timer timer;
	struct ch_buf flight;	 /**< being sent */
	struct ch_buf beat;	 /**< CALL_OP_RECORD of a heartbeat: being sent */
	struct call *next_step;	 /**< queue of handshake steps; of an attack: of the idle */
	uint64_t due_ns;	 /**< when this call was due; latencies count from here */
	uint64_t notify_ns;	 /**< when the next notification is due */
	uint64_t active_ns;	 /**< of the last NETCONF message either way, once open */
	uint64_t period_ns;	 /**< of a periodic connection: when the present period began */
	uint32_t messages;	 /**< of the device, when last looked at */
	uint32_t flight_at;	 /**< bytes of @flight that are sent */
	uint32_t slot;		 /**< index of the call, and slot in the fixed table */
	uint32_t generation;	 /**< of user_data: one per socket */
	uint32_t attempts;	 /**< failed calls in a row */
	uint32_t impostor;	 /**< index of its view */
	uint32_t number;	 /**< of an attack: which attempt this is */
	struct ch_ring_message *message; /**< of CALL_OP_RECORD, from the first on */
	uint8_t *new_keys[2]; /**< by enum ch_ktls_direction; while they are being set */
	struct ch_file file;	 /**< index -1 = no socket */
	uint8_t phase;		 /**< enum call_phase */
	uint8_t end;		 /**< enum sim_end of the present call */
	uint16_t inflight;	 /**< bit per enum call_op */
	uint8_t cancels;	 /**< cancellations in flight */
	uint8_t target;		 /**< endpoint it calls */
	bool queued;		 /**< in the queue of steps */
	bool logged_in;		 /**< latency was recorded */
	bool notifying;
	bool half_closed;	 /**< our FIN is sent */
	bool started;		 /**< the session's receive was armed once */
	bool ulp;		 /**< the socket can take kernel TLS */
	bool updating;		 /**< CALL_OP_RECORD is a KeyUpdate: our keys change behind it */
	bool peer_gone;		 /**< the collector's FIN or RST was seen */
	bool lingering;		 /**< closing; the timer limits it */
	bool reached;		 /**< of an attack: TCP came up */
	bool paused;		 /**< nothing is sent until the timer */
};

struct sim_fleet {
	struct sim_fleet_options options;
	struct sim_shared shared;
	struct ch_ktls_support ktls;
	struct ch_ring *ring;
	struct ch_wheel wheel;
	struct call *calls;	/**< devices, then impostors */
	uint32_t call_count;
	struct sim_impostor_view *impostors;
	uint32_t impostor_count;
	uint32_t next_device, next_impostor; /**< arrivals so far */
	uint32_t open;			     /**< sockets */
	struct call *steps, **steps_tail;
	struct call *idle;  /**< of an attack */
	uint64_t attack_ns; /**< when its next call is due */
	struct ch_hist login_us, connect_us;
	uint64_t start_ns, publish_ns, second; /**< @second: of the shared event time */
	uint64_t notify_interval_ns;
	uint64_t random;
	int command;		/**< enum sim_command as last seen */
	int error;

	pthread_t thread;
	bool joined;
	int wake_fd;
	atomic_int told; /**< enum sim_command */
	pthread_mutex_t mutex;
	struct sim_snapshot published; /**< under @mutex */
	bool started;		       /**< under @mutex: ring made, or @error set */
	pthread_cond_t started_cond;
};

/** Begins the call that was due at @due_ns. */
void call_begin(struct sim_fleet *fleet, struct call *call, uint64_t due_ns, uint64_t now_ns);
void call_on_completion(struct sim_fleet *fleet, const struct ch_completion *completion);
void call_on_timer(struct sim_fleet *fleet, struct call *call, uint64_t now_ns);
/** Runs the handshake step that was queued. */
void call_step(struct sim_fleet *fleet, struct call *call, uint64_t now_ns);
/** Closes the session from our side. */
void call_close(struct sim_fleet *fleet, struct call *call, uint64_t now_ns);

/** call_keys.c: sets the next generation of keys of a direction that is the kernel's. @return 0 or an
 * error. */
CH_NODISCARD int call_rekey(struct sim_fleet *fleet, struct call *call,
			    enum ch_ktls_direction direction);
/** They are set, or never will be. */
void call_drop_keys(struct call *call, enum ch_ktls_direction direction);

/** call_dial.c: a socket of the call's source address. @return 0 or an error; then @fd is -1 */
CH_NODISCARD int call_socket(struct sim_fleet *fleet, const struct call *call, int *fd);

/* call_attack.c; all calls of an attack are impostors */

void call_attack_init(struct sim_fleet *fleet);
/** UINT64_MAX = not before a connection is free. */
uint64_t call_attack_due_ns(const struct sim_fleet *fleet);
/** Begins the call that is due. */
void call_attack_begin(struct sim_fleet *fleet, uint64_t now_ns);
/** TCP is up. */
void call_attack_reached(struct sim_fleet *fleet, struct call *call, uint64_t now_ns);
/** @return false: its connection is to end */
CH_NODISCARD bool call_attack_timer(struct sim_fleet *fleet, struct call *call, uint64_t now_ns);
/** Its connection is gone; @call->device still is as it was then. */
void call_attack_count(struct sim_fleet *fleet, const struct call *call);
/** The call can be begun again. */
void call_attack_free(struct sim_fleet *fleet, struct call *call);

/** A number that is random enough for jitter, 0..bound-1. */
uint64_t sim_random(struct sim_fleet *fleet, uint64_t bound);
