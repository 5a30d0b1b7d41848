/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * SYNs without end from a namespace of the flood's own: bare frames into one end of a veth pair
 * whose other end is in the caller's namespace. That one may have no other interface than its
 * loopback, so that no frame and no answer gets anywhere else.
 */
#include <callhome/error.h>
#include <stdbool.h>
#include <stdint.h>

#define SIM_SYNFLOOD_ADDRESS                                                                       \
	"198.18.0.1"			 /**< of the caller's end: where the collector is reached */
#define SIM_SYNFLOOD_SOURCE "198.18.1.1" /**< the one source, unless spoofed */
#define SIM_SYNFLOOD_SPOOFED "198.19.0.0/16" /**< what spoofed sources are in */
#define SIM_SYNFLOOD_ERROR 256
#define SIM_SYNFLOOD_FRAMES 100000000ull /**< at most, whatever was asked for */

struct sim_synflood_options {
	uint16_t port; /**< of SIM_SYNFLOOD_ADDRESS */
	bool spoofed;  /**< another source every time */
	uint64_t rate; /**< frames per second; 0 = as fast as one core can */
	uint64_t duration_ns;
};

struct sim_synflood_result {
	uint64_t sent;	   /**< SYNs */
	uint64_t answered; /**< frames that came back: SYN-ACKs and their repetitions, or RSTs */
	double seconds, cpu_s; /**< @cpu_s: the kernel's part of both ends is in it */
};

/**
 * Floods and cleans up. Needs CAP_SYS_ADMIN and CAP_NET_ADMIN, and the ip command.
 * @return 0, or an error with one sentence in @error: -EPERM, CH_E_STATE: another interface is here
 */
CH_NODISCARD int sim_synflood(const struct sim_synflood_options *options,
			      struct sim_synflood_result *result, char error[SIM_SYNFLOOD_ERROR]);

/**
 * Moves this process, which has one thread yet, to a network namespace of its own with a loopback.
 * @return 0 or a negated errno: it stays where it was
 */
CH_NODISCARD int sim_own_network(void);

/** The frame of a SYN, checksums and all. @return its length */
#define SIM_SYN_FRAME 54
void sim_syn_frame(uint8_t frame[SIM_SYN_FRAME], uint32_t source, uint16_t source_port,
		   uint32_t target, uint16_t port, uint32_t sequence);
