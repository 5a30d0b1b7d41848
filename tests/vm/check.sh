#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# check.sh [KERNEL]: what `make check` runs of this folder, in the words of an integration test ("ok NAME",
# "ok NAME # SKIP why", "not ok NAME", and "done" at the end): the demo, every session's record layer,
# KeyUpdates, heartbeats, the guard and generated streams of records on that kernel (6.1), and the same sessions here
# with the record layer in user space.
set -u
cd "$(dirname "$0")/../.." || exit
kernel=${1:-6.1}
build=${BUILD:-build}
bin=${BIN:-$build}
export BUILD=$build BIN=$bin
out=$(mktemp -d "${TMPDIR:-/tmp}/callhome-vm.XXXXXX")
trap 'rm -rf "$out"' EXIT
export PKI=${PKI:-$out/pki}

# shows NAME COMMAND...: runs it, and puts its name before each of its claims
shows()
{
	local name=$1 code since=$SECONDS said
	said=$(mktemp "$out/said.XXXXXX")
	shift
	"$@" >"$said" 2>&1
	code=$?
	echo "# $name: $((SECONDS - since)) s"
	if [ $code = 77 ]; then
		echo "ok $name # SKIP $(tail -n 1 "$said")"
		return
	fi
	sed -e '/^done$/d' -e "s/^ok /ok $name: /" -e "s/^not ok /not ok $name: /" "$said"
	if ! grep -q '^done$' "$said" || { [ $code != 0 ] && ! grep -q '^not ok ' "$said"; }; then
		echo "not ok $name: ran to its end (status $code)"
	fi
}

# Where this machine has TLS in its kernel, natively with that too.
here()
{
	local layer layers=user
	! "$bin/callhomed" --version | grep -q 'TLS in the kernel: yes' || layers='user kernel'
	for layer in $layers; do
		shows "here, record layer $layer" env BIN="$(realpath "$bin")" LAYER=$layer tests/vm/guest-ktls.sh
		shows "here, KeyUpdates, record layer $layer" env BIN="$(realpath "$bin")" LAYER=$layer tests/vm/guest-keyupdate.sh
		shows "here, heartbeats, record layer $layer" env BIN="$(realpath "$bin")" LAYER=$layer tests/vm/guest-heartbeat.sh
	done
	[ "$layers" = user ] || shows "here, record streams" env BIN="$(realpath "$bin")" STREAMS=40 tests/vm/guest-layers.sh
}

# What runs here mostly waits, while the guests compute.
here >"$out/here" &
shows "kernel $kernel, demo" tests/vm/run.sh "$kernel" tests/vm/guest-demo.sh
shows "kernel $kernel, record layer kernel" tests/vm/run.sh "$kernel" LAYER=kernel tests/vm/guest-ktls.sh
shows "kernel $kernel, KeyUpdates, record layer kernel" tests/vm/run.sh "$kernel" LAYER=kernel tests/vm/guest-keyupdate.sh
shows "kernel $kernel, heartbeats, record layer kernel" tests/vm/run.sh "$kernel" LAYER=kernel tests/vm/guest-heartbeat.sh
shows "kernel $kernel, record streams" tests/vm/run.sh "$kernel" STREAMS=40 tests/vm/guest-layers.sh
shows "kernel $kernel, guard" tests/vm/run.sh "$kernel" tests/vm/guest-guard.sh
shows "kernel $kernel, privileges" tests/vm/run.sh "$kernel" tests/vm/guest-privileges.sh
wait
cat "$out/here"
echo "done"
