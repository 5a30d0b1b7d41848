/* SPDX-License-Identifier: Apache-2.0 */
/* links: kernel core */
#include "kernel/sock.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static const struct ch_address loopback4 = {.ip = {127, 0, 0, 1}, .family = 4};
static const struct ch_address loopback6 = {.ip = {[15] = 1}, .family = 6};

static int option_of(int fd, int level, int name)
{
	int value = -1;
	socklen_t len = sizeof(value);

	cr_assert_eq(getsockopt(fd, level, name, &value, &len), 0);
	return value;
}

static struct ch_address listening(int *fd, const struct ch_address *on)
{
	struct ch_address address;

	cr_assert_eq(ch_sock_listen(on, NULL, 16, fd), 0);
	cr_assert_eq(ch_sock_local(*fd, &address), 0);
	cr_assert_neq(address.port, 0);
	return address;
}

static int connect_from(const struct ch_address *local, const struct ch_address *to)
{
	struct sockaddr_storage address;
	socklen_t len = ch_sock_encode(to, &address);
	int fd = -1;

	cr_assert_eq(ch_sock_dial(local, &fd), 0);
	cr_assert_eq(connect(fd, (struct sockaddr *)&address, len), 0);
	return fd;
}

/* row: 9643 */
Test(sock, liveness_is_inherited_by_accepted_sockets)
{
	const struct ch_sock_liveness liveness = {60, 10, 6, 90000};
	struct ch_address address;
	int listener = -1;
	int peer;
	int fd;

	cr_assert_eq(ch_sock_listen(&loopback4, &liveness, 16, &listener), 0);
	cr_assert_eq(ch_sock_local(listener, &address), 0);
	peer = connect_from(NULL, &address);
	fd = accept(listener, NULL, NULL);
	cr_assert_eq(option_of(fd, SOL_SOCKET, SO_KEEPALIVE), 1);
	cr_assert_eq(option_of(fd, IPPROTO_TCP, TCP_KEEPIDLE), 60);
	cr_assert_eq(option_of(fd, IPPROTO_TCP, TCP_KEEPINTVL), 10);
	cr_assert_eq(option_of(fd, IPPROTO_TCP, TCP_KEEPCNT), 6);
	cr_assert_eq(option_of(fd, IPPROTO_TCP, TCP_USER_TIMEOUT), 90000);
	cr_assert_eq(option_of(fd, IPPROTO_TCP, TCP_NODELAY), 1);
	cr_assert_eq(option_of(listener, IPPROTO_TCP, TCP_DEFER_ACCEPT), 0);
	cr_assert_eq(option_of(listener, SOL_SOCKET, SO_REUSEPORT), 1);
	cr_assert_eq(fcntl(listener, F_GETFD), FD_CLOEXEC);
	cr_assert_eq(fcntl(listener, F_GETFL) & O_NONBLOCK, 0);
	close(fd);
	close(peer);
	close(listener);
}

Test(sock, zero_liveness_leaves_the_system_defaults)
{
	const struct ch_sock_liveness none = {0};
	int fd = -1;

	cr_assert_eq(ch_sock_listen(&loopback4, &none, 16, &fd), 0);
	cr_assert_eq(option_of(fd, SOL_SOCKET, SO_KEEPALIVE), 0);
	cr_assert_eq(option_of(fd, IPPROTO_TCP, TCP_USER_TIMEOUT), 0);
	close(fd);
}

Test(sock, liveness_beyond_an_int_is_refused)
{
	const struct ch_sock_liveness huge = {.user_timeout_ms = UINT32_MAX};
	int fd = 7;

	cr_assert_eq(ch_sock_listen(&loopback4, &huge, 16, &fd), -EINVAL);
	cr_assert_eq(fd, -1);
}

Test(sock, listeners_of_several_threads_share_a_port_but_a_probe_sees_them)
{
	int first = -1;
	int second = -1;
	struct ch_address address = listening(&first, &loopback4);

	cr_assert_eq(ch_sock_probe(&address), -EADDRINUSE);
	cr_assert_eq(ch_sock_listen(&address, NULL, 16, &second), 0);
	close(first);
	cr_assert_eq(ch_sock_probe(&address), -EADDRINUSE);
	close(second);
	cr_assert_eq(ch_sock_probe(&address), 0);
}

