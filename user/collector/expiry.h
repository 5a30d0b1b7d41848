/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Client certificates and anchors that end soon: a line in the log, an event and a gauge, at the
 * start, after a reload and every day. Thread: the first worker's.
 */
#include "worker.h"

#define CH_EXPIRY_DAYS 30

/** Looks when it is due. */
void ch_expiry_turn(struct ch_worker *worker);

/** Whole days until @not_after (seconds since 1970); negative: it ended. */
int64_t ch_expiry_days(int64_t not_after, uint64_t unix_ns);

struct ch_expiry_view {
	int64_t credential_days; /**< of the client certificate that ends first; INT64_MAX = none */
	int64_t anchor_days;	 /**< of the anchor that ends first; INT64_MAX = none */
};
/** Any thread that holds @config. */
void ch_expiry_view(const struct ch_config *config, uint64_t unix_ns, struct ch_expiry_view *view);
