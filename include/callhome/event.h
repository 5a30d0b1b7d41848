/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
#include <callhome/reason.h>

/*
 * The event vocabulary: one name set for the spool, the control API and the logs.
 * X(symbol, name)
 */
#define CH_EVENTS(X)                                                                               \
	X(STARTED, "collector-started")                                                            \
	X(STOPPED, "collector-stopped")                                                            \
	X(RELOADED, "reloaded")                                                                    \
	X(RELOAD_FAILED, "reload-failed")                                                          \
	X(CONNECTED, "device-connected")                                                           \
	X(DISCONNECTED, "device-disconnected")                                                     \
	X(UNKNOWN_DEVICE, "unknown-device")                                                        \
	X(AUTH_FAILED, "auth-failed")                                                              \
	X(NOT_ALLOWED, "not-allowed")                                                              \
	X(BANNED, "source-banned")                                                                 \
	X(UNBANNED, "source-unbanned")                                                             \
	X(CONNECTION_REFUSED, "connection-refused")                                                \
	X(CONNECTION_FAILED, "connection-failed")                                                  \
	X(IDENTITY_CONFLICT, "identity-conflict")                                                  \
	X(CREDENTIAL_EXPIRING, "credential-expiring")                                              \
	X(ANCHOR_EXPIRING, "anchor-expiring")                                                      \
	X(RPC_FAILED, "rpc-failed")                                                                \
	X(NOTIFICATION, "notification")                                                            \
	X(REPLY, "reply")

enum ch_event_kind {
#define X(sym, name) CH_EVENT_##sym,
	CH_EVENTS(X)
#undef X
	CH_EVENT_COUNT
};

/** The name that the spool and the API show. Never NULL. */
const char *ch_event_name(enum ch_event_kind kind);

/** The event that is published when a connection ends with @reason. */
enum ch_event_kind ch_reason_event(enum ch_reason reason);
