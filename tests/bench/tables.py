#!/usr/bin/env python3
"""What it costs to say which rows of two tables differ: CPU and wall seconds, and peak memory, in turn.

    tests/bench/tables.py LAB [COPIES [REPETITIONS]]        needs pyarrow, pandas, polars and duckdb

The table is diamonds.csv so many times (20), with a first column that tells its rows apart. In the second version 1,000
labels are changed, 500 rows gone and 500 new. Each peer is a whole program that reads both files and counts the rows that
changed, went and came, by the key that it is told; `lab diff` finds the key, and says also which columns changed, whether
the order did, and shows some. What is counted has to be the same for all.
"""
import os
import pathlib
import random
import statistics
import subprocess
import sys
import tempfile
import time

PANDAS = """
import sys, pandas as pd
a, b = (getattr(pd, sys.argv[3])(name).set_index("row") for name in sys.argv[1:3])
both = a.index.intersection(b.index)
x, y = a.loc[both], b.loc[both]
changed = ((x != y) & ~(x.isna() & y.isna())).any(axis=1).sum()
print(changed, len(a) - len(both), len(b) - len(both))
"""
POLARS = """
import sys, polars as pl
a, b = (getattr(pl, sys.argv[3])(name) for name in sys.argv[1:3])
columns = [name for name in a.columns if name != "row"]
both = a.join(b, on="row", suffix="_b")
differs = pl.any_horizontal(pl.col(name).ne_missing(pl.col(name + "_b")) for name in columns)
print(both.filter(differs).height, a.height - both.height, b.height - both.height)
"""
DUCKDB = """
import sys, duckdb
a, b = ("'%s'" % name for name in sys.argv[1:3])
columns = [row[0] for row in duckdb.sql(f"describe select * exclude row from {a}").fetchall()]
differs = " or ".join(f"a.{name} is distinct from b.{name}" for name in columns)
print(*duckdb.sql(f'''select count(*) filter (a.row is not null and b.row is not null and ({differs})),
    count(*) filter (b.row is null), count(*) filter (a.row is null)
    from {a} a full join {b} b on a.row = b.row''').fetchall()[0])
"""


def make(top, copies):
    """Both versions, as CSV and as Parquet; the rows of the first."""
    import pyarrow as pa
    import pyarrow.csv
    import pyarrow.parquet as pq

    data = pathlib.Path(__file__).resolve().parents[1] / "data/diamonds.csv.gz"
    one = pa.csv.read_csv(data)
    table = pa.concat_tables([one] * copies)
    rows = table.num_rows
    table = table.add_column(0, "row", pa.array([f"d{i:08}" for i in range(rows)]))
    chance = random.Random(7)
    picked = chance.sample(range(rows), 1500)
    gone, changed = set(picked[:500]), set(picked[500:])
    cut = table.column("cut").to_pylist()
    for row in changed:
        cut[row] = "Good" if cut[row] != "Good" else "Fair"
    place = table.column_names.index("cut")
    second = table.set_column(place, "cut", pa.array(cut))
    second = second.take(pa.array([row for row in range(rows) if row not in gone]))
    new = table.slice(0, 500).set_column(0, "row", pa.array([f"n{i:08}" for i in range(500)]))
    for name, version in (("a", table), ("b", pa.concat_tables([second, new]))):
        pa.csv.write_csv(version, top / f"{name}.csv")
        pq.write_table(version, top / f"{name}.parquet")
    return rows


def main():
    if sys.argv[1] == "make":
        print(make(pathlib.Path(sys.argv[2]), int(sys.argv[3])), "rows")
        return
    lab = os.path.realpath(sys.argv[1])
    copies, repetitions = (int(argument) for argument in (sys.argv[2:] + ["20", "5"][len(sys.argv) - 2:]))
    with tempfile.TemporaryDirectory() as top:
        top = pathlib.Path(top)
        # By another process, since a child is counted with the memory of what starts it.
        print(subprocess.run([sys.executable, __file__, "make", top, str(copies)], check=True, capture_output=True, text=True).stdout, end="")
        subprocess.run([lab, "init"], cwd=top, check=True, capture_output=True)
        for name in ("a.csv", "b.csv", "a.parquet", "b.parquet"):
            add = [lab, "add", name, "--name", name.replace(".", "-")]
            subprocess.run(add, cwd=top, check=True, capture_output=True)
        for ending in ("parquet", "csv"):
            tools = {"lab": [lab, "diff", f"a-{ending}", f"b-{ending}"]}
            for name, program in (("pandas", PANDAS), ("polars", POLARS), ("duckdb", DUCKDB)):
                reader = [f"read_{ending}"]
                tools[name] = [sys.executable, "-c", program, f"a.{ending}", f"b.{ending}", *reader]
            taken = {}
            for _ in range(repetitions + 1):
                for name, command in tools.items():
                    taken.setdefault(name, []).append(timed(name, command, top))
            for name, all_of_it in taken.items():
                # The first fills caches.
                cpu, wall, mib = (statistics.median(column) for column in zip(*all_of_it[1:]))
                of_lab = statistics.median(b[0] / a[0] for a, b in zip(taken["lab"][1:], all_of_it[1:]))
                print(f"{ending:8} {name:7} CPU {cpu:6.2f} s ({of_lab:.2f} of lab), wall {wall:6.2f} s, peak {mib:5.0f} MiB")


def timed(name, command, top):
    start = time.perf_counter()
    child = subprocess.Popen(command, cwd=top, stdout=subprocess.PIPE, text=True)
    said = child.stdout.read()
    _, status, usage = os.wait4(child.pid, 0)
    wall = time.perf_counter() - start
    assert os.waitstatus_to_exitcode(status) == (1 if name == "lab" else 0), said
    right = "500 added, 500 removed, 1,000 changed" in said if name == "lab" else said == "1000 500 500\n"
    assert right, f"{name} says {said}"
    return usage.ru_utime + usage.ru_stime, wall, usage.ru_maxrss / 1024


main()
