/* SPDX-License-Identifier: Apache-2.0 */
#include "record.h"

#include "engine.h"
#include "keys.h"

#include <string.h>

#define HEADER 5
#define EXPLICIT_NONCE 8
/* RFC 8446 section 5.5: 2^24.5 full records for AES-GCM. */
#define GCM_RECORDS (UINT64_C(1) << 24)
#define GCM_RECORDS_MAX UINT64_C(23726566)

#define ALERT_UNEXPECTED_MESSAGE 10
#define ALERT_BAD_RECORD_MAC 20
#define ALERT_RECORD_OVERFLOW 22
#define ALERT_INTERNAL_ERROR 80

static bool is_tls13(const struct ch_record *record)
{
	return record->keys.version == CH_TLS_1_3;
}

/* TLS 1.2 with AES-GCM carries half of the nonce in the record (RFC 5288). */
static bool has_explicit_nonce(const struct ch_record *record)
{
	return !is_tls13(record) && record->keys.aead != CH_AEAD_CHACHA20_POLY1305;
}

static void put_be64(uint8_t *at, uint64_t value)
{
	for (int i = 7; i >= 0; i--, value >>= 8)
		at[i] = (uint8_t)value;
}

static void put_be16(uint8_t *at, size_t value)
{
	at[0] = (uint8_t)(value >> 8);
	at[1] = (uint8_t)value;
}

static enum ch_record_result fail(struct ch_record *record, enum ch_reason reason, uint8_t alert)
{
	record->reason = (uint8_t)reason;
	record->alert = alert;
	return CH_RECORD_ERROR;
}

void ch_record_init(struct ch_record *record, struct ch_record_engine *engine,
		    const struct ch_record_keys *keys, struct ch_budget *budget)
{
	memset(record, 0, sizeof(*record));
	record->engine = engine;
	record->keys = *keys;
	record->partial.max = CH_RECORD_PLAIN_MAX + CH_RECORD_OVERHEAD;
	record->partial.budget = budget;
}

void ch_record_deinit(struct ch_record *record)
{
	if (record->engine != NULL) {
		ch_aead_forget(record->engine, record->keys.aead, false, record->keys.rx.key);
		ch_aead_forget(record->engine, record->keys.aead, true, record->keys.tx.key);
	}
	ch_buf_wipe(&record->partial);
	explicit_bzero(record, sizeof(*record));
}

bool ch_record_pending(const struct ch_record *record)
{
	return record->partial.len > 0;
}

/*
 * Everything that can be refused without a key. @body: bytes behind the header.
 * @return the alert, 0 = fine
 */
static uint8_t check_header(const struct ch_record *record, const uint8_t *header, size_t *body)
{
	size_t least = CH_AEAD_TAG;
	size_t most = CH_RECORD_PLAIN_MAX + CH_AEAD_TAG;

	if (is_tls13(record)) {
		/* A plaintext ChangeCipherSpec is legal only inside the handshake. */
		if (header[0] != CH_RECORD_DATA)
			return ALERT_UNEXPECTED_MESSAGE;
		/* RFC 8446 section 5.4: content, type and padding are 2^14 + 1 bytes at most. */
		least += 1;
		most += 1;
	} else if (has_explicit_nonce(record)) {
		least += EXPLICIT_NONCE;
		most += EXPLICIT_NONCE;
	}
	if (header[1] != 3 || header[2] != 3)
		return ALERT_UNEXPECTED_MESSAGE;
	*body = (size_t)header[3] << 8 | header[4];
	if (*body > most)
		return ALERT_RECORD_OVERFLOW;
	return *body < least ? ALERT_BAD_RECORD_MAC : 0;
}

/* RFC 8446 section 5.3, RFC 7905, RFC 5288. @explicit_nonce: of a TLS 1.2 GCM record, else NULL. */
static void make_nonce(const struct ch_direction_keys *direction, const uint8_t *explicit_nonce,
		       uint8_t nonce[12])
{
	memcpy(nonce, direction->iv, 12);
	if (explicit_nonce != NULL) {
		memcpy(nonce + 4, explicit_nonce, EXPLICIT_NONCE);
		return;
	}
	for (unsigned i = 0; i < 8; i++)
		nonce[4 + i] ^= (uint8_t)(direction->sequence >> (56 - 8 * i));
}

/* What is authenticated beside the text (RFC 8446 5.2, RFC 5246 6.2.3.3). @return its bytes */
static size_t make_aad(const struct ch_record *record, uint64_t sequence, const uint8_t *header,
		       size_t plain_len, uint8_t aad[13])
{
	if (is_tls13(record)) {
		memcpy(aad, header, HEADER);
		return HEADER;
	}
	put_be64(aad, sequence);
	memcpy(aad + 8, header, 3);
	put_be16(aad + 11, plain_len);
	return 13;
}

/* Takes the padding and the inner type off. @return the alert, 0 = fine */
static uint8_t strip_padding(struct ch_record_event *event)
{
	while (event->len > 0 && event->data[event->len - 1] == 0)
		event->len--;
	if (event->len == 0)
		return ALERT_UNEXPECTED_MESSAGE;
	event->type = event->data[--event->len];
	return 0;
}

