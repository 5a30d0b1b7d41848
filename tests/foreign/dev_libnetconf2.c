/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A device that is nothing but CESNET's libnetconf2 server (netopeer2's library), dialling out over
 * TLS. It does TLS, framing and XML by itself; this file configures it and answers rpcs.
 * The TLS version is set from outside, by OPENSSL_CONF.
 */
#include <dlfcn.h>
#include <err.h>
#include <errno.h>
#include <getopt.h>
#include <libyang/libyang.h>
#include <nc_server.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define CLIENT "collector"
#define ENDPOINT "tls"

/* SSL_write below stands before that of the library. */
__attribute__((visibility("default"))) int SSL_write(SSL *ssl, const void *data, int len);

static const char foreign_yang[] =
	"module foreign { yang-version 1.1; namespace \"urn:example:foreign\"; prefix f;"
	"  container system { config true; leaf name { type string; } leaf fill { type string; } }"
	"  notification tick { leaf n { type uint32; } leaf text { type string; }"
	"    leaf fill { type string; } } }";

static struct {
	const char *connect, *cert, *key, *ca, *record, *close;
	unsigned long notifications, size;
} options = {.close = "notify"};

static struct ly_ctx *context;
static struct nc_pollsession *sessions;
static struct nc_session *session;
static FILE *record;
static int socket_fd = -1;
static bool subscribe;
static volatile sig_atomic_t hang_up;

static void on_signal(int number)
{
	(void)number;
	hang_up = 1;
}

static void log_line(const char *what, const char *more)
{
	printf("%s %s\n", what, more);
	fflush(stdout);
}

/* The library's calls come through here, so that its plaintext can be kept. */
int SSL_write(SSL *ssl, const void *data, int len)
{
	static int (*real)(SSL * ssl, const void *data, int len);
	int done;

	if (real == NULL)
		*(void **)&real = dlsym(RTLD_NEXT, "SSL_write");
	socket_fd = SSL_get_fd(ssl);
	done = real(ssl, data, len);
	if (record != NULL && done > 0) {
		fwrite(data, 1, (size_t)done, record);
		fflush(record);
	}
	return done;
}

/* ---- the NETCONF server ---- */

static char *filler(const char *text)
{
	char *fill = calloc(1, strlen(text) + options.size + 1);

	if (fill == NULL)
		err(1, "calloc");
	memcpy(fill, text, strlen(text));
	memset(fill + strlen(text), 'x', options.size);
	return fill;
}

static struct nc_server_reply *reply_config(const struct lyd_node *rpc)
{
	struct lyd_node *envelope = NULL;
	struct lyd_node *config = NULL;
	struct lyd_node *data = NULL;

	if (lyd_dup_single(rpc, NULL, 0, &envelope) != LY_SUCCESS ||
	    lyd_new_path(NULL, context, "/foreign:system/name", "caf\u00e9 <&> ]]>", 0, &config) !=
		    LY_SUCCESS ||
	    lyd_new_any(envelope, NULL, "data", config, 1, LYD_ANYDATA_DATATREE, 1, &data) !=
		    LY_SUCCESS)
		errx(1, "reply: %s", ly_errmsg(context));
	return nc_server_reply_data(envelope, NC_WD_EXPLICIT, NC_PARAMTYPE_FREE);
}

static struct nc_server_reply *on_rpc(struct lyd_node *rpc, struct nc_session *from)
{
	const char *name = LYD_NAME(rpc);

	log_line("rpc", name);
	if (strcmp(name, "get-config") == 0 || strcmp(name, "get") == 0)
		return reply_config(rpc);
	if (strcmp(name, "create-subscription") == 0) {
		nc_session_inc_notif_status(from);
		subscribe = true;
		return nc_server_reply_ok();
	}
	return nc_server_reply_err(nc_err(context, NC_ERR_OP_NOT_SUPPORTED, NC_ERR_TYPE_PROT));
}

static void send_notification(unsigned long number)
{
	struct lyd_node *tick = NULL;
	struct nc_server_notif *notification;
	char *fill = filler("");
	char text[32];
	char time[64];

	snprintf(text, sizeof(text), "%lu", number);
	snprintf(time, sizeof(time), "2026-01-01T00:00:00.%06luZ", number % 1000000);
	if (lyd_new_path(NULL, context, "/foreign:tick/n", text, 0, &tick) != LY_SUCCESS ||
	    lyd_new_path(tick, NULL, "/foreign:tick/text", "gr\u00fc\u00df <&> ]]>", 0, NULL) !=
		    LY_SUCCESS ||
	    lyd_new_path(tick, NULL, "/foreign:tick/fill", fill, 0, NULL) != LY_SUCCESS)
		errx(1, "notification: %s", ly_errmsg(context));
	notification = nc_server_notif_new(tick, strdup(time), NC_PARAMTYPE_FREE);
	if (nc_server_notif_send(session, notification, 5000) != NC_MSG_NOTIF)
		errx(1, "nc_server_notif_send");
	nc_server_notif_free(notification);
	free(fill);
}

