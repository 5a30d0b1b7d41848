/* SPDX-License-Identifier: Apache-2.0 */
/* A device over GnuTLS. It offers RFC 6520 heartbeats, as GnuTLS can. */
#include "device.h"

#include <err.h>
#include <errno.h>
#include <gnutls/gnutls.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct tls {
	gnutls_session_t session;
	gnutls_certificate_credentials_t credentials;
	gnutls_datum_t ticket_key;
	struct wire *wire;
	const struct options *options;
	size_t ping; /* bytes of the last one sent, padding included */
	bool early_sent;
	int error;
	char text[256];
};

static void check(int result, const char *what)
{
	if (result < 0)
		errx(2, "%s: %s", what, gnutls_strerror(result));
}

static ssize_t push(gnutls_transport_ptr_t ptr, const void *data, size_t len)
{
	struct tls *tls = ptr;

	wire_put(tls->wire, data, len);
	return (ssize_t)len;
}

static ssize_t pull(gnutls_transport_ptr_t ptr, void *into, size_t len)
{
	struct tls *tls = ptr;
	size_t got = wire_take(tls->wire, into, len);

	if (got > 0 || tls->wire->eof)
		return (ssize_t)got;
	gnutls_transport_set_errno(tls->session, EAGAIN);
	return -1;
}

/* The library pulls only after this said that there is something. */
static int pull_timeout(gnutls_transport_ptr_t ptr, unsigned ms)
{
	struct tls *tls = ptr;

	(void)ms;
	return tls->wire->in_len > 0 || tls->wire->eof;
}

static void priority(const struct tls *tls, char *text, size_t size)
{
	const struct options *options = tls->options;
	const char *versions = options->tls == 12   ? "+VERS-TLS1.2"
			       : options->tls == 13 ? "+VERS-TLS1.3"
						    : "+VERS-TLS1.3:+VERS-TLS1.2";

	snprintf(text, size, "NORMAL:-VERS-ALL:%s%s%s%s%s%s%s", versions,
		 options->ciphers != NULL ? ":-CIPHER-ALL:+" : "",
		 options->ciphers != NULL ? options->ciphers : "",
		 options->groups != NULL ? ":-GROUP-ALL:+GROUP-" : "",
		 options->groups != NULL ? options->groups : "",
		 options->sigalgs != NULL ? ":-SIGN-ALL:+SIGN-" : "",
		 options->sigalgs != NULL ? options->sigalgs : "");
}

static unsigned flags(const struct options *options)
{
	unsigned wanted = GNUTLS_SERVER | GNUTLS_NONBLOCK | GNUTLS_NO_SIGNAL;

	if (options->tickets == 0)
		wanted |= GNUTLS_NO_AUTO_SEND_TICKET;
	if (options->half_rtt)
		wanted |= GNUTLS_ENABLE_EARLY_START;
	return wanted;
}

struct tls *tls_new(const struct options *options, struct wire *wire)
{
	struct tls *tls = calloc(1, sizeof(*tls));
	char list[512];
	const char *at;

	if (tls == NULL)
		err(1, "calloc");
	tls->options = options;
	tls->wire = wire;
	check(gnutls_certificate_allocate_credentials(&tls->credentials), "credentials");
	check(gnutls_certificate_set_x509_key_file(tls->credentials, options->cert, options->key,
						   GNUTLS_X509_FMT_PEM),
	      options->cert);
	check(gnutls_certificate_set_x509_trust_file(tls->credentials, options->ca,
						     GNUTLS_X509_FMT_PEM),
	      options->ca);
	check(gnutls_init(&tls->session, flags(options)), "init");
	priority(tls, list, sizeof(list));
	check(gnutls_priority_set_direct(tls->session, list, &at), list);
	check(gnutls_credentials_set(tls->session, GNUTLS_CRD_CERTIFICATE, tls->credentials),
	      "set");
	if (!options->no_client_cert) {
		gnutls_certificate_server_set_request(tls->session, GNUTLS_CERT_REQUIRE);
		gnutls_session_set_verify_cert(tls->session, NULL, 0);
	}
	if (options->tickets != 0) {
		check(gnutls_session_ticket_key_generate(&tls->ticket_key), "ticket key");
		check(gnutls_session_ticket_enable_server(tls->session, &tls->ticket_key),
		      "tickets");
	}
	gnutls_heartbeat_enable(tls->session, GNUTLS_HB_PEER_ALLOWED_TO_SEND);
	gnutls_transport_set_ptr(tls->session, tls);
	gnutls_transport_set_push_function(tls->session, push);
	gnutls_transport_set_pull_function(tls->session, pull);
	gnutls_transport_set_pull_timeout_function(tls->session, pull_timeout);
	return tls;
}

void tls_free(struct tls *tls)
{
	gnutls_deinit(tls->session);
	gnutls_certificate_free_credentials(tls->credentials);
	gnutls_free(tls->ticket_key.data);
	free(tls);
}

static enum tls_result result_of(struct tls *tls, ssize_t result)
{
	if (result >= 0)
		return TLS_OK;
	if (result == GNUTLS_E_AGAIN || result == GNUTLS_E_INTERRUPTED)
		return TLS_AGAIN;
	tls->error = (int)result;
	return TLS_FAILED;
}

static enum tls_result send_alert_of(struct tls *tls)
{
	gnutls_alert_send_appropriate(tls->session, tls->error);
	return TLS_FAILED;
}

enum tls_result tls_handshake(struct tls *tls)
{
	const struct options *options = tls->options;
	enum tls_result result;
	int done;

