/* SPDX-License-Identifier: Apache-2.0 */
#include "config_option.h"

#include <stdio.h>
#include <string.h>

#define KIB UINT64_C(1024)
#define MIB (KIB * 1024)
#define GIB (MIB * 1024)
#define MS UINT64_C(1000000)
#define SECOND (MS * 1000)
#define HOUR (SECOND * 3600)

#define LIST(type, array, count)                                                                   \
	.list = true, .items_offset = offsetof(struct ch_config, array),                           \
	.count_offset = offsetof(struct ch_config, count), .item_size = sizeof(struct type)

const struct ch_section ch_sections[CH_SECTION_COUNT] = {
	[CH_SECTION_ROOT] = {.key = "", .path = ""},
	[CH_SECTION_LISTEN] = {
		.key = "listen", .path = "listen", .most = 64,
		LIST(ch_config_listener, listeners, listener_count),
		.example = "- {name: tls, address: \"0.0.0.0:4335\"}",
		.help = "Where devices call in. Without this key: 0.0.0.0:4335 and [::]:4335, the "
			"latter only where the machine has IPv6.",
	},
	[CH_SECTION_TRUST] = {
		.key = "trust", .path = "trust", .live = true, .example = "manufacturers: [...]",
		.help = "Who may vouch for a device. May be left out when every device is pinned in "
			"the inventory.",
	},
	[CH_SECTION_MANUFACTURERS] = {
		.key = "manufacturers", .path = "trust.manufacturers", .parent = CH_SECTION_TRUST,
		.required = true, .live = true, .most = 1024,
		LIST(ch_config_manufacturer, manufacturers, manufacturer_count),
		.example = "- {name: acme, ca: acme-ca.pem, identifier: serialNumber}",
		.help = "Each has trust anchors of its own. The CA store of the system is never used.",
	},
	[CH_SECTION_CREDENTIALS] = {
		.key = "credentials", .path = "credentials", .required = true, .live = true,
		.most = 4096,
		LIST(ch_config_credential, credentials, credential_count),
		.example = "- {name: default, tls-cert: client.pem, tls-key: client.key}",
		.help = "What the collector shows to a device, and only to a device that the "
			"inventory binds to it.",
	},
	[CH_SECTION_PROFILES] = {
		.key = "profiles", .path = "profiles", .live = true, .most = 1024,
		LIST(ch_config_profile, profiles, profile_count),
		.example = "- {name: default, on-connect: [get-config, subscribe]}",
		.help = "What happens on a session that came up. Without this key: one profile "
			"\"default\" that does nothing by itself. The first is that of devices which "
			"name none.",
	},
	[CH_SECTION_DEVICES] = {
		.key = "devices", .path = "devices", .required = true, .live = true,
		.example = "file: devices.csv", .help = "The inventory.",
	},
	[CH_SECTION_KEEPALIVES] = {
		.key = "keepalives", .path = "keepalives", .example = "test-peer-aliveness: {...}",
		.help = "TLS heartbeats (RFC 6520) under the names of RFC 9645.",
	},
	[CH_SECTION_ALIVENESS] = {
		.key = "test-peer-aliveness", .path = "keepalives.test-peer-aliveness",
		.parent = CH_SECTION_KEEPALIVES, .example = "max-wait: 30s",
		.help = "Asks a silent device by heartbeat whether it lives, where the device "
			"lets us; profiles.probe-interval asks any device by NETCONF.",
	},
	[CH_SECTION_GUARD] = {
		.key = "guard", .path = "guard", .live = true, .example = "mode: auto",
		.help = "Who may connect how often. A source is an IPv4 address or an IPv6 /64 unless "
			"v4-prefix and v6-prefix say otherwise; limits are per source. With CAP_BPF "
			"an eBPF program drops the SYNs of who is banned, denied or over a limit.",
	},
	[CH_SECTION_RULES] = {
		.key = "rules", .path = "guard.rules", .parent = CH_SECTION_GUARD, .live = true,
		.most = GUARD_RULES - 1,
		LIST(ch_config_rule, guard.rules, guard.rule_count),
		.example = "- {name: customers, action: permit, prefix: \"192.0.2.0/24\"}",
		.help = "By source prefix; of several that match, the longest holds.",
	},
	[CH_SECTION_CONTROL] = {
		.key = "control", .path = "control", .example = "socket: callhomed.sock",
		.help = "How the callhome command reaches the daemon.",
	},
	[CH_SECTION_SPOOL] = {
		.key = "spool", .path = "spool", .example = "directory: spool",
		.help = "Where events, notifications and replies are written, one JSON object per "
			"line. Without this key nothing is spooled.",
	},
	[CH_SECTION_LIMITS] = {
		.key = "limits", .path = "limits", .example = "max-sessions: 16384",
		.help = "What peers may use, and how long anything may take.",
	},
	[CH_SECTION_LOG] = {
		.key = "log", .path = "log", .example = "level: info",
		.help = "Log lines on standard error.",
	},
};

