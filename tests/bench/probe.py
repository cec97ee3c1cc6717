#!/usr/bin/env python3
"""What the hook for Python programs costs: CPU time of a training and of a fit with it over that without, in turn.

    tests/bench/probe.py LAB [REPETITIONS]      TORCH and SKLEARN name a Python each that has PyTorch, scikit-learn

Both are run by `lab run`, of which only the program itself is timed: it says at its end how much processor time it took.
"""
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile

END = "\nimport time, os\nt = os.times()\nprint(t.user + t.system, file=open('cpu', 'w'))\n"
TORCH = """
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset
torch.manual_seed(0); torch.set_num_threads(1)
x = torch.rand(6000, 64); y = (x.sum(1) > 32).long()
model = nn.Sequential(nn.Linear(64, 256), nn.ReLU(), nn.Dropout(0.1), nn.Linear(256, 10))
opt = torch.optim.AdamW(model.parameters(), lr=1e-3)
for _ in range(20):
    model.train()
    for a, b in DataLoader(TensorDataset(x, y), batch_size=64, shuffle=True):
        opt.zero_grad(); nn.functional.cross_entropy(model(a), b).backward(); opt.step()
    model.eval(); model(x)
"""
SKLEARN = """
import numpy as np
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import SGDClassifier
from sklearn.preprocessing import StandardScaler
x = np.random.RandomState(0).rand(2000, 20); y = (x.sum(1) > 10).astype(int)
x = StandardScaler().fit_transform(x)
RandomForestClassifier(150, random_state=0).fit(x, y)
s = SGDClassifier(random_state=1)
for _ in range(20):
    for at in range(0, 2000, 50): s.partial_fit(x[at:at + 50], y[at:at + 50], classes=[0, 1])
"""


def main():
    lab, repetitions = os.path.realpath(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 9
    for name, program in (("TORCH", TORCH), ("SKLEARN", SKLEARN)):
        python = os.environ.get(name, "python3")
        with tempfile.TemporaryDirectory() as top:
            top = pathlib.Path(top)
            (top / "program.py").write_text(program + END)
            subprocess.run([lab, "init"], cwd=top, check=True, capture_output=True)
            taken = {}
            for _ in range(repetitions + 1):
                for flags in ((), ("--no-probe",)):
                    command = [lab, "run", "--quiet", *flags, "--", python, "program.py"]
                    subprocess.run(command, cwd=top, check=True, capture_output=True, env=dict(os.environ, OMP_NUM_THREADS="1"))
                    taken.setdefault(flags, []).append(float((top / "cpu").read_text()))
            # The first of each fills caches.
            with_it, without = (times[1:] for times in taken.values())
            ratios = sorted(a / b for a, b in zip(with_it, without))
            medians = statistics.median(with_it), statistics.median(without)
            print("%s: %.3f s with, %.3f s without; ratio %.3f (%.3f to %.3f)" %
                  (name.lower(), *medians, statistics.median(ratios), ratios[0], ratios[-1]))


main()