Test(sock, time_wait_does_not_block_a_restart)
{
	int listener = -1;
	struct ch_address address = listening(&listener, &loopback4);
	int peer = connect_from(NULL, &address);
	int fd = accept(listener, NULL, NULL);
	char byte;

	close(fd); /* we close first: TIME_WAIT is ours */
	cr_assert_eq(read(peer, &byte, 1), 0);
	close(peer);
	close(listener);
	cr_assert_eq(ch_sock_probe(&address), 0);
	cr_assert_eq(ch_sock_listen(&address, NULL, 16, &listener), 0);
	close(listener);
}

Test(sock, a_foreign_address_cannot_be_bound)
{
	const struct ch_address foreign = {.ip = {192, 0, 2, 1}, .family = 4};
	const struct ch_address none = {0};
	int fd = 7;

	cr_assert_eq(ch_sock_probe(&foreign), -EADDRNOTAVAIL);
	cr_assert_eq(ch_sock_listen(&foreign, NULL, 16, &fd), -EADDRNOTAVAIL);
	cr_assert_eq(fd, -1);
	cr_assert_eq(ch_sock_probe(&none), -EAFNOSUPPORT);
}

Test(sock, v6_listens_beside_v4_on_the_same_port)
{
	struct ch_address any4 = {.family = 4};
	struct ch_address any6 = {.family = 6};
	int v4 = -1;
	int v6 = -1;

	if (ch_sock_probe(&loopback6) != 0)
		cr_skip_test("no IPv6 here");
	any6.port = listening(&v4, &any4).port;
	cr_assert_eq(ch_sock_listen(&any6, NULL, 16, &v6), 0);
	cr_assert_eq(option_of(v6, IPPROTO_IPV6, IPV6_V6ONLY), 1);
	close(v4);
	close(v6);
}

Test(sock, v6_peers_are_told)
{
	struct ch_address to;
	struct ch_address peer;
	char text[CH_ADDRESS_TEXT];
	int listener = -1;
	int client;
	int fd;

	if (ch_sock_probe(&loopback6) != 0)
		cr_skip_test("no IPv6 here");
	to = listening(&listener, &loopback6);
	client = connect_from(&loopback6, &to);
	fd = accept(listener, NULL, NULL);
	cr_assert_eq(ch_sock_peer(fd, &peer), 0);
	peer.port = 1;
	ch_address_format(&peer, text);
	cr_assert_str_eq(text, "[::1]:1");
	close(fd);
	close(client);
	close(listener);
}

Test(sock, dials_from_the_given_source_address)
{
	const struct ch_address source = {.ip = {127, 9, 8, 7}, .family = 4};
	int listener = -1;
	struct ch_address to = listening(&listener, &loopback4);
	struct ch_address peer;
	struct ch_address local;
	int client = connect_from(&source, &to);
	int fd = accept(listener, NULL, NULL);

	cr_assert_eq(ch_sock_peer(fd, &peer), 0);
	cr_assert_arr_eq(peer.ip, source.ip, 4);
	cr_assert_eq(peer.family, 4);
	cr_assert_eq(ch_sock_local(client, &local), 0);
	cr_assert_eq(local.port, peer.port);
	cr_assert_eq(option_of(client, IPPROTO_TCP, TCP_NODELAY), 1);
	cr_assert_eq(option_of(client, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT), 1);
	cr_assert_eq(fcntl(client, F_GETFD), FD_CLOEXEC);
	close(fd);
	close(client);
	close(listener);
}

