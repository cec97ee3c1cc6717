//! Random draws that depend on what they are for, and not on what was drawn before.
//!
//! Philox4x32-10, a counter-based generator: a draw is a function of the seed (the key), of its
//! purpose (a name such as `split` or `init/fc1.weight`), of a lane (an epoch, a class) and of an
//! index. No state is carried along, so adding a layer, an epoch or a thread changes no other
//! draw. Floats lie on a grid of 2^-24, so they are exact.

use lab_schema::Digest;

const MULTIPLIERS: [u32; 2] = [0xD251_1F53, 0xCD9E_8D57];
const WEYL: [u32; 2] = [0x9E37_79B9, 0xBB67_AE85];

/// Ten rounds of Philox4x32.
fn philox(mut counter: [u32; 4], mut key: [u32; 2]) -> [u32; 4] {
    for _ in 0..10 {
        let wide = |m: u32, c: u32| u64::from(m) * u64::from(c);
        let (a, b) = (wide(MULTIPLIERS[0], counter[0]), wide(MULTIPLIERS[1], counter[2]));
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

/// The draws of one seed for one purpose.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Draws {
    key: [u32; 2],
    stream: u32,
}

impl Draws {
    /// The stream's number is the start of a digest of the purpose's name.
    pub(crate) fn new(seed: u64, purpose: &str) -> Self {
        let digest = Digest::derive("lab 2026-11-24 random stream", purpose.as_bytes());
        let [a, b, c, d, ..] = *digest.as_bytes();
        Draws { key: [seed as u32, (seed >> 32) as u32], stream: u32::from_le_bytes([a, b, c, d]) }
    }

    /// 128 random bits.
    pub(crate) fn bits(&self, lane: u32, index: u64) -> [u32; 4] {
        philox([index as u32, (index >> 32) as u32, lane, self.stream], self.key)
    }

    /// A float in [0, 1), a multiple of 2^-24.
    pub(crate) fn uniform(&self, lane: u32, index: u64) -> f32 {
        (self.bits(lane, index)[0] >> 8) as f32 / (1 << 24) as f32
    }

    /// An integer below `bound`, which is not 0. No value is preferred by more than
    /// `bound` / 2^64.
    pub(crate) fn below(&self, lane: u32, index: u64, bound: u64) -> u64 {
        let [low, high, ..] = self.bits(lane, index);
        let draw = u64::from(high) << 32 | u64::from(low);
        ((u128::from(draw) * u128::from(bound)) >> 64) as u64
    }

    /// Shuffles by Fisher and Yates, from the last element down.
    pub(crate) fn shuffle<T>(&self, lane: u32, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            let other = self.below(lane, last as u64, last as u64 + 1) as usize;
            items.swap(last, other);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // The known-answer vectors that Random123 publishes for philox4x32 with 10 rounds.
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

    #[test]
    fn draws_depend_on_everything_that_names_them() {
        let base = Draws::new(1, "split").bits(0, 0);
        assert_ne!(base, Draws::new(2, "split").bits(0, 0));
        assert_ne!(base, Draws::new(1 << 32 | 1, "split").bits(0, 0));
        assert_ne!(base, Draws::new(1, "shuffle").bits(0, 0));
        assert_ne!(base, Draws::new(1, "split").bits(1, 0));
        assert_ne!(base, Draws::new(1, "split").bits(0, 1 << 32));
    }

    #[test]
    fn shuffles_are_permutations_and_fair() {
        let draws = Draws::new(7, "shuffle");
        let mut seen = [[0u32; 5]; 5];
        for lane in 0..10_000 {
            let mut items = [0, 1, 2, 3, 4];
            draws.shuffle(lane, &mut items);
            let mut sorted = items;
            sorted.sort();
            assert_eq!(sorted, [0, 1, 2, 3, 4]);
            items.iter().enumerate().for_each(|(at, item)| seen[at][*item] += 1);
        }
        // 2,000 expected in each cell; six standard deviations are 240.
        assert!(seen.iter().flatten().all(|n| n.abs_diff(2000) < 240), "{seen:?}");
    }

    #[test]
    fn uniform_floats_fill_the_interval() {
        let draws = Draws::new(3, "init");
        let all: Vec<f32> = (0..10_000).map(|i| draws.uniform(0, i)).collect();
        assert!(all.iter().all(|u| (0.0..1.0).contains(u)));
        let mean = all.iter().sum::<f32>() / 10_000.0;
        assert!((mean - 0.5).abs() < 0.02, "{mean}");
    }
}
