#!/usr/bin/env python3
"""What it costs to have a command watched: alone, by `lab run`, and by peers, in turn, in one run.

  tests/bench/watch.py [WORKLOAD..]      LAB, PYTHON, REPS=5; REPROZIP=path of reprozip (its own Python is enough)

CPU seconds are those of the whole command line with all its children (user and system), so that what the watcher does
counts; ratios are taken within a repetition, and the median of them is printed, with that of the wall time in brackets.
`lab run` includes hashing and storing what was read for the first time: that is done once before, as with every tool.
A tool that is not installed, and a workload that lacks a library, are left out with a line. PYTHON has to be a Python
with scikit-learn for two of the workloads; strace and reprozip come from Debian and PyPI.
"""
import os
import pathlib
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
LAB = os.environ.get("LAB") or str(HERE.parent.parent / "target/release/lab")
PYTHON = os.environ.get("PYTHON", sys.executable)
REPS = int(os.environ.get("REPS", "5"))
REPROZIP = os.environ.get("REPROZIP") or shutil.which("reprozip")

OPENS = "for n in range(3):\n for i in range(10000): open(f'many/{i:05}').close()"
IMPORT = "import numpy, sklearn.ensemble"
TRAIN = """
import numpy, sklearn.ensemble, sklearn.neural_network
x = numpy.random.RandomState(0).rand(4000, 40)
y = (x.sum(1) > 20).astype(int)
sklearn.ensemble.RandomForestClassifier(300, random_state=0, n_jobs=2).fit(x, y)
sklearn.neural_network.MLPClassifier((64,), max_iter=60, random_state=0).fit(x, y)
"""
WORKLOADS = {
    "nothing": (["true"], ""),
    "30,000 opens": ([PYTHON, "-c", OPENS], ""),
    "pipeline": (["sh", "-c", "find many -type f | sort | xargs cat | sort | uniq -c > counts.txt"], ""),
    "1,000 programs": (["sh", "-c", "for i in $(seq 1000); do /bin/true; done"], ""),
    "import": ([PYTHON, "-c", IMPORT], "sklearn"),
    "training": ([PYTHON, "-c", TRAIN], "sklearn"),
}


def tools(folder):
    """Command lines in front of a command."""
    found = {"alone": []}
    if os.access(LAB, os.X_OK):
        found["lab"] = [LAB, "run", "--quiet", "--"]
        subprocess.run([LAB, "init"], cwd=folder, check=True, capture_output=True)
    if shutil.which("strace"):
        found["strace"] = ["strace", "-f", "--seccomp-bpf", "-e", "trace=file,getdents64", "-o", str(folder / "strace.log")]
    if REPROZIP:
        found["reprozip"] = [REPROZIP, "trace", "--overwrite", "-d", str(folder.parent / "reprozip")]
    for name in ["lab", "strace", "reprozip"]:
        if name not in found:
            print(f"left out: {name} is not there", file=sys.stderr)
    return found


def measure(command, folder):
    """CPU and wall seconds of a command and of all that it waited for."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    done = subprocess.run(command, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode != 0:
        sys.exit(f"{command}: exit code {done.returncode}\n{done.stderr.decode(errors='replace')[-2000:]}")
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return cpu, time.monotonic() - start


def main():
    wanted = sys.argv[1:] or list(WORKLOADS)
    with tempfile.TemporaryDirectory(prefix="lab-watch-") as top:
        folder = pathlib.Path(top).resolve() / "project"
        (folder / "many").mkdir(parents=True)
        for i in range(10_000):
            (folder / "many" / f"{i:05}").write_text(f"{i % 97}\n")
        watchers = tools(folder)
        print(f"| CPU x (wall x) | alone, CPU s | {' | '.join(t for t in watchers if t != 'alone')} |")
        print("|" + "---|" * (len(watchers) + 1))
        for name in wanted:
            command, needs = WORKLOADS[name]
            if needs and subprocess.run([PYTHON, "-c", f"import {needs}"], capture_output=True).returncode:
                print(f"left out: {name} takes {needs}", file=sys.stderr)
                continue
            # Each tool once without a clock: what it keeps from the first time it has then.
            for front in watchers.values():
                measure(front + command, folder)
            rounds = [{tool: measure(front + command, folder) for tool, front in watchers.items()} for _ in range(REPS)]
            alone = statistics.median(r["alone"][0] for r in rounds)
            cells = []
            for tool in watchers:
                if tool == "alone":
                    continue
                # What takes less than a tick has no ratio: the difference is told.
                if alone < 0.02:
                    extra = [statistics.median(r[tool][k] - r["alone"][k] for r in rounds) for k in (0, 1)]
                    cells.append(f"+{extra[0]:.2f} s (+{extra[1]:.2f} s)")
                else:
                    ratio = [statistics.median(r[tool][k] / r["alone"][k] for r in rounds) for k in (0, 1)]
                    cells.append(f"{ratio[0]:.2f} ({ratio[1]:.2f})")
            print(f"| {name} | {alone:.2f} | {' | '.join(cells)} |", flush=True)


main()
