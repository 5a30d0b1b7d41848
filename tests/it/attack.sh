#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Every attack of callhome-sim in a short form against a guarded collector with a fleet that is up: what
# becomes of the attacker, and that nobody else notices.
. "$(dirname "$0")/lib.sh"

honest='"device":"(acme|borg)-'
attackers=0
running=() # attackers, each until attack_end
login=1    # seconds that a login may take
[ "$FLAVOUR" = asan ] && login=3

# attack KIND [OPTION...]: begins it, from an address of its own; it lasts until attack_end. Sets source.
attack()
{
	local kind=$1
	shift
	source=127.66.$((++attackers)).1
	(exec timeout 300 "$BIN/callhome-sim" attack "$kind" --target "127.0.0.1:$port" --pki "$site" \
		--duration 10min --source "$source" --json "$@") >"$tmp/attack.$kind" 2>"$tmp/attack.log" &
	running+=($!)
	pids+=($!)
}

attack_end()
{
	kill -TERM "${running[@]}"
	wait "${running[@]}"
	running=()
}

# gave REASON: a connection of the attacker ended so.
gave() { [ "$(events "\"peer\":\"$source:[0-9]+\",(.*,)?\"reason\":\"($1)\"")" -gt 0 ]; }

# The two ways to lose: banned, or over the rate of a source (which the kernel may be first to say).
banned() { [ "$(events "source-banned.*\"source\":\"$source\"")" -gt 0 ]; }
limited()
{
	gave source-rate-limit ||
		grep -qE "event=guard verdict=source-limit at=kernel peer=$source:" "$site/daemon.log"
}
let_in() { ! banned; }
up() { [ "$(events "device-connected.*\"peer\":\"$source:")" -gt 0 ]; }

# claims KIND VERDICT REASON... -- OPTION...: the attacker goes on until it has these reasons and this verdict;
# with `leaving` before them the reasons are those of its own end, a second after it logged in.
claims()
{
	local kind=$1 verdict=$2 leaving=no reason json
	shift 2
	[ "$1" != leaving ] || { leaving=yes && shift; }
	local reasons=()
	while [ "$1" != -- ]; do
		reasons+=("$1")
		shift
	done
	shift
	attack "$kind" "$@"
	if [ $leaving = yes ]; then
		until_true 60 up || not_ok "$kind: logs in" "$(cat "$tmp/attack.log")"
		sleep 1
		attack_end
	fi
	for reason in "${reasons[@]}"; do
		if until_true 60 gave "$reason"; then
			ok "$kind: ends for $reason"
		else
			not_ok "$kind: ends for $reason" "$(grep "\"$source:" "$site/spool/events.ndjson" | tail -n 5)"
		fi
	done
	if until_true 60 "$verdict"; then
		ok "$kind: is $verdict"
	else
		not_ok "$kind: is $verdict" "$(tail "$site/daemon.log")"
	fi
	[ $leaving = yes ] || attack_end
	json=$(tail -n 1 "$tmp/attack.$kind")
	matches "$kind: calls are made" "$json $(cat "$tmp/attack.log")" \
		"^\{\"kind\":\"$kind\",\"attempts\":[1-9][0-9]*,.*\"failed\":0,"
	equals "$kind: the collector lives" "$(kill -0 "$daemon" 2>&1)" ""
	equals "$kind: no device of the fleet is lost" \
		"$(events "device-disconnected.*$honest")" 0
}

fast=(--rate 200 --connections 200)
logins=(--rate 20 --connections 10)
devices=6
# so low that the slowest machine calls more often
site attacked $devices "guard: {ban-after: 5, source-rate: 5, source-burst: 20}" "limits: {login-timeout: ${login}s}"
start_daemon || exit 1
sim_start --devices $devices --rate 0 --notify-rate 4 --source 127.1.0.1 --json
until_true 60 eval "[ \"\$(events 'device-connected.*$honest')\" = $devices ]"
equals "the fleet is up" "$(events "device-connected.*$honest")" $devices

# row: 2.6.1 = connect-flood*limited
claims connect-flood limited closed-in-handshake -- "${fast[@]}"
claims silent banned silent -- "${fast[@]}"
claims half-hello banned handshake-timeout -- "${fast[@]}"
# row: SC5b = garbage*banned
claims garbage banned not-tls -- "${fast[@]}"
claims slow-handshake banned handshake-timeout -- --rate 40 --connections 40
claims handshake-churn limited closed-in-handshake -- "${fast[@]}"
claims bad-cert-churn banned unknown-ca certificate-expired self-signed -- "${logins[@]}"
# row: SC5a = huge-chain*chain-too-long
claims huge-chain banned chain-too-long -- "${logins[@]}"
claims wrong-identity banned unknown-device wrong-manufacturer no-identifier -- "${logins[@]}"
claims stolen-cert banned possession-not-proven -- "${logins[@]}"
# Who logs in is somebody's device: its sessions end, its address may be that of many others.
claims junk-after-login let_in framing-error message-too-large bad-message unexpected-reply bad-record \
	unexpected-record -- "${logins[@]}"
claims reader-stall let_in leaving 'connection-reset|truncated' -- --rate 20 --connections 4
claims heartbeat-flood let_in record-flood -- "${logins[@]}"
claims keyupdate-flood let_in record-flood -- "${logins[@]}"
claims record-flood let_in record-flood -- "${logins[@]}"
claims notification-flood let_in leaving 'connection-reset|truncated' -- --rate 20 --connections 2
claims flap let_in closed-by-device connection-reset -- "${logins[@]}"

# The raw ones have tests/it/resilience.sh.
equals "every kind had its turn" "$attackers" "$("$BIN/callhome-sim" attack --list | grep -vcE '^KIND|syn-flood')"
equals "nobody is banned who did nothing" "$(events 'source-banned.*"source":"127\.1\.')" 0
kill -TERM "$fleet"
wait "$fleet"
result=$(tail -n 1 "$site/sim.log")
equals "every device of the fleet logged in once" "$(field logins <<<"$result")" $devices
equals "none failed" "$(field failures <<<"$result")" 0
stop_daemon
equals "the collector ends in order" "$status" 0
equals "every notification of the fleet is on disk" \
	"$(cat "$site"/spool/notifications*.ndjson | grep -cE "$honest")" \
	"$(field notifications_sent <<<"$result")"

# A fleet that comes and goes meets attackers when it logs in, too.
site redial $devices "guard: {ban-after: 5}"
start_daemon || exit 1
sim_start --devices $devices --rate 0 --notify-rate 0 --source 127.1.0.1 --json --connection periodic \
	--period 500ms --idle-timeout 200ms
until_true 60 eval "[ \"\$(events 'device-connected.*$honest')\" -ge $devices ]"
before=$(events "device-connected.*$honest")
back=no
for kind in silent bad-cert-churn handshake-churn flap; do
	attack "$kind" --rate 100 --connections 100
done
until_true 60 eval "[ \"\$(events 'device-connected.*$honest')\" -ge $((before + 2 * devices)) ]" &&
	back=yes
attack_end
equals "devices come back beside four attacks" "$back" yes
kill -TERM "$fleet"
wait "$fleet"
result=$(tail -n 1 "$site/sim.log")
if [ "$(field failures <<<"$result")" = 0 ]; then
	ok "every device that calls gets in"
else
	not_ok "every device that calls gets in" "$result
$(grep -E "$honest|\"peer\":\"127\.1\." "$site/spool/events.ndjson" | grep -v "device-connected\|closed-by-device" | tail -n 5)"
fi
equals "none of them is banned" "$(events 'source-banned.*"source":"127\.1\.')" 0
stop_daemon

# What is no collector of ours is left alone.
"$BIN/callhome-sim" attack silent --target 192.0.2.1:4335 >"$tmp/own" 2>&1
equals "a target that is not on the loopback is refused" "$? $(cat "$tmp/own")" \
	"2 callhome-sim attack: an attack stays on the loopback; if the network of this target is yours, say so with --i-own PREFIX: 192.0.2.1:4335"
finish
