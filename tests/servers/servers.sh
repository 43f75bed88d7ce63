#!/usr/bin/env bash
# Real servers for the tests: Cassandra, a server that speaks MongoDB's protocol, ElasticMQ (SQS) and moto (SNS, SQS),
# downloaded from package registries, on loopback, on free ports, without containers.
#
#   servers.sh check [rust] [servers]
#                                 name what is missing on this machine for building, for running servers, or for both
#   servers.sh with -- COMMAND…   start them, run COMMAND with their addresses, always stop them, keep its exit status
#   servers.sh up                 start them and leave them running
#   servers.sh env                print `export` lines for the servers that `up` started: eval "$(servers.sh env)"
#   servers.sh down               stop what `up` started
#
# A server whose variable is set already (AFTERIMAGE_TEST_CASSANDRA_NODES, a comma-separated list of host:port;
# AFTERIMAGE_TEST_MONGODB_URI, a connection string; AFTERIMAGE_TEST_SQS_ENDPOINT and AFTERIMAGE_TEST_MOTO_ENDPOINT, URLs)
# is not started: the tests use yours.
# Everything lives in .servers/ at the repository root; delete that folder to be rid of it. Logs of the last run are in
# .servers/logs/.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib.sh
source "$(dirname "$0")/lib.sh"
HERE=$(cd "$(dirname "$0")" && pwd)
SERVERS=$(absolute "$SERVERS")

variable_of() {
  case $1 in
    cassandra) echo AFTERIMAGE_TEST_CASSANDRA_NODES ;;
    mongodb) echo AFTERIMAGE_TEST_MONGODB_URI ;;
    elasticmq) echo AFTERIMAGE_TEST_SQS_ENDPOINT ;;
    moto) echo AFTERIMAGE_TEST_MOTO_ENDPOINT ;;
  esac
}

# The servers that nobody has brought along.
wanted() {
  local name variable
  for name in cassandra mongodb elasticmq moto; do
    variable=$(variable_of "$name")
    [[ -n ${!variable:-} ]] || echo "$name"
  done
}

java_major() { "$JAVA" -version 2>&1 | sed -n '1s/.*version "\([0-9]*\).*/\1/p'; }

# needs TEST HINT…: prints the hint when the test fails.
needs() {
  local test=$1
  shift
  eval "$test" >/dev/null 2>&1 || echo "missing: $*"
}

# What building the workspace takes.
missing_rust() {
  needs 'command -v cargo' "cargo and rustc: https://rustup.rs (the version is pinned in rust-toolchain.toml)"
  needs 'command -v cc' "cc, a C compiler: apt-get install build-essential, xcode-select --install"
  needs 'command -v c++' "c++, a C++ compiler: apt-get install build-essential, xcode-select --install"
  needs 'command -v make' "make: apt-get install make"
}

# What running the wanted servers takes.
missing_servers() {
  local names hint
  names=$(wanted)
  hint=$(
    if [[ $names == *cassandra* || $names == *mongodb* || $names == *elasticmq* ]]; then
      # shellcheck disable=SC2016 # evaluated by needs
      needs '[[ $(java_major) == 17 ]]' "java 17 (found: $(java_major 2>/dev/null || true)): apt-get install" \
        "openjdk-17-jre-headless, brew install openjdk@17; set JAVA_HOME when it is not the first on PATH"
      needs 'command -v mvn' "mvn: apt-get install maven, brew install maven"
      if [[ $names == *mongodb* ]]; then
        # shellcheck disable=SC2016 # evaluated by needs
        needs 'command -v "${JAVA%java}javac"' "javac: apt-get install openjdk-17-jdk-headless"
      fi
    fi
    if [[ $names == *moto* ]]; then
      needs 'python3 -c "import sys; sys.exit(sys.version_info < (3, 10))"' \
        "python3 of 3.10 or later: apt-get install python3, brew install python"
      needs 'python3 -c "import venv, ensurepip"' "python3 venv: apt-get install python3-venv"
    fi
    needs 'command -v ps || test -d /proc/self' "ps: apt-get install procps"
  )
  [[ -n $hint ]] || return 0
  echo "$hint"
  echo "or bring your own server: set one of $(for name in $names; do variable_of "$name"; done | tr '\n' ' ')"
}

