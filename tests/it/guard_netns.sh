#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The guard under SYNs that cross from one network namespace into another (bench/guard/pair.sh).
. "$(dirname "$0")/lib.sh"
two_networks "the guard in namespaces of its own" "raw frames" "$@"
for address in 10.77.1.5/32 10.77.2.5/32; do there ip addr add $address dev lo; done
there ip route replace default via 10.76.0.1
# row: 2.8.2 = *IPv4*and*IPv6*judged*by*rule | *of*a*whole*64*
# row: 2.9.1 = each*of*many*SYNs* | and*by*its*verdict
# row: 2.9.4 = hits*are*counted*by*listener
# row: 2.7.7 = *counted,*each*of*them
timeout 120 "$BIN/guard-fire" "$peer" 2>"$tmp/fire"
case $? in
0) ;;
77) skip "the guard under fire" "$(tail -n 1 "$tmp/fire")" ;;
*) not_ok "the guard under fire: it ran to its end" "$(cat "$tmp/fire")" ;;
esac

# Addresses that no device has, on the loopback of this namespace.
try() { "$BIN/guard-call" "$1" "$port" "${TRY_MS:-400}"; }
for address in 192.0.2.1/32 100.64.0.1/32; do ip addr add $address dev lo; done
site bogons 2 'guard: {mode: require, bogons: drop}'
if ! start_daemon >"$tmp/start" 2>&1; then
	why=$(grep -o 'CAP_BPF is missing.*\|this kernel does not.*' "$site/daemon.log" | head -n 1)
	if [ -n "$why" ]; then skip "bogons" "$why"; else not_ok "bogons: the daemon starts" "$(cat "$tmp/start")"; fi
else
	# row: 2.5.6
	equals "a bogon is dropped, a shared address and the loopback are not" \
		"$(try 192.0.2.1) $(try 100.64.0.1) $(try 127.0.0.9)" "silent reached reached"
	matches "bogons are counted as a rule" "$(cli guard rules --json | grep '"rule":"bogons"')" '"kernel":1,'
	sed -i 's/bogons: drop/bogons: off/' "$site/callhomed.yaml"
	cli reload --wait >/dev/null
	equals "a reload lets them in again" "$(try 192.0.2.1)" reached
	stop_daemon
	sed -i '/^guard:/d' "$site/callhomed.yaml"
	echo 'guard: {bogons: drop, rules: [{name: bogons, action: drop, prefix: 10.0.0.0/8}]}' >>"$site/callhomed.yaml"
	matches "the name of the built-in rule is taken" "$("$BIN/callhomed" --check -c "$site/callhomed.yaml" 2>&1)" \
		'guard.rules: "bogons" is the built-in rule of guard.bogons'
fi
finish
