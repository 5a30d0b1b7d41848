/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The control socket: HTTP/1.1 with JSON over AF_UNIX (libmicrohttpd on its own thread), written on
 * the public API alone. Mode 0600; a lock file beside it (PATH.lock) keeps a second daemon away; a
 * stale socket is found by connecting to it and replaced.
 *
 *   GET    /healthz
 *   GET    /v1/status
 *   GET    /v1/devices?state=&name=&profile=&manufacturer=&after=&limit=   NDJSON, streamed
 *   GET    /v1/devices/NAME
 *   POST   /v1/devices/NAME/rpc?timeout=                     XML in, XML out
 *   DELETE /v1/devices/NAME/session
 *   GET    /v1/quarantine
 *   GET    /v1/bans                                          NDJSON
 *   POST   /v1/bans?source=&seconds=
 *   DELETE /v1/bans/SOURCE
 *   GET    /v1/guard, /v1/guard/rules
 *   POST   /v1/guard/reset?rule=
 * Errors: {"error": "...", "message": "..."} with 400, 403, 404, 405, 409 (not connected), 413,
 * 429, 500, 502, 503, 504. Only root and our own uid are served. docs/control-api.md has it all.
 */
#include <callhome/callhome.h>

struct ch_control;

/**
 * Takes the lock and listens. @collector must outlive the control socket.
 * @return 0; a negated errno with one sentence in @error (path too long, in use, ...)
 */
CH_NODISCARD int ch_control_open(struct ch_collector *collector, const char *path,
				 struct ch_control **control, char error[256]);
/**
 * Answers what waits for a device with 503, gives answers under way up to two seconds, ends the
 * thread, removes socket and lock. Replies that come later are dropped. NULL is fine.
 */
void ch_control_close(struct ch_control *control);
