#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# fuzz/run.sh SECONDS: builds every fuzz target with libFuzzer, ASan and UBSan and runs each for that
# long. New inputs go to $BUILD/fuzz/corpus, crashing ones to $BUILD/fuzz/crashes; merge what is worth
# keeping into tests/fuzz/corpus by hand.
set -eu
cd "$(dirname "$0")/../.."
seconds=$1
build=${BUILD:-build}/fuzz
sanitize=-fsanitize=address,undefined
make -j"$(nproc)" BUILD="$build" CC=clang LDFLAGS= fuzz-programs \
	CFLAGS="-O1 -g -fno-omit-frame-pointer $sanitize -fsanitize=fuzzer-no-link -fno-sanitize-recover=all"

failed=0
for source in tests/fuzz/fuzz_*.c; do
	name=$(basename "$source" .c)
	corpus=$build/corpus/${name#fuzz_}
	mkdir -p "$corpus" "$build/crashes"
	echo "fuzz: $name for $seconds s"
	"$build/fuzz/$name" -max_total_time="$seconds" -print_final_stats=1 -timeout=10 -rss_limit_mb=2048 \
		-artifact_prefix="$build/crashes/$name-" "$corpus" "tests/fuzz/corpus/${name#fuzz_}" \
		>"$build/$name.log" 2>&1 || failed=1
	grep -E 'stat::number_of_executed_units|SUMMARY|ERROR' "$build/$name.log" || :
done
exit $failed
