/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * One thread = one ring: own listeners, slab, timer wheel, counters and spool batch; nothing shared
 * on the packet path. Others reach it by mail. A turn of the loop: completions, timers, mail, small
 * budgets of handshake steps and arrivals, the spool batch.
 */
#include "accept.h"
#include "admission.h"
#include "authorities.h"
#include "balancers.h"
#include "conn.h"
#include "kernel/layer.h"
#include "user/guard/gate.h"
#include "policy.h"
#include "quarantine.h"
#include "registry.h"
#include "spool.h"
#include "user/core/hist.h"
#include "user/core/queue.h"
#include "user/core/slab.h"
#include "user/core/stats.h"
#include "turns.h"

#include <pthread.h>

/** `op` of user_data. */
enum ch_worker_op {
	CH_OP_ACCEPT, /**< slot = listener */
	CH_OP_WAKE,
	CH_OP_CANCEL_ACCEPT,
	CH_OP_PROXY,
	CH_OP_HEADER,
	CH_OP_BODY,
	CH_OP_DISCARD,
	CH_OP_SEND,
	CH_OP_SEND_RECORD,
	CH_OP_REKEY_RX,
	CH_OP_REKEY_TX,
	CH_OP_RECV,
	CH_OP_CANCEL,
	CH_OP_CLOSE,
};

/** An application's request on its way; freed by whoever calls @fn with done. */
struct ch_job {
	ch_reply_fn fn;
	void *ctx;
	uint64_t timeout_ns;
	uint32_t device;
	size_t len;
	uint8_t operation[];
};

/** Calls fn(done, status) and frees. */
void ch_job_done(struct ch_job *job, int status);

enum ch_mail_kind {
	CH_MAIL_REQUEST,
	CH_MAIL_KILL,
	CH_MAIL_SUPERSEDED,
	CH_MAIL_SWAP,
	CH_MAIL_NOTICE,
	CH_MAIL_BAN,
	CH_MAIL_STOP
};

struct ch_mail {
	enum ch_mail_kind kind;
	uint32_t device;
	uint64_t owner; /**< owner word of the session it is for */
	union {
		struct ch_job *job;	  /**< REQUEST */
		struct ch_swap *swap;	  /**< SWAP */
		struct ch_notice *notice; /**< NOTICE, freed by the worker */
		struct ch_ban_notice *ban; /**< BAN, freed by the worker */
	};
};

/** What all workers read and few words they share. Outlives them. */
struct ch_shared {
	const struct ch_config *config; /**< of the start: what only a restart changes */
	struct ch_policy *policy; /**< the workers' first; a worker's own is worker->policy */
	struct ch_reload *reload; /**< NULL = nothing is ever loaded again */
	struct ch_registry *registry;
	struct ch_quarantine *quarantine;
	struct ch_authorities *authorities;
	struct ch_balancers balancers;
	struct ch_gate *gate;
	struct ch_spool *spool; /**< NULL = none */
	struct ch_log log;
	struct ch_ktls_support ktls;
	struct ch_budget budget;
	struct ch_cap sessions;
	struct ch_cap handshakes;
	struct ch_client_limits client_limits;
	struct ch_heartbeat_test heartbeat_test;
	struct ch_worker *workers;
	uint32_t worker_count;
	uint32_t slots; /**< per worker */
	bool fixed; /**< sessions live in the fixed-file table; else they keep their descriptors */
	_Atomic bool aborting;
};

struct ch_worker {
	struct ch_shared *shared;
	uint32_t index;
	pthread_t thread;

	struct ch_ring *ring;
	struct ch_slab slab;
	struct ch_wheel wheel;
	struct ch_queue mail;
	int wake_fd;
	uint64_t now_ns; /**< of this turn */
	uint64_t unix_ns;
	bool clock_fresh;	 /**< the clock was read since the ring slept */
	int last_round;		 /**< completions of the last turn */
	uint64_t seen_overflows; /**< of the ring's counter */
	uint64_t trimmed_ns;	 /**< when the heap was given back last */
	uint64_t storm_ns; /**< when there were many handshakes last; 0 = given back since */
	uint64_t seen_enters;	 /**< of the ring's counter, likewise */
	uint64_t shed_ns;	 /**< turn in which memory was last shed */

