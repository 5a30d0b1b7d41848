/* SPDX-License-Identifier: Apache-2.0 */
#include "host.h"

#include <inttypes.h>

void ch_host_warn(const struct ch_probe *probe, const struct ch_config *config,
		  const struct ch_log *log)
{
	if (!probe->syncookies)
		ch_log(log, CH_LOG_WARNING,
		       "event=syn-cookies-off text=\"forged SYNs can keep devices out\" "
		       "fix=\"sysctl net.ipv4.tcp_syncookies=1\"");
	/* listen() takes the number and cuts it without a word. */
	if (probe->somaxconn != 0 && config->backlog > probe->somaxconn)
		ch_log(log, CH_LOG_WARNING,
		       "event=limit-clamped limit=backlog asked=%" PRIu64 " used=%" PRIu32
		       " fix=\"sysctl net.core.somaxconn=%" PRIu64 "\"",
		       config->backlog, probe->somaxconn, config->backlog);
}
