#!/usr/bin/env bash
# How lab grows with its input: 100,000 and 1,000,000 files; a file of 2 GiB and one of 20 GiB. It eats disk, so it is apart.
#
#   BENCH_DIR=DIR tests/bench/scale.sh [files] [file]        (default: both)
#   FILES="100000 1000000"  GIB="2 20"       the sizes
#   TOOLS="lab"                              the tools (default: cp, walk and lab for files; b3sum and lab for a file)
#
# Lines go to $OUT as from tests/bench/run (LAB, PYTHON, OUT, TIMEOUT as there); report.py has claims about them: CPU per
# file and per byte must not grow, memory must stay bounded, and again must be quick. Each size needs room for its data, its
# store and its restore: 14 GB for 1,000,000 files (blocks of 4 KiB), 58 GB for 20 GiB
# (38 with RESTORE=0, which leaves out the restore). Refused where the disk lacks that.
set -u
here=$(cd "$(dirname "$0")" && pwd)
: "${BENCH_DIR:?}"
mkdir -p "$BENCH_DIR" && BENCH_DIR=$(cd "$BENCH_DIR" && pwd) || exit 1
OUT=${OUT:-$BENCH_DIR/results-scale-$(date -u +%Y%m%dT%H%M%SZ).jsonl}
export BENCH_DIR OUT REPS=1 SLOW=0 TIMEOUT=${TIMEOUT:-3600} VERIFY=${VERIFY:-1}
PYTHON=${PYTHON:-python3} W=$BENCH_DIR/w

room() { # GB needed
  local free=$(($(stat -f -c '%a*%S' "$BENCH_DIR") / 1000000000))
  [ "$free" -ge "$1" ] || { echo "$BENCH_DIR has $free GB free, and this needs $1" >&2; return 1; }
}

measure() { # name what count gigabytes tools
  room "$4" || return
  mkdir -p "$W/$1"
  if [ "$2" = file ]; then "$PYTHON" "$here/scale.py" file "$3" "$W/$1/data.bin"; else "$PYTHON" "$here/scale.py" files "$3" "$W/$1"; fi &&
    MOVE=1 "$here/run" "$1" "${TOOLS:-$5}" >/dev/null
  if [ "$2" = file ]; then rm -rf "${W:?}/$1"; else mv "$W/$1" "$TRASH/"; fi
}
# What has many files is removed at the end only; `run` says why.
export TRASH=$BENCH_DIR/trash
rm -rf "$TRASH"
mkdir -p "$TRASH"
trap 'rm -rf "$TRASH"' EXIT

[ $# -gt 0 ] || set -- files file
for what in "$@"; do
  case $what in
    files) for n in ${FILES:-100000 1000000}; do measure "files-$n" files "$n" $((n / 75000 + 1)) "cp walk lab"; done ;;
    file)
      for f in csv big; do [ -d "$W/$f" ] || "$PYTHON" "$here/workloads.py" "$f" >&2 || exit 2; done
      tenths=29
      [ "${RESTORE:-1}" = 1 ] || tenths=19
      for n in ${GIB:-2 20}; do measure "file-$n" file "$n" $((n * tenths / 10)) "b3sum lab"; done ;;
    *) echo "scale.sh: files or file, not $what" >&2; exit 2 ;;
  esac
done
python3 "$here/report.py" "$OUT"
