/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * One connection, from accept to the freed slot. `conn.c` interprets the table of `fsm.c` and is
 * the only writer of the state; `login.c` moves handshake records, `session.c` what comes after
 * them, `postshake.c` what TLS itself says then. Thread: its worker's.
 */
#include "fsm.h"
#include "kernel/ring.h"
#include "policy.h"
#include "registry.h"
#include "user/core/log.h"
#include "user/core/timer.h"
#include "user/guard/sources.h"
#include "user/proto/client.h"
#include "user/proto/heartbeat.h"
#include "user/proto/proxy.h"
#include "user/proto/tlsmsg.h"
#include "user/tls/handshake.h"
#include "user/tls/record.h"

struct ch_worker;

/** What only a connection that logs in needs; freed when the record layer is armed. */
struct ch_login {
	struct ch_handshake *handshake; /**< NULL before its first turn */
	struct ch_proxy proxy;		/**< what it said */
	struct ch_judge *judge;	    /**< under which it began */
	uint64_t generation;	    /**< of the policy then */
	uint8_t header[CH_TLS_HEADER];
	bool heard;		    /**< the device sent at least one byte */
	uint32_t steps;		    /**< that the handshake took */
	uint32_t missing;	    /**< bytes of header or body that the ring receives */
	struct ch_buf record;	    /**< header and body of the record being read */
	struct ch_identity unknown; /**< quarantine: the proven identity of an unknown device */
	bool rejected;		    /**< an operator rejected the key in @unknown */
	bool quiet;		    /**< @unknown was published when it first came */
};

/** A record without application data that waits to be sent through kernel TLS. */
struct ch_control_record {
	struct ch_control_record *next;
	struct ch_ring_message scratch;
	uint8_t type;
	bool rekey; /**< our sending keys change right behind it (KeyUpdate) */
	uint16_t len;
	uint8_t data[64];    /**< holds all but long heartbeats */
	struct ch_buf large; /**< a longer record; charged to the byte budget */
};

static inline const uint8_t *ch_control_record_data(const struct ch_control_record *record)
{
	return record->large.len > 0 ? record->large.data : record->data;
}

/** Such records waiting for one device; one that does not read them is stalled. */
#define CH_CONTROL_RECORDS_MAX 16

