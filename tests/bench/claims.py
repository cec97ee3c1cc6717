"""What lab must reach, against the figures of one run. For report.py; a figure that is missing is None.

A claim holds for the full size, and where all its tools ran on one machine in one run. Wall against a yardstick is taken
within each repetition; CPU seconds and bytes are medians and sums.
"""

MIB = 1 << 20


def over(a, b):
    return a / b if a is not None and b else None


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
