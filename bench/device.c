/* SPDX-License-Identifier: Apache-2.0 */
#include "device.h"
#include "netconf.h"

#include "user/proto/hello.h"
#include "user/tls/library.h"

#include <assert.h>
#include <string.h>

#define RPC_MAX (1024 * 1024) /* bytes of one rpc of the collector */
#define QUEUE_MAX (64 * 1024) /* bytes in @out above which notifications are held */
#define IDLE_BUFFER_MAX 1024  /* bytes of @out an idle device keeps */

static const char *const end_names[SIM_END_COUNT] = {
#define X(sym, name) [SIM_END_##sym] = name,
	SIM_ENDS(X)
#undef X
};

/* Where a device can go from each state; bit = state. */
static const uint8_t moves[] = {
	[SIM_IDLE] = 1u << SIM_HANDSHAKE | 1u << SIM_CLOSING,
	[SIM_HANDSHAKE] = 1u << SIM_WAIT_HELLO | 1u << SIM_CLOSING | 1u << SIM_IDLE,
	[SIM_WAIT_HELLO] = 1u << SIM_OPEN | 1u << SIM_CLOSING | 1u << SIM_IDLE,
	[SIM_OPEN] = 1u << SIM_CLOSING | 1u << SIM_IDLE,
	[SIM_CLOSING] = 1u << SIM_IDLE,
};

const char *sim_end_name(enum sim_end end)
{
	return (unsigned)end < SIM_END_COUNT ? end_names[end] : "unknown";
}

static void set_state(struct sim_device *device, enum sim_state state)
{
	struct sim_counters *counters = &device->shared->counters;

	assert(moves[device->state] & 1u << state);
	if (!device->impostor && state == SIM_OPEN) {
		counters->logins++;
		counters->up++;
	}
	if (!device->impostor && device->state == SIM_OPEN) {
		counters->up--;
		counters->subscribed -= device->subscribed;
	}
	device->state = state;
}

/* Ends the connection; what is in @out is still sent. */
static void finish(struct sim_device *device, enum sim_end end)
{
	if (device->state == SIM_CLOSING)
		return;
	device->end = end;
	set_state(device, SIM_CLOSING);
}

void sim_device_init(struct sim_device *device, struct sim_shared *shared, uint32_t index,
		     const struct sim_impostor *impostor)
{
	memset(device, 0, sizeof(*device));
	device->shared = shared;
	device->index = index;
	device->impostor = impostor;
	device->in.max = RPC_MAX;
}

static enum sim_tls tls_of(const struct sim_device *device)
{
	enum sim_tls tls = device->impostor ? (enum sim_tls)device->impostor->tls
					    : (enum sim_tls)device->shared->tls_choice;
	if (tls == SIM_TLS_MIX && device->index % 2 == 1)
		return SIM_TLS_ONLY_1_2;
	return tls;
}

int sim_device_connected(struct sim_device *device)
{
	struct ch_tls_context *context;
	const struct ch_credential *credential;
	enum sim_identity identity = SIM_IDENTITY_FLEET;
	int err;

	set_state(device, SIM_HANDSHAKE);
	device->shared->counters.connects += !device->impostor;
	if (sim_impostor_aborts(device, SIM_ABORT_CONNECTED))
		return 0;
	if (device->impostor) {
		identity = (enum sim_identity)device->impostor->identity;
		if (device->impostor->opening != SIM_OPENING_TLS) {
			err = sim_impostor_open(device);
			goto out;
		}
	}
	err = sim_shared_tls(device->shared, tls_of(device), &context);
	if (!err)
		err = sim_pki_credential(device->shared->pki, identity, device->index, &credential,
					 &device->credential);
	if (!err)
		err = ch_handshake_server(context, credential, &device->handshake);
out:
	if (err)
		finish(device, SIM_END_LOCAL);
	return err;
}

static uint32_t record_bytes(const struct sim_device *device)
{
	if (device->in.len < CH_TLS_HEADER)
		return CH_TLS_HEADER;
	int body = ch_handshake_record_length(device->in.data);
	return body < 0 ? 0 : CH_TLS_HEADER + (uint32_t)body;
}

void *sim_device_want(struct sim_device *device, uint32_t *len)
{
	uint32_t whole = record_bytes(device);

	/* whole == 0: not TLS; the step tells */
	if (whole <= device->in.len)
		return NULL;
	*len = whole - (uint32_t)device->in.len;
	if (ch_buf_reserve(&device->in, *len) != 0) {
		finish(device, SIM_END_LOCAL);
		return NULL;
	}
	return device->in.data + device->in.len;
}

