#!/usr/bin/env bash
# moto, a server with SNS, SQS and most of AWS, from PyPI. Needs python3 with venv. For what it does, not for its speed.
#
#   moto.sh install      download it (once)
#   moto.sh start DIR    start it and wait until it answers; no-op when it runs. DIR/address says host:port
#   moto.sh stop DIR     end it; what it holds is in memory and gone then
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib.sh
source "$(dirname "$0")/lib.sh"

VERSION=${MOTO_VERSION:-5.2.5}
VENV=$SERVERS/moto-$VERSION
HOST=127.0.0.1

install() {
  local tmp=$SERVERS/install.$$
  [[ -d $VENV ]] && return
  # shellcheck disable=SC2064 # expanded now: the variable is local
  trap "rm -rf '$tmp'" EXIT
  mkdir -p "$SERVERS"
  python3 -m venv "$tmp" >&2 || die "python3 -m venv failed"
  "$tmp/bin/python" -m pip install -q --disable-pip-version-check "moto[server]==$VERSION" >&2 ||
    die "pip could not fetch moto $VERSION"
  put_in_place "$tmp" "$VENV" # its scripts name the old place; `python -m` does not mind
}

start() {
  local port
  if ! running "$dir" >/dev/null; then
    [[ -d $VENV ]] || die "not installed: run '$0 install' first"
    port=${MOTO_PORT:-$(free_port $HOST)}
    ! listens $HOST "$port" || die "something else listens on $HOST:$port"
    echo "$HOST:$port" >"$dir/address"
    # -X: an option nobody reads, so that the command line names the directory
    spawn "$dir" "$VENV/bin/python" -X "afterimage=$dir" -m moto.server -H $HOST -p "$port"
  fi
  port=$(<"$dir/address")
  wait_up "$dir" moto http_ok $HOST "${port##*:}" /moto-api/data.json
}

[[ ${1:-} == install || -n ${2:-} ]] || die "usage: $0 install | {start|stop} DIR"
case $1 in
  install) install ;;
  start) dir=$(absolute "$2") && start ;;
  stop) stop_with TERM "$(absolute "$2")" ;;
  *) die "unknown command $1" ;;
esac
