/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What an endpoint says about TLS heartbeats in its hello (RFC 6520 section 2). */

enum ch_heartbeat_mode {
	CH_HEARTBEAT_NONE = 0,	      /**< it did not say anything: not negotiated */
	CH_HEARTBEAT_ALLOWED = 1,     /**< peer_allowed_to_send: it answers requests */
	CH_HEARTBEAT_NOT_ALLOWED = 2, /**< peer_not_allowed_to_send: it sends, but answers none */
};

/** "none", or the name of RFC 6520. */
static inline const char *ch_heartbeat_mode_name(enum ch_heartbeat_mode mode)
{
	switch (mode) {
	case CH_HEARTBEAT_NONE:
		return "none";
	case CH_HEARTBEAT_ALLOWED:
		return "peer-allowed-to-send";
	case CH_HEARTBEAT_NOT_ALLOWED:
		return "peer-not-allowed-to-send";
	}
	return "none";
}
