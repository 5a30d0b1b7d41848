/* SPDX-License-Identifier: Apache-2.0 */
#include "fsm.h"

#define DO_READ CH_ACT_READ
#define DO_ARM CH_ACT_ARM
#define DO_HELLO CH_ACT_SEND_HELLO
#define DO_UP CH_ACT_UP
#define DO_END CH_ACT_END
#define DO_CLOSE_SESSION CH_ACT_CLOSE_SESSION
#define DO_ALERT CH_ACT_ALERT
#define DO_CANCEL CH_ACT_CANCEL
#define DO_CLOSE CH_ACT_CLOSE
#define DO_TIMER CH_ACT_TIMER

#define GO(event, next, actions) [CH_EV_##event] = {1, CH_CONN_##next, actions}
/* Nothing to do; the reason stands beside each use. */
#define STAY(event, state) GO(event, state, 0)

/*
 * Before the record layer is armed there is nothing to drain on a failure of the peer but our
 * alert; a peer that is gone is not worth one.
 */
static const struct ch_transition table[CH_CONN_STATE_COUNT][CH_EV_COUNT] = {
	[CH_CONN_ACCEPTED] = {
		GO(PROXIED, PROXY_HEADER, DO_READ | DO_TIMER),
		GO(STEP_READ, TLS_HANDSHAKE, DO_READ | DO_TIMER),
		GO(FAIL, DRAIN, DO_END | DO_ALERT | DO_TIMER),
		GO(LOCAL_END, CANCEL, DO_END | DO_CANCEL),
		GO(DEADLINE, CANCEL, DO_END | DO_CANCEL),
		GO(ABORT, CANCEL, DO_END | DO_CANCEL),
		STAY(QUIET, ACCEPTED), /* nothing was started yet */
	},
	[CH_CONN_PROXY_HEADER] = {
		GO(ADDRESSED, ACCEPTED, DO_TIMER),
		GO(FAIL, CANCEL, DO_END | DO_CANCEL),
		GO(PEER_GONE, CANCEL, DO_END | DO_CANCEL),
		GO(LOCAL_END, CANCEL, DO_END | DO_CANCEL),
		GO(DEADLINE, CANCEL, DO_END | DO_CANCEL),
		GO(ABORT, CANCEL, DO_END | DO_CANCEL),
		STAY(QUIET, PROXY_HEADER), /* the next read is armed at once */
	},
	[CH_CONN_TLS_HANDSHAKE] = {
		GO(STEP_READ, TLS_HANDSHAKE, DO_READ),
		GO(STEP_DONE, RECORD_ARM, 0),
		STAY(FLUSHED, TLS_HANDSHAKE), /* a flight left; the read is armed already */
		GO(FAIL, DRAIN, DO_END | DO_ALERT | DO_TIMER),
		GO(PEER_GONE, CANCEL, DO_END | DO_CANCEL),
		GO(LOCAL_END, CANCEL, DO_END | DO_CANCEL),
		GO(DEADLINE, CANCEL, DO_END | DO_CANCEL),
		GO(ABORT, CANCEL, DO_END | DO_CANCEL),
		STAY(QUIET, TLS_HANDSHAKE), /* a step waits for its turn */
	},
	[CH_CONN_RECORD_ARM] = {
		GO(FLUSHED, HELLO_WAIT, DO_ARM | DO_HELLO | DO_TIMER),
		GO(FAIL, DRAIN, DO_END | DO_ALERT | DO_TIMER),
		GO(PEER_GONE, CANCEL, DO_END | DO_CANCEL),
		GO(LOCAL_END, CANCEL, DO_END | DO_CANCEL),
		GO(DEADLINE, CANCEL, DO_END | DO_CANCEL),
		GO(ABORT, CANCEL, DO_END | DO_CANCEL),
		STAY(QUIET, RECORD_ARM), /* FLUSHED follows */
	},
	[CH_CONN_HELLO_WAIT] = {
		STAY(FLUSHED, HELLO_WAIT), /* our hello left */
		GO(HELLO, OPEN, DO_UP | DO_TIMER),
		GO(FAIL, DRAIN, DO_END | DO_ALERT | DO_TIMER),
		GO(PEER_CLOSE, DRAIN, DO_END | DO_ALERT | DO_TIMER),
		GO(PEER_GONE, CANCEL, DO_END | DO_CANCEL),
		GO(LOCAL_END, DRAIN, DO_END | DO_ALERT | DO_TIMER),
		GO(DEADLINE, DRAIN, DO_END | DO_ALERT | DO_TIMER),
		GO(ABORT, CANCEL, DO_END | DO_CANCEL),
		STAY(QUIET, HELLO_WAIT), /* the receive is armed again at once */
	},
	[CH_CONN_OPEN] = {
		STAY(FLUSHED, OPEN), /* requests left */
		GO(FAIL, DRAIN, DO_END | DO_ALERT | DO_TIMER),
		GO(PEER_CLOSE, DRAIN, DO_END | DO_ALERT | DO_TIMER),
		GO(PEER_GONE, CANCEL, DO_END | DO_CANCEL),
		GO(LOCAL_END, CLOSING, DO_END | DO_CLOSE_SESSION | DO_TIMER),
		GO(ABORT, CANCEL, DO_END | DO_CANCEL),
		STAY(QUIET, OPEN), /* the receive is armed again at once */
	},
	[CH_CONN_CLOSING] = {
		STAY(FLUSHED, CLOSING), /* close-session left */
		GO(SESSION_CLOSED, DRAIN, DO_ALERT | DO_TIMER),
		GO(FAIL, DRAIN, DO_ALERT | DO_TIMER),
		GO(PEER_CLOSE, DRAIN, DO_ALERT | DO_TIMER),
		GO(PEER_GONE, CANCEL, DO_CANCEL),
		STAY(LOCAL_END, CLOSING), /* ending already */
		GO(DEADLINE, DRAIN, DO_ALERT | DO_TIMER),
		GO(ABORT, CANCEL, DO_CANCEL),
		STAY(QUIET, CLOSING), /* the receive is armed again at once */
	},
	[CH_CONN_DRAIN] = {
		STAY(FLUSHED, DRAIN),	/* the last bytes left; the FIN is awaited */
		STAY(FAIL, DRAIN),	/* what still comes is discarded */
		STAY(PEER_CLOSE, DRAIN), /* the FIN follows */
		GO(PEER_GONE, CANCEL, DO_CANCEL),
		STAY(LOCAL_END, DRAIN), /* ending already */
		GO(DEADLINE, CANCEL, DO_CANCEL),
		GO(ABORT, CANCEL, DO_CANCEL),
		STAY(QUIET, DRAIN), /* the receive is armed again at once */
	},
	[CH_CONN_CANCEL] = {
		STAY(FLUSHED, CANCEL),	  /* the send completed before its cancel */
		STAY(FAIL, CANCEL),	  /* late */
		STAY(PEER_CLOSE, CANCEL), /* late */
		STAY(PEER_GONE, CANCEL),  /* late */
		STAY(LOCAL_END, CANCEL),  /* ending already */
		STAY(DEADLINE, CANCEL),	  /* completions always come */
		STAY(ABORT, CANCEL),	  /* as fast as it gets */
		GO(QUIET, CLOSED, DO_CLOSE),
	},
	[CH_CONN_CLOSED] = {
		STAY(LOCAL_END, CLOSED), /* the slot is on its way out */
		STAY(ABORT, CLOSED),	 /* the slot is on its way out */
		STAY(QUIET, CLOSED),	 /* the close completed: the slot is freed by its handler */
	},
};

