/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Changes of the inventory over the control API. MHD's thread only. */
#include <callhome/callhome.h>
#include "control_wait.h"

/** Most bytes of an inventory that is imported: a million lines of 64 bytes. */
#define CH_IMPORT_MOST (64 * 1024 * 1024)

/**
 * Begins a change and parks the connection until it is in force; then MHD calls the handler again
 * and ch_control_change_finish answers.
 * @param name  device, or fingerprint in hexadecimal (ACCEPT, REJECT): what the path names
 * @return MHD_YES, and @wait (NULL when it was answered at once)
 */
enum MHD_Result ch_control_change_start(struct MHD_Connection *connection,
					struct ch_collector *collector, enum ch_change_kind kind,
					const char *name, struct ch_slice body,
					struct ch_control_wait **wait);
enum MHD_Result ch_control_change_finish(struct MHD_Connection *connection,
					 struct ch_control_wait *wait);

/** The whole inventory as text/csv. */
enum MHD_Result ch_control_export(struct MHD_Connection *connection,
				  const struct ch_collector *collector);
