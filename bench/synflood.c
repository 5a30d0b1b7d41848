/* SPDX-License-Identifier: Apache-2.0 */
#include "synflood.h"

#include "kernel/sock.h"

#include <errno.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define NEAR "callhome-near" /* the end in the caller's namespace */
#define FAR "callhome-far"
#define NEAR_MAC                                                                                   \
	{                                                                                          \
		0x02, 0, 0, 0, 0, 1                                                                \
	}
#define FAR_MAC                                                                                    \
	{                                                                                          \
		0x02, 0, 0, 0, 0, 2                                                                \
	}
/* SIM_SYNFLOOD_ADDRESS, _SOURCE and _SPOOFED as numbers */
#define TARGET 0xc6120001u
#define SOURCE 0xc6120101u
#define SPOOFED 0xc6130000u
#define TICK_NS 1000000ull
#define BATCH 256 /* frames between two looks at the clock */
#define SCRIPT_BYTES 1024

static void put16(uint8_t *at, uint16_t value)
{
	at[0] = (uint8_t)(value >> 8);
	at[1] = (uint8_t)value;
}

static void put32(uint8_t *at, uint32_t value)
{
	put16(at, (uint16_t)(value >> 16));
	put16(at + 2, (uint16_t)value);
}

/* RFC 1071 */
static uint16_t checksum(const uint8_t *data, size_t len, uint32_t sum)
{
	for (size_t i = 0; i + 1 < len; i += 2)
		sum += (uint32_t)data[i] << 8 | data[i + 1];
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

void sim_syn_frame(uint8_t frame[SIM_SYN_FRAME], uint32_t source, uint16_t source_port,
		   uint32_t target, uint16_t port, uint32_t sequence)
{
	static const uint8_t near_mac[6] = NEAR_MAC, far_mac[6] = FAR_MAC;
	uint8_t *ip = frame + ETHER_HDR_LEN, *tcp = ip + 20;

	memset(frame, 0, SIM_SYN_FRAME);
	memcpy(frame, near_mac, 6);
	memcpy(frame + 6, far_mac, 6);
	put16(frame + 12, ETHERTYPE_IP);
	ip[0] = 0x45;
	put16(ip + 2, 40);
	ip[8] = 64;
	ip[9] = IPPROTO_TCP;
	put32(ip + 12, source);
	put32(ip + 16, target);
	put16(ip + 10, checksum(ip, 20, 0));
	put16(tcp, source_port);
	put16(tcp + 2, port);
	put32(tcp + 4, sequence);
	tcp[12] = 5 << 4;
	tcp[13] = 0x02; /* SYN */
	put16(tcp + 14, 64240);
	/* the pseudo header: both addresses, protocol, length */
	uint32_t pseudo = (source >> 16) + (source & 0xffff) + (target >> 16) + (target & 0xffff) +
			  IPPROTO_TCP + 20;
	put16(tcp + 16, checksum(tcp, 20, pseudo));
}

static int fail(char error[SIM_SYNFLOOD_ERROR], int err, const char *what)
{
	snprintf(error, SIM_SYNFLOOD_ERROR, "%s: %s", what, ch_error_text(err));
	return err;
}

static int loopback_up(void)
{
	struct ifreq request = {.ifr_name = "lo"};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int err = fd < 0 ? -errno : 0;

	if (!err && ioctl(fd, SIOCGIFFLAGS, &request) < 0)
		err = -errno;
	request.ifr_flags = (short)(request.ifr_flags | IFF_UP);
	if (!err && ioctl(fd, SIOCSIFFLAGS, &request) < 0)
		err = -errno;
	if (fd >= 0)
		close(fd);
	return err;
}

int sim_own_network(void)
{
	if (unshare(CLONE_NEWNET) != 0)
		return -errno;
	return loopback_up();
}

/* Nothing but the loopback may be here: whatever else there is could carry frames to others. */
static int check_namespace(char error[SIM_SYNFLOOD_ERROR])
{
	struct if_nameindex *all = if_nameindex();
	int err = all ? 0 : -errno;

	for (struct if_nameindex *at = all; at && at->if_index != 0 && !err; at++) {
		if (strcmp(at->if_name, "lo") == 0)
			continue;
		snprintf(
			error, SIM_SYNFLOOD_ERROR,
			"raw floods run only where the loopback is the only interface, and here is "
			"%.16s: use callhome-sim resilience, or a namespace of your own "
			"(unshare --net, ip netns exec)",
			at->if_name);
		err = CH_E_STATE;
	}
	if (!all)
		(void)fail(error, err, "the interfaces cannot be listed");
	if_freenameindex(all);
	return err;
}

/* Feeds @script to ip -batch. */
static int run_ip(const char *script)
{
	char *const argv[] = {(char *)"ip", (char *)"-batch", (char *)"-", NULL};
	posix_spawn_file_actions_t actions;
	int ends[2], status = 0;
	pid_t pid;

	if (pipe(ends) != 0)
		return -errno;
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, ends[0], STDIN_FILENO);
	posix_spawn_file_actions_addclose(&actions, ends[1]);
	int err = -posix_spawnp(&pid, "ip", &actions, NULL, argv, environ);
	posix_spawn_file_actions_destroy(&actions);
	close(ends[0]);
	/* shorter than a pipe takes without a reader */
	ssize_t len = (ssize_t)strlen(script);
	if (!err && write(ends[1], script, (size_t)len) != len)
		err = -EIO;
	close(ends[1]);
	if (err)
		return err;
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		continue;
	return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -EIO;
}

