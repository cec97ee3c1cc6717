//! MinHash: sets of shingles as short signatures that agree where the sets do.
//!
//! Of each of 64 functions the least value on the set is kept. Two sets have it in common with a
//! chance that is their resemblance s (Broder, "On the resemblance and containment of documents",
//! 1997). The functions are x -> a x + b modulo 2^32 with a odd, on shingles that are mixed before.
//!
//! Sets that agree in all of [`ROWS`] = 4 neighbouring values are put beside each other; there are
//! [`BANDS`] = 16 such bands, so two sets meet with the chance 1 - (1 - s^4)^16 (Leskovec,
//! Rajaraman, Ullman, "Mining of massive datasets", section 3.4):
//!
//! | s   | 0.2  | 0.3  | 0.4  | 0.5  | 0.6  | 0.7  | 0.8   | 0.9    |
//! |-----|------|------|------|------|------|------|-------|--------|
//! | met | 0.03 | 0.12 | 0.34 | 0.64 | 0.89 | 0.99 | 0.9998 | 1 - 1e-7 |
//!
//! Memory: 128 bytes a text.

use crate::shingles::mixed;

/// Neighbouring values that have to agree.
pub(crate) const ROWS: usize = 4;
/// How many groups of such values there are.
pub(crate) const BANDS: usize = 16;
const FUNCTIONS: usize = ROWS * BANDS;

/// What is kept of a text.
pub(crate) struct Signature {
    /// A hash of the values of each band.
    pub(crate) bands: [u32; BANDS],
    /// The lowest byte of each value.
    bytes: [u8; FUNCTIONS],
}

/// The functions.
pub(crate) struct Hasher {
    factors: [u32; FUNCTIONS],
    summands: [u32; FUNCTIONS],
}

impl Hasher {
    pub(crate) fn new() -> Hasher {
        let mut hasher = Hasher { factors: [0; FUNCTIONS], summands: [0; FUNCTIONS] };
        let numbers = hasher.factors.iter_mut().zip(&mut hasher.summands);
        for (index, (factor, summand)) in (1..).zip(numbers) {
            *factor = low(mixed(2 * index)) | 1;
            *summand = low(mixed(2 * index + 1));
        }
        hasher
    }

    /// The signature of a set that is not empty.
    pub(crate) fn signature(&self, shingles: &[u64]) -> Signature {
        let mut least = [u32::MAX; FUNCTIONS];
        for shingle in shingles {
            let x = low(*shingle);
            let functions = self.factors.iter().zip(&self.summands);
            for (least, (factor, summand)) in least.iter_mut().zip(functions) {
                *least = (*least).min(factor.wrapping_mul(x).wrapping_add(*summand));
            }
        }
        let (mut bands, mut bytes) = ([0; BANDS], [0; FUNCTIONS]);
        for (band, values) in bands.iter_mut().zip(least.as_chunks::<ROWS>().0) {
            let hash = values.iter().fold(0, |hash, value| mixed(hash ^ u64::from(*value)));
            *band = low(hash);
        }
        // The least values are small: their upper bits are alike.
        bytes.iter_mut().zip(least).for_each(|(byte, value)| *byte = value.to_le_bytes()[0]);
        Signature { bands, bytes }
    }
}

impl Signature {
    /// In how many of 64 values two signatures agree; of those that differ 1 in 256 seems to.
    pub(crate) fn agreement(&self, other: &Signature) -> usize {
        self.bytes.iter().zip(&other.bytes).filter(|(a, b)| a == b).count()
    }
}

fn low(bits: u64) -> u32 {
    let [a, b, c, d, ..] = bits.to_le_bytes();
    u32::from_le_bytes([a, b, c, d])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sets of 200 of which `common` are the same, over and over.
    fn met(resemblance: f64) -> (f64, f64) {
        let hasher = Hasher::new();
        // s = c / (400 - c)
        let common = (400.0 * resemblance / (1.0 + resemblance)).round() as u64;
        let (mut met, mut agreed) = (0, 0);
        const TRIES: u64 = 4_000;
        for round in 0..TRIES {
            let set = |from: u64| (from..from + 200).map(|x| mixed(x + (round << 32))).collect();
            let (a, b): (Vec<u64>, Vec<u64>) = (set(0), set(200 - common));
            let (a, b) = (hasher.signature(&a), hasher.signature(&b));
            met += u64::from(a.bands.iter().zip(&b.bands).any(|(a, b)| a == b));
            agreed += a.agreement(&b) as u64;
        }
        (met as f64 / TRIES as f64, agreed as f64 / 64.0 / TRIES as f64)
    }

    #[test]
    fn sets_meet_as_often_as_they_should() {
        for s in [0.2f64, 0.3, 0.5, 0.7, 0.8, 0.9] {
            let (found, agreed) = met(s);
            let expected = 1.0 - (1.0 - s.powi(4)).powi(16);
            assert!((found - expected).abs() < 0.03, "{s}: {found} {expected}");
            assert!((agreed - s - (1.0 - s) / 256.0).abs() < 0.01, "{s}: {agreed}");
        }
    }
}
