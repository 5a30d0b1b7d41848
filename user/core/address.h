/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* An IP endpoint as plain bytes, and its text. No socket headers. */
#include <callhome/error.h>
#include <stddef.h>
#include <stdint.h>

#define CH_ADDRESS_TEXT 64 /**< bytes for any endpoint text with its NUL */

struct ch_address {
	uint8_t ip[16]; /**< v4 uses the first 4; a v4-mapped v6 address is stored as v4 */
	uint16_t port;	/**< host order */
	uint8_t family; /**< 4, 6, or 0 = none */
};

/** "192.0.2.1:4335" or "[2001:db8::1]:4335"; no zone, no leading zeros. @return 0, CH_E_SYNTAX. */
CH_NODISCARD int ch_address_parse(const char *text, struct ch_address *address);

/** Turns a v4-mapped v6 address (::ffff:192.0.2.1) into the v4 one. */
void ch_address_normalize(struct ch_address *address);

/** Writes the endpoint (v6 in brackets, as RFC 5952), always NUL-terminated; "" for none. */
void ch_address_format(const struct ch_address *address, char text[CH_ADDRESS_TEXT]);