static void send_notifications(void)
{
	subscribe = false;
	log_line("subscribed", "");
	for (unsigned long i = 1; i <= options.notifications; i++)
		send_notification(i);
	printf("sent %lu\n", options.notifications);
	fflush(stdout);
}

/* ---- setting it up ---- */

static int give_certificate(const char *name, void *unused, char **cert_path, char **cert_data,
			    char **key_path, char **key_data, NC_SSH_KEY_TYPE *key_type)
{
	(void)name;
	(void)unused;
	(void)cert_data;
	(void)key_data;
	(void)key_type;
	*cert_path = strdup(options.cert);
	*key_path = strdup(options.key);
	return 0;
}

/* The rest of the chain is in the same file, behind the certificate. */
static int give_chain(const char *name, void *unused, char ***paths, int *path_count, char ***data,
		      int *data_count)
{
	FILE *file = fopen(options.cert, "re");
	X509 *cert = NULL;
	char **list = calloc(4, sizeof(*list));
	int count = 0;

	(void)name;
	(void)unused;
	(void)paths;
	(void)path_count;
	if (file == NULL || list == NULL)
		err(1, "%s", options.cert);
	while (count < 4 && PEM_read_X509(file, &cert, NULL, NULL) != NULL) {
		unsigned char *der = NULL;
		int len = i2d_X509(cert, &der);

		list[count] = calloc(1, (size_t)len * 2 + 4);
		if (list[count] == NULL)
			err(1, "calloc");
		EVP_EncodeBlock((unsigned char *)list[count], der, len);
		OPENSSL_free(der);
		/* The leaf itself is no part of it. */
		if (cert != NULL && X509_get_extension_flags(cert) & EXFLAG_CA)
			count++;
		else
			free(list[count]);
	}
	X509_free(cert);
	fclose(file);
	*data = list;
	*data_count = count;
	return 0;
}

static int give_trusted(const char *name, void *unused, char ***paths, int *path_count,
			char ***data, int *data_count)
{
	(void)name;
	(void)unused;
	(void)data;
	(void)data_count;
	*paths = calloc(1, sizeof(**paths));
	if (*paths == NULL)
		err(1, "calloc");
	**paths = strdup(options.ca);
	*path_count = 1;
	return 0;
}

/* "04:" and the SHA-256 of the CA that vouches for the collector. */
static char *fingerprint(void)
{
	FILE *file = fopen(options.ca, "re");
	X509 *cert = file != NULL ? PEM_read_X509(file, NULL, NULL, NULL) : NULL;
	unsigned char hash[32];
	char *text = calloc(1, 4 + 3 * sizeof(hash));

	if (cert == NULL || text == NULL || X509_digest(cert, EVP_sha256(), hash, NULL) != 1)
		errx(2, "%s: no certificate", options.ca);
	snprintf(text, 3, "04");
	for (size_t i = 0; i < sizeof(hash); i++)
		snprintf(text + 2 + 3 * i, 4, ":%02X", hash[i]);
	X509_free(cert);
	fclose(file);
	return text;
}

static void load_modules(void)
{
	static const char *const folders[] = {
		"/usr/share/yang/modules/libyang", "/usr/share/yuma/modules/ietf",
		"/usr/share/yuma/modules/ietf-derived", "/usr/share/yuma/modules/netconfcentral"};
	static const char *features[] = {"writable-running", "candidate", "xpath", NULL};
	static const char *const modules[] = {"ietf-netconf-acm", "notifications",
					      "nc-notifications"};

	if (ly_ctx_new(NULL, LY_CTX_NO_YANGLIBRARY, &context) != LY_SUCCESS)
		errx(1, "ly_ctx_new");
	for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++)
		if (ly_ctx_set_searchdir(context, folders[i]) != LY_SUCCESS)
			errx(1, "%s: %s", folders[i], ly_errmsg(context));
	if (ly_ctx_load_module(context, "ietf-netconf", NULL, features) == NULL)
		errx(1, "ietf-netconf: %s", ly_errmsg(context));
	for (size_t i = 0; i < sizeof(modules) / sizeof(modules[0]); i++)
		if (ly_ctx_load_module(context, modules[i], NULL, NULL) == NULL)
			errx(1, "%s: %s", modules[i], ly_errmsg(context));
	if (ly_ctx_load_module(context, "ietf-yang-library", "2019-01-04", NULL) == NULL)
		errx(1, "ietf-yang-library: %s", ly_errmsg(context));
	if (lys_parse_mem(context, foreign_yang, LYS_IN_YANG, NULL) != LY_SUCCESS)
		errx(1, "foreign: %s", ly_errmsg(context));
}

static int on_session(const char *client, struct nc_session *made)
{
	(void)client;
	session = made;
	log_line("open", nc_session_get_username(made));
	return nc_ps_add_session(sessions, made);
}

static void check(int result, const char *what)
{
	if (result != 0)
		errx(1, "%s", what);
}

