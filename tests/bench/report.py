#!/usr/bin/env python3
"""Tables of one run, and its claims, as Markdown: report.py FILE... [--base cp] [--only PART]... [--tools "T..."] [--strict]

PARTs, all of them unless some are named:
  steps    for each workload and step: repetitions, median wall seconds with their spread, CPU seconds (user and system,
           and user alone), peak memory of the largest process, and wall over the wall of the base tool in the same repetition
  stored   what each tool stores, what each edit adds, and whether what came back was the same
  summary  all tools side by side, as in docs/benchmarks.md
  claims   what lab must reach, against what it reached (claims.py); a claim whose figures are missing says so
--strict ends with exit code 1 unless every claim holds. Needs Python alone.
"""
import argparse
import collections
import json
import statistics
import sys

sys.dont_write_bytecode = True      # no __pycache__ in the tree
from claims import claims  # noqa: E402

median = statistics.median


class Results:
    """What the lines of the files say, by (workload, step, tool)."""

    def __init__(self, paths):
        self.steps = collections.OrderedDict()      # (workload, op) -> tool -> repetition -> row
        self.sizes, self.verdicts, self.versions, self.machines, self.data = {}, {}, {}, [], {}
        for path in paths:
            with open(path) as f:
                for line in f:
                    self.take(json.loads(line))

    def take(self, r):
        op = r["op"]
        if op == "machine":
            self.machines.append(r)
        elif op == "data":
            self.data[r["workload"]] = r
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
        return self.data[workload]["bytes"] if workload in self.data else None

    def stored(self, workload, op, tool, key="bytes"):
        row = self.sizes.get((workload, op, tool))
        return row[key] if row else None

    def share(self, workload, tool):
        stored, whole = self.stored(workload, "add", tool), self.data_bytes(workload)
        return stored / whole if stored is not None and whole else None

    def growth(self, workload, edit, tool):
        """What an edit added to the store, over the step before it."""
        order = [op for (w, op, t) in self.sizes if (w, t) == (workload, tool) and (op in ("add", "readd") or op.startswith("edit:"))]
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


def steps(results, base):
    for (workload, op), tools in results.steps.items():
        print(f"\n### {workload}: {op}\n")
        rows = []
        for tool, every in tools.items():
            good = results.good(workload, op, tool)
            if not good:
                rows.append([tool, "0", "failed: exit code " + ", ".join(str(r["rc"]) for r in every.values()), "", "", "", ""])
                continue
            walls = [r["wall"] for r in good.values()]
            ratio = results.wall_ratio(workload, op, tool, base)
            spread = f" ({min(walls):.2f} to {max(walls):.2f})" if len(walls) > 1 else ""
            rows.append([tool, str(len(good)), f"{median(walls):.2f}{spread}", f"{results.figure(workload, op, tool, 'cpu'):.2f}",
                         f"{results.figure(workload, op, tool, 'user'):.2f}", f"{results.figure(workload, op, tool, 'rss_mib'):.0f}", f"{ratio:.2f}" if ratio else ""])
        table(["tool", "n", "wall s", "CPU s", "user s", "peak MiB", f"wall / {base}"], rows)


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


def summary(results, chosen=None):
    """Work down, tools across."""
    tools = [t for t in results.versions if any(t in by for by in results.steps.values())]
    tools += [t for t in ["lab"] if t not in tools]
    tools = chosen.split() if chosen else tools
    number = lambda x, form: "" if x is None else format(x, form)
    cpu = lambda w, op: lambda t: number(results.figure(w, op, t, "cpu"), ".1f")
    wall = lambda w, op: lambda t: number(results.figure(w, op, t, "wall"), ".1f")
    peak = lambda w, op: lambda t: number(results.figure(w, op, t, "rss_mib"), ".0f")
    share = lambda w: lambda t: number(results.share(w, t) or None, ".3f")
    files = lambda w: lambda t: number(results.stored(w, "add", t, "store_files") or None, "d")

    def adds(w, e):
        return lambda t: "" if results.growth(w, e, t) is None or not results.share(w, t) else f"{results.growth(w, e, t) / 1e6:+.1f}"

    rows = []
    for w, name in ("big", "weights"), ("csv", "csv"), ("many", "small files"), ("tree", "toolchain"):
        rows += [(f"{name}, add: wall s", wall(w, "add")), ("CPU s", cpu(w, "add")), ("peak MiB", peak(w, "add")),
                 ("stored share", share(w)), ("store files", files(w)), (f"{name}, again: wall s", wall(w, "readd")), ("CPU s", cpu(w, "readd")),
                 (f"{name}, get: wall s", wall(w, "restore")), ("CPU s", cpu(w, "restore")), ("peak MiB", peak(w, "restore"))]
        for e, what in {"big": [("ft-10", "a tenth of the tensors"), ("ft-full", "full fine-tune")],
                        "csv": [("csv-edit", "1 % edited"), ("csv-rows", "rows all over")]}.get(w, []):
            rows += [(f"{name}, {what}: CPU s", cpu(w, f"edit:{e}")), ("adds MB", adds(w, e))]
    lines, work = [], ""
    for label, figure in rows:
        work = label.rsplit(":", 1)[0] if ":" in label else work
        cells = [figure(t) for t in tools]
        if any(cells):
            lines.append([label if ":" in label else f"{work}: {label}", *cells])
    print("\n### Side by side\n")
    table(["", *tools], lines)


def print_claims(results):
    small = {m["scale"] for m in results.machines if float(m["scale"]) < 1}
    print("\n### Claims\n")
    if small:
        print(f"These are claims about the full size. At scale {', '.join(sorted(small))} starting a process is most of a step.\n")
    rows, held = [], True
    for claim, reached, limit in claims(results):
        verdict = "not measured" if reached is None else "holds" if reached <= limit else "FAILS"
        held = held and verdict == "holds"
        rows.append([claim, "" if reached is None else f"{reached:.3g}" if reached < 100 else f"{reached:.0f}", f"{limit:g}", verdict])
    table(["claim", "reached", "at most", ""], rows)
    return held


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("files", nargs="+")
    ap.add_argument("--base", default="cp")
    ap.add_argument("--only", action="append", choices=["steps", "stored", "summary", "claims"])
    ap.add_argument("--tools", help="the summary's columns, in this order")
    ap.add_argument("--strict", action="store_true")
    a = ap.parse_args()
    results, parts, held = Results(a.files), a.only or ["steps", "stored", "summary", "claims"], True
    for m in results.machines[:1]:
        print(f"{m['cpu']}, {m['cores']} cores, {m['fs']}, Linux {m['kernel']}, {m['date']}, scale {m['scale']}, "
              f"page cache {'cold' if m['cold'] == '1' else 'warm'}, {'with' if m['manifest'].get('minilm') else 'without'} real weights")
    print("\n" + "; ".join(f"{t}: {v}" for t, v in results.versions.items()))
    if "steps" in parts:
        steps(results, a.base)
    if "stored" in parts:
        sizes(results)
    if "summary" in parts:
        summary(results, a.tools)
    if "claims" in parts or a.strict:
        held = print_claims(results)
    return 1 if a.strict and not held else 0


if __name__ == "__main__":
    sys.exit(main())
