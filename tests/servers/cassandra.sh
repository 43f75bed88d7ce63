#!/usr/bin/env bash
# Apache Cassandra for tests: the real server, from Maven Central. Needs mvn and java 17.
#
#   cassandra.sh install      download the server (once)
#   cassandra.sh start DIR    start one node and wait until it answers CQL; no-op when it runs
#   cassandra.sh stop DIR     clean shutdown; no-op when stopped
#   cassandra.sh kill DIR     crash it: SIGKILL at once; its data stays
#
# DIR/address says host:port. A cluster is one DIR per node with the same CASSANDRA_SEEDS and CASSANDRA_STORAGE_PORT and
# another CASSANDRA_HOST (127.0.0.1, 127.0.0.2, … need no setup on Linux), the seed started first. The cluster is formed,
# and ready for DDL, only when every node lists all others in system.peers_v2: whoever tests waits for that.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib.sh
source "$(dirname "$0")/lib.sh"

VERSION=${CASSANDRA_VERSION:-5.0.9}
LIB=$SERVERS/cassandra-$VERSION
CASSANDRA_HOST=${CASSANDRA_HOST:-127.0.0.1}
CASSANDRA_PORT=${CASSANDRA_PORT:-}                 # CQL; empty: any free one, kept over restarts
CASSANDRA_STORAGE_PORT=${CASSANDRA_STORAGE_PORT:-} # between nodes, the same on every node; empty: any free one
CASSANDRA_SEEDS=${CASSANDRA_SEEDS:-$CASSANDRA_HOST}
CASSANDRA_HEAP=${CASSANDRA_HEAP:-1024m}
# periodic: fast, but a SIGKILL loses what this node acknowledged last. batch: synced before each acknowledgement, for
# tests that crash a node and count its rows.
CASSANDRA_SYNC=${CASSANDRA_SYNC:-periodic}
# More lines of cassandra.yaml.
CASSANDRA_SETTINGS=${CASSANDRA_SETTINGS:-}
# password: user names and roles (first user: cassandra, password cassandra). Empty: everybody may do everything.
CASSANDRA_AUTH=${CASSANDRA_AUTH:-}

# Sends an OPTIONS frame (protocol v4); a CQL server answers with a response frame of the same version.
answers() (
  export LC_ALL=C
  byte=
  exec 2>/dev/null 3<>"/dev/tcp/$1/$2" || exit 1
  printf '\x04\0\0\0\x05\0\0\0\0' >&3
  IFS= read -r -t 5 -n 1 byte <&3
  [[ $byte == $'\x84' ]]
)

# choose NAME WANTED: the port this directory uses for NAME, kept for the next start.
choose() {
  local port=$2
  [[ -n $port || ! -s $dir/$1 ]] || port=$(<"$dir/$1")
  [[ -n $port ]] || port=$(free_port "$CASSANDRA_HOST")
  echo "$port" >"$dir/$1"
  echo "$port"
}

configure() {
  cat >"$dir/cassandra.yaml" <<YAML
cluster_name: test
partitioner: org.apache.cassandra.dht.Murmur3Partitioner
endpoint_snitch: SimpleSnitch
seed_provider: [{class_name: org.apache.cassandra.locator.SimpleSeedProvider, parameters: [{seeds: "$CASSANDRA_SEEDS"}]}]
listen_address: $CASSANDRA_HOST
rpc_address: $CASSANDRA_HOST
storage_port: $storage_port
native_transport_port: $port
num_tokens: 1
auto_bootstrap: false                 # a test cluster starts empty: nothing to stream, nothing to wait for
storage_compatibility_mode: NONE      # 5.0 on-disk formats; TTLs past 2038
commitlog_sync: $CASSANDRA_SYNC
commitlog_total_space: 512MiB
memtable: {configurations: {default: {class_name: TrieMemtable}}}
memtable_allocation_type: offheap_objects
sstable: {selected_format: bti}
dynamic_snitch: false
auto_snapshot: false                  # DROP and TRUNCATE free the disk at once
disk_failure_policy: die
commit_failure_policy: die
# A test machine may be busy: rather slow than a spurious time-out.
read_request_timeout: 20s
range_request_timeout: 20s
write_request_timeout: 20s
request_timeout: 20s
truncate_request_timeout: 60s
YAML
  if [[ $CASSANDRA_SYNC == periodic ]]; then echo "commitlog_sync_period: 1000ms" >>"$dir/cassandra.yaml"; fi
  echo "$CASSANDRA_SETTINGS" >>"$dir/cassandra.yaml"
  if [[ $CASSANDRA_AUTH == password ]]; then
    printf '%s\n' "authenticator: {class_name: PasswordAuthenticator}" "authorizer: {class_name: CassandraAuthorizer}" \
      "role_manager: {class_name: CassandraRoleManager}" >>"$dir/cassandra.yaml"
  fi
  cat >"$dir/logback.xml" <<'XML'
<configuration>
  <appender name="OUT" class="ch.qos.logback.core.ConsoleAppender">
    <encoder><pattern>%-5level [%thread] %date{ISO8601} %logger{0} - %msg%n</pattern></encoder>
  </appender>
  <root level="INFO"><appender-ref ref="OUT"/></root>
</configuration>
XML
}

