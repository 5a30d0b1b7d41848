/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The reference of `make bench`: the least a collector can do with OpenSSL. One thread, one epoll
 * loop, SSL_read and SSL_write on the sockets; TLS client with both manufacturers' CAs and our
 * certificate; <hello>, <get-config>, then the session is kept with its SSL object. Any device of
 * the CAs is welcome: there is no inventory, no deadline, no limit, no log, and no defence.
 * --subscribe goes on to RFC 5277 notifications and writes them, one per line, to --spool.
 */
#include "user/core/option.h"

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#define NS "urn:ietf:params:xml:ns:netconf:base:1.0"
#define END "]]>]]>"
#define EVENTS 256
#define READ_BYTES 65536
#define MESSAGE_MAX (1u << 20)

/* Only base:1.0 is offered: its framing takes the least work. */
static const char hello[] = "<hello xmlns=\"" NS "\"><capabilities><capability>"
			    "urn:ietf:params:netconf:base:1.0</capability></capabilities></hello>" END;
static const char get_config[] =
	"<rpc xmlns=\"" NS "\" message-id=\"1\"><get-config><source><running/></source>"
	"</get-config></rpc>" END;
static const char subscribe[] =
	"<rpc xmlns=\"" NS "\" message-id=\"2\"><create-subscription xmlns=\""
	"urn:ietf:params:xml:ns:netconf:notification:1.0\"/></rpc>" END;

enum step { STEP_TLS, STEP_HELLO, STEP_CONFIG, STEP_SUBSCRIBE, STEP_OPEN };

struct conn {
	SSL *ssl;
	int fd;
	enum step step;
	char *partial; /* a message that has not ended yet */
	size_t partial_len;
};

static struct {
	SSL_CTX *tls;
	int epoll;
	bool subscribe;
	FILE *spool;
	uint64_t *counter; /* shared with whoever measures: notifications so far */
} bare;

static void drop(struct conn *conn)
{
	SSL_free(conn->ssl);
	close(conn->fd);
	free(conn->partial);
	free(conn);
}

/* Requests are a few hundred bytes: a socket that does not take them at once is of no use here. */
static bool say(struct conn *conn, const char *text)
{
	int len = (int)strlen(text);

	return SSL_write(conn->ssl, text, len) == len;
}

static bool on_message(struct conn *conn, const char *text, size_t len)
{
	switch (conn->step) {
	case STEP_HELLO:
		conn->step = STEP_CONFIG;
		return say(conn, get_config);
	case STEP_CONFIG:
		conn->step = bare.subscribe ? STEP_SUBSCRIBE : STEP_OPEN;
		return !bare.subscribe || say(conn, subscribe);
	case STEP_SUBSCRIBE:
		conn->step = STEP_OPEN;
		return true;
	case STEP_OPEN:
		if (bare.spool != NULL && (fwrite(text, 1, len, bare.spool) != len ||
					   putc('\n', bare.spool) == EOF))
			err(1, "spool");
		if (bare.counter != NULL)
			__atomic_fetch_add(bare.counter, 1, __ATOMIC_RELAXED);
		return true;
	case STEP_TLS:
		break;
	}
	return false;
}

static bool keep(struct conn *conn, const char *text, size_t len)
{
	char *grown;

	if (len == 0)
		return true;
	if (conn->partial_len + len > MESSAGE_MAX)
		return false;
	grown = realloc(conn->partial, conn->partial_len + len);
	if (grown == NULL)
		return false;
	memcpy(grown + conn->partial_len, text, len);
	conn->partial = grown;
	conn->partial_len += len;
	return true;
}

/* Every whole message of @text; the rest is kept. */
static bool split(struct conn *conn, const char *text, size_t len)
{
	const char *end;

	while ((end = memmem(text, len, END, sizeof(END) - 1)) != NULL) {
		if (!on_message(conn, text, (size_t)(end - text)))
			return false;
		end += sizeof(END) - 1;
		len -= (size_t)(end - text);
		text = end;
	}
	return keep(conn, text, len);
}

static bool on_bytes(struct conn *conn, const char *text, size_t len)
{
	char *whole;
	bool good;

	if (conn->partial == NULL)
		return split(conn, text, len);
	if (!keep(conn, text, len))
		return false;
	whole = conn->partial;
	len = conn->partial_len;
	conn->partial = NULL;
	conn->partial_len = 0;
	good = split(conn, whole, len);
	free(whole);
	return good;
}

static bool handshake(struct conn *conn)
{
	int done = SSL_connect(conn->ssl);

	if (done != 1)
		return SSL_get_error(conn->ssl, done) == SSL_ERROR_WANT_READ;
	conn->step = STEP_HELLO;
	return say(conn, hello);
}