Test(sock, a_mapped_address_is_told_as_v4)
{
	struct sockaddr_in6 mapped = {.sin6_family = AF_INET6, .sin6_port = htons(830)};
	struct sockaddr_storage from = {0};
	struct ch_address address;
	const uint8_t ip[16] = {[10] = 0xff, [11] = 0xff, [12] = 192, [14] = 2, [15] = 33};
	const uint8_t v4[4] = {192, 0, 2, 33};

	memcpy(&mapped.sin6_addr, ip, 16);
	memcpy(&from, &mapped, sizeof(mapped));
	cr_assert_eq(ch_sock_decode(&from, &address), 0);
	cr_assert_eq(address.family, 4);
	cr_assert_eq(address.port, 830);
	cr_assert_arr_eq(address.ip, v4, 4);
	from.ss_family = AF_UNIX;
	cr_assert_eq(ch_sock_decode(&from, &address), -EAFNOSUPPORT);
}

Test(sock, the_peer_of_an_unconnected_socket_is_enotconn)
{
	struct ch_address peer;
	int fd = -1;

	cr_assert_eq(ch_sock_dial(NULL, &fd), 0);
	cr_assert_eq(ch_sock_peer(fd, &peer), -ENOTCONN);
	close(fd);
	cr_assert_eq(ch_sock_peer(fd, &peer), -EBADF);
}

/* Who resets at once must be charged for it as anybody else. */
static void assert_peer_after_reset(const struct ch_address *local)
{
	int listener = -1;
	struct ch_address to = listening(&listener, local);
	struct ch_address from, peer;
	int client = connect_from(local, &to);

	cr_assert_eq(ch_sock_local(client, &from), 0);
	ch_sock_reset(client);
	int fd = accept(listener, NULL, NULL);
	cr_assert_eq(ch_sock_peer(fd, &peer), 0);
	cr_assert_eq(peer.family, local->family);
	cr_assert_eq(peer.port, from.port);
	cr_assert_arr_eq(peer.ip, local->ip, local->family == 4 ? 4 : 16);
	close(fd);
	close(listener);
}

Test(sock, a_peer_is_known_that_reset_before_it_was_accepted)
{
	assert_peer_after_reset(&loopback4);
	if (ch_sock_probe(&loopback6) == 0)
		assert_peer_after_reset(&loopback6);
}

Test(sock, reset_is_seen_as_a_reset_and_close_as_an_end)
{
	int listener = -1;
	struct ch_address to = listening(&listener, &loopback4);
	char byte;

	for (int i = 0; i < 2; i++) {
		int client = connect_from(NULL, &to);
		int fd = accept(listener, NULL, NULL);

		if (i == 0)
			ch_sock_reset(fd);
		else
			ch_sock_close(fd);
		errno = 0;
		cr_assert_eq(read(client, &byte, 1), i == 0 ? -1 : 0);
		cr_assert_eq(errno, i == 0 ? ECONNRESET : 0);
		close(client);
	}
	close(listener);
}

Test(sock, wake_ups_add_up_in_the_eventfd)
{
	int fd = ch_sock_eventfd();
	uint64_t count = 0;

	cr_assert_geq(fd, 0);
	ch_sock_wake(fd);
	ch_sock_wake(fd);
	cr_assert_eq(read(fd, &count, sizeof(count)), 8);
	cr_assert_eq(count, 2);
	errno = EINTR;
	ch_sock_wake(-1);
	cr_assert_eq(errno, EINTR, "a signal handler must not change errno");
	close(fd);
}

Test(sock, clocks_tell_nanoseconds)
{
	uint64_t before = ch_now_ns();

	cr_assert_geq(ch_now_ns(), before);
	cr_assert_gt(ch_unix_ns(), 1700000000ULL * 1000000000);
}

/* Failures of single system calls: nothing leaks, the code comes through. */

static int opened;
static int closed;
static int fail_option = -1;
static bool fail_listen;
static bool fail_socket;

static int fake_socket(int domain, int type, int protocol)
{
	(void)domain, (void)type, (void)protocol;
	if (fail_socket) {
		errno = EMFILE;
		return -1;
	}
	opened++;
	return 1000;
}

static int fake_bind(int fd, const struct sockaddr *address, socklen_t len)
{
	(void)fd, (void)address, (void)len;
	return 0;
}

static int fake_listen(int fd, int backlog)
{
	(void)fd;
	cr_assert_eq(backlog, 4096);
	errno = EADDRINUSE;
	return fail_listen ? -1 : 0;
}

