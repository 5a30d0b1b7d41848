#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# How devices call: from where, how often, what of a restart; and what who only listens gets to see.
. "$(dirname "$0")/lib.sh"

slow=1
[ "$FLAVOUR" = asan ] && slow=3
up() { [ "$(cli devices --state connected --json 2>/dev/null | wc -l)" = "$1" ]; }
peer_of() { cli show "$1" --json | field peer; }
connected() { events '"event":"device-connected"'; }

# Sockets of this network that listen, as hexadecimal address:port.
listening() { awk '$4 == "0A" { print $2 }' /proc/net/tcp /proc/net/tcp6 | sort -u; }

# Inside a network of our own: whatever listens there is ours.
stealth()
{
	site stealth 4
	start_daemon || exit 1
	sim_start --devices 4 --rate 0
	until_true 20 up 4 || not_ok "four devices come up in a network of their own" "$(cat "$site/daemon.log")"
	# row: 1.1-stealth
	equals "a fleet opens no port: the collector's is the only one" "$(listening)" "0100007F:$(printf %04X "$port")"
}
if [ "${1:-}" = stealth ]; then
	stealth
	exit
fi
"$BIN/own-network" "$0" stealth
[ $? != 77 ] || skip "a fleet opens no port: the collector's is the only one" "no network namespace to be had here"

site callers 4 "limits: {login-timeout: $((2 * slow))s}"
start_daemon || exit 1

