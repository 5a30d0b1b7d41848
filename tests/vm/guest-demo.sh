#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# needs: callhomed callhome-sim
#
# The demo, small, on this kernel: io_uring, the daemon and the simulator as they are.
. "$(dirname "$0")/../it/lib.sh"

"$BIN/callhomed" --version
"$BIN/callhome-sim" demo --devices 20 --duration 5 --quiet >"$tmp/out" 2>"$tmp/err"
status=$?
json=$(tail -n 1 "$tmp/out")
equals "the demo exits with 0" $status 0
[ $status = 0 ] || sed 's/^/# /' "$tmp/out" "$tmp/err"
equals "the demo says ok" "$(field demo <<<"$json")" ok
equals "all devices came up" "$(field up <<<"$json")" 20
equals "every impostor was refused" "$(field refused <<<"$json")" 24
equals "every notification is in the spool" "$(field spooled <<<"$json")" "$(field notifications_sent <<<"$json")"
echo "# $json"
finish
