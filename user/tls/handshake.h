/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * A TLS 1.2/1.3 handshake in either role over memory: one record in, bytes out. OpenSSL does the
 * handshake and nothing else; after DONE the caller takes the keys and frees the object before the
 * first application byte. Suites: AES-128/256-GCM and ChaCha20-Poly1305 with ECDHE.
 *
 * Contract: ch_handshake_step consumes the whole record it is given (or none: the first call of a
 * client). What was appended to @out must be sent whatever the result is (alerts). After DONE or
 * FAILED only the getters and ch_handshake_free are legal. The caller reads record-exactly: 5
 * bytes, ch_handshake_record_length, then the body, so that no byte behind the handshake is taken.
 *
 * Thread: a context and its handshakes belong to one thread.
 */
#include "proof.h"
#include "revocation.h"
#include "trust.h"
#include "user/core/buf.h"
#include "user/core/record_keys.h"

#define CH_TLS_HEADER 5

/** Shared by the handshakes of one thread. */
struct ch_tls_context;

/** Collector (TLS client, mutual authentication required, TLS 1.3 preferred, TLS 1.2 accepted). */
struct ch_tls_client_options {
	const struct ch_trust *trust; /**< borrowed; outlives the context */
	ch_lookup_fn lookup;
	void *lookup_ctx;
	bool no_heartbeat; /**< no extension 15, against RFC 8071 C4; else peer_allowed_to_send */
};

/** Should @device get the certificate that takes the other's place, if either would do? */
typedef bool (*ch_prefer_fn)(void *ctx, uint32_t device);

CH_NODISCARD int ch_tls_client_new(const struct ch_tls_client_options *options,
				   struct ch_tls_context **context);

/**
 * From the next handshake on these revocation lists count (the context takes a reference of its
 * own); NULL: none.
 */
void ch_tls_client_revocation(struct ch_tls_context *context, struct ch_revocation *set);

/** Device (TLS server): for the simulator and the tests. */
struct ch_tls_server_options {
	uint16_t min_version; /**< enum ch_tls_version; 0 = TLS 1.2 */
	uint16_t max_version; /**< 0 = TLS 1.3 */
	bool request_client_certificate;
	const char *client_ca_file; /**< NULL: any client certificate is accepted */
	const char *cipher_list;  /**< TLS 1.2 suites in OpenSSL's syntax; NULL = the AEAD suites */
	const char *ciphersuites; /**< TLS 1.3 suites in OpenSSL's syntax; NULL = the AEAD suites */
	unsigned tickets;	  /**< TLS 1.3 session tickets to send after the handshake */
	bool no_extended_master_secret; /**< TLS 1.2 as before RFC 7627 */
	const uint8_t *staple; /**< DER of an OCSP response for who asks; NULL = none (copied) */
	size_t staple_len;
	uint8_t heartbeat; /**< enum ch_heartbeat_mode to answer with, or a value that is none */
};
CH_NODISCARD int ch_tls_server_new(const struct ch_tls_server_options *options,
				   struct ch_tls_context **context);
void ch_tls_context_free(struct ch_tls_context *context);

enum ch_handshake_status {
	CH_HANDSHAKE_READ,   /**< send @out if any, then read one record */
	CH_HANDSHAKE_DONE,   /**< send @out if any, then take keys and info */
	CH_HANDSHAKE_FAILED, /**< send @out if any, then close; ch_handshake_reason says why */
};

struct ch_handshake;

/** A client's handshake. @return 0 or -ENOMEM. */
CH_NODISCARD int ch_handshake_client(struct ch_tls_context *context,
				     struct ch_handshake **handshake);
/** Before the first step: who decides between the certificates of a roll-over. */
void ch_handshake_prefer(struct ch_handshake *handshake, ch_prefer_fn prefer, void *ctx);
/**
 * A server's handshake that presents @credential.
 * @return 0; -ENOMEM; CH_E_CRYPTO: OpenSSL does not take the credential
 */
CH_NODISCARD int ch_handshake_server(struct ch_tls_context *context,
				     const struct ch_credential *credential,
				     struct ch_handshake **handshake);
void ch_handshake_free(struct ch_handshake *handshake);

/**
 * Is this the header of a TLS record that can belong to a handshake?
 * @return length of the body, 1..16640 (a heartbeat record, type 24, is legal here: read and skip
 * it); or -1: not TLS
 */
