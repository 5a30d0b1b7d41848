/* SPDX-License-Identifier: Apache-2.0 */
#include "netconf.h"

#include "user/proto/hello.h"
#include "user/proto/message.h"

#include <stdio.h>
#include <string.h>

#define NETCONF_NS "urn:ietf:params:xml:ns:netconf:base:1.0"
#define NOTIFICATION_NS "urn:ietf:params:xml:ns:netconf:notification:1.0"

/* What a device offers in TLS; one context each. AES-128 first, as a constrained device would. */
static const struct ch_tls_server_options tls_options[SIM_TLS_COUNT] = {
	[SIM_TLS_MIX] = {.request_client_certificate = true},
	[SIM_TLS_ONLY_1_2] = {.max_version = CH_TLS_1_2, .request_client_certificate = true},
	[SIM_TLS_ONLY_1_3] = {.min_version = CH_TLS_1_3, .request_client_certificate = true},
	[SIM_TLS_NO_CERT_REQUEST] = {.request_client_certificate = false},
	[SIM_TLS_WEAK_KEY] = {.request_client_certificate = true,
			      .cipher_list = "ECDHE+AESGCM:@SECLEVEL=0"},
	[SIM_TLS_ONLY_1_1] = {.min_version = 0x0302, .max_version = 0x0302,
			      .request_client_certificate = true,
			      .cipher_list = "ALL:@SECLEVEL=0"},
	[SIM_TLS_CBC] = {.max_version = CH_TLS_1_2, .request_client_certificate = true,
			 .cipher_list = "ECDHE-ECDSA-AES128-SHA256:ECDHE-ECDSA-AES256-SHA384"},
	[SIM_TLS_RSA_KX] = {.max_version = CH_TLS_1_2, .request_client_certificate = true,
			    .cipher_list = "AES128-GCM-SHA256:AES256-GCM-SHA384"},
	[SIM_TLS_OTHER_CLIENT_CA] = {.request_client_certificate = true},
	[SIM_TLS_NO_EMS] = {.max_version = CH_TLS_1_2, .request_client_certificate = true,
			    .no_extended_master_secret = true},
	[SIM_TLS_HEARTBEAT_MODE] = {.request_client_certificate = true, .heartbeat = 3},
	[SIM_TLS_STAPLE_REVOKED] = {.request_client_certificate = true},
	[SIM_TLS_STAPLE_UNKNOWN] = {.request_client_certificate = true},
	[SIM_TLS_STAPLE_STALE] = {.request_client_certificate = true},
	[SIM_TLS_STAPLE_FORGED] = {.request_client_certificate = true},
};

static enum sim_staple staple_of(enum sim_tls tls)
{
	static const enum sim_staple staples[SIM_TLS_COUNT] = {
		[SIM_TLS_STAPLE_REVOKED] = SIM_STAPLE_REVOKED,
		[SIM_TLS_STAPLE_UNKNOWN] = SIM_STAPLE_UNKNOWN,
		[SIM_TLS_STAPLE_STALE] = SIM_STAPLE_STALE,
		[SIM_TLS_STAPLE_FORGED] = SIM_STAPLE_FORGED,
	};

	return staples[tls];
}

int sim_shared_tls(struct sim_shared *shared, enum sim_tls tls, struct ch_tls_context **context)
{
	int err = 0;

	if (!shared->tls[tls]) {
		struct ch_tls_server_options options = tls_options[tls];
		if (options.heartbeat == CH_HEARTBEAT_NONE)
			options.heartbeat = shared->heartbeat_mode;
		struct ch_slice staple = sim_pki_staple(shared->pki, staple_of(tls));
		options.staple = staple.data;
		options.staple_len = staple.len;
		if (tls == SIM_TLS_OTHER_CLIENT_CA)
			options.client_ca_file = sim_pki_other_ca(shared->pki);
		else if (options.request_client_certificate)
			options.client_ca_file = sim_pki_client_ca(shared->pki);
		err = ch_tls_server_new(&options, &shared->tls[tls]);
	}
	*context = shared->tls[tls];
	return err;
}

