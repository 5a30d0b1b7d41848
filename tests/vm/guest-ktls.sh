#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# needs: callhomed callhome callhome-sim foreign/dev_openssl
# tools: openssl
# pki: 48
#
# The record layer of *every* session, on both sides: a silent fall-back fails. In a guest with
# LAYER=kernel; natively, or anywhere, with LAYER=user. The fleet (TLS 1.2 and 1.3, replies over many
# records) stays up while devices on OpenSSL's own record layer send their first data in every shape that
# a hand-over of the keys could lose: in one segment with the end of the handshake, byte by byte, before
# our Finished (0.5-RTT), and with a FIN right behind. Two of them staple an OCSP response to their certificate.
. "$(dirname "$0")/guest.sh"
fleet_size=12
notifications=3

kernel_sessions() { [ "$LAYER" = kernel ] && echo "$1" || echo 0; }

# ---------------------------------------------------------------- the fleet: both ends are ours
site ktls 48 'limits: {login-timeout: 5min}' "record-layer: $LAYER"
start_daemon || exit 1
sim_start --devices $fleet_size --rate 6 --notify-rate 2 --reply-size 100KiB --duration 0 --no-reconnect --json --record-layer "$LAYER"
if eventually 90 up $fleet_size; then ok "the fleet comes up"; else
	not_ok "the fleet comes up" "$(cat "$site/sim.log" "$site/daemon.log")"
	exit 1
fi
table=$(connected)
for version in 1.2 1.3; do
	equals "TLS $version: every session of the fleet has its records in the $LAYER" \
		"$(grep "\"tls_version\":\"TLSv$version\"" <<<"$table" | grep -c "\"record_layer\":\"$LAYER\"")" $((fleet_size / 2))
