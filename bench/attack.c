/* SPDX-License-Identifier: Apache-2.0 */
#include "attack.h"
#include "load.h"

#include "user/core/option.h"

#include <stdio.h>
#include <string.h>

#define SPARE_FILES 64 /* of the process, beside the connections */

/* Devices that make no sense alone: nobody could say with which reason they have to end. */
static const struct sim_impostor devices[] = {
	{"half-hello", CH_REASON_HANDSHAKE_TIMEOUT, .opening = SIM_OPENING_HALF_HELLO},
	{"drip", CH_REASON_HANDSHAKE_TIMEOUT, .identity = SIM_IDENTITY_SPARE, .drip = true},
	{"abort-connected", CH_REASON_RESET, .abort = SIM_ABORT_CONNECTED},
	{"abort-client-hello", CH_REASON_RESET, .identity = SIM_IDENTITY_SPARE,
	 .abort = SIM_ABORT_CLIENT_HELLO},
	{"abort-half-flight", CH_REASON_RESET, .identity = SIM_IDENTITY_SPARE,
	 .abort = SIM_ABORT_HALF_FLIGHT},
	{"abort-flight", CH_REASON_RESET, .identity = SIM_IDENTITY_SPARE,
	 .abort = SIM_ABORT_FLIGHT},
	{"abort-tls-done", CH_REASON_RESET, .identity = SIM_IDENTITY_SPARE,
	 .abort = SIM_ABORT_TLS_DONE},
	{"notification-flood", CH_REASON_NONE, .identity = SIM_IDENTITY_SPARE,
	 .act = SIM_ACT_NOTIFICATIONS},
};

/* Slow attacks hold connections; fast ones want many. */
#define SLOW .rate = 200, .connections = 2000
#define FAST .rate = 2000, .connections = 2000
#define FLOOD .rate = 50, .connections = 100

static const struct sim_attack table[] = {
	/* before TLS */
	{"connect-flood",
	 "connects and resets, as fast as it can",
	 "the source's rate, charged at accept and refused at the SYN",
	 {"abort-connected"},
	 FAST},
	{"silent",
	 "connects and says nothing",
	 "the deadline of a login, the caps on logins of a source and on handshakes",
	 {"silent"},
	 SLOW},
	{"half-hello",
	 "sends half a ServerHello and stops",
	 "the deadline of a login, bans",
	 {"half-hello"},
	 SLOW},
	{"garbage", "speaks something else than TLS", "bans for failures", {"garbage"}, FAST},

	/* in the handshake */
	{"slow-handshake",
	 "answers with a byte now and then",
	 "one deadline for the whole login, whatever comes meanwhile",
	 {"drip"},
	 SLOW,
	 .pki = true},
	{"handshake-churn",
	 "resets at each stage in turn, up to a finished handshake",
	 "the rate and the logins of a source; established sessions are served first",
	 {"abort-connected", "abort-client-hello", "abort-half-flight", "abort-flight",
	  "abort-tls-done"},
	 FAST,
	 .pki = true},
	{"bad-cert-churn",
	 "bad certificates in turn: unknown CA, expired, self-signed and others",
	 "cheap checks of a certificate first, bans for failures",
	 {"unknown-ca", "expired", "not-yet-valid", "self-signed", "bad-signature-chain",
	  "wrong-usage", "revoked"},
	 FAST,
	 .pki = true},
	{"huge-chain",
	 "sends fifteen certificates",
	 "the limits of a chain, bans for failures",
	 {"huge-chain"},
	 FAST,
	 .pki = true},
	{"wrong-identity",
	 "good certificates of nobody in the inventory",
	 "identity before signature, a bounded quarantine, bans for failures",
	 {"unknown-serial", "other-manufacturer", "no-identifier"},
	 FAST,
	 .pki = true},
	{"stolen-cert",
	 "the certificate of a real device without its key",
	 "nothing is charged to an identity before it is proven: its owner stays in",
	 {"stolen-cert"},
	 FAST,
	 .pki = true},

	/* behind the login */
	{"junk-after-login",
	 "logs in, then breaks framing, messages or records in turn",
	 "the limits of a message; the session ends",
	 {"broken-chunk", "huge-message", "junk-message", "unexpected-reply", "bad-record",
	  "junk-record"},
	 FLOOD,
	 .pki = true},
	{"reader-stall",
	 "logs in and never reads again",
	 "the cap on what waits for one device, the user timeout",
	 {"reader-stall"},
	 SLOW,
	 .pki = true},
	{"heartbeat-flood",
	 "logs in, then thousands of heartbeats",
	 "the allowance of records without data",
	 {"heartbeat-flood"},
	 FLOOD,
	 .pki = true},
	{"keyupdate-flood",
	 "logs in, then hundreds of KeyUpdates",
	 "the allowance of records without data",
	 {"update-flood"},
	 FLOOD,
	 .pki = true},
	{"record-flood",
	 "logs in, then thousands of empty records",
	 "the allowance of records without data",
	 {"record-flood"},
	 FLOOD,
	 .pki = true},
	{"notification-flood",
	 "logs in, then notifications without end",
	 "receive buffers are shared in turns; the spool is bounded and counts what it leaves out",
	 {"notification-flood"},
	 .rate = 10,
	 .connections = 4,
	 .pki = true},
	{"flap",
	 "logs in, hangs up and comes again",
	 "the rate of a known source; sessions that are up are served first",
	 {"leaves", "reset"},
	 FAST,
	 .pki = true},

	/* below TCP */
	{"syn-flood", "SYNs from one source that never answers, in network namespaces of its own",
	 "a drop rule or a ban in front of the socket; SYN cookies", .raw = SIM_ATTACK_SYNS},
	{"spoofed-syn-flood", "the same from another source every time",
	 "SYN cookies and a long backlog; no state per source before it has proven itself",
	 .raw = SIM_ATTACK_SPOOFED_SYNS},
};

