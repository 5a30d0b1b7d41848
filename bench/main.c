/* SPDX-License-Identifier: Apache-2.0 */
/* callhome-sim: a fleet of simulated call-home devices, for load tests and attack tests. */
#include "commands.h"
#include "impostor.h"

#include <callhome/callhome.h>
#include <stdio.h>
#include <string.h>

static const struct sim_command_row *const commands[] = {
	&sim_command_run,
	&sim_command_demo,
	&sim_command_gen_certs,
	&sim_command_impostors,
	&sim_command_attack,
	&sim_command_resilience,
};

struct nothing {
	char unused;
};

static int list_impostors(void *into)
{
	size_t count;
	const struct sim_impostor *table = sim_impostors(&count);

	(void)into;
	printf("%-20s %-32s %s\n", "KIND", "REASON", "WHAT IT DOES");
	for (size_t i = 0; i < count; i++)
		printf("%-20s %-32s %s\n", table[i].name, ch_reason_name(table[i].reason),
		       table[i].help);
	return SIM_EXIT_OK;
}

const struct sim_command_row sim_command_impostors = {
	.name = "impostors",
	.summary = "the kinds of hostile devices, with the reason a collector must give",
	.into_bytes = sizeof(struct nothing),
	.run = list_impostors,
};

static void help(FILE *to)
{
	fputs("callhome-sim: simulated devices that call a NETCONF collector (RFC 8071)\n\n", to);
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		fprintf(to, "  callhome-sim %-12s %s\n", commands[i]->name, commands[i]->summary);
	fputs("\ncallhome-sim COMMAND --help tells more.\n", to);
}

int main(int argc, char **argv)
{
	if (argc < 2) {
		help(stderr);
		return SIM_EXIT_USAGE;
	}
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 ||
	    strcmp(argv[1], "help") == 0) {
		help(stdout);
		return SIM_EXIT_OK;
	}
	if (strcmp(argv[1], "--version") == 0) {
		puts(ch_version());
		return SIM_EXIT_OK;
	}
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		if (strcmp(argv[1], commands[i]->name) == 0)
			return sim_args_run(commands[i], argc - 1, argv + 1);
	}
	fprintf(stderr, "callhome-sim: %s is not a command (see callhome-sim --help)\n", argv[1]);
	return SIM_EXIT_USAGE;
}
