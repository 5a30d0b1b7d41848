/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * A worker takes the next generation: new logins begin under it at once, sessions are judged again
 * in small steps. Thread: the worker's; @done is the loader's.
 */
#include "worker.h"

struct ch_swap {
	struct ch_policy
		*policy;	/**< the loader holds it, and the one before, until all are done */
	struct ch_judge *judge; /**< for this worker, taken; NULL = only the inventory changed */
	/** The worker runs @policy and has judged every session. */
	void (*done)(struct ch_swap *swap);
	void *ctx;
};

/** Between two turns: nothing of the generation before may be in use on the stack. */
void ch_swap_take(struct ch_worker *worker, struct ch_swap *swap);
/** Judges some sessions again; calls done behind the last. */
void ch_swap_continue(struct ch_worker *worker);
