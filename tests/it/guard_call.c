/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guard-call SOURCE PORT MS: connects from SOURCE to 127.0.0.1:PORT, sends what is no TLS and
 * prints what came back within MS: "reached" (a ClientHello), "reset" or "silent".
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

static const char *call(int fd, const struct sockaddr_in *to)
{
	static const char garbage[] = "this is no TLS\n";
	char byte;
	ssize_t got = -1;

	if (connect(fd, (const struct sockaddr *)to, sizeof(*to)) == 0 &&
	    send(fd, garbage, sizeof(garbage) - 1, MSG_NOSIGNAL) > 0)
		got = recv(fd, &byte, 1, 0);
	if (got > 0)
		return "reached";
	/* Linux reports a connect that took longer than SO_SNDTIMEO as EINPROGRESS. */
	return got < 0 && (errno == EINPROGRESS || errno == EAGAIN) ? "silent" : "reset";
}

int main(int argc, char **argv)
{
	struct sockaddr_in from = {.sin_family = AF_INET};
	struct sockaddr_in to = {.sin_family = AF_INET};
	struct timeval wait;
	uint64_t ms;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (argc != 4 || inet_pton(AF_INET, argv[1], &from.sin_addr) != 1)
		errx(2, "usage: guard-call SOURCE PORT MS");
	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	to.sin_port = htons((uint16_t)number(argv[2], 65535));
	ms = number(argv[3], 60000);
	wait = (struct timeval){(time_t)(ms / 1000), (suseconds_t)(ms % 1000 * 1000)};
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait)) != 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof(wait)) != 0 ||
	    bind(fd, (struct sockaddr *)&from, sizeof(from)) != 0)
		err(1, "%s", argv[1]);
	puts(call(fd, &to));
	close(fd);
	return 0;
}
