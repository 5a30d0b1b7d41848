/* SPDX-License-Identifier: Apache-2.0 */
/* links: proto core */
#include "user/proto/heartbeat.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#define SECOND UINT64_C(1000000000)
#define START (1000 * SECOND)
#define MOST (CH_HEARTBEAT_MAX - CH_HEARTBEAT_HEADER - CH_HEARTBEAT_PADDING)

static const uint8_t padding[CH_HEARTBEAT_PADDING] = "0123456789abcdef";
static const struct ch_heartbeat_test every_30s = {.max_wait_ns = 30 * SECOND, .max_attempts = 3};

static struct ch_heartbeat begin(enum ch_heartbeat_mode mode)
{
	struct ch_heartbeat heartbeat;

	ch_heartbeat_init(&heartbeat, mode, START);
	return heartbeat;
}

/* A record of @len bytes that claims @claimed bytes of payload; exactly as long, for ASan. */
static uint8_t *record_of(uint8_t type, size_t claimed, size_t len)
{
	uint8_t *record = malloc(len > 0 ? len : 1);

	cr_assert_not_null(record);
	for (size_t i = 0; i < len; i++)
		record[i] = (uint8_t)(i * 7 + 1);
	if (len >= 1)
		record[0] = type;
	if (len >= 3) {
		record[1] = (uint8_t)(claimed >> 8);
		record[2] = (uint8_t)claimed;
	}
	return record;
}

static enum ch_heartbeat_result receive(struct ch_heartbeat *heartbeat, uint8_t type,
					size_t claimed, size_t len)
{
	uint8_t *record = record_of(type, claimed, len);
	struct ch_slice payload = {NULL, 0};
	enum ch_heartbeat_result result =
		ch_heartbeat_received(heartbeat, record, len, START, &payload);

	if (result == CH_HEARTBEAT_ANSWER) {
		cr_assert_eq(payload.len, claimed);
		cr_assert_eq(payload.data, record + 3);
	}
	free(record);
	return result;
}

/* row: HB1 */
Test(heartbeat, a_response_copies_the_payload_and_brings_its_own_padding)
{
	static const size_t sizes[] = {0, 1, 16, 255, 256, 1000, MOST};

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		struct ch_heartbeat heartbeat = begin(CH_HEARTBEAT_ALLOWED);
		size_t len = 3 + sizes[i] + 16;
		uint8_t *record = record_of(CH_HEARTBEAT_REQUEST, sizes[i], len);
		struct ch_slice payload;
		struct ch_buf out = {0};

		cr_assert_eq(ch_heartbeat_received(&heartbeat, record, len, START, &payload),
			     CH_HEARTBEAT_ANSWER);
		cr_assert_eq(ch_heartbeat_write(&out, CH_HEARTBEAT_RESPONSE, payload, padding), 0);
		cr_assert_eq(out.len, len);
		cr_assert_eq(out.data[0], 2);
		cr_assert_eq(memcmp(out.data + 1, record + 1, 2 + sizes[i]), 0);
		cr_assert_arr_eq(out.data + 3 + sizes[i], padding, 16);
		cr_assert_neq(memcmp(out.data + 3 + sizes[i], record + 3 + sizes[i], 16), 0);
		ch_buf_deinit(&out);
		free(record);
	}
}

/* row: HB1 */
Test(heartbeat, longer_padding_of_the_peer_is_not_sent_back)
{
	struct ch_heartbeat heartbeat = begin(CH_HEARTBEAT_ALLOWED);
	uint8_t *record = record_of(CH_HEARTBEAT_REQUEST, 5, 5000);
	struct ch_slice payload;
	struct ch_buf out = {0};

	cr_assert_eq(ch_heartbeat_received(&heartbeat, record, 5000, START, &payload),
		     CH_HEARTBEAT_ANSWER);
	cr_assert_eq(ch_heartbeat_write(&out, CH_HEARTBEAT_RESPONSE, payload, padding), 0);
	cr_assert_eq(out.len, 3 + 5 + 16);
	ch_buf_deinit(&out);
	free(record);
}

