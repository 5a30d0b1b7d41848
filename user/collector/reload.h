/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Live reload. A thread of its own reads files and builds the next generation (policy.h), hands it
 * to every worker and waits until each runs it and has judged its sessions again. A mistake in any
 * file leaves the present generation as it is. One reload at a time; requests that wait together
 * are served by one.
 */
#include <callhome/callhome.h>
#include "policy.h"

struct ch_collector;
struct ch_reload;

/** Starts the thread. The workers run. @return 0 or a negated errno */
CH_NODISCARD int ch_reload_new(struct ch_collector *collector, struct ch_reload **reload);
/** Finishes what is under way, refuses what waits, joins the thread. The workers still run. */
void ch_reload_stop(struct ch_reload *reload);
/** The workers are gone. NULL is fine. */
void ch_reload_free(struct ch_reload *reload);

/** No login needs @judge any more: it is freed, by the thread if there is one. Any thread. */
void ch_reload_retire(struct ch_reload *reload, struct ch_judge *judge);

/** What `status` shows. Any thread; @reload may be NULL. */
struct ch_reload_view {
	uint64_t failed_unix_ns; /**< 0 = the last reload did not fail */
	char error[512];	 /**< why it failed, its beginning */
};
void ch_reload_read(struct ch_reload *reload, struct ch_reload_view *view);

/** What the event of a reload tells; one block, freed by who publishes it. */
struct ch_notice {
	enum ch_event_kind kind;
	struct ch_reload_result result; /**< its text lies behind */
	char text[];
};
