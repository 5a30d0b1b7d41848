/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The counters of one worker. Written by that worker only, read by any thread: relaxed loads and
 * stores, no locked instruction. Gauges may go down; counters never do.
 */
#include <callhome/reason.h>
#include <stdatomic.h>
#include <stdint.h>

/* X(name, kind, help) */
#define CH_STATS(X)                                                                                \
	X(accepted, COUNTER, "connections accepted")                                               \
	X(accepted_known_door, COUNTER, "of these at the door of known sources")                   \
	X(accept_errors, COUNTER, "accept completions with an error")                              \
	X(handshaking, GAUGE, "connections that are logging in now")                               \
	X(up, GAUGE, "NETCONF sessions that are up now")                                           \
	X(logins, COUNTER, "NETCONF sessions that came up")                                        \
	X(handshake_steps, COUNTER, "handshake steps run")                                         \
	X(received_bytes, COUNTER, "bytes received after the handshake, as on the wire")           \
	X(sent_bytes, COUNTER, "bytes sent, as on the wire")                                       \
	X(copied_bytes, COUNTER, "received bytes that were copied: partial records and messages")  \
	X(records, COUNTER, "TLS records opened")                                                  \
	X(tickets, COUNTER, "TLS session tickets dropped")                                         \
	X(heartbeats_received, COUNTER, "TLS heartbeat records received")                          \
	X(heartbeats_answered, COUNTER, "TLS heartbeat requests of devices answered")              \
	X(heartbeats_discarded, COUNTER, "TLS heartbeat records dropped as not valid or not due")  \
	X(heartbeats_capped, COUNTER,                                                              \
	  "TLS heartbeat requests dropped because there were too many")                            \
	X(heartbeats_sent, COUNTER, "TLS heartbeat requests sent to devices")                      \
	X(heartbeats_missed, COUNTER,                                                              \
	  "TLS heartbeat requests that a device did not answer in time")                           \
	X(control_records, COUNTER, "TLS records without application data")                        \
	X(alerts, COUNTER, "TLS alerts received")                                                  \
	X(staples, COUNTER, "logins with a stapled OCSP response that says good")                  \
	X(stale_accepted, COUNTER, "logins though a revocation list or staple was out of date")    \
	X(key_updates, COUNTER, "TLS key updates of devices")                                      \
	X(key_updates_sent, COUNTER, "TLS key updates of ours")                                    \
	X(notifications, COUNTER, "NETCONF notifications received")                                \
	X(replies, COUNTER, "NETCONF rpc replies received")                                        \
	X(rpc_errors, COUNTER, "NETCONF replies that carry an rpc-error")                          \
	X(rpc_timeouts, COUNTER, "NETCONF requests without a reply in time")                       \
	X(spool_handed, COUNTER, "lines handed to the spool writer")                               \
	X(spool_dropped, COUNTER, "lines dropped because the spool writer was behind")             \
	X(recv_nobufs, COUNTER, "receives that ended because no buffer was free")                  \
	X(session_pauses, COUNTER,                                                                 \
	  "times a session was over session-rate and not read for a while")                        \
	X(recv_rearmed, COUNTER, "multishot receives armed again")                                 \
	X(short_sends, COUNTER, "sends that were short and went on")                               \
	X(stale_completions, COUNTER, "completions of a connection that is gone")                  \
	X(cq_overflows, COUNTER, "completion queue overflows")                                     \
	X(ring_enters, COUNTER, "io_uring_enter system calls")                                     \
	X(table_full, COUNTER, "connections refused because the slot table was full")              \
	X(superseded, COUNTER, "sessions replaced by a newer one of the same device")              \
	X(budget_hits, COUNTER, "times the byte budget was spent")                                 \
	X(expiring, GAUGE, "client certificates and anchors that end within 30 days, or ended")

struct ch_stats {
#define X(name, kind, help) _Atomic uint64_t name;
	CH_STATS(X)
#undef X
	_Atomic uint64_t reasons[CH_REASON_COUNT]; /**< connections by how they ended */
};

/** Adds @n to a counter of the calling worker. */
static inline void ch_count(_Atomic uint64_t *counter, uint64_t n)
{
	atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + n,
			      memory_order_relaxed);
}

/** Sets a gauge of the calling worker. */
static inline void ch_set(_Atomic uint64_t *gauge, uint64_t value)
{
	atomic_store_explicit(gauge, value, memory_order_relaxed);
}

/** Takes @n from a gauge of the calling worker. */
static inline void ch_uncount(_Atomic uint64_t *gauge, uint64_t n)
{
	atomic_store_explicit(gauge, atomic_load_explicit(gauge, memory_order_relaxed) - n,
			      memory_order_relaxed);
}

static inline uint64_t ch_stat(const _Atomic uint64_t *counter)
{
	return atomic_load_explicit(counter, memory_order_relaxed);
}
