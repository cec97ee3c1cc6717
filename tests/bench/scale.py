#!/usr/bin/env python3
"""Make what scale.sh measures: scale.py files N DIR | scale.py file GIB FILE

files  N files of 100 to 2,000 bytes, a thousand to a folder: each begins with its own number, half go on as text and half as
       bytes that do not compress, so that no two are alike.
file   one file of GIB pieces of 1 GiB. A piece is the JSONL and the weights of $BENCH_DIR/w, by turns, in blocks of
       16 KiB that are shuffled anew, so that pieces do not repeat one another; every fifth repeats the one before it.
Deterministic. `file` needs numpy and the workloads big and csv; `files` needs Python alone.
"""
import os
import random
import sys

GIB, BLOCK = 1 << 30, 16384


def files(count, folder):
    pick = random.Random(20240607)
    words = [pick.randbytes(1 + i % 6).hex() for i in range(5000)]
    text = " ".join(pick.choices(words, k=1 << 20)).encode()
    noise = pick.randbytes(1 << 23)
    for i in range(count):
        if i % 1000 == 0:
            place = os.path.join(folder, f"{i // 1000:05d}")
            os.makedirs(place)
        n = pick.randrange(100, 2001)
        pool = text if i % 2 else noise
        at = pick.randrange(len(pool) - 2000)
        with open(f"{place}/{i % 1000:03d}.txt", "wb", buffering=0) as f:
            f.write((b'{"id":%d}\n' % i + pool[at:at + 2000])[:n])


def file(pieces, path):
    import numpy as np
    w = os.path.join(os.environ["BENCH_DIR"], "w")
    sources = [f"{w}/csv/data.jsonl", f"{w}/big/base-bf16.safetensors", f"{w}/big/base-fp32.safetensors"]
    piece = min(GIB, *(os.path.getsize(s) for s in sources)) // BLOCK * BLOCK     # 1 GiB, but in a smoke test
    with open(path, "wb") as out:
        for g in range(pieces):
            seed = g - 1 if g % 5 == 4 else g
            blocks = np.fromfile(sources[seed % 3], dtype=np.uint8, count=piece).reshape(-1, BLOCK)
            order = np.random.Generator(np.random.PCG64([20240607, 20, seed])).permutation(len(blocks))
            for part in np.array_split(order, 64):
                out.write(blocks[part].tobytes())


if __name__ == "__main__":
    what, count, place = sys.argv[1:4]
    {"files": files, "file": file}[what](int(count), place)
