/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What several verbs do: show one object as they like, or one object per line as a table. */
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

/**
 * The whole of a verb without arguments: GETs one JSON object, and prints it as it is with --json,
 * else with @print. @return enum cli_exit
 */
int cli_object(struct cli *cli, int argc, char **argv, const char *path,
	       int (*print)(struct cli *cli, const json_t *json));

/** The same for a verb that says something of its own of the object: @print does --json too. */
int cli_judgement(struct cli *cli, int argc, char **argv, const char *path,
		  int (*print)(struct cli *cli, const json_t *json));
