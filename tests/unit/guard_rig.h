/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Calls on the loopback, which the tests of the guard make. */
#include "kernel/guard.h"
#include "kernel/sock.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#define SETTLE_MS 20
#define WAIT_MS 150 /* a SYN that is dropped is sent again after a second */

static inline struct guard_source v4(const char *text)
{
	struct guard_source source = {.bytes = {[10] = 0xff, [11] = 0xff}};

	cr_assert_eq(inet_pton(AF_INET, text, &source.bytes[12]), 1);
	return source;
}

static inline struct ch_guard_prefix prefix(const char *text, uint32_t bits, uint32_t rule)
{
	return (struct ch_guard_prefix){{96 + bits, v4(text)}, rule};
}

/* Connects @fd. @return 0, -ETIMEDOUT (dropped) or a negated errno */
static inline int call(int fd, const struct sockaddr *to, socklen_t to_len)
{
	struct pollfd wait = {.fd = fd, .events = POLLOUT};
	int error = 0;
	socklen_t len = sizeof(error);

	(void)!connect(fd, to, to_len);
	if (poll(&wait, 1, WAIT_MS) == 0)
		error = ETIMEDOUT;
	else
		getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len);
	close(fd);
	return -error;
}

static inline int call_port(const char *source, uint16_t port)
{
	struct sockaddr_in from = {.sin_family = AF_INET};
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);

	inet_pton(AF_INET, source, &from.sin_addr);
	inet_pton(AF_INET, "127.0.0.1", &to.sin_addr);
	cr_assert_eq(bind(fd, (struct sockaddr *)&from, sizeof(from)), 0);
	return call(fd, (struct sockaddr *)&to, sizeof(to));
}

/* How many connections wait at a listener that does not block; they are taken. */
static inline int take_all(int fd)
{
	int count = 0;
	int child;

	while ((child = accept(fd, NULL, NULL)) >= 0) {
		count++;
		close(child);
	}
	return count;
}

/* The same, and what is under way: connect() may end before the listener has got the ACK. */
static inline int count_at(int fd)
{
	struct pollfd wait = {.fd = fd, .events = POLLIN};
	int count = 0;

	do
		count += take_all(fd);
	while (poll(&wait, 1, SETTLE_MS) > 0);
	return count;
}

/* A further listener at an address, of which the first one chooses the port. It does not block. */
static inline int listen_once_more(struct ch_address *address, int backlog)
{
	int fd;

	cr_assert_eq(ch_sock_listen(address, NULL, backlog, &fd), 0);
	cr_assert_eq(ch_sock_local(fd, address), 0);
	cr_assert_eq(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
	return fd;
}

/* One connection from @source to the port of @doors. @return it came to @doors[@door] */
static inline bool goes_through(const int *doors, enum guard_door door, const char *source,
				uint16_t port)
{
	const enum guard_door other =
		door == GUARD_DOOR_KNOWN ? GUARD_DOOR_ORDINARY : GUARD_DOOR_KNOWN;
	struct pollfd wait = {.fd = doors[door], .events = POLLIN};

	return call_port(source, port) == 0 && poll(&wait, 1, WAIT_MS) == 1 &&
	       take_all(doors[door]) == 1 && take_all(doors[other]) == 0;
}

/* Many, for one might come there by chance. */
static inline bool all_go_through(const int *doors, enum guard_door door, const char *source,
				  uint16_t port)
{
	for (int i = 0; i < 16; i++)
		if (!goes_through(doors, door, source, port))
			return false;
	return true;
}
