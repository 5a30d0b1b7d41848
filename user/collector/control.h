/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The control socket: HTTP/1.1 with JSON over AF_UNIX (libmicrohttpd on its own thread), written on
 * the public API alone. Mode 0600; a lock file beside it (PATH.lock) keeps a second daemon away; a
 * stale socket is found by connecting to it and replaced.
 *
 *   GET    /healthz
 *   GET    /v1/status
 *   GET    /v1/devices?state=&name=&profile=&after=&limit=   NDJSON, streamed
 *   GET    /v1/devices/NAME
 *   POST   /v1/devices/NAME/rpc?timeout=                     XML in, XML out
 *   DELETE /v1/devices/NAME/session
 *   GET    /v1/quarantine
 * Errors: {"error": "...", "message": "..."} with 400, 404, 409 (not connected), 413, 429, 503, 504.
 */
#include <callhome/callhome.h>

struct ch_control;

/** Takes the lock and listens. @return 0; a negated errno with one sentence in @error (path too long, in use, ...). */
CH_NODISCARD int ch_control_open(struct ch_collector *collector, const char *path,
				 struct ch_control **control, char error[256]);
/** Ends the thread, answers what waits with 503, removes socket and lock. NULL is fine. */
void ch_control_close(struct ch_control *control);
