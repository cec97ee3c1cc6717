//! exp, log, tanh and what is made of them, as lists of operations.
//!
//! Not correctly rounded, and not meant to be: the list of operations is the definition, and every
//! processor carries it out with the same roundings. Polynomials were fitted by least squares with
//! weights that even out the error (Lawson), rounded to f32 from the lowest power on and refitted
//! after each. There are no branches, so that loops over these become vectors. The errors stand in
//! docs/arithmetic.md; `examples/accuracy.rs` measures them over all floats.

use crate::path::Fma;

const LOG2_E: f32 = f32::from_bits(0x3fb8_aa3b);
/// 15 bits of log 2, so that its multiples by an exponent are exact, and what is left of it.
const LN2_HIGH: f32 = f32::from_bits(0x3f31_7200);
const LN2_LOW: f32 = f32::from_bits(0x35bf_be8e);
/// 1.5 * 2^23: a number of small size that is added to it is rounded to an integer.
const ROUND: f32 = 12_582_912.0;

/// Powers 2 to 6.
const EXP: [u32; 5] = [0x3eff_fffe, 0x3e2a_aa49, 0x3d2a_ac58, 0x3c09_1cc5, 0x3ab5_26b8];
/// Powers 3 to 10.
const LOG: [u32; 8] = [
    0x3eaa_aaaa,
    0xbe80_0113,
    0x3e4c_d00f,
    0xbe2a_3946,
    0x3e11_6c7c,
    0xbe06_c0fb,
    0x3e02_b01b,
    0xbd9c_6789,
];
/// Odd powers 3 to 11.
const TANH: [u32; 5] = [0xbeaa_aa99, 0x3e08_837d, 0xbd5c_1b3e, 0x3ca8_ffe7, 0xbbba_98a9];

/// The polynomial with these coefficients, lowest power first.
#[inline(always)]
fn polynomial<F: Fma, const N: usize>(coefficients: [u32; N], x: f32) -> f32 {
    let mut value = f32::from_bits(coefficients[N - 1]);
    for n in (0..N - 1).rev() {
        value = F::fma(value, x, f32::from_bits(coefficients[n]));
    }
    value
}

/// 2 to the power of an integer from -126 to 127.
#[inline(always)]
fn power_of_two(exponent: i32) -> f32 {
    f32::from_bits(((exponent + 127) << 23) as u32)
}

/// `e^x`.
///
/// x = k log 2 + r with an integer k; e^r = 1 + (r + r^2 P(r)); the power of two is multiplied in
/// two steps, so that results fade into the subnormals with one rounding.
#[inline(always)]
pub(crate) fn exp<F: Fma>(x: f32) -> f32 {
    // Beyond these bounds the result is infinite or zero all the same.
    let x = if x > 89.0 { 89.0 } else { x };
    let x = if x < -104.0 { -104.0 } else { x };
    let shifted = F::fma(x, LOG2_E, ROUND);
    let k = shifted - ROUND;
    let r = F::fma(k, -LN2_HIGH, x);
    let r = F::fma(k, -LN2_LOW, r);
    let p = polynomial::<F, 5>(EXP, r);
    let y = 1.0 + F::fma(r * r, p, r);
    let k = (shifted.to_bits() as i32).wrapping_sub(ROUND.to_bits() as i32);
    let half = k >> 1;
    // What is not a number has any k; its bits must not overflow on the way.
    y * power_of_two(half.clamp(-75, 64)) * power_of_two((k - half).clamp(-75, 64))
}

/// `log(x)`: NaN below zero, minus infinity at both zeros.
///
/// x = 2^k m with m from sqrt(1/2) to sqrt(2); log m = f - f^2/2 + f^3 P(f) with f = m - 1.
#[inline(always)]
pub(crate) fn log<F: Fma>(x: f32) -> f32 {
    const ROOT_HALF: i32 = 0x3f35_04f3;
    let small = x < f32::MIN_POSITIVE;
    let scaled = if small { x * 8_388_608.0 } else { x };
    let bits = (scaled.to_bits() as i32).wrapping_sub(ROOT_HALF);
    let k = ((bits >> 23) - if small { 23 } else { 0 }) as f32;
    let f = f32::from_bits(((bits & 0x007f_ffff) + ROOT_HALF) as u32) - 1.0;
    let square = f * f;
    let tail = (polynomial::<F, 8>(LOG, f) * f) * square;
    let tail = F::fma(k, LN2_LOW, tail);
    let tail = F::fma(-0.5, square, tail);
    let y = F::fma(k, LN2_HIGH, f + tail);
    let y = if x > f32::MAX { x } else { y };
    let y = if x == 0.0 { f32::NEG_INFINITY } else { y };
    if x >= 0.0 { y } else { f32::NAN }
}

/// `tanh(x)`: x + x^3 P(x^2) up to 0.625, beyond that 1 - 2 / (e^2x + 1).
#[inline(always)]
pub(crate) fn tanh<F: Fma>(x: f32) -> f32 {
    let size = x.abs();
    let square = x * x;
    let near = F::fma(square * x, polynomial::<F, 5>(TANH, square), x);
    let far = 1.0 - 2.0 / (exp::<F>(size + size) + 1.0);
    if size < 0.625 { near } else { far.copysign(x) }
}

/// `1 / (1 + e^-x)`, as e / (1 + e) with e = e^-|x| where x is negative: the exponential never
/// overflows, and small results keep their digits.
#[inline(always)]
pub(crate) fn sigmoid<F: Fma>(x: f32) -> f32 {
    let e = exp::<F>(-x.abs());
    let part = if x < 0.0 { e } else { 1.0 };
    part / (1.0 + e)
}

/// Twice sqrt(2 / pi), and that times 0.044715.
const GELU: [f32; 2] = [f32::from_bits(0x3fcc_422a), f32::from_bits(0x3d92_2279)];

/// The gaussian error linear unit in its tanh form (Hendrycks and Gimpel, 2016, section 2):
/// x/2 (1 + tanh(u)) with u = sqrt(2/pi) (x + 0.044715 x^3), which is x sigmoid(2u).
#[inline(always)]
pub(crate) fn gelu<F: Fma>(x: f32) -> f32 {
    x * sigmoid::<F>(x * F::fma(GELU[1], x * x, GELU[0]))
}

/// Its slope: s + x s (1 - s) u' with s = sigmoid(2u).
#[inline(always)]
pub(crate) fn gelu_slope<F: Fma>(x: f32) -> f32 {
    let square = x * x;
    let s = sigmoid::<F>(x * F::fma(GELU[1], square, GELU[0]));
    let inner = F::fma(3.0 * GELU[1], square, GELU[0]);
    let bend = s * (1.0 - s);
    // Far out the one is infinite and the other zero: there the slope is s.
    let bent = if bend == 0.0 { 0.0 } else { (x * inner) * bend };
    s + bent
}
