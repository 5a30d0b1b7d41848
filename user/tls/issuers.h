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

struct ch_issuers;

CH_NODISCARD int ch_issuers_new(struct ch_issuers **issuers);
void ch_issuers_free(struct ch_issuers *issuers);

/** The store that holds only the issuer of @leaf, or NULL. It trusts by X509_V_FLAG_PARTIAL_CHAIN. */
X509_STORE *ch_issuers_find(struct ch_issuers *issuers, const struct ch_manufacturer *manufacturer,
			    X509 *leaf, STACK_OF(X509) *chain);

/** Remembers the issuer of a verified @path (device first, anchor last) if it may be. */
void ch_issuers_learn(struct ch_issuers *issuers, const struct ch_manufacturer *manufacturer,
		      STACK_OF(X509) *path);
