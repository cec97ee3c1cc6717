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

/// Arguments that were searched for, six for exp, six for log, three for tanh: the last place of
/// each constant of these functions shows at one of them or another.
pub fn telling() -> Vec<f32> {
    let patterns = [
        [0xc251_4c26, 0x4283_55f6, 0x4203_b2ae, 0xc26f_d434, 0xc2a9_1a58, 0xc2a0_d1c4].as_slice(),
        &[0x3f24_c7a6, 0x3fb4_a96e, 0x3fb5_04f3, 0x3f35_04f2, 0x1958_2f7a, 0x2910_4cee],
        &[0x3f07_4321, 0x3f17_59d7, 0x3f20_0000],
    ];
    patterns.concat().into_iter().map(f32::from_bits).collect()
}

/// Zero, the least, one, the greatest and infinity of both signs, each with each and each.
pub(crate) fn edges() -> Vec<Operands> {
    let edges = [0.0, 1e-45, 1.0, f32::MAX, f32::INFINITY].map(|x| [x, -x]).concat();
    let pairs = edges.iter().flat_map(|a| edges.iter().map(|b| (*a, *b)));
    pairs.flat_map(|(a, b)| edges.iter().map(move |c| [a, b, *c])).collect()
}

/// a, b and c of a fused multiply-add `a * b + c`.
pub(crate) type Operands = [f32; 3];

/// Operands at which two roundings, to f64 and then to f32, often give another float than one;
/// and where the product and c nearly cancel.
pub(crate) fn operands(n: usize, seed: u32) -> Vec<Operands> {
    let three = |i: usize| {
        let [bits, kind, more, sign] = philox([i as u32, 2, 0, 0], [seed, 0]);
        let [a, b, c] = match kind & 7 {
            0 => beside_half(bits & 0x807f_ffff, more),
            1 => beside_half((bits & 0x8000_0000) | 0x7f7f_ffff, more),
            2 => beside_half(bits & 0xfeff_ffff, more),
            3..7 => halfway(bits, kind >> 3, more),
            _ => cancelling(bits, kind >> 3, more),
        };
        if sign & 1 == 0 { [a, b, c] } else { [-a, b, -c] }
    };
    (0..n).map(three).collect()
}

/// A product that is just short of half the last place of c, by up to 2^-28 of itself: in f64 the
/// sum lies halfway between two floats, or beside that. c is odd, so that it is not the even one.
fn beside_half(c: u32, more: u32) -> Operands {
    let half = ((c >> 23) & 255).max(1) as i32 - 151;
    let u = (1 + (more & 511)) as f32 * f32::EPSILON;
    [(1.0 + u) * power(half >> 1), (1.0 - u) * power(half - (half >> 1)), f32::from_bits(c | 1)]
}

/// A product of 25 bits, halfway between two floats, and a c too small for f64 beside it.
fn halfway(c: u32, size: u32, more: u32) -> Operands {
    let (a, b) = (3073 | (more & 1023), 6145 | ((more >> 16) & 2047));
    let c = f32::from_bits(c & 0x80ff_ffff);
    [a as f32 * power((size & 127) as i32 - 64), b as f32, c]
}

/// c is the rounded product with the other sign, or the float beside that.
fn cancelling(bits: u32, size: u32, more: u32) -> Operands {
    let [a, b] = [(bits, size), (more, size >> 7)]
        .map(|(bits, size)| f32::from_bits((bits & 0x007f_ffff) | ((50 + (size & 127)) << 23)));
    [a, b, -f32::from_bits((a * b).to_bits() ^ ((size >> 14) & 1))]
}

fn power(exponent: i32) -> f32 {
    f32::from_bits(((exponent + 127) << 23) as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    // proves: a routine that rounds twice is found out, whichever way it errs.
    #[test]
    fn at_many_operands_two_roundings_give_another_float() {
        let operands = operands(1024, 42);
        let twice = |[a, b, c]: Operands| (f64::from(a) * f64::from(b) + f64::from(c)) as f32;
        let both = |o: &Operands| (o[0].mul_add(o[1], o[2]), twice(*o));
        let differ: Vec<_> = operands.iter().map(both).filter(|(once, two)| once != two).collect();
        assert!(differ.len() * 5 > operands.len() * 2, "{} of them", differ.len());
        let some = |what: &str, holds: &dyn Fn(f32, f32) -> bool| {
            let n = differ.iter().filter(|(once, two)| holds(*once, *two)).count();
            assert!(n >= 30, "{what}: {n}");
        };
        some("too far from zero", &|once, two| once.abs() < two.abs());
        some("too near to zero", &|once, two| once.abs() > two.abs());
        some("positive", &|once, _| once > 0.0);
        some("negative", &|once, _| once < 0.0);
        some("subnormal", &|once, _| once.is_subnormal());
        some("over the edge", &|once, two| once.is_finite() && two.is_infinite());
        let cancel = |[a, b, c]: &&Operands| a.mul_add(*b, *c).abs() < c.abs() * 1e-6;
        assert!(operands.iter().filter(cancel).count() >= 30);
    }
}
