#!/usr/bin/env python3
"""Tables of one run, and its claims, as Markdown: report.py FILE... [--base cp] [--claims] [--strict]

For each workload and step: repetitions, median wall seconds with their spread, CPU seconds (user and system), peak memory of
the largest process, and wall over the wall of the base tool in the same repetition. Then what is stored, and what each
edit adds. Then the claims: what lab must reach, against what it reached; a claim whose figures are missing says so.
--claims prints those alone; --strict ends with exit code 1 unless all hold. Needs Python alone.
"""
import argparse
import collections
import json
import statistics
import sys

MIB = 1 << 20
median = statistics.median


class Results:
    """What the lines of the files say, by (workload, step, tool)."""

    def __init__(self, paths):
        self.steps = collections.OrderedDict()      # (workload, op) -> tool -> repetition -> row
        self.sizes, self.verdicts, self.versions, self.machines = {}, {}, {}, []
        for path in paths:
            with open(path) as f:
                for line in f:
                    self.take(json.loads(line))

    def take(self, r):
        op = r["op"]
        if op == "machine":
            self.machines.append(r)
        elif op == "version":
            self.versions[r["tool"]] = r["version"]
        elif op.startswith("size-"):
            self.sizes[r["workload"], op[5:], r["tool"]] = r
        elif op == "verify":
            self.verdicts[r["workload"], r["tool"]] = r["result"]
        else:
            if r.get("cold") == "1":
                op += ", cold"
            tools = self.steps.setdefault((r["workload"], op), collections.OrderedDict())
            tools.setdefault(r["tool"], {})[r["rep"]] = r

    def good(self, workload, op, tool):
        rows = self.steps.get((workload, op), {}).get(tool, {})
        return {i: r for i, r in rows.items() if r["rc"] == 0}

    def figure(self, workload, op, tool, key):
        rows = self.good(workload, op, tool).values()
        value = {"cpu": lambda r: r["user"] + r["sys"]}.get(key, lambda r: r[key])
        return median(map(value, rows)) if rows else None

    def wall_ratio(self, workload, op, tool, base, base_op=None):
        """Taken within each repetition, as the machine drifts; over all of them where none is shared."""
        a, b = self.good(workload, op, tool), self.good(workload, base_op or op, base)
        both = [a[i]["wall"] / max(b[i]["wall"], 1e-4) for i in a if i in b]
        if both:
            return median(both)
        if a and b:
            return median(r["wall"] for r in a.values()) / median(r["wall"] for r in b.values())
        return None

    def data_bytes(self, workload):
        for m in self.machines:
            if workload in m["manifest"]:
                return m["manifest"][workload]["bytes"]
        return None

    def stored(self, workload, op, tool, key="bytes"):
        row = self.sizes.get((workload, op, tool))
        return row[key] if row else None

    def share(self, workload, tool):
        stored, whole = self.stored(workload, "add", tool), self.data_bytes(workload)
        return stored / whole if stored is not None and whole else None

    def growth(self, workload, edit, tool):
        """What an edit added to the store, over the edit before it or the first add."""
        order = [op for (w, op, t) in self.sizes if (w, t) == (workload, tool) and (op == "add" or op.startswith("edit:"))]
        if f"edit:{edit}" not in order:
            return None
        before = order[order.index(f"edit:{edit}") - 1]
        return self.stored(workload, f"edit:{edit}", tool) - self.stored(workload, before, tool)

    def alone(self, workload, edit, tool):
        """What is new in the edit, stored alone in a fresh repository."""
        whole, empty = (self.stored(workload, f"{k}:{edit}", tool) for k in ("alone", "empty"))
        return whole - empty if whole is not None and empty is not None else None


def table(head, rows):
    print("| " + " | ".join(head) + " |\n|" + "---|" * len(head))
    for row in rows:
        print("| " + " | ".join(row) + " |")


def over(a, b):
    return a / b if a is not None and b else None


