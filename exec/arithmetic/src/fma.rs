//! The fused multiply-add where there is no instruction for it.

/// `a * b + c`, rounded once.
///
/// The product of two f32 is exact in f64. What the sum then loses is found exactly (TwoSum,
/// Knuth), and the sum is rounded to odd: its last bit is set if anything was lost. A value of 53
/// bits rounded to odd rounds to 24 bits as the exact one does (Boldo and Melquiond, "Emulation of
/// FMA and correctly rounded sums", 2008).
#[inline(always)]
pub(crate) fn software(a: f32, b: f32, c: f32) -> f32 {
    let product = f64::from(a) * f64::from(b);
    let c = f64::from(c);
    let sum = product + c;
    let c_seen = sum - product;
    let lost = (product - (sum - c_seen)) + (c - c_seen);
    let bits = sum.to_bits();
    // An infinite sum loses NaN, which is neither above nor below zero.
    let towards_zero = (lost > 0.0 && sum < 0.0) || (lost < 0.0 && sum > 0.0);
    let away = (lost > 0.0 && sum > 0.0) || (lost < 0.0 && sum < 0.0);
    let odd = match bits & 1 == 0 {
        true if towards_zero => bits - 1,
        true if away => bits + 1,
        _ => bits,
    };
    f64::from_bits(odd) as f32
}
