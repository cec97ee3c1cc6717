//! Watches a process tree: which files it reads, looks for, lists and changes, which programs it
//! runs, and what else reaches it.
//!
//! The kernel holds every system call that can bring something in (seccomp user notification,
//! Linux 5.5), a thread here looks at it and lets it go on; no privilege is needed and the
//! program does not notice. Where the kernel does not ask, the thread follows as a debugger does. See [`spawn`] for the start and [`Trace`] for what is known at the
//! end. Where the kernel's answer would not be the same each time, or on each machine, the thread can
//! answer instead ([`Answers`]). Knows nothing of stores and records. On systems other than
//! Linux nothing can be watched.
//!
//! One thing cannot be excluded: a thread of the program may change a path in memory after it was
//! looked at and before the kernel uses it. Ordinary programs do not; one that does so on purpose
//! deceives the record, and is found out in the sealed box, which lacks what was not recorded.
//!
//! The modules stand in dependency order; none uses one that is declared below it.
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod record;
mod answers;
#[cfg(target_os = "linux")]
mod filter;
#[cfg(target_os = "linux")]
mod sys;
#[cfg(target_os = "linux")]
mod calls;
#[cfg(target_os = "linux")]
mod memory;
#[cfg(target_os = "linux")]
mod resolve;
#[cfg(target_os = "linux")]
mod program;
#[cfg(target_os = "linux")]
mod spool;
#[cfg(target_os = "linux")]
mod peer;
#[cfg(target_os = "linux")]
mod argument;
#[cfg(target_os = "linux")]
mod observe;
#[cfg(target_os = "linux")]
mod ptrace;
#[cfg(target_os = "linux")]
mod follow;
#[cfg(target_os = "linux")]
mod chance;
#[cfg(target_os = "linux")]
mod device;
#[cfg(target_os = "linux")]
mod reply;
#[cfg(target_os = "linux")]
mod masks;
#[cfg(target_os = "linux")]
mod family;
#[cfg(target_os = "linux")]
mod image;
#[cfg(target_os = "linux")]
mod respond;
#[cfg(target_os = "linux")]
mod watch;
#[cfg(not(target_os = "linux"))]
mod elsewhere;

pub use answers::Answers;
#[cfg(not(target_os = "linux"))]
pub use elsewhere::{Watch, can_answer, probe, spawn};
pub use record::{Fact, Listed, Program, Stamp, Thing, Trace, Watching};
#[cfg(target_os = "linux")]
pub use watch::{Watch, can_answer, probe, spawn};
