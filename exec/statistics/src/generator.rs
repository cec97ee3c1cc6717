//! Draws that depend on nothing but the scores.
//!
//! SplitMix64 (Steele, Lea, Flood, "Fast splittable pseudorandom number generators", 2014): the
//! n-th number is a mix of the seed and n, so there is no state but a counter. The seed is a mix of
//! the scores, in an order that does not depend on how they came.

const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Numbers that follow from a seed.
#[derive(Clone, Debug)]
pub(crate) struct Generator(u64);

impl Generator {
    /// With the scores for a seed. 0 and -0 are one score.
    pub(crate) fn seeded_by<'a>(scores: impl IntoIterator<Item = &'a f64>) -> Self {
        let mut seed = 0;
        for score in scores {
            seed = mix(seed ^ (score + 0.0).to_bits()).wrapping_add(STEP);
        }
        Self(seed)
    }

    /// The next number; all 64-bit numbers are equally likely.
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(STEP);
        mix(self.0)
    }

    /// A number below the bound, which is not 0. Of bounds below 2^32, none is favoured by more
    /// than 2^-32 of its chance.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        ((u128::from(self.next()) * bound as u128) >> 64) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_answers() {
        // The generator's published first numbers from the seed 1234567.
        let mut generator = Generator(1_234_567);
        let first: Vec<u64> = (0..3).map(|_| generator.next()).collect();
        assert_eq!(
            first,
            [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423]
        );
    }

    #[test]
    fn scores_decide() {
        let first = |scores: &[f64]| Generator::seeded_by(scores).next();
        assert_eq!(first(&[0.0, 1.0]), first(&[-0.0, 1.0]));
        assert_ne!(first(&[0.0, 1.0]), first(&[1.0, 0.0]));
        assert_ne!(first(&[1.0]), first(&[1.0, 0.0]));
        assert_ne!(first(&[0.0]), first(&[0.0, 0.0]));
    }

    #[test]
    fn all_below_a_bound_are_drawn_alike() {
        let mut counts = [0_u32; 7];
        let mut generator = Generator::seeded_by(&[1.0]);
        (0..70_000).for_each(|_| counts[generator.below(7)] += 1);
        // Five standard deviations of a count are 460.
        assert!(counts.iter().all(|n| n.abs_diff(10_000) < 460), "{counts:?}");
    }
}
