#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What callhomed may still do once it listens: nothing as a service user, little as root; and all it does
# for years works without: reloads, bans, other rules.
. "$(dirname "$0")/lib.sh"

# tasks FIELD: the values that the threads of the daemon have there, each once.
tasks() { sed -n "s/^$1:[[:space:]]*//p" "/proc/$daemon"/task/*/status | sort -u | xargs; }

# try SOURCE: sends garbage from SOURCE. Prints reached (a ClientHello came), reset or silent.
try() { "$BIN/guard-call" "$1" "$port" "${TRY_MS:-400}"; }

# claims WHO CAPABILITIES MASK: of the daemon that runs.
claims()
{
	equals "$1: every thread has these capabilities and no other" \
		"$(tasks CapPrm) $(tasks CapEff) $(tasks CapInh) $(tasks CapAmb)" \
		"$3 $3 0000000000000000 0000000000000000"
	equals "$1: no program gives more of them" "$(tasks NoNewPrivs)" 1
	equals "$1: status says so" "$(cli status --json | field capabilities)" "$2"
	matches "$1: doctor says so" "$(cli doctor)" '^ok +callhomed gave up the privileges'
	matches "$1: known devices have a door of their own" "$(cli doctor)" '^ok +known devices do not stand in line behind strangers$'
	equals "$1: a denied prefix is silent in the kernel" "$(try 127.2.3.4)" silent
	sed -i 's|127.2.0.0/16|127.4.0.0/16|' "$site/callhomed.yaml"
	cli reload --wait >/dev/null || not_ok "$1: reload"
	equals "$1: a reload changes the rules of the kernel" "$(try 127.2.3.4) $(try 127.4.3.4)" "reached silent"
	for _ in 1 2 3; do try 127.0.7.1 >/dev/null; done
	until_true 10 eval '[ "$(events source-banned)" = 1 ]'
	equals "$1: a new ban reaches the kernel" "$(try 127.0.7.1)" silent
	sim_calls 2 --devices 2
	equals "$1: devices log in" "$(events device-connected)" 2
}

guard='guard: {mode: require, ban-after: 3, rules: [{name: foes, action: drop, prefix: 127.2.0.0/16}]}'

if [ "$(id -u)" != 0 ]; then
	skip "privileges" "only root can give CAP_BPF to another user"
	finish
	exit
fi
site root 2 "$guard"
if ! start_daemon >"$tmp/start" 2>&1; then
	skip "privileges" "$(grep -o 'CAP_BPF is missing.*\|this kernel does not.*' "$site/daemon.log" | head -n 1)"
	finish
	exit
fi
claims root dac_override 0000000000000002
equals "root: not even a program with capabilities of its own" "$(tasks CapBnd)" 0000000000000002
stop_daemon

# As the unit of packaging/ starts it.
site service 2 "$guard"
chmod 711 "$tmp"
cp "$BIN/callhomed" "$tmp/callhomed"
chown -R 65534:65534 "$site"
setpriv --reuid 65534 --regid 65534 --clear-groups --inh-caps=-all,+bpf --ambient-caps=-all,+bpf \
	--bounding-set=-all,+bpf "$tmp/callhomed" -c "$site/callhomed.yaml" >"$site/daemon.log" 2>&1 &
daemon=$!
pids+=("$daemon")
until_true 120 started_or_gone
if grep -q 'event=collector-started' "$site/daemon.log"; then
	claims "service user" none 0000000000000000
else
	not_ok "service user: callhomed starts" "$(cat "$site/daemon.log")"
fi
stop_daemon
equals "service user: ends well" "$status" 0

# The same with the early stage, on a loopback of its own.
site early 2 'guard: {mode: require, early: xdp, interface: lo}'
chown -R 65534:65534 "$site"
"$BIN/own-network" setpriv --reuid 65534 --regid 65534 --clear-groups --inh-caps=-all,+bpf,+net_admin \
	--ambient-caps=-all,+bpf,+net_admin --bounding-set=-all,+bpf,+net_admin \
	"$tmp/callhomed" -c "$site/callhomed.yaml" >"$site/daemon.log" 2>&1 &
daemon=$!
pids+=("$daemon")
until_true 120 started_or_gone
if grep -q "event=collector-started" "$site/daemon.log"; then
	matches "service user: the early stage takes CAP_BPF and CAP_NET_ADMIN and no other capability" "$(cli status)" \
		'early on lo \(generic\)$'
	equals "service user: which are given up too" "$(tasks CapPrm) $(tasks CapAmb) $(tasks NoNewPrivs)" "0000000000000000 0000000000000000 1"
else
	not_ok "service user: callhomed starts with an early stage" "$(cat "$site/daemon.log")"
fi
stop_daemon

# From Linux 6.14 on a ring counts as locked memory.
site locked 2
usual=$(ulimit -S -l)
ulimit -S -l 64
if start_daemon >"$tmp/start" 2>&1; then ok "root: a limit of locked memory is lifted"; else
	not_ok "root: a limit of locked memory is lifted" "$(cat "$site/daemon.log")"
fi
ulimit -S -l "$usual"
stop_daemon
chown -R 65534:65534 "$site"
: >"$site/daemon.log"
(
	ulimit -l 64
	exec setpriv --reuid 65534 --regid 65534 --clear-groups "$tmp/callhomed" -c "$site/callhomed.yaml"
) >"$site/daemon.log" 2>&1 &
daemon=$!
pids+=("$daemon")
until_true 120 started_or_gone
matches "service user: too little of it is named, where the kernel counts it" "$(cat "$site/daemon.log")" \
	'event=collector-started|RLIMIT_MEMLOCK, which all processes of a user share'
stop_daemon

site bare 1 "$guard"
chown -R 65534:65534 "$site"
setpriv --reuid 65534 --regid 65534 --clear-groups "$tmp/callhomed" -c "$site/callhomed.yaml" >"$site/daemon.log" 2>&1
equals "without CAP_BPF mode require does not start" $? 1
matches "and names what is missing" "$(cat "$site/daemon.log")" 'guard.mode is require, but: CAP_BPF is missing'
finish
