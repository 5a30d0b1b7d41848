/* SPDX-License-Identifier: Apache-2.0 */
#include "ring.h"

#include "sock.h"

#include <assert.h>
#include <liburing.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#ifndef SOL_TLS
#define SOL_TLS 282
#endif
#ifndef TLS_GET_RECORD_TYPE
#define TLS_GET_RECORD_TYPE 2
#endif

#ifndef TLS_SET_RECORD_TYPE
#define TLS_SET_RECORD_TYPE 1
#endif
#define SOCKET_COMMAND_SETSOCKOPT 3

/** Kernel 6.1 keeps the old head of a group id that is registered again: used once per ring. */
#define BUFFER_GROUP 0
#define BUFFER_BYTES (CH_RING_HEADROOM + CH_RING_PAYLOAD)
/** Buffers start on cache lines. */
#define BUFFER_STRIDE ((BUFFER_BYTES + 63) / 64 * 64)
#define BUFFERS_MAX 32768
/** Kernel 6.1 adds the wait to its clock without a check for overflow. */
#define WAIT_MAX_NS (3600 * 1000000000ULL)
#define CQ_FACTOR 8

_Static_assert(CH_RING_HEADROOM == sizeof(struct io_uring_recvmsg_out) + CMSG_SPACE(1),
	       "the payload lies behind the header and room for one record type");

struct uring {
	struct ch_ring base;
	struct io_uring ring;
	bool ring_made;
	bool overflowed; /**< the completion queue was seen overflown and has not recovered yet */
	bool running;
	struct msghdr receive; /**< the one form of receive: no name, 24 bytes of control */
	struct io_uring_buf_ring *buffer_ring;
	uint8_t *buffers;
	uint8_t *lent; /**< per buffer: the caller holds it */
	uint32_t buffer_count;
	/** One per submission entry: read by the kernel when that entry is submitted. */
	struct sockaddr_storage *addresses;
	uint64_t wake_sink; /**< eventfd counters land here; nobody reads them */
};

static struct uring *uring_of(struct ch_ring *base)
{
	return (struct uring *)(void *)base;
}

/** A free submission entry; a full queue is flushed first. @return NULL and @err if that failed. */
static struct io_uring_sqe *get_sqe(struct uring *u, int *err)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&u->ring);
	int done;

	*err = 0;
	if (sqe != NULL)
		return sqe;
	u->base.counters.sq_full++;
	u->base.counters.enters++;
	done = io_uring_submit(&u->ring);
	sqe = io_uring_get_sqe(&u->ring);
	if (sqe == NULL)
		*err = done < 0 ? done : -EBUSY;
	return sqe;
}

/** After every prep, which clears both fields. */
static void finish(struct io_uring_sqe *sqe, struct ch_file file, uint64_t user_data)
{
	if (file.fixed)
		sqe->flags |= IOSQE_FIXED_FILE;
	io_uring_sqe_set_data64(sqe, user_data);
}

static struct ch_file plain_file(int fd)
{
	return (struct ch_file){.index = fd, .fixed = false};
}

static int op_accept(struct ch_ring *base, int listen_fd, uint64_t user_data)
{
	int err;
	struct io_uring_sqe *sqe = get_sqe(uring_of(base), &err);

	if (sqe == NULL)
		return err;
	io_uring_prep_accept(sqe, listen_fd, NULL, NULL, SOCK_CLOEXEC);
	finish(sqe, plain_file(listen_fd), user_data);
	return 0;
}

static int op_connect(struct ch_ring *base, int fd, const struct ch_address *to, uint64_t user_data)
{
	struct uring *u = uring_of(base);
	struct sockaddr_storage address;
	struct sockaddr_storage *slot;
	struct io_uring_sqe *sqe;
	socklen_t len = ch_sock_encode(to, &address);
	int err;

	if (len == 0)
		return -EAFNOSUPPORT;
	sqe = get_sqe(u, &err);
	if (sqe == NULL)
		return err;
	slot = &u->addresses[sqe - u->ring.sq.sqes];
	*slot = address;
	io_uring_prep_connect(sqe, fd, (const struct sockaddr *)slot, len);
	finish(sqe, plain_file(fd), user_data);
	return 0;
}

