/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Inside user/tls: one certificate revocation list (RFC 5280 section 5) as slices into its DER. A
 * bounded walk over the bytes, because OpenSSL's object for a list of a million certificates takes
 * hundreds of megabytes. Nothing is verified here.
 */
#include "user/core/buf.h"
#include <stdbool.h>

#define CH_CRL_NUMBER 20      /**< bytes of a CRL number, as of a serial number */
#define CH_CRL_POINT_MAX 1024 /**< bytes of the name of a distribution point */
#define CH_CRL_ERROR 128      /**< bytes of the error texts */

struct ch_crl {
	struct ch_slice tbs;	   /**< what is signed */
	struct ch_slice algorithm; /**< AlgorithmIdentifier of the signature */
	struct ch_slice signature;
	struct ch_slice issuer;	 /**< Name */
	struct ch_slice entries; /**< the revoked certificates, for ch_crl_next */
	struct ch_slice point; /**< DistributionPointName: the list may be a part; empty = whole */
	int64_t this_update;   /**< seconds since 1970 */
	int64_t next_update;
	uint8_t number[CH_CRL_NUMBER]; /**< big-endian; zeros where there is none */
	uint8_t base[CH_CRL_NUMBER];   /**< delta: the least number it may be applied to */
	bool delta;
	bool users;	  /**< it tells of devices */
	bool authorities; /**< it tells of CAs */
};

/**
 * Reads one list, whole in @der. The slices point into it.
 * @return 0; or CH_E_SYNTAX (malformed) or CH_E_UNSUPPORTED with the end of a sentence in @error:
 * "is malformed at byte 17", "has the critical extension 2.5.29.99, which is not known"
 */
CH_NODISCARD int ch_crl_parse(struct ch_slice der, struct ch_crl *crl, char error[CH_CRL_ERROR]);

struct ch_crl_entry {
	struct ch_slice serial; /**< content of the INTEGER */
	bool removed;		/**< delta: revoked no more */
};

/**
 * Takes the first entry off @entries.
 * @return 1; 0 at the end; CH_E_SYNTAX or CH_E_UNSUPPORTED with @error as above
 */
CH_NODISCARD int ch_crl_next(struct ch_slice *entries, struct ch_crl_entry *entry,
			     char error[CH_CRL_ERROR]);
