# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# Sourced by the guest scripts about records, which lie where LAYER says: kernel (in a guest) or user
# (anywhere).
. "$(dirname "${BASH_SOURCE[0]}")/../it/lib.sh"
LAYER=${LAYER:-user}
case $LAYER in
kernel | user) ;;
*)
	echo "$0: LAYER is kernel or user, not $LAYER" >&2
	exit 2
	;;
esac

# eventually SECONDS COMMAND...: as until_true of lib.sh, but a look costs an emulated processor as much as
# a login, so it looks less often
eventually()
{
	local end=$((SECONDS + $1))
	shift
	while ! "$@" >/dev/null 2>&1; do
		[ $SECONDS -lt $end ] || return 1
		sleep 0.4
	done
}

# tls_stat NAME: a counter of the kernel, 0 where it has none
tls_stat()
{
	local value
	value=$(awk -v n="$1" '$1 == n { print $2 }' /proc/net/tls_stat 2>/dev/null)
	echo "${value:-0}"
}

connected() { cli devices --state connected --json 2>/dev/null; }
up() { [ "$(connected | grep -c .)" = "$1" ]; }
