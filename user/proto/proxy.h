/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The header that a load balancer puts in front of a connection to say whose it is: PROXY protocol,
 * version 2 (binary), for TCP over IPv4 and IPv6. Sans-IO: bytes go in, the source's address comes
 * out. What it says is to be believed of nobody but a configured balancer. Its additions (TLVs) are
 * passed over, but for a checksum (PP2_TYPE_CRC32C), which must be right.
 *
 * Contract: ch_proxy_feed never takes a byte that stands behind the header. Nothing is written back
 * in any case. After the header or an error there is nothing left to call.
 */
#include "user/core/address.h"

#include <stdbool.h>

/** Bytes of a header with its TLVs; more is refused. */
#define CH_PROXY_MAX 2048

struct ch_proxy {
	uint8_t bytes[16 + 36]; /**< the fixed part and the addresses */
	size_t have;		/**< bytes seen, TLVs too */
	uint32_t crc;		/**< of them, as if the checksum were zero */
	uint32_t claimed_crc;	/**< if @has_crc */
	bool has_crc;
	uint8_t tlv[3];	 /**< type and length of the present addition */
	uint16_t tlv_at; /**< bytes of it that were seen */
	/** Whose connection it is, when the header is there; family 0: the balancer's own. */
	struct ch_address source;
};

enum { CH_PROXY_MORE = 1 };

/** Of an unfinished header: so many more bytes are its own for certain. At least 1. */
size_t ch_proxy_wanted(const struct ch_proxy *proxy);

/**
 * @proxy begins zeroed.
 * @return 0: the header is there; CH_PROXY_MORE: all of @in was used, and more is needed;
 * CH_E_SYNTAX: no header of version 2, or a broken one; CH_E_RANGE: its checksum is wrong;
 * CH_E_UNSUPPORTED: of something else than TCP over IP; CH_E_LIMIT: longer than CH_PROXY_MAX
 */
CH_NODISCARD int ch_proxy_feed(struct ch_proxy *proxy, const uint8_t *in, size_t len, size_t *used);
