/* SPDX-License-Identifier: Apache-2.0 */
#include "probe.h"

#include "ring.h"
#include "sock.h"

#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <unistd.h>

/** The number in a file of /proc/sys, or @otherwise. */
static long read_sysctl(const char *path, long otherwise)
{
	char text[32];
	char *end;
	ssize_t len;
	long value;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return otherwise;
	len = read(fd, text, sizeof(text) - 1);
	close(fd);
	if (len <= 0)
		return otherwise;
	text[len] = '\0';
	errno = 0;
	value = strtol(text, &end, 10);
	return errno == 0 && end != text ? value : otherwise;
}

static void add_missing(struct ch_probe *probe, const char *name)
{
	size_t used = strlen(probe->missing);

	snprintf(probe->missing + used, sizeof(probe->missing) - used, "%s%s", used > 0 ? "," : "",
		 name);
}

static void check_operations(struct ch_probe *probe, struct io_uring *ring)
{
	static const struct {
		int opcode;
		const char *name;
	} needed[] = {
		{IORING_OP_ACCEPT, "accept"}, {IORING_OP_CONNECT, "connect"},
		{IORING_OP_RECV, "recv"},     {IORING_OP_RECVMSG, "recvmsg"},
		{IORING_OP_SEND, "send"},     {IORING_OP_READ, "read"},
		{IORING_OP_CLOSE, "close"},   {IORING_OP_ASYNC_CANCEL, "cancel"},
	};
	struct io_uring_probe *known = io_uring_get_probe_ring(ring);

	for (size_t i = 0; i < sizeof(needed) / sizeof(needed[0]); i++) {
		if (known == NULL || !io_uring_opcode_supported(known, needed[i].opcode))
			add_missing(probe, needed[i].name);
	}
	io_uring_free_probe(known);
}

/** Both registrations as ch_ring_new makes them, at their smallest. */
static void check_registrations(struct ch_probe *probe, struct io_uring *ring)
{
	struct io_uring_buf_reg reg = {.ring_entries = 1};
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	void *memory = NULL;

	if (io_uring_register_files_sparse(ring, 1) != 0)
		add_missing(probe, "fixed-files");
	if (posix_memalign(&memory, page, page) != 0)
		memory = NULL;
	reg.ring_addr = (uint64_t)(uintptr_t)memory;
	if (memory == NULL || io_uring_register_buf_ring(ring, &reg, 0) != 0)
		add_missing(probe, "buffer-ring");
	else
		(void)io_uring_unregister_buf_ring(ring, reg.bgid);
	free(memory);
}

static void ignore(void *ctx, const struct ch_completion *completion)
{
	(void)ctx;
	(void)completion;
}

/** Closes slot 1 while slot 0 receives. @return @peer, its other end, sees it */
static bool close_is_seen(struct ch_ring *ring, int peer)
{
	struct pollfd other = {.fd = peer, .events = POLLIN};

	if (ring->ops->recv(ring, (struct ch_file){0, true}, 1) != 0)
		return false;
	(void)ring->ops->run(ring, 0, 16, ignore, NULL);
	if (ring->ops->close(ring, (struct ch_file){1, true}, 2) != 0)
		return false;
	for (int i = 0; i < 10; i++) {
		(void)ring->ops->run(ring, 1000000, 16, ignore, NULL);
		if (poll(&other, 1, 0) == 1)
			return true;
	}
	return false;
}

static bool probe_fixed_close(void)
{
	const struct ch_ring_options options = {.entries = 8, .fixed_files = 2, .buffers = 2};
	struct ch_ring *ring = NULL;
	int busy[2] = {-1, -1};
	int closed[2] = {-1, -1};
	bool seen = false;

	if (ch_ring_new(&options, &ring) != 0)
		return false;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, busy) == 0 &&
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, closed) == 0 &&
	    ring->ops->install(ring, 0, busy[0]) == 0 &&
	    ring->ops->install(ring, 1, closed[0]) == 0) {
		close(closed[0]);
		closed[0] = -1;
		seen = close_is_seen(ring, closed[1]);
	}
	ring->ops->free(ring);
	for (int i = 0; i < 2; i++) {
		if (busy[i] >= 0)
			close(busy[i]);
		if (closed[i] >= 0)
			close(closed[i]);
	}
	return seen;
}

