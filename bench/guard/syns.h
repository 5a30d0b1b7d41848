/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * SYNs as frames, sent into the far end of a veth pair (pair.sh): what the guard's tests and its
 * benchmark fire with. A frame costs the same whatever its source is: all of them are made
 * beforehand.
 */
#include "bpf/guard.h"

#include <stddef.h>
#include <stdint.h>

struct syns_options {
	int peer;		  /**< a process in the far namespace */
	struct guard_source from; /**< the first source; more count up from it */
	uint32_t sources;	  /**< 1..65536 */
	struct guard_source to;
	uint16_t port;
	uint8_t mac; /**< last byte of the receiver's: SYNS_MAC_NEAR, or another that nobody has */
};

/* Locally administered: 02:00:00:00:00:0N, as in pair.sh. */
enum { SYNS_MAC_NEAR = 1, SYNS_MAC_FAR = 2, SYNS_MAC_NOBODY = 9 };

/** "192.0.2.1" (v4-mapped) or "2001:db8::1"; ends the program when it is neither. */
struct guard_source syns_source(const char *text);

struct syns;
/** Ends the program, with a reason, when there is no such interface or no right to use it. */
struct syns *syns_open(const struct syns_options *options);
void syns_close(struct syns *syns);
/** Sends the next @count frames; some may be lost, as syns_lost counts. */
void syns_send(struct syns *syns, uint64_t count);
/** Frames that the pair lost on the way since it was made: the receiver's queue was full. */
uint64_t syns_lost(struct syns *syns);

/**
 * Puts an XDP program on the far end: only then does a pair hand over what the near end sends back
 * from its driver. It ends with the returned descriptor.
 */
int syns_program_at(int peer, int program);

/** Makes a socket in the namespace of the process @peer. */
int syns_socket_at(int peer, int domain, int type);
