/* SPDX-License-Identifier: Apache-2.0 */
/* links: kernel core */
#include "kernel/ring.h"

#include "kernel/sock.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#define SECOND 1000000000ULL

static struct ch_ring *ring;

static struct ch_ring *make_ring(uint32_t entries, uint32_t fixed_files, uint32_t buffers)
{
	const struct ch_ring_options options = {entries, fixed_files, buffers};
	struct ch_ring *made = NULL;

	cr_assert_eq(ch_ring_new(&options, &made), 0);
	cr_assert_not_null(made);
	return made;
}

static void setup(void)
{
	ring = make_ring(64, 16, 8);
}

static void teardown(void)
{
	ring->ops->free(ring);
}

TestSuite(ring, .init = setup, .fini = teardown);

/** What was delivered, in order; receive buffers are copied out and given back unless @keep. */
struct seen {
	struct ch_ring *ring;
	struct ch_completion all[4096];
	unsigned count;
	uint8_t bytes[65536];
	size_t len;
	bool keep;
};

static void note(void *ctx, const struct ch_completion *c)
{
	struct seen *seen = ctx;

	cr_assert_lt(seen->count, 4096);
	seen->all[seen->count++] = *c;
	if (!c->buffered)
		return;
	cr_assert_leq(seen->len + c->payload_len, sizeof(seen->bytes));
	memcpy(seen->bytes + seen->len, c->payload, c->payload_len);
	seen->len += c->payload_len;
	if (!seen->keep)
		seen->ring->ops->recycle(seen->ring, c->buffer);
}

static struct seen *new_seen(struct ch_ring *on)
{
	struct seen *seen = calloc(1, sizeof(*seen));

	cr_assert_not_null(seen);
	seen->ring = on;
	return seen;
}

/** Runs until @count completions were seen in all; gives up after ten seconds. */
static void run_until(struct seen *seen, unsigned count)
{
	uint64_t end = ch_now_ns() + 10 * SECOND;

	while (seen->count < count && ch_now_ns() < end)
		cr_assert_geq(seen->ring->ops->run(seen->ring, SECOND, 64, note, seen), 0);
	cr_assert_geq(seen->count, count, "only %u of %u completions came", seen->count, count);
}

/** The only completion of @user_data with more == false so far. */
static const struct ch_completion *last_of(const struct seen *seen, uint64_t user_data)
{
	const struct ch_completion *found = NULL;

	for (unsigned i = 0; i < seen->count; i++) {
		if (seen->all[i].user_data == user_data && !seen->all[i].more) {
			cr_assert_null(found, "%lu ended twice", (unsigned long)user_data);
			found = &seen->all[i];
		}
	}
	return found;
}

static const struct ch_address loopback = {.ip = {127, 0, 0, 1}, .family = 4};

static int listen_on_loopback(struct ch_address *address)
{
	int fd = -1;

	cr_assert_eq(ch_sock_listen(&loopback, NULL, 128, &fd), 0);
	cr_assert_eq(ch_sock_local(fd, address), 0);
	return fd;
}

static void connect_to(int fd, const struct ch_address *to)
{
	struct sockaddr_storage address;
	socklen_t len = ch_sock_encode(to, &address);

	cr_assert_eq(connect(fd, (struct sockaddr *)&address, len), 0);
}

/** A connected TCP pair: [0] for the ring, [1] the peer. */
static void tcp_pair(int pair[2])
{
	struct ch_address address;
	int listener = listen_on_loopback(&address);

	cr_assert_eq(ch_sock_dial(NULL, &pair[1]), 0);
	connect_to(pair[1], &address);
	pair[0] = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	cr_assert_geq(pair[0], 0);
	close(listener);
}

static struct ch_file plain(int fd)
{
	return (struct ch_file){.index = fd};
}

static struct ch_file fixed(int slot)
{
	return (struct ch_file){.index = slot, .fixed = true};
}

static void put(int fd, const void *data, size_t len)
{
	cr_assert_eq(write(fd, data, len), (ssize_t)len);
}

