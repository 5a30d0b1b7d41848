/* SPDX-License-Identifier: Apache-2.0 */
/* links: proto core */
/*
 * Input: a byte for the mode, then records, each behind two bytes of length. An answer holds
 * nothing but the request's payload and our padding, never more than the record held; only our
 * cookie is an answer to us; what we write we read back.
 */
#include "fuzz.h"
#include "user/proto/heartbeat.h"

static const uint8_t padding[CH_HEARTBEAT_PADDING] = "PADDINGPADDING!";
static const struct ch_heartbeat_test test = {.max_wait_ns = 1000, .max_attempts = 2};

static void check_answer(const uint8_t *record, size_t len, struct ch_slice payload)
{
	struct ch_buf out = {0};
	struct ch_slice again;
	uint8_t type;

	check(payload.data == record + CH_HEARTBEAT_HEADER);
	check(payload.len + CH_HEARTBEAT_HEADER + CH_HEARTBEAT_PADDING <= len);
	check(ch_heartbeat_write(&out, CH_HEARTBEAT_RESPONSE, payload, padding) == 0);
	check(out.len <= len &&
	      out.len == payload.len + CH_HEARTBEAT_HEADER + CH_HEARTBEAT_PADDING);
	check(memcmp(out.data + out.len - CH_HEARTBEAT_PADDING, padding, CH_HEARTBEAT_PADDING) ==
	      0);
	check(ch_heartbeat_parse(out.data, out.len, &type, &again));
	check(type == CH_HEARTBEAT_RESPONSE && again.len == payload.len);
	check(memcmp(again.data, payload.data, payload.len) == 0);
	ch_buf_deinit(&out);
}

static void one(struct ch_heartbeat *heartbeat, const uint8_t *in, size_t len, uint64_t now_ns)
{
	bool asked = heartbeat->in_flight;
	struct ch_slice payload = {NULL, 0};
	uint8_t *record = malloc(len > 0 ? len : 1); /* exactly as long, for ASan */

	check(record != NULL);
	memcpy(record, in, len);
	switch (ch_heartbeat_received(heartbeat, record, len, now_ns, &payload)) {
	case CH_HEARTBEAT_ANSWER:
		check(heartbeat->mode != CH_HEARTBEAT_NONE && len <= CH_HEARTBEAT_MAX);
		check(record[0] == CH_HEARTBEAT_REQUEST);
		check_answer(record, len, payload);
		break;
	case CH_HEARTBEAT_ANSWERED:
		check(asked && !heartbeat->in_flight && record[0] == CH_HEARTBEAT_RESPONSE);
		check(payload.len == CH_HEARTBEAT_COOKIE &&
		      memcmp(payload.data, heartbeat->cookie, CH_HEARTBEAT_COOKIE) == 0);
		break;
	case CH_HEARTBEAT_CAPPED:
	case CH_HEARTBEAT_DISCARDED:
	case CH_HEARTBEAT_FLOOD:
		check(asked == heartbeat->in_flight);
		break;
	}
	free(record);
}

/* row: HB1 HB2 HB3 HB5 */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct ch_heartbeat heartbeat;
	uint64_t now_ns = 1;

	if (size < 1)
		return 0;
	ch_heartbeat_init(&heartbeat, (enum ch_heartbeat_mode)(data[0] % 3), now_ns);
	for (size_t at = 1; at + 2 <= size; now_ns += 1500) {
		size_t len = (size_t)data[at] << 8 | data[at + 1];

		at += 2;
		len = len < size - at ? len : size - at;
		check(ch_heartbeat_on_expiry(&heartbeat, &test, now_ns,
					     (const uint8_t *)"COOKIES!") == CH_HEARTBEAT_NOT_DUE ||
		      heartbeat.mode == CH_HEARTBEAT_ALLOWED);
		one(&heartbeat, data + at, len, now_ns);
		ch_heartbeat_heard(&heartbeat, now_ns);
		at += len;
	}
	return 0;
}