static int fake_setsockopt(int fd, int level, int name, const void *value, socklen_t len)
{
	(void)fd, (void)level, (void)value, (void)len;
	errno = ENOPROTOOPT;
	return name == fail_option ? -1 : 0;
}

static int fake_close(int fd)
{
	cr_assert_eq(fd, 1000);
	closed++;
	return 0;
}

static int fake_eventfd(unsigned int initial, int flags)
{
	(void)initial, (void)flags;
	errno = EMFILE;
	return -1;
}

static void fake_calls(void)
{
	ch_sys.socket = fake_socket;
	ch_sys.bind = fake_bind;
	ch_sys.listen = fake_listen;
	ch_sys.setsockopt = fake_setsockopt;
	ch_sys.close = fake_close;
	ch_sys.eventfd = fake_eventfd;
}

Test(sock, a_failed_step_closes_the_socket, .init = fake_calls)
{
	static const int steps[] = {SO_REUSEADDR, SO_REUSEPORT, SO_KEEPALIVE, TCP_USER_TIMEOUT};
	const struct ch_sock_liveness liveness = {60, 10, 6, 90000};
	int fd;

	for (int i = 0; i < 4; i++) {
		fd = 7;
		fail_option = steps[i];
		cr_assert_eq(ch_sock_listen(&loopback4, &liveness, 4096, &fd), -ENOPROTOOPT);
		cr_assert_eq(fd, -1);
	}
	fail_option = -1;
	fail_listen = true;
	cr_assert_eq(ch_sock_listen(&loopback4, &liveness, 4096, &fd), -EADDRINUSE);
	fail_listen = false;
	cr_assert_eq(opened, 5);
	cr_assert_eq(closed, 5);
	cr_assert_eq(ch_sock_listen(&loopback4, &liveness, 4096, &fd), 0);
	cr_assert_eq(fd, 1000);
	cr_assert_eq(closed, 5);
	fail_option = IP_BIND_ADDRESS_NO_PORT;
	cr_assert_eq(ch_sock_dial(&loopback4, &fd), -ENOPROTOOPT);
	cr_assert_eq(fd, -1);
	cr_assert_eq(closed, 6);
}

Test(sock, without_descriptors_every_maker_says_emfile, .init = fake_calls)
{
	int fd = 7;

	fail_socket = true;
	cr_assert_eq(ch_sock_listen(&loopback4, NULL, 4096, &fd), -EMFILE);
	cr_assert_eq(ch_sock_dial(NULL, &fd), -EMFILE);
	cr_assert_eq(fd, -1);
	cr_assert_eq(ch_sock_probe(&loopback4), -EMFILE);
	cr_assert_eq(ch_sock_eventfd(), -EMFILE);
	cr_assert_eq(ch_sock_reserve(100), -EMFILE);
	cr_assert_eq(closed, 0);
}

/* Of the table in the kernel. */
static uint64_t descriptors_with_room(void)
{
	FILE *status = fopen("/proc/self/status", "r");
	unsigned long size = 0;
	char line[256];

	cr_assert_not_null(status);
	while (size == 0 && fgets(line, sizeof(line), status) != NULL)
		(void)!sscanf(line, "FDSize: %lu", &size);
	fclose(status);
	return size;
}

Test(sock, room_for_descriptors_is_made_at_once_and_none_is_kept_open)
{
	int before = dup(0);

	close(before);
	cr_assert_lt(descriptors_with_room(), 1500);
	cr_assert_eq(ch_sock_reserve(0), 0);
	cr_assert_eq(ch_sock_reserve(1500), 0);
	cr_assert_geq(descriptors_with_room(), 1500);
	cr_assert_eq(dup(0), before);
	cr_assert_eq(close(before), 0);
}

Test(sock, room_for_more_descriptors_than_there_may_be_is_room_for_all_that_may)
{
	struct rlimit limit;

	cr_assert_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
	limit.rlim_cur = 700;
	cr_assert_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
	cr_assert_eq(ch_sock_reserve(UINT64_MAX), 0);
	cr_assert_geq(descriptors_with_room(), 700);
	cr_assert_lt(descriptors_with_room(), 1500);
}
