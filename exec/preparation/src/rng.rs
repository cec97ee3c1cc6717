//! Random draws that depend on what they are for, and not on what was drawn before.
//!
//! Philox4x32-10 ([`lab_arithmetic::philox()`]): a draw is a function of the seed (the key), of its
//! purpose (a name such as `split` or `init/fc1.weight`), of a lane (an epoch, a class) and of an
//! index. No state is carried along, so adding a layer, an epoch or a thread changes no other
//! draw. Floats lie on a grid of 2^-24, so they are exact.

use lab_arithmetic::{Stream, philox, uniform};
use lab_schema::Digest;

/// The draws of one seed for one purpose.
#[derive(Clone, Copy, Debug)]
pub struct Draws {
    key: [u32; 2],
    stream: u32,
}

impl Draws {
    /// The stream's number is the start of a digest of the purpose's name.
    pub fn new(seed: u64, purpose: &str) -> Self {
        let digest = Digest::derive("lab 2026-11-24 random stream", purpose.as_bytes());
        let [a, b, c, d, ..] = *digest.as_bytes();
        Draws { key: [seed as u32, (seed >> 32) as u32], stream: u32::from_le_bytes([a, b, c, d]) }
    }

    /// The draws of a purpose beside this one, by number.
    pub fn also(&self, number: u32) -> Self {
        Draws { stream: self.stream.wrapping_add(number), ..*self }
    }

    /// The blocks of one lane.
    pub fn stream(&self, lane: u32) -> Stream {
        Stream { key: self.key, purpose: [lane, self.stream] }
    }

    /// 128 random bits.
    pub fn bits(&self, lane: u32, index: u64) -> [u32; 4] {
        philox([index as u32, (index >> 32) as u32, lane, self.stream], self.key)
    }

    /// A float in [0, 1), a multiple of 2^-24.
    pub fn uniform(&self, lane: u32, index: u64) -> f32 {
        uniform(self.bits(lane, index)[0])
    }

    /// An integer below `bound`, which is not 0. No value is preferred by more than
    /// `bound` / 2^64.
    pub fn below(&self, lane: u32, index: u64, bound: u64) -> u64 {
        let [low, high, ..] = self.bits(lane, index);
        let draw = u64::from(high) << 32 | u64::from(low);
        ((u128::from(draw) * u128::from(bound)) >> 64) as u64
    }

    /// Shuffles by Fisher and Yates, from the last element down.
    pub fn shuffle<T>(&self, lane: u32, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            let other = self.below(lane, last as u64, last as u64 + 1) as usize;
            items.swap(last, other);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_depend_on_everything_that_names_them() {
        let base = Draws::new(1, "split").bits(0, 0);
        assert_ne!(base, Draws::new(2, "split").bits(0, 0));
        assert_ne!(base, Draws::new(1 << 32 | 1, "split").bits(0, 0));
        assert_ne!(base, Draws::new(1, "shuffle").bits(0, 0));
        assert_ne!(base, Draws::new(1, "split").bits(1, 0));
        assert_ne!(base, Draws::new(1, "split").bits(0, 1 << 32));
    }

    // proves A-63: the numbers of the streams are those that another implementation of BLAKE3 gives.
    #[test]
    fn draws_are_named_by_seed_purpose_lane_and_index() {
        for (purpose, stream) in
            [("split", 0x19cf_0be1), ("shuffle", 0xcc0c_c33d), ("init/fc1.weight", 0xe7e7_c066)]
        {
            let draws = Draws::new(7 << 32 | 9, purpose);
            let expected = philox([5, 3, 21, stream], [9, 7]);
            assert_eq!(draws.bits(21, 3 << 32 | 5), expected, "{purpose}");
            assert_eq!(draws.stream(21).block(3 << 32 | 5), expected);
            assert_eq!(draws.uniform(21, 3 << 32 | 5), uniform(expected[0]));
            let beside = philox([5, 3, 21, stream.wrapping_add(u32::MAX)], [9, 7]);
            assert_eq!(draws.also(u32::MAX).bits(21, 3 << 32 | 5), beside);
        }
    }

    // proves A-64
    #[test]
    fn integers_below_a_bound_are_exact() {
        let draws = Draws::new(1, "split");
        for bound in [1, 2, 3, 10, 1 << 32, (1 << 32) + 1, u64::MAX] {
            for index in 0..100 {
                let [w0, w1, ..] = draws.bits(4, index);
                // By halves of the product, without 128 bits.
                let (b0, b1) = (bound & 0xffff_ffff, bound >> 32);
                let (w0, w1) = (u64::from(w0), u64::from(w1));
                let middle =
                    ((w0 * b0) >> 32) + ((w1 * b0) & 0xffff_ffff) + ((w0 * b1) & 0xffff_ffff);
                let high = w1 * b1 + ((w1 * b0) >> 32) + ((w0 * b1) >> 32) + (middle >> 32);
                assert_eq!(draws.below(4, index, bound), high, "below {bound}");
                assert!(high < bound);
            }
        }
    }

    // proves A-65
    #[test]
    fn shuffles_change_places_from_the_last_down() {
        let draws = Draws::new(2, "shuffle");
        let mut items: Vec<u64> = (0..50).collect();
        draws.shuffle(8, &mut items);
        let mut plain: Vec<u64> = (0..50).collect();
        let mut i = 49;
        while i > 0 {
            plain.swap(i, draws.below(8, i as u64, i as u64 + 1) as usize);
            i -= 1;
        }
        assert_eq!(items, plain);
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