static void probe_io_uring(struct ch_probe *probe)
{
	struct io_uring_params params = {
		.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN |
			 IORING_SETUP_SUBMIT_ALL | IORING_SETUP_CQSIZE | IORING_SETUP_CLAMP,
		.cq_entries = 64,
	};
	struct io_uring ring;

	probe->io_uring_disabled = (int)read_sysctl("/proc/sys/kernel/io_uring_disabled", -1);
	probe->io_uring = io_uring_queue_init_params(8, &ring, &params);
	/* Unknown flags are EINVAL. Deferred work (6.1) brings multishot recvmsg (6.0) with it. */
	if (probe->io_uring == -EINVAL)
		add_missing(probe, "defer-taskrun");
	if (probe->io_uring != 0)
		return;
	if ((ring.features & IORING_FEAT_EXT_ARG) == 0)
		add_missing(probe, "ext-arg");
	if ((ring.features & IORING_FEAT_NODROP) == 0)
		add_missing(probe, "nodrop");
	if ((ring.features & IORING_FEAT_FAST_POLL) == 0)
		add_missing(probe, "fast-poll");
	check_operations(probe, &ring);
	check_registrations(probe, &ring);
	io_uring_queue_exit(&ring);
	if (probe->missing[0] != '\0')
		probe->io_uring = -EOPNOTSUPP;
}

static bool probe_ktls(void)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool known;

	if (fd < 0)
		return false;
	/* Not being connected is ENOTCONN for a protocol that is known, else it is ENOENT. */
	known = setsockopt(fd, IPPROTO_TCP, TCP_ULP, "tls", sizeof("tls")) == 0 ||
		errno == ENOTCONN;
	close(fd);
	return known;
}

static uint64_t raise_nofile(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
		return 0;
	if (limit.rlim_cur < limit.rlim_max) {
		struct rlimit raised = {.rlim_cur = limit.rlim_max, .rlim_max = limit.rlim_max};

		if (setrlimit(RLIMIT_NOFILE, &raised) == 0)
			limit = raised;
	}
	return limit.rlim_cur;
}

bool ch_probe_syncookies(void)
{
	return read_sysctl("/proc/sys/net/ipv4/tcp_syncookies", 0) != 0;
}

void ch_probe(struct ch_probe *probe)
{
	static const struct ch_address v6_loopback = {.ip = {[15] = 1}, .family = 6};
	struct utsname name;
	long somaxconn;

	memset(probe, 0, sizeof(*probe));
	if (uname(&name) == 0)
		snprintf(probe->release, sizeof(probe->release), "%.64s", name.release);
	probe->nofile = raise_nofile();
	probe_io_uring(probe);
	probe->fixed_close = probe->io_uring == 0 && probe_fixed_close();
	probe->ktls = probe_ktls();
	probe->ipv6 = ch_sock_probe(&v6_loopback) == 0;
	somaxconn = read_sysctl("/proc/sys/net/core/somaxconn", 0);
	probe->somaxconn = somaxconn > 0 && somaxconn <= INT32_MAX ? (uint32_t)somaxconn : 0;
	probe->syncookies = ch_probe_syncookies();
}

static const char *advice_on_eperm(const struct ch_probe *probe)
{
	if (probe->io_uring_disabled == 2)
		return "io_uring is switched off on this machine: set the sysctl "
		       "kernel.io_uring_disabled to 0 (it is 2).";
	if (probe->io_uring_disabled == 1)
		return "io_uring is kept for privileged users here: set the sysctl "
		       "kernel.io_uring_disabled to 0 (it is 1), or put the group of this process "
		       "into kernel.io_uring_group.";
	return "io_uring is forbidden to this process, most likely by the seccomp profile of its "
	       "container or service: allow io_uring_setup, io_uring_enter and io_uring_register.";
}

const char *ch_probe_advice(const struct ch_probe *probe)
{
	switch (-probe->io_uring) {
	case 0:
		return NULL;
	case EPERM:
		return advice_on_eperm(probe);
	case EACCES:
		return "A security module (SELinux?) refuses io_uring to this process: allow its "
		       "domain the classes io_uring and anon_inode [io_uring] (see the audit log).";
	case ENOSYS:
		return "io_uring is not there: the kernel was built without CONFIG_IO_URING, or a "
		       "seccomp profile hides it: allow io_uring_setup, io_uring_enter and "
		       "io_uring_register.";
	case EINVAL:
	case EOPNOTSUPP:
		return "io_uring of this kernel lacks features that are needed: run Linux 6.1 or "
		       "newer.";
	case EMFILE:
	case ENFILE:
		return "No file descriptor is left for io_uring: raise the limit of open files "
		       "(RLIMIT_NOFILE, fs.file-max).";
	case ENOMEM:
		return "No memory for io_uring: raise RLIMIT_MEMLOCK, which all processes of a user "
		       "share (systemd: LimitMEMLOCK=infinity), or the memory limit of this service "
		       "(cgroup).";
	default:
		return "io_uring cannot be set up on this machine for an unknown reason: see the "
		       "error number.";
	}
}
