//! The watcher that watches nothing: the command runs as it would without `lab`.
//!
//! Its record names what was declared (code, inputs, variables) and no more, and says so.

use lab_schema::Completeness;

use crate::child;
use crate::error::Result;
use crate::launch::{Ended, Launch, Watcher};

/// Runs a command without looking at what it reads.
#[derive(Clone, Copy, Debug, Default)]
pub struct Plain;

impl Watcher for Plain {
    fn name(&self) -> &'static str {
        "plain"
    }

    fn completeness(&self, _ended: &Ended) -> Completeness {
        Completeness::Declared
    }

    fn launch(&self, launch: &Launch<'_>) -> Result<Ended> {
        child::run(launch, false)
    }
}