static void dial(void)
{
	const char *colon = strrchr(options.connect, ':');
	char host[64];
	char *hash = fingerprint();

	if (colon == NULL)
		errx(2, "--connect wants ADDRESS:PORT");
	snprintf(host, sizeof(host), "%.*s", (int)(colon - options.connect), options.connect);
	nc_server_tls_set_server_cert_clb(give_certificate, NULL, NULL);
	nc_server_tls_set_server_cert_chain_clb(give_chain, NULL, NULL);
	nc_server_tls_set_trusted_cert_list_clb(give_trusted, NULL, NULL);
	check(nc_server_ch_add_client(CLIENT), "client");
	check(nc_server_ch_client_add_endpt(CLIENT, ENDPOINT, NC_TI_OPENSSL), "endpoint");
	check(nc_server_ch_client_endpt_set_address(CLIENT, ENDPOINT, host), "address");
	check(nc_server_ch_client_endpt_set_port(CLIENT, ENDPOINT,
						 (uint16_t)strtoul(colon + 1, NULL, 10)),
	      "port");
	check(nc_server_tls_ch_client_endpt_set_server_cert(CLIENT, ENDPOINT, "device"), "cert");
	check(nc_server_tls_ch_client_endpt_add_trusted_cert_list(CLIENT, ENDPOINT, "ca"), "ca");
	check(nc_server_tls_ch_client_endpt_add_ctn(CLIENT, ENDPOINT, 1, hash, NC_TLS_CTN_SPECIFIED,
						    "admin"),
	      "cert-to-name");
	check(nc_server_ch_client_set_conn_type(CLIENT, NC_CH_PERSIST), "persistent");
	check(nc_server_ch_client_set_max_attempts(CLIENT, 1), "attempts");
	check(nc_connect_ch_client_dispatch(CLIENT, on_session), "dispatch");
	free(hash);
}

/* ---- the life of the session ---- */

/*
 * The device ends it; the library sends close_notify only where it frees the session. Unless its
 * client is deleted first, it dials again before that.
 */
static void close_session(void)
{
	const struct linger now = {.l_onoff = 1, .l_linger = 0};

	if (strcmp(options.close, "again") == 0) {
		struct nc_session *old = session;

		hang_up = 0;
		nc_ps_del_session(sessions, old);
		nc_session_free(old, NULL);
		log_line("closed", options.close);
		return;
	}
	if (strcmp(options.close, "notify") == 0) {
		nc_server_ch_del_client(CLIENT);
		nc_ps_del_session(sessions, session);
		nc_session_free(session, NULL);
	} else if (strcmp(options.close, "rst") == 0) {
		setsockopt(socket_fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	}
	log_line("closed", options.close);
	_exit(0);
}

static void serve(void)
{
	for (;;) {
		struct nc_session *which = NULL;
		int result = nc_ps_poll(sessions, 20, &which);

		if (result & NC_PSPOLL_SESSION_TERM) {
			log_line("collector",
				 nc_session_get_term_reason(which) == NC_SESSION_TERM_CLOSED
					 ? "close-session"
					 : "dropped");
			/* It would call again before it has closed this one. */
			nc_server_ch_del_client(CLIENT);
			nc_ps_del_session(sessions, which);
			nc_session_free(which, NULL);
			_exit(0);
		}
		if (result & NC_PSPOLL_NOSESSIONS)
			usleep(2000);
		if (subscribe)
			send_notifications();
		if (hang_up != 0 && session != NULL)
			close_session();
	}
}

static void parse_options(int argc, char **argv)
{
	static const struct option table[] = {{"connect", 1, NULL, 'c'},
					      {"cert", 1, NULL, 'e'},
					      {"key", 1, NULL, 'k'},
					      {"ca", 1, NULL, 'a'},
					      {"record", 1, NULL, 'r'},
					      {"close", 1, NULL, 'l'},
					      {"notifications", 1, NULL, 'n'},
					      {"size", 1, NULL, 's'},
					      {NULL, 0, NULL, 0}};
	const char **const texts[] = {
		['c'] = &options.connect, ['e'] = &options.cert,   ['k'] = &options.key,
		['a'] = &options.ca,	  ['r'] = &options.record, ['l'] = &options.close};
	int found;

	while ((found = getopt_long(argc, argv, "", table, NULL)) != -1) {
		if (found == '?')
			exit(2);
		if (found == 'n')
			options.notifications = strtoul(optarg, NULL, 10);
		else if (found == 's')
			options.size = strtoul(optarg, NULL, 10);
		else
			*texts[found] = optarg;
	}
	if (!options.connect || !options.cert || !options.key || !options.ca)
		errx(2, "--connect, --cert, --key and --ca are needed");
}

int main(int argc, char **argv)
{
	parse_options(argc, argv);
	signal(SIGUSR1, on_signal);
	if (options.record != NULL && (record = fopen(options.record, "we")) == NULL)
		err(1, "%s", options.record);
	load_modules();
	nc_verbosity(NC_VERB_WARNING);
	check(nc_server_init(context), "nc_server_init");
	check(nc_server_set_capability("urn:ietf:params:netconf:capability:notification:1.0"), "");
	check(nc_server_set_capability("urn:ietf:params:netconf:capability:interleave:1.0"), "");
	nc_set_global_rpc_clb(on_rpc);
	sessions = nc_ps_new();
	dial();
	serve();
	return 0;
}
