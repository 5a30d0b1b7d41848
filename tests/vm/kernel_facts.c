/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What this kernel does with TLS records and with io_uring, as far as callhome builds on it: lines
 * of NAME, tab, VALUE for the table in docs/kernels.md. Bare system calls and throw-away keys on
 * loopback pairs, nothing of the project, so that the table shows the kernel and not our use of it.
 */
#include "pair.h"

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <linux/tls.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/utsname.h>
#include <unistd.h>

#define TRACING "/sys/kernel/tracing/"
#define COPY "skb_copy_datagram_iter" /* what copies a received skb to user space */
#define HEADROOM 40		      /* io_uring_recvmsg_out (16) and a control message (24) */
#define RECORD 16384
#define BUFFERS 8
#define TX_MAX_PAYLOAD_LEN 5 /* TLS_TX_MAX_PAYLOAD_LEN, newer than the headers */
#define CMD_SETSOCKOPT 3     /* SOCKET_URING_OP_SETSOCKOPT, likewise */
#define WAIT_MS 1000

static struct io_uring ring;
static struct io_uring_buf_ring *buffer_ring;
static uint8_t buffers[BUFFERS][HEADROOM + RECORD];
static uint8_t data[RECORD];

struct cipher {
	const char *name;
	uint16_t type;
	socklen_t bytes;
};

static const struct cipher ciphers[] = {
	{"AES-128-GCM", TLS_CIPHER_AES_GCM_128, sizeof(struct tls12_crypto_info_aes_gcm_128)},
	{"AES-256-GCM", TLS_CIPHER_AES_GCM_256, sizeof(struct tls12_crypto_info_aes_gcm_256)},
	{"ChaCha20-Poly1305", TLS_CIPHER_CHACHA20_POLY1305,
	 sizeof(struct tls12_crypto_info_chacha20_poly1305)},
};

static void fact(const char *name, const char *value)
{
	printf("%s\t%s\n", name, value);
	fflush(stdout);
}

/* 0 or more is yes, else the name of the error. */
static const char *outcome(int result)
{
	const char *name = result < 0 ? strerrorname_np(-result) : "yes";

	return name ? name : "unknown error";
}

/* ---- sockets ---- */

static int set_ulp(int fd)
{
	return setsockopt(fd, IPPROTO_TCP, TCP_ULP, "tls", sizeof("tls")) == 0 ? 0 : -errno;
}

/* The same throw-away key for both ends. */
static int set_key(int fd, int direction, uint16_t version, const struct cipher *cipher)
{
	uint8_t info[sizeof(struct tls12_crypto_info_aes_gcm_256)];
	struct tls_crypto_info head = {.version = version, .cipher_type = cipher->type};

	memset(info, 0x11, sizeof(info));
	memcpy(info, &head, sizeof(head));
	return setsockopt(fd, SOL_TLS, direction, info, cipher->bytes) == 0 ? 0 : -errno;
}

static int open_tls(struct pair pair, uint16_t version, const struct cipher *cipher)
{
	int result = set_ulp(pair.far);

	if (result == 0)
		result = set_ulp(pair.near);
	if (result == 0)
		result = set_key(pair.far, TLS_TX, version, cipher);
	if (result == 0)
		result = set_key(pair.near, TLS_RX, version, cipher);
	return result;
}

static void send_record(int fd, uint8_t type, size_t len)
{
	uint8_t control[CMSG_SPACE(1)] = {0};
	struct iovec iov = {data, len};
	struct msghdr message = {.msg_iov = &iov,
				 .msg_iovlen = 1,
				 .msg_control = control,
				 .msg_controllen = sizeof(control)};
	struct cmsghdr *header = CMSG_FIRSTHDR(&message);

	header->cmsg_level = SOL_TLS;
	header->cmsg_type = TLS_SET_RECORD_TYPE;
	header->cmsg_len = CMSG_LEN(1);
	*CMSG_DATA(header) = type;
	if (sendmsg(fd, &message, 0) != (ssize_t)len)
		warn("send of a record of type %u", type);
}

/* ---- the ring ---- */

