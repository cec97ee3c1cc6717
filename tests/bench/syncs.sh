#!/usr/bin/env bash
# Which tools make their data durable: the sync calls of one add of 200 files of 4 KiB and one of 16 MiB.
#   BENCH_DIR=DIR tests/bench/syncs.sh ["TOOLS"]      (needs strace; adapters as for tests/bench/run)
set -u
here=$(cd "$(dirname "$0")" && pwd)
: "${BENCH_DIR:?}"
export BENCH_HERE=$here LAB=${LAB:-lab}
home=$HOME
for tool in ${1:-cp lab dvc restic xet rustic casync borg}; do
  HOME=$home RUN=$BENCH_DIR/syncs; rm -rf "$RUN"
  export RUN WS=$RUN/ws DATA=$RUN/ws/data REPO=$RUN/repo DEST=$RUN/out STATE=$RUN/state
  mkdir -p "$DATA" "$STATE/home"
  for i in $(seq 200); do head -c 4096 /dev/urandom >"$DATA/f$i"; done
  head -c 16777216 /dev/urandom >"$DATA/big"
  unset -f t_add; t_init() { :; }
  # shellcheck disable=SC1090
  . "$here/tools/$tool.sh"
  t_version >/dev/null 2>&1 || { echo "skipped: $tool is not installed"; continue; }
  export HOME=$STATE/home
  (cd "$WS" && t_init) >/dev/null 2>&1
  (cd "$WS" && strace -f -qq -e trace=fsync,fdatasync,syncfs,sync,sync_file_range,msync -o "$RUN/trace" sh -c "$(t_add v1)" >/dev/null 2>&1)
  printf '%-10s' "$tool"
  sed 's/^[0-9]* *//; s/^<\.\.\. \(.*\) resumed.*/\1(/' "$RUN/trace" | grep -v unfinished | grep -o '^[a-z_]*(' | sort | uniq -c |
    awk '{printf "  %s %s", $2 ")", $1}'
  echo
  chmod -R u+w "$RUN"; rm -rf "$RUN"
done
