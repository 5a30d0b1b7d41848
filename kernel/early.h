/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The early stage of the guard: its XDP program on the interfaces that the operator names, and the
 * addresses of this host, which tell it what is not ours. Neither needs a capability once the
 * program is loaded, so an interface that goes and comes back gets it again. The kernel takes it
 * off when the process ends, however it ends.
 *
 * Threads: any.
 */
#include <callhome/error.h>
#include "bpf/guard.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CH_EARLY_INTERFACES 8
#define CH_EARLY_NAME 16 /**< bytes of an interface's name, as the kernel's IFNAMSIZ */
#define CH_EARLY_WHY 256

/**
 * The first name of a list such as "eth0,eth1".
 * @return what is behind it, "" at the end; NULL: it is no name of an interface
 */
const char *ch_early_name(const char *list, char name[CH_EARLY_NAME]);
/** Is the list one of 1 to CH_EARLY_INTERFACES different names? */
bool ch_early_is_valid(const char *list);
bool ch_early_is_there(const char *interface);

struct ch_early_options {
	int program;			      /**< borrowed while the stage lives, as is @locals */
	int locals;			      /**< the map of addresses */
	const char *interfaces;		      /**< valid */
	bool generic;			      /**< never by the driver, always behind it */
	const struct guard_source *listeners; /**< addresses of our own, beside the interfaces' */
	size_t listener_count;
	const char *why; /**< why there is no program: nothing is ever attached; "" = there is */
};

struct ch_early_state {
	char interface[CH_EARLY_NAME];
	const char *mode; /**< "native" (in the driver), "generic" (behind it); NULL = not there */
	int native_err;	  /**< why it is "generic" although the driver was asked; 0 */
	char why[CH_EARLY_WHY]; /**< why it is not there, or does not see all listeners; "" */
};

struct ch_early;

/** Nothing is attached yet: see ch_early_tend. @return 0 or -ENOMEM */
CH_NODISCARD int ch_early_new(const struct ch_early_options *options, struct ch_early **early);
/** Takes the program off all interfaces. NULL is fine. */
void ch_early_free(struct ch_early *early);

typedef void (*ch_early_fn)(void *ctx, const struct ch_early_state *state);
/**
 * Attaches what is not, sees what went, follows the addresses of the host: some times a minute or
 * more. @fn is called for each interface of which something changed.
 */
void ch_early_tend(struct ch_early *early, uint64_t now_ns, ch_early_fn fn, void *ctx);

/** @return how many interfaces there are */
size_t ch_early_read(struct ch_early *early, struct ch_early_state states[CH_EARLY_INTERFACES]);