static int op_recv_exact(struct ch_ring *base, struct ch_file file, void *into, uint32_t len,
			 uint64_t user_data)
{
	int err;
	struct io_uring_sqe *sqe = get_sqe(uring_of(base), &err);

	if (sqe == NULL)
		return err;
	io_uring_prep_recv(sqe, file.index, into, len, MSG_WAITALL);
	finish(sqe, file, user_data);
	return 0;
}

static uint32_t op_take(struct ch_ring *base, struct ch_file file, void *into, uint32_t len)
{
	ssize_t got;

	(void)base;
	if (file.fixed)
		return 0; /* only the ring can read from a slot */
	got = recv(file.index, into, len, MSG_DONTWAIT);
	return got > 0 ? (uint32_t)got : 0;
}

static int op_recv(struct ch_ring *base, struct ch_file file, uint64_t user_data)
{
	struct uring *u = uring_of(base);
	int err;
	struct io_uring_sqe *sqe = get_sqe(u, &err);

	if (sqe == NULL)
		return err;
	io_uring_prep_recvmsg_multishot(sqe, file.index, &u->receive, 0);
	/* Mostly nothing is there yet when a session is armed: polling first halves the cost. */
	sqe->ioprio |= IORING_RECVSEND_POLL_FIRST;
	sqe->flags |= IOSQE_BUFFER_SELECT;
	sqe->buf_group = BUFFER_GROUP;
	finish(sqe, file, user_data);
	return 0;
}

static int op_send(struct ch_ring *base, struct ch_file file, const void *data, uint32_t len,
		   uint64_t user_data)
{
	int err;
	struct io_uring_sqe *sqe = get_sqe(uring_of(base), &err);

	if (sqe == NULL)
		return err;
	/* Neither zero copy nor MSG_WAITALL: kernel TLS refuses both. */
	io_uring_prep_send(sqe, file.index, data, len, MSG_NOSIGNAL);
	finish(sqe, file, user_data);
	return 0;
}

/** What send_record keeps in the caller's scratch memory. */
struct record_message {
	struct msghdr header;
	struct iovec part;
	_Alignas(struct cmsghdr) uint8_t control[CMSG_SPACE(1)];
};

_Static_assert(sizeof(struct record_message) <= sizeof(struct ch_ring_message), "scratch");

static int op_send_record(struct ch_ring *base, struct ch_file file, uint8_t type, const void *data,
			  uint32_t len, struct ch_ring_message *scratch, uint64_t user_data)
{
	struct record_message *message = (struct record_message *)(void *)scratch;
	struct cmsghdr *cmsg;
	int err;
	struct io_uring_sqe *sqe = get_sqe(uring_of(base), &err);

	if (sqe == NULL)
		return err;
	memset(message, 0, sizeof(*message));
	message->part = (struct iovec){(void *)(uintptr_t)data, len};
	message->header.msg_iov = &message->part;
	message->header.msg_iovlen = 1;
	message->header.msg_control = message->control;
	message->header.msg_controllen = sizeof(message->control);
	cmsg = CMSG_FIRSTHDR(&message->header);
	cmsg->cmsg_level = SOL_TLS;
	cmsg->cmsg_type = TLS_SET_RECORD_TYPE;
	cmsg->cmsg_len = CMSG_LEN(1);
	*CMSG_DATA(cmsg) = type;
	io_uring_prep_sendmsg(sqe, file.index, &message->header, MSG_NOSIGNAL);
	finish(sqe, file, user_data);
	return 0;
}

/**
 * liburing 2.3 does not know socket commands (kernel 6.7). The entry's layout is the kernel's: the
 * command in cmd_op, level and option name in the words of addr, length where splice_fd_in lies,
 * value in addr3.
 */
