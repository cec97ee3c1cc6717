//! Sums in a fixed order.
//!
//! A sum of up to 4,096 numbers has 32 lanes: lane l adds numbers l, l + 32, ... ascending, from
//! +0.0; then lane i takes in lane i + 16, and so on with 8, 4, 2, 1. A longer sum is the same
//! sum over the sums of its blocks of 4,096. A sum of products does the same with a fused
//! multiply-add in place of each addition to a lane.
//!
//! A sum down the columns of a matrix is what a product with ones is: a chain per 256 rows.

use crate::kernels::Kernels;
use crate::path::{Fma, Kernel, dispatch};
use crate::product::CHUNK;
use crate::threads::split;
use crate::vector::Lanes;

/// Lanes of a sum.
pub(crate) const LANES: usize = 32;
/// Numbers that are summed without an intermediate sum.
const BLOCK: usize = 4096;

/// Folds lanes into one number.
#[inline(always)]
pub(crate) fn fold(mut lanes: [f32; LANES]) -> f32 {
    for half in [16, 8, 4, 2, 1] {
        for i in 0..half {
            lanes[i] += lanes[i + half];
        }
    }
    lanes[0]
}

/// The sum of up to [`BLOCK`] values.
#[inline(always)]
fn block_sum<F: Fma>(values: &[f32]) -> f32 {
    let (groups, rest) = values.as_chunks::<LANES>();
    let mut sums = F::Lanes::splat(0.0);
    for group in groups {
        sums.add(group);
    }
    let mut lanes = sums.store();
    for (lane, value) in lanes.iter_mut().zip(rest) {
        *lane += value;
    }
    fold(lanes)
}

/// The sum of `values`.
#[inline(always)]
pub(crate) fn row_sum<F: Fma>(values: &[f32]) -> f32 {
    if values.len() <= BLOCK {
        return block_sum::<F>(values);
    }
    let mut partial: Vec<f32> = values.chunks(BLOCK).map(block_sum::<F>).collect();
    while partial.len() > BLOCK {
        partial = partial.chunks(BLOCK).map(block_sum::<F>).collect();
    }
    block_sum::<F>(&partial)
}

/// The sum of `a * b`.
#[inline(always)]
pub(crate) fn row_dot<F: Fma>(a: &[f32], b: &[f32]) -> f32 {
    if a.len() <= BLOCK {
        return block_dot::<F>(a, b);
    }
    let mut partial = Vec::with_capacity(a.len().div_ceil(BLOCK));
    for (a, b) in a.chunks(BLOCK).zip(b.chunks(BLOCK)) {
        partial.push(block_dot::<F>(a, b));
    }
    row_sum::<F>(&partial)
}

#[inline(always)]
fn block_dot<F: Fma>(a: &[f32], b: &[f32]) -> f32 {
    let (a_groups, a_rest) = a.as_chunks::<LANES>();
    let (b_groups, b_rest) = b.as_chunks::<LANES>();
    let mut sums = F::Lanes::splat(0.0);
    for (a, b) in a_groups.iter().zip(b_groups) {
        sums.fma(a, b);
    }
    let mut lanes = sums.store();
    for ((lane, a), b) in lanes.iter_mut().zip(a_rest).zip(b_rest) {
        *lane = F::fma(*a, *b, *lane);
    }
    fold(lanes)
}

/// The greatest of a row, minus infinity if it is empty; which of two zeros is not said.
#[inline(always)]
pub(crate) fn greatest<F: Fma>(row: &[f32]) -> f32 {
    let (groups, rest) = row.as_chunks::<LANES>();
    let mut most = F::Lanes::splat(f32::NEG_INFINITY);
    for group in groups {
        most.greatest(group);
    }
    let mut lanes = most.store();
    for (lane, value) in lanes.iter_mut().zip(rest) {
        *lane = if *value > *lane { *value } else { *lane };
    }
    lanes.into_iter().fold(f32::NEG_INFINITY, |best, lane| if lane > best { lane } else { best })
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

struct Sum<'a>(&'a [f32]);

impl Kernel for Sum<'_> {
    type Output = f32;

    #[inline(always)]
    fn run<F: Fma>(self) -> f32 {
        row_sum::<F>(self.0)
    }
}

struct Dot<'a>(&'a [f32], &'a [f32]);

impl Kernel for Dot<'_> {
    type Output = f32;

    #[inline(always)]
    fn run<F: Fma>(self) -> f32 {
        row_dot::<F>(self.0, self.1)
    }
}

