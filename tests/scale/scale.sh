#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# scale.sh: DEVICES (20,000) live TLS sessions in one daemon, all on this machine: notifications flow,
# requests are answered, and when the fleet has left, everything is as it was before it came:
# sessions, descriptors, bytes held for peers, memory. `make scale`; about three minutes on two cores.
. "$(dirname "$0")/../it/lib.sh"
devices=${DEVICES:-20000}
seconds=${DURATION:-60} # of steady traffic

status_of() { cli status --json 2>/dev/null | field "$1"; }
is() { [ "$(status_of "$1")" = "$2" ]; }
descriptors() { find "/proc/$daemon/fd" -mindepth 1 | wc -l; }
resident_kb() { awk '/^VmRSS/{print $2}' "/proc/$daemon/status"; }
slab_kb() { awk '/^SUnreclaim/{print $2}' /proc/meminfo; }
at_most() { if [ "$2" -le "$3" ]; then ok "$1 ($2)"; else not_ok "$1" "got: $2, at most $3"; fi; }

site scale "$devices" "limits: {max-sessions: $((devices + 1000)), login-timeout: 30s, shutdown-timeout: 60s}"
start_daemon || exit 1
is up 0 && sleep 1
fds=$(descriptors) rss=$(resident_kb) slab=$(slab_kb)
echo "# before: $fds descriptors, $rss kB resident, $slab kB of unreclaimable slab"

sim_start --devices "$devices" --rate 250 --notify-rate 0.25 --backoff-min 1s
until_true 400 is up "$devices"
equals "all $devices sessions are up" "$(status_of up)" "$devices"
echo "# up: $(descriptors) descriptors, $(resident_kb) kB resident, $(slab_kb) kB of unreclaimable slab (both ends)"
echo "# $(cli status | grep -E '^(logins|record layer|held)' | tr -s ' ' | tr '\n' ';')"

before=$(status_of notifications)
sleep "$seconds"
rate=$((($(status_of notifications) - before) / seconds))
echo "# $rate notifications per second"
at_most "notifications flow: at least $((devices / 5)) a second" $((devices / 5)) "$rate"
answered=0
for i in $(seq 0 $((devices / 50)) $((devices - 1))); do
	name=$(sed -n "$((i + 2))p" "$site/devices.csv" | cut -d, -f3)
	cli rpc "$name" <<<'<get/>' 2>/dev/null | grep -q '<rpc-reply' && answered=$((answered + 1))
done
equals "fifty devices answer a request" "$answered" 50
equals "no line was lost" "$(status_of spool_dropped)" 0
equals "nobody was lost" "$(status_of up)" "$devices"

kill -TERM "$fleet"
wait "$fleet" 2>/dev/null
until_true 120 is up 0
until_true 60 is handshaking 0
sleep 12
equals "no session is left" "$(status_of up)" 0
equals "no byte is held for peers" "$(status_of byte_budget_used)" 0
equals "descriptors are as before" "$(descriptors)" "$fds"
rss_after=$(resident_kb)
echo "# after: $(descriptors) descriptors, $rss_after kB resident, $(slab_kb) kB of unreclaimable slab"
# The slots that were used once stay mapped: about 1.2 kB each; the heap may keep a little.
at_most "memory is as before, but for the slots" "$rss_after" $((rss + devices * 2 + 30000))
stop_daemon TERM
equals "the daemon ends well" "$status" 0
finish
