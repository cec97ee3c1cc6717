//! How sure a difference between two sets of scores is, as pure functions of numbers in memory.
//!
//! A score is what one run reached: an independently seeded training in which all that should not
//! matter varies (Bouthillier et al., "Accounting for Variance in Machine Learning Benchmarks",
//! 2021). [`compare`] puts the parts together as `lab` does by default; each part can be had alone.
//! What speaks of two trained models and their examples, and not of two methods and their runs,
//! stands apart: [`mcnemar`], [`paired_bootstrap`].
//!
//! Nothing here draws from the clock or the system: where arrangements are drawn, the scores
//! themselves are the seed, so the same scores have the same p. Logarithms and the like come from
//! `libm`, so the bits are the same on every machine. Time and memory are bounded: at most
//! [`MAX_RUNS`] scores per arm and [`MAX_EXAMPLES`] examples.
//!
//! The modules stand in dependency order; none uses one that is declared below it.
#![cfg_attr(test, allow(clippy::unwrap_used))]

#[cfg(test)]
mod fixture;

mod error;
mod checks;
mod sample;
mod bisection;
mod generator;
mod beta;
mod normal;
mod student;
mod noncentral;
mod design;
mod estimate;
mod holm;
mod subsets;
mod pooled;
mod arrangements;
mod permutation;
mod sign_flip;
mod superiority;
mod correlation;
mod mcnemar;
mod bootstrap;
mod folds;
mod arm;
mod verdict;
mod view;
mod compare;

pub use arm::{Arm, PairKey, Run};
pub use arrangements::{Arrangements, MAX_POOLED, Statistic, Test};
pub use bootstrap::{Bootstrap, MAX_EXAMPLES, STUDENTISED_EXAMPLES, paired_bootstrap};
pub use checks::MAX_RUNS;
pub use compare::{Comparison, Options, Pairing, compare, compare_several};
pub use correlation::{Correlation, correlation};
pub use design::{Design, runs_per_arm};
pub use error::{Result, StatisticsError};
pub use estimate::{Estimate, Interval};
pub use folds::corrected_t;
pub use holm::holm;
pub use mcnemar::{McNemar, discordant, mcnemar};
pub use permutation::{MAX_ENUMERATED, permutation, permutation_of};
pub use sign_flip::sign_flip;
pub use superiority::{MEANINGFUL, Superiority, superiority};
pub use verdict::{MIN_PAIRS, MIN_RUNS, Side, Verdict};
pub use view::{Summary, View};