Test(ring, receives_exactly_over_split_segments)
{
	struct seen *seen = new_seen(ring);
	char into[8] = {0};
	int pair[2];

	tcp_pair(pair);
	cr_assert_eq(ring->ops->recv_exact(ring, plain(pair[0]), into, 5, 7), 0);
	cr_assert_eq(ring->ops->run(ring, 0, 64, note, seen), 0);
	put(pair[1], "ab", 2);
	cr_assert_eq(ring->ops->run(ring, 20000000, 64, note, seen), 0);
	put(pair[1], "cdeXY", 5);
	run_until(seen, 1);
	cr_assert_eq(seen->all[0].user_data, 7);
	cr_assert_eq(seen->all[0].result, 5);
	cr_assert_not(seen->all[0].more);
	cr_assert_arr_eq(into, "abcde\0\0\0", 8);
	free(seen);
}

Test(ring, exact_receive_is_short_at_the_end_of_the_stream)
{
	struct seen *seen = new_seen(ring);
	char into[8];
	int pair[2];

	tcp_pair(pair);
	put(pair[1], "abc", 3);
	close(pair[1]);
	cr_assert_eq(ring->ops->recv_exact(ring, plain(pair[0]), into, 5, 1), 0);
	run_until(seen, 1);
	cr_assert_eq(seen->all[0].result, 3);
	cr_assert_eq(ring->ops->recv_exact(ring, plain(pair[0]), into, 5, 2), 0);
	run_until(seen, 2);
	cr_assert_eq(seen->all[1].result, 0);
	free(seen);
}

Test(ring, multishot_receive_delivers_payload_behind_the_headroom_and_the_end)
{
	struct seen *seen = new_seen(ring);
	int pair[2];

	tcp_pair(pair);
	seen->keep = true;
	cr_assert_eq(ring->ops->recv(ring, plain(pair[0]), 9), 0);
	put(pair[1], "hello", 5);
	run_until(seen, 1);
	put(pair[1], "again", 5);
	run_until(seen, 2);
	cr_assert_eq(seen->all[0].result, 5);
	cr_assert_eq(seen->all[0].payload_len, 5);
	cr_assert(seen->all[0].buffered && seen->all[0].more && !seen->all[0].end);
	cr_assert_eq(seen->all[0].record_type, 0);
	cr_assert_eq((uintptr_t)seen->all[0].payload % 64, CH_RING_HEADROOM);
	cr_assert_neq(seen->all[0].buffer, seen->all[1].buffer);
	cr_assert_arr_eq(seen->bytes, "helloagain", 10);
	ring->ops->recycle(ring, seen->all[0].buffer);
	ring->ops->recycle(ring, seen->all[1].buffer);

	shutdown(pair[1], SHUT_WR);
	run_until(seen, 3);
	cr_assert_eq(seen->all[2].user_data, 9);
	cr_assert_eq(seen->all[2].result, 0);
	cr_assert(seen->all[2].end && !seen->all[2].more && !seen->all[2].buffered);
	free(seen);
}

Test(ring, an_ended_stream_costs_no_buffer)
{
	struct seen *seen = new_seen(ring);

	for (unsigned i = 0; i < 20; i++) {
		int pair[2];

		tcp_pair(pair);
		close(pair[1]);
		cr_assert_eq(ring->ops->recv(ring, plain(pair[0]), i), 0);
		run_until(seen, i + 1);
		cr_assert(seen->all[i].end, "connection %u", i);
		close(pair[0]);
	}
	free(seen);
}

Test(ring, a_buffer_holds_one_record_of_plaintext)
{
	struct seen *seen = new_seen(ring);
	uint8_t *data = malloc(40000);
	int pair[2];

	for (int i = 0; i < 40000; i++)
		data[i] = (uint8_t)(i * 7);
	tcp_pair(pair);
	put(pair[1], data, 40000);
	cr_assert_eq(ring->ops->recv(ring, plain(pair[0]), 1), 0);
	while (seen->len < 40000)
		run_until(seen, seen->count + 1);
	cr_assert_eq(seen->len, 40000);
	cr_assert_eq(seen->all[0].payload_len, CH_RING_PAYLOAD);
	cr_assert_eq(memcmp(seen->bytes, data, 40000), 0);
	free(data);
	free(seen);
}