/* A configuration that looks like one: interfaces until the size is reached. */
static int build_config(struct ch_buf *config, size_t bytes)
{
	int err = ch_buf_append_str(config, "<data><interfaces xmlns=\""
					    "urn:ietf:params:xml:ns:yang:ietf-interfaces\">");
	for (unsigned i = 0; !err && config->len < bytes; i++)
		err = ch_buf_printf(config,
				    "<interface><name>ge-0/0/%u</name><description>customer %u"
				    "</description><enabled>true</enabled></interface>",
				    i, 1000 + i);
	return err ? err : ch_buf_append_str(config, "</interfaces></data>");
}

int sim_shared_init(struct sim_shared *shared, const struct sim_pki *pki, size_t reply_bytes)
{
	memset(shared, 0, sizeof(*shared));
	shared->pki = pki;
	shared->heartbeat_mode = CH_HEARTBEAT_ALLOWED;
	snprintf(shared->event_time, sizeof(shared->event_time), "1970-01-01T00:00:00Z");
	int err = ch_record_engine_new(&shared->engine);
	return err ? err : build_config(&shared->config, reply_bytes);
}

void sim_shared_deinit(struct sim_shared *shared)
{
	for (int i = 0; i < SIM_TLS_COUNT; i++)
		ch_tls_context_free(shared->tls[i]);
	ch_record_engine_free(shared->engine);
	ch_buf_deinit(&shared->message);
	ch_buf_deinit(&shared->framed);
	ch_buf_deinit(&shared->config);
	memset(shared, 0, sizeof(*shared));
}

bool sim_netconf_offers_chunks(const struct sim_device *device)
{
	enum sim_framing framing = (enum sim_framing)device->shared->framing;

	if (device->impostor || framing == SIM_FRAMING_1_1)
		return true;
	return framing == SIM_FRAMING_MIX && device->index % 4 != 2;
}

static int send_hello(struct sim_device *device, uint32_t session_id, uint32_t capabilities)
{
	static const char *const extra[] = {
		"urn:ietf:params:xml:ns:yang:ietf-interfaces?module=ietf-interfaces&amp;"
		"revision=2018-02-20",
	};
	struct ch_buf *message = &device->shared->message;

	message->len = 0;
	int err = ch_hello_build(message, session_id, capabilities, extra, 1);
	return err ? err : sim_device_send_message(device);
}

int sim_netconf_hello(struct sim_device *device)
{
	uint32_t base = CH_CAP_BASE_1_0 | (sim_netconf_offers_chunks(device) ? CH_CAP_BASE_1_1 : 0);
	uint32_t rest = CH_CAP_NOTIFICATION | CH_CAP_INTERLEAVE | CH_CAP_WRITABLE_RUNNING;
	enum sim_hello kind = device->impostor ? (enum sim_hello)device->impostor->hello
					       : SIM_HELLO_GOOD;

	switch (kind) {
	case SIM_HELLO_GOOD:
		return send_hello(device, ++device->shared->next_session_id, base | rest);
	case SIM_HELLO_NO_SESSION_ID:
		return send_hello(device, 0, base | rest);
	case SIM_HELLO_NO_BASE:
		return send_hello(device, ++device->shared->next_session_id, rest);
	case SIM_HELLO_BAD:
		device->discard = true;
		return sim_device_send_plain(device, CH_LIT("<goodbye xmlns=\"" NETCONF_NS
							    "\"/>]]>]]>"));
	case SIM_HELLO_NONE:
		device->discard = true;
		return 0;
	}
	return CH_E_STATE;
}

enum answer { ANSWER_OK, ANSWER_CONFIG, ANSWER_SUBSCRIBE, ANSWER_CLOSE, ANSWER_ERROR };

static enum answer answer_to(struct ch_slice operation)
{
	static const struct {
		const char *name;
		enum answer answer;
	} table[] = {
		{"get-config", ANSWER_CONFIG},
		{"get", ANSWER_CONFIG},
		{"create-subscription", ANSWER_SUBSCRIBE},
		{"close-session", ANSWER_CLOSE},
		{"edit-config", ANSWER_OK},
		{"copy-config", ANSWER_OK},
		{"delete-config", ANSWER_OK},
		{"lock", ANSWER_OK},
		{"unlock", ANSWER_OK},
		{"commit", ANSWER_OK},
		{"discard-changes", ANSWER_OK},
		{"validate", ANSWER_OK},
	};
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		if (strlen(table[i].name) == operation.len &&
		    memcmp(table[i].name, operation.data, operation.len) == 0)
			return table[i].answer;
	}
	return ANSWER_ERROR;
}

