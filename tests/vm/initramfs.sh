#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# initramfs.sh KERNEL_DIR OUT [VAR=VALUE...] SCRIPT [FILE...]: an initramfs that runs SCRIPT and says
# how it ended (see guest-init). KERNEL_DIR is what kernel.sh printed. In the guest the files have the
# paths that are given here, below /callhome; programs come with their shared libraries. The modules for TLS in the kernel
# and for pairs of network interfaces are put in where the kernel does not have them built in;
# a regular expression in VM_WITHOUT leaves modules out.
set -euo pipefail
export LC_ALL=C
kernel=$1 out=$2
shift 2
rig=$(cd "$(dirname "$0")" && pwd)

vars=()
while [[ ${1:-} == *=* ]]; do
	vars+=("$1")
	shift
done
script=${1#/}

# What the ciphers of TLS need beside tls.ko: a guest has no modprobe on demand. Names differ between
# kernels (chacha20 was x86 and generic up to 6.15, one `chacha` since), so what is not there is no error.
wanted=(aesni-intel ghash-generic ghash-clmulni-intel ctr gcm ccm chacha_generic chacha-x86_64 chacha
	poly1305_generic poly1305-x86_64 chacha20poly1305)

root=$(mktemp -d "${TMPDIR:-/tmp}/callhome-initramfs.XXXXXX")
trap 'rm -rf "$root"' EXIT
mkdir -p "$root"/{bin,proc,sys,dev,tmp,etc,modules,callhome,usr/bin}

# ---------------------------------------------------------------- modules, in the order of their needs
release=$(<"$kernel/release")
[ -e "$kernel/tree/lib" ] || ln -s usr/lib "$kernel/tree/lib"
[ -e "$kernel/tree/lib/modules/$release/modules.dep" ] || depmod -b "$kernel/tree" "$release" 2>/dev/null
module()
{
	modprobe -d "$kernel/tree" -S "$release" --show-depends "$1" | sed -n 's/^insmod \([^ ]*\).*/\1/p'
}
{
	module tls
	module veth 2>/dev/null || :
	for name in "${wanted[@]}"; do
		module "$name" 2>/dev/null || :
	done
} | awk '!seen[$0]++' | while read -r file; do
	name=$(basename "${file%.ko*}").ko
	[[ -z ${VM_WITHOUT:-} || ! $name =~ $VM_WITHOUT ]] || continue
	case $file in
	*.xz) xz -dc "$file" >"$root/modules/$name" ;;
	*.zst) zstd -q -dc "$file" >"$root/modules/$name" ;;
	*) cp "$file" "$root/modules/$name" ;;
	esac
	echo "$name" >>"$root/modules/order"
done

# ---------------------------------------------------------------- programs
# put FILE PLACE: a folder as it is, a program with the shared libraries it names, each at its own path
put()
{
	mkdir -p "$root$(dirname "$2")"
	cp -rL "$1" "$root$2"
	[ -f "$1" ] && [ "$(head -c 4 "$1")" = $'\x7fELF' ] || return 0
	strip -g "$root$2" 2>/dev/null || :
	local library
	{ ldd "$1" 2>/dev/null || :; } | sed -n 's/.*=> \(\/[^ ]*\).*/\1/p; s/^[ \t]*\(\/[^ ]*\).*/\1/p' |
		while read -r library; do
			[ -e "$root$library" ] || { mkdir -p "$root$(dirname "$library")" && cp -L "$library" "$root$library"; }
		done
}

busybox=$(command -v busybox)
cp "$busybox" "$root/bin/busybox"
put "$(command -v bash)" /bin/bash
for file; do
	put "$file" "/callhome/${file#/}"
done
ln -s bash "$root/bin/sh"
cp "$rig/guest-init" "$root/init"
chmod +x "$root/init"
{
	for var in "${vars[@]}"; do
		printf 'export %s=%q\n' "${var%%=*}" "${var#*=}"
	done
	printf 'script=%q\n' "$script"
} >"$root/etc/vm"

(cd "$root" && find . -print0 | cpio --quiet -0 -o -H newc -R 0:0) >"$out"
