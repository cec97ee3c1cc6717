//! det-1: arithmetic on f32 that has the same bits on every processor.
//!
//! * f32, round to nearest, subnormals kept; only `+ - * /`, square root, fused multiply-add,
//!   comparison and selection, and integers.
//! * The order of every sum is fixed and stated: products in chains of [`CHUNK`], rows in 32 lanes.
//!   Threads and vectors divide outputs, never a sum.
//! * `exp`, `log`, `tanh` are lists of operations of our own.
//! * No result depends on the instruction set ([`Path`]), on threads, on the optimisation level.
//!
//! docs/arithmetic.md states all of it, sentence by sentence; [`battery`] shows in a fraction of a
//! second whether a machine agrees. Callers check shapes: a slice of the wrong length is a bug
//! and panics.
//!
//! The modules stand in dependency order; none uses one that is declared below it.

mod fma;
mod vector;
mod path;
mod functions;
mod kernels;
mod threads;
mod scratch;
mod product;
mod sums;
mod elements;
mod rows;
mod batch_norm;
mod convolve;
mod pool;
mod embed;
mod attention;
mod recurrent;
mod philox;
mod dropout;
mod update;
mod cast;
mod inputs;
pub mod battery;

pub use attention::Attention;
pub use batch_norm::Moments;
pub use cast::{from_bf16, from_f16, to_bf16, to_f16};
pub use convolve::Window;
pub use elements::Function;
pub use kernels::Kernels;
pub use path::Path;
pub use philox::{Stream, nearly_normal, philox, uniform};
pub use product::{CHUNK, Packed, View};
pub use recurrent::{Steps, Tape};
pub use sums::argmax;
pub use update::{AdamW, Sgd};

/// The name of this arithmetic. A change of one bit anywhere is another one.
pub const VERSION: &str = "det-1";