const struct sim_attack *sim_attacks(size_t *count)
{
	*count = sizeof(table) / sizeof(table[0]);
	return table;
}

const struct sim_attack *sim_attack_find(const char *name)
{
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		if (strcmp(table[i].name, name) == 0)
			return &table[i];
	}
	return NULL;
}

const struct sim_impostor *sim_attack_device(const char *name)
{
	for (size_t i = 0; i < sizeof(devices) / sizeof(devices[0]); i++) {
		if (strcmp(devices[i].name, name) == 0)
			return &devices[i];
	}
	return sim_impostor_find(name, strlen(name));
}

static int fail(char error[SIM_ATTACK_ERROR], const char *sentence, const char *value)
{
	snprintf(error, SIM_ATTACK_ERROR, "%s%.60s", sentence, value);
	return CH_E_CONFIG;
}

/* "127.66.0.0/16"; the first address of a longer prefix than /32 is not used. */
static int bound_source(const char *source, struct sim_attack_limits *limits, char *error)
{
	static const char wrong[] = "--source is a prefix of the loopback, such as 127.66.0.0/16, "
				    "without bits behind its length, not ";
	char endpoint[CH_ADDRESS_TEXT];
	size_t host = strcspn(source, "/");
	uint64_t bits = 32;

	snprintf(endpoint, sizeof(endpoint), "%.*s:0", (int)(host < 40 ? host : 40), source);
	if (ch_address_parse(endpoint, &limits->source) != 0 || limits->source.family != 4 ||
	    !sim_address_is_loopback(&limits->source))
		return fail(error, wrong, source);
	if (source[host] == '/' && ch_parse_uint(source + host + 1, 8, 32, &bits) != 0)
		return fail(error, wrong, source);
	const uint8_t *ip = limits->source.ip;
	uint32_t address =
		(uint32_t)ip[0] << 24 | (uint32_t)ip[1] << 16 | (uint32_t)ip[2] << 8 | ip[3];
	limits->sources = (uint32_t)(UINT64_C(1) << (32 - bits));
	if (address % limits->sources != 0)
		return fail(error, wrong, source);
	if (limits->sources > 1) {
		limits->source.ip[3]++;
		/* nor the last, which is broadcast in 127.0.0.0/8 */
		limits->sources -= limits->sources > 2 ? 2 : 1;
	}
	return 0;
}

static int bound_target(const char *target, const char *own, struct sim_attack_limits *limits,
			char *error)
{
	if (ch_address_parse(target, &limits->target) != 0 || limits->target.port == 0)
		return fail(error, "--target is ADDRESS:PORT, not ", target);
	if (sim_address_is_loopback(&limits->target) ||
	    (own && sim_address_in_prefix(&limits->target, own)))
		return 0;
	return fail(
		error,
		"an attack stays on the loopback; if the network of this target is yours, say so "
		"with --i-own PREFIX: ",
		target);
}

int sim_attack_bound(const struct sim_attack *attack, const char *target, const char *own,
		     const char *source, double rate, uint64_t connections, uint64_t nofile,
		     struct sim_attack_limits *limits, char error[SIM_ATTACK_ERROR])
{
	uint64_t most = nofile > SPARE_FILES ? nofile - SPARE_FILES : 1;
	int err;

	memset(limits, 0, sizeof(*limits));
	limits->sources = 1;
	limits->rate = rate > 0 ? rate : attack->rate;
	if (connections == 0)
		connections = attack->connections < most ? attack->connections : most;
	if (limits->rate > SIM_ATTACK_RATE_MAX)
		return fail(error, "--rate is at most 100000 calls per second", "");
	if (connections > SIM_ATTACK_CONNECTIONS_MAX || connections > most)
		return fail(
			error,
			"--connections is at most 100000, and 64 less than the process may open "
			"files (ulimit -n)",
			"");
	limits->connections = (uint32_t)connections;
	err = bound_target(target, own, limits, error);
	/* loopback addresses reach nothing but the loopback */
	if (!err && limits->target.family == 4 && sim_address_is_loopback(&limits->target))
		err = bound_source(source, limits, error);
	return err;
}
