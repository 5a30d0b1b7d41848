#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The early stage of the guard as its operator sees it: on an interface that the daemon names, with callers
# in another network namespace (bench/guard/pair.sh).
. "$(dirname "$0")/lib.sh"
two_networks "the early stage" "XDP" "$@"
for address in 10.77.{1,2,3,4}.5/32; do there ip addr add $address dev lo; done
for address in fd77:0:2::5/128 fd77:0:4::5/128; do there ip addr add $address dev lo; done
there ip route replace default via 10.76.0.1
there ip -6 route replace default via fd76::1

# try SOURCE: what a caller from there hears of the daemon
try()
{
	local to=10.76.0.1
	[[ $1 != *:* ]] || to=fd76::1
	there "$BIN/guard-call" "$1" "$port" "${TRY_MS:-400}" $to
}

rules='rules: [{name: foes, action: drop, prefix: 10.77.1.0/24, log: 1},
  {name: closed, action: reject, prefix: 10.77.2.0/24}, {name: closed6, action: reject, prefix: "fd77:0:2::/48"},
  {name: slow, action: limit, prefix: 10.77.3.0/24, rate: 1, burst: 2},
  {name: loop, action: reject, prefix: 127.3.0.0/16}]'
# early_site NAME GUARD: a site that listens on any address of both families
early_site()
{
	site "$1" 2 "guard: {$2, $rules}"
	sed -i "s/127.0.0.1:$port\"/0.0.0.0:$port\"}\n  - {name: six, address: \"[::]:$port\"/" "$site/callhomed.yaml"
}
rule() { cli guard rules --json | grep "\"rule\":\"$1\""; }

early_site early "mode: require, early: xdp-generic, interface: va"
if ! start_daemon >"$tmp/start" 2>&1; then
	why=$(grep -o 'CAP_[A-Z_]* is missing.*\|this kernel does not.*\|takes no XDP program.*' "$site/daemon.log" | head -n 1)
	if [ -n "$why" ]; then skip "the early stage" "$why"; else not_ok "the early stage: the daemon starts" "$(cat "$tmp/start")"; fi
	finish
	exit
fi
matches "the log says where the early stage works and how" "$(cat "$site/daemon.log")" 'event=guard-early interface=va mode=generic'
matches "so does the status" "$(cli status)" '^guard +in the kernel, and at accept \(guard.mode: require\); early on va \(generic\)$'
matches "and doctor finds it well" "$(cli doctor)" "^ok    the guard's early stage works on va$"
equals "the interface has the program" "$(ip link show va | grep -c xdpgeneric)" 1
# row: 2.7.6
equals "early: a rejected caller is refused at once" "$(try 10.77.2.5) $(try fd77:0:2::5)" "refused refused"
# row: 2.7.2
equals "early: a denied one hears nothing, and others connect" "$(try 10.77.1.5) $(try 10.77.4.5) $(try fd77:0:4::5)" \
	"silent reached reached"
until_true 10 grep -q 'verdict=denied' "$site/daemon.log"
# row: 2.7.7
matches "early: what is dropped is told, with the interface" "$(cat "$site/daemon.log")" \
	"event=guard verdict=denied at=early peer=10.77.1.5:[0-9]+ local=10.76.0.1:$port ifindex=$(ip -o link show va | cut -d: -f1) rule=foes"
matches "early: it is counted there and nowhere else" "$(rule foes)" '"early":[1-9][0-9]*,"kernel":0,"accept":0,'
matches "early: by listener" "$(rule closed6)" "\"listener\":\"\\[::\\]:$port\",\"early\":[1-9]"
callers=()
for _ in 1 2 3 4 5 6 7 8; do
	try 10.77.3.5 >>"$tmp/slow" &
	callers+=($!)
	sleep 0.05 # the kernel is told at accept
done
wait "${callers[@]}"
matches "early: a rule that is over its rate drops" "$(cat "$tmp/slow")" silent
matches "early: and that is counted" "$(cli guard stats)" '^rule-limit +[1-9]'
cli ban add 10.77.4.5 --for 1h >/dev/null
equals "early: an operator's ban holds" "$(try 10.77.4.5)" silent
matches "early: with its hits" "$(cli ban ls)" '^10\.77\.4\.5 .* operator +0 +[1-9]'
matches "early: the ban is counted early" "$(cli guard stats)" '^banned +[1-9][0-9]* +0 +0$'
cli ban rm 10.77.4.5 >/dev/null
equals "early: and it is lifted" "$(try 10.77.4.5)" reached
sed -i 's|10.77.1.0/24|10.77.4.0/24|' "$site/callhomed.yaml"
cli reload --wait >/dev/null
equals "early: a reload puts other rules in force" "$(try 10.77.1.5) $(try 10.77.4.5)" "reached silent"
sed -i 's/interface: va/interface: lo/' "$site/callhomed.yaml"
matches "another interface needs a restart, and the reload says so" "$(cli reload --wait 2>&1; cat "$site/daemon.log")" \
	'guard.interface was changed; it takes effect with a restart'
sed -i 's/interface: lo/interface: va/; s/guard: {/guard: {dry-run: true, /' "$site/callhomed.yaml"
cli reload --wait >/dev/null
equals "early: a dry run refuses nobody" "$(try 10.77.4.5) $(try 10.77.2.5)" "reached reached"
sed -i 's/dry-run: true, //' "$site/callhomed.yaml"
cli reload --wait >/dev/null

