//! The ways in which scores can be no input for a test.
//!
//! Scores, pairs, folds and examples count from 0.

/// What `lab-statistics` returns.
pub type Result<T> = std::result::Result<T, StatisticsError>;

/// Scores or demands from which nothing can be concluded.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum StatisticsError {
    /// NaN or an infinity.
    #[error("number {index} of the {what} is {value}: a finite number is needed")]
    NotFinite {
        /// Which input.
        what: &'static str,
        /// Where.
        index: usize,
        /// The number.
        value: f64,
    },
    /// Too little for what was asked.
    #[error("{test} needs at least {needed} {what}, not {found}")]
    TooFew {
        /// What was asked.
        test: &'static str,
        /// What there is too little of.
        what: &'static str,
        /// How many there are.
        found: u64,
        /// How many there should be.
        needed: u64,
    },
    /// More than is accepted.
    #[error("there are {found} {what}: the limit is {limit}")]
    TooMany {
        /// What.
        what: &'static str,
        /// How many there are.
        found: u64,
        /// The most that is accepted.
        limit: u64,
    },
    /// Two inputs that should be pairs.
    #[error("{a} numbers cannot be paired with {b}")]
    Unpaired {
        /// How many there are on the one side.
        a: usize,
        /// How many on the other.
        b: usize,
    },
    /// A demand outside its range.
    #[error("the {what} is {value}: a number from {low:?} to {high:?} is needed")]
    Range {
        /// Which demand.
        what: &'static str,
        /// The number.
        value: f64,
        /// The least that is accepted.
        low: f64,
        /// The most that is accepted.
        high: f64,
    },
    /// All numbers are equal, so that nothing says how far the next would be.
    #[error("the {0} do not vary: without a spread nothing can be said of what was not seen")]
    NoSpread(&'static str),
    /// More runs than anybody makes.
    #[error("more than {limit} runs per arm are needed to find a difference of {effect}")]
    OutOfReach {
        /// The difference, in the units of the scores.
        effect: f64,
        /// The most runs that were tried.
        limit: u64,
    },
    /// Two runs of an arm that cannot be told apart when pairs are made.
    #[error("two runs of {arm} have the seed '{}' and the split '{}': pairs need one of each", .seed.escape_debug(), .split.escape_debug())]
    DuplicateKey {
        /// Which arm.
        arm: &'static str,
        /// The seed of both.
        seed: String,
        /// The split of both.
        split: String,
    },
    /// The scores are finite, the result is not.
    #[error("{0} is too large for a 64-bit float")]
    Overflow(&'static str),
}
