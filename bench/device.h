/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * One simulated device: TLS server and NETCONF server on a connection it opened itself. Sans-IO:
 * bytes in, bytes in @out, which must always be sent, in order.
 *
 * Life: sim_device_connected -> (sim_device_want / sim_device_got / sim_device_step)* until
 * sim_device_in_handshake is false -> sim_device_data* -> state SIM_CLOSING: send @out, then close.
 * sim_device_reset makes it ready for its next connection.
 *
 * Thread: all devices that share a struct sim_shared belong to one thread.
 */
#include "cert_to_name.h"
#include "impostor.h"
#include "user/core/hist.h"
#include "user/proto/framing.h"
#include "user/proto/heartbeat.h"
#include "user/proto/tlsmsg.h"
#include "user/tls/handshake.h"
#include "user/tls/record.h"

/* X(symbol, name): how a connection of a device ended, as the device sees it. */
#define SIM_ENDS(X)                                                                                \
	X(NONE, "none")                                                                            \
	X(CLOSED, "closed")	/* cleanly, by the collector */                                    \
	X(IDLE, "idle-timeout") /* of a periodic connection: we closed */                          \
	X(REFUSED, "connect-refused")                                                              \
	X(CONNECT_TIMEOUT, "connect-timeout")                                                      \
	X(AUTH_TIMEOUT, "auth-timeout") /* RFC 8071 S5: we closed */                               \
	X(HANDSHAKE, "handshake-failed")                                                           \
	X(CUT, "closed-without-notify")                                                            \
	X(RESET, "reset")                                                                          \
	X(NO_USER, "no-user-name")    /* of our list for the collector's certificate: we closed */ \
	X(PROTOCOL, "protocol-error") /* the collector broke TLS or NETCONF */                     \
	X(SILENT, "collector-silent") /* RFC 8071 S7: heartbeats were not answered */              \
	X(STOPPED, "stopped")	      /* the simulation ended */                                   \
	X(LOCAL, "local-error")

enum sim_end {
#define X(sym, name) SIM_END_##sym,
	SIM_ENDS(X)
#undef X
	SIM_END_COUNT
};

/** The name reports show. */
const char *sim_end_name(enum sim_end end);

/** Of an attack: its calls, each of which is one attempt. */
struct sim_attack_counts {
	uint64_t attempts;
	uint64_t connected;	   /**< TCP came up */
	uint64_t refused;	   /**< by a RST, before we heard that it was up */
	uint64_t timed_out;	   /**< TCP did not come up in time */
	uint64_t failed;	   /**< on this machine: no file or port free, no certificate */
	uint64_t closed_by_target; /**< of those that came up */
	uint64_t held, held_peak;  /**< up now; the most at a time */
};

/** Counters of the devices of one thread. */
struct sim_counters {
	uint64_t arrivals;	/**< calls begun */
	uint64_t connects;	/**< TCP connections that came up */
	uint64_t logins;	/**< hellos exchanged */
	uint64_t up;		/**< sessions now */
	uint64_t subscribed;	/**< of them with a subscription */
	uint64_t rpcs;		/**< requests answered */
	uint64_t rpc_errors;	/**< of them with an rpc-error */
	uint64_t notifications; /**< sent */
	uint64_t held;		/**< notifications left out because the collector did not read */
	uint64_t key_updates_sent;
	uint64_t key_updates_received;
	uint64_t heartbeats_sent;     /**< requests of ours */
	uint64_t heartbeats_answered; /**< of them, by the collector */
	uint64_t sent_bytes;
	uint64_t received_bytes;
	uint64_t layers[5];	      /**< sessions of honest devices by enum ch_layer */
	uint64_t ends[SIM_END_COUNT]; /**< connections of honest devices by how they ended */
	uint64_t impostors;	      /**< started */
	uint64_t impostors_ended;     /**< ended by the collector */
	uint64_t impostors_left;      /**< given up: the collector did not end them in time */
	struct sim_attack_counts attack;
};

enum sim_framing { SIM_FRAMING_MIX, SIM_FRAMING_1_0, SIM_FRAMING_1_1 };

struct sim_device;

/** An honest device finished TLS and was shown a client certificate. */
typedef void (*sim_certificate_fn)(void *ctx, const struct sim_device *device,
				   const uint8_t sha256[32]);

/** What the devices of one thread share. */
struct sim_shared {
	const struct sim_pki *pki;
	struct ch_tls_context *tls[SIM_TLS_COUNT]; /**< made at first use */
	struct ch_record_engine *engine;
	struct ch_buf message; /**< scratch */
	struct ch_buf framed;  /**< scratch */
	struct ch_buf config;  /**< the content of every reply to get and get-config */
	char event_time[32];   /**< RFC 3339, set by the caller as time goes */
	uint64_t now_ns;       /**< likewise */
	struct ch_heartbeat_test heartbeat_test;
	uint8_t heartbeat_mode; /**< enum ch_heartbeat_mode: what the devices say */
	uint8_t tls_choice;    /**< SIM_TLS_MIX: odd devices are limited to TLS 1.2 */
	uint8_t framing;       /**< enum sim_framing; MIX: every fourth device knows only base:1.0 */
	sim_certificate_fn on_certificate; /**< NULL = nobody asks */
	void *certificate_ctx;
	const struct sim_names *names; /**< users of the collector's certificates; NULL = any */
	char user[SIM_NAME_MAX];       /**< of the last login; "" = none */
	uint32_t next_session_id;
	uint64_t key_update_every; /**< TLS 1.3: records under one key; 0 = up to the AEAD limit */
	bool key_update_asks;	   /**< such a KeyUpdate asks for one in return */
	bool rekey;		   /**< the kernel can change keys (ch_ktls_probe) */
	struct sim_counters counters;
};

