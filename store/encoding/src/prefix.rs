//! Prefix codes: how long the code of each byte is, and which bits it gets.
//!
//! Huffman's construction, with codes of at most [`LIMIT`] bits so that a table of two thousand
//! entries decodes them. Lengths are all that is written down; codes follow from them. Lengths that do
//! not fill the space of codes exactly are refused when they are read.

use crate::Parsed;

/// The longest code, in bits.
pub(crate) const LIMIT: usize = 11;
/// What [`LIMIT`] bits can be.
pub(crate) const SLOTS: usize = 1 << LIMIT;

/// How often each byte occurs.
pub(crate) type Counts = [u32; 256];

/// Counts bytes; keeps its memory between planes.
#[derive(Default)]
pub(crate) struct Counter {
    /// By two neighbours, the first in the lower byte.
    pairs: Vec<u32>,
}

impl Counter {
    /// From so many bytes on they are counted in pairs: half as many steps, and 65,536 sums.
    const LONG: usize = 128 << 10;

    /// How often each byte occurs in `plane`.
    pub(crate) fn count(&mut self, plane: &[u8]) -> Counts {
        if plane.len() < Self::LONG {
            return count(plane);
        }
        self.pairs.clear();
        self.pairs.resize(1 << 16, 0);
        let mut sum = [0; 256];
        let (twos, rest) = plane.as_chunks();
        if let Some(pairs) = self.pairs.first_chunk_mut::<{ 1 << 16 }>() {
            for two in twos {
                pairs[usize::from(u16::from_le_bytes(*two))] += 1;
            }
        }
        for (second, counts) in self.pairs.as_chunks::<256>().0.iter().enumerate() {
            sum[second] += counts.iter().sum::<u32>();
            sum.iter_mut().zip(counts).for_each(|(sum, count)| *sum += count);
        }
        rest.iter().for_each(|byte| sum[usize::from(*byte)] += 1);
        sum
    }
}

/// Counts the bytes of a short `plane` (into four tables, so that equal neighbours do not wait for each other).
pub(crate) fn count(plane: &[u8]) -> Counts {
    let mut tables = [[0u32; 256]; 4];
    let mut words = plane.chunks_exact(8);
    for word in &mut words {
        for (at, &byte) in word.iter().enumerate() {
            tables[at % 4][byte as usize] += 1;
        }
    }
    for &byte in words.remainder() {
        tables[0][byte as usize] += 1;
    }
    let mut sum = [0; 256];
    for (byte, slot) in sum.iter_mut().enumerate() {
        *slot = tables.iter().map(|table| table[byte]).sum();
    }
    sum
}

/// The length of each symbol's code in bits, 0 for symbols that do not occur.
pub(crate) struct Lengths(pub(crate) [u8; 256]);

impl Lengths {
    /// Lengths that fit `counts`; at least two bytes must occur.
    pub(crate) fn fit(counts: &Counts) -> Lengths {
        let mut order: Vec<u8> = (0..=255).filter(|&s| counts[s as usize] > 0).collect();
        order.sort_by_key(|&s| counts[s as usize]);
        let depths =
            depths(&order.iter().map(|&s| u64::from(counts[s as usize])).collect::<Vec<_>>());
        let mut lengths = [0u8; 256];
        for (&symbol, &depth) in order.iter().zip(&depths) {
            lengths[symbol as usize] = depth.clamp(1, LIMIT as u8);
        }
        // Clamped codes overfill the space: lengthen the rarest that can still grow, then hand
        // what is left over to the most frequent that fit.
        let room = |length: u8| 1usize << (LIMIT - length as usize);
        let mut used: usize = order.iter().map(|&s| room(lengths[s as usize])).sum();
        while used > SLOTS {
            let longest = order.iter().filter(|&&s| lengths[s as usize] < LIMIT as u8);
            let Some(&symbol) = longest.max_by_key(|&&s| lengths[s as usize]) else { break };
            lengths[symbol as usize] += 1;
            used -= room(lengths[symbol as usize]);
        }
        while used < SLOTS {
            let fits =
                |&&s: &&u8| lengths[s as usize] > 1 && room(lengths[s as usize]) <= SLOTS - used;
            let Some(&symbol) = order.iter().rev().find(fits) else { break };
            used += room(lengths[symbol as usize]);
            lengths[symbol as usize] -= 1;
        }
        Lengths(lengths)
    }

    /// Bytes that [`encode`] will write for these counts, within a few.
    pub(crate) fn cost(&self, counts: &Counts) -> usize {
        let bits: u64 = self.0.iter().zip(counts).map(|(&l, &c)| u64::from(l) * u64::from(c)).sum();
        let (first, last) = self.range();
        (bits / 8) as usize + (last - first) / 2 + 20
    }

    fn range(&self) -> (usize, usize) {
        let first = self.0.iter().position(|&l| l > 0).unwrap_or(0);
        let last = self.0.iter().rposition(|&l| l > 0).unwrap_or(0);
        (first, last)
    }

