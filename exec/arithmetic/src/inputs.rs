//! What the known answers are computed from: the same numbers everywhere, every hazard among them.

use crate::philox::philox;

/// Numbers between 2^-17 and 2^15 of both signs; one in sixteen is zero, one subnormal.
pub fn numbers(n: usize, seed: u32) -> Vec<f32> {
    let number = |i: usize| {
        let [bits, kind, ..] = philox([i as u32, 0, 0, 0], [seed, 0]);
        match kind & 15 {
            0 => f32::from_bits(bits & 0x8000_0000),
            1 => f32::from_bits(bits & 0x807f_ffff),
            _ => f32::from_bits((bits & 0x807f_ffff) | ((110 + (kind >> 27)) << 23)),
        }
    };
    (0..n).map(number).collect()
}

/// Numbers of both signs up to 2, as activations are.
pub fn activations(n: usize, seed: u32) -> Vec<f32> {
    let number = |i: usize| {
        let [bits, ..] = philox([i as u32, 1, 0, 0], [seed, 0]);
        (bits as i32 >> 8) as f32 / (1 << 22) as f32
    };
    (0..n).map(number).collect()
}

/// Bit patterns from all of the range, and arguments of ordinary size.
pub(crate) fn arguments() -> Vec<f32> {
    let every = (0..4096u32).map(|i| f32::from_bits(i.wrapping_mul(1_048_583)));
    let ordinary = (0..2048u32).map(|i| (i as f32 - 1024.0) / 37.0);
    let edges = [f32::INFINITY, f32::NEG_INFINITY, -0.0, f32::MAX, f32::MIN, 1e-45, -1e-45];
    every.chain(ordinary).chain(edges).collect()
}