static int op_rekey(struct ch_ring *base, struct ch_file file, enum ch_ktls_direction direction,
		    const uint8_t *info, uint32_t len, uint64_t user_data)
{
	const uint32_t words[2] = {SOL_TLS, (uint32_t)ch_ktls_option(direction)};
	int err;
	struct io_uring_sqe *sqe = get_sqe(uring_of(base), &err);

	if (sqe == NULL)
		return err;
	io_uring_prep_rw(IORING_OP_URING_CMD, sqe, file.index, NULL, 0, 0);
	sqe->cmd_op = SOCKET_COMMAND_SETSOCKOPT;
	memcpy(&sqe->addr, words, sizeof(words));
	sqe->splice_fd_in = (int32_t)len;
	sqe->addr3 = (uint64_t)(uintptr_t)info;
	finish(sqe, file, user_data);
	return 0;
}

static int op_wake(struct ch_ring *base, int fd, uint64_t user_data)
{
	struct uring *u = uring_of(base);
	int err;
	struct io_uring_sqe *sqe = get_sqe(u, &err);

	if (sqe == NULL)
		return err;
	io_uring_prep_read(sqe, fd, &u->wake_sink, sizeof(u->wake_sink), 0);
	finish(sqe, plain_file(fd), user_data);
	return 0;
}

static int op_cancel(struct ch_ring *base, uint64_t target, uint64_t user_data)
{
	int err;
	struct io_uring_sqe *sqe = get_sqe(uring_of(base), &err);

	if (sqe == NULL)
		return err;
	io_uring_prep_cancel64(sqe, target, IORING_ASYNC_CANCEL_ALL);
	io_uring_sqe_set_data64(sqe, user_data);
	return 0;
}

static int op_close(struct ch_ring *base, struct ch_file file, uint64_t user_data)
{
	int err;
	struct io_uring_sqe *sqe = get_sqe(uring_of(base), &err);

	if (sqe == NULL)
		return err;
	/* A slot is named by its own field, never by IOSQE_FIXED_FILE. */
	if (file.fixed)
		io_uring_prep_close_direct(sqe, (unsigned)file.index);
	else
		io_uring_prep_close(sqe, file.index);
	io_uring_sqe_set_data64(sqe, user_data);
	return 0;
}

static int op_install(struct ch_ring *base, uint32_t slot, int fd)
{
	int updated = io_uring_register_files_update(&uring_of(base)->ring, slot, &fd, 1);

	if (updated < 0)
		return updated;
	return updated == 1 ? 0 : -EBADF;
}

static void offer_buffer(struct uring *u, uint16_t buffer)
{
	io_uring_buf_ring_add(u->buffer_ring, u->buffers + (size_t)buffer * BUFFER_STRIDE,
			      BUFFER_BYTES, buffer, io_uring_buf_ring_mask(u->buffer_count), 0);
	io_uring_buf_ring_advance(u->buffer_ring, 1);
}

static void op_recycle(struct ch_ring *base, uint16_t buffer)
{
	struct uring *u = uring_of(base);

	/* Given back twice, a buffer would belong to two connections. */
	assert(buffer < u->buffer_count && u->lent[buffer]);
	u->lent[buffer] = 0;
	offer_buffer(u, buffer);
}

/** The record type that kernel TLS attaches to every receive; 0 on a plain socket. */
static uint8_t record_type_of(struct uring *u, struct io_uring_recvmsg_out *out)
{
	struct cmsghdr *cmsg = io_uring_recvmsg_cmsg_firsthdr(out, &u->receive);

	if (cmsg == NULL || cmsg->cmsg_level != SOL_TLS || cmsg->cmsg_type != TLS_GET_RECORD_TYPE)
		return 0;
	return *CMSG_DATA(cmsg);
}

/** Only receives take provided buffers, so a completion with a buffer is one. */
static void read_buffer(struct uring *u, const struct io_uring_cqe *cqe, struct ch_completion *c)
{
	uint16_t buffer = (uint16_t)(cqe->flags >> IORING_CQE_BUFFER_SHIFT);
	uint8_t *memory = u->buffers + (size_t)buffer * BUFFER_STRIDE;
	struct io_uring_recvmsg_out *out = NULL;

	assert(buffer < u->buffer_count && !u->lent[buffer]);
	if (cqe->res >= 0) {
		out = io_uring_recvmsg_validate(memory, cqe->res, &u->receive);
		c->result = out != NULL ? 0 : -EBADMSG;
	}
	if (out != NULL) {
		c->payload_len = io_uring_recvmsg_payload_length(out, cqe->res, &u->receive);
		c->result = (int32_t)c->payload_len;
		c->record_type = record_type_of(u, out);
		/* An empty record of kernel TLS has a type; the end of the stream has none. */
		c->end = c->payload_len == 0 && out->controllen == 0;
	}
	if (c->payload_len == 0) {
		offer_buffer(u, buffer);
		return;
	}
	u->lent[buffer] = 1;
	c->buffered = true;
	c->buffer = buffer;
	c->payload = memory + CH_RING_HEADROOM;
}

