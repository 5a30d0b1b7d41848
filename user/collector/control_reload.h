/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* POST /v1/reload: the request waits until all threads run what was read, or is told at once. */
#include <callhome/callhome.h>
#include "control_wait.h"

/**
 * Starts a reload and parks the connection until its end, unless the request says wait=false.
 * @return MHD_YES, and @wait (NULL when the answer was given at once)
 */
enum MHD_Result ch_control_reload_start(struct MHD_Connection *connection,
					struct ch_collector *collector,
					struct ch_control_wait **wait);

enum MHD_Result ch_control_reload_finish(struct MHD_Connection *connection,
					 struct ch_control_wait *wait);
