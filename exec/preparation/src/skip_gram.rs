//! Pairs of a word and its neighbour, with words that are no neighbours, as word2vec takes them.
//!
//! Fitted: how often each id comes in the training text. Frequent words are left out by chance
//! before neighbours are looked for; negatives are drawn by count^(3/4). Every draw is a function
//! of the seed, the epoch and a position. The power is sqrt(c) * sqrt(sqrt(c)), which IEEE 754
//! rounds alike everywhere. Refuses ids beyond the vocabulary, and one word that is all there is.

use serde::{Deserialize, Serialize};

use crate::error::{PreparationError, Result};
use crate::rng::Draws;

const MAX_VOCABULARY: usize = 1 << 24;
const MAX_PAIRS: u64 = 1 << 28;
/// Weights are count^(3/4) in units of 2^-10: of a count of up to 2^40 they add up within u64.
const UNITS: f64 = 1024.0;
const MAX_COUNT: u64 = 1 << 40;

/// How often each id comes in the training text. In JSON it is the list of counts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<u64>", into = "Vec<u64>")]
pub struct Frequencies {
    counts: Vec<u64>,
    total: u64,
    /// For each id the sum of the weights before it, and in the end of all.
    before: Vec<u64>,
}

/// How pairs are taken.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PairPlan {
    /// Farthest neighbour on either side, at least 1.
    pub window: usize,
    /// The frequency t above which words are left out by chance, such as 1e-3; none keeps all.
    pub subsample: Option<f64>,
    /// Negatives for each pair.
    pub negatives: usize,
    /// The seed.
    pub seed: u64,
}

/// Pairs, and what stands beside each.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pairs {
    /// The word of each pair.
    pub centres: Vec<u32>,
    /// Its neighbour.
    pub contexts: Vec<u32>,
    /// `[pairs, negatives]`, row after row.
    pub negatives: Vec<u32>,
}

impl Frequencies {
    /// Counts the ids of the training text, each below `vocabulary`.
    ///
    /// # Errors
    /// No id, one beyond the vocabulary, a vocabulary of more than 2^24.
    pub fn fit(tokens: &[u32], vocabulary: usize) -> Result<Frequencies> {
        check_vocabulary(vocabulary)?;
        let mut counts = vec![0u64; vocabulary];
        for (position, id) in tokens.iter().enumerate() {
            match counts.get_mut(*id as usize) {
                Some(count) => *count += 1,
                None => {
                    let tokens = vocabulary;
                    return Err(PreparationError::UnknownToken { position, id: *id, tokens });
                }
            }
        }
        Frequencies::try_from(counts)
    }

    /// How often each id comes.
    pub fn counts(&self) -> &[u64] {
        &self.counts
    }

    /// The chance that an id is kept: min(1, (sqrt(f / t) + 1) * t / f) for the frequency f.
    fn chance(&self, id: u32, t: f64) -> f64 {
        let f = self.counts[id as usize] as f64 / self.total as f64;
        if f > t { ((f / t).sqrt() + 1.0) * t / f } else { 1.0 }
    }

    /// An id other than `context` by weight; the weights of the others are more than 0. One draw
    /// below the sum of the others' weights is looked up in the running sums.
    fn negative(&self, context: u32, draws: &Draws, lane: u32, index: u64) -> u32 {
        let (start, end) = (self.before[context as usize], self.before[context as usize + 1]);
        let all = self.before[self.counts.len()];
        let mut draw = draws.below(lane, index, all - (end - start));
        if draw >= start {
            draw += end - start;
        }
        self.before.partition_point(|before| *before <= draw) as u32 - 1
    }
}

fn check_vocabulary(found: usize) -> Result<()> {
    match found > MAX_VOCABULARY {
        true => {
            let (found, limit) = (found as u64, MAX_VOCABULARY as u64);
            Err(PreparationError::TooLarge { what: "ids of the vocabulary", found, limit })
        }
        false => Ok(()),
    }
}

impl TryFrom<Vec<u64>> for Frequencies {
    type Error = PreparationError;

    fn try_from(counts: Vec<u64>) -> Result<Frequencies> {
        check_vocabulary(counts.len())?;
        let (mut total, mut sum, mut before) = (0u64, 0u64, vec![0]);
        for count in &counts {
            total = total.saturating_add(*count);
            if total > MAX_COUNT {
                let (found, limit) = (total, MAX_COUNT);
                return Err(PreparationError::TooLarge { what: "ids of the text", found, limit });
            }
            let root = (*count as f64).sqrt();
            sum += (root * root.sqrt() * UNITS) as u64;
            before.push(sum);
        }
        match total {
            0 => Err(PreparationError::NoValue { column: "of ids".into() }),
            total => Ok(Frequencies { counts, total, before }),
        }
    }
}