start() {
  local port storage_port
  port=$(choose port "$CASSANDRA_PORT")
  storage_port=$(choose storage_port "$CASSANDRA_STORAGE_PORT")
  echo "$CASSANDRA_HOST:$port" >"$dir/address"
  if ! running "$dir" >/dev/null; then
    [[ -d $LIB ]] || die "not installed: run '$0 install' first"
    ! listens "$CASSANDRA_HOST" "$port" || die "something else listens on $CASSANDRA_HOST:$port"
    configure
    launch
  fi
  wait_up "$dir" Cassandra answers "$CASSANDRA_HOST" "$port"
}

launch() {
  local jvm package
  jvm=(
    -Xms128m -Xmx"$CASSANDRA_HEAP" -Xss512k -XX:+UseParallelGC -XX:-UsePerfData
    -XX:TieredStopAtLevel=1 # the first compiler only: half the processor time to start
    -XX:+ExitOnOutOfMemoryError -Djava.awt.headless=true -Djna.nosys=true
    -Djdk.attach.allowAttachSelf=true -Dio.netty.tryReflectionSetAccessible=true
    -javaagent:"$(echo "$LIB"/jamm-*.jar)"
    -Dcassandra-foreground=yes
    -Dcassandra.config="file://$dir/cassandra.yaml"
    -Dlogback.configurationFile="$dir/logback.xml"
    -Dcassandra.storagedir="$dir/data"
    # No pauses meant for large rings.
    -Dcassandra.skip_wait_for_gossip_to_settle=0
    # Also how long a restarted node tries to reach its peers: 100 ms made restarts fail under load.
    -Dcassandra.ring_delay_ms=5000
    -Dcassandra.superuser_setup_delay_ms=0
  )
  # What Cassandra 5.0 needs of the JDK's internals on Java 17.
  for package in java.base/{jdk.internal.misc,java.lang.ref} java.management.rmi/com.sun.jmx.remote.internal.rmi \
    java.rmi/sun.rmi.{registry,server} java.sql/java.sql jdk.unsupported/sun.misc \
    jdk.compiler/com.sun.tools.javac.file jdk.attach/sun.tools.attach; do
    jvm+=(--add-exports "$package=ALL-UNNAMED")
  done
  for package in java.base/{java.io,java.lang,java.lang.module,java.lang.reflect,java.util,sun.nio.ch} \
    java.base/jdk.internal.{loader,math,module,ref,reflect,util.jar} \
    jdk.management/com.sun.management.internal jdk.compiler/com.sun.tools.javac; do
    jvm+=(--add-opens "$package=ALL-UNNAMED")
  done
  spawn "$dir" "$JAVA" "${jvm[@]}" -cp "$LIB/*" org.apache.cassandra.service.CassandraDaemon
}

[[ ${1:-} == install || -n ${2:-} ]] || die "usage: $0 install | {start|stop|kill} DIR"
case $1 in
  install) maven "org.apache.cassandra:cassandra-all:$VERSION" "$LIB" ;;
  start) dir=$(absolute "$2") && start ;;
  stop) stop_with TERM "$(absolute "$2")" ;;
  kill) stop_with KILL "$(absolute "$2")" ;;
  *) die "unknown command $1" ;;
esac
