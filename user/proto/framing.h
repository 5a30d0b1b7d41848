/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * NETCONF framing (RFC 6242): end-of-message (base:1.0) and chunked (base:1.1), as fragments.
 *
 * Contract of ch_framer_feed: on FRAGMENT, @used bytes were consumed and the fragment points into
 * the input (or at a static string: delimiter bytes held back at the end of the last input); it
 * lives until the next call. On MORE all input was consumed. On ERROR @framer->reason says why;
 * nothing more may be fed. Splitting the input anywhere gives the same messages. A message has
 * exactly one fragment with first and one with last (they may be the same; its len may be 0 on a
 * last fragment).
 *
 * White space before a message is skipped in end-of-message framing, and extra LFs before the first
 * chunk of a message in chunked framing (devices send ]]>]]> LF); both count as bytes of the
 * message. A delimiter alone is an empty message. A chunk over the limit is refused when its size
 * is read, before its bytes come.
 */
#include <callhome/reason.h>
#include "user/core/buf.h"
#include <stdbool.h>

enum ch_framing { CH_FRAMING_EOM, CH_FRAMING_CHUNKED };

struct ch_framer_limits {
	uint64_t max_message; /**< payload bytes per message */
	uint32_t max_chunks;  /**< chunks per message */
};

struct ch_framer {
	const struct ch_framer_limits *limits; /**< borrowed */
	uint64_t message_bytes; /**< of the message so far, white space before it included */
	uint32_t chunk_left;	/**< payload bytes left of this chunk; in its header: size so far */
	uint32_t chunks;	/**< chunks of the message so far */
	uint8_t framing;	/**< enum ch_framing */
	uint8_t state;
	uint8_t held;	 /**< EOM: delimiter bytes matched at the end of the last input */
	bool in_message; /**< a first fragment was given out, its last one not yet */
	uint8_t reason;	 /**< enum ch_reason, after ERROR: FRAMING or MESSAGE_LIMIT */
};

struct ch_fragment {
	const uint8_t *data;
	size_t len;
	bool first;
	bool last;
};

enum ch_framer_result { CH_FRAMER_MORE, CH_FRAMER_FRAGMENT, CH_FRAMER_ERROR };

/** Starts with end-of-message framing, as every session does. @limits must live as long. */
void ch_framer_init(struct ch_framer *framer, const struct ch_framer_limits *limits);

/** Switches the framing; legal only between messages (after the fragment with last). */
void ch_framer_set(struct ch_framer *framer, enum ch_framing framing);

enum ch_framer_result ch_framer_feed(struct ch_framer *framer, const uint8_t *in, size_t len,
				     size_t *used, struct ch_fragment *fragment);

/**
 * Appends @message framed. @return as ch_buf_reserve; CH_E_SYNTAX: the peer would not see the same
 * message (end-of-message framing: the delimiter is in it; chunked: it is empty); CH_E_LIMIT also:
 * more than 4294967295 bytes in chunked framing. On error @out is as it was.
 */
CH_NODISCARD int ch_frame(enum ch_framing framing, struct ch_slice message, struct ch_buf *out);

/** As ch_frame; the message is the @parts one behind the other. */
CH_NODISCARD int ch_frame_parts(enum ch_framing framing, const struct ch_slice *parts, size_t count,
				struct ch_buf *out);
