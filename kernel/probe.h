/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What this kernel and this process's limits offer. Probed, never guessed from version numbers. */
#include <stdbool.h>
#include <stdint.h>

struct ch_probe {
	char release[65];  /**< uname -r */
	int io_uring;	   /**< 0 = a ring with all features we need was made; else negated errno */
	char missing[128]; /**< features of io_uring that are missing, comma separated; "" = none */
	int io_uring_disabled; /**< sysctl kernel.io_uring_disabled (0, 1, 2); -1 = not there */
	/**
	 * Closing a slot of the fixed-file table lets go of its file at once. Kernels before 6.5 or
	 * so wait for every request that began earlier, on any file: with sessions that receive for
	 * weeks, a closed socket would never send its FIN.
	 */
	bool fixed_close;
	bool ktls;	       /**< TCP_ULP "tls" is known to the kernel */
	bool ipv6;	       /**< [::1] can be bound */
	uint64_t nofile;       /**< RLIMIT_NOFILE after raising the soft limit to the hard one */
	uint32_t somaxconn;    /**< cap of every backlog; 0 = unknown */
	bool syncookies;       /**< net.ipv4.tcp_syncookies is not 0 */
};

/** Fills @probe, raises the soft RLIMIT_NOFILE. Makes and frees a small ring; some milliseconds. */
void ch_probe(struct ch_probe *probe);

/** Is net.ipv4.tcp_syncookies not 0 now? It may change any time. */
bool ch_probe_syncookies(void);

/**
 * One sentence that says why io_uring is refused and what to allow (kernel.io_uring_disabled,
 * seccomp profile of a container, SELinux, kernel too old), or NULL when nothing is wrong.
 */
const char *ch_probe_advice(const struct ch_probe *probe);
