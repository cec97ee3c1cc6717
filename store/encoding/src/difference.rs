//! Words less other words, and the loops over them that the compiler vectorises.
//!
//! A difference is written around zero (0, -1, 1, -2, ...). Its upper part becomes a token: below
//! [`DIRECT`] itself, above that its magnitude and one more bit. What the base's exponent says is
//! the context in which tokens are counted.

use crate::ans::CONTEXTS;
use crate::float::Element;
use crate::word::Word;

/// Upper parts below this are tokens themselves.
pub(crate) const DIRECT: usize = 128;

/// The smallest upper part of each token, and the number of bits to add to it.
pub(crate) const TOKENS: [(u64, u32); 256] = {
    let mut tokens = [(0, 0); 256];
    let mut token = 0;
    while token < 256 {
        if token < DIRECT {
            tokens[token] = (token as u64, 0);
        } else {
            // The first two are those of 2^7, with 6 bits; from the last there are none so large.
            let bits = ((token - DIRECT) / 2) as u32 + 6;
            tokens[token] =
                if bits < 63 { ((token % 2 + 2) as u64 * (1 << bits), bits) } else { (0, 0) };
        }
        token += 1;
    }
    tokens
};

/// Contexts from exponents: how far below `top`, in steps of 2^`coarse`.
#[derive(Clone, Copy)]
pub(crate) struct Binning {
    pub(crate) element: Element,
    pub(crate) top: u16,
    pub(crate) coarse: u8,
}

/// The shift and the mask that give an element's exponent.
const fn exponent(element: Element) -> (u32, u16) {
    match element {
        Element::F16 => (10, 0x1f),
        Element::BF16 => (7, 0xff),
        Element::F32 => (23, 0xff),
        Element::F64 => (52, 0x7ff),
        Element::Other => (0, 0),
    }
}

/// Words as differences; slices of one call have equal lengths.
pub(crate) trait Difference: Word + Default {
    /// The bits, in the low end of 64.
    fn wide(self) -> u64;
    /// The lower bits of 64.
    fn narrow(bits: u64) -> Self;
    /// The exponents of every `step`-th word, counted.
    fn exponents(base: &[u8], element: Element, step: usize) -> Vec<u32>;
    /// The contexts that the words of `base` give.
    fn contexts(base: &[u8], binning: Binning, contexts: &mut [u8]);
    /// The differences of `raw` to `base`.
    fn subtract(raw: &[u8], base: &[u8], differences: &mut [Self]);
    /// The inverse of [`Difference::subtract`].
    fn add(differences: &[Self], base: &[u8], raw: &mut [u8]);
    /// The tokens of what is above the lowest `lower` bits.
    fn tokens(differences: &[Self], lower: u32, tokens: &mut [u8]);
    /// The inverse, for tokens below [`DIRECT`].
    fn uppers(tokens: &[u8], lower: u32, differences: &mut [Self]);
    /// Adds (by OR, so to zeros) the bits from `from` under `mask` to `plane`, `up` bits higher.
    fn take(differences: &[Self], from: u32, mask: u8, up: u32, plane: &mut [u8]);
    /// The inverse of [`Difference::take`].
    fn give(plane: &[u8], from: u32, mask: u8, up: u32, differences: &mut [Self]);
}