/* The far end and every source are behind one neighbour, so that the kernel resolves nothing. */
static int make_pair(pid_t flooder)
{
	static const uint8_t near_mac[6] = NEAR_MAC, far_mac[6] = FAR_MAC;
	char script[SCRIPT_BYTES], macs[2][18];
	const uint8_t *from[2] = {near_mac, far_mac};

	for (int i = 0; i < 2; i++)
		snprintf(macs[i], sizeof(macs[i]), "%02x:%02x:%02x:%02x:%02x:%02x", from[i][0],
			 from[i][1], from[i][2], from[i][3], from[i][4], from[i][5]);
	snprintf(script, sizeof(script),
		 "link add " NEAR " address %s type veth peer name " FAR " address %s netns %d\n"
		 "address add " SIM_SYNFLOOD_ADDRESS "/30 dev " NEAR "\n"
		 "link set " NEAR " up\n"
		 "neighbour replace 198.18.0.2 lladdr %s dev " NEAR "\n"
		 "route add 198.18.0.0/15 via 198.18.0.2 dev " NEAR "\n",
		 macs[0], macs[1], (int)flooder, macs[1]);
	return run_ip(script);
}

static int interface_flags_up(int fd, const char *name)
{
	struct ifreq request = {0};

	snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", name);
	request.ifr_flags = IFF_UP;
	return ioctl(fd, SIOCSIFFLAGS, &request) == 0 ? 0 : -errno;
}

static int open_interface(int *fd)
{
	const int on = 1;

	*fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	if (*fd < 0)
		return -errno;
	int err = interface_flags_up(*fd, FAR);
	const struct sockaddr_ll address = {.sll_family = AF_PACKET,
					    .sll_ifindex = (int)if_nametoindex(FAR)};
	if (!err && bind(*fd, (const struct sockaddr *)&address, sizeof(address)) != 0)
		err = -errno;
	/* past the queue of the interface: the sender does the receiver's work too */
	if (!err && setsockopt(*fd, SOL_PACKET, PACKET_QDISC_BYPASS, &on, sizeof(on)) != 0)
		err = -errno;
	return err;
}

/* Frames that the far end received: the third line of the table, and the second number in it. */
static uint64_t count_received(void)
{
	FILE *file = fopen("/proc/thread-self/net/dev", "re");
	unsigned long long packets = 0;
	char line[512];

	while (file && fgets(line, sizeof(line), file)) {
		char *at = strstr(line, FAR ":");
		if (!at)
			continue;
		(void)strsep(&at, ":");
		at += strspn(at, " ");
		at += strcspn(at, " ");
		at += strspn(at, " ");
		for (; *at >= '0' && *at <= '9'; at++)
			packets = packets * 10 + (unsigned)(*at - '0');
	}
	if (file)
		fclose(file);
	return packets;
}

static uint32_t next_random(uint64_t *state)
{
	/* xorshift64: other sources, no secrets */
	uint64_t x = *state;

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	*state = x;
	return (uint32_t)(x >> 16);
}

static bool send_one(int fd, const struct sim_synflood_options *options, uint64_t *state)
{
	uint8_t frame[SIM_SYN_FRAME];
	uint32_t random = next_random(state);
	uint32_t source = options->spoofed ? SPOOFED | (random & 0xffff) : SOURCE;

	sim_syn_frame(frame, source, (uint16_t)(1024 + next_random(state) % 64000), TARGET,
		      options->port, random);
	return send(fd, frame, sizeof(frame), 0) == (ssize_t)sizeof(frame);
}