void sim_device_got(struct sim_device *device)
{
	uint32_t whole = record_bytes(device);

	device->shared->counters.received_bytes += whole - device->in.len;
	device->in.len = whole;
}

/* RFC 7589 section 7. @return 0 or CH_E_UNKNOWN */
static int find_user(struct sim_device *device)
{
	struct sim_shared *shared = device->shared;
	struct ch_slice chain[CH_CHAIN_MAX];
	struct ch_buf der = {0};
	size_t ends[CH_CHAIN_MAX + 1] = {0};
	size_t count = 0;

	while (count < CH_CHAIN_MAX &&
	       ch_handshake_client_chain(device->handshake, (int)count, &der) == 0)
		ends[++count] = der.len;
	for (size_t i = 0; i < count; i++)
		chain[i] = (struct ch_slice){der.data + ends[i], ends[i + 1] - ends[i]};
	int err = sim_names_find(shared->names, chain, count, shared->user);
	ch_buf_deinit(&der);
	return err;
}

/* A certificate is good, and its owner has no access: so the TLS alert of that name. */
static void deny_access(struct sim_device *device)
{
	static const uint8_t access_denied[] = {2, 49};
	const struct ch_slice part = {access_denied, sizeof(access_denied)};

	finish(device, ch_record_seal(&device->record, CH_RECORD_ALERT, &part, 1, &device->out) == 0
			       ? SIM_END_NO_USER
			       : SIM_END_LOCAL);
}

static void start_netconf(struct sim_device *device)
{
	static const struct ch_framer_limits limits = {.max_message = RPC_MAX, .max_chunks = 4096};
	struct ch_handshake_info info;
	struct ch_record_keys keys;

	ch_handshake_info(device->handshake, &info);
	ch_heartbeat_init(&device->heartbeat, (enum ch_heartbeat_mode)info.heartbeat,
			  device->shared->now_ns);
	if (ch_handshake_take_keys(device->handshake, &keys) != 0) {
		finish(device, SIM_END_LOCAL);
		return;
	}
	device->version = keys.version;
	ch_record_init(&device->record, device->shared->engine, &keys, NULL);
	explicit_bzero(&keys, sizeof(keys));
	device->has_record = true;
	if (device->shared->names && !device->impostor && find_user(device) != 0) {
		deny_access(device);
		return;
	}
	ch_framer_init(&device->framer, &limits);
	ch_tlsmsg_init(&device->tlsmsg, device->version == CH_TLS_1_3);
	set_state(device, SIM_WAIT_HELLO);
	if (sim_netconf_hello(device) != 0)
		finish(device, SIM_END_LOCAL);
}

static void tell_certificate(const struct sim_device *device)
{
	const struct sim_shared *shared = device->shared;
	uint8_t sha256[32];

	if (shared->on_certificate && !device->impostor &&
	    ch_handshake_client_certificate(device->handshake, sha256))
		shared->on_certificate(shared->certificate_ctx, device, sha256);
}

static void end_handshake(struct sim_device *device)
{
	ch_handshake_free(device->handshake);
	ch_credential_free(device->credential);
	device->handshake = NULL;
	device->credential = NULL;
	ch_buf_deinit(&device->in);
}

/* An impostor's RST behind a step of the handshake. */
static bool aborts_behind(struct sim_device *device, enum ch_handshake_status status)
{
	if (status == CH_HANDSHAKE_DONE)
		return sim_impostor_aborts(device, SIM_ABORT_TLS_DONE);
	return status == CH_HANDSHAKE_READ && device->out.len > 0 &&
	       (sim_impostor_aborts(device, SIM_ABORT_HALF_FLIGHT) ||
		sim_impostor_aborts(device, SIM_ABORT_FLIGHT));
}

void sim_device_step(struct sim_device *device)
{
	if (record_bytes(device) == 0) {
		finish(device, SIM_END_PROTOCOL);
		return;
	}
	if (!device->handshake) {
		/* an impostor that speaks no TLS, or spoke all it wanted */
		if (!device->discard && sim_impostor_client_hello(device) != 0)
			finish(device, SIM_END_LOCAL);
		device->in.len = 0;
		return;
	}
	if (sim_impostor_aborts(device, SIM_ABORT_CLIENT_HELLO))
		return;
	enum ch_handshake_status status =
		ch_handshake_step(device->handshake, device->in.data, device->in.len, &device->out);
	device->in.len = 0;
	if (aborts_behind(device, status) || status == CH_HANDSHAKE_READ)
		return;
	if (status == CH_HANDSHAKE_DONE) {
		tell_certificate(device);
		start_netconf(device);
	} else {
		finish(device, SIM_END_HANDSHAKE);
	}
	end_handshake(device);
}

