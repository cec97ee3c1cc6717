//! Leases: how a collector knows who is at work.
//!
//! Every command that writes holds a lease from before it looks at the store until after its names
//! have moved. A pack that was condemned after a command began is not removed before that command has
//! ended (`collect.rs`). A lease is no lock: any number of commands hold one each, and nobody waits.
//! It ends with its process, however that ends.

use std::any::Any;
use std::fmt;
use std::time::SystemTime;

/// Held by a command until it is dropped.
#[must_use = "the lease ends when this is dropped"]
#[derive(Default)]
pub struct Lease {
    held: Option<Box<dyn Any + Send + Sync>>,
}

impl Lease {
    /// A lease that ends when `held` is dropped.
    pub fn new(held: impl Any + Send + Sync) -> Lease {
        Lease { held: Some(Box::new(held)) }
    }
}

impl fmt::Debug for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Lease({})", if self.held.is_some() { "held" } else { "of nothing" })
    }
}

/// A lease that somebody holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Living {
    /// Since when, by the clock of the store.
    pub since: SystemTime,
    /// Who, for people: process and host.
    pub holder: String,
}