	struct ch_listener *listeners;
	size_t listener_count;
	struct ch_accepted arrivals[CH_ARRIVALS];
	uint32_t arrivals_in, arrivals_out;

	struct ch_turns turns; /**< handshake steps that are due */
	uint64_t first_ns;     /**< when a device of the first rank took a step last */
	uint64_t others_at_ns; /**< when others may go on */
	uint64_t login_cost_ns;	 /**< our time for the steps of one login, a running mean */

	struct ch_judge *judge;		/**< of new logins */
	const struct ch_policy *policy; /**< of @judge */
	struct ch_swap *swap;		/**< whose sessions are being judged again; NULL = none */
	uint32_t swap_cursor;		/**< slots already judged */
	struct ch_record_engine *engine;

	struct ch_buf plain; /**< scratch: NETCONF output before it is sealed */
	struct ch_buf line;  /**< scratch: one spool line */
	struct ch_spool_batch batch;
	uint64_t batch_since_ns; /**< first line of the batch; 0 = empty */
	uint64_t sequence;	 /**< of the next line */

	uint64_t expiry_ns; /**< Unix time of the next look at what ends soon */
	const char *detail; /**< of the end that is being published; NULL = none */
	struct ch_log_limit log_limit;
	struct ch_log_limit refused_limit; /**< events of refused connections */
	struct ch_stats stats;
	pthread_mutex_t login_lock; /**< login_us is read by the control thread */
	struct ch_hist login_us;

	bool running; /**< the thread was started and must be joined */
	bool stopping;
	bool aborted;	      /**< every connection was told to end at once */
	uint32_t stop_cursor; /**< slots already told to end */
	uint64_t stop_started_ns;
	uint64_t pace_ns; /**< when the next group is told */
};

/**
 * What a worker prepares before its thread exists: listeners (open from here on), slab, trust and
 * credentials of its own. @return 0 or an error with a sentence in @error
 */
CH_NODISCARD int ch_worker_init(struct ch_worker *worker, struct ch_shared *shared, uint32_t index,
				struct ch_buf *error);
void ch_worker_deinit(struct ch_worker *worker);

/** Takes a ring (real or a test's; the worker frees it) and arms wake-up and accepts. The thread's
 * own. @return 0 or an error. */
CH_NODISCARD int ch_worker_begin(struct ch_worker *worker, struct ch_ring *ring);

/** One turn of the loop: waits at most @most_wait_ns. @return false: stopped, and everything is
 * gone. */
bool ch_worker_turn(struct ch_worker *worker, uint64_t most_wait_ns);

/** Sends mail and wakes the worker. Any thread. @return 0 or CH_E_FULL. */
CH_NODISCARD int ch_worker_post(struct ch_worker *worker, const struct ch_mail *mail);

/** Would a connection that is accepted now wait so long for its turn that it misses its deadline?
 */
bool ch_worker_overloaded(const struct ch_worker *worker, enum ch_rank rank);

/** Queues a handshake step. */
void ch_worker_queue_turn(struct ch_worker *worker, struct ch_conn *conn);

/** The owner word of a session. */
uint64_t ch_worker_owner(const struct ch_worker *worker, const struct ch_conn *conn);

/** Frees the slot of a closed connection. */
void ch_worker_release(struct ch_worker *worker, struct ch_conn *conn);

/** Ends the connection that makes us hold the most bytes, if it holds a fair lot. */
void ch_worker_shed(struct ch_worker *worker);

static inline uint64_t ch_worker_user_data(const struct ch_conn *conn, enum ch_worker_op op)
{
	return ch_user_data((uint8_t)op, conn->generation, conn->slot);
}
