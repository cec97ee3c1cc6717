//! Softmax, cross-entropy and layer normalisation: functions of a row.
//!
//! Sums along a row are those of [`crate::sums`].

use crate::functions::{exp, log};
use crate::kernels::Kernels;
use crate::path::{Fma, Kernel, dispatch};
use crate::sums::{greatest, row_dot, row_sum};
use crate::threads::split;

/// What an exponential counts for in multiply-adds.
const EXPONENTIAL: usize = 24;

/// `exp(x - greatest)` in `out`; returns the greatest and the sum.
#[inline(always)]
pub(crate) fn exponentials<F: Fma>(row: &[f32], out: &mut [f32]) -> (f32, f32) {
    let greatest = greatest::<F>(row);
    for (out, value) in out.iter_mut().zip(row) {
        *out = exp::<F>(value - greatest);
    }
    (greatest, row_sum::<F>(out))
}

/// `exp(x - greatest) / sum`.
#[inline(always)]
pub(crate) fn softmax_row<F: Fma>(row: &[f32], out: &mut [f32]) {
    let (_, total) = exponentials::<F>(row, out);
    for out in out {
        *out /= total;
    }
}

/// `y (g - sum of g y)`, where y is a softmax.
#[inline(always)]
pub(crate) fn softmax_gradient_row<F: Fma>(y: &[f32], g: &[f32], out: &mut [f32]) {
    let inner = row_dot::<F>(g, y);
    for ((out, y), g) in out.iter_mut().zip(y).zip(g) {
        *out = y * (g - inner);
    }
}

struct Softmax<'a> {
    x: &'a [f32],
    width: usize,
    out: &'a mut [f32],
}

impl Kernel for Softmax<'_> {
    type Output = ();

    #[inline(always)]
    fn run<F: Fma>(self) {
        let rows = self.x.chunks_exact(self.width);
        for (out, row) in self.out.chunks_exact_mut(self.width).zip(rows) {
            softmax_row::<F>(row, out);
        }
    }
}

struct SoftmaxGradient<'a> {
    y: &'a [f32],
    upstream: &'a [f32],
    width: usize,
    out: &'a mut [f32],
}

impl Kernel for SoftmaxGradient<'_> {
    type Output = ();

    #[inline(always)]
    fn run<F: Fma>(self) {
        let rows = self.y.chunks_exact(self.width).zip(self.upstream.chunks_exact(self.width));
        for (out, (y, g)) in self.out.chunks_exact_mut(self.width).zip(rows) {
            softmax_gradient_row::<F>(y, g, out);
        }
    }
}

/// Per row `log(sum of exp(x - greatest)) - (x[label] - greatest)`.
struct CrossEntropy<'a> {
    scores: &'a [f32],
    classes: usize,
    labels: &'a [u32],
    scratch: &'a mut [f32],
    out: &'a mut [f32],
}

impl Kernel for CrossEntropy<'_> {
    type Output = ();

    #[inline(always)]
    fn run<F: Fma>(self) {
        let rows = self.scores.chunks_exact(self.classes).zip(self.labels);
        for (out, (row, label)) in self.out.iter_mut().zip(rows) {
            let (greatest, total) = exponentials::<F>(row, self.scratch);
            *out = log::<F>(total) - (row[*label as usize] - greatest);
        }
    }
}

/// Per row `(softmax - one-hot) * scale`.
struct CrossEntropyGradient<'a> {
    scores: &'a [f32],
    classes: usize,
    labels: &'a [u32],
    scale: f32,
    out: &'a mut [f32],
}

impl Kernel for CrossEntropyGradient<'_> {
    type Output = ();

    #[inline(always)]
    fn run<F: Fma>(self) {
        let rows = self.scores.chunks_exact(self.classes).zip(self.labels);
        for (out, (row, label)) in self.out.chunks_exact_mut(self.classes).zip(rows) {
            softmax_row::<F>(row, out);
            out[*label as usize] -= 1.0;
            for out in out {
                *out *= self.scale;
            }
        }
    }
}

/// A row less its mean, and the reciprocal of its standard deviation:
/// mean = sum / n; d = x - mean; 1 / sqrt(sum of d d / n + eps).
#[inline(always)]
fn centred<F: Fma>(row: &[f32], eps: f32, out: &mut [f32]) -> f32 {
    let n = row.len() as f32;
    let mean = row_sum::<F>(row) / n;
    for (out, x) in out.iter_mut().zip(row) {
        *out = x - mean;
    }
    1.0 / (row_dot::<F>(out, out) / n + eps).sqrt()
}

struct LayerNorm<'a> {
    x: &'a [f32],
    gain: &'a [f32],
    shift: &'a [f32],
    eps: f32,
    out: &'a mut [f32],
}

impl Kernel for LayerNorm<'_> {
    type Output = ();

    #[inline(always)]
    fn run<F: Fma>(self) {
        let width = self.gain.len();
        let rows = self.x.chunks_exact(width);
        for (out, row) in self.out.chunks_exact_mut(width).zip(rows) {
            let scale = centred::<F>(row, self.eps, out);
            for ((out, gain), shift) in out.iter_mut().zip(self.gain).zip(self.shift) {
                *out = F::fma(*out * scale, *gain, *shift);
            }
        }
    }
}

/// Per row, with the normalised row z and h = g gain: `scale (h - mean h - z mean(h z))`. Leaves z
/// beside it for the gradient of the gain.
struct LayerNormGradient<'a> {
    x: &'a [f32],
    gain: &'a [f32],
    upstream: &'a [f32],
    eps: f32,
    /// z, then the gradient: pairs of rows.
    out: &'a mut [f32],
}

