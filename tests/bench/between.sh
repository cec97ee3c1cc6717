#!/usr/bin/env bash
# What moving packs between two stores costs beside programs that only copy them: a gigabyte of random bytes, so that encoding gains
# nothing; into a new place each time, the ways in turn, wall time in seconds. All on one machine, whose processors both ends share.
#   LAB=target/release/lab ROUNDS=3 MB=1000 tests/bench/between.sh
# rsync goes to its own daemon on the loopback, without encryption, as `lab serve` without TLS does; rclone and lab go to the same
# bucket if S3_URL (s3://BUCKET), S3_REMOTE (rclone's REMOTE:BUCKET) and the usual variables say where one is.
set -euo pipefail
cd "$(dirname "$0")/../.."
lab=$(realpath "${LAB:-target/release/lab}")
rounds=${ROUNDS:-3} mb=${MB:-1000}
work=$(mktemp -d "${BENCH_DIR:-/tmp}/between.XXXXXX")
trap 'kill $(cat "$work"/*.pid 2>/dev/null) 2>/dev/null || true; rm -rf "$work"' EXIT
export HOME=$work LAB_USER=bench

mkdir "$work/a" && cd "$work/a"
"$lab" -q init . >/dev/null
head -c "${mb}000000" /dev/urandom >large
"$lab" -q add large --name large >/dev/null
packs=$work/a/.lab/packs

mkdir "$work/srv" "$work/rsync"
"$lab" serve "$work/srv" --listen 127.0.0.1:0 --log none >"$work/serve.out" 2>&1 &
echo $! >"$work/serve.pid"
printf 'port = 18873\nuse chroot = no\npid file = %s/rsync.pid\n[to]\npath = %s/rsync\nread only = no\nuid = %s\ngid = %s\n' "$work" "$work" "$(id -u)" "$(id -g)" >"$work/rsyncd.conf"
rsync --daemon --config="$work/rsyncd.conf"
for _ in $(seq 100); do grep -q http: "$work/serve.out" && break; sleep 0.05; done
url=$(sed -n 's|^\(http://[^/]*\)/NAME.*|\1|p' "$work/serve.out")
token=$("$lab" -q token add "$work/srv" '*' --write)
sleep 1.1
printf 'machine 127.0.0.1 login me password %s\n' "$token" >"$work/.netrc"

now() { date +%s.%N; }
took() { # label command...
    local label=$1; shift
    sync
    local start; start=$(now)
    "$@" >"$work/log" 2>&1 || { cat "$work/log"; echo "$label failed"; exit 1; }
    printf '%-22s %6.2f\n' "$label" "$(echo "$(now) - $start" | bc)" | tee -a "$work/all"
}
copy() { cp -r "$packs" "$1" && sync -f "$1"; }
with_sync() { "$@" && sync -f "$work"; }

for round in $(seq "$rounds"); do
    took "cp, sync" copy "$work/cp$round"
    took "lab push folder" "$lab" -q push "$work/folder$round" large
    took "rsync push, sync" with_sync rsync -a --whole-file --inplace "$packs/" "rsync://127.0.0.1:18873/to/$round/"
    took "lab push http" "$lab" -q push "$url/n$round" large
    took "lab push again" "$lab" -q push "$url/n$round" large
    took "rsync pull, sync" with_sync rsync -a --whole-file --inplace "rsync://127.0.0.1:18873/to/$round/" "$work/rp$round/"
    took "lab clone http" "$lab" -q clone "$url/n$round" --into "$work/clone$round"
    if [ -n "${S3_URL:-}" ]; then
        took "rclone push s3" rclone copy "$packs" "$S3_REMOTE/rclone$round"
        took "lab push s3" "$lab" -q push "$S3_URL/lab$round" large
        took "rclone pull s3" with_sync rclone copy "$S3_REMOTE/rclone$round" "$work/rc$round"
        took "lab clone s3" "$lab" -q clone "$S3_URL/lab$round" --into "$work/sclone$round"
    fi
    rm -rf "$work/cp$round" "$work/folder$round" "$work/rsync/$round" "$work/srv/n$round" "$work/rp$round" "$work/clone$round" "$work/rc$round" "$work/sclone$round"
done
echo
echo "medians"
python3 - "$work/all" <<'END'
import statistics, sys
taken = {}
for line in open(sys.argv[1]):
    label, seconds = line.rsplit(None, 1)
    taken.setdefault(label, []).append(float(seconds))
for label, all in taken.items():
    print(f"{label:22} {statistics.median(all):6.2f}   ({', '.join(f'{s:.2f}' for s in all)})")
END