/// One block of rows: the chain of each column of `a`, or of `a * b`.
struct Chains<'a> {
    a: &'a [f32],
    b: Option<&'a [f32]>,
    out: &'a mut [f32],
}

impl Kernel for Chains<'_> {
    type Output = ();

    #[inline(always)]
    fn run<F: Fma>(self) {
        let width = self.out.len();
        self.out.fill(0.0);
        match self.b {
            None => {
                for a in self.a.chunks_exact(width) {
                    for (out, a) in self.out.iter_mut().zip(a) {
                        *out += a;
                    }
                }
            }
            Some(b) => {
                for (a, b) in self.a.chunks_exact(width).zip(b.chunks_exact(width)) {
                    for ((out, a), b) in self.out.iter_mut().zip(a).zip(b) {
                        *out = F::fma(*a, *b, *out);
                    }
                }
            }
        }
    }
}

impl Kernels {
    /// The sum of `values`.
    pub fn sum(&self, values: &[f32]) -> f32 {
        if values.len() <= BLOCK {
            return dispatch(self.path(), Sum(values));
        }
        let mut partial = vec![0.0; values.len().div_ceil(BLOCK)];
        split(self, &mut partial, 1, BLOCK / 4, 1, |first, out| {
            for (out, block) in out.iter_mut().zip(values[first * BLOCK..].chunks(BLOCK)) {
                *out = dispatch(self.path(), Sum(block));
            }
        });
        self.sum(&partial)
    }

    /// The sum of `a * b`.
    pub fn dot(&self, a: &[f32], b: &[f32]) -> f32 {
        assert_eq!(a.len(), b.len(), "factors in pairs");
        dispatch(self.path(), Dot(a, b))
    }

    /// The sum of each column of a matrix `out.len()` wide.
    pub fn column_sums(&self, matrix: &[f32], out: &mut [f32]) {
        self.column_chains(matrix, None, out);
    }

    /// The sum of each column of the element-wise product of two matrices `out.len()` wide.
    pub fn column_dots(&self, a: &[f32], b: &[f32], out: &mut [f32]) {
        assert_eq!(a.len(), b.len(), "factors in pairs");
        self.column_chains(a, Some(b), out);
    }

    fn column_chains(&self, a: &[f32], b: Option<&[f32]>, out: &mut [f32]) {
        let width = out.len();
        if width == 0 || a.is_empty() {
            return out.fill(0.0);
        }
        let rows = a.len() / width;
        assert_eq!(a.len(), rows * width, "whole rows");
        let mut chains = vec![0.0; rows.div_ceil(CHUNK) * width];
        split(self, &mut chains, width, CHUNK * width / 2, 1, |first, chains| {
            for (n, out) in chains.chunks_exact_mut(width).enumerate() {
                let part =
                    (first + n) * CHUNK * width..((first + n + 1) * CHUNK * width).min(a.len());
                let (a, b) = (&a[part.clone()], b.map(|b| &b[part.clone()]));
                dispatch(self.path(), Chains { a, b, out });
            }
        });
        let (first, rest) = chains.split_at(width);
        out.copy_from_slice(first);
        for chain in rest.chunks_exact(width) {
            for (out, chain) in out.iter_mut().zip(chain) {
                *out += chain;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::path::Path;

    struct Greatest<'a>(&'a [f32]);

    impl Kernel for Greatest<'_> {
        type Output = f32;

        #[inline(always)]
        fn run<F: Fma>(self) -> f32 {
            greatest::<F>(self.0)
        }
    }

    // proves: what is no number is passed over, wherever it stands.
    #[test]
    fn the_greatest_passes_over_what_is_no_number() {
        for path in Path::ALL.into_iter().filter(|path| path.is_supported()) {
            let greatest = |row: &[f32]| dispatch(path, Greatest(row));
            for width in [2, 31, 32, 33, 70] {
                for at in 0..width {
                    let mut row = vec![f32::NAN; width];
                    assert_eq!(greatest(&row), f32::NEG_INFINITY);
                    row[at] = -3.0;
                    assert_eq!(greatest(&row), -3.0, "{at} of {width}");
                    row[(at + 1) % width] = 2.0;
                    assert_eq!(greatest(&row), 2.0, "{at} of {width}, {path:?}");
                }
            }
            assert_eq!(greatest(&[]), f32::NEG_INFINITY);
        }
    }
}
