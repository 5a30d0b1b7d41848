/* SPDX-License-Identifier: Apache-2.0 */
#include "sock.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

/* glibc declares the address arguments with a transparent union; these have the plain type. */
static int sys_bind(int fd, const struct sockaddr *address, socklen_t len)
{
	return bind(fd, address, len);
}

static int sys_getpeername(int fd, struct sockaddr *address, socklen_t *len)
{
	return getpeername(fd, address, len);
}

static int sys_getsockname(int fd, struct sockaddr *address, socklen_t *len)
{
	return getsockname(fd, address, len);
}

struct ch_sys ch_sys = {
	.socket = socket,
	.bind = sys_bind,
	.listen = listen,
	.setsockopt = setsockopt,
	.getsockopt = getsockopt,
	.getpeername = sys_getpeername,
	.getsockname = sys_getsockname,
	.close = close,
	.eventfd = eventfd,
};

socklen_t ch_sock_encode(const struct ch_address *address, struct sockaddr_storage *to)
{
	memset(to, 0, sizeof(*to));
	if (address->family == 4) {
		struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(address->port)};

		memcpy(&in.sin_addr, address->ip, 4);
		memcpy(to, &in, sizeof(in));
		return sizeof(in);
	}
	if (address->family == 6) {
		struct sockaddr_in6 in6 = {.sin6_family = AF_INET6,
					   .sin6_port = htons(address->port)};

		memcpy(&in6.sin6_addr, address->ip, 16);
		memcpy(to, &in6, sizeof(in6));
		return sizeof(in6);
	}
	return 0;
}

int ch_sock_decode(const struct sockaddr_storage *from, struct ch_address *address)
{
	memset(address, 0, sizeof(*address));
	if (from->ss_family == AF_INET) {
		struct sockaddr_in in;

		memcpy(&in, from, sizeof(in));
		memcpy(address->ip, &in.sin_addr, 4);
		address->port = ntohs(in.sin_port);
		address->family = 4;
		return 0;
	}
	if (from->ss_family == AF_INET6) {
		struct sockaddr_in6 in6;

		memcpy(&in6, from, sizeof(in6));
		memcpy(address->ip, &in6.sin6_addr, 16);
		address->port = ntohs(in6.sin6_port);
		address->family = 6;
		ch_address_normalize(address);
		return 0;
	}
	return -EAFNOSUPPORT;
}

static int set_option(int fd, int level, int name, int value)
{
	return ch_sys.setsockopt(fd, level, name, &value, sizeof(value)) == 0 ? 0 : -errno;
}

