/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What every fuzz target needs. A target is judged by its invariants, not only by not crashing. */
#include "user/core/buf.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/** The invariant; the stack trace of the abort says which. */
static inline void check(bool holds)
{
	if (!holds)
		abort();
}

/** Bytes from @at to the next multiple of @step, or to the end: how a target cuts its input. */
static inline size_t piece_at(size_t at, size_t len, size_t step)
{
	size_t piece = step - at % step;

	return len - at < piece ? len - at : piece;
}

static inline void check_same(const struct ch_buf *one, const struct ch_buf *other)
{
	check(one->len == other->len);
	check(one->len == 0 || memcmp(one->data, other->data, one->len) == 0);
}