/* @return 0, or why there is no ring as the collector needs it */
static int ring_new(void)
{
	struct io_uring_params params = {.flags = IORING_SETUP_SINGLE_ISSUER |
						  IORING_SETUP_DEFER_TASKRUN};
	struct io_uring_buf_reg reg = {.ring_entries = BUFFERS};
	int result = io_uring_queue_init_params(64, &ring, &params);

	if (result != 0)
		return result;
	if (posix_memalign((void **)&buffer_ring, 4096, 4096) != 0)
		errx(1, "memory");
	reg.ring_addr = (uintptr_t)buffer_ring;
	result = io_uring_register_buf_ring(&ring, &reg, 0);
	if (result == 0)
		result = io_uring_register_files_sparse(&ring, 16);
	io_uring_buf_ring_init(buffer_ring);
	for (int i = 0; i < BUFFERS; i++)
		io_uring_buf_ring_add(buffer_ring, buffers[i], sizeof(buffers[i]), (uint16_t)i,
				      io_uring_buf_ring_mask(BUFFERS), i);
	io_uring_buf_ring_advance(buffer_ring, BUFFERS);
	return result;
}

/* The next completion, or -ETIME. */
static int next(struct io_uring_cqe *copy)
{
	struct __kernel_timespec wait = {.tv_sec = WAIT_MS / 1000};
	struct io_uring_cqe *cqe;
	int result = io_uring_submit_and_wait_timeout(&ring, &cqe, 1, &wait, NULL);

	if (result < 0 && io_uring_cq_ready(&ring) == 0)
		return result;
	if (io_uring_peek_cqe(&ring, &cqe) != 0)
		return -ETIME;
	*copy = *cqe;
	io_uring_cqe_seen(&ring, cqe);
	return 0;
}

/* Runs what was prepared. @return its result; notifications of zero copy are swallowed */
static int complete(void)
{
	struct io_uring_cqe cqe;
	struct io_uring_cqe notification;
	int result = next(&cqe);

	if (result == 0 && (cqe.flags & IORING_CQE_F_MORE) != 0)
		(void)!next(&notification);
	return result != 0 ? result : cqe.res;
}

struct received {
	int result;   /**< 0, or a negated errno */
	uint8_t type; /**< of the record; 0 = none was told */
	size_t len;
};

/* Reads a completion of a multishot RECVMSG and gives its buffer back. */
static struct received received(const struct msghdr *shape)
{
	struct received got = {.result = 0};
	struct io_uring_recvmsg_out *out;
	struct cmsghdr *header;
	struct io_uring_cqe cqe;
	unsigned id;

	got.result = next(&cqe);
	if (got.result == 0 && cqe.res < 0)
		got.result = cqe.res;
	if (got.result != 0 || (cqe.flags & IORING_CQE_F_BUFFER) == 0)
		return got;
	id = cqe.flags >> IORING_CQE_BUFFER_SHIFT;
	out = io_uring_recvmsg_validate(buffers[id], cqe.res, (struct msghdr *)shape);
	if (out == NULL) {
		got.result = -EBADMSG;
		return got;
	}
	got.len = io_uring_recvmsg_payload_length(out, cqe.res, (struct msghdr *)shape);
	header = io_uring_recvmsg_cmsg_firsthdr(out, (struct msghdr *)shape);
	if (header != NULL && header->cmsg_level == SOL_TLS)
		got.type = *CMSG_DATA(header);
	io_uring_buf_ring_add(buffer_ring, buffers[id], sizeof(buffers[id]), (uint16_t)id,
			      io_uring_buf_ring_mask(BUFFERS), 0);
	io_uring_buf_ring_advance(buffer_ring, 1);
	return got;
}

static void arm(int fd, const struct msghdr *shape)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);

	io_uring_prep_recvmsg_multishot(sqe, fd, (struct msghdr *)shape, 0);
	sqe->flags |= IOSQE_BUFFER_SELECT;
	sqe->user_data = 1;
	io_uring_submit(&ring);
}

/* Ends what is armed, and drops what it still had to say. */
static void disarm(void)
{
	struct io_uring_cqe cqe;

	io_uring_prep_cancel64(io_uring_get_sqe(&ring), 0,
			       IORING_ASYNC_CANCEL_ANY | IORING_ASYNC_CANCEL_ALL);
	io_uring_submit(&ring);
	usleep(20000);
	while (io_uring_get_events(&ring) >= 0 && io_uring_cq_ready(&ring) > 0 && next(&cqe) == 0)
		;
}

