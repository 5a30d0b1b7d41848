/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * An HTTP request that waits for work on another thread, which ends with an error code and a text.
 * Two own it: the request and that thread; whoever comes last frees it.
 */
#include <callhome/error.h>
#include "control_http.h"

struct ch_control_wait;

/** @return NULL = out of memory */
struct ch_control_wait *ch_control_wait_new(struct MHD_Connection *connection);

/** The work was never begun: ch_control_wait_done will not be called. The request's share stays. */
void ch_control_wait_abandon(struct ch_control_wait *wait);

/** Of the other thread: the work is done. Gives its share up. */
void ch_control_wait_done(struct ch_control_wait *wait, int error, const char *text);

/** Suspends the connection until the work is done. @return false: it is done already */
bool ch_control_wait_park(struct ch_control_wait *wait);

/** The collector stops: the connection is resumed. Any thread. */
void ch_control_wait_cancel(struct ch_control_wait *wait);

/** Once the handler is called again. @return the error, or CH_E_TIMEOUT: cancelled. @text is the
 * wait's */
CH_NODISCARD int ch_control_wait_result(struct ch_control_wait *wait, const char **text);

/** The HTTP request is over. NULL is fine. */
void ch_control_wait_release(struct ch_control_wait *wait);