/* @return false: the connection is over */
static bool serve(struct conn *conn)
{
	static char buffer[READ_BYTES];
	int got;

	if (conn->step == STEP_TLS && !handshake(conn))
		return false;
	if (conn->step == STEP_TLS)
		return true;
	while ((got = SSL_read(conn->ssl, buffer, sizeof(buffer))) > 0) {
		if (!on_bytes(conn, buffer, (size_t)got))
			return false;
	}
	return SSL_get_error(conn->ssl, got) == SSL_ERROR_WANT_READ;
}

static void on_accept(int listener)
{
	const int on = 1;
	int fd;

	while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
		struct conn *conn = calloc(1, sizeof(*conn));
		struct epoll_event event = {.events = EPOLLIN, .data.ptr = conn};

		if (conn == NULL || (conn->ssl = SSL_new(bare.tls)) == NULL)
			errx(1, "out of memory");
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
		conn->fd = fd;
		SSL_set_fd(conn->ssl, fd);
		SSL_set_connect_state(conn->ssl);
		if (epoll_ctl(bare.epoll, EPOLL_CTL_ADD, fd, &event) != 0)
			err(1, "epoll_ctl");
		if (!serve(conn))
			drop(conn);
	}
	if (errno != EAGAIN && errno != ECONNABORTED)
		err(1, "accept");
}

static SSL_CTX *make_tls(void)
{
	SSL_CTX *tls = SSL_CTX_new(TLS_client_method());

	SSL_CTX_set_mode(tls, SSL_MODE_RELEASE_BUFFERS);
	SSL_CTX_set_verify(tls, SSL_VERIFY_PEER, NULL);
	SSL_CTX_set_session_cache_mode(tls, SSL_SESS_CACHE_OFF);
	/* As the collector: AES-128 first. */
	if (SSL_CTX_set_ciphersuites(tls, "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384") != 1 ||
	    SSL_CTX_load_verify_file(tls, "acme-ca.pem") != 1 ||
	    SSL_CTX_load_verify_file(tls, "borg-ca.pem") != 1 ||
	    SSL_CTX_use_certificate_chain_file(tls, "client.pem") != 1 ||
	    SSL_CTX_use_PrivateKey_file(tls, "client.key", SSL_FILETYPE_PEM) != 1)
		errx(1, "the certificates cannot be used");
	return tls;
}

static int make_listener(uint16_t port)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
				      .sin_port = htons(port),
				      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	const int on = 1;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) != 0 ||
	    listen(fd, 4096) != 0)
		err(1, "127.0.0.1:%u", port);
	return fd;
}

static uint64_t *map_counter(const char *path)
{
	int fd = open(path, O_RDWR | O_CREAT, 0600);
	void *at;

	if (fd < 0 || ftruncate(fd, sizeof(uint64_t)) != 0)
		err(1, "%s", path);
	at = mmap(NULL, sizeof(uint64_t), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (at == MAP_FAILED)
		err(1, "%s", path);
	close(fd);
	return at;
}

static uint16_t read_options(int argc, char **argv)
{
	static const struct option options[] = {
		{"pki", required_argument, NULL, 'd'},	 {"port", required_argument, NULL, 'p'},
		{"spool", required_argument, NULL, 's'}, {"counter", required_argument, NULL, 'c'},
		{"subscribe", no_argument, NULL, 'n'},	 {NULL, 0, NULL, 0}};
	uint64_t port = 0;
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (option == 'd' && chdir(optarg) != 0)
			err(2, "%s", optarg);
		else if (option == 'p' && ch_parse_uint(optarg, 1, UINT16_MAX, &port) != 0)
			errx(2, "%s is no port", optarg);
		else if (option == 's' && (bare.spool = fopen(optarg, "w")) == NULL)
			err(2, "%s", optarg);
		else if (option == 'c')
			bare.counter = map_counter(optarg);
		else if (option == 'n')
			bare.subscribe = true;
		else if (option == '?')
			exit(2);
	}
	if (port == 0)
		errx(2, "usage: bare --pki DIR --port PORT [--subscribe] [--spool FILE] "
			"[--counter FILE]");
	return (uint16_t)port;
}

int main(int argc, char **argv)
{
	uint16_t port = read_options(argc, argv);
	struct epoll_event events[EVENTS], listening = {.events = EPOLLIN};
	int listener;

	signal(SIGPIPE, SIG_IGN);
	bare.tls = make_tls();
	bare.epoll = epoll_create1(EPOLL_CLOEXEC);
	listener = make_listener(port);
	if (epoll_ctl(bare.epoll, EPOLL_CTL_ADD, listener, &listening) != 0)
		err(1, "epoll_ctl");
	puts("ready");
	fflush(stdout);
	for (;;) {
		int count = epoll_wait(bare.epoll, events, EVENTS, -1);

		for (int i = 0; i < count; i++) {
			struct conn *conn = events[i].data.ptr;

			if (conn == NULL)
				on_accept(listener);
			else if (!serve(conn))
				drop(conn);
		}
	}
}
