#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Sessions that are up go before handshakes: in a storm of them requests are answered and no notification
# is lost. The guard is off, so that all of the storm comes to the handshakes.
. "$(dirname "$0")/lib.sh"
devices=10

status_of() { cli status --json 2>/dev/null | field "$1"; }

# ask: a request to each device, one after the other. Sets answered, and slowest in ms.
ask()
{
	local i name began took
	answered=0 slowest=0
	for i in $(seq 2 $((devices + 1))); do
		name=$(sed -n "${i}p" "$site/devices.csv" | cut -d, -f3)
		began=$(date +%s%N)
		cli rpc "$name" --timeout 60s <<<'<get/>' 2>/dev/null | grep -q '<rpc-reply' && answered=$((answered + 1))
		took=$((($(date +%s%N) - began) / 1000000))
		[ $took -le $slowest ] || slowest=$took
	done
}

# Attackers from sources of their own: certificates that cost a handshake, and calls that end at each stage.
storm()
{
	local kind
	for kind in bad-cert-churn handshake-churn wrong-identity; do
		timeout 300 "$BIN/callhome-sim" attack $kind --target "127.0.0.1:$port" --pki "$site" --rate 2000 \
			--connections 300 --duration 5min --source 127.66.0.1 >"$tmp/$kind.log" 2>&1 &
		storm+=("$!")
		pids+=("$!")
	done
}

site storm $devices 'guard: {mode: "off"}'
start_daemon || exit 1
sim_start --devices $devices --notify-rate 5 --no-reconnect --json
until_true 30 eval '[ "$(status_of up)" = $devices ]' || not_ok "the fleet is up" "$(tail "$site/sim.log")"
ask
equals "quiet: every device answers" "$answered" $devices
echo "# quiet: the slowest answer took $slowest ms"
storm=()
storm
if until_true 30 eval '[ "$(status_of handshaking)" -ge 100 ]'; then
	ok "a storm of handshakes is on"
else
	not_ok "a storm of handshakes is on" "$(cli status; cat "$tmp"/*-churn.log)"
fi
notes=$(status_of notifications)
ask
equals "storm: every device answers" "$answered" $devices
echo "# storm: the slowest answer took $slowest ms, with $(status_of handshaking) handshakes under way"
if until_true 30 eval '[ "$(status_of notifications)" -ge $((notes + 50)) ]'; then
	ok "storm: notifications flow"
else
	not_ok "storm: notifications flow" "$(cli status)"
fi
kill "${storm[@]}" 2>/dev/null
wait "${storm[@]}" 2>/dev/null
equals "no session ended" "$(events '"event":"device-disconnected"')" 0
kill -TERM "$fleet"
wait "$fleet"
stop_daemon
sent=$(tail -n 1 "$site/sim.log" | field notifications_sent)
equals "no notification was lost" "$(wc -l <"$site/spool/notifications.ndjson")" "$sent"
finish