# check WORD…: fails with a line for each thing that is missing.
check() {
  local word missing
  for word in "$@"; do
    [[ $word == rust || $word == servers ]] || die "check knows rust and servers, not $word"
  done
  missing=$(for word in "$@"; do "missing_$word"; done)
  [[ -z $missing ]] && return
  echo "$missing" >&2
  return 1
}

# start_all RUN: install and start what is wanted, all at once.
start_all() {
  local name names pids=() failed=0
  check servers
  names=$(wanted)
  for name in $names; do
    if [[ ! -d $(echo "$SERVERS/$name"-*/) ]]; then echo "servers.sh: downloading $name (once)" >&2; fi
    "$HERE/$name.sh" install && "$HERE/$name.sh" start "$1/$name" &
    pids+=($!)
  done
  for name in ${pids[@]+"${pids[@]}"}; do wait "$name" || failed=1; done
  return $failed
}

# stop_all RUN: end them at the same time, keep their logs, remove the rest.
stop_all() {
  local name
  [[ -d $1 ]] || return 0
  mkdir -p "$SERVERS/logs"
  for name in cassandra mongodb elasticmq moto; do
    if [[ -d $1/$name ]]; then
      {
        "$HERE/$name.sh" stop "$1/$name"
        mv -f "$1/$name/log" "$SERVERS/logs/$name.log" 2>/dev/null || true
      } &
    fi
  done
  wait
  rm -rf "$1"
}

# addresses RUN: NAME=VALUE lines for the servers that run there.
addresses() {
  local name prefix
  for name in cassandra mongodb elasticmq moto; do
    running "$1/$name" >/dev/null || continue
    case $name in
      cassandra) prefix= ;;
      mongodb) prefix=mongodb:// ;;
      *) prefix=http:// ;;
    esac
    echo "$(variable_of "$name")=$prefix$(<"$1/$name/address")"
  done
}

# What an earlier `with` left behind that was killed before it could stop its servers.
reap() {
  local run owner
  for run in "$SERVERS"/with.*; do
    owner=${run##*.}
    if [[ -d $run && "$(command_line "$owner")" != *servers.sh* ]]; then stop_all "$run"; fi
  done
}

# The command runs in a process group of its own, so that a signal to this script can be handed to all of it, and
# the servers outlive it.
with() {
  local run=$SERVERS/with.$$ line status=0
  reap
  child=
  # shellcheck disable=SC2064 # expanded now: the variable is local
  trap "trap '' INT TERM HUP; stop_all '$run'" EXIT
  trap 'interrupted 130 INT' INT
  trap 'interrupted 143 TERM' TERM
  trap 'interrupted 129 HUP' HUP
  mkdir -p "$run"
  set -m
  (
    set +m # downloads and waits belong to this one group; servers get their own
    start_all "$run"
  ) &
  child=$!
  set +m
  wait "$child" || die "the servers did not start"
  while IFS= read -r line; do export "${line?}"; done < <(addresses "$run")
  set -m
  "$@" </dev/null &
  child=$!
  set +m
  wait "$child" || status=$?
  exit $status
}

# interrupted STATUS SIGNAL: hand the signal to the command, wait for its end, and end with STATUS.
interrupted() {
  trap '' INT TERM HUP
  if [[ -n $child ]]; then
    kill -"$2" -- "-$child" 2>/dev/null || true
    wait "$child" 2>/dev/null || true
    kill -TERM -- "-$child" 2>/dev/null || true # what it left in the background
  fi
  exit "$1"
}

case ${1:-} in
  check)
    shift
    if [[ $# == 0 ]]; then set -- rust servers; fi
    check "$@"
    ;;
  up)
    reap
    trap 'trap "" INT TERM; stop_all "$SERVERS/up"; exit 130' INT TERM
    if ! start_all "$SERVERS/up"; then
      stop_all "$SERVERS/up"
      die "the servers did not start; their logs are in $SERVERS/logs"
    fi
    echo "started; now: eval \"\$($0 env)\"" >&2
    ;;
  env) addresses "$SERVERS/up" | sed 's/^/export /' ;;
  down) stop_all "$SERVERS/up" ;;
  with)
    [[ ${2:-} == -- && -n ${3:-} ]] || die "usage: $0 with -- COMMAND…"
    shift 2
    with "$@"
    ;;
  *) die "usage: $0 {check [rust] [servers]|with -- COMMAND…|up|env|down}" ;;
esac
