/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Inside user/tls: intermediate CAs whose way up to an anchor was verified before. A fleet has few
 * of them, so that verifying one again for every device is a tenth of a handshake. Kept are only
 * those directly below an anchor, neither with name constraints: for them nothing that was
 * verified depends on the device. Dates are looked at anew every time.
 * Thread: one per verifier, that is per worker.
 */
#include "anchors.h"
#include "path.h"

struct ch_issuers;

/** An issuer whose way up was verified. */
struct ch_issuer {
	const struct ch_manufacturer *manufacturer;
	X509 *cert;
	X509 *anchor;
	X509_STORE *store;     /**< of @cert alone; it trusts by X509_V_FLAG_PARTIAL_CHAIN */
	struct ch_path behind; /**< what a path through it ends with */
};

CH_NODISCARD int ch_issuers_new(struct ch_issuers **issuers);
void ch_issuers_free(struct ch_issuers *issuers);

/** The verified issuer of @leaf, or NULL. */
const struct ch_issuer *ch_issuers_find(const struct ch_issuers *issuers,
					const struct ch_manufacturer *manufacturer, X509 *leaf,
					STACK_OF(X509) *chain);

/** Remembers the issuer of a verified @chain (device first, anchor last) if it may be. */
void ch_issuers_learn(struct ch_issuers *issuers, const struct ch_manufacturer *manufacturer,
		      STACK_OF(X509) *chain, const struct ch_path *path);