/** One entry into the kernel: submits, runs deferred work, and waits if nothing is there. */
static int enter(struct uring *u, uint64_t wait_ns)
{
	struct io_uring_cqe *ignored;
	struct __kernel_timespec wait;
	int done;

	u->base.counters.enters++;
	if (wait_ns > WAIT_MAX_NS)
		wait_ns = WAIT_MAX_NS;
	wait.tv_sec = (long long)(wait_ns / 1000000000);
	wait.tv_nsec = (long long)(wait_ns % 1000000000);
	/* With DEFER_TASKRUN completions appear only in an entry that asks for events. */
	if (wait_ns == 0 || io_uring_cq_ready(&u->ring) > 0)
		done = io_uring_submit_and_get_events(&u->ring);
	else
		done = io_uring_submit_and_wait_timeout(
			&u->ring, &ignored, u->base.least > 1 ? u->base.least : 1, &wait, NULL);
	switch (done < 0 ? -done : 0) {
	case ETIME:  /* nothing came in time */
	case EINTR:  /* a signal: the caller looks at its flags */
	case EAGAIN: /* no memory for requests now: they stay queued */
	case EBUSY:  /* the completion queue is full: deliver first */
		return 0;
	default:
		return done < 0 ? done : 0;
	}
}

static void note_overflow(struct uring *u)
{
	bool overflowed = io_uring_cq_has_overflow(&u->ring);

	if (overflowed && !u->overflowed)
		u->base.counters.cq_overflows++;
	u->overflowed = overflowed;
}

static int op_run(struct ch_ring *base, uint64_t wait_ns, unsigned most, ch_completion_fn deliver,
		  void *ctx)
{
	struct uring *u = uring_of(base);
	unsigned delivered = 0;
	int err = 0;

	assert(!u->running);
	/* What an earlier run left in the queue goes out first and needs no system call. */
	if (io_uring_cq_ready(&u->ring) == 0 || io_uring_sq_ready(&u->ring) > 0)
		err = enter(u, wait_ns);
	if (err != 0)
		return err;
	note_overflow(u);
	u->running = true;
	while (delivered < most) {
		struct ch_completion c = {0};
		struct io_uring_cqe *cqe;

		if (io_uring_cq_ready(&u->ring) == 0 || io_uring_peek_cqe(&u->ring, &cqe) != 0)
			break;
		c.user_data = cqe->user_data;
		c.result = cqe->res;
		c.more = (cqe->flags & IORING_CQE_F_MORE) != 0;
		if ((cqe->flags & IORING_CQE_F_BUFFER) != 0)
			read_buffer(u, cqe, &c);
		/* Before the handler runs: it may submit, and that may need the room. */
		io_uring_cqe_seen(&u->ring, cqe);
		u->base.counters.completions++;
		delivered++;
		deliver(ctx, &c);
	}
	u->running = false;
	return (int)delivered;
}

static size_t buffer_ring_bytes(const struct uring *u)
{
	return u->buffer_count * sizeof(struct io_uring_buf);
}

static size_t buffer_bytes(const struct uring *u)
{
	return (size_t)u->buffer_count * BUFFER_STRIDE;
}

/**
 * Leaving a ring cancels in the background. Here it is done before: nothing may write into memory
 * that is gone, and the sockets are let go of at once. A cancelled operation completes in deferred
 * work, of which the kernel does a bounded batch per entry.
 */