/* row: HB2 */
Test(heartbeat, a_payload_length_that_the_record_does_not_hold_is_dropped)
{
	struct ch_heartbeat heartbeat = begin(CH_HEARTBEAT_ALLOWED);

	cr_assert_eq(receive(&heartbeat, CH_HEARTBEAT_REQUEST, 0xffff, 3), CH_HEARTBEAT_DISCARDED);
	cr_assert_eq(receive(&heartbeat, CH_HEARTBEAT_REQUEST, 0x4000, 19), CH_HEARTBEAT_DISCARDED);
	cr_assert_eq(receive(&heartbeat, CH_HEARTBEAT_REQUEST, 0xffff, 16384),
		     CH_HEARTBEAT_DISCARDED);
	/* every length of a record, at the boundary */
	for (size_t len = 0; len < 400; len++) {
		enum ch_heartbeat_result fits =
			len >= 19 ? CH_HEARTBEAT_ANSWER : CH_HEARTBEAT_DISCARDED;

		heartbeat = begin(CH_HEARTBEAT_ALLOWED);
		cr_assert_eq(
			receive(&heartbeat, CH_HEARTBEAT_REQUEST, len < 19 ? 0 : len - 19, len),
			fits, "%zu", len);
		cr_assert_eq(
			receive(&heartbeat, CH_HEARTBEAT_REQUEST, len < 19 ? 0 : len - 18, len),
			CH_HEARTBEAT_DISCARDED, "%zu", len);
		cr_assert_eq(receive(&heartbeat, CH_HEARTBEAT_REQUEST, len, len),
			     CH_HEARTBEAT_DISCARDED, "%zu", len);
	}
}

/* row: HB3 */
Test(heartbeat, a_message_has_at_most_16384_bytes)
{
	struct ch_heartbeat heartbeat = begin(CH_HEARTBEAT_ALLOWED);
	struct ch_buf out = {0};
	uint8_t *large = record_of(0, 0, MOST + 1);

	cr_assert_eq(receive(&heartbeat, CH_HEARTBEAT_REQUEST, MOST, 16384), CH_HEARTBEAT_ANSWER);
	cr_assert_eq(receive(&heartbeat, CH_HEARTBEAT_REQUEST, 1, 16384), CH_HEARTBEAT_ANSWER);
	cr_assert_eq(receive(&heartbeat, CH_HEARTBEAT_REQUEST, 1, 16385), CH_HEARTBEAT_DISCARDED);
	cr_assert_eq(receive(&heartbeat, CH_HEARTBEAT_REQUEST, MOST + 1, 16385),
		     CH_HEARTBEAT_DISCARDED);
	cr_assert_eq(ch_heartbeat_write(&out, CH_HEARTBEAT_RESPONSE,
					(struct ch_slice){large, MOST + 1}, padding),
		     CH_E_RANGE);
	cr_assert_eq(out.len, 0);
	free(large);
}

/* row: HB5 */
Test(heartbeat, unknown_types_are_dropped)
{
	for (unsigned type = 0; type < 256; type++) {
		struct ch_heartbeat heartbeat = begin(CH_HEARTBEAT_ALLOWED);

		cr_assert_eq(receive(&heartbeat, (uint8_t)type, 5, 40),
			     type == 1 ? CH_HEARTBEAT_ANSWER : CH_HEARTBEAT_DISCARDED, "%u", type);
	}
}

/* row: HB7 */
Test(heartbeat, nothing_is_answered_and_nobody_is_asked_where_it_was_not_negotiated)
{
	struct ch_heartbeat heartbeat = begin(CH_HEARTBEAT_NONE);

	cr_assert_eq(receive(&heartbeat, CH_HEARTBEAT_REQUEST, 5, 40), CH_HEARTBEAT_DISCARDED);
	cr_assert_eq(ch_heartbeat_expiry(&heartbeat, &every_30s), UINT64_MAX);
}

