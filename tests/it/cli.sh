#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The verbs of callhome against a daemon with two devices up and others that never called.
. "$(dirname "$0")/lib.sh"

site cli 2 'guard: {mode: userspace}'
start_daemon || exit 1
sim_start --devices 2 --notify-rate 5 --reply-size 20KiB
up() { [ "$(cli devices --state connected --json | wc -l)" = "${1:-2}" ]; }
if until_true 20 up; then ok "two devices come up"; else not_ok "two devices come up" "$(cat "$site/daemon.log")"; fi
get='<get-config><source><running/></source></get-config>'

# expect NAME STATUS STDERR-REGEX COMMAND...: exit status and what is said on stderr.
expect()
{
	local name=$1 want=$2 says=$3
	shift 3
	"$@" >"$tmp/out" 2>"$tmp/err"
	equals "$name: exit status" "$?" "$want"
	matches "$name: says so" "$(cat "$tmp/err")" "$says"
}

matches "status is for people" "$(cli status)" '^devices +[0-9]+ known, 2 up'
json=$(cli status --json)
equals "status --json: threads" "$(field up <<<"$json")" 2
equals "status --json: record layer" "$(field record_layer <<<"$json")" user
matches "status --json: has every reason" "$json" '"reasons":\{.*"internal-error":0'

json=$(cli devices --name acme-000001 --json)
equals "devices --name finds one" "$(wc -l <<<"$json")" 1
equals "devices: name" "$(field name <<<"$json")" acme-000001
equals "devices: state" "$(field state <<<"$json")" connected
matches "devices: peer" "$(field peer <<<"$json")" '^127\.1\.0\.2:[0-9]+$'
equals "devices: transport" "$(field transport <<<"$json")" netconf-tls
equals "devices: TLS version" "$(field tls_version <<<"$json")" TLSv1.2
equals "devices: cipher" "$(field cipher <<<"$json")" ECDHE-ECDSA-AES128-GCM-SHA256
equals "devices: record layer" "$(field record_layer <<<"$json")" user
matches "devices: since" "$(field since <<<"$json")" '^20[0-9-]+T[0-9:.]+Z$'
equals "devices: reason" "$(field reason <<<"$json")" none
equals "the other version of TLS" "$(cli devices --name acme-000000 --json | field tls_version)" TLSv1.3
equals "devices --state counts" "$(cli devices --state never --json | wc -l)" "$(($(wc -l <"$site/devices.csv") - 3))"
equals "devices --limit" "$(cli devices --limit 3 --json | wc -l)" 3
matches "devices is for people" "$(cli devices --state connected | head -n 1)" '^NAME +STATE +PEER'
equals "devices --manufacturer" "$(cli devices --manufacturer nobody --json | wc -l)" 0

matches "show is for people" "$(cli show acme-000000)" '^capabilities +base:1.0 base:1.1 notification interleave'
equals "show --json: identifier" "$(cli show acme-000000 --json | field identifier)" ACM-00000000
expect "show nobody" 4 "no device is called 'nobody'" cli show nobody

reply=$(cli rpc acme-000000 <<<"$get")
equals "rpc: exit status" "$?" 0
matches "rpc: the whole reply" "$reply" '^<rpc-reply .*<data>.*</rpc-reply>$'
if [ ${#reply} -ge 20000 ]; then ok "rpc: 20 KiB came through"; else not_ok "rpc: 20 KiB came through" "${#reply} bytes"; fi
echo "$get" >"$tmp/get.xml"
equals "rpc -f reads a file" "$(cli rpc acme-000001 -f "$tmp/get.xml" | head -c 11)" '<rpc-reply '
expect "rpc-error" 5 'answered with rpc-error' cli rpc acme-000000 -f - <<<'<reboot xmlns="urn:x"/>'
matches "rpc-error: the reply is printed" "$(cat "$tmp/out")" '<error-tag>operation-not-supported</error-tag>'
expect "rpc nobody" 4 "no device is called 'nobody'" cli rpc nobody <<<"$get"
expect "rpc to who never called" 4 'is not connected' cli rpc spare-acme-000000 <<<"$get"
expect "rpc with its own wrapper" 2 'send the operation alone' cli rpc acme-000000 <<<"<rpc>$get</rpc>"
expect "rpc that is no XML" 2 'not one XML element' cli rpc acme-000000 <<<'<get'

expect "kill" 0 '' cli kill acme-000000
if until_true 20 ended killed; then ok "kill: the event says so"; else not_ok "kill: the event says so"; fi
again() { [ "$(events '"event":"device-connected","device":"acme-000000"')" = 2 ]; }
if until_true 20 again; then ok "kill: the device calls again"; else not_ok "kill: the device calls again"; fi
expect "kill nobody" 4 "no device is called 'nobody'" cli kill nobody
expect "kill who never called" 4 'is not connected' cli kill spare-acme-000000

expect "no such verb" 2 "no verb 'bogus'" cli bogus
expect "a name is missing" 2 'name one device' cli show
expect "no daemon" 3 'cannot reach callhomed at .*/none' "$BIN/callhome" --socket "$tmp/none" status
CALLHOME_SOCKET=$site/callhomed.sock expect "the environment names the socket" 0 '' "$BIN/callhome" status
if [ "$(cat /proc/sys/net/ipv4/tcp_syncookies)" != 0 ] && [ "$(cat /proc/sys/net/core/somaxconn)" -ge 4096 ]; then
	expect "doctor finds nothing" 0 '' cli doctor
else
	skip "doctor finds nothing" "SYN cookies are off here, or somaxconn is below 4096"
fi
for verb in status devices show rpc kill doctor; do
	matches "$verb --help" "$(cli $verb --help)" "^usage: callhome $verb"
done

stop_daemon
equals "the daemon ends well" "$status" 0
expect "nobody is left behind the socket" 3 'cannot reach callhomed' cli status
finish
