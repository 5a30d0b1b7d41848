/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Command lines from tables: one row per option yields parser, limits and --help. */
#include <callhome/error.h>
#include <stddef.h>
#include <stdint.h>

/* Exit codes of callhome-sim. */
enum {
	SIM_EXIT_OK = 0,
	SIM_EXIT_FAILED = 1,
	SIM_EXIT_USAGE = 2,
	SIM_EXIT_REFUSED = 3,	 /**< the kernel refuses io_uring */
	SIM_EXIT_THRESHOLD = 99, /**< a --threshold does not hold */
};

enum sim_arg_type {
	SIM_ARG_FLAG,	  /**< bool */
	SIM_ARG_UINT,	  /**< uint64_t */
	SIM_ARG_SIZE,	  /**< uint64_t, bytes */
	SIM_ARG_DURATION, /**< uint64_t, nanoseconds; a bare number is seconds */
	SIM_ARG_RATE,	  /**< double, up to six decimals */
	SIM_ARG_TEXT,	  /**< const char * */
	SIM_ARG_TEXTS,	  /**< struct sim_texts: the option may be repeated */
};

#define SIM_TEXTS_MAX 16

struct sim_texts {
	const char *text[SIM_TEXTS_MAX];
	uint32_t count;
};

struct sim_arg {
	const char *name; /**< without the dashes */
	enum sim_arg_type type;
	size_t offset; /**< in the struct of the command */
	const char *value;   /**< name of the value in --help */
	const char *fallback; /**< default as text, read through the same parser; NULL = zero */
	uint64_t min, max;   /**< of UINT, SIZE and DURATION (ns) */
	const char *help;
};

struct sim_command_row {
	const char *name;
	const char *summary;
	const char *details; /**< further help text, or NULL */
	const struct sim_arg *args;
	size_t arg_count;
	size_t into_bytes; /**< of the struct the arguments go into */
	const char *operand; /**< the option whose value also comes without its name; NULL = none */
	int (*run)(void *into);
};

/** Prints name, summary, options with defaults. */
void sim_args_help(const struct sim_command_row *command);

/**
 * Reads the arguments behind the command's name into a fresh struct and runs the command.
 * @return its exit code; SIM_EXIT_OK after --help; SIM_EXIT_USAGE
 */
int sim_args_run(const struct sim_command_row *command, int argc, char **argv);

/** "12", "0.5", at most six decimals. @return 0 or CH_E_SYNTAX */
CH_NODISCARD int sim_parse_rate(const char *text, double *value);

/** As ch_parse_duration; a bare number means seconds. */
CH_NODISCARD int sim_parse_duration(const char *text, uint64_t min_ns, uint64_t max_ns,
				    uint64_t *ns);
