/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * CSV as RFC 4180 has it, with a record per line: a quoted field may hold commas and doubled quotes
 * but no line break, so that a forgotten quote spoils one line only. '#' at the start makes a line a
 * comment; blank lines, a byte order mark and CR before LF are passed over. Works in place: fields
 * point into the text, NUL-terminated, and live as long as it.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CH_CSV_LINE_MAX 4096
#define CH_CSV_FIELDS_MAX 8

struct ch_csv {
	char *text; /**< @len bytes and one more that may be written; changed while read */
	size_t len;
	size_t at;
	uint32_t line; /**< of the record read last, from 1 */
};

struct ch_csv_field {
	char *text; /**< UTF-8 without control characters */
	size_t len;
	bool quoted;
};

struct ch_csv_record {
	uint32_t line;
	uint32_t count;
	struct ch_csv_field fields[CH_CSV_FIELDS_MAX];
	const char *error; /**< what is wrong with the line and how to mend it; NULL = nothing */
};

/** The next record, good or not. @return false at the end of the text */
bool ch_csv_next(struct ch_csv *csv, struct ch_csv_record *record);
