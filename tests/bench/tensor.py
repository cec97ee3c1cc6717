#!/usr/bin/env python3
"""lab's tensor engine beside PyTorch and candle, in one run: kernels, and steps of training.

    python3 tests/bench/tensor.py LAB [ROUNDS]         with a Python that has torch; LAB is a release build

Each round times lab and the others one after the other; what is printed is the median over rounds of lab's time divided by the
other's. Below 1 is faster than the other. Kernels: one thread, least wall time of some repetitions. Steps: one thread, CPU time
of whole trainings of the same model on the same data, start-up of all left out. Candle trains by exec/tensor/examples/plain.rs,
whose losses are compared with those of lab first.
"""

import json
import os
import pathlib
import resource
import statistics
import subprocess
import sys
import tempfile
import time

import torch
import torch.nn.functional as F
from torch import nn

HERE = pathlib.Path(__file__).resolve().parent
TOP = HERE.parent.parent


def least(repetitions, run):
    times = []
    for _ in range(repetitions):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return min(times)


def kernels_of_torch():
    seconds = {}
    with torch.no_grad():
        for n in (256, 1024, 2048):
            a, b = torch.randn(n, n), torch.randn(n, n)
            out = torch.empty(n, n)
            seconds[f"gemm-{n}"] = least(40 if n == 256 else 6, lambda: torch.mm(a, b, out=out))
        x = torch.rand(1024 * 1024) * 4 - 2
        out = torch.empty_like(x)
        seconds["exp"] = least(20, lambda: torch.exp(x, out=out))
        positive = x.abs()
        seconds["log"] = least(20, lambda: torch.log(positive, out=out))
        seconds["tanh"] = least(20, lambda: torch.tanh(x, out=out))
        seconds["gelu"] = least(20, lambda: F.gelu(x, approximate="tanh"))
        square = x.view(1024, 1024)
        seconds["softmax"] = least(20, lambda: torch.softmax(square, 1))
        gain, shift = torch.rand(1024), torch.rand(1024)
        seconds["layer-norm"] = least(20, lambda: F.layer_norm(square, (1024,), gain, shift))
    return seconds


def kernels_of_lab(speed, threads="1"):
    # Candle takes as many threads as this says.
    environment = dict(os.environ, RAYON_NUM_THREADS=threads)
    text = subprocess.run([speed, threads], check=True, capture_output=True, text=True, env=environment).stdout
    return {name: float(value) for name, value in (line.split() for line in text.splitlines())}


class Block(nn.Module):
    """The block of lab's transformer: normalisation first, gelu in its tanh form."""

    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x):
        rows, places, width = x.shape
        q, k, v = self.qkv(self.norm1(x)).split(width, 2)
        split = lambda t: t.view(rows, places, self.heads, width // self.heads).transpose(1, 2)
        y = F.scaled_dot_product_attention(split(q), split(k), split(v), is_causal=True)
        x = x + self.out(y.transpose(1, 2).reshape(rows, places, width))
        return x + self.down(F.gelu(self.up(self.norm2(x)), approximate="tanh"))


class Transformer(nn.Module):
    def __init__(self, tokens, width, heads, depth, context):
        super().__init__()
        self.embed, self.places = nn.Embedding(tokens, width), nn.Embedding(context, width)
        self.blocks = nn.Sequential(*[Block(width, heads) for _ in range(depth)])
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, tokens)

    def forward(self, x):
        h = self.embed(x) + self.places(torch.arange(x.shape[1]))
        return self.head(self.norm(self.blocks(h)))


