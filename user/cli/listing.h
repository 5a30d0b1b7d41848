/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* A resource of one object per line, shown as a table: what several verbs do. */
#include "http.h"
#include "output.h"

struct cli_listing {
	const char *path;
	const char *none; /**< said on stderr when there is nothing to list */
	const char *const *headings;
	unsigned columns;
	bool (*line)(void *table, const json_t *line); /**< adds a row; false: not as expected */
};

/** @return enum cli_exit */
int cli_list(struct cli *cli, const struct cli_listing *listing);
