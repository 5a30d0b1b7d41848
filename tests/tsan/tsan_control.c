/* SPDX-License-Identifier: Apache-2.0 */
/* links: collector guard kernel proto core */
/* sources: tests/unit/fake_collector.c */
/* Clients send rpcs, hang up in between, and the control socket closes while replies come. */
#include "user/collector/control.h"
#include "tests/unit/fake_collector.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define CLIENTS 6
#define RPCS 15

static char path[64];

/** Sends one request. @return the socket, or -1. */
static int ask(const char *body)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	char text[256];
	int len;

	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	len = snprintf(text, sizeof(text),
		       "POST /v1/devices/r0/rpc HTTP/1.0\r\nContent-Length: %zu\r\n\r\n%s",
		       strlen(body), body);
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) != 0 ||
	    send(fd, text, (size_t)len, MSG_NOSIGNAL) != len) {
		close(fd);
		return -1;
	}
	return fd;
}

static bool answered(int fd)
{
	char text[512];
	ssize_t len = recv(fd, text, sizeof(text) - 1, MSG_WAITALL);

	close(fd);
	return len > 12 && memcmp(text + 8, " 200", 4) == 0; /* after "HTTP/1.x" */
}

static void *client(void *arg)
{
	unsigned *good = arg;

	for (int i = 0; i < RPCS; i++) {
		int fd = ask("<get/>");

		if (i % 5 == 4)
			close(fd); /* gone before the reply */
		else
			*good += answered(fd);
	}
	return NULL;
}

int main(void)
{
	char directory[] = "/tmp/callhome-tsan-XXXXXX";
	struct ch_collector *fake = fake_new(13);
	struct ch_control *control = NULL;
	pthread_t threads[CLIENTS];
	unsigned good[CLIENTS] = {0};
	unsigned sum = 0;
	char error[256];
	int waiting;

	if (mkdtemp(directory) == NULL)
		return 1;
	snprintf(path, sizeof(path), "%s/c.sock", directory);
	if (ch_control_open(fake, path, &control, error) != 0) {
		fprintf(stderr, "%s\n", error);
		return 1;
	}
	for (int i = 0; i < CLIENTS; i++)
		pthread_create(&threads[i], NULL, client, &good[i]);
	for (int i = 0; i < CLIENTS; i++) {
		pthread_join(threads[i], NULL);
		sum += good[i];
	}
	waiting = ask("<hang/>");
	fake_await_hanging(fake, 1);
	ch_control_close(control);
	fake_finish_hanging(fake);
	fake_free(fake);
	close(waiting);
	rmdir(directory);
	if (sum != CLIENTS * RPCS * 4 / 5) {
		fprintf(stderr, "%u replies, %d expected\n", sum, CLIENTS * RPCS * 4 / 5);
		return 1;
	}
	return 0;
}
