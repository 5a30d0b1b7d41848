/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* A callhomed as a child process of the demo. */
#include "control.h"

#include <stdbool.h>
#include <sys/types.h>

struct sim_daemon {
	pid_t pid; /**< 0 = none */
	struct sim_control *control;
};

/** Starts @program -c @config with both outputs in @log. @return 0 or a negated errno */
CH_NODISCARD int sim_daemon_start(struct sim_daemon *daemon, const char *program,
				  const char *config, const char *log, const char *socket);

/** Waits until the control socket answers. @return 0, CH_E_TIMEOUT, or CH_E_STATE: it has ended */
CH_NODISCARD int sim_daemon_ready(struct sim_daemon *daemon, uint64_t timeout_ns);

/** GET /v1/status; the caller owns @status. @return as sim_control_get */
CH_NODISCARD int sim_daemon_status(struct sim_daemon *daemon, json_t **status);

/** SIGTERM and wait; SIGKILL after @timeout_ns. @return the exit status, or -1: killed or crashed */
int sim_daemon_stop(struct sim_daemon *daemon, uint64_t timeout_ns);

/** Kills what is left of it. */
void sim_daemon_deinit(struct sim_daemon *daemon);
