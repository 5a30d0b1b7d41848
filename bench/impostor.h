/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Hostile devices: each kind is a row of one table, with the one reason a collector must give for
 * ending it. A kind is an ordinary device that differs in its certificate, in its TLS settings, and
 * in what it does at one of four moments.
 */
#include <callhome/reason.h>
#include "pki.h"

#include <stdbool.h>
#include <stddef.h>

/** TLS settings of a simulated device. */
enum sim_tls {
	SIM_TLS_MIX, /**< TLS 1.3 and 1.2 */
	SIM_TLS_ONLY_1_2,
	SIM_TLS_ONLY_1_3,
	SIM_TLS_NO_CERT_REQUEST,
	SIM_TLS_WEAK_KEY, /**< lets a device show an RSA-1024 key */
	SIM_TLS_ONLY_1_1,
	SIM_TLS_CBC,
	SIM_TLS_RSA_KX,
	SIM_TLS_OTHER_CLIENT_CA,
	SIM_TLS_NO_EMS, /**< TLS 1.2 without extended master secret */
	SIM_TLS_HEARTBEAT_MODE, /**< one that RFC 6520 does not know */
	SIM_TLS_STAPLE_REVOKED,
	SIM_TLS_STAPLE_UNKNOWN,
	SIM_TLS_STAPLE_STALE,
	SIM_TLS_STAPLE_FORGED,
	SIM_TLS_COUNT
};

/** What it does once TCP is up, instead of TLS. */
enum sim_opening {
	SIM_OPENING_TLS,
	SIM_OPENING_SILENT,
	SIM_OPENING_GARBAGE,
	SIM_OPENING_PARTIAL_RECORD,
	SIM_OPENING_CLOSE,
	SIM_OPENING_ALERT,
	SIM_OPENING_BROKEN_HANDSHAKE,
	SIM_OPENING_HALF_HELLO,
};

/** Where it ends its connection with a RST; attacks only. */
enum sim_abort {
	SIM_ABORT_NEVER,
	SIM_ABORT_CONNECTED,	/**< as soon as TCP is up */
	SIM_ABORT_CLIENT_HELLO, /**< when the ClientHello has come */
	SIM_ABORT_HALF_FLIGHT,	/**< behind the first half of its answer */
	SIM_ABORT_FLIGHT,	/**< behind its answer */
	SIM_ABORT_TLS_DONE,	/**< when TLS is up, before its hello */
};

/** What it sends as its hello. */
enum sim_hello {
	SIM_HELLO_GOOD,
	SIM_HELLO_NONE,
	SIM_HELLO_BAD,
	SIM_HELLO_NO_SESSION_ID,
	SIM_HELLO_NO_BASE,
};

/** What it does when the hellos were exchanged. */
enum sim_act {
	SIM_ACT_NONE,
	SIM_ACT_BROKEN_CHUNK,
	SIM_ACT_HUGE_MESSAGE,
	SIM_ACT_MANY_CHUNKS,
	SIM_ACT_JUNK_MESSAGE,
	SIM_ACT_UNEXPECTED_REPLY,
	SIM_ACT_TRUNCATE,
	SIM_ACT_RESET,
	SIM_ACT_CLOSE,
	SIM_ACT_BAD_RECORD,
	SIM_ACT_JUNK_RECORD,
	SIM_ACT_EMPTY_RECORDS,
	SIM_ACT_KEY_UPDATES,
	SIM_ACT_WARNINGS,
	SIM_ACT_STALL,
	SIM_ACT_MUTE,
	SIM_ACT_HEARTBLEED,
	SIM_ACT_LONG_HEARTBEAT,
	SIM_ACT_HEARTBEAT_FLOOD,
	SIM_ACT_HEARTBEAT_MUTE,
	SIM_ACT_DEEP_XML,      /**< as the answer to the first rpc */
	SIM_ACT_NOTIFICATIONS, /**< without end; attacks only */
};

struct sim_impostor {
	const char *name;
	enum ch_reason reason; /**< the collector must give this one */
	uint8_t identity;      /**< enum sim_identity */
	uint8_t tls;	       /**< enum sim_tls */
	uint8_t opening;       /**< enum sim_opening */
	uint8_t hello;	       /**< enum sim_hello */
	uint8_t act;	       /**< enum sim_act */
	uint8_t abort;	       /**< enum sim_abort */
	bool drip;	       /**< sends a byte now and then, whatever it sends */
	const char *help;
};

/** The table; @count receives its length. */
const struct sim_impostor *sim_impostors(size_t *count);

/** The kind of that name, or NULL. */
const struct sim_impostor *sim_impostor_find(const char *name, size_t len);

struct sim_device;

/** The moments at which a device asks what its kind does. @return false: go on as an honest device. */
CH_NODISCARD int sim_impostor_open(struct sim_device *device);
CH_NODISCARD int sim_impostor_client_hello(struct sim_device *device);
CH_NODISCARD int sim_impostor_login(struct sim_device *device);
/** Does it end here? Then the device is CLOSING. */
CH_NODISCARD bool sim_impostor_aborts(struct sim_device *device, enum sim_abort here);
/** Logged in, and all it sent is on its way. */
CH_NODISCARD int sim_impostor_idle(struct sim_device *device);
/** A heartbeat record came. */
CH_NODISCARD bool sim_impostor_heartbeat(struct sim_device *device, const uint8_t *record,
					 size_t len);
