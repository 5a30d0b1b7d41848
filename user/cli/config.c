/* SPDX-License-Identifier: Apache-2.0 */
#include "cli.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#define PATH_BYTES 4096

/*
 * The daemon knows what a configuration may hold; it checks without opening anything. It is beside
 * this program (a build), in ../sbin (make install), or where the shell finds it.
 */
static void run_daemon(const char *file)
{
	static const char *const places[] = {"callhomed", "../sbin/callhomed"};
	char path[PATH_BYTES];
	ssize_t len = readlink("/proc/self/exe", path, sizeof(path) - 1);
	char *slash;

	path[len > 0 ? len : 0] = '\0';
	slash = strrchr(path, '/');
	for (size_t i = 0; slash != NULL && i < sizeof(places) / sizeof(places[0]); i++) {
		snprintf(slash + 1, sizeof(path) - (size_t)(slash + 1 - path), "%s", places[i]);
		execl(path, "callhomed", "-c", file, "--check", (char *)NULL);
	}
	execlp("callhomed", "callhomed", "-c", file, "--check", (char *)NULL);
}

int cli_config(struct cli *cli, int argc, char **argv)
{
	static const struct option options[] = {CLI_COMMON_OPTIONS};

	if (cli_next(cli, argc, argv, "", options) == CLI_STOP)
		return cli->exit;
	if (optind + 2 != argc || strcmp(argv[optind], "check") != 0)
		return cli_usage(cli, "name what to do and a file: config check FILE");
	run_daemon(argv[optind + 1]);
	return cli_fail(cli, CLI_FAILED, "cannot run callhomed, which checks the file: %s",
			strerror(errno));
}
