#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Every reason of include/callhome/reason.h is produced, by real devices on real sockets where that is
# possible. The list comes from the header: a new reason without a test fails here.
. "$(dirname "$0")/lib.sh"

slow=1
[ "$FLAVOUR" = asan ] && slow=3
declare -A seen

# claim REASON [COUNT]: the present site ended so many connections for that reason.
claim()
{
	seen[$1]=1
	if until_true $((20 * slow)) ended "$1" "${2:-1}"; then ok "$1"; else
		not_ok "$1" "$(tail -n 20 "$site/daemon.log" "$site/sim.log" 2>/dev/null)"
	fi
}

end_site()
{
	kill -TERM "$fleet" 2>/dev/null
	wait "$fleet" 2>/dev/null
	stop_daemon TERM
	[ "$status" = 0 ] || not_ok "the daemon of $site ends well" "status $status: $(tail "$site/daemon.log")"
}

# Inside a network of our own: the loopback goes away under a session that is up.
unreachable()
{
	site lost 1 'limits: {keepalive-idle: 1s, keepalive-interval: 1s, keepalive-count: 1, user-timeout: 1s}'
	start_daemon || exit 1
	sim_start --devices 1 --notify-rate 0
	until_true 20 events '"event":"device-connected"'
	"$BIN/own-network" --loopback down
	claim unreachable
}
if [ "${1:-}" = unreachable ]; then
	unreachable
	exit
fi

# One impostor of each kind. Some kinds need a daemon of their own.
site impostors 2 "limits: {login-timeout: $((2 * slow))s}"
start_daemon || exit 1
declare -A kinds
list=
while read -r kind reason _; do
	case $kind in
	KIND | reader-stall | mute | heartbeat-mute) continue ;;
	esac
	list=$list,$kind
	kinds[$reason]=$((${kinds[$reason]:-0} + 1))
done < <("$BIN/callhome-sim" impostors)
sim_start --devices 2 --impostors "${list#,}" --impostor-wait 60s --rate 20
# row: C5a-reasons = unknown-ca | self-signed | certificate-expired | certificate-not-yet-valid | wrong-certificate-usage
# row: C6a SC2 = unknown-device
# row: C6a-issuer SC3 = wrong-manufacturer
# row: C6b = no-identifier
# row: C7-order = possession-not-proven
# row: S5a C8-refused = client-certificate-refused
# row: C5d C5c-ocsp = revoked | revocation-unknown | revocation-stale | bad-ocsp-staple
# row: 7589-2 = no-client-certificate-request
# row: 7589-4 = truncated | closed-by-device
# row: 9918-version = tls-version-too-old
# row: 9918-suites = no-shared-cipher
for reason in "${!kinds[@]}"; do
	claim "$reason" "${kinds[$reason]}"
done
cli kill acme-000001
claim killed
kill -TERM "$daemon"
claim shutdown
end_site

site sessions 10 'limits: {max-sessions: 2}' 'guard: {known-share: 0}'
start_daemon || exit 1
sim_start --devices 10 --rate 0 --no-reconnect
claim session-limit 8
end_site

site handshakes 2 'limits: {max-handshakes: 1, login-timeout: 10min}'
start_daemon || exit 1
sim_start --devices 2 --rate 0 --no-reconnect --impostors silent:4 --impostor-wait 1h
claim handshake-limit
end_site

# At accept: what the kernel drops is in guard.sh.
site guard 1 'guard: {mode: userspace, ban-after: 2, source-logins: 1, rules: [{name: foes, action: drop, prefix: 127.9.9.9}]}'
start_daemon || exit 1
sim_start --devices 1 --source 127.9.9.9 --no-reconnect
claim denied-by-rule
exec 3<>"/dev/tcp/127.0.0.1/$port"
(: <"/dev/tcp/127.0.0.1/$port") 2>/dev/null
claim source-login-limit
exec 3>&-
until_true 60 eval 'echo garbage >"/dev/tcp/127.0.0.1/$port"; ended banned'
claim banned
end_site

site guard-rate 1 'guard: {mode: userspace, source-rate: 1, source-burst: 1}'
start_daemon || exit 1
for _ in 1 2 3; do
	(: <"/dev/tcp/127.0.0.1/$port") 2>/dev/null
