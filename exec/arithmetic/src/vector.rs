//! Vectors of floats for what the compiler does not vectorise well by itself: the tile of a
//! product, whose sums have to stay in registers, and the lanes of a row's sum.
//!
//! A vector does nothing that its lanes would not do one by one, so its width shows in no bit.

use crate::fma::software;

/// Some floats that are computed on together.
pub(crate) trait Vector: Copy {
    /// How many.
    const LANES: usize;

    /// `LANES` times the same.
    fn splat(value: f32) -> Self;

    /// The first `LANES` numbers of a slice that has as many.
    fn load(from: &[f32]) -> Self;

    /// Overwrites the first `LANES` numbers of a slice that has as many.
    fn store(self, to: &mut [f32]);

    /// `self + other`, lane by lane.
    fn add(self, other: Self) -> Self;

    /// `self * factor + summand`, lane by lane, rounded once.
    fn fma(self, factor: Self, summand: Self) -> Self;

    /// `self` where that is greater than `other`, else `other`, lane by lane.
    fn greater(self, other: Self) -> Self;
}

/// The 32 lanes of a sum along a row.
pub(crate) trait Lanes: Copy {
    /// All lanes the same.
    fn splat(value: f32) -> Self;

    /// Each lane and its number.
    fn add(&mut self, numbers: &[f32; 32]);

    /// Each lane and the product of its numbers, rounded once.
    fn fma(&mut self, a: &[f32; 32], b: &[f32; 32]);

    /// Each lane or its number, if that is greater.
    fn greatest(&mut self, numbers: &[f32; 32]);

    /// Lane by lane.
    fn store(self) -> [f32; 32];
}

impl<V: Vector, const N: usize> Lanes for [V; N] {
    #[inline(always)]
    fn splat(value: f32) -> Self {
        [V::splat(value); N]
    }

    #[inline(always)]
    fn add(&mut self, numbers: &[f32; 32]) {
        for (i, lanes) in self.iter_mut().enumerate() {
            *lanes = lanes.add(V::load(&numbers[i * V::LANES..]));
        }
    }

    #[inline(always)]
    fn fma(&mut self, a: &[f32; 32], b: &[f32; 32]) {
        for (i, lanes) in self.iter_mut().enumerate() {
            let (a, b) = (V::load(&a[i * V::LANES..]), V::load(&b[i * V::LANES..]));
            *lanes = a.fma(b, *lanes);
        }
    }

    #[inline(always)]
    fn greatest(&mut self, numbers: &[f32; 32]) {
        for (i, lanes) in self.iter_mut().enumerate() {
            *lanes = V::load(&numbers[i * V::LANES..]).greater(*lanes);
        }
    }

    #[inline(always)]
    fn store(self) -> [f32; 32] {
        let mut out = [0.0; 32];
        for (i, lanes) in self.into_iter().enumerate() {
            lanes.store(&mut out[i * V::LANES..]);
        }
        out
    }
}

/// One float, by routine where there is no instruction.
impl Vector for f32 {
    const LANES: usize = 1;

    #[inline(always)]
    fn splat(value: f32) -> Self {
        value
    }

    #[inline(always)]
    fn load(from: &[f32]) -> Self {
        from[0]
    }

    #[inline(always)]
    fn store(self, to: &mut [f32]) {
        to[0] = self;
    }

    #[inline(always)]
    fn add(self, other: Self) -> Self {
        self + other
    }

    #[inline(always)]
    fn fma(self, factor: Self, summand: Self) -> Self {
        software(self, factor, summand)
    }

    #[inline(always)]
    fn greater(self, other: Self) -> Self {
        if self > other { self } else { other }
    }
}

/// Implements [`Vector`] for a vector type of the processor. Its functions become part of callers
/// that are compiled for that processor; nobody else has such a vector.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
macro_rules! vector {
    ($type:ident, $lanes:literal, $splat:ident, $load:ident, $store:ident, $add:ident, |$a:ident, $b:ident, $c:ident| $fma:expr, |$x:ident, $y:ident| $greater:expr) => {
        impl Vector for $type {
            const LANES: usize = $lanes;

            #[inline(always)]
            fn splat(value: f32) -> Self {
                #[expect(unsafe_code, reason = "called on a path that has the instruction")]
                unsafe {
                    $splat(value)
                }
            }

            #[inline(always)]
            fn load(from: &[f32]) -> Self {
                let from = &from[..$lanes];
                #[expect(unsafe_code, reason = "the slice is as long as the vector: cut above")]
                unsafe {
                    $load(from.as_ptr())
                }
            }

            #[inline(always)]
            fn store(self, to: &mut [f32]) {
                let to = &mut to[..$lanes];
                #[expect(unsafe_code, reason = "the slice is as long as the vector: cut above")]
                unsafe {
                    $store(to.as_mut_ptr(), self)
                }
            }

            #[inline(always)]
            fn add(self, other: Self) -> Self {
                #[expect(unsafe_code, reason = "called on a path that has the instruction")]
                unsafe {
                    $add(self, other)
                }
            }

            #[inline(always)]
            fn fma(self, factor: Self, summand: Self) -> Self {
                let ($a, $b, $c) = (self, factor, summand);
                #[expect(unsafe_code, reason = "called on a path that has the instruction")]
                unsafe {
                    $fma
                }
            }

            #[inline(always)]
            fn greater(self, other: Self) -> Self {
                let ($x, $y) = (self, other);
                #[expect(unsafe_code, reason = "called on a path that has the instruction")]
                unsafe {
                    $greater
                }
            }
        }
    };
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::*;

    use super::Vector;

    vector!(
        __m512,
        16,
        _mm512_set1_ps,
        _mm512_loadu_ps,
        _mm512_storeu_ps,
        _mm512_add_ps,
        |a, b, c| _mm512_fmadd_ps(a, b, c),
        // Gives the second where either is NaN or both are zero: what the selection does.
        |x, y| _mm512_max_ps(x, y)
    );
    vector!(
        __m256,
        8,
        _mm256_set1_ps,
        _mm256_loadu_ps,
        _mm256_storeu_ps,
        _mm256_add_ps,
        |a, b, c| _mm256_fmadd_ps(a, b, c),
        |x, y| _mm256_max_ps(x, y)
    );
}

#[cfg(target_arch = "aarch64")]
mod arm {
    use std::arch::aarch64::*;

    use super::Vector;

    vector!(
        float32x4_t,
        4,
        vdupq_n_f32,
        vld1q_f32,
        vst1q_f32,
        vaddq_f32,
        |a, b, c| vfmaq_f32(c, a, b),
        |x, y| vbslq_f32(vcgtq_f32(x, y), x, y)
    );
}
