#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The guard as its operator sees it: bans for failures, limits, rules, in the kernel where eBPF loads.
. "$(dirname "$0")/lib.sh"

# try SOURCE: sends garbage from SOURCE. Prints reached (a ClientHello came), reset or silent.
try() { "$BIN/guard-call" "$1" "$port" "${TRY_MS:-400}"; }

rules='rules: [{name: friends, action: permit, prefix: 127.1.0.0/16},
  {name: foes, action: drop, prefix: 127.2.0.0/16, log: 1}, {name: spared, action: limit, prefix: 127.2.9.0/24}, {name: closed, action: reject, prefix: 127.3.0.0/16}]'

# operator WHERE BANNED: what the CLI does at the gate holds and is told, in the kernel and at accept alike.
operator()
{
	matches "$1: an operator bans a source" "$(cli ban add 127.0.8.1 --for 1h)" '^127.0.8.1 is banned for 3600 s$'
	equals "$1: the operator's ban holds" "$(try 127.0.8.1)" "$2"
	matches "$1: bans are listed" "$(cli ban ls)" '^127\.0\.8\.1 +20[0-9TZ:-]+ +20[0-9TZ:-]+ +operator +0 +[0-9]'
	until_true 10 grep -q '"source":"127.0.8.1"' "$site/spool/events.ndjson"
	matches "$1: the operator's ban is an event with the user's name" "$(grep '"source":"127.0.8.1"' "$site/spool/events.ndjson")" \
		"\"event\":\"source-banned\",\"source\":\"127.0.8.1\",\"seconds\":3600,\"cause\":\"operator\",\"user\":\"$(id -un)\""
	matches "$1: and a line of the log" "$(cat "$site/daemon.log")" \
		"event=source-banned source=127.0.8.1 seconds=3600 cause=operator user=\"$(id -un)\""
	matches "$1: a ban is lifted" "$(cli ban rm 127.0.8.1)" '^127.0.8.1 is not banned any more$'
	equals "$1: a lifted ban does not hold" "$(try 127.0.8.1)" reached
	until_true 10 grep -q source-unbanned "$site/spool/events.ndjson"
	equals "$1: the lifting is an event" "$(events source-unbanned)" 1
	matches "$1: who is not banned cannot be lifted" "$(cli ban rm 127.0.8.1 2>&1)" 'is not banned; see'
	matches "$1: a permitted source cannot be banned" "$(cli ban add 127.1.0.1 2>&1)" 'is never banned: a rule'
	matches "$1: more than a source cannot be banned" "$(cli ban add 127.0.8.0/24 2>&1)" 'is not one source: that is an IPv4 /32'
	# row: 2.9.3
	matches "$1: hits are counted by rule" "$(cli guard rules --json | grep '"rule":"foes"' | tr -d '\n')" \
		'"prefixes":1,"early":0,"kernel":[0-9]+,"accept":[0-9]+,"early_total":0,"kernel_total":[0-9]+'
	try 127.2.3.4 >/dev/null
	equals "$1: a hit of a rule counts" "$(cli guard rules --json | awk '/"rule":"foes"/ && !/"kernel":0,"accept":0,/' | wc -l)" 1
	cli guard reset foes >/dev/null
	# row: 2.9.6 = *reset*
	matches "$1: a reset begins a rule's counters anew and loses nothing" "$(cli guard rules --json | grep '"rule":"foes"')" \
		'"kernel":0,"accept":0,"early_total":0,"kernel_total":([1-9][0-9]*,"accept_total":0|0,"accept_total":[1-9])'
	equals "$1: no other rule's" "$(cli guard rules --json | awk '/"rule":"friends"/ && !/"kernel":0,"accept":0,/' | wc -l)" 1
	cli guard reset >/dev/null
	matches "$1: everything is reset" "$(cli guard stats)" "denied +0 +0 +0"
}

# claims WHERE BANNED: what holds in the kernel (BANNED=silent) and at accept (BANNED=reset) alike.
claims()
{
	local i
	for i in 1 2 3; do
		equals "$1: a source is open before its third failure ($i)" "$(try 127.0.7.1)" reached
	done
	# row: SC5b = *banned*set*number*
	until_true 10 eval '[ "$(events source-banned)" = 1 ]'
	equals "$1: a source is banned at the set number of failures" "$(try 127.0.7.1)" "$2"
	equals "$1: a ban is of one source only" "$(try 127.0.7.2)" reached
	# row: 2.7.2
	equals "$1: a denied prefix" "$(try 127.2.3.4)" "$2"
	for i in 1 2 3; do
		equals "$1: a longer prefix is spared ($i)" "$(try 127.2.9.1)" reached
	done
	until_true 10 eval '[ "$(events source-banned)" = 2 ]'
	equals "$1: but not from bans" "$(try 127.2.9.1)" "$2"
	for i in 1 2 3 4 5 6; do try 127.1.0.1 >/dev/null; done
	equals "$1: a permitted prefix is never banned" "$(try 127.1.0.1)" reached
	# row: 2.7.6
	equals "$1: a rejected prefix is reset" "$(try 127.3.0.1)" reset
	matches "$1: the ban is an event with its length" \
		"$(grep source-banned "$site/spool/events.ndjson")" '"source":"127.0.7.1","seconds":3,'
}