/* ---- the facts of TLS ---- */

static const struct msghdr shape = {.msg_controllen = CMSG_SPACE(1)};

/* A record of data and one of the handshake, sealed, opened and told apart. */
static void facts_of_cipher(uint16_t version, const struct cipher *cipher)
{
	struct pair pair = pair_new();
	struct received first = {.result = 0}, second = {.result = 0};
	char name[64];
	const char *value = NULL;
	int result = open_tls(pair, version, cipher);

	snprintf(name, sizeof(name), "TLS 1.%d %s", version == TLS_1_3_VERSION ? 3 : 2,
		 cipher->name);
	if (result != 0) {
		value = outcome(result);
	} else {
		send_record(pair.far, 23, 200);
		send_record(pair.far, 22, 5);
		arm(pair.near, &shape);
		first = received(&shape);
		second = received(&shape);
		disarm();
		if (first.result != 0 || second.result != 0)
			value = outcome(first.result != 0 ? first.result : second.result);
		else if (first.type != 23 || first.len != 200 || second.type != 22 ||
			 second.len != 5)
			value = "wrong";
		else
			value = "yes";
	}
	fact(name, value);
	pair_free(pair);
}

static void facts_of_options(void)
{
	const struct cipher *cipher = &ciphers[0];
	struct pair pair = pair_new();
	uint16_t payload = 512;
	int on = 1;
	int result = open_tls(pair, TLS_1_3_VERSION, cipher);

	if (result == 0 &&
	    setsockopt(pair.near, SOL_TLS, TLS_RX_EXPECT_NO_PAD, &on, sizeof(on)) != 0)
		result = -errno;
	fact("TLS_RX_EXPECT_NO_PAD", outcome(result));
	result = set_key(pair.near, TLS_RX, TLS_1_3_VERSION, cipher);
	fact("rekey: TLS_RX a second time (TLS 1.3)", outcome(result));
	result = set_key(pair.far, TLS_TX, TLS_1_3_VERSION, cipher);
	fact("rekey: TLS_TX a second time (TLS 1.3)", outcome(result));
	result = 0;
	if (setsockopt(pair.far, SOL_TLS, TX_MAX_PAYLOAD_LEN, &payload, sizeof(payload)) != 0)
		result = -errno;
	fact("TLS_TX_MAX_PAYLOAD_LEN", outcome(result));
	pair_free(pair);
}

/*
 * "a" with 16 bytes of padding, then "b", under the throw-away key. Where the kernel decrypts into
 * the caller's buffer and finds padding behind the text, it begins again.
 */
static void fact_of_padding(void)
{
	static const uint8_t records[] = {
		0x17, 0x03, 0x03, 0x00, 0x22, 0x47, 0x1f, 0x89, 0x63, 0xf0, 0x2c, 0xdb, 0x95,
		0x96, 0x26, 0xcd, 0xb1, 0xe4, 0x44, 0x6c, 0x99, 0x60, 0xaf, 0x53, 0xb4, 0x66,
		0xfd, 0x21, 0xc7, 0x2e, 0x14, 0xcc, 0x3b, 0xab, 0xe1, 0x67, 0xab, 0x94, 0x67,
		0x17, 0x03, 0x03, 0x00, 0x12, 0x7a, 0x31, 0x65, 0x59, 0x9d, 0xf7, 0x04, 0x01,
		0x32, 0x21, 0xb3, 0x09, 0x0f, 0x25, 0xda, 0x3f, 0x8c, 0xd6,
	};
	struct pair pair = pair_new();
	char text[128] = {0};
	int on = 1;
	int result = set_ulp(pair.near);
	ssize_t got = 0;

	if (result == 0)
		result = set_key(pair.near, TLS_RX, TLS_1_3_VERSION, &ciphers[0]);
	if (result == 0 &&
	    setsockopt(pair.near, SOL_TLS, TLS_RX_EXPECT_NO_PAD, &on, sizeof(on)) != 0)
		result = -errno;
	if (result == 0 && send(pair.far, records, sizeof(records), 0) < 0)
		result = -errno;
	usleep(20000);
	while (result == 0 && got < 2) {
		ssize_t len = recv(pair.near, text + got, sizeof(text) - (size_t)got, MSG_DONTWAIT);

		if (len <= 0)
			break;
		got += len;
	}
	fact("the record behind a padded one, NO_PAD", result != 0		 ? outcome(result)
						       : strcmp(text, "ab") == 0 ? "right"
										 : "wrong bytes");
	pair_free(pair);
}

