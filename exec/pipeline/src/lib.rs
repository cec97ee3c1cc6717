//! What a project declares in `lab.toml`: steps, each a command with parameters; and what
//! `lab.lock` pins of them: the exact results.
//!
//! Text in, values out: neither stores nor commands are known here.
//!
//! The modules stand in dependency order; none uses one that is declared below it.
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod error;
mod amount;
mod words;
mod step;
mod file;
mod order;
mod lock;

pub use amount::{bytes, milliseconds};
pub use error::{PipelineError, Result};
pub use file::{MAX_STEPS, Pipeline};
pub use lock::{Lock, Pinned};
pub use order::in_order;
pub use step::Step;