# ---------------------------------------------------------------- who only listens
exec 3<>"/dev/tcp/127.0.0.1/$port"
timeout $((20 * slow)) cat <&3 >"$tmp/said"
exec 3>&-
header=$(head -c 6 "$tmp/said" | od -An -tx1 | tr -d ' ')
# row: C3
matches "the collector speaks first, as TLS client" "$header" '^160301....01$'
length=$((16#$(tr -d ' ' <<<"${header:6:4}") + 5))
# row: SC4a
equals "a silent scanner gets the ClientHello and nothing else" "$(stat -c %s "$tmp/said")" "$length"
# row: SC4a
equals "it names neither program nor version" \
	"$(grep -aciE 'callhome|openssl|netconf|[0-9]\.[0-9]' "$tmp/said")" 0
daemon_ports()
{
	local inodes
	inodes=$(readlink /proc/"$daemon"/fd/* | sed -n 's/^socket:\[\(.*\)\]$/\1/p' | tr '\n' '|')
	awk '$4 == "0A" { print $10, $2 }' /proc/net/tcp /proc/net/tcp6 |
		grep -E "^(${inodes%|}) " | sed 's/.*://' | sort -u | while read -r hex; do echo $((16#$hex)); done
}
# row: 7589-2
equals "the port of the file is the only one; 6513 is not bound" "$(daemon_ports)" "$port"

# ---------------------------------------------------------------- from where
sim_start --devices 4 --rate 0 --source 127.3.0.1 --source-port 4334 --notify-rate 0
until_true 20 up 4
# row: S1c
equals "four devices call from port 4334" "$(for i in 0 1 2; do peer_of acme-00000$i; done; peer_of borg-000003)" \
	$'127.3.0.1:4334\n127.3.0.2:4334\n127.3.0.3:4334\n127.3.0.4:4334'
kill -TERM "$fleet"
wait "$fleet"
until_true 20 up 0
before=$(connected)
sim_calls 4 --devices 4 --rate 0 --source 127.4.0.1 --source-port random
# row: S1c
equals "four devices call from random ports" "$(field logins <<<"$result") $(field failures <<<"$result")" "4 0"
# row: 1.1-address
equals "a device whose address changed is the same device" \
	"$(($(connected) - before)) $(events '"device":"acme-000000".*"peer":"127\.[34]\.0\.1:')" "4 4"

# ---------------------------------------------------------------- with which certificates above its own
# chain WHAT: logins and failures of three acme (one intermediate) and one borg (none), over both versions of TLS.
chain()
{
	local result
	sim_calls 4 --devices 4 --rate 0 --chain "$1"
	echo "$(field logins <<<"$result") $(field failures <<<"$result")"
}
# row: S4
equals "no intermediate and one, as issued" "$(chain as-issued)" "4 0"
# row: S4
equals "three intermediates up to the same root" "$(chain three)" "4 0"
# row: S4-order
equals "intermediates in the wrong order" "$(chain reversed)" "4 0"
# row: S4-root
equals "the root among them" "$(chain with-root)" "4 0"
before=$(events '"reason":"unknown-ca"')
# row: S4-missing
equals "without the one it needs, acme is refused" "$(chain none) $(($(events '"reason":"unknown-ca"') - before))" "1 3 3"
# row: S4-missing
equals "without the one in the middle, too" "$(chain gap) $(($(events '"reason":"unknown-ca"') - before))" "1 3 6"
matches "an unknown chain is refused" "$(sim --chain short 2>&1)" '^callhome-sim run: --chain is as-issued, .* not: short$'

# ---------------------------------------------------------------- as whom the collector comes
# print PEM: x509c2n:tls-fingerprint
print() { echo "04:$(openssl x509 -in "$1" -noout -fingerprint -sha256 | sed 's/.*=//')"; }
# user ENTRY...: logins, the user's name and refusals of two devices, one of each version of TLS.
user()
{
	local result
	printf '%s\n' "$@" >"$tmp/names"
	sim_calls 2 --devices 2 --rate 0 --cert-to-name "$tmp/names"
	echo "$(field logins <<<"$result") $(field user_name <<<"$result") $(field no-user-name <<<"$result")"
}
# row: 7589-7
equals "the collector's certificate is a user" "$(user "1 $(print "$site/client.pem") common-name")" "2 callhome collector "
# row: 7589-7
equals "so is every one of its CA" "$(user "1 $(print "$site/sim/collector-ca.pem") specified noc")" "2 noc "
before=$(events '"reason":"client-certificate-refused"')
# row: 7589-7
equals "one without a user has no access" "$(user "1 $(print "$site/acme-ca.pem") specified noc")" "0  2"
# row: 7589-7
if until_true 20 ended client-certificate-refused $((before + 2)); then ok "and the collector knows why"; else
	not_ok "and the collector knows why" "$(tail "$site/daemon.log")"
fi

# ---------------------------------------------------------------- how often
# Sessions idle for 400 ms are closed; the device calls again with its next period, not before.
result=$(sim --devices 2 --rate 0 --notify-rate 0 --connection periodic --period 1s --idle-timeout 400ms \
	--duration "$((4 * slow))s" --json)
calls=$(field calls <<<"$result")
# row: S-conn
if [ "$calls" -ge 6 ] && [ "$calls" -le $((2 * (4 * slow + 1))) ]; then ok "a periodic device calls once a period"; else
	not_ok "a periodic device calls once a period" "$result"
fi
# row: S-conn
equals "a periodic connection that is idle is closed by the device, and that is no failure" \
	"$(field failures <<<"$result") $(($(field idle-timeout <<<"$result") + $(field up <<<"$result")))" "0 $calls"
result=$(sim --devices 2 --rate 0 --notify-rate 20 --connection periodic --period 1h --idle-timeout 1500ms \
	--duration 4s --json)
# row: S-conn
equals "a session with messages is not idle" "$(field calls <<<"$result") $(field up <<<"$result")" "2 2"
now=$(date +%s)
before=$(connected)
result=$(sim --devices 2 --rate 0 --connection periodic --period 1h --anchor-time "$(date -u -d "@$((now + 3602))" +%FT%TZ)" \
	--duration "$((4 * slow))s" --json)
first=$(grep '"event":"device-connected"' "$site/spool/events.ndjson" | sed -n "$((before + 1))p" | field ts)
# row: S-conn
equals "calls begin at a whole period from the anchor, which may be to come" \
	"$(field logins <<<"$result") $(($(date -d "$first" +%s) >= now + 2))" "2 1"

# ---------------------------------------------------------------- whom first
# refusals WHICH: how often the first target, where nobody listens, refuses two devices whose sessions with
# the second are ended once.
refusals()
{
	local fleet before device
	before=$(connected)
	"$BIN/callhome-sim" run --pki "$site" --target "127.0.0.1:$(free_port)" --target "127.0.0.1:$port" --devices 2 \
		--rate 0 --max-attempts 2 --backoff-min 50ms --start-with "$1" --duration 10min --quiet --json \
		>"$tmp/result" 2>/dev/null &
	fleet=$!
	two_more() { [ "$(connected)" -ge $((before + $1)) ]; }
	until_true 20 two_more 2
	for device in acme-000000 acme-000001; do
		cli kill "$device" >/dev/null
	done
	until_true 20 two_more 4
	kill -TERM "$fleet"
	wait "$fleet"
	field connect-refused <"$tmp/result"
}
# row: S-conn-strategy
equals "first-listed begins with the first target after every session" "$(refusals first-listed)" 8
# row: S-conn-strategy
equals "last-connected begins with the target that was up" "$(refusals last-connected)" 4

# row: S-conn
matches "an unknown connection type is refused" "$(sim --connection weekly 2>&1)" '^callhome-sim run: --connection is persistent or periodic, not: weekly$'
stop_daemon

# ---------------------------------------------------------------- a collector that is late, or gone
site late 2
start_daemon || exit 1
kill -STOP "$daemon"
result=$(sim --devices 2 --rate 0 --auth-timeout 1s --duration 3s --no-reconnect --json)
# row: S5b
equals "a device gives a collector that says nothing its time, then closes" "$(field auth-timeout <<<"$result")" 2
kill -CONT "$daemon"
# row: S5b
if until_true 20 ended closed-in-handshake 2; then ok "and the collector blames the network, not the device"; else
	not_ok "and the collector blames the network, not the device" "$(cat "$site/daemon.log")"
fi
sim_start --devices 2 --rate 0 --backoff-min 100ms --backoff-max 500ms
until_true 20 up 2
stop_daemon KILL
sleep 1
until_true 60 start_daemon
# row: S-conn-storm
if until_true $((20 * slow)) up 2; then ok "a fleet is back after the collector was killed"; else
	not_ok "a fleet is back after the collector was killed" "$(cat "$site/sim.log" "$site/daemon.log")"
fi
kill -TERM "$fleet"
wait "$fleet"
stop_daemon
equals "the daemon ends well" "$status" 0
finish
