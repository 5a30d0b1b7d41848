/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * TLS heartbeats (RFC 6520) of one session, in either role. Sans-IO: the plaintext of heartbeat
 * records and the time go in, heartbeat messages come out; each is to be sent as one record of type
 * 24. The hello says who may send requests: we always let the peer, and ask only a peer that lets
 * us.
 *
 * Contract: ch_heartbeat_received consumes the whole record. A payload it hands out points into
 * that record. Nothing here ever ends a session by itself: the caller acts on FLOOD and on DEAD.
 */
#include "user/core/buf.h"
#include "user/core/heartbeat_mode.h"
#include "user/core/log.h"

#include <stdbool.h>

#define CH_HEARTBEAT_HEADER 3	/**< type, payload_length */
#define CH_HEARTBEAT_PADDING 16 /**< the least, and what we send */
#define CH_HEARTBEAT_MAX 16384	/**< of a whole message */
#define CH_HEARTBEAT_COOKIE 8	/**< payload of our requests */

/** Requests answered: so many at once, then so many a second. */
#define CH_HEARTBEAT_BURST 32
#define CH_HEARTBEAT_PER_SECOND 8
/** Heartbeat records of any kind that are borne: more is a flood. */
#define CH_HEARTBEAT_FLOOD_BURST 1024
#define CH_HEARTBEAT_FLOOD_PER_SECOND 128

enum ch_heartbeat_type { CH_HEARTBEAT_REQUEST = 1, CH_HEARTBEAT_RESPONSE = 2 };

/**
 * Reads one heartbeat message. @type is not judged. @return true and the payload; false: it is to
 * be dropped in silence (too short, too long, or a payload_length that the record does not hold)
 */
bool ch_heartbeat_parse(const uint8_t *record, size_t len, uint8_t *type, struct ch_slice *payload);

/**
 * Appends a message with these 16 random bytes of padding. The payload of a request that was parsed
 * always fits. @return 0, CH_E_RANGE (a longer payload than a message can have) or as ch_buf_append
 */
CH_NODISCARD int ch_heartbeat_write(struct ch_buf *out, enum ch_heartbeat_type type,
				    struct ch_slice payload,
				    const uint8_t padding[CH_HEARTBEAT_PADDING]);

/** test-peer-aliveness of RFC 9645. */
struct ch_heartbeat_test {
	uint64_t max_wait_ns;  /**< silence before we ask, and time for an answer; 0 = never ask */
	uint32_t max_attempts; /**< requests without an answer after which the peer is dead */
};

struct ch_heartbeat {
	uint64_t heard_ns;		     /**< the last record of any type */
	uint64_t asked_ns;		     /**< our last request */
	uint8_t cookie[CH_HEARTBEAT_COOKIE]; /**< payload of our request in flight */
	uint8_t mode;			     /**< enum ch_heartbeat_mode: what the peer said */
	uint8_t attempts;		     /**< requests since the peer was heard last */
	bool in_flight;			     /**< a request of ours may still be answered */
	uint64_t answers_tat_ns; /**< rates, as ch_rate_allow keeps them */
	uint64_t records_tat_ns;
};

void ch_heartbeat_init(struct ch_heartbeat *heartbeat, enum ch_heartbeat_mode mode,
		       uint64_t now_ns);

/** A record of any type came: the peer lives. */
static inline void ch_heartbeat_heard(struct ch_heartbeat *heartbeat, uint64_t now_ns)
{
	heartbeat->heard_ns = now_ns;
}

enum ch_heartbeat_result {
	CH_HEARTBEAT_ANSWER,	/**< send a RESPONSE with @payload */
	CH_HEARTBEAT_ANSWERED,	/**< it answers our request */
	CH_HEARTBEAT_DISCARDED, /**< malformed, unknown, unasked or not negotiated: nothing to do */
	CH_HEARTBEAT_CAPPED,	/**< a request too many: nothing to do */
	CH_HEARTBEAT_FLOOD,	/**< far too many: end the session */
};

/** One heartbeat record. */
enum ch_heartbeat_result ch_heartbeat_received(struct ch_heartbeat *heartbeat,
					       const uint8_t *record, size_t len, uint64_t now_ns,
					       struct ch_slice *payload);

/** When ch_heartbeat_on_expiry must be called; UINT64_MAX = never (the peer does not let us ask).
 */
uint64_t ch_heartbeat_expiry(const struct ch_heartbeat *heartbeat,
			     const struct ch_heartbeat_test *test);

enum ch_heartbeat_due {
	CH_HEARTBEAT_NOT_DUE,
	CH_HEARTBEAT_ASK,  /**< send a REQUEST with heartbeat->cookie as payload */
	CH_HEARTBEAT_DEAD, /**< max-attempts requests were not answered, nor was anything else heard
			    */
};

/** @random: becomes the cookie of a request, so that no answer can be prepared. */
enum ch_heartbeat_due ch_heartbeat_on_expiry(struct ch_heartbeat *heartbeat,
					     const struct ch_heartbeat_test *test, uint64_t now_ns,
					     const uint8_t random[CH_HEARTBEAT_COOKIE]);
