/* SPDX-License-Identifier: Apache-2.0 */
#include "call.h"

#include "kernel/sock.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#define LOWEST_PORT 1024 /* that needs no privilege */

static int source_of(struct sim_fleet *fleet, const struct call *call, struct ch_address *source)
{
	const struct ch_address *base = &fleet->options.source;
	uint32_t offset = call->device.index;

	*source = *base;
	source->port = fleet->options.source_port;
	if (fleet->options.any_source_port)
		source->port = (uint16_t)(LOWEST_PORT + sim_random(fleet, 65536 - LOWEST_PORT));
	if (base->family == 0)
		return 0;
	if (fleet->options.attack)
		offset = call->number % fleet->options.attack->sources;
	else if (call->device.impostor)
		offset += sim_pki_devices(fleet->options.pki);
	uint32_t host = (uint32_t)base->ip[1] << 16 | (uint32_t)base->ip[2] << 8 | base->ip[3];
	host += offset;
	source->ip[1] = (uint8_t)(host >> 16);
	source->ip[2] = (uint8_t)(host >> 8);
	source->ip[3] = (uint8_t)host;
	return host > 0xfffffe ? CH_E_RANGE : 0;
}

/* RFC 8071 S7: a persistent connection is tested for liveness by the device, here by TCP. */
static int keep_alive(const struct sim_fleet *fleet, int fd)
{
	const int on = 1, idle = (int)(fleet->options.keepalive_ns / 1000000000);
	const int interval = idle / 4 > 0 ? idle / 4 : 1;

	if (idle == 0)
		return 0;
	if (ch_sys.setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on)) != 0 ||
	    ch_sys.setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof(idle)) != 0 ||
	    ch_sys.setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval, sizeof(interval)) != 0)
		return -errno;
	return 0;
}

int call_socket(struct sim_fleet *fleet, const struct call *call, int *fd)
{
	const struct ch_address *target = &fleet->options.targets[call->target];
	struct ch_address source;
	int err = source_of(fleet, call, &source);

	*fd = -1;
	if (!err && source.family == 0 && (target->family == 6 || source.port != 0))
		source.family = target->family;
	if (!err)
		err = ch_sock_dial(source.family ? &source : NULL, fd);
	if (!err)
		err = keep_alive(fleet, *fd);
	if (err && *fd >= 0) {
		ch_sock_close(*fd);
		*fd = -1;
	}
	return err;
}