done
claim source-rate-limit
end_site

site balancer 1 'guard: {rules: [{name: balancers, action: proxy, prefix: 127.0.0.1}]}'
start_daemon || exit 1
echo "PROXY TCP4 192.0.2.1 192.0.2.2 1 2" >"/dev/tcp/127.0.0.1/$port"
claim proxy-header
end_site

site credential 1
sed -i 's/^\(acme,ACM-00000000,acme-000000\),default,/\1,,/' "$site/devices.csv"
start_daemon || exit 1
sim_start --devices 1 --no-reconnect
# row: C7-none
claim no-credential
end_site

site superseded 1
start_daemon || exit 1
sim_start --devices 1 --no-reconnect
until_true 20 events '"event":"device-connected"'
first=$fleet
sim_start --devices 1 --no-reconnect --source 127.9.0.1
claim superseded
kill -TERM "$first"
end_site

site budget 8 'limits: {byte-budget: 1MiB}'
start_daemon || exit 1
sim_start --devices 8 --rate 0 --no-reconnect --reply-size 1000KiB
claim byte-budget
end_site

site stalled 1 'limits: {max-send-queue: 64KiB}'
start_daemon || exit 1
sim_start --devices 0 --impostors reader-stall --impostor-wait 1h
until_true 20 events '"event":"device-connected"'
victim=$(cli devices --state connected --json | field name)
{ echo '<big>' && head -c 900000 /dev/zero | tr '\0' x && echo '</big>'; } >"$tmp/big.xml"
for _ in 1 2 3 4 5 6 7 8 9 10; do
	cli rpc "$victim" -f "$tmp/big.xml" --timeout 5s >/dev/null 2>&1 &
	pids+=("$!")
	sleep 0.2
	ended reader-stalled && break
done
claim reader-stalled
end_site

site mute 1 'limits: {rpc-timeout: 1s}'
sed -i 's/on-connect: \[get-config, subscribe\]/probe-interval: 1s/' "$site/callhomed.yaml"
start_daemon || exit 1
sim_start --devices 0 --impostors mute --impostor-wait 1h
claim probe-timeout
end_site

site reloaded 2
start_daemon || exit 1
sim_start --devices 2 --notify-rate 0
until_true $((20 * slow)) eval '[ "$(events "\"event\":\"device-connected\"")" = 2 ]'
sed -i -e '/,acme-000000,/d' -e 's/^acme,ACM-00000001,/acme,ACM-FFFF0001,/' "$site/devices.csv"
kill -HUP "$daemon"
claim device-removed
claim trust-changed
end_site

site heartbeat-mute 1 'keepalives: {test-peer-aliveness: {max-wait: 1s, max-attempts: 2}}'
start_daemon || exit 1
sim_start --devices 0 --impostors heartbeat-mute --impostor-wait 1h
claim heartbeat-timeout
end_site

seen[unreachable]=1
"$BIN/own-network" "$0" unreachable
[ $? != 77 ] || skip unreachable "no network namespace to be had here"

# These need a kernel or an allocator that fails in the middle, or kernel TLS without rekey: unit tests
# with their own ring do it.
for reason in internal-error:INTERNAL:test_worker.c key-update-unsupported:KEY_UPDATE:test_worker_ktls.c \
	rejected:REJECTED:test_requests.c; do
	IFS=: read -r name symbol file <<<"$reason"
	seen[$name]=1
	if grep -q "cr_assert_eq(reason_count(CH_REASON_$symbol), 1);" "tests/unit/$file"; then
		ok "$name (in tests/unit/$file)"
	else
		not_ok "$name (in tests/unit/$file)"
	fi
done

count=0
while read -r reason; do
	count=$((count + 1))
	[ -n "${seen[$reason]:-}" ] || not_ok "$reason" "no test produces this reason"
done < <(sed -n 's/^[[:space:]]*X([A-Z_0-9]*, "\([a-z0-9-]*\)",.*/\1/p' include/callhome/reason.h)
if [ $count -ge 40 ]; then ok "all $count reasons were looked for"; else not_ok "all $count reasons were looked for"; fi
finish
