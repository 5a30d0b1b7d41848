#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# needs: callhomed callhome callhome-sim foreign/dev_gnutls
# pki: 4
#
# TLS heartbeats where LAYER says: kernel (in a guest) or user (anywhere). Between our own programs in both
# directions and both versions, and with GnuTLS, whose record layer is its own.
. "$(dirname "$0")/guest.sh"
devices=4

counter() { cli status --json | field "$1"; }
above() { [ "$(counter "$1")" -gt "$2" ]; }
end_fleet()
{
	kill -TERM "$fleet"
	wait "$fleet"
	result=$(tail -n 1 "$site/sim.log")
}

# ---------------------------------------------------------------- both ends are ours
site asked $devices 'limits: {login-timeout: 5min}' "record-layer: $LAYER" 'keepalives: {test-peer-aliveness: {max-wait: 0}}'
start_daemon || exit 1
sim_start --devices $devices --rate 4 --notify-rate 0 --duration 0 --record-layer "$LAYER" --heartbeat 1s --json
eventually 120 up $devices || not_ok "the fleet comes up" "$(cat "$site/sim.log" "$site/daemon.log")"
for version in 1.2 1.3; do
	equals "TLS $version: the records are in the $LAYER" \
		"$(connected | grep "\"tls_version\":\"TLSv$version\"" | grep -c "\"record_layer\":\"$LAYER\"")" $((devices / 2))
done
# row: C4-answer S7b
if eventually 60 above heartbeats_answered $((devices * 3)); then ok "the collector answers its devices"; else
	not_ok "the collector answers its devices" "$(counter heartbeats_received)"
fi
equals "nothing was dropped" "$(counter heartbeats_discarded) $(counter heartbeats_capped)" "0 0"
up $devices && ok "every session lives" || not_ok "every session lives" "$(cat "$site/daemon.log")"
end_fleet
if [ "$(field heartbeats_answered <<<"$result")" -gt $devices ]; then ok "the devices saw the answers"; else
	not_ok "the devices saw the answers" "$result"
fi
equals "no device gave up" "$(field failures <<<"$result")" 0
stop_daemon

site asks $devices 'limits: {login-timeout: 5min}' "record-layer: $LAYER" 'keepalives: {test-peer-aliveness: {max-wait: 1s, max-attempts: 10}}'
start_daemon || exit 1
sim_start --devices $devices --rate 4 --notify-rate 0 --duration 0 --record-layer "$LAYER" --heartbeat 0 --json
eventually 120 up $devices || not_ok "the fleet comes up" "$(cat "$site/sim.log" "$site/daemon.log")"
# row: HB7
if eventually 60 above heartbeats_sent $((devices * 3)); then ok "the collector asks its devices"; else
	not_ok "the collector asks its devices" "$(counter heartbeats_sent)"
fi
# an emulated processor may be late now and then
if [ "$(counter heartbeats_missed)" -le $devices ]; then ok "and they answer"; else not_ok "and they answer" "$(counter heartbeats_missed)"; fi
end_fleet

# ---------------------------------------------------------------- GnuTLS
said() { grep -q "^$1" "$log"; }
asked() { [ "$(grep -c '^ping answered' "$log")" -ge 2 ]; }

# gnutls VERSION INDEX: an acme device
gnutls()
{
	local key=$site/sim/acme-$(($2 % 4)) name pid
	name=$(printf 'acme-%06d' "$2")
	log=$site/gnutls-$1.log
	awk -v n=$(($2 + 1)) '/BEGIN CERT/ { i++ } i == n' "$site/sim/fleet.pem" >"$site/$2.pem"
	awk '/BEGIN CERT/ { i++ } i == 2' "$key.pem" >>"$site/$2.pem"
	"$BIN/foreign/dev_gnutls" --connect "127.0.0.1:$port" --cert "$site/$2.pem" --key "$key.key" \
		--ca "$site/sim/collector-ca.pem" --tls "${1/./}" --attack heartbeat-271 --close none >"$log" 2>&1 &
	pid=$!
	pids+=("$pid")
	eventually 90 said open || not_ok "GnuTLS, TLS $1: it logs in" "$(cat "$log" "$site/daemon.log")"
	equals "GnuTLS, TLS $1: where the records are" "$(cli show "$name" --json | field record_layer) $(cli show "$name" --json | field tls_version) $(cli show "$name" --json | field heartbeat)" \
		"$LAYER TLSv$1 peer-allowed-to-send"
	kill -USR1 "$pid"
	# row: C4-answer HB1 = GnuTLS*its*ping*is*answered
	if eventually 30 said 'pong 271'; then ok "GnuTLS, TLS $1: its ping is answered"; else not_ok "GnuTLS, TLS $1: its ping is answered" "$(cat "$log")"; fi
	# row: HB7 = GnuTLS*it*answers*ours
	if eventually 30 asked; then ok "GnuTLS, TLS $1: it answers ours"; else not_ok "GnuTLS, TLS $1: it answers ours" "$(cat "$log")"; fi
	cli kill "$name" >/dev/null || not_ok "GnuTLS, TLS $1: callhome kill" "$(cat "$site/daemon.log")"
	eventually 30 said 'collector close_notify' || not_ok "GnuTLS, TLS $1: closed by protocol" "$(cat "$log")"
}
eventually 30 up 0
gnutls 1.2 0
gnutls 1.3 1
stop_daemon
equals "the daemon ends well" "$status" 0
finish
