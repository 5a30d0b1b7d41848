/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The guard over the control API: bans, counters, rules. MHD's thread only. */
#include <callhome/callhome.h>
#include "control_http.h"

/** The bans in force as NDJSON, in the order of addresses. */
enum MHD_Result ch_control_bans(struct MHD_Connection *connection,
				const struct ch_collector *collector);
/** @by: the user who asks. */
enum MHD_Result ch_control_ban(struct MHD_Connection *connection, struct ch_collector *collector,
			       const char *by);
enum MHD_Result ch_control_unban(struct MHD_Connection *connection, struct ch_collector *collector,
				 const char *source, const char *by);

enum MHD_Result ch_control_guard(struct MHD_Connection *connection,
				 const struct ch_collector *collector);
enum MHD_Result ch_control_guard_rules(struct MHD_Connection *connection,
				       const struct ch_collector *collector);
enum MHD_Result ch_control_guard_reset(struct MHD_Connection *connection,
				       struct ch_collector *collector);

/** Adds the member "guard": what of it belongs to the status. */
void ch_control_put_guard(struct ch_json *json, const struct ch_collector *collector);
