//! Philox4x32-10: random bits as a function of a counter and a key (Salmon, Moraes, Dror and
//! Shaw, "Parallel random numbers: as easy as 1, 2, 3", 2011).
//!
//! No state is carried along, so a draw depends on what it is for and on nothing that was drawn
//! before it. Floats lie on a grid of 2^-24, so they are exact.

const MULTIPLIERS: [u32; 2] = [0xD251_1F53, 0xCD9E_8D57];
const WEYL: [u32; 2] = [0x9E37_79B9, 0xBB67_AE85];

/// Ten rounds of Philox4x32: 128 random bits.
#[inline(always)]
pub fn philox(mut counter: [u32; 4], mut key: [u32; 2]) -> [u32; 4] {
    for _ in 0..10 {
        let a = u64::from(MULTIPLIERS[0]) * u64::from(counter[0]);
        let b = u64::from(MULTIPLIERS[1]) * u64::from(counter[2]);
        counter = [
            (b >> 32) as u32 ^ counter[1] ^ key[0],
            b as u32,
            (a >> 32) as u32 ^ counter[3] ^ key[1],
            a as u32,
        ];
        key = [key[0].wrapping_add(WEYL[0]), key[1].wrapping_add(WEYL[1])];
    }
    counter
}

/// A float in [0, 1), a multiple of 2^-24, from 32 random bits.
#[inline(always)]
pub fn uniform(bits: u32) -> f32 {
    (bits >> 8) as f32 / (1 << 24) as f32
}

/// A number with mean 0 and variance 1 that is nearly normally distributed: the sum of twelve
/// uniform ones less 6, computed in integers and rounded once. Its tails end at 6.
pub fn nearly_normal(blocks: [[u32; 4]; 3]) -> f32 {
    let sum: i64 = blocks.as_flattened().iter().map(|bits| i64::from(bits >> 8)).sum();
    // Twelve draws of [0, 2^24) have the mean 6 * 2^24 - 6.
    (sum - (6 << 24) + 6) as f32 / (1 << 24) as f32
}

/// Where a stream of draws is: its key, and the two upper words of its counters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stream {
    /// The key: a seed.
    pub key: [u32; 2],
    /// The third and fourth word of each counter: what the draws are for.
    pub purpose: [u32; 2],
}

impl Stream {
    /// Block `index` of the stream.
    #[inline(always)]
    pub fn block(&self, index: u64) -> [u32; 4] {
        let [third, fourth] = self.purpose;
        philox([index as u32, (index >> 32) as u32, third, fourth], self.key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // proves A-60: the known-answer vectors that Random123 publishes for philox4x32 with 10 rounds.
    #[test]
    fn known_answers() {
        let cases = [
            ([0; 4], [0; 2], [0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8]),
            ([!0; 4], [!0; 2], [0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd]),
            (
                [0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344],
                [0xa4093822, 0x299f31d0],
                [0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1],
            ),
        ];
        for (counter, key, expected) in cases {
            assert_eq!(philox(counter, key), expected);
        }
    }

    // proves A-61
    #[test]
    fn uniform_floats_are_the_upper_24_bits() {
        assert_eq!((uniform(0), uniform(0xff), uniform(0x100)), (0.0, 0.0, 2f32.powi(-24)));
        assert_eq!((uniform(1 << 31), uniform(!0)), (0.5, 1.0 - 2f32.powi(-24)));
        for i in 0..1000 {
            let [word, ..] = philox([i, 0, 0, 0], [5, 0]);
            assert_eq!(f64::from(uniform(word)), f64::from(word >> 8) / 16_777_216.0);
        }
    }

    // proves A-62
    #[test]
    fn nearly_normal_numbers_are_rounded_once() {
        let mut inexact = 0;
        for i in 0..1000 {
            let blocks = [0, 1, 2].map(|j| philox([i, j, 0, 0], [6, 0]));
            let words = blocks.iter().flatten();
            // All of this is exact in f64, save the last step.
            let exact: f64 = words.map(|w| f64::from(w >> 8)).sum::<f64>() - 100_663_290.0;
            let exact = exact / 16_777_216.0;
            assert_eq!(nearly_normal(blocks), exact as f32);
            inexact += usize::from(f64::from(exact as f32) != exact);
        }
        assert!(inexact > 100, "{inexact} of 1000 were rounded");
    }

    #[test]
    fn nearly_normal_numbers_have_the_moments_of_a_normal_one() {
        let stream = Stream { key: [1, 2], purpose: [3, 4] };
        let n = 100_000u64;
        let draw = |i: u64| [0, 1, 2].map(|j| stream.block(3 * i + j));
        let all: Vec<f64> = (0..n).map(|i| f64::from(nearly_normal(draw(i)))).collect();
        let moment = |p: i32| all.iter().map(|x| x.powi(p)).sum::<f64>() / n as f64;
        assert!(moment(1).abs() < 0.015 && (moment(2) - 1.0).abs() < 0.02);
        // A sum of twelve has a fourth moment of 2.9, a normal distribution 3.
        assert!((moment(4) - 2.9).abs() < 0.15, "{}", moment(4));
        assert_eq!(nearly_normal([[0; 4]; 3]), -6.0 + 6.0 / (1 << 24) as f32);
    }
}
