/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon.h"

#include "kernel/sock.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static void nap(void)
{
	const struct timespec tick = {0, 50000000};

	nanosleep(&tick, NULL);
}

static int spawn(struct sim_daemon *daemon, const char *program, const char *config,
		 const char *log)
{
	char *const argv[] = {(char *)program, (char *)"-c", (char *)config, NULL};
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	sigset_t none;

	sigemptyset(&none);
	posix_spawn_file_actions_init(&actions);
	posix_spawnattr_init(&attributes);
	posix_spawnattr_setsigmask(&attributes, &none);
	/* a group of its own: Ctrl-C at the terminal is for the demo, which ends the daemon in order */
	posix_spawnattr_setpgroup(&attributes, 0);
	posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETPGROUP);
	int err = posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, log,
						   O_WRONLY | O_CREAT | O_TRUNC, 0600);
	if (!err)
		err = posix_spawn_file_actions_adddup2(&actions, STDOUT_FILENO, STDERR_FILENO);
	if (!err)
		err = posix_spawn(&daemon->pid, program, &actions, &attributes, argv, environ);
	if (err)
		daemon->pid = 0;
	posix_spawnattr_destroy(&attributes);
	posix_spawn_file_actions_destroy(&actions);
	return -err;
}

int sim_daemon_start(struct sim_daemon *daemon, const char *program, const char *config,
		     const char *log, const char *socket)
{
	memset(daemon, 0, sizeof(*daemon));
	int err = sim_control_new(socket, &daemon->control);
	return err ? err : spawn(daemon, program, config, log);
}

/* Has the child ended? Then @exit_status, or -1 after a signal. */
static bool has_ended(struct sim_daemon *daemon, int *exit_status)
{
	int status;

	if (daemon->pid == 0)
		return true;
	if (waitpid(daemon->pid, &status, WNOHANG) != daemon->pid)
		return false;
	daemon->pid = 0;
	*exit_status = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
	return true;
}

int sim_daemon_ready(struct sim_daemon *daemon, uint64_t timeout_ns)
{
	uint64_t deadline_ns = ch_now_ns() + timeout_ns;
	int exit_status;

	while (ch_now_ns() < deadline_ns) {
		json_t *status = NULL;
		if (has_ended(daemon, &exit_status))
			return CH_E_STATE;
		if (sim_daemon_status(daemon, &status) == 0) {
			json_decref(status);
			return 0;
		}
		nap();
	}
	return CH_E_TIMEOUT;
}

int sim_daemon_status(struct sim_daemon *daemon, json_t **status)
{
	return sim_control_get(daemon->control, "/v1/status", status);
}

int sim_daemon_stop(struct sim_daemon *daemon, uint64_t timeout_ns)
{
	uint64_t deadline_ns = ch_now_ns() + timeout_ns;
	int exit_status = -1;

	if (daemon->pid == 0 || kill(daemon->pid, SIGTERM) != 0)
		return -1;
	while (!has_ended(daemon, &exit_status)) {
		if (ch_now_ns() > deadline_ns) {
			sim_daemon_deinit(daemon);
			return -1;
		}
		nap();
	}
	return exit_status;
}

void sim_daemon_deinit(struct sim_daemon *daemon)
{
	if (daemon->pid != 0) {
		kill(daemon->pid, SIGKILL);
		while (waitpid(daemon->pid, NULL, 0) < 0 && errno == EINTR)
			continue;
	}
	daemon->pid = 0;
	sim_control_free(daemon->control);
	daemon->control = NULL;
}
