# shellcheck shell=bash
# What the server scripts share. Sourced, not run. Works with bash 3.2 on Linux and macOS.
#
# One server is one directory: `pid`, `port`, `log`, and the server's own files. What is downloaded stands beside
# the running servers in .servers/ at the repository root, by name and version, and is shared by all of them.

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
SERVERS=${AFTERIMAGE_SERVERS_DIR:-$ROOT/.servers}
# shellcheck disable=SC2034 # used by the scripts that source this
JAVA=${JAVA_HOME:+$JAVA_HOME/bin/}java
START_S_MAX=${AFTERIMAGE_SERVERS_START_S_MAX:-240} # give up starting a server after this long

die() {
  echo "${0##*/}: $*" >&2
  exit 1
}

# absolute DIR: make it and print its full path.
absolute() { mkdir -p "$1" && (cd "$1" && pwd); }

# free_port HOST: a port nobody listens on, below the range that outgoing connections take theirs from.
free_port() {
  local port tries
  for tries in {1..50}; do
    port=$((15000 + (RANDOM * 32768 + RANDOM + tries) % 15000))
    if ! listens "$1" "$port"; then
      echo "$port"
      return
    fi
  done
  die "found no free port on $1"
}

# listens HOST PORT: does anything accept connections there?
listens() { (exec 3<>"/dev/tcp/$1/$2") 2>/dev/null; }

# http_ok HOST PORT PATH: does a GET answer 200?
http_ok() (
  line=
  exec 2>/dev/null 3<>"/dev/tcp/$1/$2" || exit 1
  printf 'GET %s HTTP/1.0\r\nHost: %s\r\n\r\n' "$3" "$1" >&3
  IFS= read -r -t 5 line <&3
  [[ $line == "HTTP/1."?" 200"* ]]
)

# command_line PID: the arguments of a process; nothing when it is gone or a zombie.
command_line() {
  if [[ -d /proc/self ]]; then
    tr '\0' ' ' 2>/dev/null <"/proc/$1/cmdline"
  else
    ps -ww -o args= -p "$1" 2>/dev/null
  fi
}

# running DIR: the pid of the server in DIR if it runs. The command line must name DIR, so that a stale file never
# makes us signal a stranger who got the same pid.
running() {
  local pid
  pid=$(cat "$1/pid" 2>/dev/null) || return 1
  [[ $pid =~ ^[0-9]+$ && "$(command_line "$pid") " == *"$1"[\ /]* ]] || return 1
  echo "$pid"
}

# spawn DIR COMMAND…: run it in the background, in a process group of its own: a Ctrl-C at the terminal is for the
# caller, who stops the server in its own time.
spawn() {
  local dir=$1
  shift
  set -m
  "$@" </dev/null >>"$dir/log" 2>&1 &
  echo $! >"$dir/pid"
  set +m
}

# wait_up DIR WHAT COMMAND…: until COMMAND succeeds; fails when the server died or takes too long.
wait_up() {
  local dir=$1 what=$2 end=$((SECONDS + START_S_MAX))
  shift 2
  until "$@"; do
    if ! running "$dir" >/dev/null; then
      sleep 0.2 # a process just forked does not show its command line yet
      if ! running "$dir" >/dev/null; then
        tail -n 20 "$dir/log" >&2 || true
        die "$what died; its log is $dir/log"
      fi
    fi
    ((SECONDS < end)) || die "$what does not answer after $START_S_MAX s; its log is $dir/log"
    sleep 0.2
  done
}

# stop_with SIGNAL DIR: send it, wait up to a minute for the end, then SIGKILL.
stop_with() {
  local pid end=$((SECONDS + 60))
  if pid=$(running "$2"); then
    kill -"$1" "$pid" 2>/dev/null || true
    while running "$2" >/dev/null; do
      ((SECONDS < end)) || kill -KILL "$pid" 2>/dev/null || true
      sleep 0.1
    done
  fi
  rm -f "$2/pid"
}

# put_in_place FROM TO: a finished download appears whole or not at all, whoever else downloads the same.
put_in_place() {
  [[ -e $2 ]] || mv "$1" "$2"
}

# maven GROUP:ARTIFACT:VERSION DIR: the jars of an artifact and all it needs, into DIR.
maven() {
  local group artifact version tmp
  IFS=: read -r group artifact version <<<"$1"
  [[ -d $2 ]] && return
  tmp=$SERVERS/install.$$
  # shellcheck disable=SC2064 # expanded now: the variable is local
  trap "rm -rf '$tmp'" EXIT
  mkdir -p "$tmp"
  cat >"$tmp/pom.xml" <<POM
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>local</groupId><artifactId>test-server</artifactId><version>1</version><packaging>pom</packaging>
  <dependencies><dependency>
    <groupId>$group</groupId><artifactId>$artifact</artifactId><version>$version</version>
  </dependency></dependencies>
</project>
POM
  mvn -q -B -Dstyle.color=never -f "$tmp/pom.xml" dependency:copy-dependencies -DincludeScope=runtime -DoutputDirectory="$tmp/lib" >&2 ||
    die "mvn could not fetch $1"
  put_in_place "$tmp/lib" "$2"
}