/* Half a KeyUpdate, then data: does the kernel wait for a key already? */
static void fact_of_half_update(void)
{
	struct pair pair = pair_new();
	struct received first = {.result = 0}, second = {.result = 0};
	int result = open_tls(pair, TLS_1_3_VERSION, &ciphers[0]);

	if (result == 0) {
		data[0] = 24;
		send_record(pair.far, 22, 3);
		data[0] = 0;
		send_record(pair.far, 23, 1);
		arm(pair.near, &shape);
		first = received(&shape);
		second = received(&shape);
		disarm();
		result = first.result != 0 ? first.result : second.result;
	}
	fact("the data behind 3 bytes of a KeyUpdate", outcome(result));
	pair_free(pair);
}

static void facts_of_early_fin(void)
{
	struct pair pair = pair_new();
	int result;

	shutdown(pair.far, SHUT_WR);
	usleep(20000);
	fact("TCP_ULP after the peer's FIN", outcome(set_ulp(pair.near)));
	pair_free(pair);
	pair = pair_new();
	result = set_ulp(pair.near);
	shutdown(pair.far, SHUT_WR);
	usleep(20000);
	if (result == 0)
		result = set_key(pair.near, TLS_RX, TLS_1_3_VERSION, &ciphers[0]);
	fact("keys after the peer's FIN, TCP_ULP before", outcome(result));
	pair_free(pair);
}

static void facts_of_operations(void)
{
	struct pair pair = pair_new();
	struct io_uring_sqe *sqe;
	int result = open_tls(pair, TLS_1_3_VERSION, &ciphers[0]);

	if (result != 0) {
		pair_free(pair);
		return;
	}
	send_record(pair.far, 21, 2);
	io_uring_prep_recv(io_uring_get_sqe(&ring), pair.near, buffers[0], 100, 0);
	fact("RECV at a record that is no data", outcome(complete()));
	io_uring_prep_send(io_uring_get_sqe(&ring), pair.far, data, 100, 0);
	fact("SEND", outcome(complete()));
	io_uring_prep_send(io_uring_get_sqe(&ring), pair.far, data, 100, MSG_WAITALL);
	fact("SEND with MSG_WAITALL", outcome(complete()));
	sqe = io_uring_get_sqe(&ring);
	io_uring_prep_send_zc(sqe, pair.far, data, 100, 0, 0);
	fact("SEND_ZC", outcome(complete()));
	pair_free(pair);
}

/* ---- is the plaintext copied? ---- */

static bool write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_TRUNC);
	bool done = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);

	if (fd >= 0)
		close(fd);
	return done;
}

static bool trace_start(void)
{
	return write_file(TRACING "tracing_on", "0") &&
	       write_file(TRACING "set_ftrace_filter", COPY) &&
	       write_file(TRACING "current_tracer", "function") &&
	       write_file(TRACING "trace", "") && write_file(TRACING "tracing_on", "1");
}

/* How often the kernel copied since trace_start. */
static int trace_count(void)
{
	char line[512];
	int count = 0;
	FILE *trace;

	write_file(TRACING "tracing_on", "0");
	trace = fopen(TRACING "trace", "re");
	while (trace != NULL && fgets(line, sizeof(line), trace) != NULL)
		count += strstr(line, " " COPY " <-") != NULL;
	if (trace != NULL)
		fclose(trace);
	return count;
}

/* @version 0: plain TCP */
static void fact_of_copy(const char *name, uint16_t version, bool no_pad, size_t len)
{
	struct pair pair = pair_new();
	struct received got;
	int on = 1;
	int result = version != 0 ? open_tls(pair, version, &ciphers[0]) : 0;

	if (result == 0 && no_pad &&
	    setsockopt(pair.near, SOL_TLS, TLS_RX_EXPECT_NO_PAD, &on, sizeof(on)) != 0)
		result = -errno;
	if (result != 0) {
		fact(name, outcome(result));
	} else if (send(pair.far, data, len, 0) != (ssize_t)len) {
		fact(name, outcome(-errno));
	} else if (!trace_start()) {
		fact(name, "not traceable");
	} else {
		usleep(50000);
		arm(pair.near, &shape);
		got = received(&shape);
		if (got.result != 0 || got.len != len)
			fact(name, got.result != 0 ? outcome(got.result) : "in pieces");
		else
			fact(name, trace_count() == 0 ? "no copy" : "copied");
		disarm();
	}
	pair_free(pair);
}

