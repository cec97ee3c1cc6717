//! Known answers: every kernel on fixed inputs, and the hash of what it gives.
//!
//! A machine whose answers differ from [`KNOWN`] computes something else, whatever the reason, and
//! may not say that its results are det-1. The inputs come from Philox and have every hazard among
//! them: signed zeros, subnormals, numbers of very different size; the functions also infinities
//! and what is no number, and arguments at which the last place of a constant shows; the fused
//! multiply-add sums that two roundings get wrong.

use std::num::NonZeroUsize;

use crate::attention::Attention;
use crate::batch_norm::Moments;
use crate::cast::{from_bf16, from_f16, to_bf16, to_f16};
use crate::convolve::Window;
use crate::elements::Function;
use crate::inputs::{arguments, edges, operands};
use crate::kernels::Kernels;
use crate::path::Path;
use crate::philox::{Stream, nearly_normal};
use crate::product::View;
use crate::recurrent::Steps;
use crate::update::{AdamW, Sgd};

pub use crate::inputs::{activations, numbers, telling};

/// A family of kernels, and the hash of its answers.
pub type Answer = (&'static str, u64);

/// The answers of det-1.
pub const KNOWN: [Answer; 17] = include!("known.in");

/// The answers of these kernels, in the order of [`KNOWN`].
pub fn answers(kernels: &Kernels) -> [Answer; 17] {
    [
        ("fused", fused(kernels)),
        ("product", product(kernels)),
        ("function", function(kernels)),
        ("function gradient", function_gradient(kernels)),
        ("sum", sum(kernels)),
        ("softmax", softmax(kernels)),
        ("cross-entropy", cross_entropy(kernels)),
        ("layer norm", layer_norm(kernels)),
        ("batch norm", batch_norm(kernels)),
        ("convolution", convolution(kernels)),
        ("pooling", pooling(kernels)),
        ("embedding", embedding(kernels)),
        ("attention", attention(kernels)),
        ("lstm", lstm(kernels)),
        ("gru", gru(kernels)),
        ("update", update(kernels)),
        ("random and cast", random_and_cast(kernels)),
    ]
}

/// The first family whose answer is not the known one.
pub fn first_wrong(kernels: &Kernels) -> Option<&'static str> {
    let pairs = answers(kernels).into_iter().zip(KNOWN);
    pairs.into_iter().find(|(answer, known)| answer != known).map(|(_, (family, _))| family)
}

/// Whether subnormal numbers are kept, in this thread and in those that kernels use.
pub fn keeps_subnormals() -> bool {
    let kept = || std::hint::black_box(f32::MIN_POSITIVE) * std::hint::black_box(0.5f32) != 0.0;
    kept() && rayon::broadcast(|_| kept()).into_iter().all(|kept| kept)
}

/// Every path of this machine with 1, 2, 3 and 7 threads among which even small work is divided.
pub fn all_kernels() -> Vec<Kernels> {
    let threads = [1, 2, 3, 7].map(|n| NonZeroUsize::new(n).unwrap_or(NonZeroUsize::MIN));
    let with = |path| threads.into_iter().filter_map(move |n| Kernels::new(path, n));
    Path::ALL.into_iter().flat_map(with).map(Kernels::dividing_everything).collect()
}

/// FNV-1a, 64 bits, over the bytes of each number, least first; one NaN stands for all.
#[derive(Clone, Copy, Debug)]
struct Hash(u64);

impl Hash {
    fn new() -> Self {
        Hash(0xcbf2_9ce4_8422_2325)
    }

    fn floats(&mut self, values: &[f32]) {
        for value in values {
            let bits = if value.is_nan() { 0x7fc0_0000 } else { value.to_bits() };
            self.word(bits);
        }
    }

