#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# tests/foreign/run.sh [PATTERN]: callhomed against devices on foreign stacks. Prints "ok NAME",
# "not ok NAME: why" or "ok NAME # SKIP why" per test and ends with "done". PATTERN picks tests by name.
# BIN: folder of callhomed and callhome (default build); DEVICES: of the devices ($BIN/foreign).
# JOBS sessions run at a time. RECORD=DIR keeps what each device sent (tests/foreign/corpus).
set -u
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 2
here=$PWD/tests/foreign
BIN=$(realpath "${BIN:-build}")
DEVICES=${DEVICES:-$BIN/foreign}
JOBS=${JOBS:-4}
PATTERN=${1:-.}
tmp=$(mktemp -d "${TMPDIR:-/tmp}/callhome-foreign.XXXXXX")
unset CALLHOME_SOCKET OPENSSL_CONF GNUTLS_SYSTEM_PRIORITY_FILE
daemon=

cleanup()
{
	[ -z "$daemon" ] || kill -KILL "$daemon" 2>/dev/null
	wait 2>/dev/null
	[ -n "${KEEP:-}" ] || rm -rf "$tmp"
}
trap cleanup EXIT

# shellcheck source=tests/foreign/pki.sh
. "$here/pki.sh"

# ---------------------------------------------------------------- the list
# add NAME PROGRAM [KEY=VALUE...] [-- OPTION...]: one device that calls home once.
#   check=  session (the default) | refused | attack | asked (by heartbeat)
#   ends=   reason of the table; of a session that lives through an attack: killed
#   key=    of the device (see pki.sh); credential= of the collector, none = the device is bound to none
#   n=      notifications
#   event=  under which a refusal is published
#   named=1 the device had proven its key: its refusal bears its name
#   cannot=1 the stack refuses the attack
#   row=    what it proves: see tests/tools/conformance
#   want=   words that the device's log must have, separated by commas
names=() programs=() settings=() arguments=()
add()
{
	local set=() name=$1 program=$2
	shift 2
	grep -qE -- "$PATTERN" <<<"$name" || return 0
	while [ $# -gt 0 ] && [ "$1" != -- ]; do
		set+=("$1")
		shift
	done
	[ $# = 0 ] || shift
	names+=("$name") programs+=("$program") settings+=("${set[*]}") arguments+=("$*")
}
# shellcheck source=tests/foreign/list.sh
. "$here/list.sh"

# ---------------------------------------------------------------- what a test is made of
fail() { echo "not ok $name: $*" && exit; }

# until_true SECONDS COMMAND...: polls; false when it never came true.
until_true()
{
	local end=$((SECONDS + $1))
	shift
	while ! "$@" >/dev/null 2>&1; do
		[ $SECONDS -lt $end ] || return 1
		sleep 0.03
	done
}

events() { grep -F "\"device\":\"$name\"" "$tmp/spool/events.ndjson"; }
event() { events | grep -F "\"event\":\"$1\""; }
field_of_each() { sed -n "s/.*\"$1\":\(\"\([^\"]*\)\"\|\([^,}]*\)\).*/\2\3/p"; }
field() { field_of_each "$1" | tail -n 1; }
cli() { "$BIN/callhome" --socket "$tmp/callhomed.sock" "$@"; }
said() { grep -qF -- "$1" "$log"; }
gone() { ! kill -0 "$pid"; }
stopped_or_said() { gone || said "$1"; }

ended() { events | grep -F '"reason"'; }

start_device()
{
	local options=(--connect "127.0.0.1:$listen" --cert "$tmp/pki/$name.pem" --key "$tmp/pki/$name.key"
		--ca "$tmp/pki/$ca.pem")
	[ "$program" = libnetconf2 ] || options+=(--from "$from")
	[ "$n" = 0 ] || options+=(--notifications "$n")
	[ -z "${RECORD:-}" ] || options+=(--record "$RECORD/${name#corpus-}.wire")
	log=$tmp/$name.log
	# shellcheck disable=SC2086
	env ${environment:+"$environment"} "$DEVICES/dev_$program" "${options[@]}" $device_options >"$log" 2>&1 &
	pid=$!
	trap 'kill -KILL "$pid" 2>/dev/null' EXIT
}

# Login, requests and notifications, each by value.
check_session()
{
	local reply code got want
	until_true 20 event device-connected || fail "did not come up: $(ended | tail -n 1) $(tail -n 1 "$log")"
	got=$(event device-connected | field tls_version)
	[ -z "$version" ] || [ "$got" = "TLSv$version" ] || fail "tls_version is $got"
	reply=$(echo '<get-config><source><running/></source></get-config>' | cli rpc "$name" 2>&1)
	code=$?
	[ $code = 0 ] || fail "rpc get-config: exit $code: $reply"
	grep -qF 'café' <<<"$reply" || fail "rpc get-config: $reply"
	reply=$(echo '<no-such-thing xmlns="urn:example:foreign"/>' | cli rpc "$name" 2>&1)
	code=$?
	[ $code = 5 ] || fail "rpc no-such-thing: exit $code, not 5: $reply"
	until_true 60 said "sent $n" || [ "$n" = 0 ] || fail "the device did not send $n: $(tail -n 1 "$log")"
	spooled() { [ "$(grep -cF "\"device\":\"$name\"" "$tmp/spool/notifications.ndjson")" -ge "$n" ]; }
	until_true 30 spooled || fail "$(grep -cF "\"device\":\"$name\"" "$tmp/spool/notifications.ndjson") of $n spooled"
	got=$(grep -F "\"device\":\"$name\"" "$tmp/spool/notifications.ndjson" | sed 's/.*<n[^>]*>\([0-9]*\)<.*/\1/')
	want=$(seq "$n")
	[ "$got" = "$want" ] || fail "notifications differ: $(diff <(echo "$want") <(echo "$got") | head -n 3 | tr '\n' ' ')"
	got=$(cli show "$name" --json | field notifications)
	[ "$got" = "$n" ] || fail "callhome show counts $got notifications, not $n"
	got=$(grep -cF "\"device\":\"$name\"" "$tmp/spool/replies.ndjson")
	[ "$got" = 1 ] || fail "$got replies to the profile's get-config"
}

check_end()
{
	local got word
	until_true 20 ended || fail "no end: $(events | tail -n 1) $(tail -n 1 "$log")"
	got=$(ended | field reason)
	[ "$got" = "$ends" ] || fail "reason $got, not $ends: $(ended | field detail); $(tail -n 1 "$log")"
	got=$(events | grep -cE '"event":"device-(dis)?connected"')
	[ "$got" = 2 ] || fail "$got events device-connected and device-disconnected, not 2"
	until_true 10 gone || fail "the device hangs: $(tail -n 1 "$log")"
	for word in ${want//,/ }; do
		said "${word//+/ }" || fail "the device did not say '${word//+/ }': $(tail -n 2 "$log" | tr '\n' ' ')"
	done
}

test_session()
{
	start_device
	check_session
	if [ "$ends" = killed ]; then cli kill "$name" >/dev/null || fail "callhome kill: exit $?"; else kill -USR1 "$pid"; fi
	check_end
	echo "ok $name"
}

test_attack()
{
	start_device
	check_session
	kill -USR1 "$pid"
	until_true 10 stopped_or_said "did " || fail "no attack: $(tail -n 1 "$log")"
	! said "cannot" || [ "$cannot" = 1 ] || fail "$(tail -n 1 "$log")"
	if [ "$ends" = killed ]; then
		[ -z "$(ended)" ] || fail "ended: $(ended)"
		echo '<get/>' | cli rpc "$name" >/dev/null || fail "rpc after it: exit $?: $(ended)"
		cli kill "$name" >/dev/null || fail "callhome kill: exit $?"
	fi
	check_end
	echo "ok $name"
}

# An idle session, until the collector has asked three times whether the device lives.
test_asked()
{
	start_device
	check_session
	asked() { [ "$(grep -c '^ping answered' "$log")" -ge 3 ]; }
	until_true 20 asked || fail "the collector did not ask: $(ended | field reason) $(tail -n 1 "$log")"
	[ -z "$(ended)" ] || fail "ended: $(ended)"
	echo '<get/>' | cli rpc "$name" >/dev/null || fail "rpc after it: exit $?: $(ended)"
	cli kill "$name" >/dev/null || fail "callhome kill: exit $?"
	check_end
	echo "ok $name"
}

# The device calls again before it has closed its first session: the new one wins at once.
test_again()
{
	local reasons
	start_device
	check_session
	kill -USR1 "$pid"
	twice() { [ "$(event device-connected | wc -l)" = 2 ]; }
	until_true 20 twice || fail "it did not call again: $(tail -n 1 "$log")"
	until_true 20 ended || fail "the first session did not end"
	until_true 20 said "closed $close" || fail "it did not close the first: $(tail -n 1 "$log")"
	echo '<get><filter/></get>' | cli rpc "$name" >/dev/null || fail "rpc on the second session: exit $?"
	cli kill "$name" >/dev/null || fail "callhome kill: exit $?"
	both() { [ "$(ended | wc -l)" = 2 ]; }
	until_true 20 both || fail "the second session did not end"
	reasons=$(ended | field_of_each reason | tr '\n' ' ')
	[ "$reasons" = "superseded killed " ] || fail "ended as $reasons"
	kill "$pid"
	[ -z "$(event identity-conflict)" ] || fail "taken for two devices: $(event identity-conflict)"
	echo "ok $name"
}

# A connection whose device was not proven has no name: its event is found by where it came from.
test_refused()
{
	local got
	start_device
	until_true 20 gone || fail "the device hangs: $(tail -n 1 "$log")"
	found() { grep -F "\"peer\":\"$from:" "$tmp/spool/events.ndjson" | grep -F '"reason"'; }
	until_true 10 found || fail "no event: $(tail -n 1 "$log")"
	got=$(found | field reason)
	[ "$got" = "$ends" ] || fail "reason $got, not $ends: $(found | field detail); $(tail -n 1 "$log")"
	got=$(found | field event)
	[ -z "$event" ] || [ "$got" = "$event" ] || fail "event $got, not $event"
	got=$(found | field device)
	[ "$named" = 0 ] || [ "$got" = "$name" ] || fail "the event names device $got"
	for got in ${want//,/ }; do
		said "${got//+/ }" || fail "the device did not say '${got//+/ }': $(tail -n 2 "$log" | tr '\n' ' ')"
	done
	echo "ok $name"
}

run_one()
{
	local name=${names[$1]} program=${programs[$1]} device_options=${arguments[$1]} setting
	local close='' check=session ends=closed-by-device n=0 want='' version='' environment='' ca=operator event='' named=0 cannot=0
	local log key credential from=127.1.$(($1 / 250)).$(($1 % 250 + 1)) # its own address
	for setting in ${settings[$1]}; do
		local "$setting"
	done
	if [ ! -x "$DEVICES/dev_$program" ]; then
		echo "ok $name # SKIP dev_$program is not built"
		return
	fi
	"test_$check"
}

# ---------------------------------------------------------------- PKI, inventory, daemon
setting_of() { sed -n "s/.*\b$2=\([^ ]*\).*/\1/p" <<<"${settings[$1]}"; }

prepare()
{
	local i key credential used=" " creds=" default none "
	(pki_begin) || exit
	cd "$tmp/pki" || exit
	credential p256
	echo "manufacturer,identifier,name,credential,profile" >"$tmp/devices.csv"
	: >"$tmp/manufacturers" && : >"$tmp/credentials"
	for i in "${!names[@]}"; do
		key=$(setting_of "$i" key)
		key=${key:-p256}
		credential=$(setting_of "$i" credential)
		device "${names[$i]}" "$key"
		if [[ $used != *" $key "* ]]; then
			used+="$key "
			echo "    - {name: $key, ca: pki/$key-root.pem, identifier: serialNumber}" >>"$tmp/manufacturers"
		fi
		if [ -n "$credential" ] && [[ $creds != *" $credential "* ]]; then
			creds+="$credential "
			credential "$credential"
			echo "  - {name: $credential, tls-cert: pki/client-$credential.pem, tls-key: pki/client-$credential.key}" >>"$tmp/credentials"
		fi
		credential=${credential:-default}
		echo "$key,${names[$i]},${names[$i]},${credential/#none/},default" >>"$tmp/devices.csv"
	done
	cd - >/dev/null || exit
	for version in 1.2 1.3; do
		printf 'openssl_conf=c\n[c]\nssl_conf=s\n[s]\nsystem_default=d\n[d]\nMinProtocol=TLSv%s\nMaxProtocol=TLSv%s\n' \
			$version $version >"$tmp/openssl-$version.cnf"
	done
}

start_daemon()
{
	listen=$((20000 + RANDOM % 12000))
	cat >"$tmp/callhomed.yaml" <<-YAML
		listen:
		  - {name: tls, address: "127.0.0.1:$listen", transport: netconf-tls}
		trust:
		  manufacturers:
		$(cat "$tmp/manufacturers")
		credentials:
		  - {name: default, tls-cert: pki/client-p256.pem, tls-key: pki/client-p256.key}
		$(cat "$tmp/credentials")
		profiles:
		  - {name: default, on-connect: [get-config, subscribe]}
		devices: {file: devices.csv, unknown: reject}
		control: {socket: callhomed.sock}
		# The tests read one file each: none is rotated.
		spool: {directory: spool, max-bytes: 8GiB, file-bytes: 1GiB}
		limits: {max-message: 64MiB, byte-budget: 512MiB}
		keepalives: {test-peer-aliveness: {max-wait: 1s}}
	YAML
	"$BIN/callhomed" -c "$tmp/callhomed.yaml" >"$tmp/callhomed.log" 2>&1 &
	daemon=$!
	until_true 20 grep -q 'event=collector-started' "$tmp/callhomed.log" && return
	daemon=
	return 1
}

[ ${#names[@]} -gt 0 ] || { echo "no test is called like $PATTERN" >&2 && exit 2; }
prepare
for _ in 1 2 3 4 5; do ! start_daemon || break; done
[ -n "$daemon" ] || { sed 's/^/# /' "$tmp/callhomed.log" && exit 1; }

# A few at a time; each prints its line when it is done.
running=0
for i in "${!names[@]}"; do
	(trap - EXIT && run_one "$i") &
	running=$((running + 1))
	if [ $running -ge "$JOBS" ]; then
		wait -n
		running=$((running - 1))
	fi
done
for i in $(jobs -p); do
	[ "$i" = "$daemon" ] || wait "$i"
done

# Nothing is left over, and the daemon is still the one that was started.
name=daemon
left() { cli devices --state connected --json 2>/dev/null; }
[ -z "$(left)" ] && echo "ok $name-no-session-is-left" || echo "not ok $name-no-session-is-left: $(left | head -n 1)"
kill -TERM "$daemon"
wait "$daemon"
status=$?
daemon=
[ $status = 0 ] && echo "ok $name-ends-well" || echo "not ok $name-ends-well: exit $status: $(tail -n 1 "$tmp/callhomed.log")"
if grep -qE 'event=bug|ERROR|level=error' "$tmp/callhomed.log"; then
	echo "not ok $name-log: $(grep -E 'event=bug|level=error' "$tmp/callhomed.log" | head -n 1)"
else
	echo "ok $name-log-has-no-errors"
fi
echo "done"
