/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The life of one connection as a table: (state, event) -> next state and actions. Pure: no time,
 * no memory, no I/O. States are named by what is awaited. `conn.c` is the only interpreter.
 */
#include "user/core/buf.h"
#include <stdint.h>

/* X(symbol, name) */
#define CH_CONN_STATES(X)                                                                          \
	X(ACCEPTED, "accepted")		  /* a turn for the first handshake step */                \
	X(PROXY_HEADER, "proxy-header")	  /* the load balancer's word whose connection it is */    \
	X(TLS_HANDSHAKE, "tls-handshake") /* the device's next handshake record */                 \
	X(RECORD_ARM, "record-arm")	  /* our last flight to leave, then the keys go in */      \
	X(HELLO_WAIT, "hello-wait")	  /* the device's hello */                                 \
	X(OPEN, "open")			  /* anything: the session is up */                        \
	X(CLOSING, "closing")		  /* the reply to our close-session */                     \
	X(DRAIN, "drain")		  /* our last bytes to leave, then the device's FIN */     \
	X(CANCEL, "cancel")		  /* the completions of what is in flight */               \
	X(CLOSED, "closed")		  /* the completion of the close; then the slot is free */

enum ch_conn_state {
#define X(sym, name) CH_CONN_##sym,
	CH_CONN_STATES(X)
#undef X
	CH_CONN_STATE_COUNT
};

#define CH_CONN_EVENTS(X)                                                                          \
	X(PROXIED, "proxied")		/* it came from a load balancer */                         \
	X(ADDRESSED, "addressed")	/* the balancer's header is there, and the source welcome */ \
	X(STEP_READ, "step-read")	/* a handshake step wants the next record */               \
	X(STEP_DONE, "step-done")	/* the handshake is finished, keys are ready */            \
	X(FLUSHED, "flushed")		/* the send queue is empty */                              \
	X(HELLO, "hello")		/* the device's hello is complete and good */              \
	X(FAIL, "fail")			/* protocol or policy failure, found by us */              \
	X(PEER_CLOSE, "peer-close")	/* close_notify came */                                    \
	X(PEER_GONE, "peer-gone")	/* FIN without close_notify, reset, unreachable */         \
	X(LOCAL_END, "local-end")	/* operator, newer session, shutdown */                    \
	X(SESSION_CLOSED, "session-closed") /* close-session was answered */                       \
	X(DEADLINE, "deadline")		/* the deadline of this state passed */                    \
	X(QUIET, "quiet")		/* nothing is in flight */                                 \
	X(ABORT, "abort")		/* end at once, send nothing */

enum ch_conn_event {
#define X(sym, name) CH_EV_##sym,
	CH_CONN_EVENTS(X)
#undef X
	CH_EV_COUNT
};

/** What the interpreter does, in this order. */
enum {
	CH_ACT_READ = 1u << 0,		/**< read the next handshake record, or what of the header is missing */
	CH_ACT_ARM = 1u << 1,		/**< install the record layer, move into the fixed table, receive */
	CH_ACT_SEND_HELLO = 1u << 2,	/**< NETCONF hello */
	CH_ACT_UP = 1u << 3,		/**< claim the device, run the profile */
	CH_ACT_END = 1u << 4,		/**< the connection has ended: publish its reason, once */
	CH_ACT_CLOSE_SESSION = 1u << 5, /**< NETCONF close-session */
	CH_ACT_ALERT = 1u << 6,		/**< the alert of the failure, or close_notify */
	CH_ACT_CANCEL = 1u << 7,	/**< cancel what is in flight */
	CH_ACT_CLOSE = 1u << 8,		/**< close the socket */
	CH_ACT_TIMER = 1u << 9,		/**< arm the deadline of the new state */
};

struct ch_transition {
	uint8_t known; /**< 0: this pair cannot happen; reaching it is our bug */
	uint8_t next;
	uint16_t actions;
};

const struct ch_transition *ch_fsm_step(enum ch_conn_state state, enum ch_conn_event event);

const char *ch_conn_state_name(enum ch_conn_state state);
const char *ch_conn_event_name(enum ch_conn_event event);

/** Appends the table as a graph (DOT). @return as ch_buf_reserve. */
CH_NODISCARD int ch_fsm_dot(struct ch_buf *out);
