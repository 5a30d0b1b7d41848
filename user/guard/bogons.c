/* SPDX-License-Identifier: Apache-2.0 */
#include "prefixes.h"

/*
 * Special-use addresses (RFC 6890 and the registries behind it) that no packet of the Internet
 * comes from. Left out is what a collector may well be called from: private and shared addresses
 * (RFC 1918, RFC 6598, fc00::/7), the loopback, which the kernel itself takes from no wire,
 * fe80::/10, and what NAT64, Teredo and 6to4 translate.
 */
static const char *const bogons[] = {
	"0.0.0.0/8",	   /* this network */
	"169.254.0.0/16",  /* link-local */
	"192.0.0.0/24",	   /* protocol assignments */
	"192.0.2.0/24",	   /* documentation */
	"192.88.99.0/24",  /* 6to4 relays, deprecated by RFC 7526 */
	"198.18.0.0/15",   /* benchmarks */
	"198.51.100.0/24", /* documentation */
	"203.0.113.0/24",  /* documentation */
	"224.0.0.0/4",	   /* multicast */
	"240.0.0.0/4",	   /* reserved, and the broadcast */
	"100::/64",	   /* discard-only */
	"2001:2::/48",	   /* benchmarks */
	"2001:10::/28",	   /* ORCHID, returned */
	"2001:db8::/32",   /* documentation */
	"3fff::/20",	   /* documentation, RFC 9637 */
	"fec0::/10",	   /* site-local, deprecated by RFC 3879 */
	"ff00::/8",	   /* multicast */
};

int ch_prefix_list_add_bogons(struct ch_prefix_list *list, uint32_t rule)
{
	int err = 0;

	for (size_t i = 0; i < sizeof(bogons) / sizeof(bogons[0]) && err == 0; i++) {
		struct guard_prefix prefix;

		err = ch_prefix_parse(bogons[i], &prefix);
		if (err == 0)
			err = ch_prefix_list_add(list, &prefix, rule);
	}
	return err;
}
