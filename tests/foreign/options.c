/* SPDX-License-Identifier: Apache-2.0 */
#include "device.h"

#include <err.h>
#include <errno.h>
#include <getopt.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

enum kind { TEXT, NUMBER, FLAG };

static const struct row {
	const char *name;
	enum kind kind;
	size_t offset;
	const char *help;
} rows[] = {
	{"connect", TEXT, offsetof(struct options, connect), "ADDRESS:PORT of the collector"},
	{"from", TEXT, offsetof(struct options, from), "ADDRESS to call from"},
	{"cert", TEXT, offsetof(struct options, cert), "PEM file, the chain in it"},
	{"key", TEXT, offsetof(struct options, key), "PEM file"},
	{"ca", TEXT, offsetof(struct options, ca), "PEM file: who vouches for the collector"},
	{"staple", TEXT, offsetof(struct options, staple), "DER file: an OCSP response (OpenSSL)"},
	{"tls", NUMBER, offsetof(struct options, tls), "12 or 13; without it both"},
	{"ciphers", TEXT, offsetof(struct options, ciphers), "in the syntax of the library"},
	{"groups", TEXT, offsetof(struct options, groups), "likewise"},
	{"sigalgs", TEXT, offsetof(struct options, sigalgs), "likewise"},
	{"tickets", NUMBER, offsetof(struct options, tickets), "session tickets to send"},
	{"half-rtt", FLAG, offsetof(struct options, half_rtt), "TLS 1.3: hello in 0.5-RTT data"},
	{"no-client-cert", FLAG, offsetof(struct options, no_client_cert), "do not ask for one"},
	{"no-ems", FLAG, offsetof(struct options, no_ems), "no extended master secret (OpenSSL)"},
	{"base", NUMBER, offsetof(struct options, base), "10 or 11; without it both"},
	{"chunk", NUMBER, offsetof(struct options, chunk), "bytes per chunk"},
	{"piece", NUMBER, offsetof(struct options, piece), "plaintext bytes per TLS record"},
	{"fragment", NUMBER, offsetof(struct options, fragment), "most bytes per TLS record"},
	{"pad", NUMBER, offsetof(struct options, pad), "padding bytes per TLS 1.3 record"},
	{"gather", NUMBER, offsetof(struct options, gather), "notifications per flush"},
	{"dribble", NUMBER, offsetof(struct options, dribble), "bytes per TCP segment"},
	{"notifications", NUMBER, offsetof(struct options, notifications), "after a subscription"},
	{"size", NUMBER, offsetof(struct options, size), "filler in each notification"},
	{"reply-size", NUMBER, offsetof(struct options, reply_size), "filler in each get-config"},
	{"key-update", NUMBER, offsetof(struct options, key_update), "messages between updates"},
	{"key-update-asks", FLAG, offsetof(struct options, key_update_asks), "update_requested"},
	{"style", TEXT, offsetof(struct options, style), "of the XML: plain, junos or prefix"},
	{"record", TEXT, offsetof(struct options, record), "file for the plaintext that is sent"},
	{"attack", TEXT, offsetof(struct options, attack), "what SIGUSR1 does first"},
	{"close", TEXT, offsetof(struct options, close),
	 "what SIGUSR1 does: notify, notify-only, fin, rst, mid-record, canceled, none"},
	{"debug", FLAG, offsetof(struct options, debug), "records on standard error"},
};

#define ROWS (sizeof(rows) / sizeof(rows[0]))

static unsigned long number(const char *name, const char *text)
{
	char *end;
	unsigned long value;

	errno = 0;
	value = strtoul(text, &end, 10);
	if (errno != 0 || end == text || *end != '\0')
		errx(2, "--%s: not a number: %s", name, text);
	return value;
}

static void usage(const char *program)
{
	printf("usage: %s --connect ADDRESS:PORT --cert FILE --key FILE --ca FILE ...\n", program);
	for (size_t i = 0; i < ROWS; i++)
		printf("  --%-16s %s\n", rows[i].name, rows[i].help);
	exit(0);
}

void options_parse(struct options *options, int argc, char **argv)
{
	struct option table[ROWS + 2] = {{.name = NULL}};
	int found;
	int row;

	*options = (struct options){.style = "plain", .close = "notify", .gather = 64};
	for (size_t i = 0; i < ROWS; i++)
		table[i] = (struct option){.name = rows[i].name, .has_arg = rows[i].kind != FLAG};
	table[ROWS] = (struct option){.name = "help"};
	while ((found = getopt_long(argc, argv, "", table, &row)) == 0) {
		char *field;

		if ((size_t)row == ROWS)
			usage(argv[0]);
		field = (char *)options + rows[row].offset;
		if (rows[row].kind == TEXT)
			*(const char **)(void *)field = optarg;
		else if (rows[row].kind == NUMBER)
			*(unsigned long *)(void *)field = number(rows[row].name, optarg);
		else
			*(bool *)(void *)field = true;
	}
	if (found != -1)
		exit(2);
	if (optind != argc)
		errx(2, "not an option: %s", argv[optind]);
	if (!options->connect || !options->cert || !options->key || !options->ca)
		errx(2, "--connect, --cert, --key and --ca are needed");
}
