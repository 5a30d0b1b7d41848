/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * One io_uring of one thread: the operations the collector and the simulator need, and their
 * completions in plain terms. Everything goes through a table of operations, so that a test can
 * put its own ring underneath and produce short sends, ENOBUFS, lost multishots and the like.
 *
 * Files are plain descriptors while a connection logs in, and slots of the ring's fixed-file
 * table afterwards (the descriptor is closed then). `user_data` is the caller's (user/core/slab.h).
 *
 * Thread: a ring is made, used and freed by one thread (SINGLE_ISSUER, DEFER_TASKRUN).
 */
#include <callhome/error.h>
#include "ktls.h"
#include "user/core/address.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** Bytes before the payload of a receive: io_uring_recvmsg_out (16), room for a record type (24).
 */
#define CH_RING_HEADROOM 40
/** Payload bytes of a receive buffer: one TLS record of plaintext. */
#define CH_RING_PAYLOAD 16384

struct ch_ring_options {
	uint32_t entries; /**< of the submission queue, at most 8192; completions: 8 times that */
	uint32_t fixed_files; /**< slots of the fixed-file table; at most RLIMIT_NOFILE */
	uint32_t buffers;     /**< receive buffers, a power of two <= 32768 */
};

/** A file an operation works on. */
struct ch_file {
	int32_t index; /**< descriptor, or slot of the fixed-file table */
	bool fixed;
};

struct ch_completion {
	uint64_t user_data;
	int32_t result; /**< as the system call: >= 0 (recv: @payload_len), or a negated errno */
	bool more;	/**< multishot: still armed. false on a multishot means: arm it again */
	bool buffered;	/**< @payload is a ring buffer with bytes; give it back with recycle */
	bool end;	/**< recv: the peer closed (FIN); recv_exact tells it by a short result */
	uint8_t record_type; /**< recv: TLS record type told by the kernel; 0 on a plain socket */
	uint16_t buffer;     /**< id for recycle */
	uint8_t *payload;    /**< recv: the bytes, writable, until recycled */
	uint32_t payload_len;
};

/** Memory for the message header of one send_record; nothing in it is for the caller. */
struct ch_ring_message {
	uint64_t words[14];
};

struct ch_ring;
typedef void (*ch_completion_fn)(void *ctx, const struct ch_completion *completion);

/*
 * Every operation that takes user_data ends in exactly one completion with more == false (and for
 * multishots any number with more == true before it), unless the call itself returned an error.
 * All return 0 or a negated errno; a full submission queue is flushed inside, never reported.
 */
struct ch_ring_ops {
	/** Accepts one connection: result is a new close-on-exec descriptor. */
	int (*accept)(struct ch_ring *ring, int listen_fd, uint64_t user_data);
	/** Connects @fd; result 0 or a negated errno. @to is copied. */
	int (*connect)(struct ch_ring *ring, int fd, const struct ch_address *to,
		       uint64_t user_data);
	/**
	 * Receives exactly @len bytes; fewer only at the end of the stream or when cancelled. @into
	 * lives until completion.
	 */
	int (*recv_exact)(struct ch_ring *ring, struct ch_file file, void *into, uint32_t len,
			  uint64_t user_data);
	/**
	 * Takes what is there already, at most @len bytes. No completion. @return how many; 0:
	 * there are none, or the connection ended, which recv_exact will tell (why may be lost)
	 */
	uint32_t (*take)(struct ch_ring *ring, struct ch_file file, void *into, uint32_t len);
	/**
	 * Multishot receive into ring buffers, with record types where the kernel does TLS.
	 * -ENOBUFS (no buffer was free) ends it; arm it again once buffers were recycled: nothing
	 * is lost.
	 */
	int (*recv)(struct ch_ring *ring, struct ch_file file, uint64_t user_data);
	/** Sends; may be short. @data lives until completion. */
	int (*send)(struct ch_ring *ring, struct ch_file file, const void *data, uint32_t len,
		    uint64_t user_data);
	/**
	 * Sends one record of another type than application data on a socket whose sending keys are
	 * the kernel's. @data and @scratch live until completion.
	 */
	int (*send_record)(struct ch_ring *ring, struct ch_file file, uint8_t type,
			   const void *data, uint32_t len, struct ch_ring_message *scratch,
			   uint64_t user_data);
	/**
	 * New keys for a direction that is the kernel's already (ch_ktls_info made @info, which
	 * lives until completion). -EOPNOTSUPP: this kernel sets no options on fixed slots.
	 */
	int (*rekey)(struct ch_ring *ring, struct ch_file file, enum ch_ktls_direction direction,
		     const uint8_t *info, uint32_t len, uint64_t user_data);
	/**
	 * One completion when the eventfd @fd becomes readable; it is read (reset) by the
	 * operation. Several may be armed.
	 */
	int (*wake)(struct ch_ring *ring, int fd, uint64_t user_data);
	/**
	 * Cancels everything that carries @target; its completions say -ECANCELED. Result: how
	 * many; for none 0 or -ENOENT.
	 */
	int (*cancel)(struct ch_ring *ring, uint64_t target, uint64_t user_data);
	/**
	 * Closes a descriptor or a fixed slot. Nothing may be in flight on it: under an armed
	 * receive this completes with 0, but the peer sees no FIN until the receive ends. Cancel
	 * first.
	 */
	int (*close)(struct ch_ring *ring, struct ch_file file, uint64_t user_data);
	/** Puts @fd into @slot at once; the caller then closes @fd itself. No completion. */
	int (*install)(struct ch_ring *ring, uint32_t slot, int fd);
	/** Gives a receive buffer back. */
	void (*recycle)(struct ch_ring *ring, uint16_t buffer);
	/**
	 * Submits what is queued, waits until a completion is there or @wait_ns passed (0 = do not
	 * wait), and delivers at most @most completions to @deliver, which may queue operations but
	 * not call run. A signal ends the wait. An endless wait may end early, after an hour.
	 * @return completions delivered (0 is no error), or a negated errno
	 */
	int (*run)(struct ch_ring *ring, uint64_t wait_ns, unsigned most, ch_completion_fn deliver,
		   void *ctx);
	/** Cancels what is in flight, frees ring and buffers; completions still there are lost. */
	void (*free)(struct ch_ring *ring);
};

/** What a ring tells about itself; the counters only grow. */
struct ch_ring_counters {
	uint64_t enters; /**< io_uring_enter system calls */
	uint64_t completions;
	/**
	 * Times the completion queue had overflowed. Nothing is lost: the kernel keeps the rest; a
	 * multishot may end without an error: arm it again.
	 */
	uint64_t cq_overflows;
	uint64_t sq_full; /**< times the submission queue was full and had to be flushed first */
};

/** First member of every implementation. */
struct ch_ring {
	const struct ch_ring_ops *ops;
	unsigned least; /**< completions that run waits for within its wait_ns; 0 and 1: the first */
	struct ch_ring_counters counters;
};

/**
 * Makes a real ring for the calling thread. The caller frees it with ops->free.
 * @return 0; -EPERM, -ENOSYS, -EACCES: io_uring is refused here (ch_probe_advice says what to
 * allow); -EMFILE: more @fixed_files than RLIMIT_NOFILE; or another negated errno
 */
CH_NODISCARD int ch_ring_new(const struct ch_ring_options *options, struct ch_ring **ring);
