#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# No function over 80 lines, no file over 800, no line of code over 100 columns; each source says
# under what licence it is.
. "$(dirname "$0")/common"

while read -r file; do
	awk -v f="$file" '
	/^[A-Za-z_].*\)[ \t]*\{$/ { start = FNR; name = $0 }
	/^\{/ && !start { start = FNR; name = before }
	/^\}/ && start { if (FNR - start - 1 > 80) print f ":" start ": " FNR - start - 1 " lines: " name; start = 0 }
	/^[A-Za-z_]/ { before = $0 }' "$file"
done < <(c_files) | report function-length

while read -r file; do
	awk -v f="$file" 'END { if (FNR > 800) print f ":" FNR ": " FNR " lines" }' "$file"
	head -n 1 "$file" | grep -q 'SPDX-License-Identifier: Apache-2.0' || echo "$file:1: no SPDX line"
done < <(c_files) | report file-shape

while read -r file; do
	code_of "$file" | expand | awk -v f="$file" 'length($0) > 100 { print f ":" FNR ": " length($0) " columns" }'
done < <(c_files) | report line-length
exit $lint_failed
