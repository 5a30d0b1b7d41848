/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The configuration file as plain values: YAML through libcyaml with every scalar read as a string,
 * then through one table of options (config_option.c) that yields parser, defaults, limits, help and
 * docs. Relative paths are relative to the file. Immutable after load.
 */
#include "kernel/layer.h"
#include "user/core/address.h"
#include "user/core/buf.h"
#include "user/core/log.h"
#include "user/guard/gate.h"
#include "user/tls/trust.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum ch_transport { CH_TRANSPORT_NETCONF_TLS };

struct ch_config_listener {
	char *name;
	struct ch_address address;
	enum ch_transport transport;
	bool optional; /**< a default listener: no IPv6 here is a warning, not an error */
	uint32_t line, column; /**< where the file has it; 0 = a default */
};

struct ch_config_manufacturer {
	char *name;
	char *ca; /**< path, resolved */
	enum ch_identifier_kind identifier;
	enum ch_revocation_mode revocation;
	enum ch_stale_policy stale_crl;
};

struct ch_config_credential {
	char *name;
	char *tls_cert; /**< path, resolved */
	char *tls_key;	/**< path, resolved */
	char *next_tls_cert; /**< roll-over: path, or NULL */
	char *next_tls_key;  /**< path; NULL with @next_tls_cert */
};

struct ch_config_certificate {
	const char *owner;  /**< name of the credential or manufacturer; the configuration's */
	const char *option; /**< "tls-cert", "next-tls-cert", or "ca": an anchor; static */
	bool anchor;
	struct ch_certificate_facts facts;
};

enum { CH_ON_CONNECT_GET_CONFIG = 1u << 0, CH_ON_CONNECT_SUBSCRIBE = 1u << 1 };

struct ch_config_profile {
	char *name;
	uint32_t on_connect;		   /**< CH_ON_CONNECT_* in the order get-config, subscribe */
	bool subscribe_without_interleave; /**< subscribe also where :interleave is missing (no rpc afterwards) */
	uint64_t probe_interval_ns;	   /**< NETCONF liveness probe on an idle session; 0 = off */
};

enum ch_unknown_policy { CH_UNKNOWN_REJECT, CH_UNKNOWN_QUARANTINE };

/** What TLS 1.2 must offer (RFC 7627). */
enum ch_master_secret_policy { CH_MASTER_SECRET_EXTENDED, CH_MASTER_SECRET_ANY };

/** A rule of the guard; @rate 0 = none. */
struct ch_config_rule {
	char *name;
	enum ch_gate_action action;
	char *prefix; /**< text, or NULL */
	char *file;   /**< path of a file of prefixes, resolved, or NULL */
	uint64_t rate, burst; /**< connections per second of all its sources together */
	uint64_t log_one_in;
};

/** Who may connect how often; numbers per source address unless they say otherwise. */
struct ch_config_guard {
	enum ch_gate_mode mode;
	enum ch_gate_early early;
	char *interfaces; /**< of the early stage, with commas between; NULL = none */
	bool dry_run;
	uint64_t source_rate, source_burst; /**< connections per second, at once */
	uint64_t known_rate, known_burst;   /**< of a source that logged in before */
	uint64_t source_logins, known_logins; /**< at a time; 0 = any number */
	uint64_t known_time_ns;
	uint64_t known_share; /**< percent of max-handshakes that others may not use */
	uint64_t ban_after;   /**< failures; 0 = never */
	uint64_t ban_window_ns, ban_time_ns, ban_time_max_ns;
	uint64_t v4_prefix, v6_prefix; /**< bits that make a source */
	uint64_t max_sources, max_bans;
	char *bans_file, *known_file; /**< paths, resolved; NULL = none */
	enum ch_gate_bogons bogons;
	struct ch_config_rule *rules;
	size_t rule_count;
};

struct ch_config {
	_Atomic uint32_t holders; /**< beside the one who loaded it */
	char *file;	 /**< as given */
	char *directory; /**< of the file */