def steps(results, base):
    for (workload, op), tools in results.steps.items():
        print(f"\n### {workload}: {op}\n")
        rows = []
        for tool, every in tools.items():
            good = results.good(workload, op, tool)
            if not good:
                rows.append([tool, "0", "failed: exit code " + ", ".join(str(r["rc"]) for r in every.values()), "", "", ""])
                continue
            walls = [r["wall"] for r in good.values()]
            ratio = results.wall_ratio(workload, op, tool, base)
            spread = f" ({min(walls):.2f} to {max(walls):.2f})" if len(walls) > 1 else ""
            rows.append([tool, str(len(good)), f"{median(walls):.2f}{spread}", f"{results.figure(workload, op, tool, 'cpu'):.2f}",
                         f"{results.figure(workload, op, tool, 'rss_mib'):.0f}", f"{ratio:.2f}" if ratio else ""])
        table(["tool", "n", "wall s", "CPU s", "peak MiB", f"wall / {base}"], rows)


def sizes(results):
    firsts = [(w, t) for (w, op, t), r in results.sizes.items() if op == "add" and r["bytes"]]
    if not firsts:
        return
    print("\n### Stored\n")
    rows = []
    for workload, tool in firsts:
        r, share = results.sizes[workload, "add", tool], results.share(workload, tool)
        edits = [op[5:] for (w, op, t) in results.sizes if (w, t) == (workload, tool) and op.startswith("edit:")]
        grown = [(e, results.growth(workload, e, tool), results.alone(workload, e, tool)) for e in edits]
        rows.append([workload, tool, f"{r['bytes'] / 1e6:.1f}", f"{share:.4f}" if share else "", f"{r['alloc'] / 1e6:.1f}", str(r["store_files"]),
                     "; ".join(f"{e} {g / 1e6:+.1f}" + (f" (new alone {a / 1e6:.1f})" if a is not None else "") for e, g, a in grown),
                     results.verdicts.get((workload, tool), "")])
    table(["workload", "tool", "MB", "of the data", "MB on disk", "files", "an edit adds, MB", "came back"], rows)


