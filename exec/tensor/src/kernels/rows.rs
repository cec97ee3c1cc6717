//! Sums and functions along rows.
//!
//! A sum of up to 4,096 numbers has 32 lanes: lane l adds numbers l, l + 32, ... ascending, from
//! +0.0; then lane i takes in lane i + 16, and so on with 8, 4, 2, 1. A longer sum is the same
//! sum over the sums of its blocks of 4,096. A sum down a column is a chain per 256 rows, as in a
//! product with ones. The greatest of a row is found by comparison, left to right.

use super::fma::{Fma, Kernel};
use super::matmul::CHUNK;

const LANES: usize = 32;
const BLOCK: usize = 4096;

/// The sum of `values` in the fixed order.
pub fn sum(values: &[f32]) -> f32 {
    if values.len() > BLOCK {
        let partial: Vec<f32> = values.chunks(BLOCK).map(sum).collect();
        return sum(&partial);
    }
    let mut lanes = [0.0f32; LANES];
    for group in values.chunks(LANES) {
        for (lane, value) in lanes.iter_mut().zip(group) {
            *lane += value;
        }
    }
    for half in [16, 8, 4, 2, 1] {
        for i in 0..half {
            lanes[i] += lanes[i + half];
        }
    }
    lanes[0]
}

/// Index of the greatest value, the lowest of equals; 0 for an empty row.
pub fn argmax(row: &[f32]) -> usize {
    let mut best = 0;
    for (i, value) in row.iter().enumerate() {
        if *value > row[best] {
            best = i;
        }
    }
    best
}

/// `exp(row - greatest)` in `out`; returns the greatest and the sum.
fn exponentials(row: &[f32], out: &mut [f32]) -> (f32, f32) {
    let greatest = row.get(argmax(row)).copied().unwrap_or(0.0);
    for (out, value) in out.iter_mut().zip(row) {
        *out = libm::expf(value - greatest);
    }
    (greatest, sum(out))
}

/// Turns a row of scores into probabilities: `exp(x - greatest) / sum`.
pub(super) fn softmax(row: &[f32], out: &mut [f32]) {
    let (_, total) = exponentials(row, out);
    for out in out {
        *out /= total;
    }
}

/// `log(sum of exp(x - greatest)) - (x[label] - greatest)`; `scratch` is as long as the row.
pub(super) fn cross_entropy(row: &[f32], label: usize, scratch: &mut [f32]) -> f32 {
    let (greatest, total) = exponentials(row, scratch);
    libm::logf(total) - (row[label] - greatest)
}

/// The gradient of `scale * cross_entropy`: `(softmax - one-hot) * scale`.
pub(super) fn cross_entropy_gradient(row: &[f32], label: usize, scale: f32, out: &mut [f32]) {
    softmax(row, out);
    out[label] -= 1.0;
    for out in out {
        *out *= scale;
    }
}

/// Sums of the columns `first..first + out.len()` of a matrix `width` wide.
pub(super) struct ColumnSums<'a> {
    pub(super) matrix: &'a [f32],
    pub(super) width: usize,
    pub(super) first: usize,
    pub(super) out: &'a mut [f32],
}

impl Kernel for ColumnSums<'_> {
    type Output = ();

    #[inline(always)]
    fn run<F: Fma>(self) {
        let ColumnSums { matrix, width, first, out } = self;
        let mut chain = vec![0.0; out.len()];
        for (n, rows) in matrix.chunks(CHUNK * width).enumerate() {
            chain.fill(0.0);
            for row in rows.chunks(width) {
                for (chain, value) in chain.iter_mut().zip(&row[first..]) {
                    *chain = F::fma(1.0, *value, *chain);
                }
            }
            for (out, chain) in out.iter_mut().zip(&chain) {
                *out = if n == 0 { *chain } else { *out + chain };
            }
        }
    }
}
