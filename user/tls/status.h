/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Inside user/tls: is a certificate of the way from a device to its anchor revoked (RFC 8071 C5)?
 * Lists are asked in the verify callback; a stapled OCSP response comes later, but before anything
 * of ours is sent. Nothing is ever fetched.
 */
#include "verify.h"

/**
 * Asks the lists about @way: the device, its CAs, and at @count the anchor (by a pin: the device
 * alone, @manufacturer NULL). @return NONE: fine so far, ch_status_staple has the last word
 */
enum ch_reason ch_status_lists(const struct ch_verifier *verifier,
			       const struct ch_manufacturer *manufacturer, X509 *const *way,
			       unsigned count, struct ch_verdict *verdict);

/**
 * What the device stapled (DER of an OCSPResponse; empty: nothing) says about @leaf.
 * @return NONE: welcome
 */
enum ch_reason ch_status_staple(struct ch_verdict *verdict, X509 *leaf, struct ch_slice response);
