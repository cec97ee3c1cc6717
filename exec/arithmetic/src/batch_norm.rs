//! Batch normalisation: each channel less its mean over all rows, divided by its deviation.
//!
//! Sums down a channel are those of [`Kernels::column_sums`]: a chain per 256 rows.

use crate::kernels::Kernels;
use crate::path::{Fma, Kernel, dispatch};
use crate::threads::split;

/// What a batch says of each channel.
#[derive(Clone, Debug, PartialEq)]
pub struct Moments {
    /// Sum over rows, divided by their number.
    pub mean: Vec<f32>,
    /// Sum of squared distances from the mean, divided by the number of rows.
    pub variance: Vec<f32>,
}

/// `(x - mean) * scale`, and that `* gain + shift` if these are given.
struct Normal<'a> {
    x: &'a [f32],
    mean: &'a [f32],
    scale: &'a [f32],
    affine: Option<(&'a [f32], &'a [f32])>,
    out: &'a mut [f32],
}

impl Kernel for Normal<'_> {
    type Output = ();

    #[inline(always)]
    fn run<F: Fma>(self) {
        let width = self.mean.len();
        for (out, x) in self.out.chunks_exact_mut(width).zip(self.x.chunks_exact(width)) {
            for (((out, x), mean), scale) in out.iter_mut().zip(x).zip(self.mean).zip(self.scale) {
                *out = (x - mean) * scale;
            }
            if let Some((gain, shift)) = self.affine {
                for ((out, gain), shift) in out.iter_mut().zip(gain).zip(shift) {
                    *out = F::fma(*out, *gain, *shift);
                }
            }
        }
    }
}

/// `factor (g - mean of g - z mean of g z)`, where `out` holds z.
struct Gradient<'a> {
    upstream: &'a [f32],
    factor: &'a [f32],
    mean: &'a [f32],
    along: &'a [f32],
    out: &'a mut [f32],
}

impl Kernel for Gradient<'_> {
    type Output = ();

    #[inline(always)]
    fn run<F: Fma>(self) {
        let width = self.mean.len();
        for (out, g) in self.out.chunks_exact_mut(width).zip(self.upstream.chunks_exact(width)) {
            let channels = self.factor.iter().zip(self.mean).zip(self.along);
            for ((out, g), ((factor, mean), along)) in out.iter_mut().zip(g).zip(channels) {
                *out = factor * F::fma(-*out, *along, g - mean);
            }
        }
    }
}

impl Kernels {
    /// The moments of each channel of x, which is `width` wide.
    pub fn moments(&self, x: &[f32], width: usize) -> Moments {
        let rows = (x.len() / width.max(1)) as f32;
        let mut mean = vec![0.0; width];
        self.column_sums(x, &mut mean);
        mean.iter_mut().for_each(|sum| *sum /= rows);
        let mut centred = vec![0.0; x.len()];
        self.normal(x, &mean, &vec![1.0; width], None, &mut centred);
        let mut variance = vec![0.0; width];
        self.column_dots(&centred, &centred, &mut variance);
        variance.iter_mut().for_each(|sum| *sum /= rows);
        Moments { mean, variance }
    }

    /// `(x - mean) / sqrt(variance + eps) * gain + shift`, each channel.
    pub fn batch_norm(
        &self,
        x: &[f32],
        moments: &Moments,
        gain: &[f32],
        shift: &[f32],
        eps: f32,
        out: &mut [f32],
    ) {
        let scale = scales(moments, eps);
        self.normal(x, &moments.mean, &scale, Some((gain, shift)), out);
    }

    /// The gradients of [`Kernels::batch_norm`] in x, gain and shift, where the moments are those
    /// of x.
    pub fn batch_norm_gradient(
        &self,
        x: &[f32],
        moments: &Moments,
        gain: &[f32],
        upstream: &[f32],
        eps: f32,
    ) -> (Vec<f32>, Vec<f32>, Vec<f32>) {
        let width = gain.len();
        let rows = (x.len() / width.max(1)) as f32;
        let scale = scales(moments, eps);
        let mut dx = vec![0.0; x.len()];
        self.normal(x, &moments.mean, &scale, None, &mut dx);
        let (mut d_gain, mut d_shift) = (vec![0.0; width], vec![0.0; width]);
        self.column_dots(upstream, &dx, &mut d_gain);
        self.column_sums(upstream, &mut d_shift);
        let factor: Vec<f32> = scale.iter().zip(gain).map(|(scale, gain)| scale * gain).collect();
        let mean: Vec<f32> = d_shift.iter().map(|sum| sum / rows).collect();
        let along: Vec<f32> = d_gain.iter().map(|sum| sum / rows).collect();
        split(self, &mut dx, width.max(1), width * 3, 1, |first, out| {
            let upstream = &upstream[first * width..][..out.len()];
            let (factor, mean, along) = (&factor, &mean, &along);
            dispatch(self.path(), Gradient { upstream, factor, mean, along, out });
        });
        (dx, d_gain, d_shift)
    }

    fn normal(
        &self,
        x: &[f32],
        mean: &[f32],
        scale: &[f32],
        affine: Option<(&[f32], &[f32])>,
        out: &mut [f32],
    ) {
        let width = mean.len();
        split(self, out, width.max(1), width * 2, 1, |first, out| {
            let x = &x[first * width..][..out.len()];
            dispatch(self.path(), Normal { x, mean, scale, affine, out });
        });
    }
}

/// `1 / sqrt(variance + eps)`.
fn scales(moments: &Moments, eps: f32) -> Vec<f32> {
    moments.variance.iter().map(|variance| 1.0 / (variance + eps).sqrt()).collect()
}
