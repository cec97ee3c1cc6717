#!/usr/bin/env python3
"""Shows that the known answers can fail: in a copy of the kernels one operation of each family is put in another order, or rounded
once more or once less, or a constant is off by one in its last place. The mathematics stays the same, and nearly all digits; the
battery has to see it."""

import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

TOP = pathlib.Path(__file__).resolve().parent.parent.parent

# Family, file, what stands there, what is put in its place.
MUTATIONS = [
    ("fma, rounded twice", "fma.rs", "f64::from_bits(odd) as f32", "sum as f32"),
    ("product", "product.rs", "pub const CHUNK: usize = 256;", "pub const CHUNK: usize = 128;"),
    ("sum", "sums.rs", "lanes[i] += lanes[i + half];", "lanes[i] += lanes[2 * half - 1 - i];"),
    ("dot", "vector.rs", "*lanes = a.fma(b, *lanes);", "*lanes = a.fma(b, V::splat(0.0)).add(*lanes);"),
    ("exp", "functions.rs", "1.0 + F::fma(r * r, p, r)", "F::fma(r * r, p, 1.0 + r)"),
    ("log", "functions.rs", "F::fma(k, LN2_HIGH, f + tail)", "F::fma(k, LN2_HIGH, f) + tail"),
    ("tanh", "functions.rs", "F::fma(square * x, polynomial::<F, 5>(TANH, square), x)", "x + square * x * polynomial::<F, 5>(TANH, square)"),
    ("tanh, last place", "functions.rs", "0xbbba_98a9", "0xbbba_98aa"),
    ("slope", "elements.rs", "|_x, y| F::fma(-y, y, 1.0)", "|_x, y| 1.0 - y * y"),
    ("softmax", "rows.rs", "*out /= total;", "*out *= 1.0 / total;"),
    ("cross-entropy", "rows.rs", "log::<F>(total) - (row[*label as usize] - greatest)", "(log::<F>(total) + greatest) - row[*label as usize]"),
    ("layer norm", "rows.rs", "F::fma(*out * scale, *gain, *shift)", "*out * scale * *gain + *shift"),
    ("layer norm, gradient", "rows.rs", "scale * F::fma(-*z, along, *dx - mean)", "scale * (F::fma(-*z, along, *dx) - mean)"),
    ("batch norm", "batch_norm.rs", "*out = (x - mean) * scale;", "*out = x * scale - mean * scale;"),
    ("convolution", "convolve.rs", "for ky in 0..self.kernel[0] {\n                let Some(row)", "for ky in (0..self.kernel[0]).rev() {\n                let Some(row)"),
    ("pooling", "pool.rs", "for tap in taps {\n                    let tap", "for tap in taps.iter().rev() {\n                    let tap"),
    ("embedding", "embed.rs", "for place in places {", "for place in places.iter().rev() {"),
    ("attention", "attention.rs", "*g = *row * self.scale;", "*g = *row / (1.0 / self.scale);"),
    ("lstm", "recurrent.rs", "F::fma(f[j], before[j], cell[j])", "f[j] * before[j] + cell[j]"),
    ("gru", "recurrent.rs", "x[j] + (u[j] + self.bias[j])", "(x[j] + u[j]) + self.bias[j]"),
    ("update", "update.rs", "(new2 * g) * g", "new2 * (g * g)"),
    ("dropout", "dropout.rs", "x * scale", "x / (1.0 - rate)"),
    ("cast", "cast.rs", "0x7fff + (bits >> 16 & 1)", "0x8000"),
]


def answers(folder, target):
    command = ["cargo", "run", "--quiet", "--release", "--example", "answers", "--", "one"]
    # The answers are those of every build, and unoptimised a mutation is built in two seconds instead of fifteen.
    environment = dict(os.environ, CARGO_TARGET_DIR=str(target), CARGO_PROFILE_RELEASE_OPT_LEVEL="0")
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)


def copy(folder):
    shutil.copytree(TOP / "exec/arithmetic", folder)
    # A crate by itself: what the workspace says is said here.
    said = {"edition": '"2024"', "rayon": '"1"', "version": '"0.0.0"'}
    lines = []
    for line in (folder / "Cargo.toml").read_text().replace("[lints]\nworkspace = true", "").splitlines():
        key = line.removesuffix(".workspace = true")
        if key == line:
            lines.append(line)
        elif key in said:
            lines.append(f"{key} = {said[key]}")
    (folder / "Cargo.toml").write_text("\n".join([*lines, "[workspace]", ""]))
    shutil.copy(TOP / "Cargo.lock", folder / "Cargo.lock")


def main():
    with tempfile.TemporaryDirectory() as scratch:
        folder, target = pathlib.Path(scratch) / "arithmetic", pathlib.Path(scratch) / "target"
        copy(folder)
        honest = answers(folder, target)
        if honest.returncode != 0:
            sys.exit(f"the copy does not even have the known answers:\n{honest.stdout}{honest.stderr}")
        unseen = []
        for family, name, old, new in MUTATIONS:
            path = folder / "src" / name
            text = path.read_text()
            if old not in text:
                sys.exit(f"{family}: {name} no longer says `{old}`: this list has to follow")
            path.write_text(text.replace(old, new))
            result = answers(folder, target)
            if "DIFFERS" not in result.stdout:
                unseen.append(family)
                print(f"{family:22} NOT SEEN\n{result.stderr[-2000:]}")
            else:
                families = {line[20:38].strip() for line in result.stdout.splitlines() if "DIFFERS" in line}
                print(f"{family:22} seen in: {', '.join(sorted(families))}")
            path.write_text(text)
        sys.exit(f"not seen: {', '.join(unseen)}" if unseen else 0)


if __name__ == "__main__":
    main()