    /// Two bytes of range, then four bits a symbol.
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        let (first, last) = self.range();
        out.extend_from_slice(&[first as u8, last as u8]);
        for pair in self.0[first..=last].chunks(2) {
            out.push(pair[0] | pair.get(1).copied().unwrap_or(0) << 4);
        }
    }

    /// Reads what [`Lengths::write`] wrote; gives the rest of the bytes.
    pub(crate) fn read(stored: &[u8]) -> Parsed<(Lengths, &[u8])> {
        let [first, last, rest @ ..] = stored else { return Err("a Huffman code is cut off") };
        let (first, last) = (*first as usize, *last as usize);
        if first >= last {
            return Err("a Huffman code has fewer than two symbols");
        }
        let size = (last - first + 1).div_ceil(2);
        let (nibbles, rest) = rest.split_at_checked(size).ok_or("a Huffman code is cut off")?;
        let mut lengths = [0u8; 256];
        for (at, slot) in lengths[first..=last].iter_mut().enumerate() {
            *slot = (nibbles[at / 2] >> (at % 2 * 4)) & 15;
        }
        if lengths.iter().any(|&l| l as usize > LIMIT) {
            return Err("a Huffman code is too long");
        }
        let used: usize = lengths.iter().filter(|&&l| l > 0).map(|&l| SLOTS >> l).sum();
        if used != SLOTS {
            return Err("a Huffman code is not complete");
        }
        Ok((Lengths(lengths), rest))
    }

    /// Canonical codes, first bit lowest.
    pub(crate) fn codes(&self) -> [u32; 256] {
        let mut codes = [0u32; 256];
        let mut next = 0u32;
        for length in 1..=LIMIT as u8 {
            next <<= 1;
            for (symbol, _) in self.0.iter().enumerate().filter(|&(_, &l)| l == length) {
                codes[symbol] = next.reverse_bits() >> (32 - u32::from(length));
                next += 1;
            }
        }
        codes
    }
}

/// Depths in the Huffman tree of weights in rising order.
fn depths(weights: &[u64]) -> Vec<u8> {
    let leaves = weights.len();
    let mut nodes: Vec<u64> = weights.to_vec();
    let mut parents = vec![0usize; leaves.max(1) * 2 - 1];
    // Inner nodes are made in rising order too, so the two smallest stand at one of two fronts.
    let (mut leaf, mut inner) = (0, leaves);
    while nodes.len() + 1 < 2 * leaves {
        let mut weight = 0;
        for _ in 0..2 {
            let take_leaf = leaf < leaves && (inner >= nodes.len() || nodes[leaf] <= nodes[inner]);
            let at = if take_leaf { &mut leaf } else { &mut inner };
            weight += nodes[*at];
            parents[*at] = nodes.len();
            *at += 1;
        }
        nodes.push(weight);
    }
    let mut depths = vec![0u8; nodes.len()];
    for at in (0..nodes.len().saturating_sub(1)).rev() {
        depths[at] = depths[parents[at]].saturating_add(1);
    }
    depths.truncate(leaves);
    depths
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::word::samples;

    #[test]
    fn pairs_count_what_single_bytes_do() {
        let mut counter = Counter::default();
        let noise = samples::content(3, Counter::LONG + 1, 9);
        for plane in [&noise[..], &noise[1..], &noise[2..], &[7; Counter::LONG][..]] {
            let mut counts = [0; 256];
            plane.iter().for_each(|byte| counts[usize::from(*byte)] += 1);
            assert_eq!(counter.count(plane), counts);
            assert_eq!(count(plane), counts);
        }
    }

    /// Counts that grow so fast that Huffman's tree is deeper than the limit.
    fn steep() -> Counts {
        let mut counts = [0; 256];
        let (mut a, mut b) = (1, 1);
        for count in &mut counts[40..80] {
            *count = a;
            (a, b) = (b, (a + b).min(1 << 28));
        }
        counts
    }

    fn check(counts: &Counts) {
        let lengths = Lengths::fit(counts);
        assert!(lengths.0.iter().zip(counts).all(|(&l, &c)| (l > 0) == (c > 0)));
        let mut stored = Vec::new();
        lengths.write(&mut stored);
        stored.push(7);
        // Reading refuses what is not complete.
        let (back, rest) = Lengths::read(&stored).unwrap();
        assert_eq!((back.0, rest), (lengths.0, &[7][..]));
    }

    #[test]
    fn codes_are_complete_however_steep_the_counts() {
        check(&steep());
        check(&[1; 256]);
        let mut two = [0; 256];
        (two[0], two[255]) = (1, u32::MAX);
        check(&two);
    }

    #[test]
    fn the_code_is_as_good_as_huffmans() {
        let mut counts = [0; 256];
        counts[..5].copy_from_slice(&[1, 2, 4, 8, 16]);
        assert_eq!(Lengths::fit(&counts).0[..5], [4, 4, 3, 2, 1]);
    }

    proptest! {
        #[test]
        fn any_counts_get_a_complete_code(
            counts in prop::collection::vec(prop_oneof![Just(0), 1u32..9, any::<u32>()], 256),
        ) {
            let mut array = [0; 256];
            array.copy_from_slice(&counts);
            if counts.iter().filter(|&&c| c > 0).count() > 1 {
                check(&array);
            }
        }
    }
}
