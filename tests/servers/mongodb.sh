#!/usr/bin/env bash
# A server that speaks MongoDB's protocol: mongo-java-server, in memory, from Maven Central. Needs mvn and a JDK 17.
#
#   mongodb.sh install      download it (once)
#   mongodb.sh start DIR    start it and wait until it answers; no-op when it runs. DIR/address says host:port
#   mongodb.sh stop DIR     end it; what it holds is in memory and gone then
#
# It is no MongoDB: it keeps no index but that of _id (nothing can be learned from its speed), builds no replica set and
# knows no users. Set AFTERIMAGE_TEST_MONGODB_URI to test on a real one.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib.sh
source "$(dirname "$0")/lib.sh"

VERSION=${MONGO_JAVA_SERVER_VERSION:-1.47.0}
LIB=$SERVERS/mongodb-$VERSION
HOST=127.0.0.1
JAVAC=${JAVA_HOME:+$JAVA_HOME/bin/}javac

# The server reports the protocol of MongoDB 3.6, which drivers of today refuse: this says that it is a 5.0.
install() {
  [[ -f $LIB/TestServer.class ]] && return
  maven "de.bwaldvogel:mongo-java-server:$VERSION" "$LIB"
  local source=$SERVERS/mongodb-source.$$
  # shellcheck disable=SC2064 # expanded now: the variable is local
  trap "rm -rf '$source'" EXIT
  mkdir -p "$source"
  cat >"$source/TestServer.java" <<'JAVA'
import de.bwaldvogel.mongo.*;
import de.bwaldvogel.mongo.backend.memory.MemoryBackend;
import java.util.List;

public class TestServer {
  public static void main(String[] arguments) throws Exception {
    MongoVersion version = new MongoVersion() {
      public List<Integer> getVersionArray() { return List.of(5, 0, 0); }
      public String toVersionString() { return "5.0.0"; }
      public int getWireVersion() { return 13; }
    };
    MongoServer server = new MongoServer(new MemoryBackend().version(version));
    server.bind(arguments[0], Integer.parseInt(arguments[1]));
    Runtime.getRuntime().addShutdownHook(new Thread(server::shutdownNow));
    Thread.currentThread().join();
  }
}
JAVA
  "$JAVAC" -cp "$LIB/*" -d "$source" "$source/TestServer.java" >&2 || die "javac failed: a JDK is needed, not a JRE"
  mv -f "$source"/*.class "$LIB/"
}

start() {
  local port
  if ! running "$dir" >/dev/null; then
    [[ -f $LIB/TestServer.class ]] || die "not installed: run '$0 install' first"
    port=${MONGODB_PORT:-$(free_port $HOST)}
    ! listens $HOST "$port" || die "something else listens on $HOST:$port"
    echo "$HOST:$port" >"$dir/address"
    # -D: a property nobody reads, so that the command line names the directory
    spawn "$dir" "$JAVA" -Xmx"${MONGODB_HEAP:-1g}" -XX:+UseSerialGC -XX:+ExitOnOutOfMemoryError \
      -Dafterimage="$dir" -cp "$LIB:$LIB/*" TestServer $HOST "$port"
  fi
  port=$(<"$dir/address")
  wait_up "$dir" "the MongoDB server" listens $HOST "${port##*:}"
}

[[ ${1:-} == install || -n ${2:-} ]] || die "usage: $0 install | {start|stop} DIR"
case $1 in
  install) install ;;
  start) dir=$(absolute "$2") && start ;;
  stop) stop_with TERM "$(absolute "$2")" ;;
  *) die "unknown command $1" ;;
esac
