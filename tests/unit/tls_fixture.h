/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * A throw-away PKI in memory and the two ends of a handshake in one process, for the tests of
 * user/tls. Everything aborts on failure: a broken fixture must not look like a passed test.
 */
#include "user/tls/handshake.h"
#include "user/tls/record.h"
#include <openssl/ssl.h>
#include <openssl/x509.h>

enum fx_key { FX_P256, FX_P384, FX_RSA2048, FX_RSA1024 };

/** A fresh key; RSA keys are made once per process and shared. */
EVP_PKEY *fx_key(enum fx_key type);

/** What goes into a certificate; zero fields are left out. */
struct fx_cert {
	EVP_PKEY *key;	      /**< of the subject */
	X509 *issuer;	      /**< NULL: self-signed */
	EVP_PKEY *issuer_key; /**< NULL: @key */
	const char *cn;
	const char *cn2;    /**< a second one */
	const char *serial; /**< subject serialNumber */
	bool one_rdn;	    /**< all of them are one multi-valued RDN */
	const uint8_t *raw; /**< the bytes of a cn of @raw_type */
	int raw_len;
	int raw_type;		      /**< V_ASN1_BMPSTRING ... */
	const char *san;	      /**< OpenSSL's syntax: "DNS:a,URI:b,otherName:..." */
	const char *eku;	      /**< "serverAuth", ... */
	const char *key_usage;	      /**< "digitalSignature", ... */
	const char *module_oid;	      /**< hardwareModuleName: hwType */
	const uint8_t *module_serial; /**< hardwareModuleName: hwSerialNum */
	int module_serial_len;
	bool ca;
	bool sha1;		/**< signed with SHA-1 */
	bool no_key_ids;	/**< neither subject nor authority key identifier */
	long padding;		/**< bytes of a private extension */
	const char *not_before; /**< ASN.1 time; NULL = an hour ago */
	const char *not_after;	/**< NULL = in a day */
};
X509 *fx_cert(const struct fx_cert *fields);

/** PEM of certificates up to a NULL. The caller frees it with fx_text_free. */
struct fx_text {
	uint8_t *data;
	size_t len;
};
struct fx_text fx_pem_certs(X509 *const *certs);
struct fx_text fx_pem_key(EVP_PKEY *key);
struct fx_text fx_der(X509 *cert);
void fx_text_free(struct fx_text *text);

/** The path of an unlinked file with those bytes; lives until the process ends. */
const char *fx_file(const void *data, size_t len);
const char *fx_ca_file(X509 *const *certs);

struct ch_credential *fx_credential(X509 *const *certs, EVP_PKEY *key);

/** An inventory of one device, and what was asked of it. */
struct fx_inventory {
	const char *identifier; /**< NULL: by pin */
	uint32_t manufacturer;
	uint8_t pin[32]; /**< SPKI */
	struct ch_match match;
	unsigned pin_lookups;
	unsigned lookups;
	struct ch_identity last; /**< that was looked up by identifier */
};
enum ch_reason fx_lookup(void *ctx, const struct ch_identity *identity, struct ch_match *match);

/** Two manufacturers: acme (P-256, with an intermediate, serialNumber), borg (RSA-2048, cn). */
struct fx_world {
	EVP_PKEY *acme_root_key, *acme_key, *borg_key, *client_key;
	X509 *acme_root, *acme_ca, *borg_ca, *client_cert;
	const char *acme_file, *borg_file, *client_file;
	struct ch_trust *trust;
	struct ch_credential *client;  /**< the collector's */
	struct fx_inventory inventory; /**< knows acme's "SN1" */
	struct ch_tls_context *collector;
};
void fx_world_init(struct fx_world *world);
void fx_world_deinit(struct fx_world *world);

/** A device certificate of acme, chain included, with the fields that @change sets. */
struct ch_credential *fx_acme_device(struct fx_world *world, const struct fx_cert *change);
struct ch_credential *fx_borg_device(struct fx_world *world, const struct fx_cert *change);

/** The two ends of one connection. */
struct fx_pair {
	struct ch_handshake *client;
	struct ch_handshake *server;
	struct ch_buf to_client;
	struct ch_buf to_server;
	enum ch_handshake_status client_status;
	enum ch_handshake_status server_status;
	unsigned client_records; /**< the client was given */
};

/** Makes both ends. */
void fx_pair_init(struct fx_pair *pair, struct ch_tls_context *client,
		  struct ch_tls_context *server, const struct ch_credential *device);
/** Hands records across until both ends rest. */
void fx_pair_run(struct fx_pair *pair);
void fx_pair_deinit(struct fx_pair *pair);

/** Takes the first record off @from and gives it to @to. */
enum ch_handshake_status fx_feed(struct ch_handshake *to, struct ch_buf *from, struct ch_buf *out);
