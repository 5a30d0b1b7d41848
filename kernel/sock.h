/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Sockets and the few other system calls around them. All go through `ch_sys`, a table that only
 * tests may swap.
 */
#include <callhome/error.h>
#include "user/core/address.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

/** The system calls behind this header, as in their manual pages (errors in errno). */
struct ch_sys {
	int (*socket)(int domain, int type, int protocol);
	int (*bind)(int fd, const struct sockaddr *address, socklen_t len);
	int (*listen)(int fd, int backlog);
	int (*setsockopt)(int fd, int level, int name, const void *value, socklen_t len);
	int (*getsockopt)(int fd, int level, int name, void *value, socklen_t *len);
	int (*getpeername)(int fd, struct sockaddr *address, socklen_t *len);
	int (*getsockname)(int fd, struct sockaddr *address, socklen_t *len);
	int (*close)(int fd);
	int (*eventfd)(unsigned int initial, int flags);
};
extern struct ch_sys ch_sys;

/** The socket address of @address. @return its length, 0 for none. */
socklen_t ch_sock_encode(const struct ch_address *address, struct sockaddr_storage *to);

/** The endpoint in @from; a v4-mapped v6 address becomes v4. @return 0 or -EAFNOSUPPORT. */
CH_NODISCARD int ch_sock_decode(const struct sockaddr_storage *from, struct ch_address *address);

/**
 * Liveness of an established connection, inherited from the listener. 0 = leave the system's
 * default; keepalive is switched on when one of its three values is set.
 */
struct ch_sock_liveness {
	uint32_t keepalive_idle_s;
	uint32_t keepalive_interval_s;
	uint32_t keepalive_count;
	uint32_t user_timeout_ms;
};

/**
 * Is the address free? Binds without SO_REUSEPORT and closes again, so that a second daemon (whose
 * listeners would silently share the port) is refused.
 * @return 0 or a negated errno (-EADDRINUSE: somebody listens; -EADDRNOTAVAIL; -EAFNOSUPPORT: no
 * IPv6)
 */
CH_NODISCARD int ch_sock_probe(const struct ch_address *address);

/**
 * A listener of one thread, for multishot accept (a blocking descriptor: the ring waits by itself,
 * while O_NONBLOCK makes some kernels answer -EAGAIN at once): SO_REUSEPORT, IPV6_V6ONLY,
 * TCP_NODELAY, keepalive and user timeout (inherited by accepted sockets); never TCP_DEFER_ACCEPT
 * (a TLS device is silent until our ClientHello). @liveness may be NULL. @return 0 and @fd, or a
 * negated errno
 */
CH_NODISCARD int ch_sock_listen(const struct ch_address *address,
				const struct ch_sock_liveness *liveness, int backlog, int *fd);

/**
 * The peer of an accepted or connected socket, also when it has reset the connection since.
 * @return 0 or a negated errno (-ENOTCONN: there never was one)
 */
CH_NODISCARD int ch_sock_peer(int fd, struct ch_address *peer);

/** The local address of a socket. @return 0 or a negated errno. */
CH_NODISCARD int ch_sock_local(int fd, struct ch_address *local);

/** Resets the connection (RST, no TIME_WAIT) and closes @fd. */
void ch_sock_reset(int fd);

/** Ends what is in flight on @fd, both ways; it stays open. */
void ch_sock_shutdown(int fd);

/** Whoever closes @fd later resets the connection. */
void ch_sock_reset_at_close(int fd);

/** Closes @fd the ordinary way. */
void ch_sock_close(int fd);

/**
 * A close-on-exec TCP socket bound to @local (port 0: chosen at connect, IP_BIND_ADDRESS_NO_PORT;
 * NULL: v4, no bind) with TCP_NODELAY, ready for ch_ring connect. @return 0 and @fd, or a negated
 * errno
 */
CH_NODISCARD int ch_sock_dial(const struct ch_address *local, int *fd);

/** An eventfd for waking a ring. @return the descriptor or a negated errno. */
CH_NODISCARD int ch_sock_eventfd(void);
/** Wakes it; async-signal-safe. */
void ch_sock_wake(int eventfd);

/**
 * Makes room for @count descriptors, or as many as RLIMIT_NOFILE allows, at once. The kernel grows
 * the table by doubling it, and where the process has several threads whoever opens the one that is
 * too many sleeps for a grace period of RCU, some 10 ms: call this while there is one thread.
 * @return 0 or a negated errno
 */
CH_NODISCARD int ch_sock_reserve(uint64_t count);

/** Monotonic nanoseconds. */
uint64_t ch_now_ns(void);
/** Nanoseconds since 1970. */
uint64_t ch_unix_ns(void);
