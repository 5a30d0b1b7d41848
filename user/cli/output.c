/* SPDX-License-Identifier: Apache-2.0 */
#include "output.h"

#include <stdlib.h>
#include <string.h>

struct table_cell {
	size_t offset; /**< in the table's text */
	size_t len;
	long columns;
	const char *paint;
};

#define BOLD "\x1b[1m"
#define PLAIN "\x1b[0m"
#define GAP 2

void output_bytes(const struct cli *cli, const char *text, size_t len, enum clean_style style)
{
	struct ch_buf clean = {0};

	if (!cli->terminal) {
		fwrite(text, 1, len, stdout);
		return;
	}
	if (clean_append(&clean, text, len, cli->utf8, style) >= 0)
		fwrite(clean.data, 1, clean.len, stdout);
	else
		fputs("(out of memory)\n", stdout);
	ch_buf_deinit(&clean);
}

void table_init(struct table *table, const struct cli *cli, unsigned columns,
		const char *const *heading)
{
	*table = (struct table){.cli = cli, .columns = columns};
	table->cells = calloc((size_t)TABLE_AHEAD * columns, sizeof(*table->cells));
	table->failed = table->cells == NULL;
	table_row(table, heading, BOLD);
}

static void write_row(const struct table *table, size_t row)
{
	const struct table_cell *cells = &table->cells[row * table->columns];
	bool paint = table->cli->colour && cells[0].paint[0] != '\0';

	if (paint)
		fputs(cells[0].paint, stdout);
	for (unsigned c = 0; c < table->columns; c++) {
		long gap = table->width[c] - cells[c].columns + GAP;

		fwrite(table->text.data + cells[c].offset, 1, cells[c].len, stdout);
		/* Nothing behind the last column: copied lines stay short. */
		if (c + 1 < table->columns)
			printf("%*s", (int)(gap > 1 ? gap : 1), "");
	}
	if (paint)
		fputs(PLAIN, stdout);
	putchar('\n');
}

static void write_waiting(struct table *table)
{
	for (size_t row = 0; row < table->rows; row++)
		write_row(table, row);
	table->rows = 0;
	table->text.len = 0;
}

void table_row(struct table *table, const char *const *cells, const char *paint)
{
	if (table->failed)
		return;
	for (unsigned c = 0; c < table->columns; c++) {
		struct table_cell *cell = &table->cells[table->rows * table->columns + c];

		cell->paint = paint;
		cell->offset = table->text.len;
		cell->columns = clean_append(&table->text, cells[c], strlen(cells[c]),
					     table->cli->utf8, CLEAN_CELL);
		if (cell->columns < 0) {
			table->failed = true;
			return;
		}
		cell->len = table->text.len - cell->offset;
		if (!table->flowing && cell->columns > table->width[c])
			table->width[c] = cell->columns;
	}
	table->rows++;
	if (table->rows == TABLE_AHEAD)
		table->flowing = true;
	if (table->flowing)
		write_waiting(table);
}

bool table_finish(struct table *table)
{
	bool good;

	write_waiting(table);
	good = !table->failed && !ferror(stdout);
	free(table->cells);
	ch_buf_deinit(&table->text);
	return good;
}
