/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* A client of the collector's control socket: HTTP and JSON over AF_UNIX. Thread: one at a time. */
#include <callhome/error.h>
#include <jansson.h>
#include <stdint.h>

struct sim_control;

/** @socket is copied; nothing is connected yet. @return 0 or -ENOMEM */
CH_NODISCARD int sim_control_new(const char *socket, struct sim_control **control);
void sim_control_free(struct sim_control *control);

/**
 * GET @path, parsed. The caller owns @answer (json_decref).
 * @return 0; CH_E_NOT_CONNECTED: nobody listens; CH_E_TIMEOUT; CH_E_SYNTAX: not JSON; CH_E_STATE:
 * an HTTP error
 */
CH_NODISCARD int sim_control_get(struct sim_control *control, const char *path, json_t **answer);

/** POST @body to @path; the answer is not looked at. @return as sim_control_get, but for SYNTAX */
CH_NODISCARD int sim_control_post(struct sim_control *control, const char *path, const char *body);

/** The integer at "a.b" of @answer, 0 when there is none. */
uint64_t sim_control_uint(const json_t *answer, const char *group, const char *name);
