/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy.h"

#include <string.h>

#define FIXED 16
#define V4_ADDRESSES 12
#define V6_ADDRESSES 36

static const uint8_t signature[12] = "\r\n\r\n\0\r\nQUIT\n";

enum { LOCAL = 0, PROXY = 1 };
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

/* Takes what belongs to the present part. */
static size_t take(struct ch_proxy *proxy, const uint8_t *in, size_t len)
{
	size_t part = ch_proxy_wanted(proxy);
	size_t room = proxy->have < sizeof(proxy->bytes) ? sizeof(proxy->bytes) - proxy->have : 0;

	if (part > len)
		part = len;
	if (room > 0)
		memcpy(proxy->bytes + proxy->have, in, part < room ? part : room);
	proxy->have += part;
	return part;
}

int ch_proxy_feed(struct ch_proxy *proxy, const uint8_t *in, size_t len, size_t *used)
{
	*used = 0;
	while (*used < len) {
		bool fixed = proxy->have < FIXED;
		int err = 0;

		*used += take(proxy, in + *used, len - *used);
		if (!begins_well(proxy))
			return CH_E_SYNTAX;
		if (fixed && proxy->have == FIXED)
			err = check(proxy);
		if (err != 0)
			return err;
		if (proxy->have >= FIXED && proxy->have == length(proxy)) {
			read_source(proxy);
			return 0;
		}
	}
	return CH_PROXY_MORE;
}
