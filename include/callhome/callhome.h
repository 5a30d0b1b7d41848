/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * libcallhome: a NETCONF call home collector (RFC 8071) to embed. `callhomed` is written on it.
 *
 * Life: ch_collector_new -> ch_collector_start -> (calls from any thread) -> ch_collector_stop ->
 * ch_collector_free. Handles are opaque; there are no globals. Callbacks run on the library's
 * threads, must not block and must not call back into ch_collector_stop or _free.
 */
#include <callhome/error.h>
#include <callhome/event.h>
#include <callhome/guard.h>
#include <callhome/reason.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ch_collector;

/** Receives log lines; any thread. @level: 0 error, 1 warning, 2 info, 3 debug. */
typedef void (*ch_log_fn)(void *ctx, int level, const char *line);

/**
 * Reads and checks @config_file, its certificates and its inventory; opens nothing.
 * @param error  receives a malloc'ed text (file:line:column, what, how to mend it) on CH_E_CONFIG;
 *               the caller frees it
 * @return 0, CH_E_CONFIG, -ENOMEM
 */
CH_NODISCARD int ch_collector_new(const char *config_file, ch_log_fn log, void *log_ctx,
				  struct ch_collector **collector, char **error);

/**
 * Has ch_collector_start call @fn once, on the caller's thread: ports are bound and the guard is in
 * the kernel, but spool, database and control socket are not open and no thread exists that would
 * keep what the caller's gives up. An error of @fn ends the start. Before the start.
 */
void ch_collector_on_prepared(struct ch_collector *collector, int (*fn)(void *ctx), void *ctx);

/**
 * Opens listeners, spool and threads. All listeners are open when it returns.
 * @param error  as above, on any failure
 * @return 0; CH_E_UNSUPPORTED: io_uring is refused; -EADDRINUSE; or another negated errno
 */
CH_NODISCARD int ch_collector_start(struct ch_collector *collector, char **error);

/**
 * Graceful end: no new connections, close-session to every device, paced, within the configured
 * shutdown timeout; then the last lines go to the spool. Blocks. ch_collector_abort makes it hurry.
 * Views and counters stay readable until ch_collector_free.
 */
void ch_collector_stop(struct ch_collector *collector);

/** Makes a running ch_collector_stop end at once. Async-signal-safe. */
void ch_collector_abort(struct ch_collector *collector);

/** Writes and syncs what the spool still holds, then frees everything. NULL is fine. */
void ch_collector_free(struct ch_collector *collector);

enum ch_device_state {
	CH_DEVICE_NEVER,
	CH_DEVICE_CONNECTING,
	CH_DEVICE_CONNECTED,
	CH_DEVICE_DISCONNECTED,
	CH_DEVICE_REFUSED,
};

/** "never", "connecting", "connected", "disconnected", "refused". */
const char *ch_device_state_name(enum ch_device_state state);

/** A consistent copy of what is known about one device. Static strings where pointers. */
struct ch_device_view {
	char name[256];
	char identifier[256];
	char manufacturer[64]; /**< "pin" for a pinned key */
	char profile[64];
	enum ch_device_state state;
	char peer[64];		   /**< address and port, "" if never seen */
	const char *via;	   /**< the load balancer that brought it; "" = none, as far as known */
	const char *transport;	   /**< "netconf-tls" */
	const char *tls_version;   /**< "TLSv1.3", "" before the first session */
	const char *cipher;
	const char *record_layer;  /**< "user", "kernel", "kernel-rx", "kernel-tx", "" before */
	const char *record_layer_why; /**< why not (all) in the kernel; "" = it is */
	const char *heartbeat; /**< "none", "peer-allowed-to-send", "peer-not-allowed-to-send", ""
				  before */
	const char *group;	   /**< of the key exchange: "X25519"; "" before */
	const char *signature;	   /**< of the device's proof of its key: "ecdsa-sha256" */
	bool extended_master_secret; /**< RFC 7627; TLS 1.3 always has what it is for */
	const char *client_certificate; /**< of the collector: "current", "next" (roll-over), "" */
	bool has_certificate;	   /**< the next three are known */
	uint8_t cert_sha256[32];   /**< of the device's certificate */
	uint64_t not_after;	   /**< when it ends: seconds since 1970 */
	/** Subjects of its issuer and those above, the anchor last; of a chain of more than four
	    the middle is left out. None for a pin. */
	char issuers[4][96];
	uint32_t issuer_count;
	uint8_t anchor_sha256[32]; /**< where there are issuers */
	uint64_t since_unix_ns;	   /**< when @state began; 0 = never */
	enum ch_reason reason;	   /**< why the last session ended or was refused */
	uint32_t session_id;	   /**< of the device's hello */
	uint32_t capabilities;	   /**< CH_CAP_* bits of user/proto/hello.h */
	uint32_t worker;
	uint64_t login_us;	   /**< accept to hello done, of the present or last session */
	uint64_t sessions;	   /**< sessions since start */
	uint64_t notifications;
	uint64_t replies;
	uint64_t received_bytes;
	uint64_t sent_bytes;
};

