#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Each header compiles alone and says "#pragma once"; each .c includes its own header first.
. "$(dirname "$0")/common"

while read -r header; do
	grep -qx '#pragma once' "$header" || echo "$header:1: lacks #pragma once"
	if ! echo "#include \"$header\"" | "${CC:-cc}" -x c -std=gnu11 -D_GNU_SOURCE -I. -Iinclude -Wall -Wextra \
		-Werror -fsyntax-only - 2>/tmp/lint-headers.$$; then
		echo "$header:1: does not compile alone: $(grep -m 1 error /tmp/lint-headers.$$)"
	fi
done < <(c_files | grep '\.h$') | report headers-alone
rm -f /tmp/lint-headers.$$

while read -r source; do
	[ -e "${source%.c}.h" ] || continue
	own=$(basename "${source%.c}.h")
	first=$(grep -m 1 '^#include' "$source" || :)
	case $first in
	*"\"$own\""*|*"/$own\""*|*"/$own>"*) ;;
	*) echo "$source:1: includes $first before its own $own" ;;
	esac
done < <(c_files | grep '\.c$') | report headers-own-first
exit $lint_failed
