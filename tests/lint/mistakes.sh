#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Banned calls, hidden control flow, left-over notes, paths of somebody's machine, stray whitespace.
. "$(dirname "$0")/common"

# banned RULE REGEX FOLDER...: in code, not in comments or strings.
banned()
{
	local rule=$1 regex=$2 file
	shift 2
	while read -r file; do
		code_of "$file" | grep -nE "(^|[^A-Za-z0-9_.>])($regex)[[:space:]]*\(" | sed "s|^|$file:|" || :
	done < <(c_files "$@") | report "$rule"
}

banned unbounded-string 'strcpy|stpcpy|strcat|sprintf|vsprintf|gets|strtok|alloca' .
# Numbers that people write go through user/core/option.h.
banned lenient-number 'atoi|atol|atoll|atof|strto(l|ul|ll|ull|imax|umax|d|f)|sscanf|scanf' user kernel bench
# The library never prints or ends the process.
banned library-prints 'printf|puts|fprintf|perror|exit|abort|err|errx|warn|warnx' user/core user/proto user/tls \
	user/collector kernel

# A macro that returns or jumps out of the function that uses it.
while read -r file; do
	awk -v f="$file" '
	/^[ \t]*#[ \t]*define/ { at = FNR; text = ""; on = 1 }
	on { text = text $0; if ($0 !~ /\\$/) { if (text ~ /[^A-Za-z0-9_"](goto|return)[^A-Za-z0-9_"]/ && text !~ /static inline/)
		print f ":" at ": " substr(text, 1, 60); on = 0 } }' "$file"
done < <(c_files) | report hidden-control-flow

note='(TO''DO|FIX''ME|XX''X|HA''CK)'
all_files | while read -r file; do
	[ "$file" != LICENSE ] || continue
	grep -nHE "(^|[^A-Za-z0-9_])$note([^A-Za-z0-9_.]|$)" -I "$file" || :
	grep -nHE '(^|[^A-Za-z0-9_.}/$])/(work|home|root|Users)/[a-z]' -I "$file" || :
done | report left-over

all_files | grep -E '\.([ch]|sh)$|^Makefile$|^tests/run$' | while read -r file; do
	grep -nHE '[[:space:]]+$' "$file" || :
	grep -nH "$(printf '\r')" "$file" || :
	case $file in
	*.[ch]) grep -nHE '^ {8}' "$file" || : ;;
	esac
	[ ! -s "$file" ] || [ -z "$(tail -c 1 "$file")" ] || echo "$file:$(wc -l <"$file"): no newline at the end"
done | report whitespace
exit $lint_failed
