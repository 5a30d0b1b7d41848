/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Devices choose names, identifiers and replies; a terminal obeys escape sequences. Everything that
 * could move the cursor, change colours or reorder text is shown as an escape instead.
 */
#include "user/core/buf.h"
#include <stdbool.h>

enum clean_style {
	CLEAN_CELL, /**< one line of text: \xNN, \u{NNNN}; newlines and tabs too */
	CLEAN_TEXT, /**< as CELL, but newlines and tabs stay */
	CLEAN_JSON, /**< \uNNNN, so that the JSON stays the same JSON */
};

/**
 * Appends @text. @utf8: the terminal takes UTF-8; otherwise all that is not ASCII is escaped.
 * @return columns on the terminal, or as ch_buf_reserve
 */
CH_NODISCARD long clean_append(struct ch_buf *out, const char *text, size_t len, bool utf8,
			       enum clean_style style);
