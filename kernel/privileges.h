/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What the kernel lets this process do beyond what files and users say. Capabilities belong to a
 * thread; a new thread has those of its maker.
 */
#include <callhome/error.h>

#include <stdbool.h>

/**
 * Gives up, in the calling thread and for every program that it may ever run, what a collector that
 * listens and has its guard loaded needs no more: all capabilities of a service user. Of root all but
 * CAP_DAC_OVERRIDE stay behind: a reload must read the keys and lists that the start could read.
 * Before, RLIMIT_MEMLOCK is lifted as far as may be.
 * @return 0 or a negated errno
 */
CH_NODISCARD int ch_privileges_drop(void);

#define CH_PRIVILEGES_TEXT 128

struct ch_privileges {
	char capabilities[CH_PRIVILEGES_TEXT]; /**< "none", or names with commas between */
	bool no_new;			       /**< no program gives more of them */
};

/** Those of the calling thread. */
void ch_privileges_read(struct ch_privileges *privileges);