def claims(results):
    """Pairs of what is claimed and its two figures: reached, and the most it may be."""
    R, lab = results, "lab"
    cpu = lambda w, op, t: R.figure(w, op, t, "cpu")
    cpu_ratio = lambda w, op, t: over(cpu(w, op, lab), cpu(w, op, t))
    wall = lambda w, op, t, base_op=None: R.wall_ratio(w, op, lab, t, base_op)
    peak = lambda w, op: R.figure(w, op, lab, "rss_mib")
    grows = lambda w, e, t: R.growth(w, e, t)
    edits = "edit:csv-edit", "edit:csv-rows"
    out = [
        ("weights, add: CPU / dvc", cpu_ratio("big", "add", "dvc"), 0.45),
        ("weights, add: wall / cp -a", wall("big", "add", "cp"), 2.0),
        ("weights, add: stored share", R.share("big", lab), 0.75),
        ("weights, get: wall / cp -a", wall("big", "restore", "cp"), 2.2),
        ("weights, get: CPU / dvc", cpu_ratio("big", "restore", "dvc"), 1.0),
        ("weights, get: peak MiB", peak("big", "restore"), 256),
        ("full fine-tune: added / added by xet", over(grows("big", "ft-full", lab), grows("big", "ft-full", "xet")), 0.45),
        ("a tenth of the tensors: added / those tensors alone", over(grows("big", "ft-10", lab), R.alone("big", "ft-10", lab)), 1.05),
        ("csv, add: CPU / zstd -1 -T2", cpu_ratio("csv", "add", "zstd1"), 1.0),
        ("csv, add: wall / zstd -1 -T2", wall("csv", "add", "zstd1"), 1.1),
        ("csv, add: stored share", R.share("csv", lab), 0.44),
        ("csv, 1 % edited: CPU / xet", cpu_ratio("csv", edits[0], "xet"), 0.5),
        ("csv, 1 % edited: added / what was put in, alone", over(grows("csv", "csv-edit", lab), R.alone("csv", "csv-edit", lab)), 1.3),
        ("csv, rows all over: CPU / xet", cpu_ratio("csv", edits[1], "xet"), 0.7),
        ("csv, rows all over: added share of the data", over(grows("csv", "csv-rows", lab), R.data_bytes("csv")), 0.0931),
        ("small files, add: wall / cp -a", wall("many", "add", "cp"), 1.0),
        ("small files, add: stored share", R.share("many", lab), 0.50),
        ("small files, again: wall / a bare walk", wall("many", "readd", "walk", "add"), 1.5),
        ("small files, get: wall / cp -a", wall("many", "restore", "cp"), 1.1),
        ("toolchain, add: wall / cp -a", wall("tree", "add", "cp"), 1.8),
        ("toolchain, add: stored share", R.share("tree", lab), 0.28),
    ]
    for w in ("big", "csv", "many", "tree"):
        r = R.sizes.get((w, "add", lab))
        out.append((f"{w}: store files beyond 8, per 32 MiB stored", max(0, r["store_files"] - 8) / (r["bytes"] / (32 * MIB)) if r else None, 1.0))
    for w in ("big", "csv", "many", "tree"):
        out.append((f"{w}, add: peak MiB", peak(w, "add"), 256))
    small, large = "files-100000", "files-1000000"
    out += [
        ("1,000,000 files, again: wall s", R.figure(large, "readd", lab, "wall"), 10),
        ("1,000,000 files, add: CPU per file / of 100,000", over(over(cpu(large, "add", lab), 10), cpu(small, "add", lab)), 1.3),
        ("1,000,000 files, get: CPU per file / of 100,000", over(over(cpu(large, "restore", lab), 10), cpu(small, "restore", lab)), 1.3),
        ("1,000,000 files, add: peak MiB", peak(large, "add"), 256),
        ("20 GiB file, add: CPU per byte / of 2 GiB", over(over(cpu("file-20", "add", lab), 10), cpu("file-2", "add", lab)), 1.3),
        ("20 GiB file, add: peak MiB", peak("file-20", "add"), 256),
        ("20 GiB file, get: peak MiB", peak("file-20", "restore"), 256),
    ]
    return out


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("files", nargs="+")
    ap.add_argument("--base", default="cp")
    ap.add_argument("--claims", action="store_true")
    ap.add_argument("--strict", action="store_true")
    a = ap.parse_args()
    results = Results(a.files)
    small = {m["scale"] for m in results.machines if float(m["scale"]) < 1}
    if not a.claims:
        for m in results.machines[:1]:
            print(f"{m['cpu']}, {m['cores']} cores, {m['fs']}, Linux {m['kernel']}, {m['date']}, scale {m['scale']}, "
                  f"page cache {'cold' if m['cold'] == '1' else 'warm'}, "
                  f"{'with' if m['manifest'].get('minilm') else 'without'} real weights")
        print("\n" + "; ".join(f"{t}: {v}" for t, v in results.versions.items()))
        steps(results, a.base)
        sizes(results)
    print("\n### Claims\n")
    if small:
        print(f"These are claims about the full size. At scale {', '.join(sorted(small))} starting a process is most of a step.\n")
    rows, held = [], True
    for claim, reached, limit in claims(results):
        verdict = "not measured" if reached is None else "holds" if reached <= limit else "FAILS"
        held = held and verdict == "holds"
        rows.append([claim, "" if reached is None else f"{reached:.3g}" if reached < 100 else f"{reached:.0f}", f"{limit:g}", verdict])
    table(["claim", "reached", "at most", ""], rows)
    return 1 if a.strict and not held else 0


if __name__ == "__main__":
    sys.exit(main())