/* Decrypts the whole record at @at in place. @return the alert, 0 = fine */
static uint8_t decrypt(struct ch_record *record, uint8_t *at, size_t body,
		       struct ch_record_event *event)
{
	struct ch_direction_keys *rx = &record->keys.rx;
	size_t skip = has_explicit_nonce(record) ? EXPLICIT_NONCE : 0;
	uint8_t nonce[12];
	uint8_t aad[13];
	struct ch_aead_job job = {
		.key = rx->key,
		.nonce = nonce,
		.aad = aad,
		.text = at + HEADER + skip,
		.text_len = body - skip - CH_AEAD_TAG,
		.tag = at + HEADER + body - CH_AEAD_TAG,
	};

	/* RFC 8446 section 5.3: the number must not wrap. No peer gets there honestly. */
	if (rx->sequence == UINT64_MAX)
		return ALERT_INTERNAL_ERROR;
	make_nonce(rx, skip > 0 ? at + HEADER : NULL, nonce);
	job.aad_len = make_aad(record, rx->sequence, at, job.text_len, aad);
	if (ch_aead_run(record->engine, record->keys.aead, false, &job) != 0)
		return ALERT_BAD_RECORD_MAC;
	rx->sequence++;
	event->type = at[0];
	event->data = job.text;
	event->len = job.text_len;
	return is_tls13(record) ? strip_padding(event) : 0;
}

/* Opens the whole record at @at. */
static enum ch_record_result open_whole(struct ch_record *record, uint8_t *at, size_t body,
					struct ch_record_event *event)
{
	uint8_t alert = decrypt(record, at, body, event);

	if (alert != 0)
		return fail(record, CH_REASON_BAD_RECORD, alert);
	/* The type is judged where it is authentic, so that both record layers say the same. */
	if (event->type <= CH_RECORD_CCS || event->type > CH_RECORD_HEARTBEAT)
		return fail(record, CH_REASON_UNEXPECTED_RECORD, ALERT_UNEXPECTED_MESSAGE);
	return CH_RECORD_EVENT;
}

/* Moves input into the partial record until it holds @want. @return as ch_buf_append */
static int fill_partial(struct ch_record *record, size_t want, const uint8_t *in, size_t len,
			size_t *used)
{
	size_t take = want - record->partial.len;
	int err;

	if (take > len - *used)
		take = len - *used;
	err = ch_buf_append(&record->partial, in + *used, take);
	if (err != 0)
		return err;
	*used += take;
	record->copied += take;
	return 0;
}

static enum ch_record_result fail_memory(struct ch_record *record, int err)
{
	return fail(record, err == CH_E_BUDGET ? CH_REASON_BYTE_BUDGET : CH_REASON_INTERNAL,
		    ALERT_INTERNAL_ERROR);
}

/* Goes on with the record that is held. MORE: input used up. */
static enum ch_record_result open_partial(struct ch_record *record, const uint8_t *in, size_t len,
					  size_t *used, struct ch_record_event *event)
{
	struct ch_buf *partial = &record->partial;
	enum ch_record_result result;
	uint8_t alert;
	size_t body;
	int err;

	if (partial->len < HEADER) {
		err = fill_partial(record, HEADER, in, len, used);
		if (err != 0)
			return fail_memory(record, err);
		if (partial->len < HEADER)
			return CH_RECORD_MORE;
	}
	alert = check_header(record, partial->data, &body);
	if (alert != 0)
		return fail(record, CH_REASON_BAD_RECORD, alert);
	err = fill_partial(record, HEADER + body, in, len, used);
	if (err != 0)
		return fail_memory(record, err);
	if (partial->len < HEADER + body)
		return CH_RECORD_MORE;
	result = open_whole(record, partial->data, body, event);
	/* The event lives in the memory until the next call, which frees it. */
	partial->len = 0;
	return result;
}

/* Opens a record that lies whole at the front of the input, else begins to hold it. */
static enum ch_record_result open_in_place(struct ch_record *record, uint8_t *in, size_t len,
					   size_t *used, struct ch_record_event *event)
{
	uint8_t *at = in + *used;
	size_t left = len - *used;
	uint8_t alert;
	size_t body;

	if (left < HEADER)
		return open_partial(record, in, len, used, event);
	alert = check_header(record, at, &body);
	if (alert != 0)
		return fail(record, CH_REASON_BAD_RECORD, alert);
	if (left < HEADER + body)
		return open_partial(record, in, len, used, event);
	*used += HEADER + body;
	return open_whole(record, at, body, event);
}

enum ch_record_result ch_record_open(struct ch_record *record, uint8_t *in, size_t len,
				     size_t *used, struct ch_record_event *event)
{
	*used = 0;
	if (record->reason != CH_REASON_NONE)
		return CH_RECORD_ERROR;
	if (record->partial.len == 0 && record->partial.data != NULL)
		ch_buf_deinit(&record->partial);
	if (len == 0)
		return CH_RECORD_MORE;
	if (record->partial.len > 0)
		return open_partial(record, in, len, used, event);
	return open_in_place(record, in, len, used, event);
}

