//! Floats as CBOR keeps them, in 16, 32 or 64 bits. Each of them gives a float only if it is the
//! shortest form of it, and not negative zero: one value, one encoding.

/// The float of these 16 bits.
pub(crate) fn from_16_bits(bits: u64) -> Option<f64> {
    let (sign, exponent, fraction) = (bits >> 15 << 63, bits >> 10 & 31, bits & 0x3ff);
    let magnitude = match exponent {
        0 => fraction as f64 / f64::from(1 << 24),
        31 => f64::from_bits(0x7ff << 52 | fraction << 42),
        _ => f64::from_bits((exponent + 1008) << 52 | fraction << 42),
    };
    let negative_zero = magnitude == 0.0 && sign != 0;
    (!negative_zero).then(|| f64::from_bits(magnitude.to_bits() | sign))
}

/// The float of these 32 bits, if it needs them.
pub(crate) fn from_32_bits(bits: u64) -> Option<f64> {
    let float = f64::from(f32::from_bits(bits as u32));
    (float.is_finite() && !fits_half(float)).then_some(float)
}

/// The float of these 64 bits, if it needs them.
pub(crate) fn from_64_bits(bits: u64) -> Option<f64> {
    let float = f64::from_bits(bits);
    (float.is_finite() && f64::from(float as f32) != float).then_some(float)
}

/// Whether a float keeps its value in 16 bits: a multiple of 2^-24 with 11 binary digits.
fn fits_half(float: f64) -> bool {
    let scaled = float.abs() * f64::from(1 << 24);
    if scaled.fract() != 0.0 || float.abs() > 65504.0 {
        return false;
    }
    let digits = scaled as u64;
    digits == 0 || digits >> digits.trailing_zeros() < 1 << 11
}
