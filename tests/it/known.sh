#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Known sources outlive a restart: while strangers hold all the places that strangers have, a fleet that
# was there before the restart gets in, and one that nobody remembers does not.
# Where the kernel chooses the door, they come through one of their own.
. "$(dirname "$0")/lib.sh"

# A day's worth of silence, from many sources, each of which calls seldom: they take all that they can.
strangers()
{
	"$BIN/callhome-sim" attack silent --target "127.0.0.1:$port" --rate 100 --connections 60 \
		--duration 2min --source 127.66.0.0/16 >"$tmp/strangers.log" 2>&1 &
	strangers=$!
	pids+=("$strangers")
	until_true 20 ended handshake-limit 5 || not_ok "strangers hold their places" "$(cat "$tmp/strangers.log")"
}

go_away()
{
	kill "$strangers"
	wait "$strangers" 2>/dev/null
}

fleet() { sim --devices 4 --source 127.70.0.1 --no-reconnect --duration "$1" >"$tmp/fleet.log" 2>&1; }

site known 4 'limits: {max-handshakes: 16, login-timeout: 2min}' \
	'guard: {mode: userspace, source-rate: 0, bans-file: bans}'
start_daemon || exit 1
fleet 4s
equals "the fleet is there" "$(events device-connected)" 4
stop_daemon
equals "the daemon ends well" "$status" 0
equals "its sources are written down" \
	"$(grep -cE '^127\.70\.0\.[1-4] 20[0-9-]+T[0-9:]+Z$' "$site/bans.known") of $(grep -cv '^#' "$site/bans.known")" "4 of 4"
echo "127.70.0.9 tomorrow" >>"$site/bans.known"

rm -rf "$site/spool"
start_daemon || exit 1
matches "a line that cannot be read is named" "$(cat "$site/daemon.log")" \
	'event=known-file text=".*/bans.known:6: not a known source \(SOURCE END\); the line is ignored'
strangers
fleet 3s
equals "after a restart the fleet gets in while strangers hold their places" "$(events device-connected)" 4
go_away
stop_daemon KILL
equals "a crash loses nothing that was written" "$(grep -c '^127.70.0.[1-4] ' "$site/bans.known")" 4

rm -rf "$site/spool" "$site/bans.known"
start_daemon || exit 1
strangers
fleet 3s
equals "one that is not remembered stays out" "$(events device-connected)" 0
go_away
stop_daemon

mkdir "$site/bans.known"
timeout 20 "$BIN/callhomed" -c "$site/callhomed.yaml" >"$tmp/out" 2>&1
equals "without a file that can be read there is no start" "$?" 1
matches "and it is said what to do" "$(cat "$tmp/out")" 'guard.known-file: .*/bans.known: .*; mend or remove it'
stop_daemon

at_known_door() { cli status --json | grep -o '"accepted_known_door":[0-9]*'; }

site doors 4 '' 'guard: {bans-file: bans}'
start_daemon || exit 1
if cli guard stats --json | grep -q '"doors":2'; then
	fleet 4s
	equals "who is not known yet comes through the door of all" "$(at_known_door)" '"accepted_known_door":0'
	stop_daemon
	start_daemon || exit 1
	fleet 1s
	equals "after a restart the known come through their own" "$(at_known_door)" '"accepted_known_door":4'
	# The table would grow in a storm otherwise, while the fleet waits.
	matches "there is room for the descriptors of all that may log in" \
		"$(awk '/^FDSize/ {print ($2 >= 512 + 1024 + 1024)}' "/proc/$daemon/status")" '^1$'
	matches "the address is told once, although it has two doors" "$(cat "$site/daemon.log")" \
		"listen=127.0.0.1:$port "
else
	skip "known sources have a door of their own" "$(cli status | grep -i door)"
fi
finish