static const struct ch_choice transports[] = {{"netconf-tls", CH_TRANSPORT_NETCONF_TLS}, {NULL, 0}};

static const struct ch_choice identifiers[] = {
	{"cn", CH_IDENTIFIER_CN},
	{"serialNumber", CH_IDENTIFIER_SERIAL_NUMBER},
	{"san-dns", CH_IDENTIFIER_SAN_DNS},
	{"san-uri", CH_IDENTIFIER_SAN_URI},
	{"hardwareModuleName", CH_IDENTIFIER_HARDWARE_MODULE},
	{NULL, 0},
};

static const struct ch_choice revocations[] = {
	{"if-present", CH_REVOCATION_IF_PRESENT},
	{"require", CH_REVOCATION_REQUIRE},
	{"off", CH_REVOCATION_OFF},
	{NULL, 0},
};

static const struct ch_choice stale_policies[] = {
	{"accept", CH_STALE_ACCEPT},
	{"refuse", CH_STALE_REFUSE},
	{NULL, 0},
};

static const struct ch_choice on_connect[] = {
	{"get-config", CH_ON_CONNECT_GET_CONFIG},
	{"subscribe", CH_ON_CONNECT_SUBSCRIBE},
	{NULL, 0},
};

static const struct ch_choice unknown[] = {
	{"reject", CH_UNKNOWN_REJECT},
	{"quarantine", CH_UNKNOWN_QUARANTINE},
	{NULL, 0},
};

static const struct ch_choice layers[] = {
	{"auto", CH_LAYER_POLICY_AUTO},
	{"kernel", CH_LAYER_POLICY_KERNEL},
	{"user", CH_LAYER_POLICY_USER},
	{NULL, 0},
};

static const struct ch_choice master_secrets[] = {
	{"require", CH_MASTER_SECRET_EXTENDED},
	{"if-offered", CH_MASTER_SECRET_ANY},
	{NULL, 0},
};

static const struct ch_choice bogons[] = {
	{"off", CH_GATE_BOGONS_OFF},
	{"drop", CH_GATE_BOGONS_DROP},
	{NULL, 0},
};

static const struct ch_choice gate_modes[] = {
	{"auto", CH_GATE_AUTO},
	{"require", CH_GATE_REQUIRE},
	{"userspace", CH_GATE_USERSPACE},
	{"off", CH_GATE_OFF},
	{NULL, 0},
};

static const struct ch_choice early_stages[] = {
	{"off", CH_GATE_EARLY_OFF},
	{"xdp", CH_GATE_EARLY_XDP},
	{"xdp-generic", CH_GATE_EARLY_XDP_GENERIC},
	{NULL, 0},
};

static const struct ch_choice gate_actions[] = {
	{"limit", CH_GATE_ACTION_LIMIT},	 {"permit", CH_GATE_ACTION_PERMIT},
	{"never-ban", CH_GATE_ACTION_NEVER_BAN}, {"drop", CH_GATE_ACTION_DROP},
	{"reject", CH_GATE_ACTION_REJECT},	 {"proxy", CH_GATE_ACTION_PROXY},
	{NULL, 0},
};

static const struct ch_choice levels[] = {
	{"error", CH_LOG_ERROR},
	{"warning", CH_LOG_WARNING},
	{"info", CH_LOG_INFO},
	{"debug", CH_LOG_DEBUG},
	{NULL, 0},
};

