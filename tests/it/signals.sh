#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# SIGTERM ends every session by protocol; a second one ends at once; both exit with 0 and a flushed spool.
. "$(dirname "$0")/lib.sh"

up() { [ "$(cli devices --state connected --json 2>/dev/null | wc -l)" = "$1" ]; }

site graceful 10
start_daemon || exit 1
sim_start --devices 10 --no-reconnect --json
if until_true 20 up 10; then ok "ten devices come up"; else not_ok "ten devices come up"; fi
stop_daemon TERM
equals "graceful: exit status" "$status" 0
equals "graceful: every session ends with its reason" "$(events '"event":"device-disconnected".*"reason":"shutdown"')" 10
equals "graceful: the collector stopped, once" "$(events '"event":"collector-stopped"')" 1
matches "graceful: the log says which signal" "$(cat "$site/daemon.log")" 'event=collector-stopping signal=TERM'
kill -TERM "$fleet"
wait "$fleet"
received=$(wc -l <"$site/spool/notifications.ndjson")
whole=$(grep -c '^{.*}$' "$site/spool/notifications.ndjson")
equals "graceful: no torn line in the spool" "$whole" "$received"

# A device that does not answer close-session holds a graceful end up, a second signal does not wait.
site abrupt 1 'limits: {shutdown-timeout: 1h}'
start_daemon || exit 1
sim_start --devices 0 --impostors mute:1 --impostor-wait 1h --no-reconnect
if until_true 20 up 1; then ok "a mute device comes up"; else not_ok "a mute device comes up" "$(cat "$site/sim.log")"; fi
kill -TERM "$daemon"
if until_true 20 grep -q 'event=collector-stopping' "$site/daemon.log"; then ok "first signal: stopping"; else not_ok "first signal: stopping"; fi
stop_daemon TERM
equals "second signal: exit status" "$status" 0
matches "second signal: the log says so" "$(cat "$site/daemon.log")" 'event=collector-(aborting|stopped)'
equals "second signal: the session has its reason" "$(events '"reason":"shutdown"')" 1
finish
