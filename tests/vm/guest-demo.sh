#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# needs: callhomed callhome-sim
#
# The demo, small, on this kernel: io_uring, the daemon and the simulator as they are, with `auto` as their
# policy for records. Slower than at home, because an emulated processor takes a quarter of a second for a
# login on both sides.
. "$(dirname "$0")/../it/lib.sh"

"$BIN/callhomed" --version
"$BIN/callhome-sim" demo --devices 20 --duration 10 --quiet >"$tmp/out" 2>"$tmp/err"
status=$?
json=$(tail -n 1 "$tmp/out")
equals "the demo exits with 0" $status 0
[ $status = 0 ] || sed 's/^/# /' "$tmp/out" "$tmp/err"
equals "the demo says ok" "$(field demo <<<"$json")" ok
equals "all devices came up" "$(field up <<<"$json")" 20
equals "every impostor was refused" "$(field refused <<<"$json")" 24
equals "every notification is in the spool" "$(field spooled <<<"$json")" "$(field notifications_sent <<<"$json")"
# mixed: every other device is limited to TLS 1.2, which every kernel with TLS takes; TLS 1.3 goes along
# where its keys can be renewed.
kernel=$(field kernel <<<"$json")
user=$(field user <<<"$json")
matches "every TLS 1.2 session has its records in the kernel" "$kernel" '^(10|20)$'
equals "every other session has its records in user space" "$user" $((20 - ${kernel:-0}))
echo "# $json"
finish
