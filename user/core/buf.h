/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Byte containers. `struct ch_slice` borrows until the call returns; `struct ch_buf` owns.
 * Thread: a value belongs to one thread; only `struct ch_budget` may be shared.
 */
#include <callhome/error.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

struct ch_slice {
	const uint8_t *data;
	size_t len; /**< bytes */
};

/** A slice of a string literal. */
#define CH_LIT(s) ((struct ch_slice){(const uint8_t *)(s), sizeof(s) - 1})

/** Bytes that peers make us hold, counted over all threads. */
struct ch_budget {
	_Atomic uint64_t used; /**< bytes held now */
	uint64_t limit;	       /**< bytes; 0 = no limit */
};

/**
 * An owned, growing buffer. All zero is a valid empty value; `ch_buf_deinit` leaves one.
 * @max and @budget may be set at any time while the buffer is empty.
 */
struct ch_buf {
	uint8_t *data;
	size_t len;		  /**< bytes in use */
	size_t cap;		  /**< bytes allocated */
	size_t max;		  /**< most bytes it may hold; 0 = no limit */
	struct ch_budget *budget; /**< charged with @cap; NULL = none */
};

/** Frees the memory, credits the budget; keeps @max and @budget. */
void ch_buf_deinit(struct ch_buf *buf);

/**
 * As ch_buf_deinit, but overwrites the bytes first (keys, credentials). Growth moves the bytes and
 * leaves the old ones behind: reserve the whole size before putting a secret in.
 */
void ch_buf_wipe(struct ch_buf *buf);

/**
 * Makes room for @more bytes behind @len (growth is geometric).
 * @return 0, CH_E_LIMIT (over @max), CH_E_BUDGET or -ENOMEM; on error nothing changed.
 */
CH_NODISCARD int ch_buf_reserve(struct ch_buf *buf, size_t more);

/** Appends bytes. @return as ch_buf_reserve. */
CH_NODISCARD int ch_buf_append(struct ch_buf *buf, const void *data, size_t len);

/** Appends a NUL-terminated string without its NUL. @return as ch_buf_reserve. */
CH_NODISCARD int ch_buf_append_str(struct ch_buf *buf, const char *str);

/** Appends formatted text without a NUL. @return as ch_buf_reserve. */
CH_NODISCARD int ch_buf_printf(struct ch_buf *buf, const char *fmt, ...) CH_PRINTF(2, 3);

/** Drops @len bytes (<= buf->len) from the front. An empty buffer keeps its memory. */
void ch_buf_consume(struct ch_buf *buf, size_t len);

/** Characters of a digest of 32 bytes as text, with its NUL. */
#define CH_HEX_CAP 65

/** Writes a digest as 64 hexadecimal digits in lower case. */
void ch_hex(const uint8_t digest[32], char text[CH_HEX_CAP]);

/** Takes @bytes of the budget. @return 0 or CH_E_BUDGET. NULL budget: always 0. */
CH_NODISCARD int ch_budget_take(struct ch_budget *budget, uint64_t bytes);

/** Gives @bytes back. */
void ch_budget_give(struct ch_budget *budget, uint64_t bytes);
