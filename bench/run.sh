#!/usr/bin/env bash
# Every figure of `make bench`, measured on this machine: the differ against its baseline, the CPU of the whole worker
# beside a null worker (bare SDK, receive and delete), its peak memory.
#
#   bench/run.sh [diff] [cpu] [memory]     all of them when none is named; about half an hour
#   bench/run.sh questions                 every question of a trail that grows, on SQLite, and on Cassandra if one is named
#
# BENCH_EVENTS (default 50000) events a run and BENCH_ROUNDS (3) rounds for cpu. AFTERIMAGE_TEST_CASSANDRA_NODES: your
# Cassandra or ScyllaDB; without it one node is started here. BENCH_QUEUE_ENDPOINT: your SQS server, such as ElasticMQ;
# without it the embedded queue runs as a process of its own. BENCH_SIZES (default 100000,1000000) entries at which questions are
# asked; a million take 1.4 GB. Tables go to standard output, progress to standard error.
set -euo pipefail
cd "$(dirname "$0")/.."

parts=${*:-diff cpu memory}
target=${CARGO_TARGET_DIR:-target}
bench=$target/release/afterimage-bench
queue=${BENCH_QUEUE_ENDPOINT:+--queue-endpoint=$BENCH_QUEUE_ENDPOINT}

title() { printf '\n## %s\n\n' "$1"; }

# One node, with its data in a folder that is removed at the end.
start_cassandra() {
  [[ -z ${AFTERIMAGE_TEST_CASSANDRA_NODES:-} ]] || return 0
  tests/servers/servers.sh check >&2
  folder=$(mktemp -d)
  trap 'tests/servers/cassandra.sh stop "$folder" >&2; rm -rf "$folder"' EXIT
  tests/servers/cassandra.sh install >&2
  tests/servers/cassandra.sh start "$folder" >&2
  AFTERIMAGE_TEST_CASSANDRA_NODES=$(<"$folder/address")
  export AFTERIMAGE_TEST_CASSANDRA_NODES
}

echo "# Benchmarks of $(git describe --always --dirty 2>/dev/null || echo 'an unknown revision'), $(date -u +%F)"
[[ $parts = questions ]] || cargo build --locked --release --package afterimage --package afterimage-bench

for part in $parts; do
  case $part in
    diff)
      title "The differ against serde_json parse and json-patch"
      bench/diff.sh
      ;;
    cpu)
      title "CPU of the whole worker beside the null worker"
      start_cassandra
      "$bench" cpu --events "${BENCH_EVENTS:-50000}" --rounds "${BENCH_ROUNDS:-3}" ${queue:+"$queue"}
      ;;
    memory)
      title "Peak memory of the worker"
      "$bench" memory ${queue:+"$queue"}
      ;;
    questions)
      title "Questions as the trail grows"
      cargo build --locked --release --package afterimage-bench-questions
      trail=$(mktemp -d)
      "$bench-questions" sqlite --file "$trail/trail.db" --sizes "${BENCH_SIZES:-100000,1000000}" || failed=$?
      rm -rf "$trail"
      [[ -z ${failed:-} ]] || exit "$failed"
      [[ -z ${AFTERIMAGE_TEST_CASSANDRA_NODES:-} ]] ||
        "$bench-questions" cassandra --keyspace "questions_$(date +%s)" --sizes "${BENCH_SIZES:-100000,1000000}"
      ;;
    *)
      echo "run.sh: unknown part $part: diff, cpu, memory or questions" >&2
      exit 64
      ;;
  esac
done