/** @reply_bytes: size of the answer to get-config. @return 0 or an error */
CH_NODISCARD int sim_shared_init(struct sim_shared *shared, const struct sim_pki *pki,
				 size_t reply_bytes);
void sim_shared_deinit(struct sim_shared *shared);

enum sim_state {
	SIM_IDLE,
	SIM_HANDSHAKE,
	SIM_WAIT_HELLO,
	SIM_OPEN,
	SIM_CLOSING, /**< send what is in @out, then close */
};

struct sim_device {
	struct sim_shared *shared;
	const struct sim_impostor *impostor; /**< NULL = honest */
	struct ch_handshake *handshake;
	struct ch_credential *credential; /**< made for this handshake */
	struct ch_buf in;		  /**< handshake record, or an incomplete rpc */
	struct ch_buf out;		  /**< to be sent */
	struct ch_record record;
	struct ch_framer framer;
	struct ch_tlsmsg tlsmsg;
	struct ch_heartbeat heartbeat;
	struct ch_buf beat; /**< tx_kernel: a heartbeat message to be sent as a record of its own */
	uint64_t sequence; /**< of the last notification, over all its sessions */
	uint32_t index;	   /**< identity */
	uint32_t messages; /**< of NETCONF, both ways, on this connection; wraps */
	uint16_t version;  /**< enum ch_tls_version, once known */
	uint8_t state;	   /**< enum sim_state */
	uint8_t end;	   /**< enum sim_end, once CLOSING */
	bool has_record;   /**< @record is in use */
	bool chunked;	   /**< base:1.1 */
	bool subscribed;
	bool discard;	 /**< an impostor: whatever comes is ignored */
	bool half_close; /**< an impostor: no more is sent, a FIN is due once @out is out */
	bool abort;	 /**< an impostor: end with a RST */
	bool stall;	 /**< an impostor: do not read any more */
	bool mute;	 /**< an impostor: rpcs are not answered */
	bool rx_kernel;	 /**< the kernel opens records */
	bool tx_kernel;	 /**< the kernel seals: @out holds plaintext */
	bool say_close;	 /**< tx_kernel: close_notify is due behind @out */
	bool say_update; /**< tx_kernel: a KeyUpdate and new keys are due before @out */
	bool say_asks;	 /**< and it asks for one in return */
	bool rekey_rx;	 /**< rx_kernel: new keys are due; until then nothing can be received */
	bool update_owed;  /**< the collector asked for a KeyUpdate: before our next data */
	bool update_asked; /**< we asked for one, and it has not come yet */
};

void sim_device_init(struct sim_device *device, struct sim_shared *shared, uint32_t index,
		     const struct sim_impostor *impostor);

/** TCP is up. @return 0 or an error; then the device is CLOSING. */
CH_NODISCARD int sim_device_connected(struct sim_device *device);

/** Handshake: where the next @len bytes go. NULL: a step is due. */
void *sim_device_want(struct sim_device *device, uint32_t *len);
/** Exactly the bytes that were wanted have arrived. */
void sim_device_got(struct sim_device *device);
/** Runs a handshake step (up to a millisecond of CPU). Legal when sim_device_want said NULL. */
void sim_device_step(struct sim_device *device);

static inline bool sim_device_in_handshake(const struct sim_device *device)
{
	return device->state == SIM_HANDSHAKE;
}

/** Bytes received after the handshake; decrypted in place. */
void sim_device_data(struct sim_device *device, uint8_t *data, size_t len);

/** One record that the kernel opened. */
void sim_device_record(struct sim_device *device, uint8_t type, uint8_t *data, size_t len);

/** The collector closed (FIN) or the connection broke (@error: negated errno). */
void sim_device_gone(struct sim_device *device, int error);

/** Sends one notification if the session is subscribed and the queue is short. */
void sim_device_notify(struct sim_device *device);

/** When sim_device_test must be called; UINT64_MAX = never. */
uint64_t sim_device_test_due(const struct sim_device *device);
/** Asks a silent collector by heartbeat, or gives it up: then the device is CLOSING. */
void sim_device_test(struct sim_device *device);

/** Ends the session from our side: close_notify. */
void sim_device_close(struct sim_device *device, enum sim_end end);

/** After an empty @out: gives memory of large replies back. */
void sim_device_trim(struct sim_device *device);

/** Frees everything of the connection; counters and sequence stay. */
void sim_device_reset(struct sim_device *device);

/* for impostor.c */

/** Appends close_notify. */
CH_NODISCARD int sim_device_say_close(struct sim_device *device);

/** Sends a heartbeat message with random padding. One under kernel TLS may still wait: then this
 * one is left out. */
CH_NODISCARD int sim_device_send_heartbeat(struct sim_device *device, enum ch_heartbeat_type type,
					   struct ch_slice payload);
/** Seals @plain as application data onto @out. */
CH_NODISCARD int sim_device_send_plain(struct sim_device *device, struct ch_slice plain);
/** Frames and seals the scratch message. */
CH_NODISCARD int sim_device_send_message(struct sim_device *device);
