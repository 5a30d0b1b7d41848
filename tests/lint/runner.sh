#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# tests/run itself: what fails, leaks, crashes, warns, races or is skipped is counted as what it is.
. "$(dirname "$0")/common"
tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
mkdir -p "$tree"/tests/{unit,tsan,fuzz/corpus/full,it} "$tree/user/core" "$tree/.ci"
cp Makefile "$tree/"
cp -r include "$tree/include"
cp user/core/*.[ch] "$tree/user/core/"
install -D bpf/limit.h "$tree/bpf/limit.h"
cp tests/run tests/lsan.supp "$tree/tests/"
cp tests/fuzz/replay_main.c "$tree/tests/fuzz/"

cat >"$tree/tests/unit/test_good.c" <<'C'
#include <criterion/criterion.h>
Test(good, holds) { cr_assert_eq(1 + 1, 2); }
Test(good, is_skipped) { cr_skip_test("no such kernel"); }
C
cat >"$tree/tests/unit/test_bad.c" <<'C'
#include <criterion/criterion.h>
#include <stdlib.h>
void *volatile lost;
Test(bad, fails) { cr_assert_eq(1 + 1, 3, "sum"); }
Test(bad, crashes) { *(volatile int *)0 = 1; }
Test(bad, leaks) { lost = malloc(10); lost = NULL; }
C
cat >"$tree/tests/unit/test_gone.c" <<'C'
#include <criterion/criterion.h>
#include <unistd.h>
static void __attribute__((constructor)) leave(void) { _exit(0); }
Test(gone, never_runs) { cr_assert(1); }
C
cat >"$tree/tests/tsan/tsan_race.c" <<'C'
#include <pthread.h>
static int shared;
static void *add(void *arg) { for (int i = 0; i < 1000; i++) shared++; return arg; }
int main(void)
{
	pthread_t a, b;
	pthread_create(&a, NULL, add, NULL);
	pthread_create(&b, NULL, add, NULL);
	pthread_join(a, NULL);
	pthread_join(b, NULL);
	return 0;
}
C
fuzz='#include <stddef.h>
#include <stdint.h>
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) { return data[size] == 7; }'
echo "$fuzz" >"$tree/tests/fuzz/fuzz_full.c"
echo x >"$tree/tests/fuzz/corpus/full/x"
echo "$fuzz" >"$tree/tests/fuzz/fuzz_empty.c"

# expect PART LAST-LINE LINE...: the counts, and lines that must be among the results.
expect()
{
	local part=$1 last=$2 out line
	shift 2
	if out=$(BUILD=build "$tree/tests/run" "$part" 2>&1) || [ "$(tail -n 1 <<<"$out")" != "$last" ]; then
		echo "tests/run $part should fail with '$last':"
		sed 's/^/    /' <<<"$out"
		lint_failed=1
	fi
	for line; do
		if ! grep -qxF -- "$line" "$tree/build/check/results"; then
			echo "tests/run $part lacks the result '$line'"
			lint_failed=1
		fi
	done
}

expect unit "3 passed, 3 failed, 1 skipped" "not ok - unit: bad::fails" "ok - unit: bad::leaks" \
	"ok - unit: good::is_skipped # SKIP no such kernel" \
	"not ok - unit: test_gone ran to its end (status 0, 0 of unknown tests)"
expect asan "5 passed, 4 failed, 1 skipped" "not ok - asan: test_bad: no sanitizer report" \
	"ok - asan: test_good: no sanitizer report"
expect tsan "1 passed, 1 failed, 0 skipped" "not ok - tsan: tsan_race"
expect replay "2 passed, 3 failed, 0 skipped" "not ok - replay: fuzz_full" "not ok - replay: fuzz_empty"
echo 'int unused(void) { int x; return 0; }' >"$tree/user/core/warns.c"
expect unit "0 passed, 1 failed, 0 skipped" "not ok - unit: builds without warnings"
exit $lint_failed
