/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Inside user/tls: an OCSP response (RFC 6960) that a device stapled to its certificate. */
#include "user/core/buf.h"
#include <openssl/x509.h>

enum ch_staple_status {
	CH_STAPLE_NONE,
	CH_STAPLE_GOOD,
	CH_STAPLE_REVOKED,
	CH_STAPLE_UNKNOWN, /**< the responder does not know the certificate */
	CH_STAPLE_STALE,   /**< good once: behind its nextUpdate */
	CH_STAPLE_BAD,	   /**< malformed, about another certificate, not signed as it must be */
};

/**
 * Judges the DER @response about @leaf, which @issuer issued; costs one signature, or two with a
 * delegated responder. @why: a static text for the log.
 */
enum ch_staple_status ch_staple_check(struct ch_slice response, X509 *leaf, X509 *issuer,
				      int64_t now, const char **why);
