/* SPDX-License-Identifier: Apache-2.0 */
#include "impostor.h"
#include "device.h"
#include "netconf.h"

#include <string.h>

#define EMPTY_RECORDS 4096  /* far more in a row than a collector may take */
#define HEARTBEATS 4096	    /* likewise */
#define KEY_UPDATES 512	    /* likewise; each costs us more than it costs the collector */
#define NOTIFICATIONS 64    /* at a time */
#define TINY_CHUNKS 1100000 /* one byte each; callhomed takes 1048576 in one message */

static const struct sim_impostor table[] = {
	/* the certificate is wrong */
	{"unknown-ca", CH_REASON_UNKNOWN_CA, .identity = SIM_IDENTITY_UNKNOWN_CA,
	 .help = "a known identifier under a CA nobody knows"},
	{"unknown-serial", CH_REASON_UNKNOWN_DEVICE, .identity = SIM_IDENTITY_UNKNOWN_SERIAL,
	 .help = "a good certificate of a device that is not in the inventory"},
	{"other-manufacturer", CH_REASON_WRONG_MANUFACTURER,
	 .identity = SIM_IDENTITY_OTHER_MANUFACTURER,
	 .help = "the identifier of an acme device in a certificate of borg"},
	{"expired", CH_REASON_EXPIRED, .identity = SIM_IDENTITY_EXPIRED,
	 .help = "the certificate ended yesterday"},
	{"not-yet-valid", CH_REASON_NOT_YET_VALID, .identity = SIM_IDENTITY_NOT_YET_VALID,
	 .help = "the certificate begins next month"},
	{"self-signed", CH_REASON_SELF_SIGNED, .identity = SIM_IDENTITY_SELF_SIGNED,
	 .help = "a known identifier in a self-signed certificate"},
	{"bad-signature-chain", CH_REASON_BAD_CERT, .identity = SIM_IDENTITY_BAD_SIGNATURE,
	 .help = "one bit of the certificate's signature is wrong"},
	{"no-identifier", CH_REASON_NO_IDENTIFIER, .identity = SIM_IDENTITY_NO_IDENTIFIER,
	 .help = "an acme certificate without serialNumber"},
	{"wrong-usage", CH_REASON_WRONG_USAGE, .identity = SIM_IDENTITY_WRONG_USAGE,
	 .help = "a certificate for TLS clients only"},
	{"weak-key", CH_REASON_WEAK_KEY, .identity = SIM_IDENTITY_WEAK_KEY, .tls = SIM_TLS_WEAK_KEY,
	 .help = "an RSA key of 1024 bits"},
	{"huge-chain", CH_REASON_CHAIN_LIMIT, .identity = SIM_IDENTITY_HUGE_CHAIN,
	 .help = "fifteen certificates"},
	{"revoked", CH_REASON_REVOKED, .identity = SIM_IDENTITY_REVOKED,
	 .help = "a certificate on the revocation list of its CA"},
	{"revoked-ca", CH_REASON_REVOKED, .identity = SIM_IDENTITY_REVOKED_CA,
	 .help = "a certificate of a CA that is on the revocation list of the root"},
	{"staple-revoked", CH_REASON_REVOKED, .identity = SIM_IDENTITY_STAPLED,
	 .tls = SIM_TLS_STAPLE_REVOKED, .help = "staples an OCSP response: revoked"},
	{"staple-unknown", CH_REASON_REVOCATION_UNKNOWN, .identity = SIM_IDENTITY_STAPLED,
	 .tls = SIM_TLS_STAPLE_UNKNOWN,
	 .help = "staples an OCSP response that does not know its certificate"},
	{"staple-stale", CH_REASON_REVOCATION_STALE, .identity = SIM_IDENTITY_STAPLED,
	 .tls = SIM_TLS_STAPLE_STALE,
	 .help = "staples an OCSP response of last week; stale-crl is refuse"},
	{"staple-forged", CH_REASON_BAD_STAPLE, .identity = SIM_IDENTITY_STAPLED,
	 .tls = SIM_TLS_STAPLE_FORGED, .help = "staples an OCSP response that nobody's CA signed"},
	{"stolen-cert", CH_REASON_NO_POSSESSION, .identity = SIM_IDENTITY_STOLEN,
	 .help = "the certificate of a real device without its key"},

	/* TLS is wrong */
	{"no-cert-request", CH_REASON_NO_CERT_REQUEST, .identity = SIM_IDENTITY_SPARE,
	 .tls = SIM_TLS_NO_CERT_REQUEST, .help = "asks for no client certificate"},
	{"refuses-client", CH_REASON_CLIENT_CERT_REFUSED, .identity = SIM_IDENTITY_SPARE,
	 .tls = SIM_TLS_OTHER_CLIENT_CA, .help = "does not trust the collector's certificate"},
	{"tls11-only", CH_REASON_TLS_VERSION, .identity = SIM_IDENTITY_SPARE,
	 .tls = SIM_TLS_ONLY_1_1, .help = "offers nothing newer than TLS 1.1"},
	{"cbc-only", CH_REASON_TLS_CIPHER, .identity = SIM_IDENTITY_SPARE, .tls = SIM_TLS_CBC,
	 .help = "TLS 1.2 with CBC suites only"},
	{"rsa-kx-only", CH_REASON_TLS_CIPHER, .identity = SIM_IDENTITY_SPARE_RSA,
	 .tls = SIM_TLS_RSA_KX, .help = "TLS 1.2 without ECDHE"},
	{"no-ems", CH_REASON_NO_EMS, .identity = SIM_IDENTITY_SPARE, .tls = SIM_TLS_NO_EMS,
	 .help = "TLS 1.2 without the extended master secret"},
	{"silent", CH_REASON_SILENT, .opening = SIM_OPENING_SILENT, .help = "TCP, then nothing"},
	{"garbage", CH_REASON_NOT_TLS, .opening = SIM_OPENING_GARBAGE, .help = "speaks SSH, not TLS"},
	{"slow-handshake", CH_REASON_HANDSHAKE_TIMEOUT, .opening = SIM_OPENING_PARTIAL_RECORD,
	 .help = "three bytes of a TLS record, then nothing"},
	{"close-in-handshake", CH_REASON_CLOSED_IN_HANDSHAKE, .opening = SIM_OPENING_CLOSE,
	 .help = "closes after the ClientHello"},
	{"fatal-alert", CH_REASON_TLS_ALERT, .opening = SIM_OPENING_ALERT,
	 .help = "answers the ClientHello with internal_error"},
	{"broken-handshake", CH_REASON_TLS_PROTOCOL, .opening = SIM_OPENING_BROKEN_HANDSHAKE,
	 .help = "answers the ClientHello with a handshake message nobody knows"},

	{"heartbeat-mode", CH_REASON_TLS_PROTOCOL, .identity = SIM_IDENTITY_SPARE,
	 .tls = SIM_TLS_HEARTBEAT_MODE, .help = "a heartbeat mode that RFC 6520 does not know"},

	/* NETCONF is wrong */
	{"bad-hello", CH_REASON_BAD_HELLO, .identity = SIM_IDENTITY_SPARE, .hello = SIM_HELLO_BAD,
	 .help = "valid TLS, then something that is no hello"},
	{"no-session-id", CH_REASON_NO_SESSION_ID, .identity = SIM_IDENTITY_SPARE,
	 .hello = SIM_HELLO_NO_SESSION_ID, .help = "a hello without session-id"},
	{"no-base", CH_REASON_NO_COMMON_BASE, .identity = SIM_IDENTITY_SPARE,
	 .hello = SIM_HELLO_NO_BASE, .help = "a hello without base capability"},
	{"no-hello", CH_REASON_HELLO_TIMEOUT, .identity = SIM_IDENTITY_SPARE,
	 .hello = SIM_HELLO_NONE, .help = "valid TLS, then nothing"},
	{"broken-chunk", CH_REASON_FRAMING, .identity = SIM_IDENTITY_SPARE,
	 .act = SIM_ACT_BROKEN_CHUNK, .help = "valid login, then a chunk header that is none"},
	{"huge-message", CH_REASON_MESSAGE_LIMIT, .identity = SIM_IDENTITY_SPARE,
	 .act = SIM_ACT_HUGE_MESSAGE, .help = "announces a chunk of 4 GiB"},
	{"many-chunks", CH_REASON_MESSAGE_LIMIT, .identity = SIM_IDENTITY_SPARE,
	 .act = SIM_ACT_MANY_CHUNKS, .help = "one message in chunks of one byte"},
	{"junk-message", CH_REASON_BAD_MESSAGE, .identity = SIM_IDENTITY_SPARE,
	 .act = SIM_ACT_JUNK_MESSAGE, .help = "a message that is neither reply nor notification"},
	{"deep-xml", CH_REASON_BAD_MESSAGE, .identity = SIM_IDENTITY_SPARE,
	 .act = SIM_ACT_DEEP_XML, .help = "an rpc-error that nests 20,000 elements"},
	{"unexpected-reply", CH_REASON_UNEXPECTED_REPLY, .identity = SIM_IDENTITY_SPARE,
	 .act = SIM_ACT_UNEXPECTED_REPLY, .help = "answers an rpc that was never sent"},

	/* the session is wrong */
	{"truncated", CH_REASON_TRUNCATED, .identity = SIM_IDENTITY_SPARE, .act = SIM_ACT_TRUNCATE,
	 .help = "valid login, then FIN without close_notify"},
	{"reset", CH_REASON_RESET, .identity = SIM_IDENTITY_SPARE, .act = SIM_ACT_RESET,
	 .help = "valid login, then RST"},
	{"leaves", CH_REASON_CLOSED_BY_DEVICE, .identity = SIM_IDENTITY_SPARE, .act = SIM_ACT_CLOSE,
	 .help = "valid login, then close_notify"},
	{"bad-record", CH_REASON_BAD_RECORD, .identity = SIM_IDENTITY_SPARE,
	 .act = SIM_ACT_BAD_RECORD, .help = "valid login, then a record with a flipped bit"},
	{"junk-record", CH_REASON_UNEXPECTED_RECORD, .identity = SIM_IDENTITY_SPARE,
	 .act = SIM_ACT_JUNK_RECORD, .help = "asks for a certificate after the handshake"},
	{"record-flood", CH_REASON_RECORD_FLOOD, .identity = SIM_IDENTITY_SPARE,
	 .act = SIM_ACT_EMPTY_RECORDS, .help = "thousands of empty records"},
	{"update-flood", CH_REASON_RECORD_FLOOD, .identity = SIM_IDENTITY_SPARE,
	 .tls = SIM_TLS_ONLY_1_3, .act = SIM_ACT_KEY_UPDATES,
	 .help = "changes its keys hundreds of times, and asks for ours each time"},
	{"alert-flood", CH_REASON_RECORD_FLOOD, .identity = SIM_IDENTITY_SPARE,
	 .act = SIM_ACT_WARNINGS, .help = "thousands of user_canceled, and stays"},
	{"heartbleed", CH_REASON_CLOSED_BY_DEVICE, .identity = SIM_IDENTITY_SPARE,
	 .act = SIM_ACT_HEARTBLEED,
	 .help = "asks for 16 kB by a heartbeat of one; leaves when it got only what is due"},
	{"long-heartbeat", CH_REASON_CLOSED_BY_DEVICE, .identity = SIM_IDENTITY_SPARE,
	 .act = SIM_ACT_LONG_HEARTBEAT,
	 .help = "a heartbeat over two records; leaves when it got only what is due"},
	{"heartbeat-flood", CH_REASON_RECORD_FLOOD, .identity = SIM_IDENTITY_SPARE,
	 .act = SIM_ACT_HEARTBEAT_FLOOD, .help = "thousands of heartbeats"},
	{"heartbeat-mute", CH_REASON_HEARTBEAT_TIMEOUT, .identity = SIM_IDENTITY_SPARE,
	 .act = SIM_ACT_HEARTBEAT_MUTE,
	 .help = "never answers a heartbeat; shows after (max-attempts + 1) x max-wait"},
	{"reader-stall", CH_REASON_READER_STALLED, .identity = SIM_IDENTITY_SPARE,
	 .act = SIM_ACT_STALL, .help = "never reads again; shows once enough is sent to it"},
	{"mute", CH_REASON_PROBE_TIMEOUT, .identity = SIM_IDENTITY_SPARE, .act = SIM_ACT_MUTE,
	 .help = "never answers an rpc; shows where the liveness probe is on"},
};

