/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Looks at the path of trust.crl, told by the kernel and at an interval, and asks for a reload of
 * the revocation lists when something changed. A thread of its own, which reads names and dates
 * only.
 */
#include <callhome/error.h>

struct ch_collector;
struct ch_crl_watch;

/** The reload runs. @return 0 or a negated errno */
CH_NODISCARD int ch_crl_watch_new(struct ch_collector *collector, struct ch_crl_watch **watch);
/** The policy changed: look at once, maybe elsewhere. Any thread; NULL is fine. */
void ch_crl_watch_look(struct ch_crl_watch *watch);
/** Joins the thread. The reload still runs. NULL is fine. */
void ch_crl_watch_free(struct ch_crl_watch *watch);