/* A complete rpc, or the client's hello. */
static void on_message(struct sim_device *device, struct ch_slice message)
{
	int err = 0;

	device->messages++;
	if (device->discard)
		return;
	if (device->state == SIM_OPEN) {
		err = sim_netconf_rpc(device, message);
	} else if (device->state == SIM_WAIT_HELLO) {
		struct ch_hello hello;
		if (ch_hello_parse_client(message, &hello) != CH_REASON_NONE) {
			sim_device_close(device, SIM_END_PROTOCOL);
			return;
		}
		device->chunked =
			(hello.capabilities & CH_CAP_BASE_1_1) && sim_netconf_offers_chunks(device);
		if (device->chunked)
			ch_framer_set(&device->framer, CH_FRAMING_CHUNKED);
		set_state(device, SIM_OPEN);
		if (device->impostor)
			err = sim_impostor_login(device);
	}
	if (err)
		finish(device, SIM_END_LOCAL);
}

static void on_fragment(struct sim_device *device, const struct ch_fragment *fragment)
{
	struct ch_slice message = {fragment->data, fragment->len};

	if (!fragment->first || !fragment->last) {
		if (ch_buf_append(&device->in, fragment->data, fragment->len) != 0) {
			finish(device, SIM_END_LOCAL);
			return;
		}
		message = (struct ch_slice){device->in.data, device->in.len};
	}
	if (fragment->last) {
		on_message(device, message);
		device->in.len = 0;
	}
}

static void on_plain(struct sim_device *device, const uint8_t *data, size_t len)
{
	while (len > 0 && device->state != SIM_CLOSING) {
		struct ch_fragment fragment;
		size_t used;
		enum ch_framer_result result =
			ch_framer_feed(&device->framer, data, len, &used, &fragment);
		if (result == CH_FRAMER_ERROR)
			sim_device_close(device, SIM_END_PROTOCOL);
		else if (result == CH_FRAMER_FRAGMENT)
			on_fragment(device, &fragment);
		if (result != CH_FRAMER_FRAGMENT)
			return;
		data += used;
		len -= used;
	}
}

/* RFC 8446 section 4.6.3: the message goes out under the old keys. */
static int send_key_update(struct sim_device *device, bool ask)
{
	const uint8_t key_update[] = {24, 0, 0, 1, ask};
	const struct ch_slice part = {key_update, sizeof(key_update)};
	int err = 0;

	if (device->tx_kernel && !device->shared->rekey)
		return CH_E_UNSUPPORTED;
	device->say_asks = ask;
	device->say_update = device->tx_kernel;
	if (!device->tx_kernel)
		err = ch_record_seal(&device->record, CH_RECORD_HANDSHAKE, &part, 1, &device->out);
	if (!err && !device->tx_kernel)
		err = ch_record_rekey(&device->record, true);
	device->update_owed = false;
	device->update_asked |= ask;
	device->shared->counters.key_updates_sent += !device->impostor;
	return err;
}

/* Before application data: the KeyUpdate that was asked for, or is due by count. */
static int update_keys(struct sim_device *device)
{
	const struct sim_shared *shared = device->shared;
	uint64_t every = device->impostor ? 0 : shared->key_update_every;
	bool due = ch_record_wants_rekey(&device->record, true) ||
		   (every > 0 && device->record.keys.tx.sequence >= every);

	if (device->version != CH_TLS_1_3 || device->say_update)
		return 0;
	if (device->tx_kernel && !shared->rekey)
		due = false;
	if (!due && !device->update_owed)
		return 0;
	return send_key_update(device, due && shared->key_update_asks && !device->update_asked);
}

/* The collector changed its keys. */
static int follow_key_update(struct sim_device *device, bool requested)
{
	device->shared->counters.key_updates_received += !device->impostor;
	device->update_asked = false;
	device->update_owed |= requested;
	if (!device->rx_kernel)
		return ch_record_rekey(&device->record, false);
	device->rekey_rx = true;
	return device->shared->rekey ? 0 : CH_E_UNSUPPORTED;
}

