/* SPDX-License-Identifier: Apache-2.0 */
/* links: tls core */
#include "user/tls/record.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct suite {
	uint16_t version;
	uint8_t aead;
	uint8_t secret_len;
	size_t overhead; /**< bytes of a sealed empty record */
};

static const struct suite suites[] = {
	{CH_TLS_1_2, CH_AEAD_AES_128_GCM, 0, 29},
	{CH_TLS_1_2, CH_AEAD_AES_256_GCM, 0, 29},
	{CH_TLS_1_2, CH_AEAD_CHACHA20_POLY1305, 0, 21},
	{CH_TLS_1_3, CH_AEAD_AES_128_GCM, 32, 22},
	{CH_TLS_1_3, CH_AEAD_AES_256_GCM, 48, 22},
	{CH_TLS_1_3, CH_AEAD_CHACHA20_POLY1305, 32, 22},
};
#define SUITES (sizeof(suites) / sizeof(suites[0]))

/** Two ends that share an engine, as all sessions of a thread do. */
struct pair {
	struct ch_record_engine *engine;
	struct ch_record a;
	struct ch_record b;
	struct ch_buf wire; /**< what A sealed */
};

static void direction_of(struct ch_direction_keys *keys, unsigned seed)
{
	for (unsigned i = 0; i < 32; i++)
		keys->key[i] = (uint8_t)(seed + i);
	for (unsigned i = 0; i < 12; i++)
		keys->iv[i] = (uint8_t)(seed * 3 + i);
	for (unsigned i = 0; i < 48; i++)
		keys->secret[i] = (uint8_t)(seed * 5 + i);
	keys->sequence = seed;
	keys->explicit_nonce = UINT64_C(0x0102030405060708) + seed;
}

static void pair_init_seeded(struct pair *pair, const struct suite *suite, unsigned seed,
			     struct ch_record_engine *engine)
{
	struct ch_record_keys keys = {
		.version = suite->version, .aead = suite->aead, .secret_len = suite->secret_len};
	struct ch_direction_keys swap;

	memset(pair, 0, sizeof(*pair));
	if (engine == NULL)
		cr_assert_eq(ch_record_engine_new(&pair->engine), 0);
	else
		pair->engine = engine;
	direction_of(&keys.tx, seed);
	direction_of(&keys.rx, seed + 100);
	ch_record_init(&pair->a, pair->engine, &keys, NULL);
	swap = keys.tx;
	keys.tx = keys.rx;
	keys.rx = swap;
	ch_record_init(&pair->b, pair->engine, &keys, NULL);
}

static void pair_init(struct pair *pair, const struct suite *suite)
{
	pair_init_seeded(pair, suite, 1, NULL);
}

static void pair_deinit(struct pair *pair)
{
	ch_record_deinit(&pair->a);
	ch_record_deinit(&pair->b);
	ch_record_engine_free(pair->engine);
	ch_buf_deinit(&pair->wire);
}

static void seal(struct pair *pair, uint8_t type, const void *data, size_t len)
{
	struct ch_slice part = {data, len};

	cr_assert_eq(ch_record_seal(&pair->a, type, &part, 1, &pair->wire), 0);
}

static void seal_text(struct pair *pair, const char *text)
{
	seal(pair, CH_RECORD_DATA, text, strlen(text));
}

/** Opens the next record of the wire, which stays as it is behind it. */
static enum ch_record_result open_next(struct pair *pair, struct ch_record_event *event, size_t *at)
{
	enum ch_record_result result;
	size_t used;

	result =
		ch_record_open(&pair->b, pair->wire.data + *at, pair->wire.len - *at, &used, event);
	*at += used;
	return result;
}

static void expect_event(const struct ch_record_event *event, uint8_t type, const char *text)
{
	cr_assert_eq(event->type, type);
	cr_assert_eq(event->len, strlen(text));
	cr_assert_eq(memcmp(event->data, text, event->len), 0);
}