Test(ring, without_buffers_a_receive_ends_with_enobufs_and_goes_on_after_recycling)
{
	struct seen *seen = new_seen(ring);
	struct ch_ring *small = make_ring(8, 0, 2);
	unsigned ended;
	int pair[2];

	seen->ring = small;
	seen->keep = true;
	tcp_pair(pair);
	cr_assert_eq(small->ops->recv(small, plain(pair[0]), 5), 0);
	for (unsigned i = 1; i <= 2; i++) {
		put(pair[1], i == 1 ? "a" : "b", 1);
		run_until(seen, i);
	}
	put(pair[1], "c", 1);
	run_until(seen, 3);
	cr_assert_eq(seen->all[2].result, -ENOBUFS);
	cr_assert(!seen->all[2].more && !seen->all[2].buffered && !seen->all[2].end);
	ended = seen->count;

	small->ops->recycle(small, seen->all[0].buffer);
	cr_assert_eq(small->ops->recv(small, plain(pair[0]), 6), 0);
	run_until(seen, ended + 1);
	cr_assert_eq(seen->all[ended].result, 1);
	cr_assert_arr_eq(seen->bytes, "abc", 3);
	small->ops->free(small);
	free(seen);
}

Test(ring, cancel_ends_all_that_carries_the_target)
{
	struct seen *seen = new_seen(ring);
	char into[4];
	int pair[2];

	tcp_pair(pair);
	cr_assert_eq(ring->ops->recv_exact(ring, plain(pair[0]), into, 4, 100), 0);
	cr_assert_eq(ring->ops->recv(ring, plain(pair[1]), 100), 0);
	cr_assert_eq(ring->ops->run(ring, 0, 64, note, seen), 0);
	cr_assert_eq(ring->ops->cancel(ring, 100, 200), 0);
	run_until(seen, 3);
	for (unsigned i = 0; i < 3; i++)
		cr_assert_eq(seen->all[i].result, seen->all[i].user_data == 100 ? -ECANCELED : 2);
	cr_assert_eq(ring->ops->cancel(ring, 100, 201), 0);
	run_until(seen, 4);
	cr_assert_leq(last_of(seen, 201)->result, 0, "nothing was left to cancel");
	free(seen);
}

/** Does the peer read the end of the stream within @ms? */
static bool sees_end(int fd, int ms)
{
	struct timeval patience = {.tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000};
	char byte;

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	return recv(fd, &byte, 1, 0) == 0;
}

Test(ring, a_fixed_slot_under_a_receive_closes_only_after_the_cancel)
{
	struct seen *seen = new_seen(ring);
	int pair[2];

	tcp_pair(pair);
	cr_assert_eq(ring->ops->install(ring, 3, pair[0]), 0);
	close(pair[0]);
	cr_assert_eq(ring->ops->recv(ring, fixed(3), 1), 0);
	cr_assert_eq(ring->ops->run(ring, 0, 64, note, seen), 0);
	cr_assert_eq(ring->ops->cancel(ring, 1, 2), 0);
	run_until(seen, 2);
	cr_assert_eq(last_of(seen, 1)->result, -ECANCELED);
	cr_assert_eq(ring->ops->close(ring, fixed(3), 4), 0);
	run_until(seen, 3);
	cr_assert_eq(last_of(seen, 4)->result, 0);
	cr_assert(sees_end(pair[1], 5000));
	free(seen);
}

Test(ring, an_installed_socket_outlives_its_descriptor)
{
	struct seen *seen = new_seen(ring);
	char text[4];
	int pair[2];

	tcp_pair(pair);
	cr_assert_eq(ring->ops->install(ring, 15, pair[0]), 0);
	cr_assert_eq(ring->ops->close(ring, plain(pair[0]), 1), 0);
	run_until(seen, 1);
	cr_assert_eq(last_of(seen, 1)->result, 0);
	cr_assert_eq(fcntl(pair[0], F_GETFD), -1);

	cr_assert_eq(ring->ops->recv(ring, fixed(15), 2), 0);
	cr_assert_eq(ring->ops->send(ring, fixed(15), "ping", 4, 3), 0);
	run_until(seen, 2);
	cr_assert_eq(last_of(seen, 3)->result, 4);
	cr_assert_eq(read(pair[1], text, 4), 4);
	cr_assert_arr_eq(text, "ping", 4);
	put(pair[1], "pong", 4);
	run_until(seen, 3);
	cr_assert_arr_eq(seen->bytes, "pong", 4);
	free(seen);
}

Test(ring, install_refuses_slots_outside_and_bad_descriptors)
{
	cr_assert_eq(ring->ops->install(ring, 16, 0), -EINVAL);
	cr_assert_eq(ring->ops->install(ring, 0, 19999), -EBADF);
}

