//! Which examples of one data set are also in another, exactly or nearly: test examples among the
//! training data.
//!
//! [`examples`] and [`folder`] take files apart into [`Examples`]: rows of a table, texts, or
//! images and other arrays. [`overlap`] says which test examples are among the training examples,
//! lists pairs, and judges whether chance explains their number: what is equal is a fact, that it
//! leaked a conclusion, which [`judge`] draws from how groups of equal examples lie in both sets.
//!
//! | sort | equal | nearly equal |
//! |---|---|---|
//! | rows | all cells are, numbers as decimal numbers | not looked for |
//! | texts | all characters are, but for blanks around | at least 0.7 of the shingles are the same (MinHash, then counted) |
//! | images | all values are | the low frequencies correlate by 0.997 (perceptual hash, then computed) |
//! | other arrays | all values are | not looked for |
//!
//! No files, no clock, no network, no threads; nothing is drawn at random, and no order of a hash map
//! enters: the same bytes have the same findings on every machine. Everything is bounded: 2^24
//! examples of a set, 4 GiB of text. Beside itself an example takes 60 bytes, and 420 more if nearly
//! equal images are looked for, 170 if texts are; lists may take double while they grow.
//!
//! The modules stand in dependency order; none uses one that is declared below it.
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod error;
mod decimal;
mod strings;
mod examples;
mod plain;
mod read;
mod law;
mod chance;
mod groups;
mod shingles;
mod signature;
mod near_texts;
mod frequencies;
mod near_images;
mod compare;

pub use chance::{ANY_LEVEL, Class, Group, Judgement, MAX_SIZE, SPLIT_LEVEL, Verdict, judge};
pub use compare::{How, MAX_PAIRS, Options, Overlap, Pair, Shared, overlap};
pub use error::{OverlapError, Result};
pub use examples::{Arrays, Examples, MAX_EXAMPLES, Rows, Texts};
pub use near_images::{CORRELATION, MAX_BITS, MIN_SIDE};
pub use near_texts::{MIN_SHINGLES, RESEMBLANCE};
pub use plain::Unit;
pub use read::{Reading, examples, folder};