static const char *const state_names[CH_CONN_STATE_COUNT] = {
#define X(sym, name) [CH_CONN_##sym] = name,
	CH_CONN_STATES(X)
#undef X
};

static const char *const event_names[CH_EV_COUNT] = {
#define X(sym, name) [CH_EV_##sym] = name,
	CH_CONN_EVENTS(X)
#undef X
};

const struct ch_transition *ch_fsm_step(enum ch_conn_state state, enum ch_conn_event event)
{
	return &table[state][event];
}

const char *ch_conn_state_name(enum ch_conn_state state)
{
	return state_names[state];
}

const char *ch_conn_event_name(enum ch_conn_event event)
{
	return event_names[event];
}

int ch_fsm_dot(struct ch_buf *out)
{
	int err = ch_buf_append_str(out, "digraph connection {\n\tnode [shape=box];\n");

	for (unsigned s = 0; err == 0 && s < CH_CONN_STATE_COUNT; s++) {
		for (unsigned e = 0; err == 0 && e < CH_EV_COUNT; e++) {
			const struct ch_transition *t = &table[s][e];

			if (t->known && t->next != s)
				err = ch_buf_printf(out, "\t\"%s\" -> \"%s\" [label=\"%s\"];\n",
						    state_names[s], state_names[t->next],
						    event_names[e]);
		}
	}
	return err != 0 ? err : ch_buf_append_str(out, "}\n");
}