site userspace 2 "guard: {mode: userspace, ban-after: 3, ban-time: 3s, $rules}"
start_daemon || exit 1
claims userspace reset
operator userspace reset
matches "the status says where the guard works" "$(cli status)" '^guard +at accept only \(guard.mode: userspace\)$'
matches "the status says how close the limits are" "$(cli status)" '^limits +0 of [0-9]+ sessions, 0 of [0-9]+ logging in, [0-9]+ of [0-9]+ sources, [0-9]+ of [0-9]+ bans$'
sleep 3
equals "a ban ends by itself" "$(try 127.0.7.1)" reached
sim --devices 2 --duration 2s --no-reconnect >/dev/null 2>&1
equals "devices log in beside it" "$(events device-connected)" 2
stop_daemon

site dry 2 "guard: {mode: userspace, dry-run: true, ban-after: 3, $rules}"
start_daemon || exit 1
for _ in 1 2 3 4; do try 127.0.7.1 >/dev/null; done
equals "a dry run refuses nobody" "$(try 127.0.7.1) $(try 127.2.3.4)" "reached reached"
stop_daemon

# The daemon without the capabilities that load eBPF, as in a container.
mkdir "$tmp/bin"
cat >"$tmp/bin/callhomed" <<END
#!/bin/bash
if [ "\$(id -u)" = 0 ]; then exec setpriv --bounding-set=-bpf,-sys_admin "$(realpath "$BIN/callhomed")" "\$@"; fi
exec "$(realpath "$BIN/callhomed")" "\$@"
END
chmod +x "$tmp/bin/callhomed"
if [ "$(id -u)" = 0 ] && ! setpriv --help 2>&1 | grep -q -e --bounding-set; then
	skip "without CAP_BPF" "no setpriv of util-linux here"
else
	site unable 2 "guard: {mode: auto, ban-after: 3, ban-time: 3s, $rules}"
	BIN=$tmp/bin start_daemon || exit 1
	matches "without CAP_BPF the daemon says what is missing" "$(cat "$site/daemon.log")" \
		'event=guard-in-user-space why="CAP_BPF is missing'
	matches "without CAP_BPF the status says so" "$(cli status)" \
		'^guard +at accept only \(guard.mode: auto\): CAP_BPF is missing'
	matches "without CAP_BPF doctor finds it" "$(cli doctor)" \
		'^WRONG the guard works where guard.mode wants it: CAP_BPF is missing'
	claims "without CAP_BPF" reset
	stop_daemon
	sed -i 's/mode: auto/mode: require/' "$site/callhomed.yaml"
	timeout 20 "$tmp/bin/callhomed" -c "$site/callhomed.yaml" >"$tmp/out" 2>&1
	equals "without CAP_BPF there is no start that requires it" "$?" 1
	matches "and it is said why" "$(cat "$tmp/out")" 'guard.mode is require, but: CAP_BPF is missing'
fi

site kernel 2 "guard: {mode: require, ban-after: 3, ban-time: 3s, bans-file: bans, $rules}"
if ! start_daemon >"$tmp/start" 2>&1; then
	skip "the guard in the kernel" "$(grep -o 'CAP_BPF is missing.*\|this kernel does not.*' "$site/daemon.log" | head -n 1)"
	finish
	exit
fi
claims kernel silent
operator kernel silent
matches "the status says that it works in the kernel" "$(cli status)" '^guard +in the kernel, and at accept \(guard.mode: require\)$'
matches "doctor says that known devices have a door of their own" "$(cli doctor)" '^ok +known devices do not stand in line behind strangers$'
matches "what the kernel drops is told" "$(cat "$site/daemon.log")" \
	'event=guard verdict=denied at=kernel peer=127.2.3.4:[0-9]+ local=127.0.0.1:[0-9]+ ifindex=1 rule=foes'
sim --devices 2 --duration 2s --no-reconnect >/dev/null 2>&1
equals "devices log in behind the filter" "$(events device-connected)" 2
stop_daemon
sed -i 's/ban-time: 3s/ban-time: 1h/' "$site/callhomed.yaml"
rm -rf "$site/spool"
start_daemon || exit 1
for _ in 1 2 3; do try 127.0.7.1 >/dev/null; done
until_true 10 eval '[ "$(events source-banned)" = 1 ]'
stop_daemon
matches "bans are written down" "$(cat "$site/bans")" '^127.0.7.1 20[0-9-]+T[0-9:]+Z 0 failures$'
start_daemon || exit 1
equals "a ban outlives a restart" "$(try 127.0.7.1)" silent
matches "the hits of a ban are listed" "$(cli ban ls)" '^127\.0\.7\.1 .* failures +0 +[1-9]'
echo garbage >>"$site/bans"
sed -i 's|127.2.0.0/16|127.4.0.0/16|' "$site/callhomed.yaml"
cli reload --wait >/dev/null
equals "a reload puts the rules of the file in force" "$(try 127.2.3.4) $(try 127.4.3.4)" "reached silent"
sed -i 's|127.4.0.0/16|127.4.0.1/16|' "$site/callhomed.yaml"
matches "a rule that is no prefix is refused" "$(cli reload --wait 2>&1)" 'guard.rules.prefix: "127.4.0.1/16" is not a prefix'
equals "and the old rules stay" "$(try 127.4.3.4)" silent
stop_daemon
finish
