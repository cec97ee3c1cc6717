//! Who signed what: SSH signatures of runs and attestations, and whom a store believes.
//!
//! ```text
//!   Signer ──signs──▶ Signature (an object)      a key of the user's, or ssh-keygen with one
//!   holds()                                      whether it is by the key that it names
//!   Allowed                                      whose keys these are, and until when
//!   judged() = both                              of all signatures of one thing
//!   Policy                                       what a store lets in: `lab_remote::Gate`
//! ```
//!
//! Whatever is not known to be good is not called good: a key of a kind that cannot be checked here, a
//! line of the file that is not understood, a weak key. What OpenSSH's own `ssh-keygen -Y verify` says
//! is what is said here, or less; the tests ask it.
//!
//! The modules stand in dependency order; none uses one that is declared below it.
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod error;
mod pattern;
mod armour;
mod holds;
mod allowed;
mod signer;
mod judge;
mod policy;

pub use allowed::{Allowed, NotAllowed, Problem};
pub use armour::{armoured, unarmoured};
pub use error::{Result, TrustError};
pub use holds::{Holds, fingerprint, holds};
pub use judge::{Judgement, Standing, judge, judged};
pub use policy::Policy;
pub use signer::Signer;
