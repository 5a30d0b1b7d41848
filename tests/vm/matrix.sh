#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# matrix.sh [KERNEL...]: what works on which kernel, as the Markdown table of docs/kernels.md. By default
# the kernels of Debian 12 and 13 and the newest that can be had (see kernel.sh). The facts of each kernel,
# then our programs on it: the demo, the sessions of guest-ktls.sh with each record layer, KeyUpdates,
# heartbeats, and the streams of guest-layers.sh through both. A column whose kernel cannot be had is left
# out and named on stderr. Exit 1 if one of our programs failed anywhere, 77 if there was no kernel at all.
set -uo pipefail
cd "$(dirname "$0")/../.."
[ $# -gt 0 ] || set -- 6.1 6.12 newest
tmp=$(mktemp -d "${TMPDIR:-/tmp}/callhome-matrix.XXXXXX")
trap 'rm -rf "$tmp"' EXIT
status=0
columns=()

# guest NAME KERNEL SCRIPT [VAR=VALUE...]: one row of our own programs
guest()
{
	local name=$1 kernel=$2 script=$3 code out=$tmp/$2.guest
	shift 3
	echo "matrix: $kernel: $name" >&2
	tests/vm/run.sh "$kernel" "$@" "$script" >"$out" 2>&1
	code=$?
	if [ $code = 0 ]; then
		printf '%s\tyes (%s claims)\n' "$name" "$(grep -c '^ok ' "$out")"
		return
	fi
	printf '%s\t**no** (%s of %s claims)\n' "$name" "$(grep -c '^ok ' "$out")" "$(grep -cE '^(not )?ok ' "$out")"
	grep -v '^ok ' "$out" | sed "s/^/matrix: $kernel: /" >&2
	return 1
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
		guest "callhome: record-layer: $layer" "$kernel" tests/vm/guest-ktls.sh LAYER=$layer >>"$tmp/$kernel" || status=1
	done
	guest "callhome: KeyUpdates, record-layer: kernel" "$kernel" tests/vm/guest-keyupdate.sh LAYER=kernel >>"$tmp/$kernel" || status=1
	guest "callhome: heartbeats, record-layer: kernel" "$kernel" tests/vm/guest-heartbeat.sh LAYER=kernel >>"$tmp/$kernel" || status=1
	guest "callhome: streams, both record layers alike" "$kernel" tests/vm/guest-layers.sh STREAMS=40 >>"$tmp/$kernel" || status=1
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
