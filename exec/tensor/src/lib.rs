//! Tensor programs.
#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod kernels;
mod rng;
mod forward;
mod gradients;
mod ops;
