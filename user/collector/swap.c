/* SPDX-License-Identifier: Apache-2.0 */
#include "swap.h"
#include "kernel/sock.h"
#include "reload.h"

/* Per turn, so that live sessions do not notice a reload; the clock is read every few slots. */
#define STEP_NS 500000ull
#define SLOTS_PER_LOOK 32

void ch_swap_take(struct ch_worker *w, struct ch_swap *swap)
{
	struct ch_judge *old = w->judge;

	if (swap->judge != NULL) {
		w->judge = swap->judge;
		swap->judge = NULL;
		old->retired = true;
		w->expiry_ns = 0;
		if (old->logins == 0)
			ch_reload_retire(w->shared->reload, old);
	} else {
		struct ch_policy *before = old->policy;

		old->policy = ch_policy_hold(swap->policy);
		ch_policy_drop(before);
		ch_tls_client_revocation(old->tls, old->policy->revocation);
	}
	w->policy = w->judge->policy;
	w->swap = swap;
	w->swap_cursor = 0;
}

/*
 * A device that only left the inventory is told so by NETCONF; one whose identity counts for
 * nothing any more is no one to take leave of.
 */
static void end(struct ch_worker *w, struct ch_conn *conn, enum ch_reason reason)
{
	enum ch_conn_event event = CH_EV_LOCAL_END;

	if (conn->armed && reason != CH_REASON_DEVICE_REMOVED) {
		event = CH_EV_FAIL;
		conn->alert = reason == CH_REASON_REVOKED ? CH_ALERT_CERTIFICATE_REVOKED
							  : CH_ALERT_ACCESS_DENIED;
	}
	ch_conn_end(w, conn, event, reason, NULL);
}

static void judge(struct ch_worker *w, struct ch_conn *conn)
{
	enum ch_reason reason;

	/* Who has not proven who he is yet is judged when he has. */
	if (conn->device == CH_DEVICE_NONE || conn->ended)
		return;
	reason = ch_judge_again(w->judge, &conn->proof, conn->proven, conn->device);
	if (reason != CH_REASON_NONE)
		end(w, conn, reason);
}

void ch_swap_continue(struct ch_worker *w)
{
	struct ch_swap *swap = w->swap;
	uint64_t until;

	if (swap == NULL)
		return;
	until = ch_now_ns() + STEP_NS;
	while (w->swap_cursor < w->slab.fresh) {
		struct ch_conn *conn = ch_slab_at(&w->slab, w->swap_cursor++);

		if (conn != NULL)
			judge(w, conn);
		if (w->swap_cursor % SLOTS_PER_LOOK == 0 && ch_now_ns() >= until)
			return;
	}
	w->swap = NULL;
	swap->done(swap);
}
