/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The gate (user/guard) as the configuration wants it, and the thread that keeps house for it: log
 * lines of the kernel's events, the file of bans.
 */
#include "config.h"

struct ch_guarding;

/** Makes the gate. @return as ch_gate_new. */
CH_NODISCARD int ch_guarding_new(const struct ch_config *config, const struct ch_log *log,
				 struct ch_guarding **guarding, struct ch_buf *error);
/** Starts the thread. @return 0 or a negated errno. */
CH_NODISCARD int ch_guarding_start(struct ch_guarding *guarding);
/** Ends the thread and writes the bans. NULL is fine. */
void ch_guarding_free(struct ch_guarding *guarding);

/** Rules and limits of another configuration; what needs a restart stays. @return as ch_gate_reload */
CH_NODISCARD int ch_guarding_reload(struct ch_guarding *guarding, const struct ch_config *config,
				    struct ch_buf *error);

struct ch_gate *ch_guarding_gate(struct ch_guarding *guarding);
