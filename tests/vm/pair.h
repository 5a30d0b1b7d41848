/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* TCP over the loopback: the kernel's TLS takes no socketpair. */

struct pair {
	int far, near; /**< the device's end, the collector's end */
};

/** Ends the program where there is no connection to be had. */
struct pair pair_new(void);
void pair_free(struct pair pair);
