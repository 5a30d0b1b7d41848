#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# run.sh KERNEL [VAR=VALUE...] SCRIPT [FILE...]: runs SCRIPT in a virtual machine with that kernel (see
# kernel.sh) and prints what it printed. SCRIPT is bash, with busybox beside it, and names the programs
# of $BIN (default $BUILD) that it uses in lines "# needs: NAME...", programs of this machine in a line
# "# tools: NAME...", more files in a line "# files: FILE..." and for how many devices it wants
# certificates in a line "# pki: DEVICES...": an emulated processor takes many seconds to make them. It finds
# the programs in BIN, the tools in its PATH, the certificates in PKI, itself, guest.sh, tests/it/lib.sh and
# every FILE below the present folder as here, and each VAR in its environment; it is root, has the loopback
# interface, no disk and no network.
#
# Exit status: that of the script; 1 too when it printed a line "not ok ...", when the kernel warned,
# oopsed or died, or when the script did not end in VM_SECONDS; 77, with a reason, where QEMU or the kernel cannot be had. The logs of the last run
# are $BUILD/vm/log/KERNEL-SCRIPT.{out,console}.
set -euo pipefail
cd "$(dirname "$0")/../.."
build=${BUILD:-build}
export BUILD=$build
bin=${BIN:-$build}
bin=${bin#"$PWD/"}
seconds=${VM_SECONDS:-900}     # for the script, once the kernel is up: ten times what it takes
boot_seconds=${VM_BOOT_SECONDS:-90}
memory=${VM_MEMORY:-1024}
if [ $# -lt 2 ]; then
	sed -n '4s/^# //p' "$0" >&2
	exit 2
fi
kernel=$1
shift

for tool in qemu-system-x86_64 busybox cpio depmod modprobe xz strip; do
	command -v $tool >/dev/null && continue
	echo "run.sh: no $tool here (Debian: qemu-system-x86 busybox-static cpio kmod xz-utils binutils)" >&2
	exit 77
done
kernel_dir=$(tests/vm/kernel.sh "$kernel")

given=("$@")
for ((i = 0; i < $#; i++)); do
	[[ ${given[i]} == *=* ]] || break
done
script=${given[i]:?}
# wanted WHAT: the words of these lines of the script
wanted() { sed -n "1,12s/^# $1: //p" "$script"; }
for name in $(wanted needs); do
	if [ ! -x "$bin/$name" ]; then
		echo "run.sh: $script needs $bin/$name: build it first" >&2
		exit 2
	fi
	given+=("$bin/$name")
done
for name in $(wanted tools); do
	if ! tool=$(command -v "$name"); then
		echo "run.sh: no $name here, which $script needs (Debian: iproute2 openssl util-linux)" >&2
		exit 77
	fi
	given+=("$tool")
done
# shellcheck disable=SC2207
given+=($(wanted files) tests/it/lib.sh tests/tools/site-pki tests/vm/guest.sh)

mkdir -p "$build/vm/log"
run=$(mktemp -d "$build/vm/run.XXXXXX")
qemu=
finish()
{
	[ -z "$qemu" ] || kill "$qemu" 2>/dev/null || :
	wait
	rm -rf "$run"
}
trap finish EXIT
pki=${PKI:-$run/pki}
for devices in $(wanted pki); do
	BIN=$bin tests/tools/site-pki "$pki" "$devices" >/dev/null
	given+=("$pki/pki-$devices")
done
tests/vm/initramfs.sh "$kernel_dir" "$run/initramfs" BIN="/callhome/${bin#/}" PKI="/callhome/${pki#/}" "${given[@]}"

# cx16=off: QEMU 7.2 without KVM corrupts the flags in cmpxchg16b, and the kernel oopses at random.
# The watchdogs are off because an emulated processor on a busy host is late without being stuck.
start()
{
	rm -f "$run/out" "$run/console"
	timeout -k 5 $((boot_seconds + seconds + 20)) qemu-system-x86_64 \
		-accel tcg,thread=multi -cpu max,cx16=off -smp 2 -m "$memory" \
		-nodefaults -no-user-config -no-reboot -display none \
		-kernel "$kernel_dir/vmlinuz" -initrd "$run/initramfs" \
		-append "console=ttyS0 loglevel=7 panic=-1 mitigations=off nowatchdog rcupdate.rcu_cpu_stall_suppress=1 random.trust_cpu=on" \
		-serial "file:$run/console" -serial "file:$run/out" </dev/null >"$run/qemu" 2>&1 &
	qemu=$!
}

# within SECONDS REGEX: waits for a line of the guest; false when it does not come in time or at all.
within()
{
	local end=$((SECONDS + $1))
	while ! grep -qsE "$2" "$run/out"; do
		kill -0 "$qemu" 2>/dev/null && [ $SECONDS -lt $end ] || { sleep 0.2; grep -qsE "$2" "$run/out"; return; }
		sleep 0.1
	done
}

stop()
{
	kill "$qemu" 2>/dev/null || :
	wait "$qemu" 2>/dev/null || :
	qemu=
}

# Now and then a boot under emulation says nothing at all; seen in 3 of 50.
for attempt in 1 2 3; do
	start
	within "$boot_seconds" '^@@ kernel ' && break
	stop
	[ "$attempt" = 3 ] || echo "run.sh: $kernel: boot $attempt was silent, once more" >&2
done

failed() { echo "run.sh: $kernel: $script: $*" >&2; status=1; }
status=0
if [ -z "$qemu" ]; then
	failed "no boot in three attempts"
	cat "$run/qemu" >&2
elif ! within "$seconds" '^@@ exit '; then
	failed "did not end in $seconds s, or the machine died"
else
	status=$(sed -n 's/^@@ exit \([0-9]*\).*/\1/p' "$run/out" | tail -n 1)
	# its own end: so that the kernel's last words are in the log
	for ((i = 0; i < 50; i++)); do
		kill -0 "$qemu" 2>/dev/null || break
		sleep 0.1
	done
fi
[ -z "$qemu" ] || stop

touch "$run/out" "$run/console"
log=$build/vm/log/$kernel-$(basename "$script" .sh)
tr -d '\r' <"$run/console" >"$log.console"
tr -d '\r' <"$run/out" >"$log.out"
grep -v '^@@ ' "$log.out" || :
if [ "$status" = 0 ] && grep -q '^not ok ' "$log.out"; then status=1; fi
if grep '^@@ insmod' "$log.out"; then failed "a module does not load"; fi
bad='WARNING:|BUG:|Oops|general protection|Kernel panic|Call Trace:|UBSAN:|refcount_t:|corruption'
if grep -nE "$bad" "$log.console" >"$run/bad"; then
	failed "the kernel complained; see $log.console"
	head -n 20 "$run/bad" >&2
fi
exit "$status"
