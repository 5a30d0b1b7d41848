# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# Sourced in a network namespace of its own (own-network): a second namespace, and a veth pair between
# the two. Here: va, 10.76.0.1/24 and fd76::1/64. There: vb, 10.76.0.2/24 and fd76::2/64, and behind it
# everything in 10.77.0.0/16, 192.0.2.0/24 and fd77::/32. Sets peer, a process there that ends by itself.
unshare -n sleep 900 </dev/null >/dev/null 2>&1 &
peer=$!
# By its path: busybox would take its own program of that name.
there() { nsenter -n"/proc/$peer/ns/net" "$(command -v "$1")" "${@:2}"; }

# pair: false, and a reason on stderr, where it cannot be made.
pair()
{
	local i behind
	for ((i = 0; i < 100; i++)); do
		[ "$(readlink "/proc/$peer/ns/net")" = "$(readlink /proc/self/ns/net)" ] || break
		sleep 0.05
	done
	ip link add va address 02:00:00:00:00:01 type veth peer name vb address 02:00:00:00:00:02 netns "$peer" &&
		ip addr add 10.76.0.1/24 dev va && ip addr add fd76::1/64 dev va nodad && ip link set va up &&
		there ip addr add 10.76.0.2/24 dev vb && there ip addr add fd76::2/64 dev vb nodad &&
		there ip link set vb up && there ip link set lo up || return
	ip neigh replace 10.76.0.2 lladdr 02:00:00:00:00:02 dev va nud permanent
	ip neigh replace fd76::2 lladdr 02:00:00:00:00:02 dev va nud permanent
	there ip neigh replace fd76::1 lladdr 02:00:00:00:00:01 dev vb nud permanent
	for behind in 10.77.0.0/16 192.0.2.0/24; do ip route add $behind via 10.76.0.2 || return; done
	ip route add fd77::/32 via fd76::2
}