/** A TCP socket of the family of @address that binds again over TIME_WAIT; v6 does not take v4. */
static int open_socket(const struct ch_address *address, int *fd)
{
	bool v6 = address->family == 6;
	int err;

	*fd = ch_sys.socket(v6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (*fd < 0)
		return -errno;
	err = set_option(*fd, SOL_SOCKET, SO_REUSEADDR, 1);
	if (err == 0 && v6)
		err = set_option(*fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
	return err;
}

static int bind_socket(int fd, const struct ch_address *address)
{
	struct sockaddr_storage to;
	socklen_t len = ch_sock_encode(address, &to);

	if (len == 0)
		return -EAFNOSUPPORT;
	return ch_sys.bind(fd, (const struct sockaddr *)&to, len) == 0 ? 0 : -errno;
}

int ch_sock_probe(const struct ch_address *address)
{
	int fd = -1;
	int err = open_socket(address, &fd);

	/* SO_REUSEADDR excuses connections in TIME_WAIT, never a socket that listens. */
	if (err == 0)
		err = bind_socket(fd, address);
	if (fd >= 0)
		ch_sys.close(fd);
	return err;
}

static int set_liveness(int fd, const struct ch_sock_liveness *liveness)
{
	const struct {
		int name;
		uint32_t value;
	} options[] = {
		{TCP_KEEPIDLE, liveness->keepalive_idle_s},
		{TCP_KEEPINTVL, liveness->keepalive_interval_s},
		{TCP_KEEPCNT, liveness->keepalive_count},
		{TCP_USER_TIMEOUT, liveness->user_timeout_ms},
	};
	int err = 0;

	if (liveness->keepalive_idle_s > 0 || liveness->keepalive_interval_s > 0 ||
	    liveness->keepalive_count > 0)
		err = set_option(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
	for (size_t i = 0; err == 0 && i < sizeof(options) / sizeof(options[0]); i++) {
		if (options[i].value > INT32_MAX)
			err = -EINVAL;
		else if (options[i].value > 0)
			err = set_option(fd, IPPROTO_TCP, options[i].name, (int)options[i].value);
	}
	return err;
}

int ch_sock_listen(const struct ch_address *address, const struct ch_sock_liveness *liveness,
		   int backlog, int *fd)
{
	int made = -1;
	int err = open_socket(address, &made);

	if (err == 0)
		err = set_option(made, SOL_SOCKET, SO_REUSEPORT, 1);
	if (err == 0)
		err = set_option(made, IPPROTO_TCP, TCP_NODELAY, 1);
	if (err == 0 && liveness != NULL)
		err = set_liveness(made, liveness);
	if (err == 0)
		err = bind_socket(made, address);
	if (err == 0 && ch_sys.listen(made, backlog) != 0)
		err = -errno;
	if (err != 0 && made >= 0) {
		ch_sys.close(made);
		made = -1;
	}
	*fd = made;
	return err;
}

/*
 * getpeername refuses a connection that was reset before it was accepted. SO_PEERNAME tells its
 * address still, but takes no more room than that address has.
 */
static int peer_of_the_gone(int fd, struct sockaddr_storage *from)
{
	socklen_t len = sizeof(struct sockaddr_in);

	if (ch_sys.getsockopt(fd, SOL_SOCKET, SO_PEERNAME, from, &len) != 0)
		return -errno;
	if (from->ss_family != AF_INET6)
		return 0;
	len = sizeof(struct sockaddr_in6);
	return ch_sys.getsockopt(fd, SOL_SOCKET, SO_PEERNAME, from, &len) == 0 ? 0 : -errno;
}

int ch_sock_peer(int fd, struct ch_address *peer)
{
	struct sockaddr_storage from = {0};
	socklen_t len = sizeof(from);
	int err = 0;

	if (ch_sys.getpeername(fd, (struct sockaddr *)&from, &len) != 0)
		err = errno == ENOTCONN ? peer_of_the_gone(fd, &from) : -errno;
	return err ? err : ch_sock_decode(&from, peer);
}

int ch_sock_local(int fd, struct ch_address *local)
{
	struct sockaddr_storage from = {0};
	socklen_t len = sizeof(from);

	if (ch_sys.getsockname(fd, (struct sockaddr *)&from, &len) != 0)
		return -errno;
	return ch_sock_decode(&from, local);
}

void ch_sock_shutdown(int fd)
{
	(void)shutdown(fd, SHUT_RDWR); /* fails where there is no connection any more */
}

void ch_sock_reset_at_close(int fd)
{
	const struct linger now = {.l_onoff = 1, .l_linger = 0};

	(void)ch_sys.setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
}

void ch_sock_reset(int fd)
{
	ch_sock_reset_at_close(fd);
	ch_sys.close(fd);
}

void ch_sock_close(int fd)
{
	ch_sys.close(fd);
}

int ch_sock_dial(const struct ch_address *local, int *fd)
{
	static const struct ch_address any_v4 = {.family = 4};
	int made = -1;
	int err = open_socket(local != NULL ? local : &any_v4, &made);

	if (err == 0)
		err = set_option(made, IPPROTO_TCP, TCP_NODELAY, 1);
	/* Else every bind would take a port of its own from the range that all addresses share. */
	if (err == 0 && local != NULL && local->port == 0)
		err = set_option(made, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1);
	if (err == 0 && local != NULL)
		err = bind_socket(made, local);
	if (err != 0 && made >= 0) {
		ch_sys.close(made);
		made = -1;
	}
	*fd = made;
	return err;
}

int ch_sock_eventfd(void)
{
	int fd = ch_sys.eventfd(0, EFD_CLOEXEC);

	return fd >= 0 ? fd : -errno;
}

void ch_sock_wake(int eventfd_fd)
{
	const uint64_t one = 1;
	int saved = errno;

	/* It fails only when 2^64 - 2 wake-ups are unread, and then the reader is awake. */
	if (write(eventfd_fd, &one, sizeof(one)) < 0)
		errno = saved;
}

int ch_sock_reserve(uint64_t count)
{
	struct rlimit limit;
	int any;
	int high;
	int err;

	if (count == 0)
		return 0;
	any = ch_sock_eventfd();
	if (any < 0)
		return any;
	if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && count > limit.rlim_cur)
		count = limit.rlim_cur;
	if (count > INT_MAX)
		count = INT_MAX;
	high = fcntl(any, F_DUPFD_CLOEXEC, (int)count - 1);
	/* EMFILE: the last one is open, so the room is there. */
	err = high >= 0 || errno == EMFILE ? 0 : -errno;
	if (high >= 0)
		ch_sys.close(high);
	ch_sys.close(any);
	return err;
}

static uint64_t read_clock(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

uint64_t ch_now_ns(void)
{
	return read_clock(CLOCK_MONOTONIC);
}

uint64_t ch_unix_ns(void)
{
	return read_clock(CLOCK_REALTIME);
}