const struct sim_impostor *sim_impostors(size_t *count)
{
	*count = sizeof(table) / sizeof(table[0]);
	return table;
}

const struct sim_impostor *sim_impostor_find(const char *name, size_t len)
{
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		if (strlen(table[i].name) == len && memcmp(table[i].name, name, len) == 0)
			return &table[i];
	}
	return NULL;
}

int sim_impostor_open(struct sim_device *device)
{
	/* everybody else acts on the ClientHello */
	if (device->impostor->opening == SIM_OPENING_SILENT)
		device->discard = true;
	if (device->impostor->opening != SIM_OPENING_GARBAGE)
		return 0;
	device->discard = true;
	return ch_buf_append_str(&device->out, "SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n");
}

int sim_impostor_client_hello(struct sim_device *device)
{
	static const uint8_t partial[] = {CH_RECORD_HANDSHAKE, 3, 3};
	static const uint8_t alert[] = {CH_RECORD_ALERT, 3, 3, 0, 2, 2, 80};
	static const uint8_t broken[] = {CH_RECORD_HANDSHAKE, 3, 3, 0, 6, 99, 0, 0, 2, 1, 2};
	/* of 64 bytes, as its header says */
	static const uint8_t half_hello[5 + 32] = {
		CH_RECORD_HANDSHAKE, 3, 3, 0, 64, 2, 0, 0, 60, 3, 3};

	device->discard = true;
	switch ((enum sim_opening)device->impostor->opening) {
	case SIM_OPENING_PARTIAL_RECORD:
		return ch_buf_append(&device->out, partial, sizeof(partial));
	case SIM_OPENING_ALERT:
		return ch_buf_append(&device->out, alert, sizeof(alert));
	case SIM_OPENING_BROKEN_HANDSHAKE:
		return ch_buf_append(&device->out, broken, sizeof(broken));
	case SIM_OPENING_HALF_HELLO:
		return ch_buf_append(&device->out, half_hello, sizeof(half_hello));
	case SIM_OPENING_CLOSE:
		device->half_close = true;
		return 0;
	case SIM_OPENING_TLS:
	case SIM_OPENING_SILENT:
	case SIM_OPENING_GARBAGE:
		break; /* nothing to do at this moment */
	}
	return 0;
}

