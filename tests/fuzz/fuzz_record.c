/* SPDX-License-Identifier: Apache-2.0 */
/* links: tls core */
/*
 * Opening records. Input: suite, bytes per piece, then records to seal (type, length, text), the
 * last two bytes flip one bit on the wire; with the top bit of the first byte set, the wire itself.
 * A handshake record of TLS 1.3 changes the keys. Invariants: one piece and many pieces give the
 * same events and the same end; nothing is delivered but what was sealed, in order, and all of it
 * where no bit was flipped, up to a type that is not allowed.
 */
#include "fuzz.h"
#include "user/tls/record.h"

#define RECORDS_MAX 256

static const struct ch_record_keys suites[] = {
	{.version = CH_TLS_1_2, .aead = CH_AEAD_AES_128_GCM},
	{.version = CH_TLS_1_2, .aead = CH_AEAD_CHACHA20_POLY1305},
	{.version = CH_TLS_1_3, .aead = CH_AEAD_AES_256_GCM, .secret_len = 48},
	{.version = CH_TLS_1_3, .aead = CH_AEAD_CHACHA20_POLY1305, .secret_len = 32},
	{.version = CH_TLS_1_2, .aead = CH_AEAD_AES_256_GCM},
	{.version = CH_TLS_1_3, .aead = CH_AEAD_AES_128_GCM, .secret_len = 32},
};

static struct ch_record_engine *engine;

/** What was sealed, as it must come out. */
struct sealed {
	uint8_t type; /**< 0: nothing but padding */
	bool rekey;
	const uint8_t *text;
	size_t len;
};

struct wire {
	const struct ch_record_keys *keys;
	bool sealed; /**< else these are just bytes */
	bool flipped;
	struct sealed records[RECORDS_MAX];
	size_t count;
	struct ch_buf bytes;
};

static void seal(struct wire *wire, struct ch_record *record, uint8_t type, const uint8_t *text,
		 size_t len)
{
	struct ch_slice part = {text, len};
	struct sealed *out = &wire->records[wire->count++];
	bool tls13 = wire->keys->version == CH_TLS_1_3;

	check(ch_record_seal(record, type, &part, 1, &wire->bytes) == 0);
	*out = (struct sealed){type, tls13 && type == CH_RECORD_HANDSHAKE, text, len};
	if (out->rekey)
		check(ch_record_rekey(record, true) == 0);
	/* Sealed as type 0, the text brings its own type and padding. */
	while (tls13 && out->type == 0 && out->len > 0)
		out->type = out->text[--out->len];
}

static void seal_wire(const uint8_t *data, size_t size, struct wire *wire)
{
	struct ch_record record;
	uint16_t flip = (uint16_t)(data[size - 2] << 8 | data[size - 1]);

	ch_record_init(&record, engine, wire->keys, NULL);
	for (size_t at = 2; at + 2 < size - 2 && wire->count < RECORDS_MAX;) {
		size_t len = data[at + 1] < size - 4 - at ? data[at + 1] : size - 4 - at;

		seal(wire, &record, data[at], data + at + 2, len);
		at += 2 + len;
	}
	wire->sealed = true;
	wire->flipped = flip / 8 < wire->bytes.len;
	if (wire->flipped)
		wire->bytes.data[flip / 8] ^= (uint8_t)(1 << flip % 8);
	ch_record_deinit(&record);
}

static bool is_type(uint8_t type)
{
	return type > CH_RECORD_CCS && type <= CH_RECORD_HEARTBEAT;
}

/** Opens the wire in pieces; the events and the end go into @log. */
static void open_wire(const struct wire *wire, size_t piece, struct ch_buf *log)
{
	enum ch_record_result result = CH_RECORD_MORE;
	struct ch_record_event event;
	struct ch_record record;
	size_t count = 0;

	ch_record_init(&record, engine, wire->keys, NULL);
	for (size_t at = 0; at < wire->bytes.len && result != CH_RECORD_ERROR; at += piece) {
		size_t len = wire->bytes.len - at < piece ? wire->bytes.len - at : piece;
		uint8_t *copy = malloc(len);
		size_t done = 0;
		size_t used;

		memcpy(copy, wire->bytes.data + at, len);
		while ((result = ch_record_open(&record, copy + done, len - done, &used, &event)) ==
		       CH_RECORD_EVENT) {
			const struct sealed *sealed = wire->sealed ? &wire->records[count] : NULL;

			done += used;
			check(is_type(event.type) && event.len <= CH_RECORD_PLAIN_MAX);
			check(ch_buf_printf(log, "%u %zu ", event.type, event.len) == 0);
			check(ch_buf_append(log, event.data, event.len) == 0);
			if (sealed == NULL)
				continue;
			check(count++ < wire->count && event.type == sealed->type);
			check(event.len == sealed->len &&
			      memcmp(event.data, sealed->text, sealed->len) == 0);
			if (sealed->rekey)
				check(ch_record_rekey(&record, false) == 0);
		}
		check(result == CH_RECORD_ERROR || done + used == len);
		free(copy);
	}
	check((result == CH_RECORD_ERROR) == (record.reason != CH_REASON_NONE));
	if (wire->sealed && !wire->flipped)
		check(result == CH_RECORD_ERROR ? !is_type(wire->records[count].type)
						: count == wire->count);
	check(ch_buf_printf(log, "%u %u", record.reason, record.alert) == 0);
	ch_record_deinit(&record);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct wire wire = {.count = 0};
	struct ch_buf whole = {0};
	struct ch_buf pieces = {0};

	if (engine == NULL)
		check(ch_record_engine_new(&engine) == 0);
	if (size < 4)
		return 0;
	wire.keys = &suites[(data[0] & 0x7f) % 6];
	if (data[0] & 0x80)
		check(ch_buf_append(&wire.bytes, data + 2, size - 2) == 0);
	else
		seal_wire(data, size, &wire);
	open_wire(&wire, wire.bytes.len, &whole);
	open_wire(&wire, 1 + data[1] % 64u, &pieces);
	check_same(&whole, &pieces);
	ch_buf_deinit(&wire.bytes);
	ch_buf_deinit(&whole);
	ch_buf_deinit(&pieces);
	return 0;
}
