/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The listening AF_UNIX socket of the control API, its lock file, and who is at the other end. */
#include <callhome/error.h>
#include <stdbool.h>
#include <sys/types.h>

struct ch_control_socket {
	char *path;
	char *lock_path;
	int listen_fd; /**< -1 = none (or handed to somebody who closes it) */
	int lock_fd;
	bool bound; /**< @path is ours */
};

/**
 * Takes PATH.lock, replaces a stale socket, listens with mode 0600.
 * @return 0; -ENAMETOOLONG; -EADDRINUSE: another process serves the path; -EEXIST: something that
 * is no socket is in the way; or another negated errno. @error gets one sentence.
 */
CH_NODISCARD int ch_control_socket_open(struct ch_control_socket *sock, const char *path,
					char error[256]);

/** Removes the socket (nobody finds it any more), then the lock. An empty value is fine. */
void ch_control_socket_close(struct ch_control_socket *sock);

/** Is the peer of a connection root or the user we run as? */
bool ch_control_peer_allowed(int fd);

/** Who is at the other end: the name of the user, or "uid 1234". */
#define CH_CONTROL_USER 64
void ch_control_peer_user(int fd, char user[CH_CONTROL_USER]);