Test(ring, operations_on_an_empty_slot_fail_by_completion)
{
	struct seen *seen = new_seen(ring);

	cr_assert_eq(ring->ops->recv(ring, fixed(5), 1), 0);
	cr_assert_eq(ring->ops->send(ring, fixed(5), "x", 1, 2), 0);
	cr_assert_eq(ring->ops->close(ring, fixed(5), 3), 0);
	run_until(seen, 3);
	for (uint64_t i = 1; i <= 3; i++)
		cr_assert_eq(last_of(seen, i)->result, -EBADF);
	free(seen);
}

Test(ring, a_send_to_a_stalled_reader_is_short)
{
	const int small = 4096;
	const uint32_t len = 8 << 20;
	struct seen *seen = new_seen(ring);
	uint8_t *data = calloc(1, len);
	int pair[2];

	tcp_pair(pair);
	setsockopt(pair[0], SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
	cr_assert_eq(ring->ops->send(ring, plain(pair[0]), data, len, 1), 0);
	run_until(seen, 1);
	cr_assert_gt(seen->all[0].result, 0);
	cr_assert_lt(seen->all[0].result, (int32_t)len);
	free(data);
	free(seen);
}

Test(ring, a_send_after_a_reset_is_an_error_and_no_signal)
{
	struct seen *seen = new_seen(ring);
	int pair[2];

	tcp_pair(pair);
	shutdown(pair[0], SHUT_WR);
	cr_assert_eq(ring->ops->send(ring, plain(pair[0]), "x", 1, 1), 0);
	run_until(seen, 1);
	cr_assert_eq(seen->all[0].result, -EPIPE);
	free(seen);
}

static void *wake_soon(void *fd)
{
	usleep(20000);
	ch_sock_wake(*(int *)fd);
	ch_sock_wake(*(int *)fd);
	return NULL;
}

Test(ring, another_thread_wakes_it_and_the_eventfd_is_reset)
{
	struct seen *seen = new_seen(ring);
	int fds[2] = {ch_sock_eventfd(), ch_sock_eventfd()};
	pthread_t thread;

	cr_assert_geq(fds[0], 0);
	cr_assert_geq(fds[1], 0);
	for (uint64_t i = 0; i < 2; i++)
		cr_assert_eq(ring->ops->wake(ring, fds[i], i), 0);
	cr_assert_eq(ring->ops->run(ring, 0, 64, note, seen), 0);
	pthread_create(&thread, NULL, wake_soon, &fds[1]);
	run_until(seen, 1);
	pthread_join(thread, NULL);
	cr_assert_eq(seen->all[0].user_data, 1);
	cr_assert_eq(seen->all[0].result, 8);
	cr_assert_not(seen->all[0].more);
	ch_sock_wake(fds[0]);
	run_until(seen, 2);
	cr_assert_eq(seen->all[1].user_data, 0);
	free(seen);
}

Test(ring, accepts_and_connects_many_at_a_time)
{
	struct seen *seen = new_seen(ring);
	struct ch_address address;
	int listener = listen_on_loopback(&address);
	unsigned accepted = 0;

	for (uint64_t i = 0; i < 10; i++) {
		cr_assert_eq(ring->ops->accept(ring, listener, 1), 0);
		struct ch_address local = {.ip = {127, 0, 5, (uint8_t)(i + 1)}, .family = 4};
		int fd = -1;

		cr_assert_eq(ch_sock_dial(&local, &fd), 0);
		cr_assert_eq(ring->ops->connect(ring, fd, &address, 100 + i), 0);
	}
	run_until(seen, 20);
	for (unsigned i = 0; i < 20; i++) {
		const struct ch_completion *c = &seen->all[i];
		struct ch_address peer;

		if (c->user_data != 1) {
			cr_assert_eq(c->result, 0);
			continue;
		}
		cr_assert_not(c->more);
		cr_assert_eq(fcntl(c->result, F_GETFD), FD_CLOEXEC);
		cr_assert_eq(ch_sock_peer(c->result, &peer), 0);
		cr_assert_eq(peer.ip[2], 5);
		accepted++;
	}
	cr_assert_eq(accepted, 10);
	free(seen);
}

Test(ring, a_refused_connect_says_so)
{
	struct seen *seen = new_seen(ring);
	const struct ch_address none = {0};
	struct ch_address address;
	int listener = listen_on_loopback(&address);
	int fd = -1;

	close(listener);
	cr_assert_eq(ch_sock_dial(NULL, &fd), 0);
	cr_assert_eq(ring->ops->connect(ring, fd, &none, 1), -EAFNOSUPPORT);
	cr_assert_eq(ring->ops->connect(ring, fd, &address, 2), 0);
	run_until(seen, 1);
	cr_assert_eq(seen->all[0].user_data, 2);
	cr_assert_eq(seen->all[0].result, -ECONNREFUSED);
	free(seen);
}

Test(ring, more_fixed_files_than_descriptors_is_emfile)
{
	struct ch_ring_options options = {.entries = 8, .buffers = 0};
	struct ch_ring *made = NULL;
	struct rlimit limit;

	cr_assert_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
	options.fixed_files = (uint32_t)limit.rlim_max + 1;
	cr_assert_eq(ch_ring_new(&options, &made), -EMFILE);
	cr_assert_null(made);
}

Test(ring, odd_buffer_counts_are_refused)
{
	static const uint32_t bad[] = {3, 65536};
	struct ch_ring *made = NULL;

	for (unsigned i = 0; i < 2; i++) {
		struct ch_ring_options options = {.entries = 8, .buffers = bad[i]};

		cr_assert_eq(ch_ring_new(&options, &made), -EINVAL);
		cr_assert_null(made);
	}
}

Test(ring, a_full_submission_queue_is_flushed_and_counted)
{
	struct ch_ring *small = make_ring(4, 0, 0);
	struct seen *seen = new_seen(small);
	char into[30][4];
	int pair[2];

	tcp_pair(pair);
	for (uint64_t i = 0; i < 30; i++)
		cr_assert_eq(small->ops->recv_exact(small, plain(pair[0]), into[i], 4, i), 0);
	cr_assert_eq(small->counters.sq_full, 7);
	for (int i = 0; i < 30; i++)
		put(pair[1], "abcd", 4);
	run_until(seen, 30);
	for (uint64_t i = 0; i < 30; i++)
		cr_assert_eq(last_of(seen, i)->result, 4);
	small->ops->free(small);
	free(seen);
}

Test(ring, completion_queue_overflow_loses_nothing)
{
	struct ch_ring *small = make_ring(4, 0, 0);
	struct seen *seen = new_seen(small);
	int pair[2];

	tcp_pair(pair);
	/* 32 completions fit; none is taken before all 400 are submitted. */
	for (uint64_t i = 0; i < 400; i++)
		cr_assert_eq(small->ops->send(small, plain(pair[0]), "x", 1, i), 0);
	run_until(seen, 400);
	cr_assert_eq(seen->count, 400);
	for (uint64_t i = 0; i < 400; i++)
		cr_assert_eq(last_of(seen, i)->result, 1);
	cr_assert_geq(small->counters.cq_overflows, 1);
	cr_assert_eq(small->counters.completions, 400);
	small->ops->free(small);
	free(seen);
}

Test(ring, multishots_survive_an_overflow_or_say_that_they_ended)
{
	struct ch_ring *small = make_ring(4, 0, 128);
	struct seen *seen = new_seen(small);
	int pairs[64][2];

	for (uint64_t i = 0; i < 64; i++) {
		tcp_pair(pairs[i]);
		cr_assert_eq(small->ops->recv(small, plain(pairs[i][0]), i), 0);
	}
	cr_assert_eq(small->ops->run(small, 0, 64, note, seen), 0);
	for (int i = 0; i < 64; i++)
		put(pairs[i][1], "x", 1);
	run_until(seen, 64);
	cr_assert_eq(seen->len, 64);
	for (int i = 0; i < 64; i++)
		cr_assert_eq(seen->all[i].result, 1);
	small->ops->free(small);
	free(seen);
}

Test(ring, delivers_at_most_what_was_asked)
{
	struct seen *seen = new_seen(ring);
	uint64_t enters;
	int pair[2];

	tcp_pair(pair);
	for (uint64_t i = 0; i < 10; i++)
		cr_assert_eq(ring->ops->send(ring, plain(pair[0]), "x", 1, i), 0);
	cr_assert_eq(ring->ops->run(ring, SECOND, 3, note, seen), 3);
	enters = ring->counters.enters;
	cr_assert_eq(ring->ops->run(ring, SECOND, 3, note, seen), 3);
	cr_assert_eq(ring->ops->run(ring, SECOND, 64, note, seen), 4);
	cr_assert_eq(ring->counters.enters, enters, "what is there needs no system call");
	cr_assert_eq(ring->ops->run(ring, 0, 64, note, seen), 0);
	cr_assert_eq(ring->counters.enters, enters + 1);
	free(seen);
}

Test(ring, an_idle_wait_ends_in_time_without_error)
{
	struct seen *seen = new_seen(ring);
	uint64_t before = ch_now_ns();

	cr_assert_eq(ring->ops->run(ring, 30000000, 64, note, seen), 0);
	cr_assert_geq(ch_now_ns() - before, 30000000);
	free(seen);
}

static volatile sig_atomic_t alarmed;

static void on_alarm(int signal)
{
	(void)signal;
	alarmed = 1;
}

Test(ring, a_signal_ends_the_wait_without_error)
{
	const struct sigaction action = {.sa_handler = on_alarm};
	const struct itimerval soon = {.it_value = {.tv_usec = 20000}};
	struct seen *seen = new_seen(ring);

	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &soon, NULL);
	cr_assert_eq(ring->ops->run(ring, UINT64_MAX, 64, note, seen), 0);
	cr_assert_eq(alarmed, 1, "the longest wait did not wait");
	free(seen);
}

