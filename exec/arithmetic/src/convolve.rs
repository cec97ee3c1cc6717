//! Convolution in two dimensions, as products.
//!
//! Images lie as [image, row, column, channel], weights as [out channel, row, column, channel].
//! An output is the product of a patch with a weight: its sum goes over (row, column, channel)
//! ascending, as a product's does, and places outside the image take part as +0.0. The gradient in
//! the weights is a product over all patches in order; the gradient in the image sums, for each
//! pixel, its taps in ascending order of (row, column) in the kernel, from the first on.

use crate::kernels::Kernels;
use crate::product::{CHUNK, View};
use crate::scratch::{self, Scratch};
use crate::threads::split;

/// Floats of patches that are laid out at a time, about.
const PATCH_FLOATS: usize = 1 << 19;

/// The sizes of a convolution or a pooling.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Images.
    pub images: usize,
    /// Rows and columns of an image.
    pub size: [usize; 2],
    /// Channels of an image.
    pub channels: usize,
    /// Rows and columns of the kernel.
    pub kernel: [usize; 2],
    /// Step between places of the kernel.
    pub stride: usize,
    /// Rows and columns around the image that are zero.
    pub padding: usize,
}

impl Window {
    /// Rows and columns of the result; none if the kernel does not fit.
    pub fn output(&self) -> Option<[usize; 2]> {
        let places = |size: usize, kernel: usize| {
            let free = (size + 2 * self.padding).checked_sub(kernel)?;
            (kernel > 0).then(|| free.checked_div(self.stride)).flatten().map(|n| n + 1)
        };
        Some([places(self.size[0], self.kernel[0])?, places(self.size[1], self.kernel[1])?])
    }

    /// Floats of a patch.
    pub fn patch(&self) -> usize {
        self.kernel[0] * self.kernel[1] * self.channels
    }

    /// Floats of an image.
    pub fn image(&self) -> usize {
        self.size[0] * self.size[1] * self.channels
    }

    fn places(&self) -> [usize; 2] {
        self.output().expect("callers have checked that the kernel fits")
    }

    /// Where in the image the tap of a place lies, if inside.
    #[inline(always)]
    pub(crate) fn tap(&self, place: usize, tap: usize, axis: usize) -> Option<usize> {
        let at = (place * self.stride + tap).checked_sub(self.padding)?;
        (at < self.size[axis]).then_some(at)
    }

    /// Lays out the patches from number `first` on, as many as `out` holds.
    fn patches(&self, x: &[f32], first: usize, out: &mut [f32]) {
        let [rows, cols] = self.places();
        let run = self.kernel[1] * self.channels;
        for (n, patch) in out.chunks_exact_mut(self.patch()).enumerate() {
            let place = first + n;
            let image = &x[place / (rows * cols) * self.image()..][..self.image()];
            let (row, col) = (place / cols % rows, place % cols);
            let left = col * self.stride;
            let inside =
                left >= self.padding && left + self.kernel[1] <= self.size[1] + self.padding;
            for (ky, line) in patch.chunks_exact_mut(run).enumerate() {
                let Some(y) = self.tap(row, ky, 0) else {
                    line.fill(0.0);
                    continue;
                };
                if inside {
                    let start = (y * self.size[1] + left - self.padding) * self.channels;
                    line.copy_from_slice(&image[start..start + run]);
                    continue;
                }
                for (kx, slot) in line.chunks_exact_mut(self.channels).enumerate() {
                    match self.tap(col, kx, 1) {
                        Some(x) => {
                            let start = (y * self.size[1] + x) * self.channels;
                            slot.copy_from_slice(&image[start..start + self.channels]);
                        }
                        None => slot.fill(0.0),
                    }
                }
            }
        }
    }

