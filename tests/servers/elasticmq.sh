#!/usr/bin/env bash
# ElasticMQ, an SQS server, from Maven Central. Needs mvn and java 17.
#
#   elasticmq.sh install      download it (once)
#   elasticmq.sh start DIR    start it and wait until it answers; no-op when it runs. DIR/address says host:port
#   elasticmq.sh stop DIR     end it; its queues are in memory and gone then
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib.sh
source "$(dirname "$0")/lib.sh"

VERSION=${ELASTICMQ_VERSION:-1.7.1}
LIB=$SERVERS/elasticmq-$VERSION
HOST=127.0.0.1

start() {
  local port
  if ! running "$dir" >/dev/null; then
    [[ -d $LIB ]] || die "not installed: run '$0 install' first"
    port=${ELASTICMQ_PORT:-$(free_port $HOST)}
    ! listens $HOST "$port" || die "something else listens on $HOST:$port"
    echo "$HOST:$port" >"$dir/address"
    # strict: the limits of the real SQS
    cat >"$dir/elasticmq.conf" <<CONF
include classpath("application.conf")
node-address { protocol = http, host = "$HOST", port = $port, context-path = "" }
rest-sqs { enabled = true, bind-hostname = "$HOST", bind-port = $port, sqs-limits = strict }
rest-stats.enabled = false
aws { region = us-east-1, accountId = 000000000000 }
CONF
    spawn "$dir" "$JAVA" -Xmx"${ELASTICMQ_HEAP:-1g}" -XX:+ExitOnOutOfMemoryError -Dconfig.file="$dir/elasticmq.conf" \
      -cp "$LIB/*" org.elasticmq.server.Main
  fi
  port=$(<"$dir/address")
  wait_up "$dir" ElasticMQ http_ok $HOST "${port##*:}" '/?Action=ListQueues'
}

[[ ${1:-} == install || -n ${2:-} ]] || die "usage: $0 install | {start|stop} DIR"
case $1 in
  install) maven "org.elasticmq:elasticmq-server_3:$VERSION" "$LIB" ;;
  start) dir=$(absolute "$2") && start ;;
  stop) stop_with TERM "$(absolute "$2")" ;;
  *) die "unknown command $1" ;;
esac
