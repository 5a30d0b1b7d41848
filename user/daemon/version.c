/* SPDX-License-Identifier: Apache-2.0 */
#include "version.h"
#include "kernel/probe.h"
#include "options.h"
#include "user/collector/about.h"

#include <callhome/callhome.h>
#include <inttypes.h>
#include <stdio.h>

static const char *yes(bool offered)
{
	return offered ? "yes" : "no";
}

static void print_kernel(void)
{
	struct ch_probe probe;
	const char *advice;

	ch_probe(&probe);
	advice = ch_probe_advice(&probe);
	printf("kernel %s\n", probe.release);
	if (probe.io_uring == 0)
		printf("  io_uring: yes\n");
	else
		printf("  io_uring: no (%s)\n", advice != NULL ? advice
							       : ch_error_text(probe.io_uring));
	printf("  sessions without descriptors: %s\n", yes(probe.fixed_close));
	printf("  TLS in the kernel: %s\n", yes(probe.ktls));
	printf("  IPv6: %s\n", yes(probe.ipv6));
	printf("  files per process: %" PRIu64 "\n", probe.nofile);
	printf("  longest backlog: %" PRIu32 "\n", probe.somaxconn);
	printf("  SYN cookies: %s\n", yes(probe.syncookies));
}

int daemon_version(void)
{
	struct ch_buf libraries = {0};
	int err = ch_about_libraries(&libraries);

	if (err == 0) {
		printf("%s\n%.*s", ch_version(), (int)libraries.len, (const char *)libraries.data);
		print_kernel();
	}
	ch_buf_deinit(&libraries);
	return err == 0 && fflush(stdout) == 0 ? 0 : EXIT_FAILED;
}