static void expect_error(struct pair *pair, enum ch_reason reason, uint8_t alert)
{
	struct ch_record_event event;
	size_t at = 0;

	cr_assert_eq(open_next(pair, &event, &at), CH_RECORD_ERROR);
	cr_assert_eq(pair->b.reason, reason);
	cr_assert_eq(pair->b.alert, alert);
}

static void from_hex(const char *hex, uint8_t *out)
{
	unsigned byte;

	for (; sscanf(hex, "%2x", &byte) == 1; hex += 2)
		*out++ = (uint8_t)byte;
}

/* RFC 8448 section 3, "send application_data record": keys of the client, 50 bytes 00..31. */
Test(record, seals_and_opens_the_record_of_rfc8448)
{
	static const char sealed[] =
		"1703030043a23f7054b62c94d0affafe8228ba55cbefacea42f914aa66bcab3f2b9819a8a5b46b395b"
		"d54a9a20441e2b62974e1f5a6292a2977014bd1e3deae63aeebb21694915e4";
	struct pair pair;
	struct ch_record_event event;
	uint8_t plain[50];
	uint8_t expected[72];
	size_t at = 0;

	pair_init(&pair, &suites[3]);
	memset(&pair.a.keys.tx, 0, sizeof(pair.a.keys.tx));
	from_hex("17422dda596ed5d9acd890e3c63f5051", pair.a.keys.tx.key);
	from_hex("5b78923dee08579033e523d9", pair.a.keys.tx.iv);
	pair.b.keys.rx = pair.a.keys.tx;
	for (unsigned i = 0; i < 50; i++)
		plain[i] = (uint8_t)i;
	from_hex(sealed, expected);
	seal(&pair, CH_RECORD_DATA, plain, 50);
	cr_assert_eq(pair.wire.len, 72);
	cr_assert_eq(memcmp(pair.wire.data, expected, 72), 0);
	cr_assert_eq(open_next(&pair, &event, &at), CH_RECORD_EVENT);
	cr_assert_eq(event.len, 50);
	cr_assert_eq(memcmp(event.data, plain, 50), 0);
	pair_deinit(&pair);
}

static void check_size(const struct suite *suite, size_t len)
{
	struct pair pair;
	struct ch_record_event event;
	uint8_t *plain = malloc(len + 1);
	uint64_t records = len == 0 ? 1 : (len + 16383) / 16384;
	size_t got = 0;
	size_t at = 0;

	for (size_t i = 0; i < len; i++)
		plain[i] = (uint8_t)(i * 7);
	pair_init(&pair, suite);
	seal(&pair, CH_RECORD_DATA, plain, len);
	cr_assert_eq(pair.wire.len, len + records * suite->overhead);
	cr_assert_eq(pair.a.keys.tx.sequence, 1 + records);
	while (open_next(&pair, &event, &at) == CH_RECORD_EVENT) {
		cr_assert_eq(event.type, CH_RECORD_DATA);
		cr_assert(event.data >= pair.wire.data &&
			  event.data < pair.wire.data + pair.wire.len);
		cr_assert_eq(memcmp(event.data, plain + got, event.len), 0);
		got += event.len;
	}
	cr_assert_eq(pair.b.reason, CH_REASON_NONE);
	cr_assert_eq(got, len);
	cr_assert_eq(at, pair.wire.len);
	cr_assert_eq(pair.b.keys.rx.sequence, 1 + records);
	cr_assert_eq(pair.b.copied, 0);
	pair_deinit(&pair);
	free(plain);
}

Test(record, opens_in_place_what_the_other_end_sealed)
{
	static const size_t sizes[] = {0, 1, 15, 16, 17, 200, 16383, 16384, 16385, 50000};

	for (size_t s = 0; s < SUITES; s++)
		for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
			check_size(&suites[s], sizes[i]);
}

