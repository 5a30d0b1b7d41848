/* SPDX-License-Identifier: Apache-2.0 */
#include "commands.h"
#include "pki.h"

#include <stdio.h>

struct gen {
	const char *dir, *listen;
	uint64_t devices, spares;
};

static const struct sim_arg args[] = {
	{"dir", SIM_ARG_TEXT, offsetof(struct gen, dir), "DIR", NULL, 0, 0,
	 "directory to make and fill"},
	{"devices", SIM_ARG_UINT, offsetof(struct gen, devices), "N", "1000", 1, 10000000,
	 "devices of the inventory"},
	{"spares", SIM_ARG_UINT, offsetof(struct gen, spares), "N", "128", 4, 1000000,
	 "further devices, for impostors that log in"},
	{"listen", SIM_ARG_TEXT, offsetof(struct gen, listen), "ADDR:PORT", "127.0.0.1:4335", 0, 0,
	 "where callhomed shall listen"},
};

static int gen_certs(void *into)
{
	const struct gen *gen = into;
	const struct sim_pki_spec spec = {
		.dir = gen->dir,
		.devices = (uint32_t)gen->devices,
		.spares = (uint32_t)gen->spares,
		.listen = gen->listen,
		.limits = "",
	};
	char error[SIM_PKI_ERROR];

	if (!gen->dir) {
		fputs("callhome-sim gen-certs: --dir DIR is needed\n", stderr);
		return SIM_EXIT_USAGE;
	}
	if (sim_pki_make(&spec, error) != 0) {
		fprintf(stderr, "callhome-sim gen-certs: %s\n", error);
		return SIM_EXIT_FAILED;
	}
	printf("Made %s. Now run, each in its terminal:\n"
	       "  callhomed -c %s/callhomed.yaml\n"
	       "  callhome-sim run --pki %s --devices %llu --target %s\n",
	       gen->dir, gen->dir, gen->dir, (unsigned long long)gen->devices, gen->listen);
	return SIM_EXIT_OK;
}

const struct sim_command_row sim_command_gen_certs = {
	.name = "gen-certs",
	.summary = "a throw-away PKI, an inventory and a callhomed.yaml for a simulated fleet",
	.details = "Two manufacturers: acme (P-256, identifier in serialNumber) and borg (RSA-2048,\n"
		   "identifier in CN; every fourth device). Keys are shared: for tests only.\n",
	.args = args,
	.arg_count = sizeof(args) / sizeof(args[0]),
	.into_bytes = sizeof(struct gen),
	.run = gen_certs,
};
