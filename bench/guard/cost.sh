#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# cost.sh [ROUNDS]: guard-cost in two network namespaces of its own; the table on stdout. Needs root.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit
build=${BUILD:-build}
if [ "${1:-}" != inside ]; then
	if [ "$(id -u)" != 0 ]; then
		echo "cost.sh: run it as root: it makes network namespaces and sends raw frames in them" >&2
		exit 1
	fi
	exec "$build/own-network" "$0" inside "$@"
fi
shift
. bench/guard/pair.sh
trap 'kill "$peer"' EXIT
pair || exit
echo "$(nproc) CPUs, $(sed -n 's/^model name.*: //p' /proc/cpuinfo | head -n 1); kernel $(uname -r)"
echo
"$build/guard-cost" "$peer" "$@"
