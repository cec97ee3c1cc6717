//! One arithmetic, compiled for several processors.
//!
//! A kernel is written once, over [`Fma`], in plain Rust. Rust never reorders or contracts float
//! operations, so the instruction set changes its speed and nothing else: each `fma` is rounded
//! once, whether an instruction or a routine does it.

/// The fused multiply-add `a * b + c` with one rounding.
pub(super) trait Fma {
    fn fma(a: f32, b: f32, c: f32) -> f32;
}

/// By instruction, where the surrounding code is compiled for a processor that has one.
pub(super) struct Hardware;

/// By integer and f64 operations; right on every processor, and slow.
pub(super) struct Software;

impl Fma for Hardware {
    #[inline(always)]
    fn fma(a: f32, b: f32, c: f32) -> f32 {
        a.mul_add(b, c)
    }
}

impl Fma for Software {
    #[inline(always)]
    fn fma(a: f32, b: f32, c: f32) -> f32 {
        libm::fmaf(a, b, c)
    }
}

/// Work that is compiled once per [`Path`]. `run` and what it calls must be `#[inline(always)]`,
/// so that they become part of the function whose instruction set is widened. A closure with an
/// `fma` in it is compiled without the instruction, and is some fifty times slower.
pub(super) trait Kernel {
    type Output;
    fn run<F: Fma>(self) -> Self::Output;
}

/// Which compiled form of the kernels runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Path {
    /// 256-bit vectors and the fma instruction of x86-64.
    Avx2,
    /// The fma instruction of the processor that the program was compiled for.
    Native,
    /// No fma instruction.
    Software,
}

impl Path {
    /// Every path, fastest first.
    pub const ALL: [Path; 3] = [Path::Avx2, Path::Native, Path::Software];

    /// Whether this machine can take it.
    pub fn is_supported(self) -> bool {
        match self {
            #[cfg(target_arch = "x86_64")]
            Path::Avx2 => is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma"),
            #[cfg(not(target_arch = "x86_64"))]
            Path::Avx2 => false,
            Path::Native => cfg!(any(target_arch = "aarch64", target_feature = "fma")),
            Path::Software => true,
        }
    }
}

/// Runs `kernel` on `path`, which must be supported.
pub(super) fn dispatch<K: Kernel>(path: Path, kernel: K) -> K::Output {
    match path {
        #[cfg(target_arch = "x86_64")]
        Path::Avx2 => avx2(kernel),
        #[cfg(not(target_arch = "x86_64"))]
        Path::Avx2 => kernel.run::<Software>(),
        Path::Native => kernel.run::<Hardware>(),
        Path::Software => kernel.run::<Software>(),
    }
}

#[cfg(target_arch = "x86_64")]
fn avx2<K: Kernel>(kernel: K) -> K::Output {
    #[target_feature(enable = "avx2,fma")]
    fn widened<K: Kernel>(kernel: K) -> K::Output {
        kernel.run::<Hardware>()
    }
    assert!(Path::Avx2.is_supported(), "kernels are built for supported paths only");
    #[expect(unsafe_code, reason = "the processor has these instructions: asserted above")]
    unsafe {
        widened(kernel)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Operands around every hazard: signed zeros, subnormals, halfway cases, overflow.
    pub(crate) const HARD: [f32; 16] = [
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
    ];

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
        // Odd significands, whose products need all 48 bits.
        let mut state = 1u32;
        let mut next = || {
            state = state.wrapping_mul(1664525).wrapping_add(1013904223);
            f32::from_bits((state >> 9) | 1 | ((100 + (state & 31)) << 23))
        };
        for _ in 0..200_000 {
            let (a, b, c) = (next(), next(), -next());
            assert_eq!(Software::fma(a, b, c).to_bits(), a.mul_add(b, c).to_bits());
        }
    }
}
