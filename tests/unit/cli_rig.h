/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * callhome as a process of its own, against a control socket before a collector that is none in
 * another one. One rig per test program: everything is static, and `setup` (or `setup_without`) and
 * `teardown` go into its TestSuite.
 */
#include "user/cli/cli.h"
#include "tests/unit/fake_collector.h"
#include "user/collector/control.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

static char directory[64];
static char path[96];
static pid_t server;
static void (*prepare)(struct ch_collector *fake); /**< in the server, before it serves */

static inline void serve(int ready, uint32_t devices)
{
	struct ch_collector *fake = fake_new(devices);
	struct ch_control *control = NULL;
	char error[256];

	if (prepare != NULL)
		prepare(fake);
	prctl(PR_SET_PDEATHSIG, SIGKILL); /* a test that times out cannot tidy up */
	if (ch_control_open(fake, path, &control, error) != 0)
		_exit(1);
	if (write(ready, "r", 1) != 1)
		_exit(1);
	for (;;)
		pause();
}

static inline void start_server(uint32_t devices)
{
	int ready[2];
	char byte;

	cr_assert_eq(pipe(ready), 0);
	server = fork();
	if (server == 0)
		serve(ready[1], devices);
	close(ready[1]);
	cr_assert_eq(read(ready[0], &byte, 1), 1, "the server did not start");
	close(ready[0]);
}

static inline void setup_without(void)
{
	snprintf(directory, sizeof(directory), "/tmp/callhome-cli-XXXXXX");
	cr_assert_not_null(mkdtemp(directory));
	snprintf(path, sizeof(path), "%s/c.sock", directory);
	server = 0;
	unsetenv("CALLHOME_SOCKET");
	unsetenv("NO_COLOR");
	setenv("LC_ALL", "C.UTF-8", 1);
	setenv("TERM", "xterm", 1);
}

static inline void setup(void)
{
	setup_without();
	setenv("CALLHOME_SOCKET", path, 1);
	start_server(13);
}

static inline void teardown(void)
{
	static const char *const names[] = {"c.sock", "c.sock.lock", "in", "out", "err"};

	if (server > 0) {
		kill(server, SIGKILL);
		waitpid(server, NULL, 0);
	}
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		char name[128];

		snprintf(name, sizeof(name), "%s/%s", directory, names[i]);
		unlink(name);
	}
	rmdir(directory);
}

/* --- running it --- */

struct outcome {
	int exit;
	char out[1048576];
	char err[4096];
};

static struct outcome outcome;

static inline int open_in(const char *name, int flags)
{
	char file[128];
	int fd;

	snprintf(file, sizeof(file), "%s/%s", directory, name);
	fd = open(file, flags | O_CLOEXEC, 0600);
	cr_assert_geq(fd, 0);
	return fd;
}

static inline void slurp(const char *name, char *text, size_t size)
{
	int fd = open_in(name, O_RDONLY);
	ssize_t len = read(fd, text, size - 1);

	text[len > 0 ? len : 0] = '\0';
	close(fd);
}

/** In the child: becomes callhome with these descriptors. @line: arguments with blanks between. */
static inline void become(const char *line, int in, int out, int err)
{
	static char words[1024];
	char *argv[32] = {(char *)"callhome"};
	char *rest = NULL;
	int argc = 1;

	snprintf(words, sizeof(words), "%s", line);
	for (char *word = strtok_r(words, " ", &rest); word != NULL && argc < 31;
	     word = strtok_r(NULL, " ", &rest))
		argv[argc++] = word;
	dup2(in, STDIN_FILENO);
	dup2(out, STDOUT_FILENO);
	dup2(err, STDERR_FILENO);
	/* Without exit handlers: the leak checker does not know its way about after a fork. */
	_exit(ch_cli(argc, argv));
}

static inline int exit_of(pid_t child)
{
	int status = 0;

	cr_assert_eq(waitpid(child, &status, 0), child);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

static inline void run_with(const char *line, const char *input)
{
	int in = open_in("in", O_RDWR | O_CREAT | O_TRUNC);
	int out = open_in("out", O_RDWR | O_CREAT | O_TRUNC);
	int err = open_in("err", O_RDWR | O_CREAT | O_TRUNC);
	pid_t child;

	cr_assert_eq(write(in, input, strlen(input)), (ssize_t)strlen(input));
	lseek(in, 0, SEEK_SET);
	fflush(NULL);
	child = fork();
	if (child == 0)
		become(line, in, out, err);
	outcome.exit = exit_of(child);
	close(in);
	close(out);
	close(err);
	slurp("out", outcome.out, sizeof(outcome.out));
	slurp("err", outcome.err, sizeof(outcome.err));
}

static inline void expect(const char *line, int code, const char *out, const char *err)
{
	run_with(line, "");
	cr_expect_eq(outcome.exit, code, "%s: exit %d, %s", line, outcome.exit, outcome.err);
	cr_expect_str_eq(outcome.out, out, "%s", line);
	cr_expect_str_eq(outcome.err, err, "%s", line);
}

static inline void expect_rpc(const char *line, const char *input, int code, const char *out,
			      const char *err)
{
	run_with(line, input);
	cr_expect_eq(outcome.exit, code, "%s: exit %d, %s", line, outcome.exit, outcome.err);
	cr_expect_str_eq(outcome.out, out, "%.100s", input);
	cr_expect_str_eq(outcome.err, err, "%.100s", input);
}

/** Runs it with a terminal as stdout. */
static inline void run_on_terminal(const char *line, const char *input)
{
	int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
	int in = open_in("in", O_RDWR | O_CREAT | O_TRUNC);
	int err = open_in("err", O_RDWR | O_CREAT | O_TRUNC);
	size_t used = 0;
	int slave;
	pid_t child;
	ssize_t n;

	cr_assert(master >= 0 && grantpt(master) == 0 && unlockpt(master) == 0);
	slave = open(ptsname(master), O_RDWR | O_NOCTTY | O_CLOEXEC);
	cr_assert_geq(slave, 0);
	cr_assert_eq(write(in, input, strlen(input)), (ssize_t)strlen(input));
	lseek(in, 0, SEEK_SET);
	fflush(NULL);
	child = fork();
	if (child == 0)
		become(line, in, slave, err);
	close(slave);
	while (used + 1 < sizeof(outcome.out) &&
	       (n = read(master, outcome.out + used, sizeof(outcome.out) - 1 - used)) > 0)
		used += (size_t)n;
	outcome.out[used] = '\0';
	outcome.exit = exit_of(child);
	close(master);
	close(in);
	close(err);
	slurp("err", outcome.err, sizeof(outcome.err));
}
