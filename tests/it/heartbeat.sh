#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# TLS heartbeats between the real programs: each side tests the other, and notices when it is dead.
. "$(dirname "$0")/lib.sh"

slow=1
[ "$FLAVOUR" = asan ] && slow=3
counter() { cli status --json | field "$1"; }
up() { [ "$(cli devices --state connected --json 2>/dev/null | grep -c .)" = "$1" ]; }
above() { [ "$(counter "$1")" -gt "$2" ]; }

end_fleet()
{
	kill -TERM "$fleet" 2>/dev/null
	wait "$fleet" 2>/dev/null
	result=$(tail -n 1 "$site/sim.log")
}

site asked 4 'keepalives: {test-peer-aliveness: {max-wait: 0}}'
start_daemon || exit 1
sim_start --devices 4 --rate 0 --notify-rate 0 --heartbeat 1s --json
until_true $((20 * slow)) up 4 || not_ok "the devices come up" "$(cat "$site/sim.log")"
# row: S7b C4-answer
if until_true $((20 * slow)) above heartbeats_answered 11; then ok "devices ask an idle collector, and it answers"; else
	not_ok "devices ask an idle collector, and it answers" "$(counter heartbeats_received) $(counter heartbeats_answered)"
fi
for device in acme-000000 acme-000001; do
	equals "show tells the mode of $device" "$(cli show $device --json | field heartbeat)" peer-allowed-to-send
done
equals "nothing was dropped" "$(counter heartbeats_discarded) $(counter heartbeats_capped)" "0 0"
equals "the collector asked nobody" "$(counter heartbeats_sent)" 0
up 4 && ok "every session lives" || not_ok "every session lives"
end_fleet
if [ "$(field heartbeats_answered <<<"$result")" -gt 11 ]; then ok "the devices saw the answers"; else not_ok "the devices saw the answers" "$result"; fi
equals "no device gave up" "$(field failures <<<"$result")" 0
stop_daemon

site asks 4 'keepalives: {test-peer-aliveness: {max-wait: 1s, max-attempts: 2}}'
start_daemon || exit 1
sim_start --devices 4 --rate 0 --notify-rate 0 --heartbeat 0 --json
until_true 20 up 4
# row: HB7
if until_true 60 above heartbeats_sent 7; then ok "the collector asks idle devices"; else not_ok "the collector asks idle devices" "$(counter heartbeats_sent)"; fi
equals "every device answered" "$(counter heartbeats_missed)" 0
up 4 && ok "no session was ended for being idle" || not_ok "no session was ended for being idle"
end_fleet
stop_daemon

site may-not 2 'keepalives: {test-peer-aliveness: {max-wait: 1s, max-attempts: 1}}'
start_daemon || exit 1
sim_start --devices 2 --rate 0 --notify-rate 0 --heartbeat 1s --heartbeat-mode not-allowed --json
until_true 20 up 2
until_true 60 above heartbeats_answered 5 # two a second: the collector's own would be due by now
# row: HB7
equals "a device that does not allow it is never asked" "$(counter heartbeats_sent)" 0
if above heartbeats_answered 1; then ok "but answered"; else not_ok "but answered" "$(counter heartbeats_received)"; fi
equals "show tells it" "$(cli show acme-000001 --json | field heartbeat)" peer-not-allowed-to-send
up 2 && ok "its session lives" || not_ok "its session lives"
end_fleet
stop_daemon

site off 2 'keepalives: {peer-allowed-to-send: false, test-peer-aliveness: {max-wait: 1s, max-attempts: 1}}'
start_daemon || exit 1
# row: C4-off
matches "heartbeats switched off are warned of" "$(cat "$site/daemon.log")" 'peer-allowed-to-send: false does not conform to RFC 8071'
sim_start --devices 2 --rate 0 --notify-rate 0 --heartbeat 1s --json
until_true 20 up 2
sleep 2
equals "and then there are none" "$(counter heartbeats_received) $(counter heartbeats_sent) $(cli show acme-000001 --json | field heartbeat)" "0 0 none"
up 2 && ok "which ends no session" || not_ok "which ends no session"
end_fleet
stop_daemon

# A collector that hangs still has a kernel that acknowledges: TCP keepalive sees nothing.
site dead 4
start_daemon || exit 1
sim_start --devices 4 --rate 0 --notify-rate 0 --heartbeat 1s --heartbeat-attempts 2 --backoff-min 100ms --json
until_true 20 up 4
kill -STOP "$daemon"
sleep $((4 + slow))
kill -CONT "$daemon"
again() { [ "$(events '"event":"device-connected"')" -ge 8 ]; }
# row: S7a
if until_true $((20 * slow)) again; then ok "devices call again when the collector was dead"; else
	not_ok "devices call again when the collector was dead" "$(events '"event":"device-connected"') connections"
fi
until_true 20 up 4 && ok "and are all back" || not_ok "and are all back"
end_fleet
if [ "$(field collector-silent <<<"$result")" -ge 4 ]; then ok "it was the heartbeats that told them"; else
	not_ok "it was the heartbeats that told them" "$result"
fi
stop_daemon
equals "the daemon ends well" "$status" 0
finish
