/* SPDX-License-Identifier: Apache-2.0 */
#include "heartbeat.h"

#include <string.h>

bool ch_heartbeat_parse(const uint8_t *record, size_t len, uint8_t *type, struct ch_slice *payload)
{
	size_t claimed;

	if (len < CH_HEARTBEAT_HEADER + CH_HEARTBEAT_PADDING || len > CH_HEARTBEAT_MAX)
		return false;
	claimed = (size_t)record[1] << 8 | record[2];
	/* RFC 6520 section 4. This line was missing in OpenSSL once. */
	if (claimed > len - CH_HEARTBEAT_HEADER - CH_HEARTBEAT_PADDING)
		return false;
	*type = record[0];
	*payload = (struct ch_slice){record + CH_HEARTBEAT_HEADER, claimed};
	return true;
}

int ch_heartbeat_write(struct ch_buf *out, enum ch_heartbeat_type type, struct ch_slice payload,
		       const uint8_t padding[CH_HEARTBEAT_PADDING])
{
	const uint8_t header[CH_HEARTBEAT_HEADER] = {(uint8_t)type, (uint8_t)(payload.len >> 8),
						     (uint8_t)payload.len};
	int err;

	if (payload.len > CH_HEARTBEAT_MAX - CH_HEARTBEAT_HEADER - CH_HEARTBEAT_PADDING)
		return CH_E_RANGE;
	err = ch_buf_reserve(out, sizeof(header) + payload.len + CH_HEARTBEAT_PADDING);
	if (err == 0)
		err = ch_buf_append(out, header, sizeof(header));
	if (err == 0)
		err = ch_buf_append(out, payload.data, payload.len);
	return err != 0 ? err : ch_buf_append(out, padding, CH_HEARTBEAT_PADDING);
}

void ch_heartbeat_init(struct ch_heartbeat *heartbeat, enum ch_heartbeat_mode mode, uint64_t now_ns)
{
	memset(heartbeat, 0, sizeof(*heartbeat));
	heartbeat->mode = (uint8_t)mode;
	heartbeat->heard_ns = now_ns;
}

static enum ch_heartbeat_result response(struct ch_heartbeat *heartbeat, struct ch_slice payload)
{
	if (!heartbeat->in_flight || payload.len != CH_HEARTBEAT_COOKIE ||
	    memcmp(payload.data, heartbeat->cookie, CH_HEARTBEAT_COOKIE) != 0)
		return CH_HEARTBEAT_DISCARDED;
	heartbeat->in_flight = false;
	return CH_HEARTBEAT_ANSWERED;
}

enum ch_heartbeat_result ch_heartbeat_received(struct ch_heartbeat *heartbeat,
					       const uint8_t *record, size_t len, uint64_t now_ns,
					       struct ch_slice *payload)
{
	uint8_t type;

	if (!ch_rate_allow(&heartbeat->records_tat_ns, now_ns, CH_HEARTBEAT_FLOOD_PER_SECOND,
			   CH_HEARTBEAT_FLOOD_BURST))
		return CH_HEARTBEAT_FLOOD;
	if (heartbeat->mode == CH_HEARTBEAT_NONE ||
	    !ch_heartbeat_parse(record, len, &type, payload))
		return CH_HEARTBEAT_DISCARDED;
	if (type == CH_HEARTBEAT_RESPONSE)
		return response(heartbeat, *payload);
	if (type != CH_HEARTBEAT_REQUEST)
		return CH_HEARTBEAT_DISCARDED;
	if (!ch_rate_allow(&heartbeat->answers_tat_ns, now_ns, CH_HEARTBEAT_PER_SECOND,
			   CH_HEARTBEAT_BURST))
		return CH_HEARTBEAT_CAPPED;
	return CH_HEARTBEAT_ANSWER;
}

/* Requests count from the last sign of life: whatever the peer sent since, it lives. */
static bool heard_since_asked(const struct ch_heartbeat *heartbeat)
{
	return heartbeat->attempts == 0 || heartbeat->heard_ns >= heartbeat->asked_ns;
}

uint64_t ch_heartbeat_expiry(const struct ch_heartbeat *heartbeat,
			     const struct ch_heartbeat_test *test)
{
	if (test->max_wait_ns == 0 || heartbeat->mode != CH_HEARTBEAT_ALLOWED)
		return UINT64_MAX;
	return (heard_since_asked(heartbeat) ? heartbeat->heard_ns : heartbeat->asked_ns) +
	       test->max_wait_ns;
}

enum ch_heartbeat_due ch_heartbeat_on_expiry(struct ch_heartbeat *heartbeat,
					     const struct ch_heartbeat_test *test, uint64_t now_ns,
					     const uint8_t random[CH_HEARTBEAT_COOKIE])
{
	if (ch_heartbeat_expiry(heartbeat, test) > now_ns)
		return CH_HEARTBEAT_NOT_DUE;
	if (heard_since_asked(heartbeat))
		heartbeat->attempts = 0;
	if (heartbeat->attempts >= test->max_attempts)
		return CH_HEARTBEAT_DEAD;
	heartbeat->attempts++;
	heartbeat->asked_ns = now_ns;
	/* The one before is given up: RFC 6520 section 4 allows one in flight. */
	memcpy(heartbeat->cookie, random, CH_HEARTBEAT_COOKIE);
	heartbeat->in_flight = true;
	return CH_HEARTBEAT_ASK;
}