Test(record, gathers_parts_into_one_record)
{
	struct ch_slice parts[] = {
		CH_LIT("<rpc"), {NULL, 0}, CH_LIT("/>"), CH_LIT("\n#"), {NULL, 0}};
	struct pair pair;
	struct ch_record_event event;
	size_t at = 0;

	for (size_t s = 0; s < SUITES; s++) {
		at = 0;
		pair_init(&pair, &suites[s]);
		cr_assert_eq(ch_record_seal(&pair.a, CH_RECORD_DATA, parts, 5, &pair.wire), 0);
		cr_assert_eq(open_next(&pair, &event, &at), CH_RECORD_EVENT);
		expect_event(&event, CH_RECORD_DATA, "<rpc/>\n#");
		pair_deinit(&pair);
	}
}

#define LOG 256

/** Appends every event of the input to @log, as "type:data|". */
static void collect(struct pair *pair, const uint8_t *in, size_t len, char *log)
{
	struct ch_record_event event;
	/* Of its own, so that ASan sees a read past its end. */
	uint8_t *piece = malloc(len > 0 ? len : 1);
	enum ch_record_result result;
	size_t at = 0;
	size_t used;

	memcpy(piece, in, len);
	while ((result = ch_record_open(&pair->b, piece + at, len - at, &used, &event)) ==
	       CH_RECORD_EVENT) {
		at += used;
		snprintf(log + strlen(log), LOG - strlen(log), "%u:%.*s|", event.type,
			 (int)event.len, (const char *)event.data);
	}
	cr_assert_eq(result, CH_RECORD_MORE);
	cr_assert_eq(at + used, len);
	free(piece);
}

static void seal_mix(struct pair *pair)
{
	seal_text(pair, "one");
	seal_text(pair, "");
	seal(pair, CH_RECORD_HANDSHAKE, "ticket", 6);
	seal_text(pair, "a longer piece of text that spans");
	seal(pair, CH_RECORD_ALERT, "\1", 1);
}

#define MIX "23:one|23:|22:ticket|23:a longer piece of text that spans|21:\1|"

static void check_splits(const struct suite *suite)
{
	struct pair pair;
	char log[LOG];
	size_t len;

	pair_init(&pair, suite);
	seal_mix(&pair);
	len = pair.wire.len;
	pair_deinit(&pair);
	for (size_t split = 0; split <= len; split++) {
		pair_init(&pair, suite);
		seal_mix(&pair);
		log[0] = '\0';
		collect(&pair, pair.wire.data, split, log);
		cr_assert_eq(ch_record_pending(&pair.b), pair.b.partial.len > 0);
		collect(&pair, pair.wire.data + split, len - split, log);
		cr_assert_str_eq(log, MIX);
		cr_assert_not(ch_record_pending(&pair.b));
		cr_assert_null(pair.b.partial.data);
		pair_deinit(&pair);
	}
}

Test(record, every_split_of_the_input_gives_the_same_events)
{
	for (size_t s = 0; s < SUITES; s++)
		check_splits(&suites[s]);
}

Test(record, single_bytes_give_the_same_events)
{
	struct pair pair;
	char log[LOG];

	for (size_t s = 0; s < SUITES; s++) {
		pair_init(&pair, &suites[s]);
		seal_mix(&pair);
		log[0] = '\0';
		for (size_t i = 0; i < pair.wire.len; i++)
			collect(&pair, pair.wire.data + i, 1, log);
		cr_assert_str_eq(log, MIX);
		cr_assert_eq(pair.b.copied, pair.wire.len);
		pair_deinit(&pair);
	}
}

Test(record, only_the_record_that_straddles_is_copied)
{
	struct pair pair;
	char log[LOG] = "";

	pair_init(&pair, &suites[0]);
	seal_text(&pair, "0123456789");
	seal_text(&pair, "0123456789");
	seal_text(&pair, "0123456789");
	collect(&pair, pair.wire.data, 39 + 20, log);
	cr_assert_eq(pair.b.copied, 20);
	cr_assert(ch_record_pending(&pair.b));
	collect(&pair, pair.wire.data + 59, 2 * 39 - 20, log);
	cr_assert_eq(pair.b.copied, 39);
	cr_assert_str_eq(log, "23:0123456789|23:0123456789|23:0123456789|");
	pair_deinit(&pair);
}

