/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The NETCONF client of one session (RFC 6241, 6242, 5277). Sans-IO: plaintext and time in, events
 * and plaintext out.
 *
 * Contract of ch_client_feed: on EVENT, @used bytes were consumed; call again with the rest. On
 * MORE all input was consumed (a partial message was copied, growing with the bytes received, and
 * counted). On ERROR the session is over, @client->reason says why; nothing more may be fed and
 * nothing needs to be sent. Slices of an event live until the next ch_client_feed or _deinit.
 * Output appended to @out by any call must be sent, in order. Where a message was collected or
 * streamed, @used leaves its very last byte in the rest: the call that takes it frees the memory or
 * brings the REPLY, so a caller that loops until its input is used up never misses either.
 *
 * Three ways to consume a message: whole in the input (the event points into it, nothing copied),
 * collected (it straddled inputs: the event points into the client's own buffer), and streamed (a
 * reply whose request asked for it: REPLY_PART events as the fragments come, then REPLY with an
 * empty message; parts point into the input, but for the head where it straddled inputs).
 *
 * What ends a session: the first message is not a hello (BAD_HELLO, NO_SESSION_ID, NO_COMMON_BASE);
 * later one that is neither rpc-reply nor notification, an empty one included (BAD_MESSAGE); a
 * reply without the message-id of a request that waits (UNEXPECTED_REPLY); framing and limits
 * (FRAMING, MESSAGE_LIMIT, BYTE_BUDGET). A message that straddles inputs is judged as soon as its
 * first start tag is there. White space between messages is no message (see framing.h).
 */
#include "framing.h"
#include "hello.h"
#include "message.h"

#define CH_CLIENT_OUTSTANDING 8 /**< requests without reply at a time */

struct ch_client_limits {
	struct ch_framer_limits framing;
	uint32_t max_depth; /**< XML nesting where a message is parsed */
};

struct ch_request {
	uint64_t cookie;      /**< the caller's */
	uint64_t deadline_ns; /**< UINT64_MAX: timed out already, the late reply will be dropped */
	uint32_t id;	      /**< message-id; 0 = free entry */
	bool stream;
};

enum ch_client_state { CH_CLIENT_HELLO, CH_CLIENT_OPEN, CH_CLIENT_CLOSING, CH_CLIENT_FAILED };

struct ch_client {
	const struct ch_client_limits *limits; /**< borrowed */
	struct ch_framer framer;
	struct ch_buf partial; /**< the message in progress, when it straddles inputs */
	struct ch_hello hello; /**< the device's, from OPEN on */
	uint32_t next_id;      /**< message-id of the next request */
	/**
	 * CH_CLIENT_OUTSTANDING + 1, the last of them for close-session. Memory of its own only
	 * while a request is out: an idle session has none. Never NULL; free entries are all zero
	 * and may not be written.
	 */
	struct ch_request *requests;
	uint64_t copied;       /**< bytes that went through @partial, ever */
	uint32_t subscribe_id; /**< message-id of a create-subscription without answer, 0 = none */
	uint32_t next_scan;    /**< look for the start tag when @partial has so many bytes */
	uint8_t state;	       /**< enum ch_client_state */
	uint8_t due;	       /**< what the next feed has to do first (client.c) */
	int8_t streaming;      /**< request that owns the message in progress, -1 = none */
	bool owed : 1;	       /**< the framer has seen one byte more than the last @used */
	bool subscribed : 1;   /**< create-subscription was answered with ok */
	uint8_t reason;	       /**< enum ch_reason, after ERROR */
};

enum ch_client_event_kind {
	CH_CLIENT_UP,		/**< the device's hello (@message) is complete: the session is up */
	CH_CLIENT_NOTIFICATION, /**< @message: the whole <notification> */
	CH_CLIENT_REPLY,	/**< @message: the whole <rpc-reply>; empty when it was streamed */
	CH_CLIENT_REPLY_PART,	/**< streamed: @message is the next piece */
	CH_CLIENT_CLOSED,	/**< the reply to close-session */
	CH_CLIENT_TIMEOUT,	/**< no reply before the deadline (only from ch_client_expire) */
};

struct ch_client_event {
	enum ch_client_event_kind kind;
	uint32_t id;	 /**< message-id of the request */
	uint64_t cookie; /**< of the request */
	struct ch_slice message;
};

enum ch_client_result { CH_CLIENT_MORE, CH_CLIENT_EVENT, CH_CLIENT_ERROR };

void ch_client_init(struct ch_client *client, const struct ch_client_limits *limits,
		    struct ch_budget *budget);
void ch_client_deinit(struct ch_client *client);

/** Appends our hello (base:1.0 and 1.1). Both sides send at once. @return as ch_buf_reserve. */
CH_NODISCARD int ch_client_start(struct ch_client *client, struct ch_buf *out);

enum ch_client_result ch_client_feed(struct ch_client *client, const uint8_t *in, size_t len,
				     size_t *used, struct ch_client_event *event);

/**
 * Sends a request: @operation is the XML inside <rpc>. Pipelining is allowed up to
 * CH_CLIENT_OUTSTANDING. @stream: deliver the reply in parts.
 * @return the message-id (> 0); CH_E_STATE: not open, or subscribed without :interleave (RFC 5277
 * section 6: such a session takes only close-session; neither while the answer to the subscription
 * is awaited); CH_E_LIMIT: too many outstanding, those that timed out and were never answered
 * included; or as ch_frame. A @deadline_ns of UINT64_MAX is as good as none.
 */
CH_NODISCARD int64_t ch_client_request(struct ch_client *client, struct ch_slice operation,
				       uint64_t deadline_ns, bool stream, uint64_t cookie,
				       struct ch_buf *out);

/**
 * create-subscription to stream NETCONF (RFC 5277), at most one per session.
 * @return as ch_client_request; CH_E_UNSUPPORTED: the device lacks :notification; CH_E_STATE also
 * when a subscription exists or is under way
 */
CH_NODISCARD int64_t ch_client_subscribe(struct ch_client *client, uint64_t deadline_ns,
					 uint64_t cookie, struct ch_buf *out);

/**
 * close-session (cookie 0); afterwards only replies and notifications under way are delivered. Goes
 * beyond CH_CLIENT_OUTSTANDING and past :interleave. @return as ch_client_request.
 */
CH_NODISCARD int64_t ch_client_close(struct ch_client *client, uint64_t deadline_ns,
				     struct ch_buf *out);

/** Has a message begun whose end has not come? */
bool ch_client_pending(const struct ch_client *client);

/** Earliest deadline of a request that waits; UINT64_MAX = none. */
uint64_t ch_client_expiry(const struct ch_client *client);

/** One request whose deadline is <= @now_ns becomes a TIMEOUT event. @return false: none (left). */
bool ch_client_expire(struct ch_client *client, uint64_t now_ns, struct ch_client_event *event);