    /// Adds up, for each pixel of an image, the gradients of its taps.
    fn gather(&self, patches: &[f32], out: &mut [f32]) {
        let [rows, cols] = self.places();
        for (at, pixel) in out.chunks_exact_mut(self.channels).enumerate() {
            let (y, x) = (at / self.size[1], at % self.size[1]);
            let mut started = false;
            for ky in 0..self.kernel[0] {
                let Some(row) = self.place(y, ky, rows) else { continue };
                for kx in 0..self.kernel[1] {
                    let Some(col) = self.place(x, kx, cols) else { continue };
                    let start = (row * cols + col) * self.patch()
                        + (ky * self.kernel[1] + kx) * self.channels;
                    let tap = &patches[start..start + self.channels];
                    if started {
                        pixel.iter_mut().zip(tap).for_each(|(sum, tap)| *sum += tap);
                    } else {
                        pixel.copy_from_slice(tap);
                        started = true;
                    }
                }
            }
            if !started {
                pixel.fill(0.0);
            }
        }
    }

    /// The place whose tap `tap` lies at `at`.
    #[inline(always)]
    fn place(&self, at: usize, tap: usize, places: usize) -> Option<usize> {
        let from = (at + self.padding).checked_sub(tap)?;
        (from % self.stride == 0 && from / self.stride < places).then_some(from / self.stride)
    }

    /// Patches at a time: a multiple of [`CHUNK`], so that chains begin where they would anyway.
    fn group(&self) -> usize {
        (PATCH_FLOATS / self.patch().max(1)).max(1).next_multiple_of(CHUNK)
    }
}

impl Kernels {
    /// The convolution of images x with weights [out channels, patch]; a result has as many
    /// channels as there are weights.
    pub fn convolve(&self, window: Window, x: &[f32], weights: &[f32], out: &mut [f32]) {
        let patch = window.patch();
        let channels = weights.len() / patch;
        let weights = View::of(weights, channels, patch).expect("whole weights");
        let packed = self.pack(weights.transposed());
        for (n, out) in out.chunks_mut(window.group() * channels).enumerate() {
            let places = out.len() / channels;
            let patches = self.patches(window, x, n * window.group(), places);
            let view = View::of(&patches, places, patch).expect("whole patches");
            self.matmul_packed(view, &packed, out);
        }
    }

    /// The gradient of [`Kernels::convolve`] in the weights.
    pub fn convolve_weights(&self, window: Window, x: &[f32], upstream: &[f32], out: &mut [f32]) {
        let patch = window.patch();
        let channels = out.len() / patch;
        if upstream.is_empty() {
            return out.fill(0.0);
        }
        for (n, g) in upstream.chunks(window.group() * channels).enumerate() {
            let places = g.len() / channels;
            let patches = self.patches(window, x, n * window.group(), places);
            let g = View::of(g, places, channels).expect("whole gradients");
            let view = View::of(&patches, places, patch).expect("whole patches");
            self.matmul_add(g.transposed(), view, n > 0, out);
        }
    }

    /// The gradient of [`Kernels::convolve`] in the images.
    pub fn convolve_images(
        &self,
        window: Window,
        weights: &[f32],
        upstream: &[f32],
        out: &mut [f32],
    ) {
        let patch = window.patch();
        let channels = weights.len() / patch;
        let [rows, cols] = window.places();
        let weights = View::of(weights, channels, patch).expect("whole weights");
        let packed = self.pack(weights);
        let alone = self.alone();
        let work = rows * cols * patch * channels;
        split(self, out, window.image(), work, 1, |first, out| {
            let mut patches = scratch::take(rows * cols * patch);
            for (n, image) in out.chunks_exact_mut(window.image()).enumerate() {
                let start = (first + n) * rows * cols * channels;
                let g = &upstream[start..start + rows * cols * channels];
                let g = View::of(g, rows * cols, channels).expect("whole gradients");
                alone.matmul_packed(g, &packed, &mut patches);
                window.gather(&patches, image);
            }
        });
    }

    fn patches(&self, window: Window, x: &[f32], first: usize, places: usize) -> Scratch {
        let patch = window.patch();
        let mut patches = scratch::take(places * patch);
        split(self, &mut patches, patch, patch * 2, 1, |part, out| {
            window.patches(x, first + part, out);
        });
        patches
    }
}
