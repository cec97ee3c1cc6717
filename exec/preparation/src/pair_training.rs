//! Training of byte pairs: the most frequent pair is merged, again and again.
//!
//! Pairs are counted inside the pieces of the text (as it is cut for encoding), overlapping ones
//! too. Of equally frequent pairs the one with the lowest ids is merged, first id first, so that
//! the text alone decides. Counts are kept up to date piece by piece, not counted anew. Refuses a
//! text that has too few pairs for the vocabulary.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};

use crate::byte_pairs::{Builder, BytePairs, MAX_MERGES, MAX_TEXT, Pair, byte_ids};
use crate::error::{PreparationError, Result};
use crate::pretokens::pretokens;

/// A distinct piece of the text.
struct Piece {
    ids: Vec<u32>,
    count: i64,
}

struct Training {
    pieces: Vec<Piece>,
    counts: BTreeMap<Pair, i64>,
    /// The pieces that have, or had, a pair.
    places: BTreeMap<Pair, BTreeSet<usize>>,
    /// An entry is stale if its count is not the pair's.
    heap: BinaryHeap<(i64, Reverse<Pair>)>,
}

impl BytePairs {
    /// Merges until the vocabulary has `size` tokens, of which 256 are the bytes.
    ///
    /// # Errors
    /// A size below 256 or above 2^20, more than 2^30 bytes of text, a text that is merged to
    /// the end before.
    pub fn train(text: &str, size: usize) -> Result<BytePairs> {
        if !(256..=MAX_MERGES).contains(&size) {
            let (option, value) = ("vocabulary", size.to_string());
            return Err(PreparationError::Option { option, value, needed: "256 to 1048576" });
        }
        if text.len() > MAX_TEXT {
            let (found, limit) = (text.len() as u64, MAX_TEXT as u64);
            return Err(PreparationError::TooLarge { what: "bytes of text", found, limit });
        }
        let mut training = Training::new(text);
        let mut builder = Builder::new();
        while builder.known.tokens().len() < size {
            let Some(pair) = training.best() else {
                let found = builder.known.tokens().len();
                return Err(PreparationError::Exhausted { found, wanted: size });
            };
            let made = builder.merge(pair)?;
            training.merge(pair, made);
        }
        Ok(builder.known)
    }
}

impl Training {
    fn new(text: &str) -> Training {
        let mut distinct: BTreeMap<&str, i64> = BTreeMap::new();
        pretokens(text).for_each(|piece| *distinct.entry(piece).or_default() += 1);
        let pieces: Vec<Piece> = distinct
            .into_iter()
            .map(|(text, count)| Piece { ids: byte_ids(text), count })
            .collect();
        let mut training = Training {
            pieces,
            counts: BTreeMap::new(),
            places: BTreeMap::new(),
            heap: BinaryHeap::new(),
        };
        let mut changes = BTreeMap::new();
        for piece in 0..training.pieces.len() {
            training.count(piece, 1, &mut changes);
        }
        training.change(changes);
        training
    }

    /// The most frequent pair.
    fn best(&mut self) -> Option<Pair> {
        while let Some((count, Reverse(pair))) = self.heap.pop() {
            if self.counts.get(&pair) == Some(&count) {
                return Some(pair);
            }
        }
        None
    }

    /// Adds the pairs of a piece to the changes, `sign` times.
    fn count(&mut self, piece: usize, sign: i64, changes: &mut BTreeMap<Pair, i64>) {
        let Piece { ids, count } = &self.pieces[piece];
        for pair in ids.windows(2).map(|ids| (ids[0], ids[1])) {
            *changes.entry(pair).or_default() += sign * count;
            if sign > 0 {
                self.places.entry(pair).or_default().insert(piece);
            }
        }
    }

    fn change(&mut self, changes: BTreeMap<Pair, i64>) {
        for (pair, change) in changes.into_iter().filter(|(_, change)| *change != 0) {
            let count = self.counts.entry(pair).or_default();
            *count += change;
            match *count {
                0 => drop((self.counts.remove(&pair), self.places.remove(&pair))),
                count => self.heap.push((count, Reverse(pair))),
            }
        }
    }

    fn merge(&mut self, pair: Pair, made: u32) {
        let mut changes = BTreeMap::new();
        for piece in self.places.remove(&pair).unwrap_or_default() {
            self.count(piece, -1, &mut changes);
            merge_in(&mut self.pieces[piece].ids, pair, made);
            self.count(piece, 1, &mut changes);
        }
        self.change(changes);
    }
}

/// Replaces the pair, from the left.
fn merge_in(ids: &mut Vec<u32>, pair: Pair, made: u32) {
    let (mut from, mut to) = (0, 0);
    while from < ids.len() {
        let found = ids[from] == pair.0 && ids.get(from + 1) == Some(&pair.1);
        ids[to] = if found { made } else { ids[from] };
        from += if found { 2 } else { 1 };
        to += 1;
    }
    ids.truncate(to);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn merges(text: &str, size: usize) -> String {
        BytePairs::train(text, size).unwrap().to_merges()
    }

    /// Counts anew for every merge.
    fn naive(text: &str, size: usize) -> String {
        let mut pieces: Vec<Vec<u32>> = pretokens(text).map(byte_ids).collect();
        let mut builder = Builder::new();
        while builder.known.tokens().len() < size {
            let mut counts: BTreeMap<Pair, i64> = BTreeMap::new();
            for ids in &pieces {
                ids.windows(2).for_each(|ids| *counts.entry((ids[0], ids[1])).or_default() += 1);
            }
            let best = counts.into_iter().max_by_key(|(pair, count)| (*count, Reverse(*pair)));
            let pair = best.unwrap().0;
            let made = builder.merge(pair).unwrap();
            pieces.iter_mut().for_each(|ids| merge_in(ids, pair, made));
        }
        builder.known.to_merges()
    }

    #[test]
    fn the_most_frequent_pair_comes_first() {
        assert_eq!(merges("ab ab abc bc", 258), "#version: 0.2\na b\nĠ ab\n");
        // All are there once: the lowest ids, and a is below b, b below the space.
        assert_eq!(merges("ba", 257), "#version: 0.2\nb a\n");
        assert_eq!(merges("cd ab", 257), "#version: 0.2\na b\n");
        assert_eq!(merges("aaaa", 258), "#version: 0.2\na a\naa aa\n");
    }

    #[test]
    fn kept_counts_are_the_counts() {
        let mut text = String::new();
        let mut state = 7u64;
        for _ in 0..3000 {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            text.push(b"aaabbcd e\n1"[(state >> 33) as usize % 11] as char);
        }
        assert_eq!(merges(&text, 400), naive(&text, 400));
    }

    #[test]
    fn what_cannot_be_trained_is_refused() {
        let error = BytePairs::train("abc", 300).unwrap_err().to_string();
        assert!(error.starts_with("the text yields 258 tokens, not 300"), "{error}");
        assert!(BytePairs::train("abc", 255).is_err() && BytePairs::train("abc", 1 << 30).is_err());
        assert_eq!(merges("", 256), "#version: 0.2\n");
    }
}
