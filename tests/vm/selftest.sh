#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# selftest.sh [KERNEL]: does run.sh notice what it must? A rig that cannot fail proves nothing.
. "$(dirname "$0")/../it/lib.sh"
kernel=${1:-6.1}
tests/vm/kernel.sh "$kernel" >/dev/null || exit

# guest STATUS NAME COMMANDS [KERNEL]: runs these lines in a guest
guest()
{
	printf '#!/bin/bash\n%s\n' "$3" >"$tmp/script.sh"
	chmod +x "$tmp/script.sh"
	out=$(VM_SECONDS=${limit:-60} tests/vm/run.sh "${4:-$kernel}" WORD='two words' "$tmp/script.sh" 2>&1)
	equals "$2" $? "$1"
}

guest 0 "a script that ends well" 'echo "$WORD"; uname -r; grep -c tls /proc/modules; ip addr show lo'
matches "its output is shown" "$out" '^two words$'
matches "TLS is in the kernel" "$out" '^[1-9]$'
matches "the loopback interface is up" "$out" '127.0.0.1/8'
guest 7 "the status of the script" 'exit 7'
guest 1 "a failed claim" 'echo "not ok the sky is green"; exit 0'
guest 1 "a warning of the kernel" 'echo "WARNING: CPU: 0 PID: 1 at a.c:1 b+0x1/0x2" >/dev/kmsg'
matches "the warning is shown" "$out" 'WARNING: CPU: 0 PID: 1 at a.c:1'
guest 1 "a kernel that dies" 'echo c >/proc/sysrq-trigger; sleep 20'
limit=3 guest 1 "a script that does not end" 'sleep 60'
matches "its limit is named" "$out" 'did not end in 3 s'
guest 0 "a tool of this machine comes before that of busybox" $'# tools: setpriv\nsetpriv --help | grep -e --bounding-set'
guest 77 "a tool that this machine lacks" $'# tools: no-such-tool\nexit 0'
matches "it is named" "$out" 'no no-such-tool here'
VM_WITHOUT='chacha20poly1305' guest 0 "modules can be left out" '! grep chacha20poly1305 /proc/modules'
guest 77 "a kernel that cannot be had" 'exit 0' no-such-suite
guest 2 "a kernel nobody knows" 'exit 0' 1.2.3
finish
