/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The NETCONF <hello> (RFC 6241 section 8.1), both roles. */
#include <callhome/reason.h>
#include "user/core/buf.h"

/** Capabilities we act on; the rest is counted. */
enum {
	CH_CAP_BASE_1_0 = 1u << 0,
	CH_CAP_BASE_1_1 = 1u << 1,
	CH_CAP_NOTIFICATION = 1u << 2, /**< RFC 5277 */
	CH_CAP_INTERLEAVE = 1u << 3,   /**< RFC 5277 section 6 */
	CH_CAP_CANDIDATE = 1u << 4,
	CH_CAP_CONFIRMED_COMMIT = 1u << 5,
	CH_CAP_WRITABLE_RUNNING = 1u << 6,
	CH_CAP_STARTUP = 1u << 7,
	CH_CAP_XPATH = 1u << 8,
	CH_CAP_VALIDATE = 1u << 9,
	CH_CAP_URL = 1u << 10,
	CH_CAP_YANG_LIBRARY = 1u << 11,
};

struct ch_hello {
	uint32_t session_id;	   /**< 0 = absent */
	uint32_t capabilities;	   /**< CH_CAP_* */
	uint32_t capability_count; /**< all of them */
};

/** Limits: 4096 capabilities, 1 MiB of XML, depth 8. Over them a hello is a BAD_HELLO. */
#define CH_HELLO_MAX_BYTES ((size_t)1 << 20)

/**
 * Parses a device's hello (whole message, without delimiter) with expat: namespace checked, no DTD.
 * @return CH_REASON_NONE; BAD_HELLO; NO_SESSION_ID (missing, 0, not a number, > 4294967295);
 * NO_COMMON_BASE. INTERNAL: out of memory. Fields read so far are set in any case. White space
 * around the texts and parameters of a capability ('?' and on) are ignored, as are elements we do
 * not know.
 */
enum ch_reason ch_hello_parse_server(struct ch_slice xml, struct ch_hello *hello);

/**
 * Parses a client's hello: a session-id is an error there. @return NONE, BAD_HELLO, NO_COMMON_BASE,
 * INTERNAL.
 */
enum ch_reason ch_hello_parse_client(struct ch_slice xml, struct ch_hello *hello);

/**
 * Appends a hello without delimiter. @session_id 0: a client's. @capabilities: CH_CAP_* ;
 * @extra: further capability URIs, may be NULL. @return as ch_buf_reserve
 */
CH_NODISCARD int ch_hello_build(struct ch_buf *out, uint32_t session_id, uint32_t capabilities,
				const char *const *extra, size_t extra_count);