static void facts_of_copies(void)
{
	fact_of_copy("receive 16384 bytes, plain TCP", 0, false, RECORD);
	fact_of_copy("receive 16384 bytes, TLS 1.2", TLS_1_2_VERSION, false, RECORD);
	fact_of_copy("receive 16384 bytes, TLS 1.3", TLS_1_3_VERSION, false, RECORD);
	fact_of_copy("receive 16384 bytes, TLS 1.3, NO_PAD", TLS_1_3_VERSION, true, RECORD);
	fact_of_copy("receive 200 bytes, TLS 1.2", TLS_1_2_VERSION, false, 200);
	fact_of_copy("receive 200 bytes, TLS 1.3, NO_PAD", TLS_1_3_VERSION, true, 200);
}

/* ---- the facts of slots ---- */

static void into_slot(int fd, unsigned slot)
{
	if (io_uring_register_files_update(&ring, slot, &fd, 1) != 1)
		errx(1, "no slot");
	close(fd);
}

static int setsockopt_of_slot(unsigned slot, int level, int name, const void *value, uint32_t len)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);
	uint64_t pointer = (uintptr_t)value;

	/* liburing 2.3 has no names for these places */
	io_uring_prep_rw(IORING_OP_URING_CMD, sqe, (int)slot, NULL, 0, CMD_SETSOCKOPT);
	sqe->addr = (uint32_t)level | (uint64_t)(uint32_t)name << 32;
	sqe->splice_fd_in = (int32_t)len;
	memcpy((uint8_t *)sqe + 48, &pointer, sizeof(pointer));
	sqe->flags |= IOSQE_FIXED_FILE;
	return complete();
}

/* Does the far end see a FIN soon? */
static bool sees_fin(int fd)
{
	struct pollfd end = {.fd = fd, .events = POLLRDHUP};

	return poll(&end, 1, WAIT_MS) == 1 && (end.revents & POLLRDHUP) != 0;
}

static void facts_of_slots(void)
{
	struct pair idle = pair_new();
	struct pair leaves = pair_new();
	struct io_uring_sqe *sqe;

	into_slot(idle.near, 0);
	into_slot(leaves.near, 1);
	fact("setsockopt on a slot (URING_CMD)",
	     outcome(setsockopt_of_slot(1, IPPROTO_TCP, TCP_ULP, "tls", sizeof("tls"))));
	sqe = io_uring_get_sqe(&ring);
	io_uring_prep_recv(sqe, 0, buffers[0], 100, 0);
	sqe->flags |= IOSQE_FIXED_FILE;
	io_uring_submit(&ring);
	io_uring_prep_close_direct(io_uring_get_sqe(&ring), 1);
	if (complete() != 0)
		fact("a slot is closed while another receives", "error");
	else
		fact("a slot is closed while another receives",
		     sees_fin(leaves.far) ? "at once" : "only when the other's receive ends");
	close(idle.far);
	close(leaves.far);
}

int main(void)
{
	struct utsname name;
	struct pair pair = pair_new();
	int result = ring_new();

	uname(&name);
	memset(data, 'x', sizeof(data));
	fact("kernel", name.release);
	fact("io_uring (DEFER_TASKRUN, buffer rings)", outcome(result));
	if (result != 0)
		return 1;
	fact("TCP_ULP tls", outcome(set_ulp(pair.near)));
	pair_free(pair);
	for (size_t i = 0; i < 2 * sizeof(ciphers) / sizeof(ciphers[0]); i++)
		facts_of_cipher(i % 2 == 0 ? TLS_1_2_VERSION : TLS_1_3_VERSION, &ciphers[i / 2]);
	facts_of_options();
	fact_of_padding();
	fact_of_half_update();
	facts_of_early_fin();
	facts_of_operations();
	facts_of_copies();
	facts_of_slots();
	return 0;
}
