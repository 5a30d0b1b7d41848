/* SPDX-License-Identifier: Apache-2.0 */
#include "wire.h"

#include <err.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define RECEIVE_BYTES 65536
#define DRIBBLE_PAUSE_US 200

static void *grow(void *buffer, size_t len)
{
	void *grown = realloc(buffer, len > 0 ? len : 1);

	if (grown == NULL)
		err(1, "realloc");
	return grown;
}

void wire_open(struct wire *wire, const char *to, const char *from)
{
	const struct addrinfo hints = {.ai_socktype = SOCK_STREAM,
				       .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV};
	const char *colon = strrchr(to, ':');
	struct addrinfo *address;
	struct addrinfo *own;
	char host[64];
	int on = 1;

	if (colon == NULL || (size_t)(colon - to) >= sizeof(host))
		errx(2, "--connect wants ADDRESS:PORT");
	snprintf(host, sizeof(host), "%.*s", (int)(colon - to), to);
	if (getaddrinfo(host, colon + 1, &hints, &address) != 0)
		errx(2, "not an address: %s", to);
	wire->fd = socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (from != NULL && (getaddrinfo(from, "0", &hints, &own) != 0 ||
			     bind(wire->fd, own->ai_addr, own->ai_addrlen) != 0))
		err(1, "bind %s", from);
	if (from != NULL)
		freeaddrinfo(own);
	if (wire->fd < 0 || connect(wire->fd, address->ai_addr, address->ai_addrlen) != 0)
		err(1, "connect %s", to);
	freeaddrinfo(address);
	setsockopt(wire->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	wire->in = grow(NULL, RECEIVE_BYTES);
}

void wire_wait(struct wire *wire, int ms)
{
	struct timespec limit = {ms / 1000, ms % 1000 * 1000000L};
	struct pollfd fd = {.fd = wire->fd, .events = POLLIN};
	sigset_t none;
	ssize_t got;

	sigemptyset(&none);
	if (wire->eof || wire->reset || wire->in_len == RECEIVE_BYTES)
		fd.events = 0;
	if (ppoll(&fd, 1, ms < 0 ? NULL : &limit, &none) <= 0 || fd.events == 0)
		return;
	got = recv(wire->fd, wire->in + wire->in_len, RECEIVE_BYTES - wire->in_len, 0);
	if (got > 0)
		wire->in_len += (size_t)got;
	else if (got == 0)
		wire->eof = true;
	else if (errno != EINTR)
		wire->reset = true;
}

size_t wire_take(struct wire *wire, void *into, size_t len)
{
	if (len > wire->in_len)
		len = wire->in_len;
	memcpy(into, wire->in, len);
	memmove(wire->in, wire->in + len, wire->in_len - len);
	wire->in_len -= len;
	return len;
}

void wire_put(struct wire *wire, const void *data, size_t len)
{
	wire->out = grow(wire->out, wire->out_len + len);
	memcpy(wire->out + wire->out_len, data, len);
	wire->out_len += len;
}

static void show_records(const struct wire *wire)
{
	for (size_t at = 0; at + 5 <= wire->out_len;) {
		size_t body = (size_t)wire->out[at + 3] << 8 | wire->out[at + 4];

		fprintf(stderr, "record type %u, %zu bytes\n", wire->out[at], body);
		at += 5 + body;
	}
}

void wire_flush(struct wire *wire)
{
	size_t at = 0;

	if (wire->hold)
		return;
	if (wire->debug)
		show_records(wire);
	while (at < wire->out_len && !wire->reset && !wire->finished) {
		size_t piece = wire->out_len - at;
		ssize_t sent;

		if (wire->dribble != 0 && piece > wire->dribble)
			piece = wire->dribble;
		sent = send(wire->fd, wire->out + at, piece, MSG_NOSIGNAL);
		if (sent < 0 && errno != EINTR)
			wire->reset = true;
		at += sent > 0 ? (size_t)sent : 0;
		if (wire->dribble != 0)
			usleep(DRIBBLE_PAUSE_US);
	}
	wire->out_len = 0;
}

void wire_fin(struct wire *wire)
{
	wire_flush(wire);
	shutdown(wire->fd, SHUT_WR);
	wire->finished = true;
}

void wire_rst(struct wire *wire)
{
	const struct linger now = {.l_onoff = 1, .l_linger = 0};

	wire_flush(wire);
	setsockopt(wire->fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	close(wire->fd);
	wire->fd = -1;
	wire->reset = true;
}