/* A dribbling device must not pin a whole record's buffer. */
Test(record, the_partial_record_grows_with_the_bytes_received)
{
	struct ch_budget budget = {0, 0};
	struct ch_record_event event;
	struct pair pair;
	uint8_t plain[16384] = {0};
	size_t used;

	pair_init(&pair, &suites[3]);
	pair.b.partial.budget = &budget;
	seal(&pair, CH_RECORD_DATA, plain, sizeof(plain));
	cr_assert_eq(ch_record_open(&pair.b, pair.wire.data, 6, &used, &event), CH_RECORD_MORE);
	cr_assert_eq(used, 6);
	cr_assert_eq(budget.used, 64);
	cr_assert_eq(ch_record_open(&pair.b, pair.wire.data + 6, 1000, &used, &event),
		     CH_RECORD_MORE);
	cr_assert_eq(budget.used, 1006);
	cr_assert_eq(ch_record_open(&pair.b, pair.wire.data + 1006, 15400, &used, &event),
		     CH_RECORD_EVENT);
	cr_assert_eq(event.len, 16384);
	cr_assert_eq(ch_record_open(&pair.b, pair.wire.data, 0, &used, &event), CH_RECORD_MORE);
	cr_assert_eq(budget.used, 0);
	pair_deinit(&pair);
}

Test(record, a_spent_budget_ends_the_session_by_name)
{
	struct ch_budget budget = {0, 100};
	struct ch_record_event event;
	struct pair pair;
	size_t used;

	pair_init(&pair, &suites[3]);
	pair.b.partial.budget = &budget;
	seal(&pair, CH_RECORD_DATA, (uint8_t[200]){0}, 200);
	cr_assert_eq(ch_record_open(&pair.b, pair.wire.data, 150, &used, &event), CH_RECORD_ERROR);
	cr_assert_eq(pair.b.reason, CH_REASON_BYTE_BUDGET);
	cr_assert_eq(pair.b.alert, 80);
	pair_deinit(&pair);
	cr_assert_eq(budget.used, 0);
}

static uint8_t alert_for_header_byte(const struct suite *suite, size_t at, const uint8_t *wire)
{
	size_t body = (size_t)wire[3] << 8 | wire[4];

	if (at == 0)
		return wire[0] == 23 || suite->version == CH_TLS_1_2 ? 20 : 10;
	if (at < 3)
		return 10;
	return at < 5 && body > 16384 + suite->overhead - 5 ? 22 : 20;
}

/* A longer length waits for bytes that never come: the test cuts those off. */
static bool waits_for_more(const uint8_t *wire, size_t len)
{
	size_t body = (size_t)wire[3] << 8 | wire[4];

	return body > len - 5 && body <= 16384;
}

Test(record, a_flipped_bit_anywhere_is_a_bad_record)
{
	struct pair pair;

	for (size_t s = 0; s < SUITES; s++) {
		size_t len = 21 + suites[s].overhead;

		for (size_t bit = 0; bit < 8 * len; bit++) {
			uint8_t *wire;
			bool more;

			pair_init(&pair, &suites[s]);
			seal_text(&pair, "some text to tamper w");
			wire = pair.wire.data;
			cr_assert_eq(pair.wire.len, len);
			wire[bit / 8] ^= (uint8_t)(1 << bit % 8);
			more = bit / 8 >= 3 && bit / 8 < 5 && waits_for_more(wire, len);
			if (!more)
				expect_error(&pair, CH_REASON_BAD_RECORD,
					     alert_for_header_byte(&suites[s], bit / 8, wire));
			pair_deinit(&pair);
		}
	}
}