/* row: HB7 */
Test(heartbeat, a_peer_that_may_only_send_is_answered_and_never_asked)
{
	struct ch_heartbeat heartbeat = begin(CH_HEARTBEAT_NOT_ALLOWED);

	cr_assert_eq(receive(&heartbeat, CH_HEARTBEAT_REQUEST, 5, 40), CH_HEARTBEAT_ANSWER);
	cr_assert_eq(ch_heartbeat_expiry(&heartbeat, &every_30s), UINT64_MAX);
	cr_assert_eq(ch_heartbeat_on_expiry(&heartbeat, &every_30s, UINT64_MAX - 1, padding),
		     CH_HEARTBEAT_NOT_DUE);
}

/* row: HB8 */
Test(heartbeat, answers_are_capped)
{
	struct ch_heartbeat heartbeat = begin(CH_HEARTBEAT_ALLOWED);
	uint8_t *record = record_of(CH_HEARTBEAT_REQUEST, 5, 40);
	struct ch_slice payload;
	unsigned answers = 0;

	for (unsigned i = 0; i < 100; i++)
		answers += receive(&heartbeat, CH_HEARTBEAT_REQUEST, 5, 40) == CH_HEARTBEAT_ANSWER;
	cr_assert_eq(answers, CH_HEARTBEAT_BURST);
	cr_assert_eq(receive(&heartbeat, CH_HEARTBEAT_REQUEST, 5, 40), CH_HEARTBEAT_CAPPED);
	answers = 0;
	for (unsigned i = 0; i < 100; i++)
		answers += ch_heartbeat_received(&heartbeat, record, 40, START + SECOND,
						 &payload) == CH_HEARTBEAT_ANSWER;
	cr_assert_eq(answers, CH_HEARTBEAT_PER_SECOND);
	free(record);
}

/* row: HB8 */
Test(heartbeat, records_without_end_are_a_flood_whatever_they_are)
{
	for (unsigned mode = 0; mode <= 2; mode++) {
		struct ch_heartbeat heartbeat = begin((enum ch_heartbeat_mode)mode);

		for (unsigned i = 0; i < CH_HEARTBEAT_FLOOD_BURST; i++)
			cr_assert_neq(receive(&heartbeat, 1, 0, i % 40), CH_HEARTBEAT_FLOOD);
		cr_assert_eq(receive(&heartbeat, 1, 0, 0), CH_HEARTBEAT_FLOOD);
	}
}

static enum ch_heartbeat_due due(struct ch_heartbeat *heartbeat, uint64_t after_s)
{
	return ch_heartbeat_on_expiry(heartbeat, &every_30s, START + after_s * SECOND, padding);
}

/* row: HB7 */
Test(heartbeat, silence_is_asked_max_attempts_times_max_wait_apart)
{
	struct ch_heartbeat heartbeat = begin(CH_HEARTBEAT_ALLOWED);

	cr_assert_eq(ch_heartbeat_expiry(&heartbeat, &every_30s), START + 30 * SECOND);
	cr_assert_eq(due(&heartbeat, 29), CH_HEARTBEAT_NOT_DUE);
	for (unsigned i = 1; i <= 3; i++) {
		cr_assert_eq(due(&heartbeat, 30 * i), CH_HEARTBEAT_ASK);
		cr_assert_eq(due(&heartbeat, 30 * i), CH_HEARTBEAT_NOT_DUE, "one in flight");
		cr_assert_eq(ch_heartbeat_expiry(&heartbeat, &every_30s),
			     START + 30 * (i + 1) * SECOND);
	}
	cr_assert_eq(due(&heartbeat, 119), CH_HEARTBEAT_NOT_DUE);
	cr_assert_eq(due(&heartbeat, 120), CH_HEARTBEAT_DEAD);
}

