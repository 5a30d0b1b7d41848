/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The names of TLS alerts (RFC 8446 section 6, RFC 5246 section 7.2), for handshake and session alike. */
#include <stdint.h>

/** "handshake_failure", ...; "unknown" for codes we do not know. Never NULL. */
const char *ch_alert_name(uint8_t code);