done
equals "the kernel seals for both ends of each session" "$(tls_stat TlsCurrTxSw)" "$(kernel_sessions $((2 * fleet_size)))"
equals "the kernel opens for both ends of each session" "$(tls_stat TlsCurrRxSw)" "$(kernel_sessions $((2 * fleet_size)))"
equals "status names the layer" "$(cli status --json | field record_layer)" "$LAYER"
for device in acme-000000 acme-000001; do
	reply=$(echo '<get-config><source><running/></source></get-config>' | cli rpc $device 2>&1)
	equals "rpc to $device: exit status" $? 0
	if [ ${#reply} -gt 100000 ]; then ok "rpc to $device: a reply over many records"; else
		not_ok "rpc to $device: a reply over many records" "${#reply} bytes: ${reply:0:200}"
	fi
done

# ---------------------------------------------------------------- the first data in every shape
index=$fleet_size
count=0
sealed=$(tls_stat TlsTxSw)
opened=$(tls_stat TlsRxSw)

# credential INDEX: certificate chain and key of that acme device, as $site/INDEX.pem and .key
credential()
{
	local key=$site/sim/acme-$(($1 % 4))
	awk -v n=$(($1 + 1)) '/BEGIN CERT/ { i++ } i == n' "$site/sim/fleet.pem" >"$site/$1.pem"
	awk '/BEGIN CERT/ { i++ } i == 2' "$key.pem" >>"$site/$1.pem"
	cp "$key.key" "$site/$1.key"
}

# staple INDEX FILE: what the CA of that acme device says about it: good, for a day
staple()
{
	local ca=$site/$1-ca.pem serial
	awk '/BEGIN CERT/ { i++ } i == 2' "$site/$1.pem" >"$ca"
	serial=$(openssl x509 -in "$site/$1.pem" -noout -serial)
	printf 'V\t401231235959Z\t\t%s\tunknown\t/CN=x\n' "${serial#*=}" >"$site/$1.index"
	openssl ocsp -issuer "$ca" -cert "$site/$1.pem" -reqout "$site/$1.request" &&
		openssl ocsp -index "$site/$1.index" -CA "$ca" -rsigner "$ca" -rkey "$site/sim/acme-ca.key" -ndays 1 \
			-reqin "$site/$1.request" -respout "$2"
}

of_device() { grep -F "\"device\":\"$device\"" "$site/spool/$1.ndjson" 2>/dev/null; }
connected_event() { of_device events | grep '"event":"device-connected"'; }
ended_event() { of_device events | grep '"event":"device-disconnected"'; }
spooled() { [ "$(of_device notifications | grep -c .)" = "$1" ]; }
said() { grep -q "^$1" "$log"; }
takes_usr1() { grep -q '^SigCgt:.*[2367abef]..$' "/proc/$pid/status"; }
gone() { ! kill -0 "$pid" 2>/dev/null; }

# call NAME VERSION CIPHER OPTION...: the device $device of $index, from its start to its end
call()
{
	local name="TLS $2 $3, $1" version=$2 cipher=$3 reason=closed-by-device event pid
	shift 3
	[[ " $* " != *' --close fin '* ]] || reason=truncated
	log=$site/$device.log
	credential $index
	if [[ " $*" =~ ' --staple '([^ ]*) ]]; then
		staple $index "${BASH_REMATCH[1]}" >"$log" 2>&1 || not_ok "$name: there is a staple" "$(cat "$log")"
	fi
	# so that the device knows before its handshake that a FIN follows the hello at once: it takes the
	# signal when it first waits for the network
	[ $reason != truncated ] || kill -STOP "$daemon"
	"$BIN/foreign/dev_openssl" --connect "127.0.0.1:$port" --cert "$site/$index.pem" --key "$site/$index.key" \
		--ca "$site/sim/collector-ca.pem" --tls "${version/./}" --ciphers "$cipher" \
		--notifications $notifications --size 20000 "$@" >"$log" 2>&1 &
	pid=$!
	if [ $reason = truncated ]; then
		eventually 30 takes_usr1 || not_ok "$name: the device starts" "$(cat "$log")"
		kill -USR1 "$pid"
		kill -CONT "$daemon"
	else
		eventually 90 spooled $notifications || not_ok "$name: notifications" "$(cat "$log"; of_device events)"
		kill -USR1 "$pid" 2>/dev/null
	fi
	eventually 90 ended_event || not_ok "$name: it ends" "$(cat "$log"; of_device events)"
	event=$(connected_event)
	equals "$name" "$(field record_layer <<<"$event") $(field tls_version <<<"$event") $(field cipher <<<"$event") $(ended_event | field reason)" \
		"$LAYER TLSv$version $cipher $reason"
	if [[ " $* " == *' --half-rtt '* ]]; then equals "$name: before the Finished" "$(grep '^half-rtt' "$log")" "half-rtt sent"; fi
	[ $reason = truncated ] || eventually 30 said 'collector close_notify' || not_ok "$name: closed by protocol" "$(cat "$log")"
	eventually 30 gone || not_ok "$name: the device sees the end" "$(cat "$log")"
	{ kill -KILL "$pid" && wait "$pid"; } 2>/dev/null
}

# shape NAME VERSION CIPHER [OPTION...]: the next device calls with its first data in that shape, while up
# to three others do
running=()
shape()
{
	[ $((index % 4)) != 3 ] || index=$((index + 1)) # a borg has an RSA key
	device=$(printf 'acme-%06d' $index)
	if [ ${#running[@]} -ge 4 ]; then
		wait "${running[0]}"
		running=("${running[@]:1}")
	fi
	(trap - EXIT && call "$@") >"$tmp/shape-$index" &
	running+=($!)
	index=$((index + 1))
	count=$((count + 1))
}

shown=$index
shapes_end()
{
	wait "${running[@]}"
	running=()
	for (( ; shown < index; shown++)); do
		cat "$tmp/shape-$shown" 2>/dev/null
	done
}

# Each stops the daemon for a moment: one at a time, and not beside the others.
for cipher in TLS_AES_128_GCM_SHA256 TLS_AES_256_GCM_SHA384 TLS_CHACHA20_POLY1305_SHA256; do
	shape "a FIN behind the hello" 1.3 $cipher --close fin
	shapes_end
	echo "\"device\":\"$device\"" >>"$tmp/truncated"
done
for cipher in ECDHE-ECDSA-AES128-GCM-SHA256 ECDHE-ECDSA-AES256-GCM-SHA384 ECDHE-ECDSA-CHACHA20-POLY1305; do
	shape "a FIN behind the hello" 1.2 $cipher --close fin
	shapes_end
	echo "\"device\":\"$device\"" >>"$tmp/truncated"
done
truncated=$count
for cipher in TLS_AES_128_GCM_SHA256 TLS_AES_256_GCM_SHA384 TLS_CHACHA20_POLY1305_SHA256; do
	shape "in one segment with tickets" 1.3 $cipher --tickets 2
	shape "in segments of 97 bytes" 1.3 $cipher --tickets 1 --dribble 97 --size 3000
	shape "in 0.5-RTT data" 1.3 $cipher --half-rtt
done
for cipher in ECDHE-ECDSA-AES128-GCM-SHA256 ECDHE-ECDSA-AES256-GCM-SHA384 ECDHE-ECDSA-CHACHA20-POLY1305; do
	shape "in one segment with the Finished" 1.2 $cipher
	shape "in segments of 97 bytes" 1.2 $cipher --dribble 97 --size 3000
done
shape "with a staple" 1.3 TLS_AES_128_GCM_SHA256 --staple "$site/staple-1.3"
shape "with a staple" 1.2 ECDHE-ECDSA-AES128-GCM-SHA256 --staple "$site/staple-1.2"
shape "byte by byte" 1.3 TLS_AES_128_GCM_SHA256 --tickets 1 --dribble 1 --size 10
shape "byte by byte" 1.2 ECDHE-ECDSA-AES128-GCM-SHA256 --dribble 1 --size 10
shapes_end

equals "the kernel sealed for each of these sessions" $(($(tls_stat TlsTxSw) - sealed)) "$(kernel_sessions $count)"
equals "the kernel opened for each of these sessions" $(($(tls_stat TlsRxSw) - opened)) "$(kernel_sessions $count)"
# row: C5c-ocsp
equals "the staples are believed" "$(cli status --json | field staples)" 2
equals "nothing was refused by a key" "$(tls_stat TlsDecryptError)" 0

# While the fleet is up: what ended is closed, and not only noted (8 = CLOSE_WAIT: the device's FIN came,
# ours never left).
hex=$(printf '%04X' "$port")
waiting() { awk -v p=":$hex" '$2 ~ p && $4 == "08"' /proc/net/tcp; }
none_waits() { [ -z "$(waiting)" ]; }
if eventually 10 none_waits; then ok "every socket that ended is closed"; else not_ok "every socket that ended is closed" "$(waiting)"; fi

# ---------------------------------------------------------------- the end
kill -TERM "$fleet"
wait "$fleet"
equals "the fleet ends well" $? 0
result=$(tail -n 1 "$site/sim.log")
equals "the fleet: no failures" "$(field failures <<<"$result")" 0
equals "the fleet: every device had its records in the $LAYER" "$(field kernel <<<"$result") $(field user <<<"$result")" \
	"$(kernel_sessions $fleet_size) $((fleet_size - $(kernel_sessions $fleet_size)))"
sent=$(field notifications_sent <<<"$result")
# A device that took its signal late went on to notify before its FIN: none of those six counts.
lines() { grep -vcF -f "$tmp/truncated" "$site/spool/notifications.ndjson"; }
all_spooled() { [ "$(lines)" = $((sent + notifications * (count - truncated))) ]; }
if [ "${sent:-0}" -gt $fleet_size ] && eventually 30 all_spooled; then ok "every notification is in the spool"; else
	not_ok "every notification is in the spool" "$sent and $notifications from each of $((count - truncated)); $(lines) spooled"
fi
none_left() { [ "$(tls_stat TlsCurrTxSw) $(tls_stat TlsCurrRxSw)" = "0 0" ]; }
if eventually 30 none_left; then ok "no key is left in the kernel"; else not_ok "no key is left in the kernel" "$(cat /proc/net/tls_stat)"; fi
stop_daemon
equals "the daemon ends well" "$status" 0
finish
