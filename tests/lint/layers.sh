#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The arrows of docs/architecture.md: which folder may include what.
. "$(dirname "$0")/common"

# forbid RULE REGEX FOLDER...: no file below the folders includes a header that matches.
forbid()
{
	local rule=$1 regex=$2 file
	shift 2
	while read -r file; do
		grep -nE "^[[:space:]]*#[[:space:]]*include[[:space:]]*[<\"]($regex)" "$file" /dev/null || :
	done < <(c_files "$@") | report "$rule"
}

# Sans-IO: bytes and time come in, bytes and events go out.
forbid layers-sans-io '(sys/(socket|epoll|uio|ioctl|select|time|un)\.h|netinet/|netdb\.h|poll\.h|fcntl\.h|unistd\.h|time\.h|pthread\.h|liburing|openssl/|linux/|kernel/|user/(tls|ssh|guard|collector|daemon|cli)/|bench/)' user/proto
# queue.h wakes its consumer and log.h reads the clock through what the caller passes in.
forbid layers-core '(sys/(socket|epoll|uio|ioctl|select|time|un)\.h|netinet/|netdb\.h|poll\.h|fcntl\.h|unistd\.h|time\.h|liburing|openssl/|linux/|kernel/|user/(proto|tls|ssh|guard|collector|daemon|cli)/|bench/)' user/core
forbid layers-kernel '(openssl/|expat|cyaml|yaml|microhttpd|user/(proto|tls|ssh|guard|collector|daemon|cli)/|bench/)' kernel
# bpf/limit.h is arithmetic; what else is shared with the kernel's side comes through kernel/.
forbid layers-user '(liburing|bpf/([^l]|l[^i])|linux/tls\.h)' user
forbid layers-openssl 'openssl/' user/collector user/daemon user/cli user/ssh include
forbid layers-tls '(kernel/|liburing|user/(proto|ssh|guard|collector|daemon|cli)/|bench/)' user/tls
forbid layers-guard '(openssl/|liburing|user/(proto|tls|ssh|collector|daemon|cli|crl)/|bench/)' user/guard
forbid layers-collector '(user/(daemon|cli)/|bench/)' user/collector
forbid layers-daemon '(kernel/ring|user/(tls|proto|cli)/|bench/)' user/daemon
forbid layers-cli '(kernel/|user/(proto|tls|ssh|guard|collector|daemon)/|bench/|liburing|openssl/)' user/cli
forbid layers-crl '(kernel/|user/(proto|ssh|guard|collector|daemon|cli)/|bench/|liburing|openssl/)' user/crl
forbid layers-bench '(user/(guard|collector|daemon|cli)/|liburing)' bench
forbid layers-public '(user/|kernel/|bench/|bpf/|openssl/|liburing)' include
# The control socket is written on the public API alone.
while read -r file; do
	grep -nE '^#include "(kernel/|user/tls/|user/guard/|worker|session|registry|conn|devices)' "$file" /dev/null || :
done < <(c_files user/collector | grep '/control') | report layers-control
exit $lint_failed
