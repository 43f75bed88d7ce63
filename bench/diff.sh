#!/bin/sh
# The differ against two serde_json parses and json_patch::diff: bench/diff.sh [rounds, default 7]
#
# Both programs make the same pairs and are run in turn, so that a busy machine slows both. Medians over the rounds of
# thread CPU time; MB/s counts both documents of a pair.
set -eu
cd "$(dirname "$0")/.."

rounds=${1:-7}
results=$(mktemp)
trap 'rm -f "$results"' EXIT

cargo build --quiet --release --manifest-path bench/baseline/Cargo.toml
cargo bench --quiet -p afterimage-diff --bench compare --no-run
for _ in $(seq "$rounds"); do
    cargo run --quiet --release --manifest-path bench/baseline/Cargo.toml >>"$results"
    cargo bench --quiet -p afterimage-diff --bench compare >>"$results"
done

LC_ALL=C sort -t "$(printf '\t')" -k1,1 -k2,2 -k4,4n "$results" | awk -F '\t' '
    { key = $1 FS $2; values[key, ++count[key]] = $4; bytes[$2] = $3; cases[$2] = 1 }
    function median(key, n) { n = count[key]; return (values[key, int((n + 1) / 2)] + values[key, int(n / 2) + 1]) / 2 }
    END {
        printf "%-45s %12s %12s %8s %10s\n", "case", "baseline ns", "ours ns", "ratio", "ours MB/s"
        for (name in cases) {
            base = median("baseline" FS name); ours = median("afterimage" FS name)
            printf "%-45s %12.0f %12.0f %8.1f %10.0f\n", name, base, ours, base / ours, bytes[name] / ours * 1000 | "sort"
        }
    }'
