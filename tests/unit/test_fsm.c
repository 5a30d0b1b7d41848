/* SPDX-License-Identifier: Apache-2.0 */
/* links: collector guard kernel core */
#include "user/collector/fsm.h"

#include <criterion/criterion.h>
#include <string.h>

static const struct ch_transition *step(enum ch_conn_state state, enum ch_conn_event event)
{
	return ch_fsm_step(state, event);
}

Test(fsm, good_life_goes_through_every_stage)
{
	static const struct {
		enum ch_conn_event event;
		enum ch_conn_state next;
		unsigned actions;
	} life[] = {
		{CH_EV_STEP_READ, CH_CONN_TLS_HANDSHAKE, CH_ACT_READ | CH_ACT_TIMER},
		{CH_EV_STEP_READ, CH_CONN_TLS_HANDSHAKE, CH_ACT_READ},
		{CH_EV_STEP_DONE, CH_CONN_RECORD_ARM, 0},
		{CH_EV_FLUSHED, CH_CONN_HELLO_WAIT, CH_ACT_ARM | CH_ACT_SEND_HELLO | CH_ACT_TIMER},
		{CH_EV_HELLO, CH_CONN_OPEN, CH_ACT_UP | CH_ACT_TIMER},
		{CH_EV_LOCAL_END, CH_CONN_CLOSING,
		 CH_ACT_END | CH_ACT_CLOSE_SESSION | CH_ACT_TIMER},
		{CH_EV_SESSION_CLOSED, CH_CONN_DRAIN, CH_ACT_ALERT | CH_ACT_TIMER},
		{CH_EV_PEER_GONE, CH_CONN_CANCEL, CH_ACT_CANCEL},
		{CH_EV_QUIET, CH_CONN_CLOSED, CH_ACT_CLOSE},
	};
	enum ch_conn_state state = CH_CONN_ACCEPTED;

	for (size_t i = 0; i < sizeof(life) / sizeof(life[0]); i++) {
		const struct ch_transition *t = step(state, life[i].event);

		cr_assert(t->known, "step %zu", i);
		cr_assert_eq(t->next, life[i].next, "step %zu", i);
		cr_assert_eq(t->actions, life[i].actions, "step %zu", i);
		state = (enum ch_conn_state)t->next;
	}
}

Test(fsm, end_is_published_exactly_once_on_every_path)
{
	/* Leaving a live state for an ending one publishes; moving between ending ones does not. */
	for (unsigned s = 0; s < CH_CONN_STATE_COUNT; s++) {
		for (unsigned e = 0; e < CH_EV_COUNT; e++) {
			const struct ch_transition *t =
				step((enum ch_conn_state)s, (enum ch_conn_event)e);

			if (!t->known)
				continue;
			cr_assert_eq((t->actions & CH_ACT_END) != 0,
				     s < CH_CONN_CLOSING && t->next >= CH_CONN_CLOSING, "%s on %s",
				     ch_conn_state_name((enum ch_conn_state)s),
				     ch_conn_event_name((enum ch_conn_event)e));
		}
	}
}

Test(fsm, abort_and_local_end_are_legal_everywhere)
{
	for (unsigned s = 0; s < CH_CONN_STATE_COUNT; s++) {
		cr_assert(step((enum ch_conn_state)s, CH_EV_ABORT)->known);
		cr_assert(step((enum ch_conn_state)s, CH_EV_LOCAL_END)->known);
		cr_assert(step((enum ch_conn_state)s, CH_EV_QUIET)->known);
	}
}

Test(fsm, ending_states_never_lead_back)
{
	for (unsigned s = CH_CONN_CLOSING; s < CH_CONN_STATE_COUNT; s++) {
		for (unsigned e = 0; e < CH_EV_COUNT; e++) {
			const struct ch_transition *t =
				step((enum ch_conn_state)s, (enum ch_conn_event)e);

			if (t->known)
				cr_assert_geq(t->next, s);
		}
	}
}

Test(fsm, every_state_with_a_deadline_ends_by_it)
{
	static const enum ch_conn_state timed[] = {CH_CONN_ACCEPTED,   CH_CONN_TLS_HANDSHAKE,
						   CH_CONN_RECORD_ARM, CH_CONN_HELLO_WAIT,
						   CH_CONN_CLOSING,    CH_CONN_DRAIN};

	for (size_t i = 0; i < sizeof(timed) / sizeof(timed[0]); i++)
		cr_assert_gt(step(timed[i], CH_EV_DEADLINE)->next, timed[i]);
	cr_assert(!step(CH_CONN_OPEN, CH_EV_DEADLINE)->known, "a session has no idle time-out");
}

Test(fsm, hello_before_the_record_layer_is_a_bug)
{
	cr_assert(!step(CH_CONN_TLS_HANDSHAKE, CH_EV_HELLO)->known);
	cr_assert(!step(CH_CONN_ACCEPTED, CH_EV_HELLO)->known);
}

Test(fsm, graph_names_every_state)
{
	struct ch_buf dot = {0};

	cr_assert_eq(ch_fsm_dot(&dot), 0);
	cr_assert_eq(ch_buf_append(&dot, "", 1), 0);
	for (unsigned s = 0; s < CH_CONN_STATE_COUNT; s++)
		cr_assert_not_null(
			strstr((char *)dot.data, ch_conn_state_name((enum ch_conn_state)s)));
	cr_assert_not_null(
		strstr((char *)dot.data, "\"hello-wait\" -> \"open\" [label=\"hello\"]"));
	ch_buf_deinit(&dot);
}
