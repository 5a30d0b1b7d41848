/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The command line of callhomed. */

#define DAEMON_CONFIG "/etc/callhome/callhomed.yaml"

/** Exit status; callhomed(8) lists them. */
enum { EXIT_FAILED = 1, EXIT_CONFIG = 2, EXIT_CANNOT_LISTEN = 3 };

enum daemon_task { TASK_RUN, TASK_CHECK, TASK_VERSION, TASK_HELP, TASK_HELP_CONFIG, TASK_USAGE };

struct daemon_options {
	enum daemon_task task;
	const char *config; /**< points into argv, or DAEMON_CONFIG */
};

/** Reads the command line; TASK_USAGE after a message on standard error when it is wrong. */
void daemon_options_read(struct daemon_options *options, int argc, char **argv);

/** The --help text on standard output. */
void daemon_options_help(void);
