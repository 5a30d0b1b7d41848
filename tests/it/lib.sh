# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# Sourced by the integration tests. A test prints "ok NAME", "not ok NAME" or "ok NAME # SKIP why" per
# claim and ends with `finish`. BIN is the folder of the binaries; FLAVOUR=asan when they are sanitized.
# Everything lives in $tmp and ends with the script; ports are picked by the kernel; loopback only.
set -u
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 2
BIN=${BIN:-$PWD/build}
FLAVOUR=${FLAVOUR:-plain}
tmp=$(mktemp -d "${TMPDIR:-/tmp}/callhome-it.XXXXXX")
pids=()
unset CALLHOME_SOCKET

cleanup()
{
	local pid
	for pid in "${pids[@]}"; do
		kill -KILL "$pid" 2>/dev/null
	done
	rm -rf "$tmp"
}
trap cleanup EXIT

ok() { echo "ok $1"; }
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

# A TCP port of 127.0.0.1 that nobody has now.
free_port()
{
	local port
	while :; do
		port=$((20000 + RANDOM % 12000))
		(: <"/dev/tcp/127.0.0.1/$port") 2>/dev/null || break
	done
	echo "$port"
}
