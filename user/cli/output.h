/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Writing results: cleaned text and tables with aligned columns. */
#include "clean.h"
#include "cli.h"

/** Writes to stdout; to a terminal only cleaned. Failures show in ferror(stdout) at the end. */
void output_bytes(const struct cli *cli, const char *text, size_t len, enum clean_style style);

#define TABLE_COLUMNS 8
/** Rows that are looked at to find the widths; later rows are written at once. */
#define TABLE_AHEAD 256

struct table {
	const struct cli *cli;
	unsigned columns;
	long width[TABLE_COLUMNS];
	struct ch_buf text;	  /**< cells of the rows that wait, cleaned */
	struct table_cell *cells; /**< @columns per row */
	size_t rows;
	bool flowing; /**< widths are fixed */
	bool failed;
};

/** The first row is the heading. */
void table_init(struct table *table, const struct cli *cli, unsigned columns,
		const char *const *heading);

/** @paint: escape sequence for the whole row, "" for none (only used when colours are on). */
void table_row(struct table *table, const char *const *cells, const char *paint);

/** Writes what waits and frees. @return false: something could not be written */
bool table_finish(struct table *table);
