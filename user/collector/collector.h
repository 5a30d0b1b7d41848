/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The inside of the public handle: collector.c runs it, view.c shows it. */
#include <callhome/callhome.h>

#include "enrolment.h"
#include "worker.h"

struct ch_guarding;

struct ch_collector {
	struct ch_config *config; /**< of the start */
	struct ch_shared shared;
	struct ch_guarding *guarding;
	struct ch_crl_watch *crl_watch; /**< NULL before the start */
	int (*prepared_fn)(void *ctx); /**< NULL = nobody wants to know */
	void *prepared_ctx;
	ch_log_fn log;
	void *log_ctx;
	struct ch_enrolment *enrolment; /**< NULL = no database, or not started */
	uint64_t started_unix_ns;
	uint32_t somaxconn;   /**< when the listeners were opened; 0 = unknown */
	pthread_mutex_t lock; /**< also of shared.policy, for all but the thread that reloads */
	pthread_cond_t cond;
	uint32_t begun; /**< workers that began or failed; under @lock */
	int begin_error;
};

/** The generation that all workers run; held, the caller drops it. Any thread but a worker. */
struct ch_policy *ch_collector_policy(const struct ch_collector *collector);
