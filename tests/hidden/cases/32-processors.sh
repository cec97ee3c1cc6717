# The number of chunks is the number of processors.
row=32 variable="cpu_count() as a default" layer=threads named=processors
needs="taskset"
needs_try="taskset -c 0,1 true"
needs_processors=2
prepare() {
    cat > chunks.py <<'P'
import os
n, x = len(os.sched_getaffinity(0)), [1 / (i + 1) for i in range(9999)]
print(n, sum(sum(x[k::n]) for k in range(n)).hex(), file=open("total.txt", "w"))
P
}
command="python3 chunks.py"
in_a() { taskset -c 0 "$@"; }
in_b() { taskset -c 0,1 "$@"; }
