//! Dropout: each number is left out by chance, and those that stay make up for it (Srivastava et
//! al., 2014).
//!
//! Number i stays if the uniform float of word i mod 4 of block i / 4 of the stream is at least
//! `rate`; it is then multiplied by 1 / (1 - rate), the difference and the quotient rounded.

use crate::kernels::Kernels;
use crate::philox::{Stream, uniform};
use crate::threads::split;

impl Kernels {
    /// Leaves out a share `rate` of x. The gradient is the same function of upstream.
    pub fn dropout(&self, stream: Stream, rate: f32, x: &[f32], out: &mut [f32]) {
        assert_eq!(x.len(), out.len(), "as many values as results");
        let scale = 1.0 / (1.0 - rate);
        split(self, out, 1, 8, 4, |first, out| {
            let x = &x[first..][..out.len()];
            for (n, (out, x)) in out.chunks_mut(4).zip(x.chunks(4)).enumerate() {
                let block = stream.block((first / 4 + n) as u64);
                for ((out, x), bits) in out.iter_mut().zip(x).zip(block) {
                    *out = if uniform(bits) >= rate { x * scale } else { 0.0 };
                }
            }
        });
    }
}