static void on_handshake_record(struct sim_device *device, const uint8_t *data, size_t len)
{
	while (len > 0 && device->state != SIM_CLOSING) {
		size_t used;
		bool requested = false;
		int err = 0;
		switch (ch_tlsmsg_feed(&device->tlsmsg, data, len, &used, &requested)) {
		case CH_TLSMSG_MORE:
			return;
		case CH_TLSMSG_KEY_UPDATE:
			err = follow_key_update(device, requested);
			break;
		case CH_TLSMSG_TICKET:
		case CH_TLSMSG_HELLO_REQUEST:
		case CH_TLSMSG_REFUSED:
			/* a client sends none of them; renegotiation is not offered */
			err = CH_E_STATE;
			break;
		}
		if (err)
			sim_device_close(device, SIM_END_PROTOCOL);
		data += used;
		len -= used;
	}
}

static void on_alert(struct sim_device *device, const uint8_t *data, size_t len)
{
	uint8_t code;

	switch (ch_alert_parse(data, len, device->version == CH_TLS_1_3, &code)) {
	case CH_ALERT_CLOSED:
		sim_device_close(device, SIM_END_CLOSED);
		break;
	case CH_ALERT_FATAL:
	case CH_ALERT_MALFORMED:
		finish(device, SIM_END_PROTOCOL);
		break;
	case CH_ALERT_WARNING:
		break;
	}
}

int sim_device_send_heartbeat(struct sim_device *device, enum ch_heartbeat_type type,
			      struct ch_slice payload)
{
	struct ch_buf *message = device->tx_kernel ? &device->beat : &device->shared->framed;
	uint8_t padding[CH_HEARTBEAT_PADDING];

	if (device->tx_kernel && device->beat.len > 0)
		return 0;
	message->len = 0;
	int err = ch_tls_random(padding, sizeof(padding));
	if (!err)
		err = ch_heartbeat_write(message, type, payload, padding);
	if (err || device->tx_kernel)
		return err;
	const struct ch_slice part = {message->data, message->len};
	return ch_record_seal(&device->record, CH_RECORD_HEARTBEAT, &part, 1, &device->out);
}

static void on_heartbeat(struct sim_device *device, const struct ch_record_event *event)
{
	struct ch_slice payload;

	if (device->impostor && sim_impostor_heartbeat(device, event->data, event->len))
		return;
	switch (ch_heartbeat_received(&device->heartbeat, event->data, event->len,
				      device->shared->now_ns, &payload)) {
	case CH_HEARTBEAT_ANSWER:
		if (sim_device_send_heartbeat(device, CH_HEARTBEAT_RESPONSE, payload) != 0)
			finish(device, SIM_END_LOCAL);
		break;
	case CH_HEARTBEAT_ANSWERED:
		device->shared->counters.heartbeats_answered++;
		break;
	case CH_HEARTBEAT_DISCARDED:
	case CH_HEARTBEAT_CAPPED:
	case CH_HEARTBEAT_FLOOD: /* the collector is not on trial for it here */
		break;
	}
}

uint64_t sim_device_test_due(const struct sim_device *device)
{
	if (device->state != SIM_OPEN || device->impostor)
		return UINT64_MAX;
	return ch_heartbeat_expiry(&device->heartbeat, &device->shared->heartbeat_test);
}

void sim_device_test(struct sim_device *device)
{
	const struct ch_slice cookie = {device->heartbeat.cookie, CH_HEARTBEAT_COOKIE};
	uint8_t random[CH_HEARTBEAT_COOKIE];
	uint64_t now_ns = device->shared->now_ns;
	int err;

	if (sim_device_test_due(device) > now_ns)
		return;
	err = ch_tls_random(random, sizeof(random));
	switch (ch_heartbeat_on_expiry(&device->heartbeat, &device->shared->heartbeat_test, now_ns,
				       random)) {
	case CH_HEARTBEAT_NOT_DUE:
		break;
	case CH_HEARTBEAT_ASK:
		if (!err)
			err = sim_device_send_heartbeat(device, CH_HEARTBEAT_REQUEST, cookie);
		device->shared->counters.heartbeats_sent++;
		break;
	case CH_HEARTBEAT_DEAD:
		finish(device, SIM_END_SILENT);
		break;
	}
	if (err)
		finish(device, SIM_END_LOCAL);
}

static void on_record(struct sim_device *device, const struct ch_record_event *event)
{
	switch (event->type) {
	case CH_RECORD_DATA:
		on_plain(device, event->data, event->len);
		break;
	case CH_RECORD_HANDSHAKE:
		on_handshake_record(device, event->data, event->len);
		break;
	case CH_RECORD_ALERT:
		on_alert(device, event->data, event->len);
		break;
	case CH_RECORD_HEARTBEAT:
		on_heartbeat(device, event);
		break;
	default:
		break;
	}
}