# The daemon has no capability left.
hears() { [ "$(try "$1")" = "$2" ]; }
ip addr add 10.76.0.9/24 dev va
again() { [ "$(TRY_MS=300 there "$BIN/guard-call" 10.77.2.5 "$port" 300 10.76.0.9)" = refused ]; }
if until_true 10 again; then ok "an address that the host gets is guarded too"; else not_ok "an address that the host gets is guarded too"; fi
ip link set va down
ip link set va up
ip route replace 10.77.0.0/16 via 10.76.0.2
if until_true 10 hears 10.77.2.5 refused; then ok "the stage outlives an interface that was down"; else not_ok "the stage outlives an interface that was down"; fi
ip link del va
until_true 10 grep -q 'event=guard-not-early interface=va why="there is no interface va' "$site/daemon.log"
matches "an interface that goes is told" "$(cli status)" 'early on va \(not: there is no interface va; it is guarded as soon as it is there\)'
matches "doctor finds it" "$(cli doctor)" "^WRONG the guard's early stage works on va: there is no interface va"
pair
there ip route replace default via 10.76.0.1
if until_true 10 hears 10.77.2.5 refused; then ok "one that comes back is guarded again"; else not_ok "one that comes back is guarded again"; fi
stop_daemon KILL
equals "the kernel takes the program off when the daemon dies" "$(ip link show va | grep -c xdp)" 0
sed -i 's/early: xdp-generic/early: xdp/' "$site/callhomed.yaml"
start_daemon || exit 1
matches "the driver takes it where it can" "$(cli status)" 'early on va \(native\)$'
equals "early, in the driver: a denied one hears nothing" "$(try 10.77.4.5)" silent
stop_daemon
equals "the program is gone with the daemon" "$(ip link show va | grep -c xdp)" 0

early_site several "mode: require, early: xdp, interface: 'lo,va'"
start_daemon || exit 1
matches "several interfaces, each as it can" "$(cli status)" 'early on lo \(generic\), va \(native\)$'
matches "the log says why one is not in the driver" "$(cat "$site/daemon.log")" \
	'event=guard-early interface=lo mode=generic driver="Operation not supported"'
equals "early, on the loopback: a rejected caller is refused, another connects" \
	"$("$BIN/guard-call" 127.3.0.1 "$port" 400) $("$BIN/guard-call" 127.4.0.1 "$port" 400)" "refused reached"
equals "early, on the other interface: a denied one hears nothing" "$(try 10.77.1.5)" silent
stop_daemon

# What cannot be.
early_site absent "mode: auto, early: xdp, interface: nosuch"
start_daemon || exit 1
matches "an interface that is not there is told" "$(cat "$site/daemon.log")" 'guard.interface: there is no interface nosuch'
equals "and the guard works without it" "$(try 10.77.1.5) $(cli doctor | grep -c 'WRONG the guard.s early stage works on nosuch')" "silent 1"
stop_daemon
sed -i 's/mode: auto/mode: require/' "$site/callhomed.yaml"
matches "with guard.mode require that is a mistake" "$("$BIN/callhomed" --check -c "$site/callhomed.yaml" 2>&1)" \
	'guard.interface: there is no interface nosuch, and guard.mode is require'
# As a unit of systemd without AF_NETLINK among its families. There the first listener has an address of its own.
if [ -x "$BIN/refuse-io-uring" ]; then
	early_site unlisted "mode: auto, early: xdp-generic, interface: va"
	sed -i 's/0\.0\.0\.0:/10.76.0.1:/' "$site/callhomed.yaml"
	mkdir "$tmp/unlisted-bin"
	printf '#!/bin/bash\nexec "%s" --netlink "%s" "$@"\n' "$(realpath "$BIN/refuse-io-uring")" "$(realpath "$BIN/callhomed")" \
		>"$tmp/unlisted-bin/callhomed"
	chmod +x "$tmp/unlisted-bin/callhomed"
	BIN=$tmp/unlisted-bin start_daemon || exit 1
	matches "where addresses cannot be listed the status says what to allow" "$(cli status)" \
		'early on va \(generic: the addresses of this host cannot be listed .*add AF_NETLINK to RestrictAddressFamilies\)'
	equals "and a listener with an address of its own is guarded early, another one is not" \
		"$(try 10.77.2.5) $(try fd77:0:2::5)" "refused reset"
	stop_daemon
fi
if setpriv --help 2>&1 | grep -q -e --bounding-set; then
	mkdir "$tmp/bin"
	cat >"$tmp/bin/callhomed" <<END
#!/bin/bash
exec setpriv --bounding-set=-net_admin,-sys_admin "$(realpath "$BIN/callhomed")" "\$@"
END
	chmod +x "$tmp/bin/callhomed"
	early_site unable "mode: auto, early: xdp, interface: va"
	BIN=$tmp/bin start_daemon || exit 1
	matches "without CAP_NET_ADMIN the sockets are guarded all the same" "$(cli status)" \
		'^guard +in the kernel, and at accept \(guard.mode: auto\); early on va \(not: CAP_NET_ADMIN is missing'
	equals "and drop who is denied" "$(try 10.77.1.5)" silent
	stop_daemon
	sed -i 's/mode: auto/mode: require/' "$site/callhomed.yaml"
	timeout 20 "$tmp/bin/callhomed" -c "$site/callhomed.yaml" >"$tmp/out" 2>&1
	matches "with guard.mode require there is no start" "$? $(tail -n 1 "$tmp/out")" \
		'^1 guard.mode is require, but guard.early: CAP_NET_ADMIN is missing'
else
	skip "without CAP_NET_ADMIN" "no setpriv of util-linux here"
fi
finish