static int begin_reply(struct ch_buf *out, struct ch_slice id)
{
	/* the raw value may hold the other kind of quote */
	char quote = id.len && memchr(id.data, '"', id.len) ? '\'' : '"';

	out->len = 0;
	if (!id.data)
		return ch_buf_append_str(out, "<rpc-reply xmlns=\"" NETCONF_NS "\">");
	return ch_buf_printf(out, "<rpc-reply xmlns=\"" NETCONF_NS "\" message-id=%c%.*s%c>", quote,
			     (int)id.len, (const char *)id.data, quote);
}

static int append_error(struct ch_buf *out, struct ch_slice operation)
{
	return ch_buf_printf(out,
			     "<rpc-error><error-type>protocol</error-type>"
			     "<error-tag>operation-not-supported</error-tag>"
			     "<error-severity>error</error-severity>"
			     "<error-message xml:lang=\"en\">a simulated device knows no "
			     "&lt;%.*s&gt;</error-message></rpc-error>",
			     (int)operation.len, (const char *)operation.data);
}

/* rpc-error with elements nested beyond any sane limit */
static int append_deep(struct ch_buf *out)
{
	const unsigned depth = 20000;
	int err = ch_buf_append_str(out, "<rpc-error>");

	for (unsigned i = 0; i < depth && !err; i++)
		err = ch_buf_append_str(out, "<a>");
	for (unsigned i = 0; i < depth && !err; i++)
		err = ch_buf_append_str(out, "</a>");
	return err ? err : ch_buf_append_str(out, "</rpc-error>");
}

static int append_answer(struct sim_device *device, enum answer answer, struct ch_slice operation)
{
	struct sim_shared *shared = device->shared;
	struct ch_buf *out = &shared->message;

	if (device->impostor && device->impostor->act == SIM_ACT_DEEP_XML)
		return append_deep(out);
	switch (answer) {
	case ANSWER_CONFIG:
		return ch_buf_append(out, shared->config.data, shared->config.len);
	case ANSWER_OK:
	case ANSWER_SUBSCRIBE:
	case ANSWER_CLOSE:
		return ch_buf_append_str(out, "<ok/>");
	case ANSWER_ERROR:
		shared->counters.rpc_errors += !device->impostor;
		return append_error(out, operation);
	}
	return CH_E_STATE;
}

int sim_netconf_rpc(struct sim_device *device, struct ch_slice xml)
{
	struct sim_counters *counters = &device->shared->counters;
	struct ch_buf *out = &device->shared->message;
	struct ch_message message;

	ch_message_scan(xml, &message);
	if (message.kind != CH_MESSAGE_RPC) {
		sim_device_close(device, SIM_END_PROTOCOL);
		return 0;
	}
	if (device->mute)
		return 0;
	struct ch_slice operation = ch_message_first_child(message.body);
	enum answer answer = answer_to(operation);
	int err = begin_reply(out, message.message_id);
	if (!err)
		err = append_answer(device, answer, operation);
	if (!err)
		err = ch_buf_append_str(out, "</rpc-reply>");
	if (!err)
		err = sim_device_send_message(device);
	if (err)
		return err;
	counters->rpcs += !device->impostor;
	if (answer == ANSWER_SUBSCRIBE && !device->subscribed) {
		device->subscribed = true;
		counters->subscribed += !device->impostor;
	}
	if (answer == ANSWER_CLOSE)
		sim_device_close(device, SIM_END_CLOSED);
	return 0;
}

int sim_netconf_notification(struct sim_device *device)
{
	struct sim_shared *shared = device->shared;
	struct ch_buf *out = &shared->message;
	char name[32];

	sim_pki_name(device->index, name);
	out->len = 0;
	int err = ch_buf_printf(out,
				"<notification xmlns=\"" NOTIFICATION_NS "\"><eventTime>%s"
				"</eventTime><heartbeat xmlns=\"urn:callhome:simulator\"><device>%s"
				"</device><sequence>%llu</sequence></heartbeat></notification>",
				shared->event_time, name,
				(unsigned long long)device->sequence + 1);
	if (!err)
		err = sim_device_send_message(device);
	device->sequence += !err;
	return err;
}
