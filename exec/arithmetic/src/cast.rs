//! Half-precision numbers, by integer operations: to the nearest, ties to the even one.

/// The upper half of an f32, rounded.
pub fn to_bf16(x: f32) -> u16 {
    let bits = x.to_bits();
    if x.is_nan() {
        return 0x7fc0;
    }
    let round = 0x7fff + (bits >> 16 & 1);
    ((bits + round) >> 16) as u16
}

/// Exact.
pub fn from_bf16(half: u16) -> f32 {
    f32::from_bits(u32::from(half) << 16)
}

/// IEEE 754 binary16.
pub fn to_f16(x: f32) -> u16 {
    let bits = x.to_bits();
    let sign = (bits >> 16 & 0x8000) as u16;
    let size = bits & 0x7fff_ffff;
    match size {
        0x7f80_0001.. => 0x7e00,
        // 65,520 and more round to infinity.
        0x477f_f000.. => sign | 0x7c00,
        // Normal: 13 bits of the significand go, and the exponent's bias falls by 112.
        0x3880_0000.. => {
            let rounded = size + 0x0fff + (size >> 13 & 1);
            sign | ((rounded - (112 << 23)) >> 13) as u16
        }
        // Subnormal: a multiple of 2^-24; half of that and less is zero.
        0x3300_0001.. => {
            let shift = 126 - (size >> 23);
            let significand = size & 0x007f_ffff | 0x0080_0000;
            let below = significand & ((1 << shift) - 1);
            let kept = significand >> shift;
            let half = 1 << (shift - 1);
            let up = below > half || below == half && kept & 1 == 1;
            sign | (kept + u32::from(up)) as u16
        }
        _ => sign,
    }
}

/// Exact.
pub fn from_f16(half: u16) -> f32 {
    let sign = u32::from(half & 0x8000) << 16;
    let (exponent, significand) = (u32::from(half >> 10 & 0x1f), u32::from(half & 0x3ff));
    let size = match exponent {
        0x1f if significand == 0 => 0x7f80_0000,
        0x1f => 0x7fc0_0000,
        0 => (significand as f32 / (1 << 24) as f32).to_bits(),
        _ => (exponent + 112) << 23 | significand << 13,
    };
    f32::from_bits(sign | size)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All halves, and all f32 close to where two of them meet.
    fn check(from: fn(u16) -> f32, to: fn(f32) -> u16, infinity: u16) {
        for half in 0..infinity {
            let (low, high) = (from(half), from(half + 1));
            assert_eq!(to(low), half);
            assert_eq!(to(-low), half | 0x8000);
            if half + 1 == infinity {
                continue;
            }
            let middle = (f64::from(low) + f64::from(high)) / 2.0;
            // Between subnormal bf16 lies an f32; everywhere the middle is one.
            let middle = middle as f32;
            let even = if half & 1 == 0 { half } else { half + 1 };
            assert_eq!(to(middle), even, "{half:x}");
            assert_eq!(to(f32::from_bits(middle.to_bits() + 1)), half + 1, "{half:x}");
            assert_eq!(to(f32::from_bits(middle.to_bits() - 1)), half, "{half:x}");
        }
        assert_eq!(to(f32::INFINITY), infinity);
        assert_eq!(to(f32::MAX), infinity);
        assert!(from(to(f32::NAN)).is_nan() && from(infinity).is_infinite());
    }

    // proves
    #[test]
    fn halves_round_to_the_nearest_and_ties_to_even() {
        check(from_bf16, to_bf16, 0x7f80);
        check(from_f16, to_f16, 0x7c00);
        assert_eq!(from_f16(0x3c00), 1.0);
        assert_eq!(from_bf16(0x3f80), 1.0);
        assert_eq!(to_f16(65519.0), 0x7bff);
        assert_eq!(to_f16(65520.0), 0x7c00);
        assert_eq!((to_bf16(-f32::NAN), to_f16(-f32::NAN)), (0x7fc0, 0x7e00));
        let half_of_least = 2f32.powi(-25);
        assert_eq!((to_f16(half_of_least), to_f16(-half_of_least)), (0, 0x8000));
        assert_eq!(to_f16(f32::from_bits(half_of_least.to_bits() + 1)), 1);
    }
}
