/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * A control socket before a collector that is none, and a small HTTP client. One rig per test
 * program: everything is static, and `setup_open` (or `setup`) and `teardown` go into its
 * TestSuite.
 */
#include "user/collector/control.h"
#include "tests/unit/fake_collector.h"
#include "user/core/buf.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static char directory[64];
static char path[96];
static char lock_path[104];
static struct ch_collector *fake;
static struct ch_control *control;
static char error[256];

static inline void setup(void)
{
	snprintf(directory, sizeof(directory), "/tmp/callhome-control-XXXXXX");
	cr_assert_not_null(mkdtemp(directory));
	snprintf(path, sizeof(path), "%s/c.sock", directory);
	snprintf(lock_path, sizeof(lock_path), "%s.lock", path);
	fake = fake_new(13);
}

static inline void setup_open(void)
{
	setup();
	cr_assert_eq(ch_control_open(fake, path, &control, error), 0, "%s", error);
}

static inline void teardown(void)
{
	if (control != NULL)
		ch_control_close(control);
	fake_free(fake);
	unlink(path);
	unlink(lock_path);
	rmdir(directory);
}

/* --- a small HTTP client --- */

struct answer {
	unsigned status;
	char *text; /**< head and body as they came */
	const char *body;
	size_t len;
};

static inline int dial(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	cr_assert_eq(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0, "%s",
		     strerror(errno));
	return fd;
}

static inline void send_all(int fd, const char *data, size_t len)
{
	while (len > 0) {
		ssize_t n = send(fd, data, len, MSG_NOSIGNAL);

		if (n <= 0)
			return; /* refused early: the answer is there already */
		data += n;
		len -= (size_t)n;
	}
}

static inline struct answer read_answer(int fd)
{
	struct answer answer = {0};
	struct ch_buf text = {0};
	char block[65536];
	ssize_t n;

	while ((n = recv(fd, block, sizeof(block), 0)) > 0)
		cr_assert_eq(ch_buf_append(&text, block, (size_t)n), 0);
	cr_assert_eq(ch_buf_append(&text, "", 1), 0);
	answer.text = (char *)text.data;
	if (strncmp(answer.text, "HTTP/1.", 7) == 0)
		answer.status = (unsigned)atol(answer.text + 9);
	answer.body = strstr(answer.text, "\r\n\r\n");
	if (answer.body != NULL) {
		answer.body += 4;
		answer.len = text.len - 1 - (size_t)(answer.body - answer.text);
	}
	close(fd);
	return answer;
}

static inline void send_request(int fd, const char *method, const char *target, const char *body)
{
	char head[4096];
	int len;

	/* HTTP/1.0: a streamed answer comes without chunks and ends with the connection. */
	len = snprintf(head, sizeof(head), "%s %s HTTP/1.0\r\nContent-Length: %zu\r\n\r\n", method,
		       target, body != NULL ? strlen(body) : 0);
	send_all(fd, head, (size_t)len);
	if (body != NULL)
		send_all(fd, body, strlen(body));
}

static inline struct answer request(const char *method, const char *target, const char *body)
{
	int fd = dial();

	send_request(fd, method, target, body);
	return read_answer(fd);
}

static inline void expect_error(const char *method, const char *target, const char *body,
				unsigned status, const char *code, const char *message)
{
	struct answer answer = request(method, target, body);
	json_t *json = json_loads(answer.body != NULL ? answer.body : "", 0, NULL);

	cr_expect_eq(answer.status, status, "%s %s: %s", method, target, answer.text);
	cr_assert_not_null(json, "%s", answer.text);
	cr_expect_str_eq(json_string_value(json_object_get(json, "error")), code);
	cr_expect_str_eq(json_string_value(json_object_get(json, "message")), message);
	json_decref(json);
	free(answer.text);
}
