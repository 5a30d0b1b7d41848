/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What `devices` does to the inventory, and the keys that wait for an operator. */
#include "cli.h"

/** Is @word import, export or remove? */
bool cli_is_inventory(const char *word);
/** `devices import|export|remove ...`; argv[0] is that word. @return enum cli_exit */
int cli_inventory(struct cli *cli, int argc, char **argv);

/** `devices --pending` and `devices --rejected`. @return enum cli_exit */
int cli_keys(struct cli *cli, bool rejected);
