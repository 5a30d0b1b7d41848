/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Reads a collector's spool and compares it with what the devices did. */
#include "fleet.h"
#include "user/core/buf.h"

#define SIM_FAILURES_MAX 20 /* texts kept; the rest is counted */

struct sim_failures {
	char text[SIM_FAILURES_MAX][200];
	uint32_t count; /**< all of them */
};

void sim_failures_add(struct sim_failures *failures, const char *fmt, ...) CH_PRINTF(2, 3);

struct sim_verdict {
	uint64_t notifications; /**< lines in the notifications spool */
	uint64_t replies;	/**< lines in the replies spool */
	uint64_t connected;	/**< device-connected events of honest devices */
	uint64_t right;		/**< impostors that ended once, for their own reason */
};

/**
 * Reads all spool files of @directory. Every impostor must have ended once, for its own reason.
 * Honest devices may only be disconnected for @goodbye, the reason of an orderly end; NONE: they are
 * not looked at (others may use the same collector). Everything else is a failure.
 * @return 0 or a negated errno (also told in @failures)
 */
CH_NODISCARD int sim_verify(const char *directory, const struct sim_impostor_view *impostors,
			    uint32_t impostor_count, enum ch_reason goodbye,
			    struct sim_verdict *verdict, struct sim_failures *failures);