_Static_assert(sizeof(enum ch_transport) == 4 && sizeof(enum ch_identifier_kind) == 4 &&
		       sizeof(enum ch_unknown_policy) == 4 && sizeof(enum ch_layer_policy) == 4 &&
		       sizeof(enum ch_master_secret_policy) == 4 &&
		       sizeof(enum ch_revocation_mode) == 4 && sizeof(enum ch_stale_policy) == 4 &&
		       sizeof(enum ch_log_level) == 4 && sizeof(enum ch_gate_mode) == 4 &&
		       sizeof(enum ch_gate_action) == 4 && sizeof(enum ch_gate_early) == 4,
	       "a choice is stored as 32 bits");

/* A field of struct ch_config, or of the item that a list section holds. */
#define IN(field) .offset = offsetof(struct ch_config, field)
#define OF(type, field) .offset = offsetof(struct ch_config_##type, field)

const struct ch_option ch_options[] = {
	{CH_SECTION_ROOT, "record-layer", CH_OPTION_CHOICE, IN(record_layer), .choices = layers,
	 .fallback = "auto",
	 .help = "where TLS records are protected after the handshake: auto (in the kernel where "
		 "it "
		 "can do all that TLS demands, else in user space), kernel (also TLS 1.3 on a "
		 "kernel "
		 "that cannot change keys: a KeyUpdate then ends the session), user"},
	{CH_SECTION_ROOT, "extended-master-secret", CH_OPTION_CHOICE, IN(master_secret),
	 .choices = master_secrets, .fallback = "require",
	 .help = "TLS 1.2 with devices that lack RFC 7627: require refuses them, if-offered takes "
		 "them (a device in the middle can then make two sessions share their keys); TLS "
		 "1.3 "
		 "always has it"},

	{CH_SECTION_LISTEN, "name", CH_OPTION_NAME, OF(listener, name), .required = true,
	 .help = "how logs and errors call this listener"},
	{CH_SECTION_LISTEN, "address", CH_OPTION_ADDRESS, OF(listener, address), .required = true,
	 .help = "local address and port; the port assigned to NETCONF call home over TLS is 4335"},
	{CH_SECTION_LISTEN, "transport", CH_OPTION_CHOICE, OF(listener, transport),
	 .choices = transports, .fallback = "netconf-tls", .help = "what devices speak there"},

	{CH_SECTION_TRUST, "crl", CH_OPTION_PATH, IN(crl),
	 .help = "revocation lists of all manufacturers: a file, or a directory whose files are "
		 "read but "
		 "for names with a leading dot; PEM or DER, complete or delta. Read again in the "
		 "background when it changes; a session whose certificate is revoked by then is "
		 "closed"},
	{CH_SECTION_TRUST, "crl-refresh", CH_OPTION_DURATION, IN(crl_refresh_ns), SECOND, 24 * HOUR,
	 1, .fallback = "5min",
	 .help = "how often to look at trust.crl where the kernel does not tell of changes (a "
		 "network "
		 "file system)"},

	{CH_SECTION_MANUFACTURERS, "name", CH_OPTION_NAME, OF(manufacturer, name), .required = true,
	 .help = "how the inventory calls the manufacturer"},
	{CH_SECTION_MANUFACTURERS, "ca", CH_OPTION_PATH, OF(manufacturer, ca), .required = true,
	 .help = "PEM file, or directory of them (*.pem, *.crt, *.cer), with the CA certificates "
		 "that "
		 "are trust anchors for this manufacturer's devices, and for no other's"},
	{CH_SECTION_MANUFACTURERS, "identifier", CH_OPTION_CHOICE, OF(manufacturer, identifier),
	 .choices = identifiers, .required = true,
	 .help = "where a device certificate of this manufacturer carries the identifier"},

	{CH_SECTION_MANUFACTURERS, "revocation", CH_OPTION_CHOICE, OF(manufacturer, revocation),
	 .choices = revocations, .fallback = "if-present",
	 .help = "if-present: a device is refused if a list or its stapled OCSP response says that "
		 "it or "
		 "a CA above it is revoked; require: each certificate below the anchor needs a "
		 "valid list, "
		 "the device's own a list or a staple; off: nothing is looked up"},
	{CH_SECTION_MANUFACTURERS, "stale-crl", CH_OPTION_CHOICE, OF(manufacturer, stale_crl),
	 .choices = stale_policies, .fallback = "accept",
	 .help = "what a list or staple behind its nextUpdate says of a certificate that it does "
		 "not "
		 "revoke: accept (that it is good, counted) or refuse (nothing: the device is "
		 "refused)"},

	{CH_SECTION_CREDENTIALS, "name", CH_OPTION_NAME, OF(credential, name), .required = true,
	 .help = "how the inventory calls the credential"},
	{CH_SECTION_CREDENTIALS, "tls-cert", CH_OPTION_PATH, OF(credential, tls_cert),
	 .required = true, .help = "PEM file with the client certificate, then its chain if any"},
	{CH_SECTION_CREDENTIALS, "tls-key", CH_OPTION_PATH, OF(credential, tls_key),
	 .required = true, .help = "PEM file with the private key, readable by the daemon only"},
	{CH_SECTION_CREDENTIALS, "next-tls-cert", CH_OPTION_PATH, OF(credential, next_tls_cert),
	 .help = "roll-over: the certificate that takes the place of tls-cert. As long as both are "
		 "there a device gets the one that is valid and that it accepts"},
	{CH_SECTION_CREDENTIALS, "next-tls-key", CH_OPTION_PATH, OF(credential, next_tls_key),
	 .help = "PEM file with the private key of next-tls-cert"},

	{CH_SECTION_PROFILES, "name", CH_OPTION_NAME, OF(profile, name), .required = true,
	 .help = "how the inventory calls the profile"},
	{CH_SECTION_PROFILES, "on-connect", CH_OPTION_FLAGS, OF(profile, on_connect),
	 .choices = on_connect,
	 .help = "requests to send on each new session, always in the order get-config "
		 "(the running configuration), subscribe (RFC 5277 notifications)"},
	{CH_SECTION_PROFILES, "subscribe-without-interleave", CH_OPTION_BOOL,
	 OF(profile, subscribe_without_interleave), .fallback = "false",
	 .help = "subscribe also where the device lacks :interleave; it takes no requests "
		 "afterwards"},
	{CH_SECTION_PROFILES, "probe-interval", CH_OPTION_DURATION, OF(profile, probe_interval_ns),
	 SECOND, 24 * HOUR, 1, .fallback = "0", .zero = "never",
	 .help = "how long a session may be silent before the device is asked whether it lives"},

	{CH_SECTION_DEVICES, "file", CH_OPTION_PATH, IN(devices_file), .required = true,
	 .help = "CSV file: manufacturer,identifier,name,credential,profile"},
	{CH_SECTION_DEVICES, "database", CH_OPTION_PATH, IN(devices_database), .restart = true,
	 .help = "SQLite file with the devices that were accepted or imported, made if missing; "
		 "the "
		 "inventory is what it and the CSV file hold together; without it the inventory "
		 "cannot be changed while the daemon runs"},
	{CH_SECTION_DEVICES, "unknown", CH_OPTION_CHOICE, IN(unknown), .choices = unknown,
	 .fallback = "reject",
	 .help = "a device with a good certificate that the inventory does not list: reject it, or "
		 "quarantine it (refused too, but remembered and reported once its key is proven)"},

	{CH_SECTION_KEEPALIVES, "peer-allowed-to-send", CH_OPTION_BOOL, IN(peer_allowed_to_send),
	 .fallback = "true",
	 .help = "let devices test by heartbeat whether the collector lives. RFC 8071 demands it: "
		 "false is for networks whose middleboxes drop a ClientHello with this extension, "
		 "and warns at the start"},
	{CH_SECTION_ALIVENESS, "max-wait", CH_OPTION_DURATION, IN(heartbeat_max_wait_ns), SECOND,
	 24 * HOUR, 1, .fallback = "30s", .zero = "never",
	 .help = "silence before the device is asked, and time for each answer"},
	{CH_SECTION_ALIVENESS, "max-attempts", CH_OPTION_UINT, IN(heartbeat_max_attempts), 1, 255,
	 .fallback = "3", .help = "questions without an answer that end the session"},
	{CH_SECTION_GUARD, "mode", CH_OPTION_CHOICE, IN(guard.mode), .choices = gate_modes,
	 .fallback = "auto", .restart = true,
	 .help = "where sources are judged: auto (in the kernel where it may load eBPF, and at "
		 "accept), "
		 "require (as auto, but no start without the kernel), userspace (at accept only), "
		 "off; "
		 "a change takes effect with a restart"},
	{CH_SECTION_GUARD, "early", CH_OPTION_CHOICE, IN(guard.early), .choices = early_stages,
	 .fallback = "off", .restart = true,
	 .help = "judge SYNs on the interfaces too, before the kernel has spent anything on them: "
		 "off, xdp "
		 "(in the driver, or behind it where the driver cannot), xdp-generic (behind the "
		 "driver); "
		 "takes CAP_NET_ADMIN beside CAP_BPF; a change takes effect with a restart"},
	{CH_SECTION_GUARD, "interface", CH_OPTION_INTERFACES, IN(guard.interfaces), .restart = true,
	 .help = "of the early stage: eth0, or up to eight such as eth0,eth1; a change takes "
		 "effect with a "
		 "restart"},
	{CH_SECTION_GUARD, "dry-run", CH_OPTION_BOOL, IN(guard.dry_run), .fallback = "false",
	 .help = "count and log what would be refused, but refuse nobody"},
	{CH_SECTION_GUARD, "source-rate", CH_OPTION_UINT, IN(guard.source_rate), 1, 1000000,
	 .fallback = "20", .zero = "no limit",
	 .help = "connections per second of a source that had no good session yet"},
	{CH_SECTION_GUARD, "source-burst", CH_OPTION_UINT, IN(guard.source_burst), 1, 1000000,
	 .fallback = "50", .help = "how many of them at once"},
	{CH_SECTION_GUARD, "known-rate", CH_OPTION_UINT, IN(guard.known_rate), 1, 1000000,
	 .fallback = "200", .zero = "no limit",
	 .help = "connections per second of a source that had good sessions: many may be behind "
		 "one NAT"},
	{CH_SECTION_GUARD, "known-burst", CH_OPTION_UINT, IN(guard.known_burst), 1, 1000000,
	 .fallback = "1000", .help = "how many of them at once"},
	{CH_SECTION_GUARD, "source-logins", CH_OPTION_UINT, IN(guard.source_logins), 1, 1048576,
	 .fallback = "64", .zero = "any number",
	 .help = "connections of a source that log in at a time"},
	{CH_SECTION_GUARD, "known-logins", CH_OPTION_UINT, IN(guard.known_logins), 1, 1048576,
	 .fallback = "512", .zero = "any number", .help = "the same of a known source"},
	{CH_SECTION_GUARD, "known-time", CH_OPTION_DURATION, IN(guard.known_time_ns), SECOND,
	 8760 * HOUR, 1, .fallback = "24h",
	 .help = "how long a source stays known after its last good session; as long it is not "
		 "banned "
		 "for failures: good devices would pay for a bad one behind the same NAT"},
	{CH_SECTION_GUARD, "known-share", CH_OPTION_UINT, IN(guard.known_share), 1, 95,
	 .fallback = "50", .zero = "none",
	 .help = "percent of limits.max-handshakes that only known sources may use"},
	{CH_SECTION_GUARD, "ban-after", CH_OPTION_UINT, IN(guard.ban_after), 1, 1000,
	 .fallback = "5", .zero = "no bans for failures",
	 .help = "failed logins, by the device's own fault, that ban their source"},
	{CH_SECTION_GUARD, "ban-window", CH_OPTION_DURATION, IN(guard.ban_window_ns), SECOND,
	 24 * HOUR, 1, .fallback = "60s", .help = "in which they must happen"},
	{CH_SECTION_GUARD, "ban-time", CH_OPTION_DURATION, IN(guard.ban_time_ns), SECOND,
	 8760 * HOUR, 1, .fallback = "300s",
	 .help = "of the first ban; every further one takes twice as long"},
	{CH_SECTION_GUARD, "ban-time-max", CH_OPTION_DURATION, IN(guard.ban_time_max_ns), SECOND,
	 8760 * HOUR, 1, .fallback = "1h", .help = "of the longest; raised to ban-time if shorter"},
	{CH_SECTION_GUARD, "v4-prefix", CH_OPTION_UINT, IN(guard.v4_prefix), 8, 32,
	 .fallback = "32", .restart = true,
	 .help = "bits of an IPv4 address that make a source; a change takes effect with a "
		 "restart"},
	{CH_SECTION_GUARD, "v6-prefix", CH_OPTION_UINT, IN(guard.v6_prefix), 16, 128,
	 .fallback = "64", .restart = true,
	 .help = "bits of an IPv6 address that make a source; a change takes effect with a "
		 "restart"},
	{CH_SECTION_GUARD, "max-sources", CH_OPTION_UINT, IN(guard.max_sources), 64, 16777216,
	 .fallback = "65536", .restart = true,
	 .help = "sources remembered, about 150 bytes each, and 80 more for a known one where the "
		 "guard works in the kernel; who was not seen for the longest time is forgotten; a "
		 "change takes effect with a restart"},
	{CH_SECTION_GUARD, "max-bans", CH_OPTION_UINT, IN(guard.max_bans), 16, 1048576,
	 .fallback = "16384", .restart = true,
	 .help = "bans at a time; one more ends the one that would end first; a change takes "
		 "effect "
		 "with a restart"},
	{CH_SECTION_GUARD, "bans-file", CH_OPTION_PATH, IN(guard.bans_file), .restart = true,
	 .help = "where bans outlive a restart; without it they end with the process; a change "
		 "takes "
		 "effect with a restart"},
	{CH_SECTION_GUARD, "known-file", CH_OPTION_PATH, IN(guard.known_file), .restart = true,
	 .help = "where known sources outlive a restart; without it beside bans-file, with .known "
		 "behind its name, if there is one; a change takes effect with a restart"},
	{CH_SECTION_GUARD, "bogons", CH_OPTION_CHOICE, IN(guard.bogons), .choices = bogons,
	 .fallback = "off",
	 .help = "drop: a built-in rule of this name drops SYNs from special-use addresses (RFC "
		 "6890), "
		 "such as 0.0.0.0/8, 192.0.2.0/24, 240.0.0.0/4 and 2001:db8::/32; not from "
		 "private, "
		 "shared and loopback ones. Rules with the same or longer prefixes go before it"},

	{CH_SECTION_RULES, "name", CH_OPTION_NAME, OF(rule, name), .required = true,
	 .help = "how counters and logs call the rule; its counters live on under this name"},
	{CH_SECTION_RULES, "action", CH_OPTION_CHOICE, OF(rule, action), .choices = gate_actions,
	 .fallback = "limit",
	 .help = "limit (the rule's rate, if it has one, and the bans and limits of sources: what "
		 "a rule of a wider prefix says does not hold), permit (no limit, no ban), "
		 "never-ban (limits, no ban), drop (the SYN, silently), reject (with a reset), "
		 "proxy (a load balancer: its connections begin with a PROXY header of version 2, "
		 "and the source in it is judged)"},
	{CH_SECTION_RULES, "prefix", CH_OPTION_PREFIX, OF(rule, prefix),
	 .help = "192.0.2.0/24 or 2001:db8::/32"},
	{CH_SECTION_RULES, "file", CH_OPTION_PATH, OF(rule, file),
	 .help = "of prefixes, one a line, # begins a comment; beside or instead of prefix"},
	{CH_SECTION_RULES, "rate", CH_OPTION_UINT, OF(rule, rate), 1, 1000000, .fallback = "0",
	 .zero = "no limit of its own",
	 .help = "connections per second of all sources of the rule together"},
	{CH_SECTION_RULES, "burst", CH_OPTION_UINT, OF(rule, burst), 1, 1000000, .fallback = "50",
	 .help = "how many of them at once"},
	{CH_SECTION_RULES, "log", CH_OPTION_UINT, OF(rule, log_one_in), 1, 1000000000,
	 .fallback = "0", .zero = "none", .help = "a log line for one in so many hits"},

	{CH_SECTION_CONTROL, "socket", CH_OPTION_PATH, IN(control_socket),
	 .fallback = "/run/callhome/callhomed.sock",
	 .help = "path of the control socket, at most 107 bytes"},

	{CH_SECTION_SPOOL, "directory", CH_OPTION_PATH, IN(spool_directory), .required = true,
	 .help = "directory of the spool files, made if missing"},
	{CH_SECTION_SPOOL, "max-bytes", CH_OPTION_SIZE, IN(spool_max_bytes), MIB, 1024 * 1024 * GIB,
	 .fallback = "1GiB", .help = "of all spool files together; the oldest are removed first"},
	{CH_SECTION_SPOOL, "file-bytes", CH_OPTION_SIZE, IN(spool_file_bytes), 64 * KIB, 64 * GIB,
	 .fallback = "64MiB",
	 .help = "size at which a file is rotated; no more than an eighth of max-bytes, which "
		 "lowers "
		 "the default too"},

	{CH_SECTION_LIMITS, "threads", CH_OPTION_UINT, IN(threads), 1, 128, .fallback = "0",
	 .zero = "one per core that callhomed may use, and more where max-sessions needs more file "
		 "slots",
	 .help = "threads that serve devices"},
	{CH_SECTION_LIMITS, "max-sessions", CH_OPTION_UINT, IN(max_sessions), 1, 16777216,
	 .fallback = "16384", .help = "connections in any state; more are reset and counted"},
	{CH_SECTION_LIMITS, "max-handshakes", CH_OPTION_UINT, IN(max_handshakes), 1, 1048576,
	 .fallback = "1024",
	 .help = "connections that are logging in; no more than max-sessions, which lowers the "
		 "default "
		 "too"},
	{CH_SECTION_LIMITS, "login-timeout", CH_OPTION_DURATION, IN(login_timeout_ns), 100 * MS,
	 HOUR / 6, 1, .fallback = "10s", .help = "from accept to the NETCONF hello of the device"},
	{CH_SECTION_LIMITS, "first-byte-timeout", CH_OPTION_DURATION, IN(first_byte_timeout_ns),
	 100 * MS, HOUR / 6, 1, .fallback = "0", .zero = "half of login-timeout",
	 .help = "from our ClientHello to the first byte of the device"},
	{CH_SECTION_LIMITS, "handshake-timeout", CH_OPTION_DURATION, IN(handshake_timeout_ns),
	 100 * MS, HOUR / 6, 1, .fallback = "0", .zero = "what is left of login-timeout",
	 .help = "from our ClientHello to the end of the TLS handshake"},
	{CH_SECTION_LIMITS, "hello-timeout", CH_OPTION_DURATION, IN(hello_timeout_ns), 100 * MS,
	 HOUR / 6, 1, .fallback = "0", .zero = "what is left of login-timeout",
	 .help = "from the end of the TLS handshake to the NETCONF hello of the device"},
	{CH_SECTION_LIMITS, "max-message", CH_OPTION_SIZE, IN(max_message), KIB, GIB,
	 .fallback = "16MiB",
	 .help = "of one NETCONF message, a longer one ends the session; no more than byte-budget, "
		 "which lowers the default too"},
	{CH_SECTION_LIMITS, "max-chunks", CH_OPTION_UINT, IN(max_chunks), 1, UINT32_MAX,
	 .fallback = "1048576", .help = "chunks of one NETCONF message (RFC 6242 framing)"},
	{CH_SECTION_LIMITS, "max-depth", CH_OPTION_UINT, IN(max_depth), 8, 1024, .fallback = "128",
	 .help = "nesting of XML elements"},
	{CH_SECTION_LIMITS, "max-send-queue", CH_OPTION_SIZE, IN(max_send_queue), 64 * KIB, GIB,
	 .fallback = "2MiB", .help = "waiting to be sent to one device"},
	{CH_SECTION_LIMITS, "session-rate", CH_OPTION_SIZE, IN(session_rate), 64 * KIB, 1024 * GIB,
	 .fallback = "2MiB", .zero = "any",
	 .help = "per second that one device may send; what is more waits at the device"},
	{CH_SECTION_LIMITS, "byte-budget", CH_OPTION_SIZE, IN(byte_budget), MIB, 1024 * 1024 * GIB,
	 .fallback = "0", .zero = "an eighth of the machine's memory",
	 .help = "held for all devices together"},
	{CH_SECTION_LIMITS, "rpc-timeout", CH_OPTION_DURATION, IN(rpc_timeout_ns), 100 * MS,
	 24 * HOUR, 1, .fallback = "60s", .help = "for the reply to a request"},
	{CH_SECTION_LIMITS, "shutdown-timeout", CH_OPTION_DURATION, IN(shutdown_timeout_ns),
	 100 * MS, HOUR, 1, .fallback = "10s", .help = "for closing all sessions at the end"},
	{CH_SECTION_LIMITS, "keepalive-idle", CH_OPTION_DURATION, IN(keepalive_idle_s), SECOND,
	 32767 * SECOND, SECOND, .fallback = "60s", .zero = "as the system has it",
	 .help = "silence before TCP asks whether the peer lives"},
	{CH_SECTION_LIMITS, "keepalive-interval", CH_OPTION_DURATION, IN(keepalive_interval_s),
	 SECOND, 32767 * SECOND, SECOND, .fallback = "15s", .zero = "as the system has it",
	 .help = "between two such questions"},
	{CH_SECTION_LIMITS, "keepalive-count", CH_OPTION_UINT, IN(keepalive_count), 1, 127,
	 .fallback = "4", .zero = "as the system has it",
	 .help = "questions without an answer after which the connection is dead"},
	{CH_SECTION_LIMITS, "user-timeout", CH_OPTION_DURATION, IN(user_timeout_ms), SECOND,
	 24 * HOUR, MS, .fallback = "120s", .zero = "as the system has it",
	 .help = "how long sent bytes may stay unacknowledged"},
	{CH_SECTION_LIMITS, "backlog", CH_OPTION_UINT, IN(backlog), 1, 65535, .fallback = "4096",
	 .help = "connections waiting to be accepted, per listener and thread; a small one loses "
		 "silent TLS devices under SYN cookies"},
	{CH_SECTION_LIMITS, "receive-buffers", CH_OPTION_POWER, IN(receive_buffers), 16, 32768,
	 .fallback = "1024", .help = "per thread, of 16 KiB each; a power of two"},
	{CH_SECTION_LIMITS, "quarantine-max", CH_OPTION_UINT, IN(quarantine_max), 1, 1048576,
	 .fallback = "1024", .help = "unknown devices remembered; the oldest is forgotten first"},

	{CH_SECTION_LOG, "level", CH_OPTION_CHOICE, IN(log_level), .choices = levels,
	 .fallback = "info", .help = "the least important kind of line that is written"},
};

