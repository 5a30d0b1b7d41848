/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guard-call SOURCE PORT MS [TO]: connects from SOURCE to PORT of TO (127.0.0.1), sends what is no
 * TLS and prints what came back within MS: "reached" (a ClientHello), "refused" (a reset instead of
 * a connection), "reset" (a reset of the connection) or "silent".
 */
#include "user/core/option.h"

#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

static uint64_t number(const char *text, uint64_t most)
{
	uint64_t value;

	if (ch_parse_uint(text, 1, most, &value) != 0)
		errx(2, "%s is no number from 1 to %llu", text, (unsigned long long)most);
	return value;
}

union endpoint {
	struct sockaddr any;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
};

/* @return its length; 0: it is no address */
static socklen_t read_address(const char *text, uint16_t port, union endpoint *endpoint)
{
	*endpoint = (union endpoint){.v4 = {.sin_family = AF_INET, .sin_port = htons(port)}};
	if (inet_pton(AF_INET, text, &endpoint->v4.sin_addr) == 1)
		return sizeof(endpoint->v4);
	*endpoint = (union endpoint){.v6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)}};
	return inet_pton(AF_INET6, text, &endpoint->v6.sin6_addr) == 1 ? sizeof(endpoint->v6) : 0;
}

static const char *call(int fd, const union endpoint *to, socklen_t len)
{
	static const char garbage[] = "this is no TLS\n";
	char byte;
	ssize_t got = -1;

	int connected = connect(fd, &to->any, len);

	if (connected != 0 && errno == ECONNREFUSED)
		return "refused";
	if (connected == 0 && send(fd, garbage, sizeof(garbage) - 1, MSG_NOSIGNAL) > 0)
		got = recv(fd, &byte, 1, 0);
	if (got > 0)
		return "reached";
	/* Linux reports a connect that took longer than SO_SNDTIMEO as EINPROGRESS. */
	return got < 0 && (errno == EINPROGRESS || errno == EAGAIN) ? "silent" : "reset";
}

int main(int argc, char **argv)
{
	union endpoint from, to;
	socklen_t from_len, to_len;
	struct timeval wait;
	uint64_t ms;
	int fd;

	if (argc < 4 || argc > 5)
		errx(2, "usage: guard-call SOURCE PORT MS [TO]");
	from_len = read_address(argv[1], 0, &from);
	to_len = read_address(argc == 5 ? argv[4] : "127.0.0.1",
			      (uint16_t)number(argv[2], 65535), &to);
	if (from_len == 0 || from_len != to_len)
		errx(2, "%s is no address that can call", argv[1]);
	ms = number(argv[3], 60000);
	fd = socket(from.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	wait = (struct timeval){(time_t)(ms / 1000), (suseconds_t)(ms % 1000 * 1000)};
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait)) != 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof(wait)) != 0 ||
	    bind(fd, &from.any, from_len) != 0)
		err(1, "%s", argv[1]);
	puts(call(fd, &to, to_len));
	close(fd);
	return 0;
}
