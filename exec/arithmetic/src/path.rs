//! One arithmetic, compiled for several processors.
//!
//! A kernel is written once, over [`Fma`], in plain Rust. Rust never reorders or contracts float
//! operations, so the instruction set changes its speed and nothing else: each `fma` is rounded
//! once, whether an instruction or a routine does it.

#[cfg(target_arch = "aarch64")]
use std::arch::aarch64::float32x4_t;
#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::{__m256, __m512};

use crate::fma::software;
use crate::vector::Lanes;

/// How a path computes what the compiler does not vectorise by itself.
pub(crate) trait Fma {
    /// 32 lanes of a sum.
    type Lanes: Lanes;

    /// The fused multiply-add `a * b + c` with one rounding.
    fn fma(a: f32, b: f32, c: f32) -> f32;
}

/// By instruction, where the surrounding code is compiled for a processor that has one.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
macro_rules! hardware {
    ($name:ident, $lanes:ty) => {
        pub(crate) struct $name;

        impl Fma for $name {
            type Lanes = $lanes;

            #[inline(always)]
            fn fma(a: f32, b: f32, c: f32) -> f32 {
                a.mul_add(b, c)
            }
        }
    };
}

#[cfg(target_arch = "x86_64")]
hardware!(Wide512, [__m512; 2]);
#[cfg(target_arch = "x86_64")]
hardware!(Wide256, [__m256; 4]);
#[cfg(target_arch = "aarch64")]
hardware!(Wide128, [float32x4_t; 8]);

/// By routine: right on every processor, and slow.
pub(crate) struct Software;

impl Fma for Software {
    type Lanes = [f32; 32];

    #[inline(always)]
    fn fma(a: f32, b: f32, c: f32) -> f32 {
        software(a, b, c)
    }
}

/// Work that is compiled once per [`Path`]. `run` and what it calls must be `#[inline(always)]`,
/// so that they become part of the function whose instruction set is widened. A closure with an
/// `fma` in it is compiled without the instruction, and is some fifty times slower.
pub(crate) trait Kernel {
    type Output;
    fn run<F: Fma>(self) -> Self::Output;
}

/// Which compiled form of the kernels runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Path {
    /// 512-bit vectors of x86-64.
    Avx512,
    /// 256-bit vectors and the fma instruction of x86-64.
    Avx2,
    /// 128-bit vectors of 64-bit Arm.
    Neon,
    /// No particular instruction: runs on every processor.
    Generic,
}

impl Path {
    /// Every path, fastest first.
    pub const ALL: [Path; 4] = [Path::Avx512, Path::Avx2, Path::Neon, Path::Generic];

    /// Whether this machine can take it.
    pub fn is_supported(self) -> bool {
        match self {
            #[cfg(target_arch = "x86_64")]
            Path::Avx512 => is_x86_feature_detected!("avx512f") && Path::Avx2.is_supported(),
            #[cfg(target_arch = "x86_64")]
            Path::Avx2 => is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma"),
            #[cfg(not(target_arch = "x86_64"))]
            Path::Avx512 | Path::Avx2 => false,
            Path::Neon => cfg!(target_arch = "aarch64"),
            Path::Generic => true,
        }
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Path::Avx512 => "avx512",
            Path::Avx2 => "avx2",
            Path::Neon => "neon",
            Path::Generic => "generic",
        }
    }
}

/// Runs `kernel` on `path`, which must be supported.
#[inline(always)]
pub(crate) fn dispatch<K: Kernel>(path: Path, kernel: K) -> K::Output {
    match path {
        #[cfg(target_arch = "x86_64")]
        Path::Avx512 => avx512(kernel),
        #[cfg(target_arch = "x86_64")]
        Path::Avx2 => avx2(kernel),
        #[cfg(target_arch = "aarch64")]
        Path::Neon => kernel.run::<Wide128>(),
        _ => kernel.run::<Software>(),
    }
}

#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn avx512<K: Kernel>(kernel: K) -> K::Output {
    #[target_feature(enable = "avx512f,avx2,fma")]
    fn widened<K: Kernel>(kernel: K) -> K::Output {
        kernel.run::<Wide512>()
    }
    debug_assert!(Path::Avx512.is_supported());
    #[expect(unsafe_code, reason = "`Kernels` holds a path only if the processor has it")]
    unsafe {
        widened(kernel)
    }
}

#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn avx2<K: Kernel>(kernel: K) -> K::Output {
    #[target_feature(enable = "avx2,fma")]
    fn widened<K: Kernel>(kernel: K) -> K::Output {
        kernel.run::<Wide256>()
    }
    debug_assert!(Path::Avx2.is_supported());
    #[expect(unsafe_code, reason = "`Kernels` holds a path only if the processor has it")]
    unsafe {
        widened(kernel)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Operands around every hazard: signed zeros, subnormals, halfway cases, overflow.
    pub(crate) const HARD: [f32; 19] = [
        0.0,
        -0.0,
        1.0,
        -1.0,
        1.0 + f32::EPSILON,
        1.0 - f32::EPSILON / 2.0,
        f32::MIN_POSITIVE,
        -f32::MIN_POSITIVE,
        1e-45,
        -1e-45,
        3.0e-39,
        f32::MAX,
        -f32::MAX,
        16777217.0,
        0.1,
        -3.3333333e20,
        f32::INFINITY,
        f32::NEG_INFINITY,
        f32::NAN,
    ];

    // proves
    #[test]
    fn software_rounds_as_the_instruction_does() {
        // `mul_add` is exact by contract, whichever way this platform provides it.
        for a in HARD {
            for b in HARD {
                for c in HARD {
                    let (soft, hard) = (Software::fma(a, b, c), a.mul_add(b, c));
                    assert!(
                        soft.to_bits() == hard.to_bits() || soft.is_nan() && hard.is_nan(),
                        "{a:e} * {b:e} + {c:e}: {soft:e} against {hard:e}"
                    );
                }
            }
        }
        // Odd significands, whose products need all 48 bits, and sums that nearly cancel, round
        // halfway or end among the subnormals.
        let mut state = 1u64;
        let mut next = |exponents: u32, from: u32| {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            let bits = (state >> 32) as u32;
            let exponent = from + (state >> 16) as u32 % exponents;
            f32::from_bits((bits & 0x807f_ffff) | 1 | (exponent << 23))
        };
        for n in 0..2_000_000 {
            let (a, b) = (next(60, 30 + n % 90), next(60, 60));
            let c = match n % 4 {
                0 => -(a * b),
                1 => next(60, 1),
                2 => -(a * b) * (1.0 + f32::EPSILON),
                _ => a * b * 2f32.powi(24),
            };
            let (soft, hard) = (Software::fma(a, b, c), a.mul_add(b, c));
            assert_eq!(soft.to_bits(), hard.to_bits(), "{a:e} * {b:e} + {c:e}");
        }
    }
}