	struct ch_config_listener *listeners;
	size_t listener_count;
	struct ch_config_manufacturer *manufacturers;
	size_t manufacturer_count;
	struct ch_config_credential *credentials;
	size_t credential_count;
	struct ch_config_profile *profiles;
	size_t profile_count;

	char *crl; /**< path of a file or directory, resolved; NULL = no revocation lists */
	uint64_t crl_refresh_ns; /**< between two looks at it, beside what the kernel tells */

	char *devices_file;
	char *devices_database; /**< NULL = none */
	enum ch_unknown_policy unknown;

	enum ch_layer_policy record_layer;
	enum ch_master_secret_policy master_secret; /**< extended-master-secret */

	/* keepalives of RFC 9645: */
	bool peer_allowed_to_send;	/**< offer TLS heartbeats (RFC 8071 C4) */
	uint64_t heartbeat_max_wait_ns; /**< silence before we ask by heartbeat; 0 = never */
	uint64_t heartbeat_max_attempts;

	struct ch_config_guard guard;

	char *control_socket; /**< path, resolved */
	char *spool_directory; /**< NULL = no spool */
	uint64_t spool_max_bytes;
	uint64_t spool_file_bytes; /**< rotation */

	/* limits: */
	uint64_t threads;	      /**< 0 = one per core of ours, more if max-sessions needs more */
	uint64_t max_sessions;	      /**< connections of any state */
	uint64_t max_handshakes;      /**< connections that are logging in */
	uint64_t login_timeout_ns;    /**< accept to hello done */
	/* and of its stages, each for itself; 0 = only the whole has a deadline: */
	uint64_t first_byte_timeout_ns;
	uint64_t handshake_timeout_ns;
	uint64_t hello_timeout_ns;
	uint64_t max_message;	      /**< bytes of one NETCONF message */
	uint64_t max_chunks;	      /**< chunks of one message */
	uint64_t max_depth;	      /**< XML nesting */
	uint64_t session_rate; /**< bytes per second of one device; 0 = any */
	uint64_t max_send_queue;      /**< bytes waiting to be sent to one device */
	uint64_t byte_budget;	      /**< bytes held for all peers together; 0 = a share of memory */
	uint64_t rpc_timeout_ns;
	uint64_t shutdown_timeout_ns; /**< graceful stop */
	uint64_t keepalive_idle_s;
	uint64_t keepalive_interval_s;
	uint64_t keepalive_count;
	uint64_t user_timeout_ms;
	uint64_t backlog;
	uint64_t receive_buffers;     /**< per thread, a power of two */
	uint64_t quarantine_max;      /**< unknown devices remembered */

	enum ch_log_level log_level;

	/** Client certificates and anchors that it names; filled by ch_config_load. */
	struct ch_config_certificate *certificates;
	size_t certificate_count;

	struct ch_buf warnings; /**< lines, each with its newline: usable, but not as it should be */
};

/**
 * Loads and checks a file: syntax, types, references, readable files (certificates and keys are
 * loaded once to prove it), limits.
 * @param error  what is wrong, where (file:line:column) and how to mend it; may be several lines
 * @return 0, CH_E_CONFIG with @error appended, or -ENOMEM
 */
CH_NODISCARD int ch_config_load(const char *file, struct ch_config **config, struct ch_buf *error);
/** One more ch_config_free until it goes. @return @config */
struct ch_config *ch_config_hold(struct ch_config *config);
/** NULL is fine. */
void ch_config_free(struct ch_config *config);

/** Loads what a credential of the file names. @return as ch_credential_load */
CH_NODISCARD int ch_config_load_credential(const struct ch_config_credential *from,
					   struct ch_credential **credential,
					   char error[CH_ERROR_TEXT]);

/** Writes each of the warnings as a log line. */
void ch_config_log_warnings(const struct ch_config *config, const struct ch_log *log);

/** Appends the option reference (key, type, default, range, help), for --help-config and the manual. */
CH_NODISCARD int ch_config_help(struct ch_buf *out);