/* row: HB7 */
Test(heartbeat, whatever_is_heard_is_life)
{
	struct ch_heartbeat heartbeat = begin(CH_HEARTBEAT_ALLOWED);

	cr_assert_eq(due(&heartbeat, 30), CH_HEARTBEAT_ASK);
	cr_assert_eq(due(&heartbeat, 60), CH_HEARTBEAT_ASK);
	cr_assert_eq(due(&heartbeat, 90), CH_HEARTBEAT_ASK);
	ch_heartbeat_heard(&heartbeat, START + 91 * SECOND);
	cr_assert_eq(ch_heartbeat_expiry(&heartbeat, &every_30s), START + 121 * SECOND);
	cr_assert_eq(due(&heartbeat, 121), CH_HEARTBEAT_ASK);
	cr_assert_eq(heartbeat.attempts, 1);
}

Test(heartbeat, max_wait_zero_never_asks)
{
	struct ch_heartbeat heartbeat = begin(CH_HEARTBEAT_ALLOWED);
	const struct ch_heartbeat_test never = {.max_wait_ns = 0, .max_attempts = 3};

	cr_assert_eq(ch_heartbeat_expiry(&heartbeat, &never), UINT64_MAX);
}

static enum ch_heartbeat_result respond(struct ch_heartbeat *heartbeat, const void *payload,
					size_t len)
{
	struct ch_slice part = {payload, len};
	struct ch_buf out = {0};
	enum ch_heartbeat_result result;

	cr_assert_eq(ch_heartbeat_write(&out, CH_HEARTBEAT_RESPONSE, part, padding), 0);
	result = ch_heartbeat_received(heartbeat, out.data, out.len, START, &part);
	ch_buf_deinit(&out);
	return result;
}

/* row: HB7 */
Test(heartbeat, only_the_cookie_of_the_request_in_flight_is_an_answer_and_only_once)
{
	struct ch_heartbeat heartbeat = begin(CH_HEARTBEAT_ALLOWED);

	cr_assert_eq(respond(&heartbeat, "\0\0\0\0\0\0\0\0", 8), CH_HEARTBEAT_DISCARDED, "unasked");
	cr_assert_eq(due(&heartbeat, 30), CH_HEARTBEAT_ASK);
	cr_assert_eq(respond(&heartbeat, "01234566", 8), CH_HEARTBEAT_DISCARDED);
	cr_assert_eq(respond(&heartbeat, "0123456", 7), CH_HEARTBEAT_DISCARDED);
	cr_assert_eq(respond(&heartbeat, "012345678", 9), CH_HEARTBEAT_DISCARDED);
	cr_assert_eq(respond(&heartbeat, "01234567", 8), CH_HEARTBEAT_ANSWERED);
	cr_assert_eq(respond(&heartbeat, "01234567", 8), CH_HEARTBEAT_DISCARDED, "once");
	cr_assert_eq(ch_heartbeat_on_expiry(&heartbeat, &every_30s, START + 60 * SECOND,
					    (const uint8_t *)"ABCDEFGH"),
		     CH_HEARTBEAT_ASK);
	cr_assert_eq(respond(&heartbeat, "01234567", 8), CH_HEARTBEAT_DISCARDED, "of the last one");
	cr_assert_eq(respond(&heartbeat, "ABCDEFGH", 8), CH_HEARTBEAT_ANSWERED);
}

Test(heartbeat, modes_have_the_names_of_the_rfc)
{
	cr_assert_str_eq(ch_heartbeat_mode_name(CH_HEARTBEAT_NONE), "none");
	cr_assert_str_eq(ch_heartbeat_mode_name(CH_HEARTBEAT_ALLOWED), "peer-allowed-to-send");
	cr_assert_str_eq(ch_heartbeat_mode_name(CH_HEARTBEAT_NOT_ALLOWED),
			 "peer-not-allowed-to-send");
	cr_assert_str_eq(ch_heartbeat_mode_name((enum ch_heartbeat_mode)9), "none");
}
