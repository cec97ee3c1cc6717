#!/usr/bin/env bash
# Many small files to and from a bucket, beside DVC: the same tree, the same bucket, on this machine. Wall seconds.
#   LAB=target/release/lab DVC=dvc FILES=100000 S3_URL=s3://BUCKET tests/bench/many.sh
# The usual variables (AWS_ENDPOINT_URL, AWS_ACCESS_KEY_ID, ...) say where the bucket is. DVC wants its s3 extra. Both get what
# is added already; what is timed is the way to the bucket, the way back into an empty store, and the files laid out again.
set -euo pipefail
cd "$(dirname "$0")/../.."
lab=$(realpath "${LAB:-target/release/lab}") dvc=${DVC:-dvc} files=${FILES:-100000} url=${S3_URL:?}/many-$RANDOM
work=$(mktemp -d "${BENCH_DIR:-/tmp}/many.XXXXXX")
trap 'rm -rf "$work"' EXIT
export HOME=$work LAB_USER=bench DVC_NO_ANALYTICS=1 DVC_SITE_CACHE_DIR=$work/site

python3 - "$work/data" "$files" <<'END'
import os, random, sys
random.seed(1)
for n in range(int(sys.argv[2])):
    folder = f"{sys.argv[1]}/{n // 1000:03}"
    os.makedirs(folder, exist_ok=True)
    with open(f"{folder}/{n:06}.json", "w") as f:
        f.write('{"id": %d, "text": "%s"}\n' % (n, " ".join(f"{random.random():.5f}" for _ in range(random.randrange(10, 200)))))
END

took() { # label command...
    local label=$1 start; shift
    sync
    start=$(date +%s.%N)
    "$@" >"$work/log" 2>&1 || { cat "$work/log"; echo "$label failed"; exit 1; }
    printf '%-12s %8.2f\n' "$label" "$(echo "$(date +%s.%N) - $start" | bc)"
}

mkdir "$work/lab" "$work/dvc"
cp -r "$work/data" "$work/lab/data"
mv "$work/data" "$work/dvc/data"
cd "$work/lab"
"$lab" -q init . >"$work/log"
"$lab" -q add data --name data >"$work/log"
took "lab push" "$lab" -q push "$url/lab" data
took "lab again" "$lab" -q push "$url/lab" data
took "lab clone" "$lab" -q clone "$url/lab" --into "$work/clone"
cd "$work/clone"
took "lab get" "$lab" -q get data back
diff -r "$work/lab/data" back

cd "$work/dvc"
"$dvc" init -q --no-scm
"$dvc" config core.check_update false
"$dvc" remote add -q -d bucket "$url/dvc"
"$dvc" remote modify bucket endpointurl "$AWS_ENDPOINT_URL"
"$dvc" add -q data
took "dvc push" "$dvc" push -q
took "dvc again" "$dvc" push -q
rm -rf .dvc/cache data "$work/site"
took "dvc fetch" "$dvc" fetch -q
took "dvc checkout" "$dvc" checkout -q
diff -r "$work/lab/data" data