static int send_message(struct sim_device *device, struct ch_slice xml)
{
	struct ch_buf *message = &device->shared->message;

	message->len = 0;
	int err = ch_buf_append(message, xml.data, xml.len);
	return err ? err : sim_device_send_message(device);
}

static int send_many_chunks(struct sim_device *device)
{
	struct ch_buf *chunks = &device->shared->framed;
	int err;

	chunks->len = 0;
	err = ch_buf_append_str(chunks, "\n#14\n<notification>");
	for (unsigned i = 0; i < TINY_CHUNKS && !err; i++)
		err = ch_buf_append_str(chunks, "\n#1\n ");
	if (!err)
		err = sim_device_send_plain(device, (struct ch_slice){chunks->data, chunks->len});
	return err;
}

static int send_bad_record(struct sim_device *device)
{
	int err = send_message(device, CH_LIT("<notification/>"));

	if (!err)
		device->out.data[device->out.len - 1] ^= 1;
	return err;
}

static int send_junk_record(struct sim_device *device)
{
	static const uint8_t certificate_request[] = {13, 0, 0, 3, 0, 0, 0};
	const struct ch_slice part = {certificate_request, sizeof(certificate_request)};

	return ch_record_seal(&device->record, CH_RECORD_HANDSHAKE, &part, 1, &device->out);
}

