/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * A simulated device and a minimal collector in one process, joined by bytes: the device under test
 * against user/tls and user/proto in the client's role. The PKI is made once for all tests of a
 * program. Everything aborts when it breaks: a broken rig must not look like a passed test.
 */
#include "bench/device.h"
#include "user/proto/client.h"

#define RIG_DEVICES 8 /* 3 and 7 are borgs; odd ones speak TLS 1.2; 2 and 6 know only base:1.0 */
#define RIG_SPARES 8

/** Directory of the PKI, from inside a test. */
const char *rig_dir(void);

struct rig {
	struct sim_pki *pki;
	struct sim_shared shared;
	struct sim_device device;
	/* the collector */
	struct ch_trust *trust;
	struct ch_credential *credential;
	struct ch_tls_context *context;
	struct ch_handshake *handshake; /* NULL once it is over */
	struct ch_record_engine *engine;
	struct ch_record record;
	struct ch_client client;
	struct ch_client_limits limits;
	struct ch_buf in;  /* bytes of the device, not looked at yet */
	struct ch_buf out; /* to the device */
	bool secured, up;
	enum ch_reason reason; /* how it ended; NONE = it lives */
	uint32_t pump_bytes;   /* bytes the device gets at a time; 0 = all */
	uint32_t replies, notifications, closed;
	uint32_t control; /* records without application data, heartbeats apart */
	uint32_t updates, update_asks; /* KeyUpdates of the device */
	struct ch_heartbeat heartbeat;
	uint32_t beats;	    /* answers of the device */
	bool leaks;	    /* answers heartbeats with what it should not */
	struct ch_buf last; /* the last reply or notification */
};

/** A rig whose device is connected; @impostor NULL: an honest one. */
void rig_init(struct rig *rig, uint32_t index, const struct sim_impostor *impostor);
void rig_deinit(struct rig *rig);

/** Carries bytes both ways until nobody has any left. */
void rig_pump(struct rig *rig);

/** rig_init and rig_pump; asserts that the session is up on both sides. */
void rig_login(struct rig *rig, uint32_t index);

/** Sends an operation and pumps. @return its message-id */
int64_t rig_rpc(struct rig *rig, const char *operation);

/** Subscribes and pumps. */
void rig_subscribe(struct rig *rig);

/** Seals raw bytes as application data of the collector. */
void rig_send_raw(struct rig *rig, uint8_t type, const void *data, size_t len);

/** Does the last message contain the text? */
bool rig_last_has(const struct rig *rig, const char *text);
