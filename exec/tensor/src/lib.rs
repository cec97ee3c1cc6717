//! Tensor programs: prepare, train and evaluate, in process, with the same bits on every machine.
//!
//! A [`Program`] is read from TOML and yields a recipe per stage; [`execute()`] carries one out.
//! Underneath stand three things that can be replaced one by one: the kernels (fixed-order f32
//! arithmetic, [`kernels`]), the gradients, and the interpreter of the stages. Candle holds the
//! tensors and walks the graph; no arithmetic of its own decides a result.
//!
//! The modules stand in dependency order; none uses one that is declared below it.
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod error;
mod rng;
pub mod kernels;
mod forward;
mod gradients;
mod ops;
mod toml_value;
mod settings;
mod task;
mod program;
mod table;
mod split;
mod tensors;
mod files;
mod prepare;
mod model;
mod optimizer;
mod train;
mod evaluate;
mod execute;

pub use error::{Result, TensorError};
pub use execute::{execute, execute_on};
pub use program::{Program, Source, Stage, StageInput};
pub use task::ENGINE;
