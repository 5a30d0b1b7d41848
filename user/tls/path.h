/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Inside user/tls: the way from a device to its anchor, as the hashes of a ch_proof. */
#include "proof.h"
#include <openssl/x509.h>

struct ch_path {
	uint8_t anchor_sha256[32]; /**< zeros = by pin */
	uint8_t count;
	uint8_t chain[CH_CHAIN_MAX][CH_PROOF_ELEMENT]; /**< the device's first */
};

/** ch_proof_element of a certificate. @return 0, -ENOMEM or CH_E_CRYPTO. */
CH_NODISCARD int ch_path_element(X509 *cert, uint8_t element[CH_PROOF_ELEMENT]);

/** Appends a certificate below the anchor. @return 0, -ENOMEM, CH_E_CRYPTO or CH_E_LIMIT. */
CH_NODISCARD int ch_path_append(struct ch_path *path, X509 *cert);

/** Names the anchor at the end. @return 0 or CH_E_CRYPTO. */
CH_NODISCARD int ch_path_end(struct ch_path *path, X509 *anchor);

/** What is behind the device. */
void ch_path_behind(const struct ch_path *path, struct ch_path *behind);

/** Goes on with what is @behind the device, and ends where that ends. */
void ch_path_join(struct ch_path *path, const struct ch_path *behind);

/** Fills in the @proof of a judged device. @return 0 or -ENOMEM. */
CH_NODISCARD int ch_path_prove(const struct ch_path *path, const struct ch_identity *identity,
			       struct ch_proof *proof);
