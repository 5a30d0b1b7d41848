#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# Do `make demo` and `make check` work from a fresh clone in a bare Debian 12? Needs root, debootstrap
# and the network; takes about ten minutes and 2 GB below TMPDIR.
#
#   clean-root.sh [MAKE COMMAND...]     default: "demo DEVICES=200 DURATION=5" check
#   KEEP=1                              leave the root for a look
#
# The root has only what debootstrap's minbase has, and make: the rest must come from `make deps`.
set -euo pipefail
cd "$(dirname "$0")/.."

if [ "$(id -u)" != 0 ] || ! command -v debootstrap >/dev/null; then
	echo "clean-root: needs root and debootstrap" >&2
	exit 2
fi
[ $# -gt 0 ] || set -- "demo DEVICES=200 DURATION=5" check

# Namespaces of our own: whatever happens, no mount and no process is left behind.
if [ "${CLEAN_ROOT_INSIDE:-}" != 1 ]; then
	CLEAN_ROOT_INSIDE=1 exec unshare --mount --propagation private --pid --fork --kill-child "$0" "$@"
fi

mirror=$(apt-get indextargets --format '$(RELEASE) $(REPO_URI)' 'Created-By: Packages' |
	sed -n 's/^bookworm //p' | head -n 1)
if [ -z "$mirror" ]; then
	echo "clean-root: no Debian 12 main suite among the apt sources of this machine" >&2
	exit 2
fi

root=$(mktemp -d "${TMPDIR:-/tmp}/callhome-root.XXXXXX")
chmod 755 "$root"
finish()
{
	umount "$root/sys" 2>/dev/null || :
	umount -R "$root/proc" 2>/dev/null || :
	umount -R "$root/dev" 2>/dev/null || :
	[ "${KEEP:-}" = 1 ] && echo "clean-root: kept $root" || rm -rf --one-file-system "$root"
}
trap finish EXIT

echo "clean-root: debootstrap into $root"
debootstrap --variant=minbase --include=make bookworm "$root" "$mirror" >"$root.log" 2>&1 || {
	tail -n 20 "$root.log"
	exit 1
}
rm -f "$root.log"
git clone -q --no-hardlinks . "$root/src"
cp -L /etc/resolv.conf "$root/etc/resolv.conf"
mount -t proc proc "$root/proc"
mount -t sysfs -o ro sysfs "$root/sys"
mount -t tmpfs tmpfs "$root/dev"
for node in null zero full random urandom tty; do
	touch "$root/dev/$node" && mount --bind "/dev/$node" "$root/dev/$node"
done
mkdir "$root/dev/shm" "$root/dev/pts"
ln -s /proc/self/fd "$root/dev/fd"
mount -t tmpfs tmpfs "$root/dev/shm"
mount -t devpts -o newinstance,ptmxmode=0666,mode=620 devpts "$root/dev/pts"
ln -s pts/ptmx "$root/dev/ptmx"

failed=0
for command; do
	echo "clean-root: make $command"
	start=$SECONDS
	# shellcheck disable=SC2086
	if env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 CI=true \
		${http_proxy:+http_proxy="$http_proxy"} ${https_proxy:+https_proxy="$https_proxy"} \
		chroot "$root" make -C /src $command </dev/null; then
		echo "clean-root: ok: make $command ($((SECONDS - start)) s)"
	else
		echo "clean-root: FAILED: make $command ($((SECONDS - start)) s)"
		failed=1
	fi
done
if [ $failed = 0 ]; then echo "clean-root: passed"; else echo "clean-root: failed"; fi
exit $failed