struct ch_conn {
	struct ch_timer
		timer; /**< deadline of the state; in OPEN the next request or probe deadline */
	struct ch_conn *next_turn; /**< queue of handshake steps */
	struct ch_login *login;	   /**< NULL once the record layer is armed */
	uint32_t slot;
	uint32_t generation;
	uint32_t device; /**< index in the inventory; CH_DEVICE_NONE until possession is proven */
	uint16_t version;
	uint8_t aead;
	uint8_t state;	      /**< enum ch_conn_state; written by ch_conn_event only */
	uint8_t inflight;     /**< operations whose last completion is still to come */
	uint8_t reading;      /**< op of the handshake read that is in flight; 0 = none */
	uint8_t alert;	      /**< alert to send at the end; 0 = close_notify */
	uint8_t rank : 2;     /**< enum ch_rank, of a login */
	bool handshaking : 1; /**< holds a place under max-handshakes */
	bool arrived : 1;     /**< the gate counts it for its source: ch_gate_leave is due */
	bool queued : 1;      /**< waits for a handshake turn */
	bool sending : 1;     /**< a send is in flight */
	bool receiving : 1;   /**< the multishot receive is armed */
	bool paused : 1;      /**< over its rate: not read for a while */
	bool armed : 1;	      /**< the record layer is in */
	bool claimed : 1;     /**< owned its device: was up */
	bool ended : 1;	      /**< the end was published */
	bool probing : 1;     /**< a liveness probe is out */
	bool ulp : 1;	      /**< the socket can take kernel TLS */
	bool next : 1;	      /**< our certificate is the one that takes the other's place */
	bool rx_kernel : 1;   /**< the kernel opens records */
	bool tx_kernel : 1;   /**< the kernel seals records */
	bool rekeying_tx : 1; /**< our keys are being changed: nothing may be sent */
	bool rekeying_rx : 1;
	bool expiry_due : 1;   /**< a KeyUpdate came: one receive ends for want of the new key */
	bool answered : 1;     /**< the device answered close-session: alive to the end */
	bool update_owed : 1;  /**< the device asked for a KeyUpdate: before our next data */
	bool update_asked : 1; /**< we asked for one, and it has not come yet */
	bool no_ems : 1;       /**< TLS 1.2 without extended master secret */
	uint8_t control_count;
	uint8_t reason;	       /**< enum ch_reason; written by ch_conn_end only */
	int16_t send_error;    /**< negated errno; the receive behind it may just end */
	uint8_t layer_why;     /**< enum ch_layer_why */
	uint8_t cipher;	       /**< ch_tls_cipher_name */
	uint8_t group;	       /**< of the key exchange */
	uint8_t signature;     /**< of the device's proof */
	uint8_t via;	       /**< ch_balancers_name */
	uint16_t issuers[CH_RECORD_ISSUERS]; /**< as in the record of the device */
	struct ch_control_record *control; /**< oldest first */
	uint8_t *new_keys[2];		   /**< by enum ch_ktls_direction; in flight */
	struct ch_file file;
	struct ch_address peer;
	struct ch_tlsmsg tlsmsg;
	struct ch_proof proof;	 /**< of nothing until possession is proven */
	struct ch_proven proven; /**< with it */
	uint64_t accepted_ns;
	uint64_t stage_ns;   /**< of a login: our ClientHello, then the end of the handshake */
	uint64_t heard_ns;   /**< last record received, heartbeats apart */
	union {
		uint32_t cost_us; /**< of a login: our time for its handshake steps */
		uint32_t flow_us; /**< OPEN: how long its bytes last at limits.session-rate */
	};
	uint32_t login_us;   /**< accept to hello done; 0 before */
	struct ch_buf queue; /**< waits behind @sent */
	uint8_t *sent;	     /**< in flight: what was the queue; must not move */
	uint32_t sent_len;
	uint32_t sent_cap;
	uint32_t sent_at;     /**< bytes of @sent that left */
	uint32_t answer_left; /**< user layer: bytes to be sent up to a heartbeat's answer */
	struct ch_heartbeat heartbeat;
	uint64_t control_tat_ns; /**< rate of records without application data */
	struct ch_record record;
	struct ch_client client;
};

/** Takes a turn of the state machine: the only way the state changes. */
void ch_conn_event(struct ch_worker *worker, struct ch_conn *conn, enum ch_conn_event event);

/** Ends the connection for @reason (the first one counts), with more words for the log or NULL. */
void ch_conn_end(struct ch_worker *worker, struct ch_conn *conn, enum ch_conn_event event,
		 enum ch_reason reason, const char *detail);

/** May what the peer sends still change anything? */
static inline bool ch_conn_listening(const struct ch_conn *conn)
{
	return conn->state == CH_CONN_HELLO_WAIT || conn->state == CH_CONN_OPEN ||
	       conn->state == CH_CONN_CLOSING;
}

/** Starts sending what is queued, unless a send is in flight. */
void ch_conn_flush(struct ch_worker *worker, struct ch_conn *conn);

/** Queues a control record of at most 16384 bytes for kernel TLS. @return 0, -ENOMEM, CH_E_BUDGET
 * or CH_E_LIMIT (too many wait). */
CH_NODISCARD int ch_conn_queue_control(struct ch_conn *conn, uint8_t type, const uint8_t *data,
				       size_t len, bool rekey);
/** Completion of a control record. */
void ch_conn_control_sent(struct ch_worker *worker, struct ch_conn *conn,
			  const struct ch_completion *c);