/* Reads on through the gathered parts. */
struct gather {
	const struct ch_slice *parts;
	size_t at; /**< bytes of the first part that were read */
};

static void gather_copy(struct gather *gather, uint8_t *to, size_t len)
{
	while (len > 0) {
		size_t piece = gather->parts->len - gather->at;

		if (piece > len)
			piece = len;
		if (piece > 0)
			memcpy(to, gather->parts->data + gather->at, piece);
		to += piece;
		len -= piece;
		gather->at += piece;
		if (gather->at == gather->parts->len) {
			gather->parts++;
			gather->at = 0;
		}
	}
}

/* Bytes before and behind @plain bytes of plaintext. */
static size_t prefix_bytes(const struct ch_record *record)
{
	return HEADER + (has_explicit_nonce(record) ? EXPLICIT_NONCE : 0);
}

static size_t suffix_bytes(const struct ch_record *record)
{
	return (is_tls13(record) ? 1 : 0) + CH_AEAD_TAG;
}

/* Seals one record at @at, where there is room for it. @return its bytes, 0 = failed */
static size_t seal_one(struct ch_record *record, uint8_t type, struct gather *gather, size_t len,
		       uint8_t *at)
{
	struct ch_direction_keys *tx = &record->keys.tx;
	size_t prefix = prefix_bytes(record);
	size_t suffix = suffix_bytes(record);
	uint8_t *text = at + prefix;
	uint8_t nonce[12];
	uint8_t aad[13];
	struct ch_aead_job job = {
		.key = tx->key,
		.nonce = nonce,
		.aad = aad,
		.text = text,
		.text_len = len + suffix - CH_AEAD_TAG,
		.tag = text + len + suffix - CH_AEAD_TAG,
	};

	if (tx->sequence == UINT64_MAX)
		return 0;
	at[0] = is_tls13(record) ? CH_RECORD_DATA : type;
	put_be16(at + 1, CH_TLS_1_2);
	put_be16(at + 3, prefix - HEADER + len + suffix);
	if (prefix > HEADER)
		put_be64(at + HEADER, tx->explicit_nonce);
	gather_copy(gather, text, len);
	if (is_tls13(record))
		text[len] = type;
	make_nonce(tx, prefix > HEADER ? at + HEADER : NULL, nonce);
	job.aad_len = make_aad(record, tx->sequence, at, len, aad);
	if (ch_aead_run(record->engine, record->keys.aead, true, &job) != 0)
		return 0;
	tx->sequence++;
	if (prefix > HEADER)
		tx->explicit_nonce++;
	return prefix + len + suffix;
}

int ch_record_seal(struct ch_record *record, uint8_t type, const struct ch_slice *parts,
		   size_t count, struct ch_buf *out)
{
	struct gather gather = {parts, 0};
	uint64_t sequence = record->keys.tx.sequence;
	uint64_t explicit_nonce = record->keys.tx.explicit_nonce;
	size_t before = out->len;
	size_t left = 0;
	size_t records;
	int err;

	for (size_t i = 0; i < count; i++)
		left += parts[i].len;
	records = left == 0 ? 1 : (left + CH_RECORD_PLAIN_MAX - 1) / CH_RECORD_PLAIN_MAX;
	err = ch_buf_reserve(out, left + records * (prefix_bytes(record) + suffix_bytes(record)));
	while (err == 0 && records-- > 0) {
		size_t len = left < CH_RECORD_PLAIN_MAX ? left : CH_RECORD_PLAIN_MAX;
		size_t sealed = seal_one(record, type, &gather, len, out->data + out->len);

		out->len += sealed;
		left -= len;
		if (sealed == 0)
			err = CH_E_CRYPTO;
	}
	if (err == 0)
		return 0;
	/* What was sealed is never sent, so its numbers may be used again. */
	out->len = before;
	record->keys.tx.sequence = sequence;
	record->keys.tx.explicit_nonce = explicit_nonce;
	return err;
}

int ch_record_rekey(struct ch_record *record, bool sending)
{
	struct ch_record_keys *keys = &record->keys;
	struct ch_direction_keys *direction = sending ? &keys->tx : &keys->rx;

	if (!is_tls13(record))
		return CH_E_CRYPTO;
	ch_aead_forget(record->engine, keys->aead, sending, direction->key);
	return ch_keys_update(keys->aead, keys->secret_len, direction);
}

/* ChaCha20-Poly1305 has no limit within 2^64 records, TLS 1.2 no way to rekey. */
static bool is_limited(const struct ch_record *record)
{
	return is_tls13(record) && record->keys.aead != CH_AEAD_CHACHA20_POLY1305;
}

bool ch_record_wants_rekey(const struct ch_record *record, bool sending)
{
	const struct ch_direction_keys *keys = sending ? &record->keys.tx : &record->keys.rx;

	return is_limited(record) && keys->sequence >= GCM_RECORDS;
}

bool ch_record_worn_out(const struct ch_record *record)
{
	return is_limited(record) && record->keys.rx.sequence >= GCM_RECORDS_MAX;
}