/* Each under the key that the one before it brought. */
static int send_key_updates(struct sim_device *device)
{
	static const uint8_t key_update[] = {24, 0, 0, 1, 1};
	const struct ch_slice part = {key_update, sizeof(key_update)};
	int err = 0;

	for (unsigned i = 0; i < KEY_UPDATES && !err; i++) {
		err = ch_record_seal(&device->record, CH_RECORD_HANDSHAKE, &part, 1, &device->out);
		if (!err)
			err = ch_record_rekey(&device->record, true);
	}
	return err;
}

static int send_warnings(struct sim_device *device)
{
	static const uint8_t user_canceled[] = {1, 90};
	const struct ch_slice part = {user_canceled, sizeof(user_canceled)};
	int err = 0;

	for (unsigned i = 0; i < EMPTY_RECORDS && !err; i++)
		err = ch_record_seal(&device->record, CH_RECORD_ALERT, &part, 1, &device->out);
	return err;
}

static int send_empty_records(struct sim_device *device)
{
	int err = 0;

	for (unsigned i = 0; i < EMPTY_RECORDS && !err; i++)
		err = sim_device_send_plain(device, (struct ch_slice){NULL, 0});
	return err;
}

/* close_notify and a FIN behind it; reads on, because unread bytes would turn it into a RST */
static int leave(struct sim_device *device)
{
	device->discard = true;
	device->half_close = true;
	return sim_device_say_close(device);
}

static int seal_heartbeat(struct sim_device *device, const uint8_t *message, size_t len)
{
	const struct ch_slice part = {message, len};

	return ch_record_seal(&device->record, CH_RECORD_HEARTBEAT, &part, 1, &device->out);
}

#define ALIVE CH_LIT("are you alive?")

