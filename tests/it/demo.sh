#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The demo, small: its last line is JSON that adds up, and it fails when the daemon is not what it says.
. "$(dirname "$0")/lib.sh"

devices=100
[ "$FLAVOUR" = asan ] && devices=40
"$BIN/callhome-sim" demo --devices $devices --duration 5 --quiet >"$tmp/out" 2>"$tmp/err"
status=$?
json=$(tail -n 1 "$tmp/out")
equals "exits with 0" $status 0
[ $status = 0 ] || sed 's/^/# /' "$tmp/out" "$tmp/err"
equals "says ok" "$(field demo <<<"$json")" ok
equals "all devices are counted" "$(field devices <<<"$json")" $devices
equals "all devices came up" "$(field up <<<"$json")" $devices
equals "two dozen impostors called" "$(field impostors <<<"$json")" 24
equals "every impostor was refused" "$(field refused <<<"$json")" 24
sent=$(field notifications_sent <<<"$json")
if [ "${sent:-0}" -ge $devices ]; then ok "every device notifies"; else not_ok "every device notifies" "$json"; fi
equals "all notifications were received" "$(field notifications_received <<<"$json")" "$sent"
equals "all notifications are in the spool" "$(field spooled <<<"$json")" "$sent"
equals "every device answered get-config" "$(field replies <<<"$json")" $devices
equals "the record layer is named" "$(field record_layer <<<"$json")" user
matches "the time is told" "$(field seconds <<<"$json")" '^[0-9]+(\.[0-9]+)?$'

printf '#!/bin/sh\nexit 2\n' >"$tmp/no-daemon"
chmod +x "$tmp/no-daemon"
"$BIN/callhome-sim" demo --devices 5 --duration 5 --quiet --callhomed "$tmp/no-daemon" --keep "$tmp/kept" >"$tmp/out" 2>"$tmp/err"
equals "fails without a daemon" "$?" 1
equals "and says so in JSON" "$(tail -n 1 "$tmp/out" | field demo)" failed
finish
