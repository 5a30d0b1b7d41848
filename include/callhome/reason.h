/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Why a connection was refused or a session ended: the one vocabulary of events, counters, logs,
 * the control API and the manual. Every connection that was accepted ends with exactly one reason.
 *
 * X(symbol, name, fault, event, text)
 *   fault  whose doing it is: only PEER may ever count against a source address
 *   event  what is published when a connection ends so (see enum ch_event_kind in event.h)
 */
#define CH_REASONS(X)                                                                              \
	/* before TLS */                                                                           \
	X(SESSION_LIMIT, "session-limit", LOCAL, CONNECTION_REFUSED,                               \
	  "max-sessions is reached; the connection was reset")                                     \
	X(HANDSHAKE_LIMIT, "handshake-limit", LOCAL, CONNECTION_REFUSED,                           \
	  "too many connections are logging in already; the connection was reset")                 \
	X(DENIED, "denied-by-rule", LOCAL, CONNECTION_REFUSED,                                     \
	  "a rule of the guard denies the source; the connection was reset")                       \
	X(BANNED, "banned", LOCAL, CONNECTION_REFUSED,                                             \
	  "the source is banned; the connection was reset")                                        \
	X(SOURCE_RATE, "source-rate-limit", LOCAL, CONNECTION_REFUSED,                             \
	  "the source connects more often than its limit allows; the connection was reset")        \
	X(SOURCE_LOGINS, "source-login-limit", LOCAL, CONNECTION_REFUSED,                          \
	  "too many connections of the source are logging in already; the connection was reset")   \
	X(PROXY_HEADER, "proxy-header", LOCAL, CONNECTION_FAILED,                                  \
	  "the load balancer of a proxy rule did not begin with a good PROXY header of version 2") \
	X(SILENT, "silent", PEER, CONNECTION_FAILED,                                               \
	  "the device sent nothing within first-byte-timeout")                                     \
	X(HANDSHAKE_TIMEOUT, "handshake-timeout", PEER, CONNECTION_FAILED,                         \
	  "the TLS handshake was not finished within handshake-timeout or login-timeout")          \
	X(CLOSED_IN_HANDSHAKE, "closed-in-handshake", NETWORK, CONNECTION_FAILED,                  \
	  "the device closed the connection before the TLS handshake was finished")                \
	X(NOT_TLS, "not-tls", PEER, CONNECTION_FAILED,                                             \
	  "the first bytes of the device are not a TLS record")                                    \
	/* TLS */                                                                                  \
	X(TLS_VERSION, "tls-version-too-old", PEER, AUTH_FAILED,                                   \
	  "the device offers nothing newer than TLS 1.1")                                          \
	X(TLS_CIPHER, "no-shared-cipher", PEER, AUTH_FAILED,                                       \
	  "the device accepts none of the AEAD suites with ECDHE (only CBC or RSA key exchange?)") \
	X(TLS_PROTOCOL, "tls-protocol-error", PEER, AUTH_FAILED,                                   \
	  "the device broke the TLS handshake protocol")                                           \
	X(TLS_ALERT, "alert-from-device", PEER, AUTH_FAILED,                                       \
	  "the device ended TLS with a fatal alert")                                               \
	X(CLIENT_CERT_REFUSED, "client-certificate-refused", NETWORK, AUTH_FAILED,                 \
	  "the device refused the client certificate that is bound to it")                         \
	X(NO_EMS, "no-extended-master-secret", PEER, AUTH_FAILED,                                  \
	  "the device speaks TLS 1.2 without the extended master secret (RFC 7627)")               \
	/* identity of the device (RFC 8071 C5-C7) */                                              \
	X(CHAIN_LIMIT, "chain-too-long", PEER, AUTH_FAILED,                                        \
	  "the certificate chain has too many certificates or bytes")                              \
	X(BAD_CERT, "bad-certificate", PEER, AUTH_FAILED,                                          \
	  "a certificate of the chain cannot be parsed, or its signature does not verify")         \
	X(SELF_SIGNED, "self-signed", PEER, AUTH_FAILED,                                           \
	  "the certificate is self-signed and not pinned")                                         \
	X(UNKNOWN_CA, "unknown-ca", PEER, AUTH_FAILED,                                             \
	  "the chain does not end at a configured manufacturer CA")                                \
	X(EXPIRED, "certificate-expired", PEER, AUTH_FAILED, "a certificate of the chain expired") \
	X(NOT_YET_VALID, "certificate-not-yet-valid", PEER, AUTH_FAILED,                           \
	  "a certificate of the chain is not valid yet")                                           \
	X(WRONG_USAGE, "wrong-certificate-usage", PEER, AUTH_FAILED,                               \
	  "the certificate is not allowed to identify a TLS server")                               \
	X(WEAK_KEY, "weak-key", PEER, AUTH_FAILED,                                                 \
	  "a key or signature of the chain is too weak")                                           \
	X(REVOKED, "revoked", PEER, AUTH_FAILED,                                                   \
	  "a certificate of the chain is revoked")                                                 \
	X(REVOCATION_UNKNOWN, "revocation-unknown", NETWORK, AUTH_FAILED,                            \
	  "no valid revocation list or staple tells of a certificate, and one is required")        \
	X(REVOCATION_STALE, "revocation-stale", NETWORK, AUTH_FAILED,                              \
	  "the revocation list or staple for a certificate is out of date")                        \
	X(BAD_STAPLE, "bad-ocsp-staple", PEER, AUTH_FAILED,                                        \
	  "the stapled OCSP response is malformed, of another certificate or wrongly signed")      \
	X(NO_IDENTIFIER, "no-identifier", PEER, NOT_ALLOWED,                                       \
	  "the certificate lacks the identifier field of its manufacturer")                        \
	X(WRONG_MANUFACTURER, "wrong-manufacturer", PEER, NOT_ALLOWED,                             \
	  "the identifier is known, but under another manufacturer")                               \
	X(UNKNOWN_DEVICE, "unknown-device", PEER, UNKNOWN_DEVICE,                                  \
	  "the certificate is good, but the device is not in the inventory")                       \
	X(REJECTED, "rejected", PEER, NOT_ALLOWED, "an operator rejected the key of the device")   \
	X(NO_POSSESSION, "possession-not-proven", PEER, AUTH_FAILED,                               \
	  "the device does not hold the key of its certificate")                                   \
	X(NO_CERT_REQUEST, "no-client-certificate-request", PEER, AUTH_FAILED,                     \
	  "the device did not ask for a client certificate")                                       \
	X(NO_CREDENTIAL, "no-credential", LOCAL, NOT_ALLOWED,                                      \
	  "no credential is bound to the device")                                                  \
	/* record layer after the handshake */                                                     \
	X(BAD_RECORD, "bad-record", PEER, DISCONNECTED,                                            \
	  "a TLS record was malformed or did not authenticate")                                    \
	X(TRUNCATED, "truncated", NETWORK, DISCONNECTED,                                           \
	  "the connection was closed without close_notify")                                        \
	X(CLOSED_BY_DEVICE, "closed-by-device", NETWORK, DISCONNECTED,                             \
	  "the device closed the session")                                                         \
	X(RESET, "connection-reset", NETWORK, DISCONNECTED, "the device reset the connection")     \
	X(UNREACHABLE, "unreachable", NETWORK, DISCONNECTED,                                       \
	  "the device stopped answering (TCP keepalive or user timeout)")                          \
	X(UNEXPECTED_RECORD, "unexpected-record", PEER, DISCONNECTED,                              \
	  "the device sent a TLS message that is not allowed after the handshake")                 \
	X(KEY_UPDATE, "key-update-unsupported", LOCAL, DISCONNECTED,                               \
	  "the device changed its TLS keys, which the record layer of this kernel cannot follow")  \
	X(RECORD_FLOOD, "record-flood", PEER, DISCONNECTED,                                        \
	  "too many TLS records without application data")                                         \
	/* NETCONF */                                                                              \
	X(HELLO_TIMEOUT, "hello-timeout", PEER, AUTH_FAILED,                                       \
	  "no NETCONF hello within hello-timeout or login-timeout")                                \
	X(BAD_HELLO, "bad-hello", PEER, AUTH_FAILED,                                               \
	  "the first NETCONF message is not a well-formed hello")                                  \
	X(NO_SESSION_ID, "no-session-id", PEER, AUTH_FAILED,                                       \
	  "the hello of the device lacks a session-id between 1 and 4294967295")                   \
	X(NO_COMMON_BASE, "no-common-base", PEER, AUTH_FAILED,                                     \
	  "the device offers neither base:1.0 nor base:1.1")                                       \
	X(FRAMING, "framing-error", PEER, DISCONNECTED, "the chunked framing is broken")           \
	X(MESSAGE_LIMIT, "message-too-large", PEER, DISCONNECTED,                                  \
	  "a message exceeds max-message, or has too many chunks")                                 \
	X(BAD_MESSAGE, "bad-message", PEER, DISCONNECTED,                                          \
	  "a message is neither an rpc-reply nor a notification, or nests too deeply")             \
	X(UNEXPECTED_REPLY, "unexpected-reply", PEER, DISCONNECTED,                                \
	  "the device answered a request that was never sent")                                     \
	X(BYTE_BUDGET, "byte-budget", PEER, DISCONNECTED,                                          \
	  "the session held the most memory when the byte budget was spent")                       \
	X(READER_STALLED, "reader-stalled", PEER, DISCONNECTED,                                    \
	  "the device does not read; the send queue is full")                                      \
	X(PROBE_TIMEOUT, "probe-timeout", NETWORK, DISCONNECTED,                                   \
	  "the device did not answer the NETCONF liveness probe")                                  \
	X(HEARTBEAT_TIMEOUT, "heartbeat-timeout", NETWORK, DISCONNECTED,                           \
	  "the device fell silent and did not answer TLS heartbeats (test-peer-aliveness)")        \
	/* ours */                                                                                 \
	X(SUPERSEDED, "superseded", NETWORK, DISCONNECTED,                                         \
	  "a newer session of the same device took over")                                          \
	X(DEVICE_REMOVED, "device-removed", LOCAL, DISCONNECTED,                                   \
	  "the device was removed from the inventory")                                             \
	X(TRUST_CHANGED, "trust-changed", LOCAL, DISCONNECTED,                                     \
	  "a reload withdrew the anchor or the identity by which the device had logged in")        \
	X(KILLED, "killed", LOCAL, DISCONNECTED, "an operator ended the session")                  \
	X(SHUTDOWN, "shutdown", LOCAL, DISCONNECTED, "the collector is stopping")                  \
	X(INTERNAL, "internal-error", LOCAL, DISCONNECTED,                                         \
	  "the collector could not go on (out of memory or descriptors)")

/** Whose doing the end of a connection is. */
enum ch_fault {
	CH_FAULT_PEER,	  /**< the device's: may count against its source address */
	CH_FAULT_NETWORK, /**< nobody's in particular: loss, restart, policy of the device */
	CH_FAULT_LOCAL,	  /**< ours or the operator's */
};

/** Reason codes; CH_REASON_NONE while a connection lives. */
enum ch_reason {
	CH_REASON_NONE,
#define X(sym, name, fault, event, text) CH_REASON_##sym,
	CH_REASONS(X)
#undef X
	CH_REASON_COUNT
};

/** The kebab-case name that events, API and logs show; "none" for CH_REASON_NONE. Never NULL. */
const char *ch_reason_name(enum ch_reason reason);

/** One sentence for people. Never NULL. */
const char *ch_reason_text(enum ch_reason reason);

/** Whose doing @reason is. */
enum ch_fault ch_reason_fault(enum ch_reason reason);

/** The reason of that name, or CH_REASON_NONE. */
enum ch_reason ch_reason_from_name(const char *name);