macro_rules! difference {
    ($type:ty, $signed:ty, $token:expr) => {
        impl Difference for $type {
            #[inline(always)]
            fn wide(self) -> u64 {
                self.into()
            }

            #[inline(always)]
            fn narrow(bits: u64) -> Self {
                bits as $type
            }

            fn exponents(base: &[u8], element: Element, step: usize) -> Vec<u32> {
                let (shift, mask) = exponent(element);
                let mut counts = vec![0; usize::from(mask) + 1];
                for word in base.chunks_exact(Self::WIDTH).step_by(step) {
                    counts[usize::from((Self::read(word) >> shift) as u16 & mask)] += 1;
                }
                counts
            }

            fn contexts(base: &[u8], binning: Binning, contexts: &mut [u8]) {
                let (shift, mask) = exponent(binning.element);
                for (word, context) in base.chunks_exact(Self::WIDTH).zip(contexts) {
                    let exponent = (Self::read(word) >> shift) as u16 & mask;
                    let below = binning.top.saturating_sub(exponent) >> binning.coarse;
                    *context = below.min(CONTEXTS as u16 - 1) as u8;
                }
            }

            fn subtract(raw: &[u8], base: &[u8], differences: &mut [Self]) {
                let words = raw.chunks_exact(Self::WIDTH).zip(base.chunks_exact(Self::WIDTH));
                for ((raw, base), difference) in words.zip(differences) {
                    let step = Self::read(raw).wrapping_sub(Self::read(base));
                    let sign = (step as $signed) >> (<$type>::BITS - 1);
                    *difference = (step << 1) ^ sign as $type;
                }
            }

            fn add(differences: &[Self], base: &[u8], raw: &mut [u8]) {
                let words = raw.chunks_exact_mut(Self::WIDTH).zip(base.chunks_exact(Self::WIDTH));
                for ((raw, base), difference) in words.zip(differences) {
                    let step = (difference >> 1) ^ (difference & 1).wrapping_neg();
                    Self::read(base).wrapping_add(step).write(raw);
                }
            }

            fn tokens(differences: &[Self], lower: u32, tokens: &mut [u8]) {
                let token_of: fn($type) -> u8 = $token;
                for (difference, token) in differences.iter().zip(tokens) {
                    *token = token_of(difference >> lower);
                }
            }

            fn uppers(tokens: &[u8], lower: u32, differences: &mut [Self]) {
                for (token, difference) in tokens.iter().zip(differences) {
                    *difference = <$type>::from(*token) << lower;
                }
            }

            fn take(differences: &[Self], from: u32, mask: u8, up: u32, plane: &mut [u8]) {
                for (difference, byte) in differences.iter().zip(plane) {
                    *byte |= ((difference >> from) as u8 & mask) << up;
                }
            }

            fn give(plane: &[u8], from: u32, mask: u8, up: u32, differences: &mut [Self]) {
                for (byte, difference) in plane.iter().zip(differences) {
                    *difference |= <$type>::from((byte >> up) & mask) << from;
                }
            }
        }
    };
}

/// The token by way of a float, whose exponent and first bit are what is looked for: so it is
/// vectorised. Bits that could round up are cleared before.
#[inline(always)]
fn float_token(upper: u32) -> u8 {
    let float = ((upper & !(upper >> 8)) as f32).to_bits() >> 22;
    // 128.0 has the biased exponent 134.
    let token = float.wrapping_sub(134 * 2 - DIRECT as u32);
    (if upper < DIRECT as u32 { upper } else { token }) as u8
}

/// The same for numbers that no float holds.
#[inline(always)]
fn wide_token(upper: u64) -> u8 {
    let magnitude = 63 - (upper | 1).leading_zeros();
    let next = (upper >> magnitude.saturating_sub(1)) as u32 & 1;
    let token = (DIRECT as u32 + next + 2 * magnitude).wrapping_sub(14);
    (if upper < DIRECT as u64 { upper as u32 } else { token }) as u8
}

difference!(u8, i8, |upper| float_token(upper.into()));
difference!(u16, i16, |upper| float_token(upper.into()));
difference!(u32, i32, float_token);
difference!(u64, i64, wide_token);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_and_the_bits_below_make_up_every_number() {
        let powers = (0..64).flat_map(|b| [(1 << b) - 1, 1 << b, (1 << b) + 1, u64::MAX >> b]);
        for number in (0..70_000u64).chain(powers) {
            let check = |tokens: fn(u64, &mut [u8])| {
                let mut token = [0];
                tokens(number, &mut token);
                let (least, length) = TOKENS[token[0] as usize];
                assert!(least <= number && number - least < 1 << length, "{number}");
            };
            check(|n, token| u64::tokens(&[n], 0, token));
            if number <= u32::MAX.into() {
                check(|n, token| u32::tokens(&[n as u32], 0, token));
            }
            if number <= u16::MAX.into() {
                check(|n, token| u16::tokens(&[n as u16], 0, token));
            }
            if number <= u8::MAX.into() {
                check(|n, token| u8::tokens(&[n as u8], 0, token));
            }
        }
    }
}
