/* SPDX-License-Identifier: Apache-2.0 */
#include "crl_watch.h"
#include "collector.h"
#include "kernel/sock.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

/* Several files come together: wait until it is quiet, but not for ever. */
#define QUIET_MS 200
#define QUIET_ROUNDS 10
#define CHANGES                                                                                    \
	(IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE | IN_DELETE_SELF | IN_MOVE_SELF)

struct ch_crl_watch {
	struct ch_collector *collector;
	pthread_t thread;
	int wake_fd;
	int notify_fd; /* -1: the interval must do */
	int watched;   /* of inotify; -1 = nothing */
	_Atomic bool stopping;
	char *path;	/* that is watched; NULL = none */
	uint64_t tried; /* what it looked like when a reload was asked for */
};

/* What the present policy says. @return milliseconds between two looks */
static int ask_policy(struct ch_crl_watch *w, char **path, uint64_t *loaded)
{
	struct ch_collector *c = w->collector;
	uint64_t ms;

	pthread_mutex_lock(&c->lock);
	*path = c->shared.policy->config->crl != NULL ? strdup(c->shared.policy->config->crl)
						      : NULL;
	*loaded = ch_revocation_scanned(c->shared.policy->revocation);
	ms = c->shared.policy->config->crl_refresh_ns / 1000000;
	pthread_mutex_unlock(&c->lock);
	return ms < INT_MAX ? (int)ms : INT_MAX;
}

/* A file may be replaced: its directory tells of it. */
static void follow(struct ch_crl_watch *w)
{
	struct stat st;
	char *slash;
	char *directory = w->path != NULL ? strdup(w->path) : NULL;

	if (w->watched >= 0)
		inotify_rm_watch(w->notify_fd, w->watched);
	w->watched = -1;
	if (directory == NULL || w->notify_fd < 0)
		goto out;
	if (stat(directory, &st) == 0 && !S_ISDIR(st.st_mode)) {
		slash = strrchr(directory, '/');
		if (slash == NULL)
			goto out;
		slash[slash == directory] = '\0';
	}
	w->watched = inotify_add_watch(w->notify_fd, directory, CHANGES);
out:
	free(directory);
}

static void look(struct ch_crl_watch *w)
{
	uint64_t loaded;
	uint64_t now;
	char *path;

	ask_policy(w, &path, &loaded);
	if (path == NULL || w->path == NULL || strcmp(path, w->path) != 0) {
		free(w->path);
		w->path = path;
		w->tried = loaded;
		follow(w);
	} else {
		free(path);
	}
	if (w->path == NULL)
		return;
	if (w->watched < 0)
		follow(w);
	now = ch_revocation_scan(w->path);
	if (now == loaded || now == w->tried)
		return;
	if (ch_collector_reload_start(w->collector, CH_RELOAD_REVOCATION, NULL, NULL) == 0)
		w->tried = now;
}

/* Empties what is ready; what it says does not matter. */
static void drain(const struct pollfd fds[2])
{
	char events[4096];

	for (int i = 0; i < 2; i++)
		if ((fds[i].revents & POLLIN) != 0 && read(fds[i].fd, events, sizeof(events)) < 0)
			return;
}

static void wait_for_change(struct ch_crl_watch *w)
{
	struct pollfd fds[] = {{w->wake_fd, POLLIN, 0}, {w->notify_fd, POLLIN, 0}};
	uint64_t unused;
	char *path;
	int ms = ask_policy(w, &path, &unused);

	free(path);
	if (poll(fds, 2, ms) <= 0)
		return;
	for (int i = 0; i < QUIET_ROUNDS && !w->stopping; i++) {
		drain(fds);
		if ((fds[1].revents & POLLIN) == 0 || poll(fds, 2, QUIET_MS) <= 0)
			return;
	}
}

static void *watch_main(void *arg)
{
	struct ch_crl_watch *w = arg;

	while (!w->stopping) {
		look(w);
		wait_for_change(w);
	}
	return NULL;
}

int ch_crl_watch_new(struct ch_collector *c, struct ch_crl_watch **watch)
{
	struct ch_crl_watch *w = calloc(1, sizeof(*w));
	int err;

	if (w == NULL)
		return -ENOMEM;
	w->collector = c;
	w->watched = -1;
	w->wake_fd = ch_sock_eventfd();
	w->notify_fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	/* Before the thread: a reload that it asks for tells it of its end. */
	*watch = w;
	err = w->wake_fd < 0 ? w->wake_fd : -pthread_create(&w->thread, NULL, watch_main, w);
	if (err == 0)
		return 0;
	*watch = NULL;
	if (w->wake_fd >= 0)
		ch_sock_close(w->wake_fd);
	if (w->notify_fd >= 0)
		close(w->notify_fd);
	free(w);
	return err;
}

void ch_crl_watch_look(struct ch_crl_watch *w)
{
	if (w != NULL)
		ch_sock_wake(w->wake_fd);
}

void ch_crl_watch_free(struct ch_crl_watch *w)
{
	if (w == NULL)
		return;
	w->stopping = true;
	ch_sock_wake(w->wake_fd);
	pthread_join(w->thread, NULL);
	ch_sock_close(w->wake_fd);
	if (w->notify_fd >= 0)
		close(w->notify_fd);
	free(w->path);
	free(w);
}