/** A handler that answers every byte and arms again through the ring that called it. */
struct echo {
	struct ch_ring *ring;
	struct ch_file file;
	uint8_t byte[16];
	unsigned echoed;
};

static void echo_back(void *ctx, const struct ch_completion *c)
{
	struct echo *echo = ctx;

	if (c->user_data == 2) {
		echo->echoed++;
		return;
	}
	cr_assert(c->buffered);
	for (uint32_t i = 0; i < c->payload_len; i++) {
		echo->byte[0] = c->payload[i];
		cr_assert_eq(echo->ring->ops->send(echo->ring, echo->file, echo->byte, 1, 2), 0);
	}
	echo->ring->ops->recycle(echo->ring, c->buffer);
}

Test(ring, a_handler_may_queue_operations)
{
	struct ch_ring *small = make_ring(4, 4, 2);
	struct echo echo = {.ring = small, .file = fixed(0)};
	char back[12];
	int pair[2];

	tcp_pair(pair);
	cr_assert_eq(small->ops->install(small, 0, pair[0]), 0);
	cr_assert_eq(small->ops->recv(small, fixed(0), 1), 0);
	put(pair[1], "zzzzzzzzzzzz", 12);
	for (int i = 0; i < 100 && echo.echoed < 12; i++)
		cr_assert_geq(small->ops->run(small, SECOND, 64, echo_back, &echo), 0);
	cr_assert_eq(echo.echoed, 12);
	cr_assert_eq(recv(pair[1], back, 12, MSG_WAITALL), 12);
	cr_assert_arr_eq(back, "zzzzzzzzzzzz", 12);
	small->ops->free(small);
}

