/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What people write in configuration and inventory: checks of text, names, paths; reading of files. */
#include "user/core/buf.h"

#include <stdbool.h>
#include <stddef.h>

/** Why text is not fit to be shown, logged and put into URLs. */
enum ch_text_fault {
	CH_TEXT_FINE,
	CH_TEXT_NOT_UTF8,
	CH_TEXT_CONTROL, /**< C0, DEL, C1, line separators, and what turns the writing direction */
};

enum ch_text_fault ch_text_check(const char *text, size_t len);

#define CH_NAME_MAX 63 /**< bytes of a name in the configuration */

/** Letters, digits, '.', '_', '-', first a letter or digit; at most CH_NAME_MAX. */
bool ch_name_is_valid(const char *name);

/**
 * How many insertions, deletions, replacements and swaps of neighbours lie between two words.
 * Words longer than 64 bytes are UINT_MAX apart.
 */
unsigned ch_text_distance(const char *a, const char *b);

/** The nearest word so far, for "did you mean". Start with all zero. */
struct ch_nearest {
	const char *word; /**< NULL = nothing is near enough */
	unsigned distance;
};

/** Keeps @candidate if it is nearer to @word than what was seen, and near enough to be meant. */
void ch_nearest_try(struct ch_nearest *nearest, const char *word, const char *candidate);

/** @path if absolute or @directory is ".", else both joined. @return malloc'ed, NULL = out of memory. */
char *ch_path_resolve(const char *directory, const char *path);

/** The directory part of @path: "." if it has none. @return malloc'ed, NULL = out of memory. */
char *ch_path_directory(const char *path);

/**
 * Reads a whole regular file; one byte more than its length is allocated.
 * @return 0, a negated errno (-EISDIR, -EINVAL: no regular file), CH_E_LIMIT if longer than @max
 */
CH_NODISCARD int ch_file_read(const char *path, size_t max, struct ch_buf *into);
