//! Bytes into fewer bytes: where to cut a file, and how to write down what was cut.
//!
//! Everything here is a pure function of bytes in memory. What is decoded is bounded beforehand by
//! the caller, and a hostile input is refused in words ([`Parsed`]), never by a panic. No id
//! depends on anything here: encodings may change, the bytes that they stand for do not.
//!
//! The modules stand in dependency order; none uses one that is declared below it.
#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod float;
pub mod plain;
pub mod patch;
pub mod weights;
mod word;
mod prefix;
mod huffman;
mod ans;
mod difference;
pub mod delta;
pub mod planes;

/// Why bytes are not what they should be.
pub type Parsed<T> = Result<T, &'static str>;
