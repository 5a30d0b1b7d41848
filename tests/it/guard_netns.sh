#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The guard under SYNs that cross from one network namespace into another (bench/guard/pair.sh).
. "$(dirname "$0")/lib.sh"

if [ $# = 0 ]; then
	if [ "$(id -u)" != 0 ]; then
		skip "the guard in namespaces of its own" "it needs root: two network namespaces and raw frames"
		finish
		exit
	fi
	"$BIN/own-network" "$0" inside
	[ $? = 77 ] || exit
	skip "the guard in namespaces of its own" "no network namespace here"
	finish
	exit 0
fi

. bench/guard/pair.sh
pids+=("$peer")
if ! pair 2>"$tmp/pair"; then
	skip "the guard in namespaces of its own" "$(tail -n 1 "$tmp/pair")"
	finish
	exit
fi
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
finish
