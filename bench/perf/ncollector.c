/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The best-known peer, as a reference of `make bench`: a call home collector on libnetconf2.
 *   stock     nc_accept_callhome, one device after the other: what its manual shows
 *   threads   own accept and SSL_connect, nc_connect_libssl, in N threads with one YANG context.
 *             Faster, and unsafe by the library's own rules (session setup changes callbacks of the
 *             shared context); it is measured as the best the library can do.
 * Every session gets one <get-config> and is kept.
 */
#include "user/core/option.h"

#include <err.h>
#include <getopt.h>
#include <libyang/libyang.h>
#include <nc_client.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define THREADS_MAX 64
#define REPLY_MS 10000

static struct {
	struct ly_ctx *yang;
	SSL_CTX *tls;
	const char *schemas;
	int listener;
} peer;

static void use(struct nc_session *session)
{
	struct nc_rpc *rpc = nc_rpc_getconfig(NC_DATASTORE_RUNNING, NULL, NC_WD_UNKNOWN,
					      NC_PARAMTYPE_CONST);
	struct lyd_node *envelope = NULL, *reply = NULL;
	uint64_t id;

	if (nc_send_rpc(session, rpc, REPLY_MS, &id) != NC_MSG_RPC ||
	    nc_recv_reply(session, rpc, id, REPLY_MS, &envelope, &reply) != NC_MSG_REPLY)
		warnx("no reply to get-config");
	lyd_free_all(envelope);
	lyd_free_all(reply);
	nc_rpc_free(rpc);
}

static void run_stock(uint16_t port)
{
	if (nc_client_tls_ch_set_cert_key_paths("client.pem", "client.key") != 0 ||
	    nc_client_tls_ch_set_trusted_ca_paths("both-ca.pem", NULL) != 0 ||
	    nc_client_tls_ch_add_bind_listen("127.0.0.1", port) != 0)
		errx(1, "libnetconf2 refuses its configuration");
	puts("ready");
	fflush(stdout);
	for (;;) {
		struct nc_session *session = NULL;

		if (nc_accept_callhome(1000, peer.yang, &session) == 1)
			use(session);
	}
}

static void *serve(void *unused)
{
	const int on = 1;

	(void)unused;
	if (nc_client_set_schema_searchpath(peer.schemas) != 0)
		errx(1, "%s", peer.schemas);
	for (;;) {
		int fd = accept(peer.listener, NULL, NULL);
		struct nc_session *session;
		SSL *ssl;

		if (fd < 0)
			continue;
		/* Without it the library's small writes make it a hundred times slower. */
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
		ssl = SSL_new(peer.tls);
		SSL_set_fd(ssl, fd);
		if (SSL_connect(ssl) != 1 ||
		    (session = nc_connect_libssl(ssl, peer.yang)) == NULL)
			warnx("a device did not log in");
		else
			use(session);
	}
	return NULL;
}

static void make_tls(void)
{
	peer.tls = SSL_CTX_new(TLS_client_method());
	SSL_CTX_set_verify(peer.tls, SSL_VERIFY_PEER, NULL);
	if (SSL_CTX_load_verify_file(peer.tls, "both-ca.pem") != 1 ||
	    SSL_CTX_use_certificate_chain_file(peer.tls, "client.pem") != 1 ||
	    SSL_CTX_use_PrivateKey_file(peer.tls, "client.key", SSL_FILETYPE_PEM) != 1)
		errx(1, "the certificates cannot be used");
}

static void run_threads(uint16_t port, unsigned count)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
				      .sin_port = htons(port),
				      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	pthread_t thread;
	const int on = 1;

	make_tls();
	peer.listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	setsockopt(peer.listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (peer.listener < 0 ||
	    bind(peer.listener, (struct sockaddr *)&address, sizeof(address)) != 0 ||
	    listen(peer.listener, 4096) != 0)
		err(1, "127.0.0.1:%u", port);
	for (unsigned i = 0; i < count; i++) {
		if (pthread_create(&thread, NULL, serve, NULL) != 0)
			errx(1, "pthread_create");
	}
	puts("ready");
	fflush(stdout);
	for (;;)
		pause();
}

int main(int argc, char **argv)
{
	static const struct option options[] = {{"pki", required_argument, NULL, 'd'},
						{"port", required_argument, NULL, 'p'},
						{"schemas", required_argument, NULL, 's'},
						{"threads", required_argument, NULL, 't'},
						{NULL, 0, NULL, 0}};
	uint64_t port = 0, threads = 0;
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (option == 'd' && chdir(optarg) != 0)
			err(2, "%s", optarg);
		else if (option == 'p' && ch_parse_uint(optarg, 1, UINT16_MAX, &port) != 0)
			errx(2, "%s is no port", optarg);
		else if (option == 's')
			peer.schemas = optarg;
		else if (option == 't' && ch_parse_uint(optarg, 0, THREADS_MAX, &threads) != 0)
			errx(2, "0 to %d threads", THREADS_MAX);
		else if (option == '?')
			return 2;
	}
	if (port == 0 || peer.schemas == NULL)
		errx(2, "usage: ncollector --pki DIR --port PORT --schemas DIR [--threads N]");
	signal(SIGPIPE, SIG_IGN);
	nc_client_init();
	nc_verbosity(NC_VERB_ERROR);
	if (ly_ctx_new(peer.schemas, LY_CTX_NO_YANGLIBRARY, &peer.yang) != LY_SUCCESS ||
	    nc_client_set_schema_searchpath(peer.schemas) != 0)
		errx(1, "%s: no YANG context", peer.schemas);
	if (threads == 0)
		run_stock((uint16_t)port);
	else
		run_threads((uint16_t)port, (unsigned)threads);
	return 0;
}
