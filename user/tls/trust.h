/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Who a device is: manufacturers (trust anchors with the place of their identifier), credentials,
 * and the identity read from a certificate (RFC 8071 C5-C7, section 5 "anchors unique to the
 * manufacturer"). The system's CA store is never used.
 */
#include <callhome/reason.h>
#include <callhome/error.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CH_IDENTIFIER_MAX 255 /**< bytes of UTF-8 */
#define CH_CHAIN_MAX 8	      /**< certificates a device may present, itself included */
#define CH_CHAIN_BYTES 65536  /**< DER bytes of all of them */
#define CH_ERROR_TEXT 256     /**< bytes for the error texts below */

/**
 * Where a manufacturer puts the identifier of a device. The bytes are compared exactly, after
 * conversion to UTF-8. A certificate with none or several of that field has no identifier, nor has
 * one whose field is empty, holds a NUL byte or is longer than CH_IDENTIFIER_MAX.
 */
enum ch_identifier_kind {
	CH_IDENTIFIER_CN,
	CH_IDENTIFIER_SERIAL_NUMBER, /**< subject serialNumber, 2.5.4.5 (IEEE 802.1AR) */
	CH_IDENTIFIER_SAN_DNS,
	CH_IDENTIFIER_SAN_URI,
	/** SAN otherName hardwareModuleName (RFC 4108): "<hwType OID>:<lower-case hex of
	   hwSerialNum>" */
	CH_IDENTIFIER_HARDWARE_MODULE,
};

/** "cn", "serialNumber", "san-dns", "san-uri", "hardwareModuleName". */
const char *ch_identifier_kind_name(enum ch_identifier_kind kind);
/** @return 0 or CH_E_SYNTAX. */
CH_NODISCARD int ch_identifier_kind_parse(const char *name, enum ch_identifier_kind *kind);

#define CH_MANUFACTURER_NONE UINT32_MAX /**< identity by pin */

struct ch_identity {
	uint32_t manufacturer;			/**< index as added, or CH_MANUFACTURER_NONE */
	char identifier[CH_IDENTIFIER_MAX + 1]; /**< UTF-8 without NUL bytes; "" for a pin */
	uint8_t spki_sha256[32];
	uint8_t cert_sha256[32];
	uint64_t not_after; /**< seconds since 1970, of the leaf */
};

/** What people are told of a certificate. */
struct ch_certificate_facts {
	uint8_t sha256[32];
	int64_t not_after; /**< seconds since 1970 */
	char subject[96];  /**< "/CN=acme root", printable ASCII; cut */
};

/** A client certificate with its chain and key, ready to send. */
struct ch_credential;

/**
 * Loads PEM files; @cert_file may hold the chain, leaf first.
 * @return 0; CH_E_CONFIG with one sentence in @error that names the file and the fix
 */
CH_NODISCARD int ch_credential_load(const char *cert_file, const char *key_file,
				    struct ch_credential **credential, char error[CH_ERROR_TEXT]);

/**
 * Loads what takes the place of @credential in a roll-over: as long as both are there a device gets
 * one of the two (docs/identity.md). @return as ch_credential_load
 */
CH_NODISCARD int ch_credential_load_next(struct ch_credential *credential, const char *cert_file,
					 const char *key_file, char error[CH_ERROR_TEXT]);

/** As ch_credential_load from memory: PEM of the chain, leaf first, and PEM of the key. */
CH_NODISCARD int ch_credential_from_memory(const uint8_t *cert_pem, size_t cert_len,
					   const uint8_t *key_pem, size_t key_len,
					   struct ch_credential **credential,
					   char error[CH_ERROR_TEXT]);

/**
 * A certificate (one, DER) that shares the private key and the rest of the chain with @key_owner;
 * cheap enough for many thousands. @key_owner may be freed before it.
 * @return 0; CH_E_CONFIG: it does not parse, or the key is not its key
 */
CH_NODISCARD int ch_credential_with_key(const struct ch_credential *key_owner,
					const uint8_t *cert_der, size_t cert_len,
					struct ch_credential **credential,
					char error[CH_ERROR_TEXT]);

/**
 * What an impostor has who copied a certificate off the wire: the chain of @from and a private key
 * that does not belong to it (P-256, P-384 or RSA), so that its signatures are wrong. For tests.
 * @return 0, -ENOMEM or CH_E_CRYPTO
 */
CH_NODISCARD int ch_credential_steal(const struct ch_credential *from,
				     struct ch_credential **stolen);

/** Of the certificate itself. @return 0 or CH_E_CRYPTO */
CH_NODISCARD int ch_credential_facts(const struct ch_credential *credential,
				     struct ch_certificate_facts *facts);

void ch_credential_free(struct ch_credential *credential);

/** What the inventory knows about an identity. */
struct ch_match {
	uint32_t device;			/**< the caller's index of the device */
	const struct ch_credential *credential; /**< to send to it; NULL = none is bound */
	/**
	 * Not NONE: refuse with this reason, but only after the device has proven that it holds the
	 * key (quarantine of unknown devices).
	 */
	enum ch_reason refuse;
};

/**
 * Looks an identity up: first as a pin (manufacturer NONE, hashes set), then by manufacturer and
 * identifier. Called inside the handshake, before possession is proven: it must change nothing.
 * @return CH_REASON_NONE and @match filled; UNKNOWN_DEVICE; or WRONG_MANUFACTURER (the identifier
 * is known, but under another manufacturer). For a pin only NONE and UNKNOWN_DEVICE.
 */
typedef enum ch_reason (*ch_lookup_fn)(void *ctx, const struct ch_identity *identity,
				       struct ch_match *match);

/** What a manufacturer's devices need to show that they are not revoked. */
enum ch_revocation_mode {
	CH_REVOCATION_IF_PRESENT, /**< revoked is refused; no list or staple is fine */
	CH_REVOCATION_REQUIRE,	  /**< every certificate below the anchor needs a valid status */
	CH_REVOCATION_OFF,	  /**< nothing is looked up */
};

/** What a list or staple behind its nextUpdate says about a certificate that it does not revoke. */
enum ch_stale_policy {
	CH_STALE_ACCEPT, /**< it is good; counted */
	CH_STALE_REFUSE, /**< nothing: the device is refused */
};

/** Trust anchors of all manufacturers. Immutable once built; one per thread. */
struct ch_trust;

CH_NODISCARD int ch_trust_new(struct ch_trust **trust);
void ch_trust_free(struct ch_trust *trust);

/**
 * Adds a manufacturer with all CA certificates of @ca: a PEM file, or a directory whose files
 * .pem, .crt and .cer are read in the order of their names. Its index is the number of
 * manufacturers before it. An anchor, or the name of one, under two manufacturers is an error (SC3).
 * @return 0; CH_E_CONFIG with one sentence in @error that names the file and the fix
 */
CH_NODISCARD int ch_trust_add(struct ch_trust *trust, const char *name, const char *ca,
			      enum ch_identifier_kind kind, char error[CH_ERROR_TEXT]);

/** Whose anchor the certificate of that SHA-256 is. @return its index or CH_MANUFACTURER_NONE */
uint32_t ch_trust_by_anchor(const struct ch_trust *trust, const uint8_t sha256[32]);
/**
 * What the devices of manufacturer @index need of revocation lists and staples; without this
 * call CH_REVOCATION_IF_PRESENT and CH_STALE_ACCEPT (see revocation.h).
 */
void ch_trust_set_revocation(struct ch_trust *trust, size_t index, enum ch_revocation_mode mode,
			     enum ch_stale_policy stale);

/**
 * Of anchor @index of a manufacturer, in the order of its files.
 * @return 0; CH_E_UNKNOWN: there are fewer; CH_E_CRYPTO
 */
CH_NODISCARD int ch_trust_anchor(const struct ch_trust *trust, size_t manufacturer, size_t index,
				 struct ch_certificate_facts *facts);

/** How many manufacturers there are. */
size_t ch_trust_count(const struct ch_trust *trust);
