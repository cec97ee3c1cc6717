//! Metrics and two baselines, as pure functions of numbers in memory.
//!
//! The metrics say how good predictions are; the baselines (nearest neighbours, naive Bayes) say
//! how good they should be at least. Each has one definition, which its comment gives, and
//! scikit-learn's values where scikit-learn has them (`tests/reference.rs`). Sums run in ascending
//! order, counts are integers and logarithms come from `libm`, so the bits are the same on every
//! machine.
//!
//! The modules stand in dependency order; none uses one that is declared below it.
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod error;
mod sum;
mod checks;
mod counts;
mod probabilities;
mod scores;
mod calibration;
mod ranking;
mod regression;
mod language;
mod features;
mod arrays;
mod neighbours;
mod knn;
mod posterior;
mod gaussian;
mod multinomial;

pub use arrays::{Array, Numbers};
pub use calibration::{CALIBRATION_BINS, expected_calibration_error};
pub use counts::{Average, ClassCounts, confusion_matrix};
pub use error::{MetricsError, Result};
pub use features::Features;
pub use gaussian::GaussianNaiveBayes;
pub use knn::{KnnClassifier, KnnRegressor};
pub use language::{bits_per_byte, bits_per_character, perplexity};
pub use multinomial::MultinomialNaiveBayes;
pub use ranking::{roc_auc, roc_auc_one_versus_rest};
pub use regression::{
    mean_absolute_error, mean_squared_error, median_absolute_error, r2, root_mean_squared_error,
};
pub use scores::{brier_score, log_loss, top_k_accuracy};
