#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# needs: callhomed callhome callhome-sim guard-call guard-fire own-network refuse-io-uring
# needs: tests/test_guard tests/test_guard_doors tests/test_guard_run
# tools: ip setpriv
# files: tests/it/guard.sh tests/it/guard_netns.sh tests/it/guard_early.sh bench/guard/pair.sh
# pki: 2
#
# The guard on this kernel: its program by itself, under SYNs that cross a pair of network interfaces, in
# front of the daemon, and on the interface itself. What the tests of the same names say at home they say here.
export TRY_MS=900 # a SYN that is dropped is sent again after a second
echo 'root:x:0:0::/tmp:/bin/bash' >/etc/passwd # who bans by hand is told by name

for unit in test_guard test_guard_doors test_guard_run; do
	"$BIN/tests/$unit" -j1 --timeout 120 --tap=/tmp/tap >/tmp/log 2>&1 </dev/null || sed 's/^/# /' /tmp/log
	sed -n -E 's/^(not )?ok - ([^ ]*).*/\1ok \2/p' /tmp/tap
	[ "$(grep -c . /tmp/tap)" -gt 1 ] || echo "not ok $unit runs"
done
# part NAME: what a test says, and that it came to its end
part() { awk -v name="$1" '/^(ok|not ok|#)/; /^done$/ { ended = 1 } END { if (!ended) print "not ok " name " ran to its end" }'; }
# The first beside the others: it waits while they compute, in a network of its own.
bash tests/it/guard_early.sh >/tmp/early 2>&1 &
bash tests/it/guard_netns.sh inside 2>&1 | part guard_netns
bash tests/it/guard.sh | part guard
wait
part guard_early </tmp/early
echo "done"