Test(ring, takes_what_is_there_and_waits_for_nothing)
{
	struct ch_ring *small = make_ring(16, 4, 4);
	uint8_t into[8] = {0};
	int pair[2];

	tcp_pair(pair);
	cr_assert_eq(small->ops->take(small, plain(pair[0]), into, sizeof(into)), 0);
	cr_assert_eq(write(pair[1], "abcdef", 6), 6);
	cr_assert_eq(small->ops->take(small, plain(pair[0]), into, 4), 4);
	cr_assert_eq(small->ops->take(small, plain(pair[0]), into + 4, 4), 2);
	cr_assert_arr_eq(into, "abcdef", 6);
	close(pair[1]);
	cr_assert_eq(small->ops->take(small, plain(pair[0]), into, 4), 0,
		     "the end is told by receives");
	close(pair[0]);
	small->ops->free(small);
}

Test(ring, freeing_with_operations_in_flight_lets_go_of_sockets)
{
	struct ch_ring *busy = make_ring(16, 4, 4);
	struct seen *seen = new_seen(busy);
	struct ch_address address;
	int listener = listen_on_loopback(&address);
	int pair[2];

	tcp_pair(pair);
	cr_assert_eq(busy->ops->accept(busy, listener, 1), 0);
	/* More than the kernel completes in one entry. */
	for (uint64_t i = 0; i < 50; i++)
		cr_assert_eq(busy->ops->recv(busy, plain(pair[0]), 2 + i), 0);
	cr_assert_eq(busy->ops->run(busy, 0, 64, note, seen), 0);
	busy->ops->free(busy);
	close(listener);
	close(pair[0]);
	cr_assert(sees_end(pair[1], 5000));
	cr_assert_eq(ch_sock_probe(&address), 0);
	free(seen);
}