/* How many frames may have been sent by now. */
static uint64_t allowed(const struct sim_synflood_options *options, uint64_t elapsed_ns)
{
	if (options->rate == 0)
		return SIM_SYNFLOOD_FRAMES;
	uint64_t frames = (uint64_t)((double)elapsed_ns / 1e9 * (double)options->rate);
	return frames < SIM_SYNFLOOD_FRAMES ? frames : SIM_SYNFLOOD_FRAMES;
}

static void send_frames(int fd, const struct sim_synflood_options *options,
			struct sim_synflood_result *result)
{
	const struct timespec tick = {0, (long)TICK_NS};
	uint64_t start_ns = ch_now_ns(), now_ns = start_ns, state = start_ns | 1;
	struct rusage usage;

	while (now_ns - start_ns < options->duration_ns && result->sent < SIM_SYNFLOOD_FRAMES) {
		uint64_t most = allowed(options, now_ns - start_ns);
		if (result->sent >= most)
			nanosleep(&tick, NULL);
		for (int i = 0; i < BATCH && result->sent < most; i++)
			result->sent += send_one(fd, options, &state);
		now_ns = ch_now_ns();
	}
	result->seconds = (double)(now_ns - start_ns) / 1e9;
	result->answered = count_received();
	if (getrusage(RUSAGE_SELF, &usage) == 0)
		result->cpu_s = (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
				(double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

/* The child: says that its namespace is there, waits for its end of the pair, floods, reports. */
static void flood(const struct sim_synflood_options *options, int from_parent, int to_parent)
{
	struct sim_synflood_result result = {0};
	char word;
	int fd = -1;

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	int err = unshare(CLONE_NEWNET) == 0 ? 0 : -errno;
	if (write(to_parent, &err, sizeof(err)) != (ssize_t)sizeof(err) || err ||
	    read(from_parent, &word, 1) != 1)
		_exit(1);
	err = open_interface(&fd);
	if (!err)
		send_frames(fd, options, &result);
	bool told = write(to_parent, &err, sizeof(err)) == (ssize_t)sizeof(err) &&
		    write(to_parent, &result, sizeof(result)) == (ssize_t)sizeof(result);
	_exit(told ? 0 : 1);
}

static int read_int(int fd)
{
	int err;

	return read(fd, &err, sizeof(err)) == (ssize_t)sizeof(err) ? err : -EPIPE;
}

static int follow(pid_t child, int to_child, int from_child, struct sim_synflood_result *result,
		  char error[SIM_SYNFLOOD_ERROR])
{
	int err = read_int(from_child);

	if (err == -EPERM) {
		snprintf(error, SIM_SYNFLOOD_ERROR,
			 "raw floods need root (CAP_SYS_ADMIN, CAP_NET_ADMIN) for a network "
			 "namespace of their own");
		return err;
	}
	if (err)
		return fail(error, err, "no network namespace for the flood");
	err = make_pair(child);
	if (err)
		return fail(error, err, "no veth pair (the ip command of package iproute2)");
	if (write(to_child, "", 1) != 1)
		err = -EPIPE;
	if (!err)
		err = read_int(from_child);
	if (!err && read(from_child, result, sizeof(*result)) != (ssize_t)sizeof(*result))
		err = -EPIPE;
	return err ? fail(error, err, "the flood failed") : 0;
}

/* The next flood makes the same pair. */
static void wait_gone(void)
{
	const struct timespec tick = {0, 10 * (long)TICK_NS};

	for (int i = 0; i < 500 && if_nametoindex(NEAR) != 0; i++)
		nanosleep(&tick, NULL);
}

int sim_synflood(const struct sim_synflood_options *options, struct sim_synflood_result *result,
		 char error[SIM_SYNFLOOD_ERROR])
{
	int down[2], up[2];
	int err = check_namespace(error);

	memset(result, 0, sizeof(*result));
	if (err)
		return err;
	if (pipe(down) != 0)
		return fail(error, -errno, "no pipe");
	if (pipe(up) != 0) {
		err = -errno;
		close(down[0]);
		close(down[1]);
		return fail(error, err, "no pipe");
	}
	pid_t child = fork();
	if (child == 0) {
		close(down[1]);
		close(up[0]);
		flood(options, down[0], up[1]);
	}
	err = child < 0 ? -errno : 0;
	close(down[0]);
	close(up[1]);
	err = err ? fail(error, err, "no process for the flood")
		  : follow(child, down[1], up[0], result, error);
	close(down[1]);
	close(up[0]);
	if (child > 0) {
		(void)kill(child, SIGKILL);
		while (waitpid(child, NULL, 0) < 0 && errno == EINTR)
			continue;
		/* its namespace takes the far end along, and that the near one: some time later */
		wait_gone();
	}
	return err;
}