/* What must get no answer, then one that must. */
static int ask_for_too_much(struct sim_device *device)
{
	static const uint8_t bleeding[] = {CH_HEARTBEAT_REQUEST, 0x40, 0, 'x'};
	static uint8_t longest[CH_HEARTBEAT_MAX + 1] = {CH_HEARTBEAT_REQUEST, 0x3f, 0xee};
	int err = device->impostor->act == SIM_ACT_HEARTBLEED
			  ? seal_heartbeat(device, bleeding, sizeof(bleeding))
			  : seal_heartbeat(device, longest, sizeof(longest));

	return err ? err : sim_device_send_heartbeat(device, CH_HEARTBEAT_REQUEST, ALIVE);
}

static int send_heartbeats(struct sim_device *device)
{
	int err = 0;

	for (unsigned i = 0; i < HEARTBEATS && !err; i++)
		err = sim_device_send_heartbeat(device, CH_HEARTBEAT_REQUEST, ALIVE);
	return err;
}

bool sim_impostor_heartbeat(struct sim_device *device, const uint8_t *record, size_t len)
{
	uint8_t act = device->impostor->act;
	struct ch_slice payload = {NULL, 0};
	uint8_t type = 0;
	bool due;

	if (act != SIM_ACT_HEARTBLEED && act != SIM_ACT_LONG_HEARTBEAT)
		return act == SIM_ACT_HEARTBEAT_MUTE;
	if (!ch_heartbeat_parse(record, len, &type, &payload) || type != CH_HEARTBEAT_RESPONSE)
		return false;
	due = payload.len == ALIVE.len && memcmp(payload.data, ALIVE.data, ALIVE.len) == 0;
	/* anything else is a leak: the RST shows as another reason than ours */
	device->abort = !due;
	if (!due || leave(device) != 0)
		sim_device_close(device, SIM_END_CLOSED);
	return true;
}

int sim_impostor_login(struct sim_device *device)
{
	switch ((enum sim_act)device->impostor->act) {
	case SIM_ACT_BROKEN_CHUNK:
		return sim_device_send_plain(device, CH_LIT("\n#no-number\n<rpc-reply/>\n##\n"));
	case SIM_ACT_HUGE_MESSAGE:
		return sim_device_send_plain(device, CH_LIT("\n#4294967295\n<notification>"));
	case SIM_ACT_MANY_CHUNKS:
		return send_many_chunks(device);
	case SIM_ACT_JUNK_MESSAGE:
		return send_message(device, CH_LIT("<rpc message-id=\"1\"><get/></rpc>"));
	case SIM_ACT_UNEXPECTED_REPLY:
		return send_message(device,
				    CH_LIT("<rpc-reply xmlns=\"urn:ietf:params:xml:ns:netconf:"
					   "base:1.0\" message-id=\"4000000000\"><ok/></rpc-reply>"));
	case SIM_ACT_TRUNCATE:
		device->discard = true;
		device->half_close = true;
		return 0;
	case SIM_ACT_RESET:
		device->abort = true;
		sim_device_close(device, SIM_END_CLOSED);
		return 0;
	case SIM_ACT_CLOSE:
		return leave(device);
	case SIM_ACT_BAD_RECORD:
		return send_bad_record(device);
	case SIM_ACT_JUNK_RECORD:
		return send_junk_record(device);
	case SIM_ACT_EMPTY_RECORDS:
		return send_empty_records(device);
	case SIM_ACT_KEY_UPDATES:
		return send_key_updates(device);
	case SIM_ACT_WARNINGS:
		return send_warnings(device);
	case SIM_ACT_STALL:
		device->stall = true;
		return 0;
	case SIM_ACT_MUTE:
		device->mute = true;
		return 0;
	case SIM_ACT_HEARTBLEED:
	case SIM_ACT_LONG_HEARTBEAT:
		return ask_for_too_much(device);
	case SIM_ACT_HEARTBEAT_FLOOD:
		return send_heartbeats(device);
	case SIM_ACT_NONE:
	case SIM_ACT_DEEP_XML:
	case SIM_ACT_HEARTBEAT_MUTE:
	case SIM_ACT_NOTIFICATIONS:
		break; /* nothing to do at this moment */
	}
	return 0;
}

int sim_impostor_idle(struct sim_device *device)
{
	int err = 0;

	if (device->impostor->act != SIM_ACT_NOTIFICATIONS)
		return 0;
	for (int i = 0; i < NOTIFICATIONS && !err; i++)
		err = sim_netconf_notification(device);
	return err;
}

bool sim_impostor_aborts(struct sim_device *device, enum sim_abort here)
{
	if (!device->impostor || device->impostor->abort != here)
		return false;
	if (here == SIM_ABORT_HALF_FLIGHT)
		device->out.len /= 2;
	device->abort = true;
	sim_device_close(device, SIM_END_CLOSED);
	return true;
}
