/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The record layer in user space: TLS 1.2 and 1.3 AEAD records, opened in place. The reference for
 * the kernel's. Sans-IO.
 *
 * Contract of ch_record_open: call it again with the rest of the input until it says MORE (then all
 * input was consumed; an incomplete record was copied into the session's own buffer and counted in
 * @copied). An event's data points into the input or that buffer and lives until the next call.
 * After ERROR nothing more may be opened; sending still works (to send @alert).
 */
#include <callhome/reason.h>
#include "user/core/buf.h"
#include "user/core/record_keys.h"
#include <stdbool.h>

/** Cipher contexts shared by the sessions of one thread (keyed anew for each record). */
struct ch_record_engine;
CH_NODISCARD int ch_record_engine_new(struct ch_record_engine **engine);
void ch_record_engine_free(struct ch_record_engine *engine);

#define CH_RECORD_PLAIN_MAX 16384
/** What a record adds to its plaintext at most: header 5, explicit nonce 8 or type 1, tag 16. */
#define CH_RECORD_OVERHEAD 29

struct ch_record {
	struct ch_record_engine *engine; /**< borrowed */
	struct ch_record_keys keys;
	struct ch_buf partial; /**< an incomplete record; grows with the bytes received */
	uint64_t copied;       /**< bytes that went through @partial, ever */
	uint8_t reason;	       /**< enum ch_reason, after ERROR */
	uint8_t alert;	       /**< after ERROR: the alert to send, 0 = none */
};

struct ch_record_event {
	uint8_t type; /**< enum ch_record_type, inner type under TLS 1.3 */
	uint8_t *data;
	size_t len; /**< may be 0: the caller bounds how many such records it takes */
};

enum ch_record_result { CH_RECORD_MORE, CH_RECORD_EVENT, CH_RECORD_ERROR };

/** Takes over @keys (the caller wipes its copy). @budget may be NULL. */
void ch_record_init(struct ch_record *record, struct ch_record_engine *engine,
		    const struct ch_record_keys *keys, struct ch_budget *budget);
/** Wipes the keys, frees the partial record. */
void ch_record_deinit(struct ch_record *record);

/** Opens the next record of @in. @used: input bytes consumed. */
enum ch_record_result ch_record_open(struct ch_record *record, uint8_t *in, size_t len,
				     size_t *used, struct ch_record_event *event);

/** Is an incomplete record held? (a FIN now is a truncation in mid-record) */
bool ch_record_pending(const struct ch_record *record);

/**
 * Seals the gathered @parts as one or more records of @type (at most 16384 bytes each) onto @out.
 * @return 0, an error of ch_buf_reserve, or CH_E_CRYPTO; on error @out is as it was, the sequence
 * number is not used up
 */
CH_NODISCARD int ch_record_seal(struct ch_record *record, uint8_t type,
				const struct ch_slice *parts, size_t count, struct ch_buf *out);

/**
 * TLS 1.3: the next generation of the receiving or sending keys (RFC 8446 section 7.2).
 * @return 0 or CH_E_CRYPTO
 */
CH_NODISCARD int ch_record_rekey(struct ch_record *record, bool sending);

/** A direction's keys came near the AEAD limit: time for a KeyUpdate, or to ask the peer for one.
 */
bool ch_record_wants_rekey(const struct ch_record *record, bool sending);
/** The peer's keys are at their limit. */
bool ch_record_worn_out(const struct ch_record *record);
