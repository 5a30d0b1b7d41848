#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Every row of tests/conformance/rows.tsv has a test, and every tag of a test names a row.
. "$(dirname "$0")/common"
{ tests/tools/conformance 2>&1 >/dev/null || :; } | report conformance-rows
exit $lint_failed
