/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy.h"
#include "user/core/crc32c.h"

#include <string.h>

#define FIXED 16
#define V4_ADDRESSES 12
#define V6_ADDRESSES 36

static const uint8_t signature[12] = "\r\n\r\n\0\r\nQUIT\n";

enum { LOCAL = 0, PROXY = 1 };
enum { TLV_CRC32C = 0x03, TLV_HEAD = 3 };
enum { UNSPEC = 0x00, TCP_V4 = 0x11, TCP_V6 = 0x21 };

static size_t length(const struct ch_proxy *proxy)
{
	return FIXED + ((size_t)proxy->bytes[14] << 8 | proxy->bytes[15]);
}

size_t ch_proxy_wanted(const struct ch_proxy *proxy)
{
	return (proxy->have < FIXED ? FIXED : length(proxy)) - proxy->have;
}

/* Of a signature that is right as far as it goes. */
static bool begins_well(const struct ch_proxy *proxy)
{
	size_t have = proxy->have < sizeof(signature) ? proxy->have : sizeof(signature);

	return memcmp(proxy->bytes, signature, have) == 0;
}

static size_t addresses(const struct ch_proxy *proxy)
{
	if ((proxy->bytes[12] & 0x0f) == LOCAL)
		return 0;
	if (proxy->bytes[13] == TCP_V4)
		return V4_ADDRESSES;
	return proxy->bytes[13] == TCP_V6 ? V6_ADDRESSES : 0;
}

/* The first 16 bytes: version, command, protocol, length. */
static int check(const struct ch_proxy *proxy)
{
	uint8_t command = proxy->bytes[12] & 0x0f;
	uint8_t protocol = proxy->bytes[13];

	if (proxy->bytes[12] >> 4 != 2 || command > PROXY)
		return CH_E_SYNTAX;
	if (length(proxy) > CH_PROXY_MAX)
		return CH_E_LIMIT;
	/* What a balancer says of a connection of its own is not to be read. */
	if (command == PROXY && protocol != UNSPEC && addresses(proxy) == 0)
		return CH_E_UNSUPPORTED;
	return length(proxy) < FIXED + addresses(proxy) ? CH_E_SYNTAX : 0;
}

static void read_source(struct ch_proxy *proxy)
{
	struct ch_address *source = &proxy->source;
	size_t len = addresses(proxy);
	const uint8_t *from = proxy->bytes + FIXED;
	const uint8_t *port = from + len - 4;

	if (len == 0)
		return;
	*source = (struct ch_address){.family = len == V4_ADDRESSES ? 4 : 6};
	memcpy(source->ip, from, len == V4_ADDRESSES ? 4 : 16);
	source->port = (uint16_t)(port[0] << 8 | port[1]);
	ch_address_normalize(source);
}

static size_t tlv_length(const struct ch_proxy *proxy)
{
	return (size_t)proxy->tlv[1] << 8 | proxy->tlv[2];
}

/* The type and length of an addition are there, up to byte @end of the header. */
static int begin_tlv(struct ch_proxy *proxy, size_t end)
{
	if (end + tlv_length(proxy) > length(proxy))
		return CH_E_SYNTAX;
	if (proxy->tlv[0] != TLV_CRC32C)
		return 0;
	if (tlv_length(proxy) != 4 || proxy->has_crc)
		return CH_E_SYNTAX;
	proxy->has_crc = true;
	return 0;
}

/* Byte @at of the header belongs to an addition. */
static int take_tlv(struct ch_proxy *proxy, uint8_t byte, size_t at)
{
	size_t place = proxy->tlv_at++;
	int err = 0;

	if (place < TLV_HEAD) {
		proxy->tlv[place] = byte;
		if (place == TLV_HEAD - 1)
			err = begin_tlv(proxy, at + 1);
	} else if (proxy->tlv[0] == TLV_CRC32C) {
		proxy->claimed_crc = proxy->claimed_crc << 8 | byte;
		byte = 0;
	}
	proxy->crc = ch_crc32c(proxy->crc, &byte, 1);
	if (proxy->tlv_at >= TLV_HEAD && proxy->tlv_at == TLV_HEAD + tlv_length(proxy))
		proxy->tlv_at = 0;
	return err;
}

/* What a balancer says of a connection of its own is not to be read, nor what has no address. */
static int take_byte(struct ch_proxy *proxy, uint8_t byte)
{
	size_t at = proxy->have++;

	if (at < sizeof(proxy->bytes))
		proxy->bytes[at] = byte;
	if (at >= FIXED && addresses(proxy) == 0)
		return 0;
	if (at >= FIXED && at >= FIXED + addresses(proxy))
		return take_tlv(proxy, byte, at);
	proxy->crc = ch_crc32c(proxy->crc, &byte, 1);
	return 0;
}

/* Takes what belongs to the present part. @return how much of @in that is */
static size_t take(struct ch_proxy *proxy, const uint8_t *in, size_t len, int *err)
{
	size_t part = ch_proxy_wanted(proxy);

	if (part > len)
		part = len;
	for (size_t i = 0; i < part && *err == 0; i++)
		*err = take_byte(proxy, in[i]);
	return part;
}

/* All of it is there. */
static int finish(struct ch_proxy *proxy)
{
	if (proxy->tlv_at != 0)
		return CH_E_SYNTAX;
	if (proxy->has_crc && proxy->crc != proxy->claimed_crc)
		return CH_E_RANGE;
	read_source(proxy);
	return 0;
}

int ch_proxy_feed(struct ch_proxy *proxy, const uint8_t *in, size_t len, size_t *used)
{
	*used = 0;
	while (*used < len) {
		bool fixed = proxy->have < FIXED;
		int err = 0;

		*used += take(proxy, in + *used, len - *used, &err);
		if (!begins_well(proxy))
			return CH_E_SYNTAX;
		if (fixed && proxy->have == FIXED)
			err = check(proxy);
		if (err != 0)
			return err;
		if (proxy->have >= FIXED && proxy->have == length(proxy))
			return finish(proxy);
	}
	return CH_PROXY_MORE;
}
