"""hf_xet on a local folder: xet_do.py version | add TREE REPO LABEL | restore TREE REPO LABEL. For xet.sh; needs hf_xet."""
import json
import os
import sys
from importlib.metadata import version

import hf_xet

BATCH = 4096


def add(tree, end, manifest):
    files, links = [], {}
    for base, folders, names in os.walk(tree):
        for name in folders + names:
            path = os.path.join(base, name)
            if os.path.islink(path):
                links[os.path.relpath(path, tree)] = os.readlink(path)
            elif name in names:
                files.append(path)
    files.sort()
    kept = []
    for i in range(0, len(files), BATCH):
        part = files[i:i + BATCH]
        done = hf_xet.upload_files(part, end, None, None, None, "model")
        kept += [(os.path.relpath(p, tree), r.hash, r.filesize if hasattr(r, "filesize") else r.file_size)
                 for p, r in zip(part, done)]
    with open(manifest, "w") as f:
        json.dump({"files": kept, "links": links}, f)


def restore(tree, end, manifest):
    with open(manifest) as f:
        m = json.load(f)
    wanted = [hf_xet.PyXetDownloadInfo(os.path.join(tree, p), h, n) for p, h, n in m["files"]]
    for folder in {os.path.dirname(os.path.join(tree, p)) for p, _, _ in m["files"]}:
        os.makedirs(folder, exist_ok=True)
    for i in range(0, len(wanted), BATCH):
        hf_xet.download_files(wanted[i:i + BATCH], end, None, None, None)
    for path, target in m["links"].items():
        os.symlink(target, os.path.join(tree, path))


if sys.argv[1] == "version":
    print("hf_xet", version("hf_xet"))
else:
    op, tree, repo, label = sys.argv[1:5]
    {"add": add, "restore": restore}[op](tree, "local://" + os.path.join(repo, "store"), os.path.join(repo, label + ".json"))
