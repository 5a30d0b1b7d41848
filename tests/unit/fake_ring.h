/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * A ring without a kernel: operations are kept in a list, the test completes them as it likes
 * (short sends, ENOBUFS, lost multishots, stale completions) and the next run delivers.
 */
#include "kernel/ring.h"

#define FAKE_OPS 256

enum fake_kind {
	FAKE_FREE,
	FAKE_ACCEPT,
	FAKE_RECV_EXACT,
	FAKE_RECV,
	FAKE_SEND,
	FAKE_SEND_RECORD,
	FAKE_REKEY,
	FAKE_WAKE,
	FAKE_CANCEL,
	FAKE_CLOSE,
};

struct fake_op {
	enum fake_kind kind;
	uint64_t user_data;
	uint64_t target; /**< CANCEL */
	struct ch_file file;
	void *into;	  /**< RECV_EXACT */
	const void *data; /**< SEND */
	uint32_t len;
	uint8_t record_type;		  /**< SEND_RECORD */
	enum ch_ktls_direction direction; /**< REKEY */
};

struct fake_ring {
	struct ch_ring base;
	struct fake_op ops[FAKE_OPS];
	struct ch_completion ready[FAKE_OPS];
	unsigned ready_count;
	unsigned installs;
	unsigned recycled;
	unsigned closes;
	const uint8_t *there; /**< what take finds, whoever takes */
	uint32_t there_len;
	uint64_t last_wait_ns;
	unsigned run_us;  /**< how long the next run waits before it delivers */
	int fail_install; /**< negated errno of the next install; 0 = none */
};

void fake_ring_init(struct fake_ring *ring);

/** The oldest pending operation of that kind, or NULL. */
struct fake_op *fake_find(struct fake_ring *ring, enum fake_kind kind);

/** Queues a completion of @op; the operation is over unless @more. */
void fake_complete(struct fake_ring *ring, struct fake_op *op, int32_t result, bool more);

/** Queues a receive completion with a payload (copied into a buffer of the fake's, one at a time).
 */
void fake_payload(struct fake_ring *ring, struct fake_op *op, const void *data, uint32_t len,
		  bool more);

/** As the kernel's record layer does: a record's plaintext with its type; empty ones have no
 * buffer. */
void fake_record(struct fake_ring *ring, struct fake_op *op, uint8_t type, const void *data,
		 uint32_t len);

/** Queues any completion. */
void fake_push(struct fake_ring *ring, const struct ch_completion *completion);

/** Completes every pending cancel (and what it cancels) and every pending close. @return how many.
 */
unsigned fake_settle(struct fake_ring *ring);
