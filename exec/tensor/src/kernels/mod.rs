//! The arithmetic of engine `lab-f32-1`: fixed-order f32 kernels on plain slices.
//!
//! * f32, round to nearest, subnormals kept; only `+ - * /`, square root, fused multiply-add,
//!   comparison and selection. f64 only for numbers that exist once per step.
//! * The order of every sum is fixed and stated: products in chains of [`CHUNK`],
//!   rows in [`sum`]. Threads and vectors split outputs, never a sum.
//! * `exp`, `log` and `tanh` are those of the `libm` crate, which is integer and float operations
//!   in Rust and asks no platform. An update of it that changes a bit is a new engine.
//! * No result depends on the instruction set ([`Path`]), on threads, on the optimisation level.
//!
//! Callers check shapes; a slice of the wrong length here is a bug and panics.

mod fma;
mod matmul;
mod rows;
mod update;

use std::num::NonZeroUsize;

pub use fma::Path;
pub use matmul::{CHUNK, View};
pub use rows::{argmax, sum};
pub use update::{AdamW, Sgd};

use fma::dispatch;
use matmul::{Panels, ROWS, product};
use rows::ColumnSums;
use update::{AdamWStep, SgdStep};

/// A thread is worth starting for this many multiply-adds: about 0.1 ms.
const WORK_PER_THREAD: usize = 1 << 21;
/// What an exponential counts for in multiply-adds.
const EXPONENTIAL: usize = 64;

/// How this process computes: which compiled form, on how many threads. Neither shows in a bit of
/// any result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kernels {
    path: Path,
    threads: NonZeroUsize,
}

impl Kernels {
    /// The fastest form that this machine has, on every processor that it may use.
    pub fn detect() -> Self {
        let path = Path::ALL.into_iter().find(|p| p.is_supported()).unwrap_or(Path::Software);
        let threads = std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
        Kernels { path, threads }
    }

    /// This form on so many threads; none if the machine lacks it.
    pub fn new(path: Path, threads: NonZeroUsize) -> Option<Self> {
        path.is_supported().then_some(Kernels { path, threads })
    }

    /// Whether the processor keeps subnormal numbers. A library that was compiled for speed over
    /// all can switch that off for the whole process, and other bits come out.
    pub fn keeps_subnormals(&self) -> bool {
        std::hint::black_box(f32::MIN_POSITIVE) * std::hint::black_box(0.5) != 0.0
    }

    /// `out = a * b`, row after row.
    pub fn matmul(&self, a: View<'_>, b: View<'_>, out: &mut [f32]) {
        assert_eq!((a.cols(), a.rows() * b.cols()), (b.rows(), out.len()), "shapes of a product");
        let panels = Panels::pack(b);
        let work = a.cols() * b.cols();
        self.split(out, b.cols(), work, ROWS, |first, out| {
            let rows = first..first + out.len() / b.cols();
            product(self.path, a, rows, &panels, out);
        });
    }

    /// `out = x + bias`, the bias added to each row.
    pub fn add_bias(&self, x: &[f32], bias: &[f32], out: &mut [f32]) {
        for (out, x) in out.chunks_mut(bias.len().max(1)).zip(x.chunks(bias.len().max(1))) {
            for ((out, x), bias) in out.iter_mut().zip(x).zip(bias) {
                *out = x + bias;
            }
        }
    }

    /// The sum of each column of a matrix `out.len()` wide.
    pub fn column_sums(&self, matrix: &[f32], out: &mut [f32]) {
        let width = out.len();
        if matrix.is_empty() {
            return out.fill(0.0);
        }
        let work = matrix.len() / width.max(1);
        self.split(out, 1, work, 1, |first, out| {
            dispatch(self.path, ColumnSums { matrix, width, first, out });
        });
    }

    /// `out = +0.0` where `x <= 0`, else `x`; what is not a number stays that.
    pub fn relu(&self, x: &[f32], out: &mut [f32]) {
        for (out, x) in out.iter_mut().zip(x) {
            *out = if *x <= 0.0 { 0.0 } else { *x };
        }
    }

    /// `out = +0.0` where `x <= 0`, else `g`.
    pub fn relu_gradient(&self, x: &[f32], g: &[f32], out: &mut [f32]) {
        for ((out, x), g) in out.iter_mut().zip(x).zip(g) {
            *out = if *x <= 0.0 { 0.0 } else { *g };
        }
    }

