# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# Sourced by the integration tests. A test prints "ok NAME", "not ok NAME" or "ok NAME # SKIP why" per
# claim and ends with `finish`. BIN is the folder of the binaries; FLAVOUR=asan when they are sanitized;
# PKI a folder for certificates that several scripts share, each of which copies what it uses.
# Everything lives in $tmp and ends with the script; loopback only; no port is fixed.
set -u
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 2
BIN=${BIN:-$PWD/build}
FLAVOUR=${FLAVOUR:-plain}
PORT=${PORT:-20000} # the first of a thousand that are for this script
# How long guard-call listens; below a second, after which a SYN that was dropped is sent again.
export TRY_MS=${TRY_MS:-$([ "$FLAVOUR" = asan ] && echo 900 || echo 600)}
tmp=$(mktemp -d "${TMPDIR:-/tmp}/callhome-it.XXXXXX")
PKI=${PKI:-$tmp} # where certificates are made, or were made before
pids=()
unset CALLHOME_SOCKET

cleanup()
{
	local pid
	for pid in "${pids[@]}"; do
		kill -KILL "$pid" 2>/dev/null
	done
	wait 2>/dev/null
	rm -rf "$tmp"
}
trap cleanup EXIT

ok() { echo "ok $1"; }
skip() { echo "ok $1 # SKIP $2"; }
not_ok()
{
	echo "not ok $1"
	[ -z "${2:-}" ] || sed 's/^/# /' <<<"$2"
}
finish() { echo "done"; }

# equals NAME GOT WANT
equals()
{
	if [ "$2" = "$3" ]; then ok "$1"; else not_ok "$1" "got:  $2
want: $3"; fi
}

# matches NAME GOT REGEX
matches()
{
	if grep -qE -- "$3" <<<"$2"; then ok "$1"; else not_ok "$1" "got:  $2
want: $3"; fi
}

# until_true SECONDS COMMAND...: polls; false when it never came true.
until_true()
{
	local end=$((SECONDS + $1))
	shift
	while ! "$@" >/dev/null 2>&1; do
		[ $SECONDS -lt $end ] || return 1
		sleep 0.05
	done
}

# field NAME: of the flat JSON object on stdin; strings without their quotes.
field()
{
	sed -n "s/.*\"$1\":\(\"\([^\"]*\)\"\|\([^,}]*\)\).*/\2\3/p"
}

# A TCP port of 127.0.0.1 that nobody has now.
free_port()
{
	local port
	while :; do
		port=$((PORT + RANDOM % 1000))
		(: <"/dev/tcp/127.0.0.1/$port") 2>/dev/null || break
	done
	echo "$port"
}

# site NAME DEVICES [YAML...]: a PKI, an inventory and $tmp/NAME/callhomed.yaml with these lines more.
# Sets site (its directory) and port.
site()
{
	local name=$1 devices=$2
	shift 2
	port=$(free_port)
	BIN=$BIN tests/tools/site-pki "$PKI" "$devices" >"$tmp/gen-certs.log" 2>&1 || {
		not_ok "gen-certs" "$(cat "$tmp/gen-certs.log")"
		exit 1
	}
	site=$tmp/$name
	cp -r "$PKI/pki-$devices" "$site"
	sed -i "s/127.0.0.1:1\"/127.0.0.1:$port\"/" "$site/callhomed.yaml"
	[ $# = 0 ] || printf '%s\n' "$@" >>"$site/callhomed.yaml"
}

started_or_gone() { grep -q 'event=collector-started' "$site/daemon.log" || ! kill -0 "$daemon"; }

# start_daemon: callhomed of the present site. Sets daemon (its pid).
start_daemon()
{
	# Emptied here: the redirection below happens in the child, and an earlier daemon's line may stand there.
	: >"$site/daemon.log"
	"$BIN/callhomed" -c "$site/callhomed.yaml" >"$site/daemon.log" 2>&1 &
	daemon=$!
	pids+=("$daemon")
	until_true 120 started_or_gone
	grep -q 'event=collector-started' "$site/daemon.log" && return
	not_ok "callhomed starts" "$(cat "$site/daemon.log")"
	return 1
}

# stop_daemon [SIGNAL]: sets status, the exit status of the daemon.
stop_daemon()
{
	kill "-${1:-TERM}" "$daemon" 2>/dev/null
	wait "$daemon" 2>/dev/null
	status=$?
}

# sim OPTION...: devices that call the present site; never for longer than ten minutes.
sim()
{
	timeout 600 "$BIN/callhome-sim" run --pki "$site" --target "127.0.0.1:$port" --quiet "$@"
}

# sim_start OPTION...: the same in the background, until it is stopped. Sets fleet (its pid; `exec`, so
# that it is not the pid of a shell around it).
sim_start()
{
	(exec "$BIN/callhome-sim" run --pki "$site" --target "127.0.0.1:$port" --quiet --duration 10min "$@") \
		>"$site/sim.log" 2>&1 &
	fleet=$!
	pids+=("$fleet")
}

# sim_calls COUNT OPTION...: devices that call once, until COUNT connections came up or were refused. Sets
# result.
sim_calls()
{
	local outcomes='"event":"(device-connected|unknown-device|auth-failed|not-allowed|connection-failed)"' before
	before=$(events "$outcomes")
	local want=$((before + $1))
	sim_start --no-reconnect --json "${@:2}"
	until_true 60 eval '[ "$(events "$outcomes")" -ge $want ]'
	kill -TERM "$fleet"
	wait "$fleet"
	result=$(tail -n 1 "$site/sim.log")
}

cli() { "$BIN/callhome" --socket "$site/callhomed.sock" "$@"; }

# events REGEX: how many lines of the events spool match.
events() { grep -cE -- "$1" "$site/spool/events.ndjson" 2>/dev/null; }

# ended REASON [COUNT]: so many connections ended so.
ended() { [ "$(events "\"reason\":\"$1\"")" -ge "${2:-1}" ]; }

# two_networks WHAT NEEDS "$@": the script runs once more, in a network namespace of its own with a second one
# behind it (bench/guard/pair.sh, which has the names); returns in there only. Where that cannot be, WHAT is
# skipped; NEEDS says what it needs root for.
two_networks()
{
	local what=$1 needs=$2
	shift 2
	if [ $# -gt 0 ]; then
		. bench/guard/pair.sh
		pids+=("$peer")
		pair 2>"$tmp/pair" && return
		skip "$what" "$(tail -n 1 "$tmp/pair")"
	elif [ "$(id -u)" != 0 ]; then
		skip "$what" "it needs root: two network namespaces and $needs"
	else
		"$BIN/own-network" "$0" inside
		status=$?
		[ $status = 77 ] || exit $status
		skip "$what" "no network namespace here"
	fi
	finish
	exit 0
}
