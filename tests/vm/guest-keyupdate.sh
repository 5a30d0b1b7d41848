#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# needs: callhomed callhome callhome-sim foreign/dev_openssl
# pki: 4
#
# KeyUpdates of TLS 1.3 in both directions, asked for and not, with the collector's records where LAYER
# says: kernel (in a guest) or user (anywhere). A kernel that cannot change the keys of a session ends it
# with the reason of its own, and only when a KeyUpdate comes.
. "$(dirname "$0")/guest.sh"
devices=4
ended_so() { ended "$1" $devices; }
spooled() { grep -c . "$site/spool/notifications.ndjson" 2>/dev/null; }
at_least() { [ "$(spooled)" -ge "$1" ]; }

# new_site NAME: a daemon with its records in the $LAYER, and $devices that may call it
new_site()
{
	site "$1" $devices 'limits: {login-timeout: 5min}' "record-layer: ${2:-$LAYER}"
	start_daemon || exit 1
}

# fleet OPTION...: all of them call and stay
fleet()
{
	sim_start --devices $devices --rate 0 --tls 1.3 --notify-rate 2 --duration 0 --no-reconnect --json "$@"
	eventually 120 up $devices || not_ok "$name: the fleet comes up" "$(cat "$site/sim.log" "$site/daemon.log")"
}

end_fleet()
{
	kill -TERM "$fleet"
	wait "$fleet"
	result=$(tail -n 1 "$site/sim.log")
	stop_daemon
	equals "$name: the daemon ends well" "$status" 0
}

# goes_on LAYER OPTION...: keys change under sessions of devices with their records there, and data goes on
goes_on()
{
	local index reply devices_layer=$1 sent
	shift
	fleet --record-layer "$devices_layer" "$@"
	equals "$name: where the records are" "$(connected | field record_layer | sort | uniq -c | sed 's/^ *//')" "$devices $LAYER"
	for round in 1 2 3; do
		eventually 60 at_least $((round * devices * 5)) || not_ok "$name: notifications, round $round" "$(spooled): $(cat "$site/daemon.log")"
		for ((index = 0; index < devices; index++)); do
			name_of=$(connected | field name | sed -n $((index + 1))p)
			reply=$(echo '<get/>' | cli rpc "$name_of" 2>&1) || not_ok "$name: rpc to $name_of, round $round" "$reply"
		done
	done
	equals "$name: every session is still the first" "$(events '"event":"device-connected"') $(events '"event":"device-disconnected"')" "$devices 0"
	end_fleet
	equals "$name: no failures" "$(field failures <<<"$result")" 0
	sent=$(field notifications_sent <<<"$result")
	if at_least "${sent:-1}"; then ok "$name: every notification is in the spool"; else not_ok "$name: every notification is in the spool" "$sent sent, $(spooled) spooled"; fi
	updates=$(field key_updates_sent <<<"$result")
	answers=$(field key_updates_received <<<"$result")
	if [ "${updates:-0}" -ge $((devices * 3)) ]; then ok "$name: the devices changed their keys"; else not_ok "$name: the devices changed their keys" "$updates times"; fi
}

# The same with OpenSSL at the other end: nothing of ours could be wrong on both sides.
foreign()
{
	local pid log=$tmp/foreign.log count=40 reply
	new_site foreign
	awk '/BEGIN CERT/ { i++ } i == 1' "$site/sim/fleet.pem" >"$site/0.pem"
	awk '/BEGIN CERT/ { i++ } i == 2' "$site/sim/acme-0.pem" >>"$site/0.pem"
	"$BIN/foreign/dev_openssl" --connect "127.0.0.1:$port" --cert "$site/0.pem" --key "$site/sim/acme-0.key" \
		--ca "$site/sim/collector-ca.pem" --tls 13 --notifications $count --key-update 2 --key-update-asks >"$log" 2>&1 &
	pid=$!
	pids+=("$pid")
	all_spooled() { at_least $count; }
	if eventually 90 all_spooled; then ok "$name: every notification is in the spool"; else
		not_ok "$name: every notification is in the spool" "$(spooled): $(cat "$log" "$site/daemon.log")"
	fi
	reply=$(echo '<get/>' | cli rpc acme-000000 2>&1)
	equals "$name: rpc: exit status" $? 0
	equals "$name: where the records are" "$(connected | field record_layer)" "$LAYER"
	if eventually 10 grep -q '^collector key-update 0' "$log"; then ok "$name: the collector answered"; else not_ok "$name: the collector answered" "$(cat "$log")"; fi
	kill -USR1 "$pid"
	if eventually 60 ended closed-by-device; then ok "$name: closed by protocol"; else not_ok "$name: closed by protocol" "$(cat "$log" "$site/daemon.log")"; fi
	stop_daemon
}

name="can this kernel change keys"
new_site auto auto
can=no
case $(cli status --json | field record_layer) in
kernel) can=yes ;;
esac
stop_daemon

if [ "$LAYER" = user ] || [ $can = yes ]; then
	received=$(tls_stat TlsRxRekeyOk)
	sent_keys=$(tls_stat TlsTxRekeyOk)
	name="unasked"
	new_site unasked
	goes_on user --key-update 4
	equals "$name: nothing was to be answered" "$answers" 0
	name="asked"
	new_site asked
	goes_on user --key-update 4 --key-update-asks
	if [ "${answers:-0}" -ge $devices ]; then ok "$name: the collector answered"; else not_ok "$name: the collector answered" "$answers times"; fi
fi
if [ "$LAYER" = user ] || [ $can = yes ]; then
	name="OpenSSL"
	foreign
fi
if [ "$LAYER" = kernel ] && [ $can = yes ]; then
	name="asked, kernel to kernel"
	new_site kernels
	goes_on kernel --key-update 4 --key-update-asks
	if [ "${answers:-0}" -ge $devices ]; then ok "$name: the collector answered"; else not_ok "$name: the collector answered" "$answers times"; fi
	if [ "$(tls_stat TlsRxRekeyOk)" -gt "$received" ] && [ "$(tls_stat TlsTxRekeyOk)" -gt "$sent_keys" ]; then
		ok "the kernel counts new keys in both directions"
	else
		not_ok "the kernel counts new keys in both directions" "$(cat /proc/net/tls_stat)"
	fi
	equals "no key was refused" "$(tls_stat TlsRxRekeyError) $(tls_stat TlsTxRekeyError)" "0 0"
fi
if [ "$LAYER" = kernel ] && [ $can = no ]; then
	name="a kernel that cannot"
	new_site cannot
	fleet --record-layer user --key-update 6
	equals "$name: where the records are" "$(connected | field record_layer | sort | uniq -c | sed 's/^ *//')" "$devices kernel"
	if eventually 60 ended_so key-update-unsupported; then ok "$name: a KeyUpdate ends the session as what it is"; else
		not_ok "$name: a KeyUpdate ends the session as what it is" "$(cat "$site/daemon.log")"
	fi
	end_fleet
	# Not by close_notify: behind the record that it cannot open such a kernel sends nothing either.
	equals "$name: the devices see the end" "$(field up <<<"$result")" 0
fi
finish
