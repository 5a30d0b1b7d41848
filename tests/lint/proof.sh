#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The checks themselves: every rule finds the mistake it is for, in a tree that is made for it.
. "$(dirname "$0")/common"
tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
mkdir -p "$tree/tests" "$tree/bench" "$tree/kernel" "$tree/include/callhome" \
	"$tree"/user/{core,proto,tls,guard,collector,daemon,cli}
cp -r tests/lint "$tree/tests/lint"
: >"$tree/tests/lint/allowed"
spdx='/* SPDX-License-Identifier: Apache-2.0 */'

# expect RULE SCRIPT FILE TEXT: with that file, the script fails and names the rule.
expect()
{
	local rule=$1 script=$2 file=$tree/$3 out
	printf '%b\n' "$4" >"$file"
	if out=$(env -C "$tree" CC="${CC:-cc}" "$tree/tests/lint/$script" 2>&1) || ! grep -q "^$rule: $3 has 1" <<<"$out"; then
		echo "$script does not find $rule in: $4"
		sed 's/^/    /' <<<"$out"
		lint_failed=1
	fi
	rm "$file"
}

expect layers-sans-io layers.sh user/proto/a.c "$spdx\n#include <unistd.h>"
expect layers-core layers.sh user/core/a.c "$spdx\n#include <sys/socket.h>"
expect layers-kernel layers.sh kernel/a.c "$spdx\n#include <openssl/ssl.h>"
expect layers-user layers.sh user/daemon/a.c "$spdx\n#include <liburing.h>"
expect layers-openssl layers.sh user/collector/a.c "$spdx\n# include <openssl/evp.h>"
expect layers-tls layers.sh user/tls/a.c "$spdx\n#include \"kernel/sock.h\""
expect layers-guard layers.sh user/guard/a.c "$spdx\n#include \"user/tls/trust.h\""
expect layers-collector layers.sh user/collector/a.c "$spdx\n#include \"bench/pki.h\""
expect layers-daemon layers.sh user/daemon/a.c "$spdx\n#include \"user/tls/trust.h\""
expect layers-cli layers.sh user/cli/a.c "$spdx\n#include \"user/collector/config.h\""
expect layers-bench layers.sh bench/a.c "$spdx\n#include \"user/collector/config.h\""
expect layers-public layers.sh include/callhome/a.h "$spdx\n#include \"user/core/buf.h\""
expect layers-control layers.sh user/collector/control.c "$spdx\n#include \"user/tls/trust.h\""
expect headers-alone headers.sh user/core/a.h "$spdx\n#pragma once\nuint32_t a;"
expect headers-alone headers.sh user/core/a.h "$spdx\nextern int a;"
expect unbounded-string mistakes.sh bench/a.c "$spdx\nint a = strcpy(b, c);"
expect lenient-number mistakes.sh user/cli/a.c "$spdx\nint a = strtoul (b, 0, 0);"
expect library-prints mistakes.sh user/core/a.c "$spdx\nvoid a(void) { printf(\"%d\"); }"
expect hidden-control-flow mistakes.sh bench/a.c "$spdx\n#define A(x) do { if (x) \\\\\\\\\n\tgoto out; } while (0)"
expect left-over mistakes.sh bench/a.c "$spdx\n/* TO""DO: later */"
expect left-over mistakes.sh bench/a.c "$spdx\nchar *a = \"/ho""me/me/x\";"
expect whitespace mistakes.sh bench/a.c "$spdx\nint a; "
expect function-length functions.sh bench/a.c "$spdx\nint a(void)\n{\n$(yes '\ta();' | head -81 | tr -d '\n' | sed 's/;/;\\n/g')}"
expect file-shape functions.sh bench/a.c "int a;"
expect line-length functions.sh bench/a.c "$spdx\nint $(printf 'a%.0s' {1..100});"

# Rows and tags of the conformance table: a row without a test, a tag without a row, a document that is old.
mkdir -p "$tree"/{docs,tests/{unit,conformance}}
cp -r tests/tools "$tree/tests/tools"
tag='/* row: ''A1 */'
printf 'A1\trequirement\n' >"$tree/tests/conformance/rows.tsv"
printf '%s\nTest(a, b)\n' "$tag" >"$tree/tests/unit/test_a.c"
"$tree/tests/tools/conformance" >"$tree/docs/conformance.md"
env -C "$tree" "$tree/tests/lint/conformance.sh" || lint_failed=1
expect conformance-document conformance.sh docs/conformance.md "# Old"
printf 'A1\trequirement\n' >"$tree/tests/conformance/rows.tsv"
"$tree/tests/tools/conformance" >"$tree/docs/conformance.md"
expect conformance-rows conformance.sh tests/unit/test_b.c "${tag/A1/B1}\nTest(b, b)"
expect conformance-rows conformance.sh tests/unit/test_b.c "$tag\n\nTest(b, b)"
expect conformance-rows conformance.sh tests/conformance/rows.tsv 'A1\trequirement\nA2\tanother'
rm -r "$tree"/{docs,tests/{unit,tools,conformance}} "$tree/tests/lint/conformance.sh"

# What only looks like a mistake passes.
printf '%b\n' "$spdx\n/* sprintf(x) is banned */\nchar *a = \"strcpy(\\\\\"\"; int c = '\"'; int b = ch_atoi(1); // gets(x)" \
	>"$tree/bench/a.c"
env -C "$tree" "$tree/tests/lint/mistakes.sh" || lint_failed=1
exit $lint_failed
