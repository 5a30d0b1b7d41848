/* SPDX-License-Identifier: Apache-2.0 */
#include "options.h"
#include "run.h"
#include "user/collector/config.h"
#include "version.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

/* A closed standard stream would be reused by the next file opened, and log lines end up there. */
static int hold_standard_streams(void)
{
	int fd;

	do {
		fd = open("/dev/null", O_RDWR);
	} while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd < 0)
		return fd;
	return close(fd);
}

static int help_config(void)
{
	struct ch_buf text = {0};
	int err = ch_config_help(&text);

	if (err == 0)
		fwrite(text.data, 1, text.len, stdout);
	ch_buf_deinit(&text);
	return err == 0 && fflush(stdout) == 0 ? 0 : EXIT_FAILED;
}

int main(int argc, char **argv)
{
	struct daemon_options options;

	if (hold_standard_streams() != 0)
		return EXIT_FAILED;
	daemon_options_read(&options, argc, argv);
	switch (options.task) {
	case TASK_RUN:
		return daemon_run(options.config);
	case TASK_CHECK:
		return daemon_check(options.config);
	case TASK_VERSION:
		return daemon_version();
	case TASK_HELP:
		daemon_options_help();
		return fflush(stdout) == 0 ? 0 : EXIT_FAILED;
	case TASK_HELP_CONFIG:
		return help_config();
	case TASK_USAGE:
		break;
	}
	return EXIT_CONFIG;
}
