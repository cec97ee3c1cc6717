//! Runs of one method.

/// What two runs share if they are a pair.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PairKey {
    /// The seed, as text.
    pub seed: String,
    /// The split of the data: a name, or the hash of its parts.
    pub split: String,
}

/// One run.
#[derive(Clone, Debug, PartialEq)]
pub struct Run {
    /// Under what it ran, if that is known.
    pub key: Option<PairKey>,
    /// What it reached; none if it crashed.
    pub score: Option<f64>,
}

/// Runs of one method, independently seeded, crashed ones among them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Arm {
    /// In any order.
    pub runs: Vec<Run>,
}

impl Arm {
    /// Runs of which nothing is known but their scores; none for a crash.
    pub fn of(scores: &[Option<f64>]) -> Self {
        Self { runs: scores.iter().map(|score| Run { key: None, score: *score }).collect() }
    }

    /// The scores of the runs that did not crash.
    pub fn completed(&self) -> Vec<f64> {
        self.runs.iter().filter_map(|run| run.score).collect()
    }

    /// How many crashed.
    pub fn crashed(&self) -> usize {
        self.runs.iter().filter(|run| run.score.is_none()).count()
    }

    /// The scores of all runs, that of a crashed one being `worst`.
    pub(crate) fn with_crashed_as(&self, worst: f64) -> Vec<f64> {
        self.runs.iter().map(|run| run.score.unwrap_or(worst)).collect()
    }
}