/** Sets the next generation of keys of a direction that is the kernel's. */
void ch_conn_rekey(struct ch_worker *worker, struct ch_conn *conn,
		   enum ch_ktls_direction direction);
void ch_conn_rekeyed(struct ch_worker *worker, struct ch_conn *conn,
		     enum ch_ktls_direction direction, const struct ch_completion *c);
void ch_conn_free_control(struct ch_conn *conn);

/** Completion of a send. */
void ch_conn_sent(struct ch_worker *worker, struct ch_conn *conn, const struct ch_completion *c);

/** Cancels an operation in flight. */
void ch_conn_cancel(struct ch_worker *worker, struct ch_conn *conn, uint8_t op);

/** Arms the timer for @conn's state. */
void ch_conn_arm_timer(struct ch_worker *worker, struct ch_conn *conn);
/** The timer fired. */
void ch_conn_timer(struct ch_worker *worker, struct ch_conn *conn);

/** The peer is gone: @result 0 = FIN, else a negated errno. */
void ch_conn_gone(struct ch_worker *worker, struct ch_conn *conn, int result);

/** Bytes queued or in flight. */
size_t ch_conn_unsent(const struct ch_conn *conn);
void ch_conn_init_queues(struct ch_worker *worker, struct ch_conn *conn);
void ch_conn_deinit_queues(struct ch_conn *conn);

/** Publishes that a proven device is logging in. */
void ch_conn_connecting(struct ch_worker *worker, struct ch_conn *conn);
/** The session is up: it owns its device now. @return the owner word it replaces. */
uint64_t ch_conn_claim(struct ch_worker *worker, struct ch_conn *conn);
/** Gives the place under max-handshakes back, once. */
void ch_conn_logged_in(struct ch_worker *worker, struct ch_conn *conn);

/* proxied.c: the connections of a load balancer */
/** Reads what is missing of the header. */
void ch_proxied_read(struct ch_worker *worker, struct ch_conn *conn);
void ch_proxied_received(struct ch_worker *worker, struct ch_conn *conn,
			 const struct ch_completion *c);

/* login.c */
/** Receives exactly @len bytes; the connection ends if that cannot be. */
void ch_login_receive(struct ch_worker *worker, struct ch_conn *conn, uint8_t op, void *into,
		      uint32_t len);
/**
 * Does one of @rank leave enough places under max-handshakes? No source takes more than it leaves,
 * of which @pending log in already: else the cap itself would be how to keep others out.
 */
bool ch_login_leaves_room(const struct ch_worker *worker, enum ch_rank rank, uint32_t pending);
/** A new connection on descriptor @fd. Takes the descriptor in every case. */
void ch_login_accept(struct ch_worker *worker, int fd, const struct ch_address *peer);
/** One handshake step: up to a millisecond of CPU. */
void ch_login_turn(struct ch_worker *worker, struct ch_conn *conn);
void ch_login_read(struct ch_worker *worker, struct ch_conn *conn);
void ch_login_received(struct ch_worker *worker, struct ch_conn *conn, uint8_t op,
		       const struct ch_completion *c);
/** Has the device sent anything? */
bool ch_login_heard(const struct ch_conn *conn);
/** After a failed handshake: reads and forgets until the device closes. */
void ch_login_discard(struct ch_worker *worker, struct ch_conn *conn);
void ch_login_free(struct ch_worker *worker, struct ch_login *login);

/* session.c */
/** Keys in, descriptor into the fixed table, multishot receive. @return 0 or an error. */
CH_NODISCARD int ch_session_arm(struct ch_worker *worker, struct ch_conn *conn);
void ch_session_receive(struct ch_worker *worker, struct ch_conn *conn);
void ch_session_received(struct ch_worker *worker, struct ch_conn *conn,
			 const struct ch_completion *c);