static void cancel_all(struct io_uring *ring)
{
	struct io_uring_sync_cancel_reg all = {
		.flags = IORING_ASYNC_CANCEL_ANY | IORING_ASYNC_CANCEL_ALL,
		.timeout = {.tv_sec = 1, .tv_nsec = 0},
	};

	(void)io_uring_register_sync_cancel(ring, &all);
	do {
		io_uring_cq_advance(ring, io_uring_cq_ready(ring));
	} while (io_uring_get_events(ring) >= 0 && io_uring_cq_ready(ring) > 0);
}

static void op_free(struct ch_ring *base)
{
	struct uring *u;

	if (base == NULL)
		return;
	u = uring_of(base);
	if (u->ring_made) {
		cancel_all(&u->ring);
		io_uring_queue_exit(&u->ring);
	}
	if (u->buffer_ring != NULL)
		munmap(u->buffer_ring, buffer_ring_bytes(u));
	if (u->buffers != NULL)
		munmap(u->buffers, buffer_bytes(u));
	free(u->lent);
	free(u->addresses);
	free(u);
}

static const struct ch_ring_ops uring_ops = {
	.accept = op_accept,
	.take = op_take,
	.connect = op_connect,
	.recv_exact = op_recv_exact,
	.recv = op_recv,
	.send = op_send,
	.send_record = op_send_record,
	.rekey = op_rekey,
	.wake = op_wake,
	.cancel = op_cancel,
	.close = op_close,
	.install = op_install,
	.recycle = op_recycle,
	.run = op_run,
	.free = op_free,
};

static int map_memory(size_t bytes, void **memory)
{
	void *mapped =
		mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	*memory = mapped != MAP_FAILED ? mapped : NULL;
	return mapped != MAP_FAILED ? 0 : -errno;
}

/** liburing 2.3 has no helper that registers a buffer ring; this is it. */
static int make_buffers(struct uring *u, uint32_t count)
{
	struct io_uring_buf_reg reg = {.ring_entries = count, .bgid = BUFFER_GROUP};
	void *memory;
	int err;

	if (count == 0)
		return 0;
	if (count > BUFFERS_MAX || (count & (count - 1)) != 0)
		return -EINVAL;
	u->buffer_count = count;
	u->lent = calloc(count, sizeof(*u->lent));
	if (u->lent == NULL)
		return -ENOMEM;
	err = map_memory(buffer_ring_bytes(u), &memory);
	if (err != 0)
		return err;
	u->buffer_ring = memory;
	err = map_memory(buffer_bytes(u), &memory);
	if (err != 0)
		return err;
	u->buffers = memory;
	reg.ring_addr = (uint64_t)(uintptr_t)u->buffer_ring;
	err = io_uring_register_buf_ring(&u->ring, &reg, 0);
	if (err != 0)
		return err;
	io_uring_buf_ring_init(u->buffer_ring);
	for (uint32_t i = 0; i < count; i++)
		offer_buffer(u, (uint16_t)i);
	return 0;
}

int ch_ring_new(const struct ch_ring_options *options, struct ch_ring **ring)
{
	struct io_uring_params params = {
		.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN |
			 IORING_SETUP_SUBMIT_ALL | IORING_SETUP_CQSIZE | IORING_SETUP_CLAMP,
		.cq_entries = options->entries * CQ_FACTOR,
	};
	struct uring *u = calloc(1, sizeof(*u));
	int err = -ENOMEM;

	*ring = NULL;
	if (u == NULL)
		goto out;
	u->base.ops = &uring_ops;
	u->receive.msg_controllen = CMSG_SPACE(1);
	err = io_uring_queue_init_params(options->entries, &u->ring, &params);
	if (err != 0)
		goto out;
	u->ring_made = true;
	/* Saves the look-up of the descriptor in every entry; works without. */
	(void)io_uring_register_ring_fd(&u->ring);
	u->addresses = calloc(u->ring.sq.ring_entries, sizeof(*u->addresses));
	if (u->addresses == NULL) {
		err = -ENOMEM;
		goto out;
	}
	if (options->fixed_files > 0)
		err = io_uring_register_files_sparse(&u->ring, options->fixed_files);
	if (err != 0)
		goto out;
	err = make_buffers(u, options->buffers);
out:
	if (err != 0)
		op_free(u != NULL ? &u->base : NULL);
	else
		*ring = &u->base;
	return err;
}
