/* SPDX-License-Identifier: Apache-2.0 */
/* links: tls core */
/*
 * Opening records. Input: suite, bytes per piece, then records to seal (type, length, text), the
 * last two bytes flip one bit on the wire; with the top bit of the first byte set, the wire itself.
 * Invariant: one piece and many pieces give the same events and the same end.
 */
#include "fuzz.h"
#include "user/tls/record.h"

static const struct ch_record_keys suites[] = {
	{.version = CH_TLS_1_2, .aead = CH_AEAD_AES_128_GCM},
	{.version = CH_TLS_1_2, .aead = CH_AEAD_CHACHA20_POLY1305},
	{.version = CH_TLS_1_3, .aead = CH_AEAD_AES_256_GCM, .secret_len = 48},
	{.version = CH_TLS_1_3, .aead = CH_AEAD_CHACHA20_POLY1305, .secret_len = 32},
};

static struct ch_record_engine *engine;

static void seal_wire(const uint8_t *data, size_t size, struct ch_buf *wire)
{
	struct ch_record record;
	uint16_t flip = (uint16_t)(data[size - 2] << 8 | data[size - 1]);

	ch_record_init(&record, engine, &suites[data[0] % 4], NULL);
	for (size_t at = 2; at + 2 < size - 2;) {
		size_t len = data[at + 1] < size - 4 - at ? data[at + 1] : size - 4 - at;
		struct ch_slice part = {data + at + 2, len};

		check(ch_record_seal(&record, data[at], &part, 1, wire) == 0);
		at += 2 + len;
	}
	if (flip / 8 < wire->len)
		wire->data[flip / 8] ^= (uint8_t)(1 << flip % 8);
	ch_record_deinit(&record);
}

/** Opens the wire in pieces; the events and the end go into @log. */
static void open_wire(const struct ch_record_keys *keys, const struct ch_buf *wire, size_t piece,
		      struct ch_buf *log)
{
	enum ch_record_result result = CH_RECORD_MORE;
	struct ch_record_event event;
	struct ch_record record;

	ch_record_init(&record, engine, keys, NULL);
	for (size_t at = 0; at < wire->len && result != CH_RECORD_ERROR; at += piece) {
		size_t len = wire->len - at < piece ? wire->len - at : piece;
		uint8_t *copy = malloc(len);
		size_t done = 0;
		size_t used;

		memcpy(copy, wire->data + at, len);
		while ((result = ch_record_open(&record, copy + done, len - done, &used, &event)) ==
		       CH_RECORD_EVENT) {
			done += used;
			check(event.type != CH_RECORD_CCS && event.len <= CH_RECORD_PLAIN_MAX);
			check(ch_buf_printf(log, "%u %zu ", event.type, event.len) == 0);
			check(ch_buf_append(log, event.data, event.len) == 0);
		}
		check(result == CH_RECORD_ERROR || done + used == len);
		free(copy);
	}
	check((result == CH_RECORD_ERROR) == (record.reason != CH_REASON_NONE));
	check(ch_buf_printf(log, "%u %u", record.reason, record.alert) == 0);
	ch_record_deinit(&record);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct ch_buf wire = {0};
	struct ch_buf whole = {0};
	struct ch_buf pieces = {0};

	if (engine == NULL)
		check(ch_record_engine_new(&engine) == 0);
	if (size < 4)
		return 0;
	if (data[0] & 0x80)
		check(ch_buf_append(&wire, data + 2, size - 2) == 0);
	else
		seal_wire(data, size, &wire);
	open_wire(&suites[data[0] % 4], &wire, wire.len, &whole);
	open_wire(&suites[data[0] % 4], &wire, 1 + data[1] % 64u, &pieces);
	check_same(&whole, &pieces);
	ch_buf_deinit(&wire);
	ch_buf_deinit(&whole);
	ch_buf_deinit(&pieces);
	return 0;
}
