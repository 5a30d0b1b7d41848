/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What the control API shows: status, devices, quarantine. MHD's thread only. */
#include <callhome/callhome.h>
#include "control_http.h"

/** @uptime_ns: since the collector started, by a clock that does not jump. */
enum MHD_Result ch_control_status(struct MHD_Connection *connection,
				  const struct ch_collector *collector, uint64_t uptime_ns);

/** The counters in the text format of Prometheus. */
enum MHD_Result ch_control_metrics(struct MHD_Connection *connection,
				   const struct ch_collector *collector);

/** NDJSON, made page by page, so that 100,000 devices cost a few kB. */
enum MHD_Result ch_control_devices(struct MHD_Connection *connection,
				   const struct ch_collector *collector);

enum MHD_Result ch_control_device(struct MHD_Connection *connection,
				  const struct ch_collector *collector, const char *name);

enum MHD_Result ch_control_quarantine(struct MHD_Connection *connection,
				      const struct ch_collector *collector);
