/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What the machine should offer beside us: settings that a flood makes the difference of. */
#include "config.h"
#include "kernel/probe.h"

/** A warning in @log for each setting of the machine that weakens the defence against floods. */
void ch_host_warn(const struct ch_probe *probe, const struct ch_config *config,
		  const struct ch_log *log);