    fn word(&mut self, word: u32) {
        for byte in word.to_le_bytes() {
            self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }
}

/// The hash of what `fill` puts into `n` floats.
fn filled(hash: &mut Hash, n: usize, fill: impl FnOnce(&mut [f32])) {
    let mut out = vec![f32::NAN; n];
    fill(&mut out);
    hash.floats(&out);
}

fn fused(kernels: &Kernels) -> u64 {
    let mut hash = Hash::new();
    let drawn = operands(1024, 42);
    let all = [edges(), drawn.clone()].concat();
    let [a, b, c] = [0, 1, 2].map(|i| all.iter().map(|o| o[i]).collect::<Vec<_>>());
    // Of one row, with these moments, a batch norm is `a * b + c` and nothing else.
    let moments = Moments { mean: vec![0.0; all.len()], variance: vec![1.0; all.len()] };
    filled(&mut hash, all.len(), |out| kernels.batch_norm(&a, &moments, &b, &c, 0.0, out));
    for part in drawn.chunks(16) {
        let left: Vec<f32> = part.iter().flat_map(|[a, _, c]| [*c, *a]).collect();
        let right: Vec<f32> = part.iter().map(|_| 1.0).chain(part.iter().map(|o| o[1])).collect();
        if let (Some(left), Some(right)) = (View::of(&left, 16, 2), View::of(&right, 2, 16)) {
            filled(&mut hash, 256, |out| kernels.matmul(left, right, out));
        }
    }
    hash.0
}

fn product(kernels: &Kernels) -> u64 {
    let mut hash = Hash::new();
    for (m, k, n) in [(17, 600, 37), (1, 257, 33), (64, 3, 16), (5, 1, 7)] {
        let (a, b) = (numbers(m * k, 1), numbers(k * n, 2));
        for (a, b) in [
            (View::of(&a, m, k), View::of(&b, k, n)),
            (View::of(&a, k, m).map(View::transposed), View::of(&b, n, k).map(View::transposed)),
        ] {
            if let (Some(a), Some(b)) = (a, b) {
                filled(&mut hash, m * n, |out| kernels.matmul(a, b, out));
            }
        }
    }
    hash.0
}

fn function(kernels: &Kernels) -> u64 {
    let mut hash = Hash::new();
    let x = [arguments(), telling()].concat();
    for function in Function::ALL {
        filled(&mut hash, x.len(), |out| kernels.apply(function, &x, out));
    }
    filled(&mut hash, 1000, |out| kernels.add_bias(&numbers(1000, 3), &numbers(8, 4), out));
    hash.0
}

fn function_gradient(kernels: &Kernels) -> u64 {
    let mut hash = Hash::new();
    let x = arguments();
    let upstream = activations(x.len(), 5);
    for function in Function::ALL {
        let mut y = vec![0.0; x.len()];
        kernels.apply(function, &x, &mut y);
        filled(&mut hash, x.len(), |out| {
            kernels.apply_gradient(function, &x, &y, &upstream, out);
        });
    }
    hash.0
}

fn sum(kernels: &Kernels) -> u64 {
    let mut hash = Hash::new();
    for n in [0, 1, 33, 4096, 4097, 20_000] {
        let (a, b) = (numbers(n, 6), numbers(n, 7));
        hash.floats(&[kernels.sum(&a), kernels.dot(&a, &b), kernels.norm(&[&a, &b])]);
    }
    for (rows, width) in [(600, 5), (1, 3), (257, 40)] {
        let (a, b) = (numbers(rows * width, 8), numbers(rows * width, 9));
        filled(&mut hash, width, |out| kernels.column_sums(&a, out));
        filled(&mut hash, width, |out| kernels.column_dots(&a, &b, out));
    }
    hash.0
}

fn softmax(kernels: &Kernels) -> u64 {
    let mut hash = Hash::new();
    for width in [1, 10, 65, 4100] {
        let rows = if width > 1000 { 2 } else { 9 };
        let (x, g) = (activations(rows * width, 10), activations(rows * width, 11));
        let mut y = vec![0.0; x.len()];
        kernels.softmax(&x, width, &mut y);
        hash.floats(&y);
        filled(&mut hash, x.len(), |out| kernels.softmax_gradient(&y, &g, width, out));
    }
    hash.0
}

fn cross_entropy(kernels: &Kernels) -> u64 {
    let mut hash = Hash::new();
    for classes in [2, 10, 65] {
        let rows = 40;
        let scores = numbers(rows * classes, 12);
        let scores: Vec<f32> = scores.iter().map(|score| score * 0.01).collect();
        let labels: Vec<u32> = (0..rows).map(|i| (i * 7 % classes) as u32).collect();
        hash.floats(&[kernels.cross_entropy(&scores, classes, &labels)]);
        filled(&mut hash, scores.len(), |out| {
            kernels.cross_entropy_gradient(&scores, classes, &labels, 0.5, out);
        });
    }
    hash.0
}

fn layer_norm(kernels: &Kernels) -> u64 {
    let mut hash = Hash::new();
    for width in [1, 24, 100] {
        let (x, g) = (activations(7 * width, 13), activations(7 * width, 14));
        let (gain, shift) = (activations(width, 15), activations(width, 16));
        filled(&mut hash, x.len(), |out| kernels.layer_norm(&x, &gain, &shift, 1e-5, out));
        let (dx, d_gain, d_shift) = kernels.layer_norm_gradient(&x, &gain, &g, 1e-5);
        [dx, d_gain, d_shift].iter().for_each(|part| hash.floats(part));
    }
    hash.0
}

fn batch_norm(kernels: &Kernels) -> u64 {
    let mut hash = Hash::new();
    for (rows, width) in [(300, 12), (5, 3)] {
        let (x, g) = (activations(rows * width, 17), activations(rows * width, 18));
        let (gain, shift) = (activations(width, 19), activations(width, 20));
        let moments = kernels.moments(&x, width);
        hash.floats(&moments.mean);
        hash.floats(&moments.variance);
        filled(&mut hash, x.len(), |out| {
            kernels.batch_norm(&x, &moments, &gain, &shift, 1e-5, out);
        });
        let (dx, d_gain, d_shift) = kernels.batch_norm_gradient(&x, &moments, &gain, &g, 1e-5);
        [dx, d_gain, d_shift].iter().for_each(|part| hash.floats(part));
    }
    hash.0
}

/// Two convolutions: one with padding, one with steps over the edge and several channels.
fn windows() -> [Window; 2] {
    let window =
        Window { images: 3, size: [9, 8], channels: 2, kernel: [3, 3], stride: 1, padding: 1 };
    [
        window,
        Window { images: 2, size: [11, 7], channels: 5, kernel: [2, 3], stride: 2, padding: 0 },
    ]
}

fn convolution(kernels: &Kernels) -> u64 {
    let mut hash = Hash::new();
    for window in windows() {
        let [rows, cols] = window.output().unwrap_or_default();
        let channels = 6;
        let places = window.images * rows * cols;
        let x = activations(window.images * window.image(), 21);
        let weights = activations(channels * window.patch(), 22);
        let g = activations(places * channels, 23);
        filled(&mut hash, g.len(), |out| kernels.convolve(window, &x, &weights, out));
        filled(&mut hash, weights.len(), |out| kernels.convolve_weights(window, &x, &g, out));
        filled(&mut hash, x.len(), |out| kernels.convolve_images(window, &weights, &g, out));
    }
    hash.0
}

fn pooling(kernels: &Kernels) -> u64 {
    let mut hash = Hash::new();
    for window in windows() {
        let [rows, cols] = window.output().unwrap_or_default();
        let results = window.images * rows * cols * window.channels;
        let plain = activations(window.images * window.image(), 24);
        // Few values, so that some are equal.
        let x: Vec<f32> = plain.iter().map(|x| (x * 3.0).round()).collect();
        let g = activations(results, 25);
        filled(&mut hash, results, |out| kernels.max_pool(window, &x, out));
        filled(&mut hash, x.len(), |out| kernels.max_pool_gradient(window, &x, &g, out));
        filled(&mut hash, results, |out| kernels.mean_pool(window, &plain, out));
        filled(&mut hash, x.len(), |out| kernels.mean_pool_gradient(window, &g, out));
    }
    hash.0
}

fn embedding(kernels: &Kernels) -> u64 {
    let mut hash = Hash::new();
    let (rows, width) = (7, 20);
    let ids: Vec<u32> = (0..2000u32).map(|i| (i * i) % rows).collect();
    let table = numbers(rows as usize * width, 26);
    let g = activations(ids.len() * width, 27);
    filled(&mut hash, g.len(), |out| kernels.embed(&table, width, &ids, out));
    filled(&mut hash, table.len(), |out| kernels.embed_gradient(&ids, width, &g, out));
    hash.0
}

fn attention(kernels: &Kernels) -> u64 {
    let mut hash = Hash::new();
    for causal in [true, false] {
        let attention = Attention { places: 21, width: 24, heads: 3, causal };
        let n = 3 * 21 * 24;
        let (qkv, g) = (activations(3 * n, 28), activations(n, 29));
        filled(&mut hash, n, |out| kernels.attention(attention, &qkv, out));
        filled(&mut hash, 3 * n, |out| kernels.attention_gradient(attention, &qkv, &g, out));
    }
    hash.0
}

fn lstm(kernels: &Kernels) -> u64 {
    let mut hash = Hash::new();
    let s = Steps { steps: 5, rows: 3, width: 18 };
    let n = s.steps * s.rows * s.width;
    let (x, u, g) = (activations(4 * n, 30), activations(4 * 18 * 18, 31), activations(n, 32));
    let mut states = vec![0.0; n];
    let tape = kernels.lstm(s, &x, &u, &mut states);
    hash.floats(&states);
    let (dx, du) = kernels.lstm_gradient(s, &u, &states, &tape, &g);
    [dx, du].iter().for_each(|part| hash.floats(part));
    hash.0
}

fn gru(kernels: &Kernels) -> u64 {
    let mut hash = Hash::new();
    let s = Steps { steps: 5, rows: 3, width: 18 };
    let n = s.steps * s.rows * s.width;
    let (x, u, g) = (activations(3 * n, 33), activations(3 * 18 * 18, 34), activations(n, 35));
    let mut states = vec![0.0; n];
    let tape = kernels.gru(s, &x, &u, &activations(3 * 18, 36), &mut states);
    hash.floats(&states);
    let (dx, du, d_bias) = kernels.gru_gradient(s, &u, &states, &tape, &g);
    [dx, du, d_bias].iter().for_each(|part| hash.floats(part));
    hash.0
}

fn update(kernels: &Kernels) -> u64 {
    let mut hash = Hash::new();
    let n = 1003;
    let (mut p, g, mut m) = (numbers(n, 37), numbers(n, 38), numbers(n, 39));
    kernels.sgd(Sgd { lr: 0.1, momentum: 0.9, decay: 0.01 }, &mut p, &g, &mut m);
    let mut v: Vec<f32> = numbers(n, 40).iter().map(|v| v.abs()).collect();
    let rule = AdamW {
        lr: 0.003,
        beta1: 0.9,
        beta2: 0.999,
        eps: 1e-8,
        keep: 0.9997,
        correction1: 0.19,
        correction2: 0.002,
    };
    kernels.adamw(rule, &mut p, &g, &mut m, &mut v);
    kernels.scale(&mut v, 0.3);
    [p, m, v].iter().for_each(|part| hash.floats(part));
    hash.0
}

fn random_and_cast(kernels: &Kernels) -> u64 {
    let mut hash = Hash::new();
    let stream = Stream { key: [7, 8], purpose: [9, 10] };
    let x = activations(1000, 41);
    filled(&mut hash, x.len(), |out| kernels.dropout(stream, 0.3, &x, out));
    let normal = |i: u64| nearly_normal([0, 1, 2].map(|j| stream.block(3 * i + j)));
    hash.floats(&(0..100).map(normal).collect::<Vec<_>>());
    // Among them numbers halfway between two halves.
    let halfway = (0..2048u32).map(|i| f32::from_bits(i << 21 | i << 16 | 0x8000));
    for x in arguments().into_iter().chain(halfway) {
        hash.floats(&[from_bf16(to_bf16(x)), from_f16(to_f16(x))]);
    }
    hash.0
}