static void check_header(const struct suite *suite, const uint8_t header[5], uint8_t alert)
{
	struct ch_record_event event;
	struct pair pair;
	uint8_t in[5];
	size_t used;

	pair_init(&pair, suite);
	memcpy(in, header, 5);
	cr_assert_eq(ch_record_open(&pair.b, in, 5, &used, &event), CH_RECORD_ERROR);
	cr_assert_eq(pair.b.reason, CH_REASON_BAD_RECORD);
	cr_assert_eq(pair.b.alert, alert);
	pair_deinit(&pair);
}

Test(record, judges_the_header_before_it_waits_for_the_body)
{
	for (size_t s = 0; s < SUITES; s++) {
		uint8_t most = (uint8_t)(suites[s].overhead - 5);

		/* version */
		check_header(&suites[s], (uint8_t[]){23, 3, 1, 0, 40}, 10);
		check_header(&suites[s], (uint8_t[]){23, 3, 4, 0, 40}, 10);
		check_header(&suites[s], (uint8_t[]){23, 2, 3, 0, 40}, 10);
		/* length: one more than 16384 bytes of plaintext need, one less than none needs */
		check_header(&suites[s], (uint8_t[]){23, 3, 3, 0x40, (uint8_t)(most + 1)}, 22);
		check_header(&suites[s], (uint8_t[]){23, 3, 3, 0xff, 0xff}, 22);
		check_header(&suites[s], (uint8_t[]){23, 3, 3, 0, (uint8_t)(most - 1)}, 20);
		check_header(&suites[s], (uint8_t[]){23, 3, 3, 0, 0}, 20);
	}
	/* the type of TLS 1.2 is judged when it is authentic */
	for (size_t s = 3; s < SUITES; s++) {
		check_header(&suites[s], (uint8_t[]){20, 3, 3, 0, 1}, 10);
		check_header(&suites[s], (uint8_t[]){19, 3, 3, 0, 40}, 10);
		check_header(&suites[s], (uint8_t[]){25, 3, 3, 0, 40}, 10);
		check_header(&suites[s], (uint8_t[]){21, 3, 3, 0, 19}, 10);
		check_header(&suites[s], (uint8_t[]){22, 3, 3, 0, 40}, 10);
		check_header(&suites[s], (uint8_t[]){24, 3, 3, 0, 40}, 10);
	}
}

/* Sealed as type 0, the plaintext brings its own inner type and the 0 is padding. */
Test(record, strips_tls13_padding)
{
	uint8_t padded[16384] = "text\x17";
	struct ch_record_event event;
	struct pair pair;
	size_t at = 0;

	pair_init(&pair, &suites[3]);
	seal(&pair, 0, padded, 5);
	seal(&pair, 0, padded, 300);
	seal(&pair, 0, padded, 16384);
	for (unsigned i = 0; i < 3; i++) {
		cr_assert_eq(open_next(&pair, &event, &at), CH_RECORD_EVENT);
		expect_event(&event, CH_RECORD_DATA, "text");
	}
	cr_assert_eq(open_next(&pair, &event, &at), CH_RECORD_MORE);
	pair_deinit(&pair);
}

Test(record, tls13_plaintext_that_is_all_padding_is_a_bad_record)
{
	static const size_t sizes[] = {0, 1, 500, 16384};

	for (size_t i = 0; i < 4; i++) {
		static const uint8_t zeros[16384];
		struct pair pair;

		pair_init(&pair, &suites[3]);
		seal(&pair, 0, zeros, sizes[i]);
		expect_error(&pair, CH_REASON_BAD_RECORD, 10);
		pair_deinit(&pair);
	}
}

static void check_type(const struct suite *suite, uint8_t type, size_t len, bool allowed)
{
	struct ch_record_event event;
	struct pair pair;
	size_t at = 0;

	pair_init(&pair, suite);
	seal(&pair, type, "x", len);
	if (allowed)
		cr_assert_eq(open_next(&pair, &event, &at), CH_RECORD_EVENT);
	else
		expect_error(&pair, CH_REASON_UNEXPECTED_RECORD, 10);
	pair_deinit(&pair);
}