class Lstm(nn.Module):
    def __init__(self, tokens, width):
        super().__init__()
        self.embed = nn.Embedding(tokens, width // 2)
        self.lstm = nn.LSTM(width // 2, width)
        self.head = nn.Linear(width, tokens)

    def forward(self, x):
        return self.head(self.lstm(self.embed(x))[0])


def mlp():
    return nn.Sequential(nn.Linear(64, 256), nn.ReLU(), nn.Linear(256, 128), nn.ReLU(), nn.Linear(128, 10))


def lenet():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = nn.Conv2d(1, 16, 5, padding=2), nn.Conv2d(16, 32, 3, padding=1)
            self.c, self.d = nn.Linear(32 * 49, 128), nn.Linear(128, 10)

        def forward(self, x):
            x = F.max_pool2d(F.relu(self.a(x)), 2)
            x = F.max_pool2d(F.relu(self.b(x)), 2)
            return self.d(F.relu(self.c(x.flatten(1))))

    return Net()


def train_of_torch(model, batches, lr):
    """CPU seconds of training on batches that are made beforehand."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=lr, weight_decay=0.0)
    start = time.process_time()
    for x, y in batches:
        optimizer.zero_grad()
        scores = model(x)
        F.cross_entropy(scores.reshape(-1, scores.shape[-1]), y.reshape(-1)).backward()
        optimizer.step()
    return time.process_time() - start


CPU = {min(os.sched_getaffinity(0))}


def cpu(folder, command):
    """CPU seconds of a command on one processor."""
    # Candle asks this, not how many processors it may use; more threads than these would wait for each other by spinning.
    environment = dict(os.environ, RAYON_NUM_THREADS="1")
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, check=True, cwd=folder, env=environment, stdout=subprocess.DEVNULL, preexec_fn=lambda: os.sched_setaffinity(0, CPU))
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def two_epochs(run):
    """CPU seconds of two epochs of what takes a number of them; start-up and preparation cancel out."""
    return run(3) - run(1)


def train_of_lab(lab, folder, program):
    return two_epochs(lambda epochs: cpu(folder, [lab, "--quiet", "run", program, "--again", "--set", f"train.epochs={epochs}"]))


def train_of_candle(plain, folder, program):
    return two_epochs(lambda epochs: cpu(folder, [plain, program, str(epochs)]))


def programs(folder):
    """Programs of two epochs more than one, and what PyTorch does in as many steps."""
    data = TOP / "tests/data"
    text = "[inputs]\ntext = \"%s\"\n[prepare]\nform = \"text\"\ntext = \"text\"\ntest = 0.9\nunknown = \"reserve\"\n[train]\nstate_every = 0\n%s"
    shakespeare = data / "tinyshakespeare.txt.gz"
    steps = lambda tokens, batch, context: 2 * ((tokens // context - 1 + batch - 1) // batch)
    (folder / "transformer.toml").write_text(text % (shakespeare, "model = \"transformer\"\nwidth = 128\ndepth = 1\nheads = 4\ncontext = 128\nbatch = 16\n"))
    (folder / "lstm.toml").write_text(text % (shakespeare, "model = \"lstm\"\nwidth = 256\ndepth = 1\ncontext = 64\nbatch = 32\n"))
    (folder / "mlp.toml").write_text(
        f"[inputs]\ndata = \"{TOP / 'cli/data/digits.csv.gz'}\"\n[prepare]\ntable = \"data\"\nlabel = -1\n[train]\nstate_every = 0\nmodel = \"mlp\"\nhidden = [256, 128]\n")
    (folder / "lenet.toml").write_text(
        f"[inputs]\nimages = \"{data / 'mnist-t10k-images-idx3-ubyte.gz'}\"\nlabels = \"{data / 'mnist-t10k-labels-idx1-ubyte.gz'}\"\n"
        "[prepare]\nform = \"images\"\nimages = \"images\"\nlabels = \"labels\"\ntest = 0.8\n[train]\nstate_every = 0\nmodel = \"lenet\"\nwidth = 16\n")
    ids = lambda *shape: torch.randint(0, 60, shape)
    n = steps(111539, 16, 128)
    m = steps(111539, 32, 64)
    return {
        "transformer": lambda: train_of_torch(Transformer(66, 128, 4, 1, 128), [(ids(16, 128), ids(16, 128)) for _ in range(n)], 0.001),
        "lstm": lambda: train_of_torch(Lstm(66, 256), [(ids(64, 32), ids(64, 32)) for _ in range(m)], 0.001),
        "mlp": lambda: train_of_torch(mlp(), [(torch.rand(32, 64), torch.randint(0, 10, (32,))) for _ in range(2 * 45)], 0.001),
        "lenet": lambda: train_of_torch(lenet(), [(torch.rand(32, 1, 28, 28), torch.randint(0, 10, (32,))) for _ in range(2 * 63)], 0.001),
    }


def main():
    lab = str(pathlib.Path(sys.argv[1]).resolve())
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 5
    torch.set_num_threads(1)
    subprocess.run(["cargo", "build", "--quiet", "--release", "-p", "lab-tensor", "--example", "speed", "--example", "plain"], check=True, cwd=TOP)
    target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", TOP / "target")).resolve()
    speed, plain = (str(target / "release/examples" / name) for name in ("speed", "plain"))
    ratios = {}
    note = lambda name, ratio: ratios.setdefault(name, []).append(ratio)
    for _ in range(rounds):
        ours, theirs = kernels_of_lab(speed), kernels_of_torch()
        two = kernels_of_lab(speed, "2")
        for name, seconds in theirs.items():
            note(f"{name} / PyTorch", ours[name] / seconds)
        for n in (256, 1024, 2048):
            note(f"gemm-{n} / candle", ours[f"gemm-{n}"] / ours[f"candle-gemm-{n}"])
        note("gemm-2048 on 2 threads / on 1", two["gemm-2048"] / ours["gemm-2048"])
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        subprocess.run([lab, "--quiet", "init"], check=True, cwd=folder)
        trainings = programs(folder)
        subprocess.run([plain, "transformer.toml", "1", "check"], check=True, cwd=folder)
        for name, train in trainings.items():
            for _ in range(rounds):
                ours = train_of_lab(lab, folder, f"{name}.toml")
                note(f"step {name} / PyTorch", ours / train())
                if name == "transformer":
                    note(f"step {name} / candle", ours / train_of_candle(plain, folder, f"{name}.toml"))
    print(f"torch {torch.__version__}, {rounds} rounds; time of lab divided by that of the other, median (least, most)")
    for name, values in ratios.items():
        print(f"  {name:32} {statistics.median(values):.2f}   ({min(values):.2f} … {max(values):.2f})")
    print(json.dumps({name: statistics.median(values) for name, values in ratios.items()}))


if __name__ == "__main__":
    main()
