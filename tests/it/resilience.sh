#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The resilience run, short: what becomes of the fleet and of the attackers, whatever it takes in time.
. "$(dirname "$0")/lib.sh"

# figure KIND on|off NAME: of the JSON result
figure()
{
	tail -n 1 "$tmp/out" | python3 -c '
import json, sys
row = [a for a in json.load(sys.stdin)["attacks"] if a["kind"] == sys.argv[1]][0][sys.argv[2]]
print(row["skipped"] if "skipped" in row else row[sys.argv[3]])' "$@"
}

# spared KIND: with the guard everybody got in and nothing was lost.
spared()
{
	equals "$1: every device that keeps its session is up" "$(figure "$1" on up)" 6
	equals "$1: no session was cut" "$(figure "$1" on sessions_cut)" 0
	equals "$1: every call got in" "$(figure "$1" on logins)" "$(figure "$1" on calls)"
	equals "$1: no notification was lost" "$(figure "$1" on notifications_spooled)" "$(figure "$1" on notifications_sent)"
	equals "$1: no rpc failed" "$(figure "$1" on rpcs_failed)" 0
	equals "$1: nobody of the fleet was banned" "$(figure "$1" on false_bans)" 0
}

# Six sources: the first thirty calls of an attack ban them all, at any speed.
timeout 300 "$BIN/callhome-sim" resilience --devices 12 --duration-per-attack 1s --cap 64 --json \
	--source 127.66.0.0/29 --kinds silent,garbage,syn-flood >"$tmp/out" 2>"$tmp/err"
status=$?
# Times are the machine's, so that it may end with a miss; but then the result says so.
case $(tail -n 1 "$tmp/out" | grep -o '^{"result":"[a-z]*"'):$status in
'{"result":"pass":0' | '{"result":"fail":1') ok "the exit status is that of the result" ;;
*) not_ok "the exit status is that of the result" "$status
$(cat "$tmp/err" "$tmp/out")" ;;
esac
spared silent
spared garbage
# row: SC5b = sources of garbage are banned
banned=$(figure garbage on bans)
if [ "${banned:-0}" -ge 1 ]; then ok "sources of garbage are banned"; else not_ok "sources of garbage are banned" "$(cat "$tmp/out")"; fi
equals "nobody is banned without the guard" "$(figure garbage off bans)" 0
if [ "$(id -u)" = 0 ] && unshare --net true 2>/dev/null; then
	spared syn-flood
	if [ "$(figure syn-flood on attempts)" -ge 1000 ]; then ok "SYNs without end were sent"; else not_ok "SYNs without end were sent" "$(cat "$tmp/out")"; fi
else
	skip "a flood of SYNs" "no root for a network namespace"
	matches "it says why there was none" "$(figure syn-flood on skipped)" "need root"
fi

"$BIN/callhome-sim" resilience --kinds silent,kindness >"$tmp/out" 2>"$tmp/err"
equals "an unknown attack is refused" $? 2
matches "and named" "$(cat "$tmp/err")" "kindness is no kind of attack"
"$BIN/callhome-sim" attack syn-flood --target 127.0.0.1:4335 >"$tmp/out" 2>"$tmp/err"
equals "a flood is refused beside other interfaces, or without root" $? 2
matches "and it says what to do" "$(cat "$tmp/err")" "loopback is the only interface|need root"
finish
