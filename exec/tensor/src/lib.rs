//! Tensor programs: prepare, train and evaluate, in process, with the same bits on every machine.
//!
//! A [`Program`] is read from TOML and yields a recipe per stage; [`execute()`] carries one out.
//! Underneath stand three things that can be replaced one by one: the arithmetic
//! ([`lab_arithmetic`], det-1), operations with their gradients on candle's tensors, and the
//! interpreter of the stages. Candle holds the tensors and walks the graph; no arithmetic of its
//! own decides a result.
//!
//! The modules stand in dependency order; none uses one that is declared below it.
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod error;
mod memory;
mod operations;
mod trace;
mod tensor;
mod words;
mod layers;
mod toml_value;
mod settings;
mod stage_settings;
mod task;
mod stage;
mod program;
mod baselines;
mod tensors;
mod files;
mod prepare;
mod pairing;
mod network;
mod presets;
mod checkpoint;
mod model;
mod history;
mod optimizer;
mod examples;
mod augment;
mod judge;
mod fitted;
mod predictions;
mod evaluate;
mod training;
mod kept;
mod train;
mod follow;
mod execute;

pub use baselines::{BASELINES, Baseline};
pub use checkpoint::Resuming;
pub use error::{Result, TensorError};
pub use execute::{execute, execute_on, execute_resuming};
pub use follow::{Divergence, Follow, Segment, Trace, divergence};
pub use program::Program;
pub use stage::{Source, Stage, StageInput};
pub use task::{ENGINE, STEPS};
