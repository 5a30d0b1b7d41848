/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The listeners of a worker, and what arrives at them. Each configured one has two sockets where
 * the guard steers: the ordinary door, and that of known sources (user/guard/gate.h). Thread: the
 * worker's, but for opening, which is that of the start.
 */
#include "kernel/ring.h"
#include "user/core/address.h"
#include "user/core/buf.h"

struct ch_worker;

#define CH_ACCEPTS 32	 /**< in flight for each socket */
#define CH_ARRIVALS 1024 /**< accepted and not looked at yet; a power of two */

struct ch_listener {
	int fd;		    /**< -1 = closed */
	uint32_t accepting; /**< accepts in flight */
	uint32_t most;	    /**< as many may be: one, after an error, until it succeeds */
	uint64_t retry_ns;  /**< when to accept again after an error; 0 = not waiting */
	bool known;	    /**< the door of known sources */
	bool patient;	    /**< there is such a door: who comes here may wait in the backlog */
};

struct ch_accepted {
	int fd;
	struct ch_address peer; /**< family 0: it has none any more */
};

/** A sentence in @error with every error but -ENOMEM. */
CH_NODISCARD int ch_accept_open(struct ch_worker *worker, struct ch_buf *error);
/** Closes listeners and arrivals. */
void ch_accept_close(struct ch_worker *worker);

CH_NODISCARD int ch_accept_begin(struct ch_worker *worker);
/** A completion of CH_OP_ACCEPT of @listener. */
void ch_accept_completed(struct ch_worker *worker, size_t listener, const struct ch_completion *c);
/** Accepts again where an error made us wait, if it is time. */
void ch_accept_retry(struct ch_worker *worker);
/** When the next retry is due; UINT64_MAX = none. */
uint64_t ch_accept_due(const struct ch_worker *worker);

/** Are there arrivals? */
bool ch_accept_has_arrivals(const struct ch_worker *worker);
/** Begins logins of those that arrived, for about @most_ns. */
void ch_accept_admit(struct ch_worker *worker, uint64_t most_ns);

/** Nobody arrives any more. */
void ch_accept_stop(struct ch_worker *worker);
/** Is nothing in flight any more? */
bool ch_accept_stopped(const struct ch_worker *worker);
