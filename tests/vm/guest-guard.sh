#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# needs: callhomed callhome callhome-sim guard-call guard-fire tests/test_guard tests/test_guard_doors tests/test_guard_run
# pki: 2
#
# The guard on this kernel: its program by itself, under SYNs that cross a pair of network interfaces, and
# in front of the daemon. What the tests of the same names say at home they say here.
PATH=$PWD/usr/sbin:$PATH # iproute2: the ip of busybox makes no pairs
export PATH
export TRY_MS=900 # a SYN that is dropped is sent again after a second
echo 'root:x:0:0::/tmp:/bin/bash' >/etc/passwd # who bans by hand is told by name

for unit in test_guard test_guard_doors test_guard_run; do
	"$BIN/tests/$unit" -j1 --timeout 120 --tap=/tmp/tap >/tmp/log 2>&1 </dev/null || sed 's/^/# /' /tmp/log
	sed -n -E 's/^(not )?ok - ([^ ]*).*/\1ok \2/p' /tmp/tap
	[ "$(grep -c . /tmp/tap)" -gt 1 ] || echo "not ok $unit runs"
done
part() { sed -n -E '/^(ok|not ok|#)/p'; }
bash tests/it/guard_netns.sh inside 2>&1 | part
bash tests/it/guard.sh | part
echo "done"