const size_t ch_option_count = sizeof(ch_options) / sizeof(ch_options[0]);

const struct ch_option *ch_option_find(enum ch_section_id section, const char *key)
{
	for (size_t i = 0; i < ch_option_count; i++) {
		if (ch_options[i].section == section && strcmp(ch_options[i].key, key) == 0)
			return &ch_options[i];
	}
	return NULL;
}

enum ch_section_id ch_section_find(enum ch_section_id parent, const char *key)
{
	for (int s = CH_SECTION_ROOT + 1; s < CH_SECTION_COUNT; s++) {
		if (ch_sections[s].parent == parent && strcmp(ch_sections[s].key, key) == 0)
			return (enum ch_section_id)s;
	}
	return CH_SECTION_ROOT;
}

const char *ch_option_path(const struct ch_option *option, char path[64])
{
	const char *section = ch_sections[option->section].path;

	snprintf(path, 64, "%s%s%s", section, section[0] != '\0' ? "." : "", option->key);
	return path;
}

const char *ch_option_example(const struct ch_option *option)
{
	switch (option->type) {
	case CH_OPTION_NAME:
		return "NAME";
	case CH_OPTION_PATH:
		return "PATH";
	case CH_OPTION_PREFIX:
		return "192.0.2.0/24";
	case CH_OPTION_INTERFACES:
		return "eth0";
	case CH_OPTION_ADDRESS:
		return "ADDRESS:PORT";
	case CH_OPTION_BOOL:
		return "true";
	case CH_OPTION_FLAGS:
		return "[...]";
	case CH_OPTION_CHOICE:
		return option->choices[0].name;
	case CH_OPTION_UINT:
	case CH_OPTION_POWER:
	case CH_OPTION_SIZE:
	case CH_OPTION_DURATION:
		return option->fallback;
	}
	return "VALUE";
}
