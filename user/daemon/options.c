/* SPDX-License-Identifier: Apache-2.0 */
#include "options.h"

#include <getopt.h>
#include <stdio.h>

enum { OPT_CHECK = 256, OPT_HELP_CONFIG };

static const struct option long_options[] = {
	{"config", required_argument, NULL, 'c'},
	{"check", no_argument, NULL, OPT_CHECK},
	{"version", no_argument, NULL, 'V'},
	{"help", no_argument, NULL, 'h'},
	{"help-config", no_argument, NULL, OPT_HELP_CONFIG},
	{NULL, 0, NULL, 0},
};

void daemon_options_help(void)
{
	fputs("callhomed: accepts NETCONF call home (RFC 8071) over TLS\n"
	      "\n"
	      "usage: callhomed [-c FILE] [--check]\n"
	      "       callhomed --version | --help | --help-config\n"
	      "\n"
	      "  -c, --config FILE  configuration (default " DAEMON_CONFIG ")\n"
	      "      --check        check the configuration and what it names, open nothing\n"
	      "  -V, --version      versions of callhomed, its libraries, and what the kernel offers\n"
	      "  -h, --help         this text\n"
	      "      --help-config  every key of the configuration with type, range and default\n"
	      "\n"
	      "exit status: 0 fine, 1 failed while running, 2 usage or configuration,\n"
	      "             3 io_uring is refused or an address cannot be listened on\n"
	      "signals: TERM, INT graceful end, a second one at once\n",
	      stdout);
}

static enum daemon_task task_of(int option)
{
	switch (option) {
	case OPT_CHECK:
		return TASK_CHECK;
	case OPT_HELP_CONFIG:
		return TASK_HELP_CONFIG;
	case 'V':
		return TASK_VERSION;
	case 'h':
		return TASK_HELP;
	default:
		return TASK_USAGE;
	}
}

void daemon_options_read(struct daemon_options *options, int argc, char **argv)
{
	int option;

	*options = (struct daemon_options){.task = TASK_RUN, .config = DAEMON_CONFIG};
	while ((option = getopt_long(argc, argv, "c:hV", long_options, NULL)) != -1) {
		if (option == 'c')
			options->config = optarg;
		else
			options->task = task_of(option);
		if (options->task == TASK_USAGE)
			break;
	}
	if (options->task != TASK_USAGE && optind < argc) {
		fprintf(stderr, "callhomed: %s is not understood; the configuration is named with -c\n",
			argv[optind]);
		options->task = TASK_USAGE;
	}
	if (options->task == TASK_USAGE)
		fputs("callhomed --help tells how it is used\n", stderr);
}
