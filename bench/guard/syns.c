/* SPDX-License-Identifier: Apache-2.0 */
#include "syns.h"
#include "user/core/option.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_link.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define FAR_INTERFACE "vb"
enum { ETHERNET = 14, V4_HEADER = 20, V6_HEADER = 40, TCP_HEADER = 20, FRAME_MOST = 80 };

struct syns {
	int fd;
	int counters; /**< /proc/.../net/dev of the far namespace */
	size_t len;
	uint32_t count;
	uint32_t next;
	uint8_t frames[][FRAME_MOST];
};

struct guard_source syns_source(const char *text)
{
	struct guard_source source = {.bytes = {[10] = 0xff, [11] = 0xff}};

	if (inet_pton(AF_INET, text, &source.bytes[12]) == 1 ||
	    inet_pton(AF_INET6, text, source.bytes) == 1)
		return source;
	errx(2, "%s is no address", text);
}

static bool is_v4(const struct guard_source *source)
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

	return memcmp(source, mapped, sizeof(mapped)) == 0;
}

static uint32_t sum16(const uint8_t *bytes, size_t len, uint32_t sum)
{
	for (size_t i = 0; i < len; i += 2)
		sum += (uint32_t)bytes[i] << 8 | bytes[i + 1];
	return sum;
}

static void put_checksum(uint8_t *place, uint32_t sum)
{
	uint16_t folded;

	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	folded = htons((uint16_t)~sum);
	memcpy(place, &folded, sizeof(folded));
}

static void put_tcp(uint8_t *tcp, uint16_t from, uint16_t to, uint32_t pseudo)
{
	const uint16_t ports[2] = {htons(from), htons(to)};

	memcpy(tcp, ports, sizeof(ports));
	tcp[4] = 1; /* sequence number */
	tcp[12] = TCP_HEADER / 4 << 4;
	tcp[13] = 0x02; /* SYN */
	tcp[14] = 0xff; /* window */
	put_checksum(tcp + 16, sum16(tcp, TCP_HEADER, pseudo + TCP_HEADER + IPPROTO_TCP));
}

static size_t make_frame(uint8_t *frame, const struct syns_options *o, uint32_t index)
{
	uint8_t *ip = frame + ETHERNET;
	struct guard_source from = o->from;
	uint16_t port = (uint16_t)(1024 + index % 60000);

	from.bytes[14] = (uint8_t)(from.bytes[14] + (index >> 8));
	from.bytes[15] = (uint8_t)(from.bytes[15] + index);
	memcpy(frame, (uint8_t[6]){2, 0, 0, 0, 0, o->mac}, 6);
	memcpy(frame + 6, (uint8_t[6]){2, 0, 0, 0, 0, SYNS_MAC_FAR}, 6);
	if (is_v4(&o->to)) {
		memcpy(frame + 12, (uint8_t[2]){0x08, 0x00}, 2);
		memcpy(ip,
		       (uint8_t[10]){0x45, 0, 0, V4_HEADER + TCP_HEADER, 0, 0, 0x40, 0, 64,
				     IPPROTO_TCP},
		       10);
		memcpy(ip + 12, &from.bytes[12], 4);
		memcpy(ip + 16, &o->to.bytes[12], 4);
		put_checksum(ip + 10, sum16(ip, V4_HEADER, 0));
		put_tcp(ip + V4_HEADER, port, o->port, sum16(ip + 12, 8, 0));
		return ETHERNET + V4_HEADER + TCP_HEADER;
	}
	memcpy(frame + 12, (uint8_t[2]){0x86, 0xdd}, 2);
	memcpy(ip, (uint8_t[8]){0x60, 0, 0, 0, 0, TCP_HEADER, IPPROTO_TCP, 64}, 8);
	memcpy(ip + 8, &from, 16);
	memcpy(ip + 24, &o->to, 16);
	put_tcp(ip + V6_HEADER, port, o->port, sum16(ip + 8, 32, 0));
	return ETHERNET + V6_HEADER + TCP_HEADER;
}

