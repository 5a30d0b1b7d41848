#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# kernel.sh KERNEL: fetches a Debian cloud kernel and prints the folder that then holds
#   vmlinuz  release  tree/ (the unpacked packages: modules below lib/modules or usr/lib/modules)
# KERNEL is 6.1 (Debian 12), 6.12 (Debian 13), newest, a version that trixie-backports holds (6.18),
# or the name of a Debian suite. Nothing is installed and no system list is touched: a private apt, with
# sources that are those of this machine with another suite, downloads into $BUILD/vm. What is there
# already is taken without the network.
# Exit 77 with a reason where the kernel cannot be had, 2 after a wrong call.
set -euo pipefail
cd "$(dirname "$0")/../.."
export LC_ALL=C
kernel=${1:-}
top=$PWD/${BUILD:-build}/vm
[[ ${BUILD:-} != /* ]] || top=$BUILD/vm

case $kernel in
6.1) suites=bookworm ;;
6.12) suites=trixie ;;
newest) suites='trixie-backports sid' ;;
[6-9].[0-9]*) suites=trixie-backports ;;
[a-z]*) suites=$kernel ;;
*)
	echo "kernel.sh: KERNEL is 6.1, 6.12, newest, another version or a Debian suite, not '$kernel'" >&2
	exit 2
	;;
esac

unavailable()
{
	echo "kernel.sh: $kernel: $1" >&2
	exit 77
}

here=$top/kernels/$kernel
mkdir -p "$top/kernels"
exec 9>"$top/kernels/.lock"
flock 9
if [ -e "$here/vmlinuz" ]; then
	echo "$here"
	exit 0
fi
command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null || unavailable "no apt on this machine"

# ---------------------------------------------------------------- a private apt
apt_dir=$top/apt-$kernel
rm -rf "$apt_dir"
mkdir -p "$apt_dir"/{state/lists/partial,cache/archives/partial,debs,empty}
: >"$apt_dir/status"
log=$apt_dir/log
key=/usr/share/keyrings/debian-archive-keyring.gpg
options=''
[ ! -e $key ] || options="[arch=amd64 signed-by=$key] "

# Where this machine has Debian from: its main archive and, if it has one, the security archive.
origin()
{
	apt-get indextargets --format '$(LABEL) $(REPO_URI)' 'Created-By: Packages' 'Origin: Debian' |
		sed -n "s/^$1 //p" | head -n 1
}
main=$(origin Debian)
security=$(origin Debian-Security)
[ -n "$main" ] || unavailable "no Debian archive among the apt sources of this machine"
for suite in $suites; do
	echo "deb $options$main $suite main"
	case $suite in
	bookworm | trixie) [ -z "$security" ] || echo "deb $options$security $suite-security main" ;;
	esac
done >"$apt_dir/sources.list"

private=(-q -o Dir::Etc::sourcelist="$apt_dir/sources.list" -o Dir::Etc::sourceparts="$apt_dir/empty"
	-o Dir::State="$apt_dir/state" -o Dir::Cache="$apt_dir/cache" -o Dir::State::status="$apt_dir/status"
	-o APT::Architecture=amd64 -o APT::Sandbox::User=root -o Acquire::Languages=none
	-o Acquire::IndexTargets::deb::Contents-deb::DefaultEnabled=false -o Acquire::Retries=2)
timeout 300 apt-get "${private[@]}" -o APT::Update::Error-Mode=any update >"$log" 2>&1 ||
	unavailable "apt-get update failed: $(grep -m 1 '^[EW]:' "$log" || tail -n 1 "$log")"

# ---------------------------------------------------------------- from the meta package to files
# A private apt has nothing installed and every suite of its list is as good as another: the version
# alone decides.
newest_of()
{
	apt-cache "${private[@]}" madison "$1" | awk -F ' *[|] *' '{ print $2 }' | sort -uV | tail -n 1
}

meta=linux-image-cloud-amd64
if [[ $suites = trixie-backports && $kernel != "$suites" ]]; then
	meta=$(apt-cache "${private[@]}" search --names-only "^linux-image-${kernel//./[.]}[.].*-cloud-amd64\$" |
		cut -d ' ' -f 1 | sort -V | tail -n 1)
	[ -n "$meta" ] || unavailable "no such version in $suites"
fi
version=$(newest_of "$meta")
[ -n "$version" ] || unavailable "no $meta in $suites"

# depends PACKAGE=VERSION: the kernel packages it needs, as NAME=VERSION. Since 7.0 a kernel is split
# in linux-binary and linux-modules.
depends()
{
	apt-cache "${private[@]}" show "$1" 2>>"$log" |
		sed -n '/^Depends:/{s/^Depends: *//; s/, */\n/g; p; q}' |
		sed -nE 's/^(linux-(image|binary|modules)-[^ ]+) \(= ([^)]*)\).*/\1=\3/p'
}

# available PACKAGE=VERSION: it, or its unsigned twin where only that is offered.
available()
{
	local twin=${1/linux-image-/linux-image-unsigned-}
	twin=${twin/linux-binary-/linux-binary-unsigned-}
	local name
	for name in "$1" "${1/-cloud-amd64=/-cloud-amd64-unsigned=}" "$twin"; do
		# not grep -q: apt-cache would die of a broken pipe, and with it this line
		apt-cache "${private[@]}" show "$name" 2>/dev/null | grep '^Filename:' >/dev/null || continue
		echo "$name"
		return
	done
	unavailable "$1 is not offered by $suites"
}

wanted=("$meta=$version")
packages=()
[[ $meta = linux-image-cloud-amd64 ]] || packages=("$(available "$meta=$version")")
while [ ${#wanted[@]} -gt 0 ]; do
	mapfile -t needs < <(depends "${wanted[0]}")
	wanted=("${wanted[@]:1}")
	for need in "${needs[@]}"; do
		[[ " ${packages[*]} " != *" $need "* ]] || continue
		need=$(available "$need")
		packages+=("$need")
		wanted+=("$need")
	done
	[ ${#packages[@]} -le 8 ] || unavailable "$meta $version needs ${packages[*]}: more than a kernel"
done
[ ${#packages[@]} -gt 0 ] || unavailable "$meta $version names no kernel package"

echo "kernel.sh: $kernel: ${packages[*]}" >&2
(cd "$apt_dir/debs" && timeout 600 apt-get "${private[@]}" download "${packages[@]}") >"$log" 2>&1 ||
	unavailable "the download failed: $(grep -m 1 '^E:' "$log" || tail -n 1 "$log")"

# ---------------------------------------------------------------- unpacked, whole or not at all
new=$top/kernels/.new-$kernel
rm -rf "$new" "$here"
mkdir -p "$new/tree"
for deb in "$apt_dir"/debs/*.deb; do
	dpkg-deb -x "$deb" "$new/tree"
done
image=$(find "$new/tree" -type f -name 'vmlinuz*' | head -n 1)
modules=$(find "$new/tree" -type d -path '*lib/modules/*' -name kernel | head -n 1)
[ -n "$image" ] && [ -n "$modules" ] || unavailable "${packages[*]}: no vmlinuz or no modules inside"
cp "$image" "$new/vmlinuz"
basename "$(dirname "$modules")" >"$new/release"
printf '%s\n' "${packages[@]}" >"$new/packages"
rm -rf "$apt_dir"
mv "$new" "$here"
echo "$here"
