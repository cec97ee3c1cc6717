//! A sealed box: a command finds what a record holds at `/`, and nothing else of the machine.
//!
//! The box has namespaces of its own (user, mounts, processes, network, IPC, host name), a root
//! that is an overlay over a folder (what the command writes goes into another), no network but a
//! loopback, no capability, and an end: when its first command ends, or whoever started it, all in
//! it ends. It works for root and for plain users, on Linux 5.11 or later with user namespaces;
//! [`probe`] tries whether it does here, and says what stands in the way.
//!
//! What the box protects against: the command reads or writes files of the machine, talks to its
//! processes or to the network, gains privileges, or outlives its run. What it does not: flaws of
//! the kernel itself, and use of processor, memory and disk, which limits have to bound.
//!
//! The modules stand in dependency order; none uses one that is declared below it.
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod step;
#[cfg(target_os = "linux")]
mod sys;
#[cfg(target_os = "linux")]
mod plan;
#[cfg(target_os = "linux")]
mod enter;
#[cfg(target_os = "linux")]
mod seal;
#[cfg(target_os = "linux")]
mod changes;
#[cfg(not(target_os = "linux"))]
mod elsewhere;

#[cfg(target_os = "linux")]
pub use changes::{is_opaque, is_whiteout};
#[cfg(not(target_os = "linux"))]
pub use elsewhere::{Seal, is_opaque, is_whiteout, probe, seal};
#[cfg(target_os = "linux")]
pub use seal::{Seal, probe, seal};
pub use step::{Obstacle, obstacle};