/* Empty ones too: the caller refuses what RFC 8446 section 5.4 does, on both record layers. */
Test(record, an_authentic_record_of_an_illegal_type_is_unexpected)
{
	for (size_t s = 0; s < SUITES; s++) {
		for (unsigned type = 1; type < 256; type++) {
			check_type(&suites[s], (uint8_t)type, 1, type >= 21 && type <= 24);
			check_type(&suites[s], (uint8_t)type, 0, type >= 21 && type <= 24);
		}
	}
}

Test(record, reports_every_type)
{
	static const uint8_t types[] = {CH_RECORD_ALERT, CH_RECORD_HANDSHAKE, CH_RECORD_HEARTBEAT,
					CH_RECORD_DATA};
	struct ch_record_event event;
	struct pair pair;

	for (size_t s = 0; s < SUITES; s++) {
		size_t at = 0;

		pair_init(&pair, &suites[s]);
		for (size_t i = 0; i < 4; i++) {
			seal(&pair, types[i], "ab", 2);
			cr_assert_eq(open_next(&pair, &event, &at), CH_RECORD_EVENT);
			expect_event(&event, types[i], "ab");
		}
		pair_deinit(&pair);
	}
}

/* How many of them a session may bring is its caller's matter, for both record layers alike. */
Test(record, empty_data_records_are_given_out_like_others)
{
	struct ch_record_event event;
	struct pair pair;

	for (size_t s = 0; s < SUITES; s++) {
		size_t at = 0;

		pair_init(&pair, &suites[s]);
		for (unsigned i = 0; i < 100; i++)
			seal_text(&pair, "");
		seal_text(&pair, "data");
		for (unsigned i = 0; i < 100; i++) {
			cr_assert_eq(open_next(&pair, &event, &at), CH_RECORD_EVENT);
			cr_assert_eq(event.type, CH_RECORD_DATA);
			cr_assert_eq(event.len, 0);
		}
		cr_assert_eq(open_next(&pair, &event, &at), CH_RECORD_EVENT);
		expect_event(&event, CH_RECORD_DATA, "data");
		pair_deinit(&pair);
	}
}

Test(record, an_error_is_final_for_opening_but_the_alert_can_be_sealed)
{
	struct ch_record_event event;
	struct pair pair;
	size_t at = 0;
	size_t used;

	pair_init(&pair, &suites[4]);
	seal_text(&pair, "bad");
	pair.wire.data[6] ^= 1;
	seal_text(&pair, "good");
	cr_assert_eq(open_next(&pair, &event, &at), CH_RECORD_ERROR);
	cr_assert_eq(ch_record_open(&pair.b, pair.wire.data, pair.wire.len, &used, &event),
		     CH_RECORD_ERROR);
	cr_assert_eq(used, 0);
	pair.wire.len = 0;
	cr_assert_eq(ch_record_seal(&pair.b, CH_RECORD_ALERT,
				    &(struct ch_slice){(const uint8_t *)"\2\24", 2}, 1, &pair.wire),
		     0);
	cr_assert_eq(ch_record_open(&pair.a, pair.wire.data, pair.wire.len, &used, &event),
		     CH_RECORD_EVENT);
	expect_event(&event, CH_RECORD_ALERT, "\2\24");
	pair_deinit(&pair);
}

Test(record, a_replayed_or_swapped_record_does_not_open)
{
	for (size_t s = 0; s < SUITES; s++) {
		struct ch_record_event event;
		struct pair pair;
		uint8_t copy[64];
		size_t len;
		size_t used;

		pair_init(&pair, &suites[s]);
		seal_text(&pair, "once");
		len = pair.wire.len;
		memcpy(copy, pair.wire.data, len);
		cr_assert_eq(ch_record_open(&pair.b, pair.wire.data, len, &used, &event),
			     CH_RECORD_EVENT);
		cr_assert_eq(ch_record_open(&pair.b, copy, len, &used, &event), CH_RECORD_ERROR);
		cr_assert_eq(pair.b.alert, 20);
		pair_deinit(&pair);
	}
}

