/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Inside user/tls: what a ch_trust is made of. */
#include "trust.h"
#include <openssl/x509.h>

struct ch_manufacturer {
	char *name;
	enum ch_identifier_kind kind;
	enum ch_revocation_mode revocation;
	enum ch_stale_policy stale;
	STACK_OF(X509) *anchors;
	uint8_t (*digests)[32]; /**< SHA-256 of each anchor */
	X509_STORE *store; /**< of these anchors only (SC3) */
};

struct ch_trust {
	struct ch_manufacturer *manufacturers;
	size_t count;
};

/** Is exactly this certificate an anchor of the manufacturer? */
bool ch_manufacturer_has(const struct ch_manufacturer *manufacturer, X509 *cert);

/**
 * The manufacturer under one of whose anchors the certificate claims to be issued: by names and key
 * identifiers, no signature is verified. An anchor belongs to its own manufacturer.
 * @return its index or CH_MANUFACTURER_NONE
 */
uint32_t ch_trust_claimed(const struct ch_trust *trust, X509 *cert);