void ch_session_hello(struct ch_worker *worker, struct ch_conn *conn);
void ch_session_up(struct ch_worker *worker, struct ch_conn *conn);
void ch_session_close(struct ch_worker *worker, struct ch_conn *conn);
/** In the middle of what the device's bytes stop now, in words; NULL = between messages. */
const char *ch_session_unfinished(const struct ch_conn *conn);
/** Requests that timed out, the liveness probe. */
void ch_session_timer(struct ch_worker *worker, struct ch_conn *conn);
/** Earliest time ch_session_timer must run; UINT64_MAX = never. */
uint64_t ch_session_expiry(const struct ch_worker *worker, const struct ch_conn *conn);
/* flow.c */
void ch_flow_begin(const struct ch_worker *worker, struct ch_conn *conn);
/** @bytes of the device came; it is read no further while it is over limits.session-rate. */
void ch_flow_received(struct ch_worker *worker, struct ch_conn *conn, uint64_t bytes);
/** When ch_flow_tend must run; UINT64_MAX = never. */
uint64_t ch_flow_expiry(const struct ch_worker *worker, const struct ch_conn *conn);
/** Goes on reading a device that waited long enough. */
void ch_flow_tend(struct ch_worker *worker, struct ch_conn *conn);
/** Goes on reading in any case: the session is about to end. */
void ch_flow_resume(struct ch_worker *worker, struct ch_conn *conn);

/* heartbeat.c */
/** A heartbeat record came. */
void ch_session_heartbeat(struct ch_worker *worker, struct ch_conn *conn, const uint8_t *data,
			  size_t len);
/** When ch_session_heartbeat_timer must run; UINT64_MAX = never. */
uint64_t ch_session_heartbeat_expiry(const struct ch_worker *worker, const struct ch_conn *conn);
/** Asks a silent device, or ends its session. */
void ch_session_heartbeat_timer(struct ch_worker *worker, struct ch_conn *conn);

/* session.c */
/** Tells every waiting requester that the device is gone. */
void ch_session_fail_requests(struct ch_conn *conn);

/* postshake.c: TLS messages after the handshake, in both directions */
/** Seals a record without application data onto the queue. @return 0 or an error. */
CH_NODISCARD int ch_postshake_seal(struct ch_conn *conn, uint8_t type, const uint8_t *data,
				   size_t len);
/** Queues the alert of the end of @conn. */
void ch_postshake_say_alert(struct ch_worker *worker, struct ch_conn *conn);
/** May a record without application data be dealt with? false: they are too many. */
bool ch_postshake_allowed(struct ch_worker *worker, struct ch_conn *conn);
/**
 * Queues a KeyUpdate and changes our sending keys behind it. @ask: the device is to change its own.
 * @return false: the connection ended
 */
bool ch_postshake_key_update(struct ch_worker *worker, struct ch_conn *conn, bool ask);
/** Before application data is sealed: the KeyUpdate that is due. @return false: the connection
 * ended. */
bool ch_postshake_before_data(struct ch_worker *worker, struct ch_conn *conn);
/** After bytes came: sees to it that the device's key is not used beyond its limit. */
void ch_postshake_watch(struct ch_worker *worker, struct ch_conn *conn);
/**
 * The kernel receives nothing until it has a new key. @return may the receive be armed again? Else
 * the key is on its way, or the connection ended.
 */
bool ch_postshake_key_expired(struct ch_worker *worker, struct ch_conn *conn);
/** The kernel met a record that it cannot open (@error: -EBADMSG, -EMSGSIZE, -EINVAL). */
void ch_postshake_bad_record(struct ch_worker *worker, struct ch_conn *conn, int error);
/** An alert record came. */
void ch_postshake_alert(struct ch_worker *worker, struct ch_conn *conn, const uint8_t *data,
			size_t len);
/** A handshake record came. */
void ch_postshake_handshake(struct ch_worker *worker, struct ch_conn *conn, const uint8_t *data,
			    size_t len);

struct ch_job;
/** An application's request. */
void ch_session_request(struct ch_worker *worker, struct ch_conn *conn, struct ch_job *job);
