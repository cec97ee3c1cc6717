//! Pooling: the greatest or the mean of each window of an image.
//!
//! Images lie as [image, row, column, channel]. Of equal values the first in (row, column) counts,
//! and takes the gradient. A mean is the sum over (row, column) ascending, from +0.0, divided
//! by how many places the window has, those outside the image included as zeros. Where windows
//! overlap, a pixel sums what it gets in the order of the windows, from +0.0. A window that lies
//! outside altogether has the result +0.0.

use crate::convolve::Window;
use crate::kernels::Kernels;
use crate::threads::split;

impl Kernels {
    /// The greatest of each window, per channel; what lies outside the image does not count.
    pub fn max_pool(&self, window: Window, x: &[f32], out: &mut [f32]) {
        self.each_image(window, out, |image, out| {
            let image = &x[image * window.image()..][..window.image()];
            windows(window, |place, taps| {
                let out = &mut out[place * window.channels..][..window.channels];
                out.fill(0.0);
                for (n, tap) in taps.iter().enumerate() {
                    let tap = &image[tap * window.channels..][..window.channels];
                    for (out, value) in out.iter_mut().zip(tap) {
                        *out = if n == 0 || *value > *out { *value } else { *out };
                    }
                }
            });
        });
    }

    /// The gradient of [`Kernels::max_pool`].
    pub fn max_pool_gradient(&self, window: Window, x: &[f32], upstream: &[f32], out: &mut [f32]) {
        let channels = window.channels;
        let results = results(window);
        split(self, out, window.image().max(1), window.image() * 4, 1, |first, out| {
            for (n, out) in out.chunks_exact_mut(window.image()).enumerate() {
                let image = &x[(first + n) * window.image()..][..window.image()];
                let g = &upstream[(first + n) * results..][..results];
                out.fill(0.0);
                let mut best = vec![(0.0, 0); channels];
                windows(window, |place, taps| {
                    for (n, tap) in taps.iter().enumerate() {
                        let values = &image[tap * channels..][..channels];
                        for (best, value) in best.iter_mut().zip(values) {
                            if n == 0 || *value > best.0 {
                                *best = (*value, *tap);
                            }
                        }
                    }
                    if !taps.is_empty() {
                        let g = &g[place * channels..][..channels];
                        for (c, ((_, tap), g)) in best.iter().zip(g).enumerate() {
                            out[tap * channels + c] += g;
                        }
                    }
                });
            }
        });
    }

    /// The mean of each window, per channel.
    pub fn mean_pool(&self, window: Window, x: &[f32], out: &mut [f32]) {
        let count = (window.kernel[0] * window.kernel[1]) as f32;
        self.each_image(window, out, |image, out| {
            let image = &x[image * window.image()..][..window.image()];
            windows(window, |place, taps| {
                let out = &mut out[place * window.channels..][..window.channels];
                out.fill(0.0);
                for tap in taps {
                    let tap = &image[tap * window.channels..][..window.channels];
                    out.iter_mut().zip(tap).for_each(|(out, value)| *out += value);
                }
                out.iter_mut().for_each(|out| *out /= count);
            });
        });
    }

    /// The gradient of [`Kernels::mean_pool`].
    pub fn mean_pool_gradient(&self, window: Window, upstream: &[f32], out: &mut [f32]) {
        let count = (window.kernel[0] * window.kernel[1]) as f32;
        let channels = window.channels;
        let results = results(window);
        split(self, out, window.image().max(1), window.image() * 2, 1, |first, out| {
            for (n, out) in out.chunks_exact_mut(window.image()).enumerate() {
                let g = &upstream[(first + n) * results..][..results];
                out.fill(0.0);
                windows(window, |place, taps| {
                    let g = &g[place * channels..][..channels];
                    for tap in taps {
                        let out = &mut out[tap * channels..][..channels];
                        out.iter_mut().zip(g).for_each(|(out, g)| *out += g / count);
                    }
                });
            }
        });
    }

    fn each_image(&self, window: Window, out: &mut [f32], fill: impl Fn(usize, &mut [f32]) + Sync) {
        let results = results(window).max(1);
        let work = results * window.kernel[0] * window.kernel[1];
        split(self, out, results, work, 1, |first, out| {
            for (n, out) in out.chunks_exact_mut(results).enumerate() {
                fill(first + n, out);
            }
        });
    }
}

/// Floats of an image's result.
fn results(window: Window) -> usize {
    window.output().map_or(0, |[rows, cols]| rows * cols * window.channels)
}

/// Calls `visit` with each place's number and its pixels inside the image, ascending.
fn windows(window: Window, mut visit: impl FnMut(usize, &[usize])) {
    let Some([rows, cols]) = window.output() else { return };
    let mut taps = Vec::with_capacity(window.kernel[0] * window.kernel[1]);
    for place in 0..rows * cols {
        taps.clear();
        for ky in 0..window.kernel[0] {
            let Some(y) = window.tap(place / cols, ky, 0) else { continue };
            for kx in 0..window.kernel[1] {
                let Some(x) = window.tap(place % cols, kx, 1) else { continue };
                taps.push(y * window.size[1] + x);
            }
        }
        visit(place, &taps);
    }
}