/* One key schedule per AEAD and direction serves all sessions of a thread. */
Test(record, sessions_that_share_an_engine_do_not_mix)
{
	struct ch_record_engine *engine;
	struct ch_record_event event;
	struct pair pairs[3 * SUITES];
	size_t at[3 * SUITES] = {0};

	cr_assert_eq(ch_record_engine_new(&engine), 0);
	for (size_t i = 0; i < 3 * SUITES; i++)
		pair_init_seeded(&pairs[i], &suites[i % SUITES], (unsigned)(i + 1), engine);
	for (unsigned round = 0; round < 5; round++) {
		for (size_t i = 0; i < 3 * SUITES; i++)
			seal_text(&pairs[i], "mine");
		for (size_t i = 3 * SUITES; i-- > 0;) {
			cr_assert_eq(open_next(&pairs[i], &event, &at[i]), CH_RECORD_EVENT);
			expect_event(&event, CH_RECORD_DATA, "mine");
		}
		/* A session that ends takes its key along, not another's. */
		pairs[round].engine = NULL;
		pair_deinit(&pairs[round]);
		pair_init_seeded(&pairs[round], &suites[round % SUITES], 50 + round, engine);
		at[round] = 0;
	}
	for (size_t i = 0; i < 3 * SUITES; i++) {
		pairs[i].engine = NULL;
		pair_deinit(&pairs[i]);
	}
	ch_record_engine_free(engine);
}

Test(record, tls12_gcm_goes_on_from_the_explicit_nonce)
{
	static const uint8_t nonces[2][8] = {{1, 2, 3, 4, 5, 6, 7, 9}, {1, 2, 3, 4, 5, 6, 7, 10}};
	struct pair pair;

	pair_init(&pair, &suites[0]);
	seal_text(&pair, "x");
	seal_text(&pair, "y");
	cr_assert_eq(memcmp(pair.wire.data + 5, nonces[0], 8), 0);
	cr_assert_eq(memcmp(pair.wire.data + 30 + 5, nonces[1], 8), 0);
	cr_assert_eq(pair.a.keys.tx.explicit_nonce, UINT64_C(0x010203040506070b));
	pair_deinit(&pair);
}

Test(record, sequence_numbers_never_wrap)
{
	struct ch_slice part = CH_LIT("x");
	struct pair pair;

	for (size_t s = 0; s < SUITES; s++) {
		pair_init(&pair, &suites[s]);
		pair.a.keys.tx.sequence = UINT64_MAX - 1;
		pair.b.keys.rx.sequence = UINT64_MAX - 1;
		cr_assert_eq(ch_record_seal(&pair.a, CH_RECORD_DATA, &part, 1, &pair.wire), 0);
		cr_assert_eq(ch_record_seal(&pair.a, CH_RECORD_DATA, &part, 1, &pair.wire),
			     CH_E_CRYPTO);
		cr_assert_eq(pair.wire.len, 1 + suites[s].overhead);
		cr_assert_eq(pair.a.keys.tx.sequence, UINT64_MAX);
		pair.b.keys.rx.sequence = UINT64_MAX;
		expect_error(&pair, CH_REASON_BAD_RECORD, 80);
		pair_deinit(&pair);
	}
}