	do
		done = gnutls_handshake(tls->session);
	while (done < 0 && done != GNUTLS_E_AGAIN && !gnutls_error_is_fatal(done));
	result = result_of(tls, done);
	if (result == TLS_FAILED)
		return send_alert_of(tls);
	if (result == TLS_OK && options->early != NULL &&
	    (gnutls_session_get_flags(tls->session) & GNUTLS_SFLAGS_EARLY_START) != 0) {
		result = tls_write(tls, options->early, options->early_len);
		tls->early_sent = result == TLS_OK;
	}
	return result;
}

bool tls_sent_early(const struct tls *tls)
{
	return tls->early_sent;
}

/* GnuTLS tells of a pong only when it is the one it waits for, with the same payload. */
static void on_heartbeat(struct tls *tls, bool ping)
{
	if (ping && gnutls_heartbeat_pong(tls->session, 0) != 0)
		printf("ping not answered\n");
	else
		printf(ping ? "ping answered\n" : "pong %zu\n", tls->ping);
	fflush(stdout);
}

int tls_read(struct tls *tls, void *into, size_t len)
{
	for (;;) {
		ssize_t got = gnutls_record_recv(tls->session, into, len);

		if (got > 0)
			return (int)got;
		if (got == 0)
			return TLS_CLOSED;
		if (got == GNUTLS_E_WARNING_ALERT_RECEIVED) {
			printf("warning %s\n",
			       gnutls_alert_get_name(gnutls_alert_get(tls->session)));
			fflush(stdout);
			continue;
		}
		if (got == GNUTLS_E_HEARTBEAT_PING_RECEIVED ||
		    got == GNUTLS_E_HEARTBEAT_PONG_RECEIVED) {
			on_heartbeat(tls, got == GNUTLS_E_HEARTBEAT_PING_RECEIVED);
			continue;
		}
		/* After a handshake message there may be more. */
		if (got == GNUTLS_E_AGAIN && tls->wire->in_len > 0)
			continue;
		/* The collector's FIN; the wire knows. */
		if (got == GNUTLS_E_PREMATURE_TERMINATION)
			return TLS_AGAIN;
		return result_of(tls, got);
	}
}

enum tls_result tls_write(struct tls *tls, const void *data, size_t len)
{
	const char *at = data;

	while (len > 0) {
		ssize_t sent = tls->options->pad != 0 ? gnutls_record_send2(tls->session, at, len,
									    tls->options->pad, 0)
						      : gnutls_record_send(tls->session, at, len);

		if (sent < 0)
			return result_of(tls, sent);
		at += sent;
		len -= (size_t)sent;
	}
	return TLS_OK;
}

enum tls_result tls_key_update(struct tls *tls, bool ask)
{
	return result_of(tls, gnutls_session_key_update(tls->session, ask ? GNUTLS_KU_PEER : 0));
}

enum tls_result tls_close_notify(struct tls *tls)
{
	return result_of(tls, gnutls_bye(tls->session, GNUTLS_SHUT_WR));
}

/* GnuTLS counts warnings as non-fatal, but their level is the caller's choice. */
static enum tls_result alert(struct tls *tls, gnutls_alert_level_t level,
			     gnutls_alert_description_t what, int count)
{
	int result = 0;

	for (int i = 0; i < count && result >= 0; i++)
		result = gnutls_alert_send(tls->session, level, what);
	return result_of(tls, result);
}

enum tls_result tls_attack(struct tls *tls, const char *kind)
{
	if (strcmp(kind, "hello-request") == 0)
		return result_of(tls, gnutls_rehandshake(tls->session));
	if (strcmp(kind, "user-canceled") == 0)
		return alert(tls, GNUTLS_AL_WARNING, GNUTLS_A_USER_CANCELED, 1);
	if (strcmp(kind, "fatal-alert") == 0)
		return alert(tls, GNUTLS_AL_FATAL, GNUTLS_A_INTERNAL_ERROR, 1);
	if (strcmp(kind, "warning") == 0)
		return alert(tls, GNUTLS_AL_WARNING, GNUTLS_A_UNRECOGNIZED_NAME, 1);
	if (strcmp(kind, "warning-flood") == 0)
		return alert(tls, GNUTLS_AL_WARNING, GNUTLS_A_UNRECOGNIZED_NAME, 200);
	if (sscanf(kind, "heartbeat-%zu", &tls->ping) == 1)
		return result_of(tls, gnutls_heartbeat_ping(tls->session, tls->ping, 1, 0));
	if (strcmp(kind, "ticket") == 0)
		return result_of(tls, gnutls_session_ticket_send(tls->session, 1, 0));
	return TLS_FAILED;
}

const char *tls_describe(struct tls *tls)
{
	char *text = gnutls_session_get_desc(tls->session);

	snprintf(tls->text, sizeof(tls->text), "%s %s",
		 gnutls_protocol_get_version(tls->session) == GNUTLS_TLS1_3 ? "TLSv1.3" : "TLSv1.2",
		 text != NULL ? text : "");
	gnutls_free(text);
	return tls->text;
}

const char *tls_error(struct tls *tls)
{
	const char *name = NULL;

	if (tls->error == GNUTLS_E_FATAL_ALERT_RECEIVED)
		name = gnutls_alert_get_name(gnutls_alert_get(tls->session));
	snprintf(tls->text, sizeof(tls->text), "%s%s%s", gnutls_strerror(tls->error),
		 name != NULL ? " " : "", name != NULL ? name : "");
	return tls->text;
}
