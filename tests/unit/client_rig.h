/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* A NETCONF client under test: what a device would say goes in, everything that comes out is text.
 */
#include "user/proto/client.h"

#define BASE "urn:ietf:params:xml:ns:netconf:base:1.0"
#define CAP(name) "<capability>urn:ietf:params:netconf:" name "</capability>"
#define HELLO(caps, rest)                                                                          \
	"<hello xmlns=\"" BASE "\"><capabilities>" caps "</capabilities>" rest "</hello>"
#define DEVICE(caps) HELLO(caps, "<session-id>4</session-id>") "]]>]]>"
#define B10 CAP("base:1.0")
#define B11 CAP("base:1.1")
#define NOTIFICATION CAP("capability:notification:1.0")
#define INTERLEAVE CAP("capability:interleave:1.0")
#define REPLY(id, inside) "<rpc-reply message-id=\"" id "\">" inside "</rpc-reply>"
#define NOTE(inside) "<notification>" inside "</notification>"
#define EOM "]]>]]>"

struct rig {
	struct ch_client client;
	struct ch_buf out; /**< what it sends */
	struct ch_buf log; /**< its events */
	bool in_parts;	   /**< the log ends inside a streamed reply */
};

/** Limits that no test reaches by accident. */
extern const struct ch_client_limits rig_limits;

/** A client whose own hello is out already. */
void rig_init(struct rig *rig, const struct ch_client_limits *limits, struct ch_budget *budget);
void rig_deinit(struct rig *rig);
/** rig_init, and the device's @hello brings the session up. */
void rig_up(struct rig *rig, const struct ch_client_limits *limits, const char *hello);

/**
 * Feeds a copy of exactly its size, only as long as there is input left, as a careless caller
 * would. In the log: U up, N notification, R reply, C closed, each as U id/cookie(text); the parts
 * of a streamed reply as one P; E and the reason of an error.
 */
void rig_feed(struct rig *rig, const char *in, size_t len);
void rig_feed_text(struct rig *rig, const char *in);

/** The log since the last time is @text. */
void rig_log_is(struct rig *rig, const char *text);
/** What was sent since the last time is @text. */
void rig_out_is(struct rig *rig, const char *text);

/** Sends <get/>. */
int64_t rig_request(struct rig *rig, uint64_t deadline_ns, bool stream, uint64_t cookie);

/** Appends @message to @wire in chunks of @chunk bytes. */
void rig_put_chunked(struct ch_buf *wire, const char *message, size_t chunk);
