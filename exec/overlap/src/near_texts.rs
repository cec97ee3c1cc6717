//! Texts that are nearly equal: at least [`RESEMBLANCE`] of their shingles are the same.
//!
//! Found by their signatures, and then looked at: what is reported has been counted, not estimated.
//! A text that resembles another by exactly 0.7 is met with a chance of 0.99.
//!
//! Only texts with at least [`MIN_SHINGLES`] shingles are looked at, about 28 characters: two short
//! names that differ in a letter are two names. Of texts that meet in a band, each is held against
//! the [`REACH`] before it, in an order that knows nothing of the sets, and with [`MOST_COUNTED`] in
//! all it is compared shingle by shingle. That bounds the work where thousands are made of one
//! template; each of these still finds some.

use crate::shingles::{Shingles, resemblance};
use crate::signature::{BANDS, Hasher, Signature};

/// The least share of shingles in common.
pub const RESEMBLANCE: f64 = 0.7;
/// The fewest shingles of a text.
pub const MIN_SHINGLES: usize = 24;
/// Against how many others that meet it in a band a text is held.
const REACH: usize = 32;
/// With how many earlier texts a text is compared.
const MOST_COUNTED: u8 = 16;
/// The least agreement of signatures of 64 values: three standard deviations below what texts with
/// the least resemblance have on average (44.9, by the binomial 3.7).
const MIN_AGREEMENT: usize = 34;

/// Tells `near` of pairs of `count` texts, by index, and how much they resemble each other; the
/// same pair may be told several times.
pub(crate) fn near_texts<'a>(
    count: usize,
    text: impl Fn(usize) -> &'a str,
    mut near: impl FnMut(usize, usize, f64),
) {
    let hasher = Hasher::new();
    let (mut own, mut other) = (Shingles::default(), Shingles::default());
    let mut signatures: Vec<Signature> = Vec::new();
    let mut places: Vec<u32> = Vec::new();
    for (place, index) in (0..).zip(0..count) {
        let set = own.of(text(index));
        if set.len() >= MIN_SHINGLES {
            signatures.push(hasher.signature(set));
            places.push(place);
        }
    }
    let mut left = vec![MOST_COUNTED; signatures.len()];
    let mut band_order: Vec<(u32, u32)> = Vec::with_capacity(signatures.len());
    for band in 0..BANDS {
        band_order.clear();
        band_order.extend(signatures.iter().map(|signature| signature.bands[band]).zip(0..));
        band_order.sort_unstable();
        for bucket in band_order.chunk_by(|a, b| a.0 == b.0) {
            for (at, (_, second)) in bucket.iter().enumerate() {
                let mut taken_apart = false;
                let left = &mut left[*second as usize];
                for (_, first) in &bucket[at.saturating_sub(REACH)..at] {
                    if *left == 0 {
                        break;
                    }
                    let [a, b] = [*first, *second].map(|item| &signatures[item as usize]);
                    // In an earlier band they met already.
                    let before = a.bands[..band].iter().zip(&b.bands).any(|(a, b)| a == b);
                    if before && bucket.len() <= REACH || a.agreement(b) < MIN_AGREEMENT {
                        continue;
                    }
                    *left -= 1;
                    let [first, second] =
                        [*first, *second].map(|item| places[item as usize] as usize);
                    if !taken_apart {
                        own.of(text(second));
                        taken_apart = true;
                    }
                    let found = resemblance(own.set(), other.of(text(first)));
                    if found >= RESEMBLANCE {
                        near(first, second, found);
                    }
                }
            }
        }
    }
}