impl Kernel for LayerNormGradient<'_> {
    type Output = ();

    #[inline(always)]
    fn run<F: Fma>(self) {
        let width = self.gain.len();
        let n = width as f32;
        let rows = self.x.chunks_exact(width).zip(self.upstream.chunks_exact(width));
        for (out, (row, g)) in self.out.chunks_exact_mut(2 * width).zip(rows) {
            let (z, dx) = out.split_at_mut(width);
            let scale = centred::<F>(row, self.eps, z);
            for z in z.iter_mut() {
                *z *= scale;
            }
            for ((dx, g), gain) in dx.iter_mut().zip(g).zip(self.gain) {
                *dx = g * gain;
            }
            let mean = row_sum::<F>(dx) / n;
            let along = row_dot::<F>(dx, z) / n;
            for (dx, z) in dx.iter_mut().zip(&*z) {
                *dx = scale * F::fma(-*z, along, *dx - mean);
            }
        }
    }
}

impl Kernels {
    /// Probabilities of each row of scores, `width` wide.
    pub fn softmax(&self, x: &[f32], width: usize, out: &mut [f32]) {
        assert_eq!(x.len(), out.len(), "as many values as results");
        split(self, out, width.max(1), width * EXPONENTIAL, 1, |first, out| {
            let x = &x[first * width..][..out.len()];
            dispatch(self.path(), Softmax { x, width, out });
        });
    }

    /// The gradient in x of [`Kernels::softmax`], from its result y.
    pub fn softmax_gradient(&self, y: &[f32], upstream: &[f32], width: usize, out: &mut [f32]) {
        assert_eq!((y.len(), upstream.len()), (upstream.len(), out.len()), "equal lengths");
        split(self, out, width.max(1), width * 2, 1, |first, out| {
            let part = first * width..first * width + out.len();
            let (y, upstream) = (&y[part.clone()], &upstream[part]);
            dispatch(self.path(), SoftmaxGradient { y, upstream, width, out });
        });
    }

    /// Per row the cross-entropy between the softmax of the scores and the label, which is below
    /// `classes`; in nats.
    pub fn cross_entropies(&self, scores: &[f32], classes: usize, labels: &[u32], out: &mut [f32]) {
        assert_eq!((scores.len(), out.len()), (labels.len() * classes, labels.len()));
        split(self, out, 1, classes * EXPONENTIAL, 1, |first, out| {
            let mut scratch = vec![0.0; classes];
            let (scores, labels) = (&scores[first * classes..], &labels[first..]);
            let scratch = &mut scratch;
            dispatch(self.path(), CrossEntropy { scores, classes, labels, scratch, out });
        });
    }

    /// The mean over rows of [`Kernels::cross_entropies`].
    pub fn cross_entropy(&self, scores: &[f32], classes: usize, labels: &[u32]) -> f32 {
        let mut losses = vec![0.0; labels.len()];
        self.cross_entropies(scores, classes, labels, &mut losses);
        self.sum(&losses) / labels.len() as f32
    }

    /// The gradient of [`Kernels::cross_entropy`] times `upstream`.
    pub fn cross_entropy_gradient(
        &self,
        scores: &[f32],
        classes: usize,
        labels: &[u32],
        upstream: f32,
        out: &mut [f32],
    ) {
        assert_eq!((scores.len(), out.len()), (labels.len() * classes, scores.len()));
        let scale = upstream / labels.len() as f32;
        split(self, out, classes.max(1), classes * EXPONENTIAL, 1, |first, out| {
            let (scores, labels) = (&scores[first * classes..], &labels[first..]);
            dispatch(self.path(), CrossEntropyGradient { scores, classes, labels, scale, out });
        });
    }

    /// `(x - mean) / sqrt(variance + eps) * gain + shift`, each row, which is as wide as the gain.
    pub fn layer_norm(&self, x: &[f32], gain: &[f32], shift: &[f32], eps: f32, out: &mut [f32]) {
        assert_eq!((x.len(), gain.len()), (out.len(), shift.len()), "equal lengths");
        let width = gain.len();
        split(self, out, width.max(1), width * 4, 1, |first, out| {
            let x = &x[first * width..][..out.len()];
            dispatch(self.path(), LayerNorm { x, gain, shift, eps, out });
        });
    }

    /// The gradients of [`Kernels::layer_norm`] in x, gain and shift.
    pub fn layer_norm_gradient(
        &self,
        x: &[f32],
        gain: &[f32],
        upstream: &[f32],
        eps: f32,
    ) -> (Vec<f32>, Vec<f32>, Vec<f32>) {
        assert_eq!(x.len(), upstream.len(), "as many values as gradients");
        let width = gain.len();
        let mut pairs = vec![0.0; 2 * x.len()];
        split(self, &mut pairs, (2 * width).max(1), width * 8, 1, |first, out| {
            let part = first * width..first * width + out.len() / 2;
            let (x, upstream) = (&x[part.clone()], &upstream[part]);
            dispatch(self.path(), LayerNormGradient { x, gain, upstream, eps, out });
        });
        let mut dx = vec![0.0; x.len()];
        let mut z = vec![0.0; x.len()];
        for ((pair, dx), z) in pairs
            .chunks_exact((2 * width).max(1))
            .zip(dx.chunks_exact_mut(width.max(1)))
            .zip(z.chunks_exact_mut(width.max(1)))
        {
            z.copy_from_slice(&pair[..width]);
            dx.copy_from_slice(&pair[width..]);
        }
        let (mut d_gain, mut d_shift) = (vec![0.0; width], vec![0.0; width]);
        self.column_dots(upstream, &z, &mut d_gain);
        self.column_sums(upstream, &mut d_shift);
        (dx, d_gain, d_shift)
    }
}