Test(record, sealing_all_or_nothing)
{
	struct pair pair;
	uint8_t *plain = calloc(1, 40000);
	struct ch_slice part = {plain, 40000};

	pair_init(&pair, &suites[0]);
	seal_text(&pair, "kept");
	pair.wire.max = 40000 + 3 * 29 + 33 - 1;
	cr_assert_eq(ch_record_seal(&pair.a, CH_RECORD_DATA, &part, 1, &pair.wire), CH_E_LIMIT);
	cr_assert_eq(pair.wire.len, 33);
	cr_assert_eq(pair.a.keys.tx.sequence, 2);
	/* The third of three records would wrap the number. */
	pair.wire.max = 0;
	pair.a.keys.tx.sequence = UINT64_MAX - 2;
	cr_assert_eq(ch_record_seal(&pair.a, CH_RECORD_DATA, &part, 1, &pair.wire), CH_E_CRYPTO);
	cr_assert_eq(pair.wire.len, 33);
	cr_assert_eq(pair.a.keys.tx.sequence, UINT64_MAX - 2);
	cr_assert_eq(pair.a.keys.tx.explicit_nonce, UINT64_C(0x010203040506070a));
	pair_deinit(&pair);
	free(plain);
}

Test(record, rekeys_each_direction_on_its_own)
{
	struct ch_record_event event;
	struct pair pair;

	for (size_t s = 3; s < SUITES; s++) {
		size_t at = 0;

		pair_init(&pair, &suites[s]);
		seal_text(&pair, "old");
		cr_assert_eq(open_next(&pair, &event, &at), CH_RECORD_EVENT);
		cr_assert_eq(ch_record_rekey(&pair.a, true), 0);
		cr_assert_eq(pair.a.keys.tx.sequence, 0);
		cr_assert_eq(ch_record_rekey(&pair.b, false), 0);
		cr_assert_eq(pair.b.keys.rx.sequence, 0);
		cr_assert_eq(pair.a.keys.rx.sequence, 101);
		seal_text(&pair, "new");
		cr_assert_eq(open_next(&pair, &event, &at), CH_RECORD_EVENT);
		expect_event(&event, CH_RECORD_DATA, "new");
		/* one end only */
		cr_assert_eq(ch_record_rekey(&pair.a, true), 0);
		seal_text(&pair, "newer");
		cr_assert_eq(open_next(&pair, &event, &at), CH_RECORD_ERROR);
		pair_deinit(&pair);
	}
	pair_init(&pair, &suites[0]);
	cr_assert_eq(ch_record_rekey(&pair.a, true), CH_E_CRYPTO);
	pair_deinit(&pair);
}

Test(record, wants_a_rekey_at_2_to_the_24_gcm_records_of_tls13)
{
	for (size_t s = 0; s < SUITES; s++) {
		struct ch_record_event event;
		struct pair pair;
		size_t at = 0;
		bool limited = s == 3 || s == 4;

		pair_init(&pair, &suites[s]);
		pair.a.keys.tx.sequence = (UINT64_C(1) << 24) - 1;
		pair.b.keys.rx.sequence = pair.a.keys.tx.sequence;
		cr_assert_not(ch_record_wants_rekey(&pair.a, true));
		cr_assert_not(ch_record_wants_rekey(&pair.b, false));
		seal_text(&pair, "x");
		cr_assert_eq(open_next(&pair, &event, &at), CH_RECORD_EVENT);
		cr_assert_eq(ch_record_wants_rekey(&pair.a, true), limited);
		cr_assert_eq(ch_record_wants_rekey(&pair.b, false), limited);
		cr_assert_not(ch_record_wants_rekey(&pair.b, true),
			      "each direction counts its own");
		cr_assert_not(ch_record_worn_out(&pair.b));
		pair.b.keys.rx.sequence = 23726566; /* 2^24.5 */
		cr_assert_eq(ch_record_worn_out(&pair.b), limited);
		pair_deinit(&pair);
	}
}

Test(record, deinit_wipes_the_keys)
{
	static const struct ch_record_keys none;
	struct pair pair;

	pair_init(&pair, &suites[3]);
	ch_record_deinit(&pair.a);
	cr_assert_eq(memcmp(&pair.a.keys, &none, sizeof(none)), 0);
	pair_deinit(&pair);
}

Test(record, a_session_holds_little_memory)
{
	cr_assert_leq(sizeof(struct ch_record), 320);
}