static int open_proc(int peer, const char *what)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/%s", peer, what);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		err(1, "%s", path);
	return fd;
}

/* @return the namespace to go back to */
static int enter(int peer)
{
	int here = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
	int there = open_proc(peer, "ns/net");

	if (setns(there, CLONE_NEWNET) != 0)
		err(1, "the far network namespace");
	close(there);
	return here;
}

static void leave(int here)
{
	if (setns(here, CLONE_NEWNET) != 0)
		err(1, "the near network namespace");
	close(here);
}

int syns_socket_at(int peer, int domain, int type)
{
	int here = enter(peer);
	int fd = socket(domain, type | SOCK_CLOEXEC, 0);

	if (fd < 0)
		err(1, "a socket of the far network namespace");
	leave(here);
	return fd;
}

int syns_program_at(int peer, int program)
{
	LIBBPF_OPTS(bpf_link_create_opts, native, .flags = XDP_FLAGS_DRV_MODE);
	int here = enter(peer);
	int link = bpf_link_create(program, (int)if_nametoindex(FAR_INTERFACE), BPF_XDP, &native);

	if (link < 0)
		err(1, "%s takes no XDP program", FAR_INTERFACE);
	leave(here);
	return link;
}

static void bind_to_interface(int fd)
{
	struct ifreq request = {.ifr_name = FAR_INTERFACE};
	struct sockaddr_ll at = {.sll_family = AF_PACKET};
	const int one = 1;

	if (ioctl(fd, SIOCGIFINDEX, &request) != 0)
		err(1, "%s", FAR_INTERFACE);
	at.sll_ifindex = request.ifr_ifindex;
	if (bind(fd, (struct sockaddr *)&at, sizeof(at)) != 0 ||
	    setsockopt(fd, SOL_PACKET, PACKET_QDISC_BYPASS, &one, sizeof(one)) != 0)
		err(1, "%s", FAR_INTERFACE);
}

struct syns *syns_open(const struct syns_options *options)
{
	struct syns *syns = calloc(1, sizeof(*syns) + options->sources * sizeof(syns->frames[0]));

	if (syns == NULL)
		err(1, NULL);
	syns->count = options->sources;
	for (uint32_t i = 0; i < syns->count; i++)
		syns->len = make_frame(syns->frames[i], options, i);
	syns->fd = syns_socket_at(options->peer, AF_PACKET, SOCK_RAW);
	bind_to_interface(syns->fd);
	syns->counters = open_proc(options->peer, "net/dev");
	return syns;
}

void syns_close(struct syns *syns)
{
	close(syns->fd);
	close(syns->counters);
	free(syns);
}

void syns_send(struct syns *syns, uint64_t count)
{
	for (uint64_t i = 0; i < count; i++) {
		if (send(syns->fd, syns->frames[syns->next], syns->len, 0) < 0)
			sched_yield(); /* the receiver's turn: its queue is full */
		syns->next = syns->next + 1 == syns->count ? 0 : syns->next + 1;
	}
}

uint64_t syns_lost(struct syns *syns)
{
	uint64_t lost = 0;
	char text[4096];
	ssize_t len = pread(syns->counters, text, sizeof(text) - 1, 0);
	char *word;
	char *rest;

	text[len > 0 ? len : 0] = '\0';
	word = strstr(text, FAR_INTERFACE ":");
	/* The name, eight columns of what was received, then bytes, packets, errors, dropped. */
	for (int i = 0; i < 13 && word != NULL; i++)
		word = i == 0 ? strtok_r(word, " ", &rest) : strtok_r(NULL, " ", &rest);
	if (word == NULL || ch_parse_uint(word, 0, UINT64_MAX, &lost) != 0)
		errx(1, "no counters of %s", FAR_INTERFACE);
	return lost;
}
