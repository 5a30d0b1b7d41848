/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* `callhome`: what all verbs share. Results go to stdout, everything else to stderr. */
#include <getopt.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include "user/core/buf.h"

enum cli_exit {
	CLI_OK = 0,
	CLI_FAILED = 1,
	CLI_USAGE = 2,
	CLI_UNREACHABLE = 3, /**< nobody answers at the socket */
	CLI_NO_DEVICE = 4,   /**< unknown or not connected */
	CLI_RPC_ERROR = 5,   /**< the device answered with rpc-error; the reply is on stdout */
	CLI_INTERRUPTED = 130,
};

struct cli;

/** A row of the table in cli.c. */
struct cli_verb {
	const char *name;
	int (*run)(struct cli *cli, int argc, char **argv); /**< @return enum cli_exit */
	const char *arguments;
	const char *summary; /**< one line */
	const char *help;    /**< options and remarks of the verb, lines with newlines */
};

struct cli {
	const char *socket;
	const struct cli_verb *verb;
	bool json;     /**< --json */
	bool terminal; /**< stdout is one: what devices say is made harmless before it gets there */
	bool colour;
	bool utf8; /**< the locale's encoding */
	int exit;  /**< when cli_next says CLI_STOP */
};

/** Runs the program. @return enum cli_exit */
int ch_cli(int argc, char **argv);

/** Options that every verb takes; put at the end of its table. */
/* clang-format off */
#define CLI_COMMON_OPTIONS                                                                         \
	{"socket", required_argument, NULL, 'S'}, {"help", no_argument, NULL, 'h'}, {0}
/* clang-format on */
#define CLI_STOP (-2)

/**
 * getopt_long that does the common options itself (and --json, where @options has it as 'j').
 * @return an option of the verb; -1 at the end; CLI_STOP: return cli->exit
 */
int cli_next(struct cli *cli, int argc, char **argv, const char *letters,
	     const struct option *options);

/** Complains about the arguments. @return CLI_USAGE */
int cli_usage(const struct cli *cli, const char *fmt, ...) CH_PRINTF(2, 3);

/** @return true: there are no options but the common ones, and one argument is left at optind */
bool cli_one_argument(struct cli *cli, int argc, char **argv, const char *what, int *code);

/** One of several things that a verb does, by its first argument. */
struct cli_action {
	const char *name;
	int (*run)(struct cli *cli, int argc, char **argv); /**< @return enum cli_exit */
};

/** Does what argv[1] names in @actions, which an empty one ends. @return enum cli_exit */
int cli_act(struct cli *cli, int argc, char **argv, const struct cli_action *actions);

/** "callhome: ..." on stderr; the text may hold what a device said. @return @code */
int cli_fail(const struct cli *cli, int code, const char *fmt, ...) CH_PRINTF(3, 4);

/* One function per verb, each in its own file. */
int cli_status(struct cli *cli, int argc, char **argv);
int cli_devices(struct cli *cli, int argc, char **argv);
int cli_show(struct cli *cli, int argc, char **argv);
int cli_rpc(struct cli *cli, int argc, char **argv);
int cli_kill(struct cli *cli, int argc, char **argv);
int cli_reload(struct cli *cli, int argc, char **argv);
int cli_config(struct cli *cli, int argc, char **argv);
int cli_accept(struct cli *cli, int argc, char **argv);
int cli_reject(struct cli *cli, int argc, char **argv);
int cli_ban(struct cli *cli, int argc, char **argv);
int cli_guard(struct cli *cli, int argc, char **argv);
int cli_doctor(struct cli *cli, int argc, char **argv);