    /// `out = tanh(x)`.
    pub fn tanh(&self, x: &[f32], out: &mut [f32]) {
        self.split(out, 1, EXPONENTIAL, 1, |first, out| {
            for (out, x) in out.iter_mut().zip(&x[first..]) {
                *out = libm::tanhf(*x);
            }
        });
    }

    /// `out = g * (1 - y * y)`, where `y = tanh(x)`.
    pub fn tanh_gradient(&self, y: &[f32], g: &[f32], out: &mut [f32]) {
        for ((out, y), g) in out.iter_mut().zip(y).zip(g) {
            *out = g * (1.0 - y * y);
        }
    }

    /// Probabilities of each row of scores, `classes` wide.
    pub fn softmax(&self, scores: &[f32], classes: usize, out: &mut [f32]) {
        self.split(out, classes, classes * EXPONENTIAL, 1, |first, out| {
            let scores = scores[first * classes..].chunks(classes);
            for (out, row) in out.chunks_mut(classes).zip(scores) {
                rows::softmax(row, out);
            }
        });
    }

    /// The mean over rows of the cross-entropy between the softmax of the scores and the labels,
    /// which are below `classes`.
    pub fn cross_entropy(&self, scores: &[f32], classes: usize, labels: &[i64]) -> f32 {
        let mut losses = vec![0.0; labels.len()];
        self.split(&mut losses, 1, classes * EXPONENTIAL, 1, |first, out| {
            let mut scratch = vec![0.0; classes];
            let rows = scores[first * classes..].chunks(classes).zip(&labels[first..]);
            for (out, (row, label)) in out.iter_mut().zip(rows) {
                *out = rows::cross_entropy(row, *label as usize, &mut scratch);
            }
        });
        sum(&losses) / labels.len() as f32
    }

    /// The gradient of [`Kernels::cross_entropy`] times `upstream`.
    pub fn cross_entropy_gradient(
        &self,
        scores: &[f32],
        classes: usize,
        labels: &[i64],
        upstream: f32,
        out: &mut [f32],
    ) {
        let scale = upstream / labels.len() as f32;
        self.split(out, classes, classes * EXPONENTIAL, 1, |first, out| {
            let rows = scores[first * classes..].chunks(classes).zip(&labels[first..]);
            for (out, (row, label)) in out.chunks_mut(classes).zip(rows) {
                rows::cross_entropy_gradient(row, *label as usize, scale, out);
            }
        });
    }

    /// One step of momentum descent.
    pub fn sgd(&self, rule: Sgd, parameter: &mut [f32], gradient: &[f32], velocity: &mut [f32]) {
        assert_eq!((parameter.len(), gradient.len()), (gradient.len(), velocity.len()));
        dispatch(self.path, SgdStep { rule, parameter, gradient, velocity });
    }

    /// One step of AdamW; `first` and `second` are the moments.
    pub fn adamw(
        &self,
        rule: AdamW,
        parameter: &mut [f32],
        gradient: &[f32],
        first: &mut [f32],
        second: &mut [f32],
    ) {
        assert_eq!((parameter.len(), gradient.len()), (gradient.len(), first.len()));
        assert_eq!(first.len(), second.len());
        dispatch(self.path, AdamWStep { rule, parameter, gradient, first, second });
    }

    /// Calls `fill(first row, its part of out)` on as many threads as the work is worth. `out` is
    /// `width` wide; a part is a multiple of `grain` rows.
    fn split(
        &self,
        out: &mut [f32],
        width: usize,
        work_per_row: usize,
        grain: usize,
        fill: impl Fn(usize, &mut [f32]) + Sync,
    ) {
        if out.is_empty() {
            return;
        }
        let rows = out.len() / width;
        let worth = rows.saturating_mul(work_per_row) / WORK_PER_THREAD;
        let threads = self.threads.get().min(worth).min(rows.div_ceil(grain));
        if threads <= 1 {
            return fill(0, out);
        }
        let part = rows.div_ceil(threads).next_multiple_of(grain);
        std::thread::scope(|scope| {
            for (n, out) in out.chunks_mut(part * width).enumerate() {
                let fill = &fill;
                scope.spawn(move || fill(n * part, out));
            }
        });
    }
}

#[cfg(test)]
mod reference;