impl From<Frequencies> for Vec<u64> {
    fn from(frequencies: Frequencies) -> Vec<u64> {
        frequencies.counts
    }
}

impl PairPlan {
    /// The pairs of a text in an epoch, centre by centre, the neighbours from left to right.
    ///
    /// The id at position i is kept if a float in [0, 1) by the purpose `pairs/subsample` (lane:
    /// the epoch, index: i) is below its chance, min(1, (sqrt(f / t) + 1) * t / f). Negative j of
    /// pair p is drawn by `pairs/negatives` (lane: the epoch, index: p * negatives + j) among the
    /// ids other than the neighbour, with the weights floor(1024 * count^(3/4)).
    ///
    /// # Errors
    /// An id that the training text lacks, a window of 0, a frequency that is not above 0,
    /// negatives where there is one word, more than 2^28 pairs or negatives.
    pub fn pairs(&self, tokens: &[u32], frequencies: &Frequencies, epoch: u32) -> Result<Pairs> {
        let kept = self.kept(tokens, frequencies, epoch)?;
        let mut pairs = Pairs::default();
        for (at, centre) in kept.iter().enumerate() {
            let first = at.saturating_sub(self.window);
            let last = at.saturating_add(self.window).min(kept.len() - 1);
            for (_, context) in (first..=last).zip(&kept[first..=last]).filter(|(i, _)| *i != at) {
                pairs.centres.push(*centre);
                pairs.contexts.push(*context);
            }
        }
        let draws = Draws::new(self.seed, "pairs/negatives");
        for context in &pairs.contexts {
            for _ in 0..self.negatives {
                let index = pairs.negatives.len() as u64;
                pairs.negatives.push(frequencies.negative(*context, &draws, epoch, index));
            }
        }
        Ok(pairs)
    }

    /// How many pairs a text has in an epoch.
    ///
    /// # Errors
    /// As [`PairPlan::pairs`].
    pub fn count(&self, tokens: &[u32], frequencies: &Frequencies, epoch: u32) -> Result<u64> {
        let kept = self.kept(tokens, frequencies, epoch)?.len() as u64;
        // The i-th from an end lacks what would lie beyond that.
        let window = (self.window as u64).min(kept.saturating_sub(1));
        Ok(2 * kept * window - window * (window + 1))
    }

    /// The tokens that are not left out; few enough, that their pairs can be listed.
    fn kept(&self, tokens: &[u32], frequencies: &Frequencies, epoch: u32) -> Result<Vec<u32>> {
        self.check(frequencies)?;
        let known = |id: u32| frequencies.counts.get(id as usize).is_some_and(|count| *count > 0);
        if let Some(position) = tokens.iter().position(|id| !known(*id)) {
            let (id, tokens) = (tokens[position], frequencies.counts.len());
            return Err(PreparationError::UnknownToken { position, id, tokens });
        }
        let kept = self.sampled(tokens, frequencies, epoch);
        let around = kept.len().min(self.window).saturating_mul(2) as u64;
        let most = (kept.len() as u64).saturating_mul(around);
        let most = most.saturating_mul(self.negatives.max(1) as u64);
        match most > MAX_PAIRS {
            true => {
                let limit = MAX_PAIRS;
                Err(PreparationError::TooLarge { what: "pairs", found: most, limit })
            }
            false => Ok(kept),
        }
    }

    fn sampled(&self, tokens: &[u32], frequencies: &Frequencies, epoch: u32) -> Vec<u32> {
        let Some(t) = self.subsample else { return tokens.to_vec() };
        let draws = Draws::new(self.seed, "pairs/subsample");
        let keep = |(at, id): &(usize, &u32)| {
            f64::from(draws.uniform(epoch, *at as u64)) < frequencies.chance(**id, t)
        };
        tokens.iter().enumerate().filter(keep).map(|(_, id)| *id).collect()
    }

    fn check(&self, frequencies: &Frequencies) -> Result<()> {
        let bad =
            |option, value: String, needed| Err(PreparationError::Option { option, value, needed });
        let words = frequencies.counts.iter().filter(|count| **count > 0).count();
        match self.subsample {
            _ if self.window == 0 => bad("window", "0".into(), "at least 1"),
            Some(t) if !(t > 0.0 && t.is_finite()) => {
                bad("subsample", t.to_string(), "a finite number above 0")
            }
            _ if self.negatives > 0 && words < 2 => {
                bad("negatives", self.negatives.to_string(), "a text of at least two words")
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests;
