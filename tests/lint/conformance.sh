#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Every row of tests/conformance/rows.tsv has a test, every tag of a test names a row, and
# docs/conformance.md says so (but for the results: those are of the machine that made it).
. "$(dirname "$0")/common"
document=docs/conformance.md
table=$(mktemp)
trap 'rm -f "$table"' EXIT
without_results() { sed 's/ | [^|]* |$/ |/' "$1"; }

{ tests/tools/conformance 2>&1 >"$table" || :; } | report conformance-rows
{
	cmp -s <(without_results "$document") <(without_results "$table") ||
		echo "$document:1: out of date; make it anew: make conformance"
} | report conformance-document
exit $lint_failed
