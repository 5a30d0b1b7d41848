#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# matrix.sh [KERNEL...]: what works on which kernel, as the Markdown table of docs/kernels.md. By default
# the kernels of Debian 12 and 13 and the newest that can be had (see kernel.sh). The facts of each kernel,
# then our programs on it: the demo, the sessions of guest-ktls.sh with each record layer, KeyUpdates,
# heartbeats, the streams of guest-layers.sh through both, the guard of guest-guard.sh, and privileges. A column
# whose kernel cannot be had is left out and named on stderr. Exit 1 if one of our programs failed anywhere, 77
# if there was no kernel at all.
set -uo pipefail
cd "$(dirname "$0")/../.."
[ $# -gt 0 ] || set -- 6.1 6.12 newest
tmp=$(mktemp -d "${TMPDIR:-/tmp}/callhome-matrix.XXXXXX")
trap 'rm -rf "$tmp"' EXIT
status=0
columns=()

# guest NAME KERNEL [VAR=VALUE...] SCRIPT [FILE...]: one row of our own programs
guest()
{
	local name=$1 kernel=$2 code out=$tmp/$2.guest
	shift 2
	echo "matrix: $kernel: $name" >&2
	tests/vm/run.sh "$kernel" "$@" >"$out" 2>&1
	code=$?
	if [ $code = 0 ]; then
		printf '%s\tyes (%s claims)\n' "$name" "$(grep -c '^ok ' "$out")"
		return
	fi
	printf '%s\t**no** (%s of %s claims)\n' "$name" "$(grep -c '^ok ' "$out")" "$(grep -cE '^(not )?ok ' "$out")"
	grep -v '^ok ' "$out" | sed "s/^/matrix: $kernel: /" >&2
	return 1
}

# claimed NAME KERNEL CLAIM...: a row of what the last guest of KERNEL said of these claims
claimed()
{
	local name=$1 out=$tmp/$2.guest said=yes claim
	shift 2
	for claim; do
		if grep -qxF "not ok $claim" "$out"; then
			said='**no**'
		elif [ "$said" = yes ] && ! grep -qxF "ok $claim" "$out"; then
			said=-
		fi
	done
	printf '%s\t%s\n' "$name" "$said"
}

# What KeyUpdates do: where keys cannot be changed they end the session, as they must.
key_updates()
{
	local code=0 row
	row=$(guest "callhome: KeyUpdates, record-layer: kernel" "$1" LAYER=kernel tests/vm/guest-keyupdate.sh) || code=1
	if grep -qx 'ok a kernel that cannot: a KeyUpdate ends the session as what it is' "$tmp/$1.guest"; then
		row=${row/yes/end the session}
	fi
	echo "$row"
	return $code
}

# The rows of the guard, from one run of its tests.
guard()
{
	local code=0
	guest "callhome: the guard" "$1" tests/vm/guest-guard.sh || code=1
	claimed "guard: drops a banned source in the kernel" "$1" guard::drops_a_banned_source_silently_and_no_other
	claimed "guard: drops and passes by rule, IPv4 and IPv6" "$1" \
		"SYNs of IPv4 and IPv6 from another namespace are judged by rule" "and all others pass"
	claimed "guard: works at accept without CAP_BPF" "$1" "without CAP_BPF the daemon says what is missing" \
		"without CAP_BPF: a source is banned at the set number of failures"
	claimed "guard: known sources do not stand in line behind strangers" "$1" \
		guard_doors::lets_the_known_in_at_once_while_strangers_stand_in_line \
		guard_doors::holds_for_the_answer_to_a_cookie_too
	claimed "guard: works on when the capabilities are gone" "$1" \
		"without any capability: other rules are in force" "without any capability: the ban is in force"
	claimed "guard: early stage, in the driver (veth)" "$1" "early: the program is taken by the driver" \
		"early: denied SYNs of both families are dropped" "early: one from a rejected prefix is refused at once"
	claimed "guard: early stage, behind the driver" "$1" \
		"early: the program is put behind the driver where that is wanted" \
		"early: denied SYNs of both families are dropped" "early: one from a rejected prefix is refused at once"
	return $code
}

for kernel; do
	echo "matrix: $kernel: facts" >&2
	if ! tests/vm/run.sh "$kernel" tests/vm/guest-facts.sh >"$tmp/$kernel"; then
		echo "matrix: $kernel: no facts, no column" >&2
		continue
	fi
	columns+=("$tmp/$kernel")
	guest "callhome: the demo" "$kernel" tests/vm/guest-demo.sh >>"$tmp/$kernel" || status=1
	for layer in user kernel; do
		guest "callhome: record-layer: $layer" "$kernel" LAYER=$layer tests/vm/guest-ktls.sh >>"$tmp/$kernel" || status=1
	done
	claimed "callhome: a device with a stapled OCSP response" "$kernel" "TLS 1.3 TLS_AES_128_GCM_SHA256, with a staple" \
		"TLS 1.2 ECDHE-ECDSA-AES128-GCM-SHA256, with a staple" "the staples are believed" >>"$tmp/$kernel"
	key_updates "$kernel" >>"$tmp/$kernel" || status=1
	guest "callhome: heartbeats, record-layer: kernel" "$kernel" LAYER=kernel tests/vm/guest-heartbeat.sh >>"$tmp/$kernel" || status=1
	guest "callhome: streams, both record layers alike" "$kernel" STREAMS=40 tests/vm/guest-layers.sh >>"$tmp/$kernel" || status=1
	guard "$kernel" >>"$tmp/$kernel" || status=1
	guest "callhome: with CAP_BPF alone, and then without" "$kernel" tests/vm/guest-privileges.sh >>"$tmp/$kernel" || status=1
done
[ ${#columns[@]} -gt 0 ] || exit 77

awk -F '\t' '
FNR == 1 { files++ }
{
	if (!($1 in seen)) { seen[$1] = 1; names[++rows] = $1 }
	value[$1, files] = $2
}
END {
	for (row = 1; row <= rows; row++) {
		line = "| " names[row] " |"
		for (file = 1; file <= files; file++)
			line = line " " (value[names[row], file] == "" ? "-" : value[names[row], file]) " |"
		print line
		if (row > 1) continue
		line = "|---|"
		for (file = 1; file <= files; file++) line = line "---|"
		print line
	}
}' "${columns[@]}"
exit $status
