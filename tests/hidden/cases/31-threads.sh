# A sum is split over as many threads as a variable says.
row=31 variable="thread count" layer=threads named=OMP_NUM_THREADS
prepare() {
    cat > total.py <<'P'
import os
from concurrent.futures import ThreadPoolExecutor
n, x = int(os.environ["OMP_NUM_THREADS"]), [1 / (i + 1) for i in range(9999)]
with ThreadPoolExecutor(n) as pool: parts = list(pool.map(sum, [x[k::n] for k in range(n)]))
print(sum(parts).hex(), file=open("total.txt", "w"))
P
}
command="python3 total.py"
in_a() { OMP_NUM_THREADS=1 "$@"; }
in_b() { OMP_NUM_THREADS=3 "$@"; }
