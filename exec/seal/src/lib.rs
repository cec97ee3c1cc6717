//! A sealed box: a command finds what a record holds at `/`, and nothing else of the machine.
//!
//! The box has namespaces of its own (user, mounts, processes, network, IPC, host name), a root
//! that is an overlay over a folder (what the command writes goes into another), no network but a
//! loopback, no capability, and an end: when its first command ends, or whoever started it, all in
//! it ends. It works for root and for plain users, on Linux 5.11 or later with user namespaces;
//! [`probe`] tries whether it does here, and says what stands in the way.
//!
//! What the box protects against: the command reads or writes files of the machine, talks to its
//! processes or to the network, gains privileges, or outlives its run. That holds for root, too: the
//! settings of the kernel and the entries of devices are read-only; and that it multiplies without end
//! (Linux 6.14). What it does not: flaws of
//! the kernel itself, and use of processor, memory and disk, which limits have to bound; nor what
//! its three streams lead to, which the caller chooses.
//!
//! What differs from the world outside: there are no user namespaces in it, no kernel keyrings, no
//! io_uring, no sockets but those of IP, of Unix and of the kernel, `/proc` is read-only and does not
//! show process 1, there is no terminal, and a folder that is recorded cannot be renamed in one step
//! (`EXDEV`, which `mv` and Python's `shutil.move` expect).
//!
//! The modules stand in dependency order; none uses one that is declared below it.
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod step;
#[cfg(target_os = "linux")]
mod filter;
#[cfg(target_os = "linux")]
mod sys;
#[cfg(target_os = "linux")]
mod places;
#[cfg(target_os = "linux")]
mod order;
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
pub use elsewhere::{Listing, Seal, is_opaque, is_whiteout, leavings, probe, seal};
#[cfg(target_os = "linux")]
pub use order::Listing;
#[cfg(target_os = "linux")]
pub use plan::{Seal, leavings};
#[cfg(target_os = "linux")]
pub use seal::{probe, seal};
pub use step::{Obstacle, obstacle};
