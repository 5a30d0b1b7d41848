/* SPDX-License-Identifier: Apache-2.0 */
#include "args.h"

#include "user/core/option.h"

#include <assert.h>
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ARGS_MAX 64
#define DECIMALS 6

int sim_parse_rate(const char *text, double *value)
{
	char whole[24];
	const char *point = strchr(text, '.');
	size_t digits = point ? (size_t)(point - text) : strlen(text);
	uint64_t integer;
	double fraction = 0, unit = 1;

	if (digits >= sizeof(whole))
		return CH_E_SYNTAX;
	memcpy(whole, text, digits);
	whole[digits] = '\0';
	if (ch_parse_uint(whole, 0, 1000000000, &integer) != 0)
		return CH_E_SYNTAX;
	if (point) {
		size_t decimals = strspn(point + 1, "0123456789");
		if (decimals == 0 || decimals > DECIMALS || point[1 + decimals] != '\0')
			return CH_E_SYNTAX;
		for (size_t i = 1; i <= decimals; i++) {
			unit /= 10;
			fraction += (point[i] - '0') * unit;
		}
	}
	*value = (double)integer + fraction;
	return 0;
}

int sim_parse_duration(const char *text, uint64_t min_ns, uint64_t max_ns, uint64_t *ns)
{
	const uint64_t second = 1000000000;
	uint64_t seconds;

	if (ch_parse_uint(text, 0, UINT64_MAX / second, &seconds) != 0)
		return ch_parse_duration(text, min_ns, max_ns, ns);
	if (seconds * second < min_ns || seconds * second > max_ns)
		return CH_E_RANGE;
	*ns = seconds * second;
	return 0;
}

static int store_text(struct sim_texts *texts, const char *text)
{
	if (texts->count == SIM_TEXTS_MAX)
		return CH_E_LIMIT;
	texts->text[texts->count++] = text;
	return 0;
}

static int store(const struct sim_arg *arg, void *into, const char *text)
{
	void *field = (char *)into + arg->offset;

	switch (arg->type) {
	case SIM_ARG_FLAG:
		*(bool *)field = true;
		return 0;
	case SIM_ARG_UINT:
		return ch_parse_uint(text, arg->min, arg->max, field);
	case SIM_ARG_SIZE:
		return ch_parse_size(text, arg->min, arg->max, field);
	case SIM_ARG_DURATION:
		return sim_parse_duration(text, arg->min, arg->max, field);
	case SIM_ARG_RATE:
		return sim_parse_rate(text, field);
	case SIM_ARG_TEXT:
		*(const char **)field = text;
		return 0;
	case SIM_ARG_TEXTS:
		return store_text(field, text);
	}
	return CH_E_STATE;
}

void sim_args_help(const struct sim_command_row *command)
{
	printf("callhome-sim %s: %s\n\n", command->name, command->summary);
	if (command->details)
		printf("%s\n", command->details);
	puts("Options:");
	for (size_t i = 0; i < command->arg_count; i++) {
		const struct sim_arg *arg = &command->args[i];
		char left[48];
		snprintf(left, sizeof(left), "--%s%s%s", arg->name, arg->value ? " " : "",
			 arg->value ? arg->value : "");
		printf("  %-28s %s", left, arg->help);
		if (arg->fallback)
			printf(" [%s]", arg->fallback);
		putchar('\n');
	}
	printf("  %-28s %s\n", "--help", "this text");
}

static const char *how_to_write(enum sim_arg_type type)
{
	switch (type) {
	case SIM_ARG_UINT:
		return "write decimal digits only";
	case SIM_ARG_SIZE:
		return "write a number, or one with B, KiB, MiB, GiB, TiB, kB, MB, GB or TB";
	case SIM_ARG_DURATION:
		return "write a number of seconds, or one with ms, s, min, h or d";
	case SIM_ARG_RATE:
		return "write a number such as 100 or 0.5";
	case SIM_ARG_FLAG:
	case SIM_ARG_TEXT:
	case SIM_ARG_TEXTS:
		break;
	}
	return "see --help";
}

static void complain(const struct sim_command_row *command, const struct sim_arg *arg,
		     const char *text, int err)
{
	char min[CH_VALUE_TEXT], max[CH_VALUE_TEXT];

	fprintf(stderr, "callhome-sim %s: --%s %s: %s", command->name, arg->name, text,
		ch_error_text(err));
	if (err == CH_E_RANGE && arg->type == SIM_ARG_DURATION)
		fprintf(stderr, ": %s to %s", ch_duration_text(arg->min, min),
			ch_duration_text(arg->max, max));
	else if (err == CH_E_RANGE && arg->type == SIM_ARG_SIZE)
		fprintf(stderr, ": %s to %s", ch_size_text(arg->min, min),
			ch_size_text(arg->max, max));
	else if (err == CH_E_RANGE)
		fprintf(stderr, ": %llu to %llu", (unsigned long long)arg->min,
			(unsigned long long)arg->max);
	else if (err == CH_E_SYNTAX)
		fprintf(stderr, "; %s", how_to_write(arg->type));
	fputc('\n', stderr);
}

static bool store_operand(const struct sim_command_row *command, void *into, const char *text)
{
	for (size_t i = 0; i < command->arg_count; i++) {
		if (strcmp(command->args[i].name, command->operand) == 0)
			return store(&command->args[i], into, text) == 0;
	}
	return false;
}

/* @return as sim_args_run, or -1: run the command */
static int read_args(const struct sim_command_row *command, int argc, char **argv, void *into)
{
	struct option options[ARGS_MAX + 2] = {{0}};
	int found, index = 0;

	for (size_t i = 0; i < command->arg_count; i++)
		options[i] = (struct option){
			command->args[i].name,
			command->args[i].type == SIM_ARG_FLAG ? no_argument : required_argument,
			NULL, 0};
	options[command->arg_count] = (struct option){"help", no_argument, NULL, 'h'};
	optind = 1;
	while ((found = getopt_long(argc, argv, "h", options, &index)) != -1) {
		if (found == 'h') {
			sim_args_help(command);
			return SIM_EXIT_OK;
		}
		int err = found == 0 ? store(&command->args[index], into, optarg) : 0;
		if (err)
			complain(command, &command->args[index], optarg, err);
		if (err || found != 0)
			return SIM_EXIT_USAGE;
	}
	if (optind == argc)
		return -1;
	if (command->operand && store_operand(command, into, argv[optind]) && ++optind == argc)
		return -1;
	fprintf(stderr, "callhome-sim %s: %s is not an option (see --help)\n", command->name,
		argv[optind]);
	return SIM_EXIT_USAGE;
}

int sim_args_run(const struct sim_command_row *command, int argc, char **argv)
{
	int code = SIM_EXIT_FAILED;
	void *into = calloc(1, command->into_bytes);

	assert(command->arg_count <= ARGS_MAX);
	if (!into)
		return code;
	for (size_t i = 0; i < command->arg_count; i++) {
		const struct sim_arg *arg = &command->args[i];
		int err = arg->fallback ? store(arg, into, arg->fallback) : 0;
		if (err) {
			complain(command, arg, arg->fallback, err);
			goto out;
		}
	}
	code = read_args(command, argc, argv, into);
	if (code < 0)
		code = command->run(into);
out:
	free(into);
	return code;
}