int ch_handshake_record_length(const uint8_t header[CH_TLS_HEADER]);

/** Feeds one whole record with its header (NULL, 0: start as client). Costs up to ~1 ms of CPU. */
enum ch_handshake_status ch_handshake_step(struct ch_handshake *handshake, const uint8_t *record,
					   size_t len, struct ch_buf *out);

/** Why it failed; for the client a reason of the table, with the detail in ch_handshake_detail. */
enum ch_reason ch_handshake_reason(const struct ch_handshake *handshake);
/** More words for the log ("alert handshake_failure", "depth 1: ..."), "" if none. */
const char *ch_handshake_detail(const struct ch_handshake *handshake);

/**
 * Heartbeat records that were dropped: they have no place in a handshake (RFC 6520). Only those in
 * the clear are seen; one that TLS 1.3 encrypts is an unexpected message to OpenSSL.
 */
uint32_t ch_handshake_dropped(const struct ch_handshake *handshake);

/** What was negotiated. Strings are static. Valid after DONE. */
struct ch_handshake_info {
	uint16_t version;  /**< enum ch_tls_version */
	uint8_t aead;	   /**< enum ch_aead */
	uint8_t cipher;	   /**< ch_tls_cipher_name */
	uint8_t group;	   /**< of the key exchange: ch_tls_group_name */
	uint8_t signature; /**< of the peer's proof of possession: ch_tls_signature_name */
	bool extended_master_secret; /**< RFC 7627; TLS 1.3 always has what it is for */
	bool stapled;	/**< client: a stapled OCSP response says that the device is good */
	bool crl_stale; /**< client: accepted although a revocation list or staple is out of date */
	uint8_t heartbeat; /**< enum ch_heartbeat_mode: what the peer said */
};
void ch_handshake_info(const struct ch_handshake *handshake, struct ch_handshake_info *info);

/** "TLS_AES_128_GCM_SHA256" ... as OpenSSL calls them; "" for 0. Static. */
const char *ch_tls_cipher_name(uint8_t cipher);
/** "X25519", "P-256" ...; "" for 0. Static. */
const char *ch_tls_group_name(uint8_t group);
/** "ecdsa-sha256", "rsa-pss-sha256", "ed25519" ...; "" for 0. Static. */
const char *ch_tls_signature_name(uint8_t signature);

/**
 * Client: of the CA certificates that vouched for the device, its issuer first, the anchor last.
 * @return 0; CH_E_UNKNOWN: there are fewer (none by a pin); CH_E_CRYPTO
 */
CH_NODISCARD int ch_handshake_ca(const struct ch_handshake *handshake, size_t index,
				 struct ch_certificate_facts *facts);

/**
 * Client: the identity and match once the certificate was accepted, else NULL. They may be used for
 * anything that outlives the connection only when ch_handshake_proven is true.
 */
const struct ch_identity *ch_handshake_identity(const struct ch_handshake *handshake);
const struct ch_match *ch_handshake_match(const struct ch_handshake *handshake);
/** Client: the device has proven that it holds the key of its certificate. */
bool ch_handshake_proven(const struct ch_handshake *handshake);
/**
 * Client, once possession is proven: what to keep for judging the session again (ch_proof_deinit).
 * @return 0 or -ENOMEM
 */
CH_NODISCARD int ch_handshake_take_proof(const struct ch_handshake *handshake,
					 struct ch_proof *proof);
/** Client: our certificate went out, and it was the one that takes the other's place. */
bool ch_handshake_presented_next(const struct ch_handshake *handshake);
/** Server: SHA-256 of the client certificate that was presented. @return false when none was. */
bool ch_handshake_client_certificate(const struct ch_handshake *handshake, uint8_t sha256[32]);

/**
 * Server: appends the DER of a certificate of the client's verified chain, 0 = its own.
 * @return 0, -ENOMEM, or CH_E_RANGE: there are no more, or none was verified
 */
CH_NODISCARD int ch_handshake_client_chain(const struct ch_handshake *handshake, int depth,
					   struct ch_buf *der);

/**
 * After DONE: the traffic keys, with the sequence numbers of the next records. May be called once;
 * the handshake's own copies are wiped. @return 0 or CH_E_CRYPTO
 */
CH_NODISCARD int ch_handshake_take_keys(struct ch_handshake *handshake,
					struct ch_record_keys *keys);
