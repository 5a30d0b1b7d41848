/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Inside user/tls: what the handshakes of a thread share, and what one handshake is made of. */
#include "handshake.h"
#include "verify.h"
#include <openssl/ssl.h>

struct ch_tls_context {
	SSL_CTX *ssl;
	bool client;
	uint8_t heartbeat;	     /**< enum ch_heartbeat_mode: what our hello says */
	struct ch_verifier verifier; /**< client only */
	struct ch_buf staple;	     /**< server only */
};

/** Records of one direction, as their headers tell. */
struct ch_record_tally {
	bool ccs;		 /**< a ChangeCipherSpec went by */
	uint64_t behind_ccs;	 /**< records behind it: those of TLS 1.2 are encrypted */
	uint64_t in_step;	 /**< records since the present step began */
	uint64_t explicit_nonce; /**< first 8 bytes of the last record behind the CCS */
};

struct ch_handshake {
	const struct ch_tls_context *context;
	SSL *ssl;
	BIO *in;  /**< of @ssl */
	BIO *out; /**< of @ssl */
	enum ch_handshake_status status;
	enum ch_reason reason;
	enum ch_reason denied; /**< client: why the device gets an alert, but no certificate */
	uint32_t records; /**< that were fed */
	uint32_t dropped; /**< heartbeats */
	bool accepted;	  /**< client: @verdict allows the device, possession apart */
	bool proven;	  /**< client: the device holds its key */
	bool asked;	  /**< client: the device asked for a certificate */
	bool taken;	  /**< the keys were handed out */
	bool presented;	  /**< client: our certificate goes out */
	bool next;	  /**< client: and it is the one that takes the other's place */
	ch_prefer_fn prefer;
	void *prefer_ctx;
	uint8_t heartbeat; /**< enum ch_heartbeat_mode: what the peer's hello says */
	struct ch_record_tally tx;
	struct ch_record_tally rx;
	uint8_t client_secret[48]; /**< TLS 1.3 application traffic secrets; denied: of the
				      handshake */
	uint8_t server_secret[48];
	struct ch_verdict verdict;
	char detail[CH_DETAIL_MAX];
};

/** Callbacks of the client's SSL_CTX; the handshake is the application data of the SSL object. */
int ch_handshake_on_verify(X509_STORE_CTX *store_ctx, void *context);
int ch_handshake_on_staple(SSL *ssl, void *unused);
int ch_handshake_on_certificate_request(SSL *ssl, void *unused);
/** Of both roles: keeps the TLS 1.3 traffic secrets. */
void ch_handshake_on_secret(const SSL *ssl, const char *line);

/** Puts the heartbeat extension into our hellos and reads the peer's; nothing for mode NONE. */
bool ch_tls_offer_heartbeat(struct ch_tls_context *context, uint8_t mode);

/** Sets reason and detail by OpenSSL's error, unless a callback did; empties the error queue. */
void ch_handshake_explain(struct ch_handshake *handshake, int ssl_error);