void sim_device_record(struct sim_device *device, uint8_t type, uint8_t *data, size_t len)
{
	const struct ch_record_event event = {.type = type, .data = data, .len = len};

	device->shared->counters.received_bytes += len;
	ch_heartbeat_heard(&device->heartbeat, device->shared->now_ns);
	if (device->state != SIM_CLOSING)
		on_record(device, &event);
}

void sim_device_data(struct sim_device *device, uint8_t *data, size_t len)
{
	device->shared->counters.received_bytes += len;
	ch_heartbeat_heard(&device->heartbeat, device->shared->now_ns);
	while (len > 0 && device->state != SIM_CLOSING) {
		struct ch_record_event event;
		size_t used;
		enum ch_record_result result =
			ch_record_open(&device->record, data, len, &used, &event);
		if (result == CH_RECORD_ERROR)
			finish(device, SIM_END_PROTOCOL);
		else if (result == CH_RECORD_EVENT)
			on_record(device, &event);
		if (result != CH_RECORD_EVENT)
			return;
		data += used;
		len -= used;
	}
}

void sim_device_gone(struct sim_device *device, int error)
{
	enum sim_end end = SIM_END_CUT;

	if (error)
		end = SIM_END_RESET;
	else if (device->state == SIM_HANDSHAKE)
		end = SIM_END_HANDSHAKE;
	device->out.len = 0;
	finish(device, end);
}

void sim_device_notify(struct sim_device *device)
{
	struct sim_counters *counters = &device->shared->counters;

	if (device->state != SIM_OPEN || !device->subscribed)
		return;
	if (device->out.len > QUEUE_MAX) {
		counters->held += !device->impostor;
		return;
	}
	if (sim_netconf_notification(device) != 0)
		finish(device, SIM_END_LOCAL);
	else
		counters->notifications += !device->impostor;
}

int sim_device_say_close(struct sim_device *device)
{
	static const uint8_t close_notify[] = {1, CH_ALERT_CLOSE_NOTIFY};
	const struct ch_slice part = {close_notify, sizeof(close_notify)};

	if (device->tx_kernel) {
		device->say_close = true;
		return 0;
	}
	return ch_record_seal(&device->record, CH_RECORD_ALERT, &part, 1, &device->out);
}

void sim_device_close(struct sim_device *device, enum sim_end end)
{
	if (device->state == SIM_CLOSING)
		return;
	/* without it the collector would see a truncation: then the connection just ends */
	if (device->has_record && !device->abort && sim_device_say_close(device) != 0)
		end = SIM_END_LOCAL;
	finish(device, end);
}

void sim_device_trim(struct sim_device *device)
{
	if (device->out.len == 0 && device->out.cap > IDLE_BUFFER_MAX)
		ch_buf_deinit(&device->out);
	if (device->in.len == 0 && device->in.cap > 0 && device->state == SIM_OPEN)
		ch_buf_deinit(&device->in);
}

void sim_device_reset(struct sim_device *device)
{
	struct sim_shared *shared = device->shared;
	const struct sim_impostor *impostor = device->impostor;
	uint64_t sequence = device->sequence;
	uint32_t index = device->index;

	if (device->state != SIM_IDLE)
		set_state(device, SIM_IDLE);
	end_handshake(device);
	ch_buf_deinit(&device->out);
	ch_buf_deinit(&device->beat);
	if (device->has_record)
		ch_record_deinit(&device->record);
	sim_device_init(device, shared, index, impostor);
	device->sequence = sequence;
}

int sim_device_send_plain(struct sim_device *device, struct ch_slice plain)
{
	int err = update_keys(device);

	if (err)
		return err;
	if (device->tx_kernel)
		return ch_buf_append(&device->out, plain.data, plain.len);
	return ch_record_seal(&device->record, CH_RECORD_DATA, &plain, 1, &device->out);
}

int sim_device_send_message(struct sim_device *device)
{
	struct sim_shared *shared = device->shared;
	const struct ch_slice message = {shared->message.data, shared->message.len};
	enum ch_framing framing = device->chunked ? CH_FRAMING_CHUNKED : CH_FRAMING_EOM;

	device->messages++;
	shared->framed.len = 0;
	int err = ch_frame(framing, message, &shared->framed);
	if (err)
		return err;
	return sim_device_send_plain(device,
				     (struct ch_slice){shared->framed.data, shared->framed.len});
}