/** One more than the highest index of a device: indexes of removed devices are counted. */
uint32_t ch_collector_device_count(const struct ch_collector *collector);
/** @return 0, or CH_E_UNKNOWN: no device has this index (any more). Any thread. */
CH_NODISCARD int ch_collector_device(const struct ch_collector *collector, uint32_t index,
				     struct ch_device_view *view);
#define CH_IDENTITIES_MAX 16 /**< of one device */
struct ch_identity_view {
	char manufacturer[64]; /**< "pin:sha256" and "pin-cert:sha256" for pins */
	char identifier[256];
	bool database; /**< enrolled or imported; else it is from the file */
	bool used;     /**< the present or last session is by this one */
};
/** Copies the identities of a device, at most @most. @return how many; 0: no such device */
size_t ch_collector_identities(const struct ch_collector *collector, uint32_t index, size_t most,
			       struct ch_identity_view *views);
/** @return 0 and the @index, or CH_E_UNKNOWN. Any thread. */
CH_NODISCARD int ch_collector_find(const struct ch_collector *collector, const char *name,
				   uint32_t *index);

/** Sums over all threads. */
struct ch_collector_view {
	uint64_t started_unix_ns;
	uint32_t threads;
	uint32_t devices;
	uint64_t byte_budget, byte_budget_used;
	uint64_t max_sessions, max_handshakes;
	uint64_t spool_written[3]; /**< lines on disk: events, notifications, replies */
	uint64_t spool_dropped;
	uint64_t spool_errors;
	uint64_t login_p50_us, login_p99_us; /**< over all logins since start */
	uint64_t quarantined;		     /**< unknown devices remembered */
	uint64_t generation;		     /**< of what devices are judged by; 1 = of the start */
	uint64_t loaded_unix_ns;	     /**< when it was loaded */
	uint64_t reload_failed_unix_ns;	     /**< 0 = the last reload did not fail */
	char reload_error[512];		     /**< why it did */
	bool crl;			     /**< revocation lists are configured */
	uint32_t crl_lists;		     /**< revocation lists in use */
	uint32_t crl_pending; /**< of them not verified: no chain with their issuer was seen */
	uint32_t crl_stale;   /**< behind their nextUpdate */
	uint32_t crl_refused; /**< files or lists that cannot be used */
	uint32_t crl_kept;    /**< lists that stay although their file is not good any more */
	uint64_t crl_entries; /**< revoked certificates in them */
	uint64_t crl_bytes;   /**< of memory for them */
	uint64_t crl_build_ns;		/**< CPU time that reading them took */
	uint64_t crl_loaded_unix_ns;	/**< when they were read */
	uint64_t crl_oldest_unix_ns;	/**< thisUpdate of the oldest one in use; 0 = none */
	uint64_t crl_next_stale_unix_ns; /**< nextUpdate that comes first; 0 = none */
	const char *record_layer; /**< what new sessions get, in words */
	/** Whole days until the first client certificate and the first anchor end; negative: it
	    ended; INT64_MAX: there is none. */
	int64_t credential_days, anchor_days;
	char capabilities[128];	/**< of the thread that asks: "none", or names with commas between */
	bool no_new_privileges;
};
void ch_collector_view(const struct ch_collector *collector, struct ch_collector_view *view);

/** Calls @fn for every counter (name, help, value): the sums over all threads, and "reason.NAME" for each reason. */
void ch_collector_counters(const struct ch_collector *collector,
			   void (*fn)(void *ctx, const char *name, const char *help, bool gauge,
				      uint64_t value),
			   void *ctx);

/** An unknown device whose key was proven (devices.unknown: quarantine): one per key and identity.
 */
struct ch_quarantine_view {
	uint8_t cert_sha256[32];
	uint8_t spki_sha256[32];
	char manufacturer[64];
	char identifier[256];
	char peer[64];
	uint64_t first_unix_ns, last_unix_ns;
	uint64_t count;
	bool rejected; /**< an operator rejected the key; else it waits for one */
};
/** Copies at most @most records from @first on. @return how many. Any thread. */
size_t ch_collector_quarantine(const struct ch_collector *collector, size_t first, size_t most,
			       struct ch_quarantine_view *views);

/** A change of the inventory's database (devices.database in the configuration). */
enum ch_change_kind {
	/** Each line of @csv becomes an identity; its device is made, or gets these values. */
	CH_CHANGE_IMPORT,
	CH_CHANGE_PUT,	  /**< @csv becomes all that the database has of device @name */
	CH_CHANGE_REMOVE, /**< device @name leaves the database */
	CH_CHANGE_ACCEPT, /**< a quarantined key becomes an identity of device @name */
	CH_CHANGE_REJECT, /**< a quarantined key is refused without further events */
};

