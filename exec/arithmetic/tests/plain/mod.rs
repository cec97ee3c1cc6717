//! The sums of docs/arithmetic.md as plainly as it reads, and how kernels are held against them.
#![allow(
    dead_code,
    missing_docs,
    unreachable_pub,
    clippy::unwrap_used,
    reason = "helpers of tests"
)]

use lab_arithmetic::battery::all_kernels;
use lab_arithmetic::{Function, Kernels, Path};

pub fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|v| if v.is_nan() { 0x7fc0_0000 } else { v.to_bits() }).collect()
}

pub fn check(expected: &[f32], what: &str, compute: impl Fn(&Kernels, &mut [f32])) {
    for kernels in all_kernels() {
        let mut out = vec![f32::NAN; expected.len()];
        compute(&kernels, &mut out);
        assert!(bits(&out) == bits(expected), "{what} on {kernels:?}");
    }
}

/// Chains of 256, added ascending.
pub fn chains(terms: impl Iterator<Item = (f32, f32)>) -> f32 {
    let terms: Vec<(f32, f32)> = terms.collect();
    let chain = |part: &[(f32, f32)]| part.iter().fold(0.0f32, |sum, (a, b)| a.mul_add(*b, sum));
    terms.chunks(256).map(chain).reduce(|total, chain| total + chain).unwrap_or(0.0)
}

/// 32 strided lanes, folded by halves; blocks of 4,096.
pub fn lanes(terms: &[(f32, f32)]) -> f32 {
    if terms.len() > 4096 {
        let partial: Vec<_> = terms.chunks(4096).map(|part| (1.0, lanes(part))).collect();
        return lanes(&partial);
    }
    let lane =
        |l: usize| terms.iter().skip(l).step_by(32).fold(0.0f32, |sum, (a, b)| a.mul_add(*b, sum));
    let mut lanes: Vec<f32> = (0..32).map(lane).collect();
    while lanes.len() > 1 {
        let upper = lanes.split_off(lanes.len() / 2);
        lanes.iter_mut().zip(upper).for_each(|(low, high)| *low += high);
    }
    lanes[0]
}

pub fn sum(values: &[f32]) -> f32 {
    lanes(&values.iter().map(|v| (1.0, *v)).collect::<Vec<_>>())
}

pub fn dot(a: &[f32], b: &[f32]) -> f32 {
    lanes(&a.iter().copied().zip(b.iter().copied()).collect::<Vec<_>>())
}

/// A function of one number, as the kernels have it: these are tested by their accuracy.
pub fn at(function: Function, x: f32) -> f32 {
    let mut out = [0.0];
    let kernels = Kernels::new(Path::Generic, std::num::NonZeroUsize::MIN).unwrap();
    kernels.apply(function, &[x], &mut out);
    out[0]
}

pub fn exp(x: f32) -> f32 {
    at(Function::Exp, x)
}

pub fn softmax(row: &[f32]) -> Vec<f32> {
    let greatest = row.iter().copied().fold(f32::NEG_INFINITY, |g, x| if x > g { x } else { g });
    let all: Vec<f32> = row.iter().map(|x| exp(x - greatest)).collect();
    let total = sum(&all);
    all.iter().map(|e| e / total).collect()
}
