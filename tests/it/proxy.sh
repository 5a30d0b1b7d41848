#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Behind a load balancer: the guard judges who stands behind it, by the PROXY header that it begins with.
. "$(dirname "$0")/lib.sh"

# try SOURCE: sends garbage from SOURCE to the balancer. Prints reached (a ClientHello came), reset or silent.
try() { "$BIN/guard-call" "$1" "$front" 2000; }

# balance SOURCE [text|broken]: a balancer that calls from SOURCE; its port is $front.
balance()
{
	front=$(free_port)
	python3 tests/it/relay.py "$front" "$1" "$port" "${@:2}" >"$tmp/relay-$front" 2>&1 &
	pids+=("$!")
	until_true 10 grep -q ready "$tmp/relay-$front" || not_ok "the balancer starts" "$(cat "$tmp/relay-$front")"
}

site balanced 8 'guard: {ban-after: 3, source-rate: 5, source-burst: 6, rules: [
  {name: balancers, action: proxy, prefix: 127.50.0.0/24}, {name: foes, action: drop, prefix: 127.2.0.0/16}]}'
start_daemon || exit 1
balance 127.50.0.1
port=$front sim_calls 8 --devices 8 --source 127.60.0.1
equals "devices log in through a balancer" "$(events device-connected)" 8
equals "each under its own address" "$(grep '"device-connected"' "$site/spool/events.ndjson" | grep -c '"peer":"127.60.0.')" 8
equals "and with the balancer's" "$(grep -cE '"device-connected".*"peer":"127.60.0.[0-9]+:[0-9]+","via":"127.50.0.1"' "$site/spool/events.ndjson")" 8
matches "the log names the balancer too" "$(cat "$site/daemon.log")" 'event=device-connected device=[a-z0-9-]+ peer=127.60.0.[0-9]+:[0-9]+ via=127.50.0.1$'
matches "and so does show" "$(cli show "$(sed -n 2p "$site/devices.csv" | cut -d, -f3)")" '^via +127.50.0.1$'
equals "a denied source is refused behind it too" "$(try 127.2.3.4)" reset
if until_true 10 eval '[ "$(events "\"connection-refused\".*\"peer\":\"127.2.3.4:[0-9]+\",\"via\":\"127.50.0.1\",\"reason\":\"denied-by-rule\"")" = 1 ]'; then
	ok "a refusal names the balancer too"
else
	not_ok "a refusal names the balancer too" "$(tail -n 3 "$site/spool/events.ndjson")"
fi
for i in 1 2 3; do
	equals "a source behind it is open before its third failure ($i)" "$(try 127.0.7.1)" reached
done
until_true 10 eval '[ "$(events source-banned)" = 1 ]'
matches "the ban is of the source behind it" "$(grep source-banned "$site/spool/events.ndjson")" '"source":"127.0.7.1"'
equals "and it is refused from then on" "$(try 127.0.7.1)" reset
for _ in 1 2 3 4 5 6 7 8; do try 127.0.7.2 >/dev/null; done
equals "the balancer itself is neither limited nor banned" "$(try 127.0.7.3)" reached
printf '\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0\0\2\7\x7f\0\0\1\x04\xd2\x10\xef' >"/dev/tcp/127.0.0.1/$port"
if until_true 10 eval '[ "$(events "\"peer\":\"127.0.0.1:.*\"reason\":\"not-tls\"")" = 1 ]'; then
	ok "the header of anybody else is not read: it is no TLS"
else
	not_ok "the header of anybody else is not read: it is no TLS" "$(tail "$site/spool/events.ndjson")"
fi
balance 127.50.0.2 text
equals "version 1 of the header is refused" "$(try 127.0.7.4)" reset
if until_true 10 ended proxy-header; then ok "with a reason of its own"; else not_ok "with a reason of its own"; fi
balance 127.50.0.3 broken
equals "a header with a wrong checksum is refused" "$(try 127.0.7.5)" reset
if until_true 10 eval '[ "$(events "\"reason\":\"proxy-header\",\"detail\":\"its checksum \(CRC32C\) is wrong\"")" -ge 1 ]'; then
	ok "and it is said why"
else
	not_ok "and it is said why" "$(tail -n 3 "$site/spool/events.ndjson")"
fi
equals "which bans nobody" "$(events source-banned)" 2
stop_daemon
equals "the daemon ends well" "$status" 0
finish