struct ch_change {
	enum ch_change_kind kind;
	const char *name;
	const char *credential;	 /**< ACCEPT; NULL = the device's, or the only one there is */
	const char *profile;	 /**< ACCEPT; NULL = the device's, or the first */
	const char *csv;	 /**< lines as in the inventory's file */
	size_t csv_len;		 /**< bytes */
	const char *source;	 /**< how mistakes in @csv call it; NULL = "import" */
	uint8_t fingerprint[32]; /**< SHA-256 of the public key, or of the certificate */
};

/**
 * The end of a change, on the library's thread: copy and return. @error: 0; CH_E_CONFIG: it
 * contradicts the configuration or the inventory; CH_E_UNKNOWN: no such device or key; CH_E_STATE:
 * not possible for this device or key; -ECANCELED: the collector stops, and
 * the next start tells whether it was made; -ENOMEM. Otherwise nothing has changed. @text is a
 * sentence or several lines for people.
 */
typedef void (*ch_change_fn)(void *ctx, int error, const char *text);

/**
 * Changes the inventory, all or nothing. It is on the disk and in force when @fn is called with 0.
 * @return 0: @fn will be called once; CH_E_UNSUPPORTED: there is no devices.database; CH_E_FULL:
 * too many changes wait; CH_E_STATE: not started, or stopping; -ENOMEM. Any thread.
 */
CH_NODISCARD int ch_collector_change(struct ch_collector *collector, const struct ch_change *change,
				     ch_change_fn fn, void *ctx);

/**
 * The whole inventory, file and database, as CSV with a header. @csv is malloc'ed.
 * @return 0 or -ENOMEM. Any thread.
 */
CH_NODISCARD int ch_collector_export(const struct ch_collector *collector, char **csv, size_t *len);

/**
 * The reply of a device, in pieces as it comes. The last call has done == true with @status: 0;
 * CH_E_NOT_CONNECTED (gone meanwhile); CH_E_TIMEOUT; CH_E_LIMIT. Runs on a worker thread: copy and
 * return. After done the library forgets @ctx.
 */
typedef void (*ch_reply_fn)(void *ctx, const uint8_t *data, size_t len, bool done, int status);

/**
 * Sends @operation (the XML inside <rpc>, copied) to a device.
 * @return 0: @fn will be called to the end exactly once; CH_E_UNKNOWN; CH_E_NOT_CONNECTED; CH_E_FULL
 * (the thread's queue is full: try again); -ENOMEM. Then @fn is never called. Any thread.
 */
CH_NODISCARD int ch_collector_rpc(struct ch_collector *collector, const char *device,
				  const char *operation, size_t len, uint64_t timeout_ns,
				  ch_reply_fn fn, void *ctx);

/** Ends the session of a device (it may call again). @return 0, CH_E_UNKNOWN, CH_E_NOT_CONNECTED, CH_E_FULL. Any thread. */
CH_NODISCARD int ch_collector_kill(struct ch_collector *collector, const char *device);

/** What a reload reads. */
enum ch_reload_kind {
	CH_RELOAD_REVOCATION, /**< the revocation lists only */
	CH_RELOAD_DEVICES,    /**< the inventory's database only */
	CH_RELOAD_ALL,	      /**< everything: also trust, credentials, profiles */
};

struct ch_reload_result {
	int error;	     /**< 0; CH_E_CONFIG or -ENOMEM: everything is as it was; CH_E_STATE */
	uint64_t generation; /**< that now runs; 0 = failed */
	uint32_t devices;    /**< in the inventory */
	uint32_t added, removed, changed; /**< devices, against the generation before */
	const char *text; /**< what is wrong, or lines of warnings (keys that need a restart); "" */
};

/** The end of a reload. On the library's thread: copy and return. */
typedef void (*ch_reload_fn)(void *ctx, const struct ch_reload_result *result);

/**
 * Reads the files anew, checks them, and lets every thread judge by them: new logins and, one by
 * one, the sessions that are up. None is dropped but those whose device was removed or whose trust
 * was withdrawn. With any mistake everything stays as it is.
 * @return 0: @fn (may be NULL) will be called once; CH_E_STATE (not started, or stopping); -ENOMEM
 */
CH_NODISCARD int ch_collector_reload_start(struct ch_collector *collector, enum ch_reload_kind kind,
					   ch_reload_fn fn, void *ctx);

/**
 * As ch_collector_reload_start, and waits for the end. @text (may be NULL) receives the malloc'ed
 * text of the result, or NULL. Not from a callback. @return the error of the result, or as above
 */
CH_NODISCARD int ch_collector_reload(struct ch_collector *collector, enum ch_reload_kind kind,
				     char **text);

/** Path of the control socket in the configuration. Lives as long as @collector. */
const char *ch_collector_control_socket(const struct ch_collector *collector);

/** Writes the addresses that are listened on now, with commas between; cut at @size. "" before start. */
void ch_collector_listening(const struct ch_collector *collector, char *text, size_t size);

/** "callhome 0.1.0". */
const char *ch_version(void);
