/* SPDX-License-Identifier: Apache-2.0 */
#include "control_socket.h"

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define PATH_MOST (sizeof(((struct sockaddr_un *)0)->sun_path) - 1)
#define BACKLOG 64
#define LOCK_TRIES 8

static void lock_holder(int fd, char pid[16])
{
	ssize_t len = pread(fd, pid, 15, 0);

	pid[len > 0 ? len : 0] = '\0';
	pid[strspn(pid, "0123456789")] = '\0';
}

/** Is @fd still the file at @path? The last owner removes it while it holds the lock. */
static bool same_file(int fd, const char *path)
{
	struct stat ours;
	struct stat there;

	return fstat(fd, &ours) == 0 && stat(path, &there) == 0 && ours.st_ino == there.st_ino &&
	       ours.st_dev == there.st_dev;
}

static int take_lock(struct ch_control_socket *sock, char error[256])
{
	for (int i = 0; i < LOCK_TRIES; i++) {
		char pid[16];
		int err;

		sock->lock_fd =
			open(sock->lock_path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
		if (sock->lock_fd < 0) {
			err = -errno;
			snprintf(error, 256, "cannot open %s: %s", sock->lock_path, strerror(-err));
			return err;
		}
		if (flock(sock->lock_fd, LOCK_EX | LOCK_NB) != 0) {
			lock_holder(sock->lock_fd, pid);
			snprintf(error, 256, "another callhomed (pid %s) holds %s",
				 pid[0] != '\0' ? pid : "unknown", sock->lock_path);
			return -EADDRINUSE;
		}
		if (same_file(sock->lock_fd, sock->lock_path)) {
			if (ftruncate(sock->lock_fd, 0) == 0)
				dprintf(sock->lock_fd, "%d\n", (int)getpid());
			return 0;
		}
		close(sock->lock_fd);
		sock->lock_fd = -1;
	}
	snprintf(error, 256, "%s is made and removed again and again", sock->lock_path);
	return -EAGAIN;
}

/** @return 0: nobody listens there (a left-over is removed); a negated errno: do not touch it. */
static int remove_stale(const struct sockaddr_un *address, char error[256])
{
	const char *path = address->sun_path;
	struct stat st;
	int err = 0;
	int fd;

	if (lstat(path, &st) != 0)
		return 0; /* bind tells when it is more than "not there" */
	if (!S_ISSOCK(st.st_mode)) {
		snprintf(error, 256,
			 "%s exists and is not a socket; remove it or name another path", path);
		return -EEXIST;
	}
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0) {
		err = -errno;
		snprintf(error, 256, "cannot make a socket: %s", strerror(-err));
		return err;
	}
	if (connect(fd, (const struct sockaddr *)address, sizeof(*address)) == 0 ||
	    errno == EAGAIN) {
		err = -EADDRINUSE;
		snprintf(error, 256, "another process listens on %s", path);
	} else if (errno != ECONNREFUSED || unlink(path) != 0) {
		err = -errno;
		snprintf(error, 256, "cannot replace the stale socket %s: %s", path,
			 strerror(-err));
	}
	close(fd);
	return err;
}

static int listen_on(struct ch_control_socket *sock, const struct sockaddr_un *address,
		     char error[256])
{
	int err;

	sock->listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	/*
	 * The mode of the descriptor becomes the mode of the file (Linux, unix_bind), so the umask,
	 * which belongs to all threads, stays as it is. Nobody can connect before listen, so a file
	 * system that does otherwise is corrected in time.
	 */
	if (sock->listen_fd >= 0 && fchmod(sock->listen_fd, 0600) == 0 &&
	    bind(sock->listen_fd, (const struct sockaddr *)address, sizeof(*address)) == 0) {
		sock->bound = true;
		if (chmod(address->sun_path, 0600) == 0 && listen(sock->listen_fd, BACKLOG) == 0)
			return 0;
	}
	err = -errno;
	snprintf(error, 256, "cannot listen on %s: %s", address->sun_path, strerror(-err));
	return err;
}

int ch_control_socket_open(struct ch_control_socket *sock, const char *path, char error[256])
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int err;

	*sock = (struct ch_control_socket){.listen_fd = -1, .lock_fd = -1};
	if (strlen(path) > PATH_MOST) {
		snprintf(error, 256,
			 "the path of the control socket has %zu bytes, at most %zu are possible: "
			 "%.100s...",
			 strlen(path), PATH_MOST, path);
		return -ENAMETOOLONG;
	}
	memcpy(address.sun_path, path, strlen(path) + 1);
	err = -ENOMEM;
	snprintf(error, 256, "out of memory for the control socket");
	sock->path = strdup(path);
	if (sock->path == NULL)
		goto out;
	if (asprintf(&sock->lock_path, "%s.lock", path) < 0) {
		sock->lock_path = NULL;
		goto out;
	}
	err = take_lock(sock, error);
	if (err != 0)
		goto out;
	err = remove_stale(&address, error);
	if (err == 0)
		err = listen_on(sock, &address, error);
out:
	if (err != 0)
		ch_control_socket_close(sock);
	return err;
}

void ch_control_socket_close(struct ch_control_socket *sock)
{
	if (sock->path != NULL && sock->bound)
		unlink(sock->path);
	if (sock->listen_fd >= 0)
		close(sock->listen_fd);
	/* Only who holds the lock may remove its file. */
	if (sock->lock_fd >= 0 && flock(sock->lock_fd, LOCK_EX | LOCK_NB) == 0)
		unlink(sock->lock_path);
	if (sock->lock_fd >= 0)
		close(sock->lock_fd);
	free(sock->path);
	free(sock->lock_path);
	*sock = (struct ch_control_socket){.listen_fd = -1, .lock_fd = -1};
}

bool ch_control_peer_allowed(int fd)
{
	struct ucred peer;
	socklen_t len = sizeof(peer);

	return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) == 0 &&
	       (peer.uid == 0 || peer.uid == geteuid());
}

void ch_control_peer_user(int fd, char user[CH_CONTROL_USER])
{
	struct ucred peer;
	socklen_t len = sizeof(peer);
	struct passwd entry;
	struct passwd *found = NULL;
	char text[1024];

	snprintf(user, CH_CONTROL_USER, "unknown");
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) != 0)
		return;
	if (getpwuid_r(peer.uid, &entry, text, sizeof(text), &found) == 0 && found != NULL)
		snprintf(user, CH_CONTROL_USER, "%s", found->pw_name);
	else
		snprintf(user, CH_CONTROL_USER, "uid %u", (unsigned)peer.uid);
}
