//! The watcher that sees what a command touches.
//!
//! Its record is complete if the tracer missed nothing and nobody outside was reached: what came
//! over a socket is nowhere written down.

use lab_schema::Completeness;
use lab_trace::Trace;

use crate::child;
use crate::error::Result;
use crate::launch::{Ended, Launch, Watcher};

/// How many reasons are given.
const FEW: usize = 3;

/// Watches all processes of a command.
#[derive(Clone, Copy, Debug, Default)]
pub struct Traced;

impl Watcher for Traced {
    fn name(&self) -> &'static str {
        "traced"
    }

    fn completeness(&self, ended: &Ended) -> Completeness {
        ended.trace.as_ref().map_or(Completeness::Declared, completeness)
    }

    fn launch(&self, launch: &Launch<'_>) -> Result<Ended> {
        child::run(launch, true)
    }
}

fn completeness(trace: &Trace) -> Completeness {
    let reached = trace.peers.iter().map(|peer| format!("it reached for {peer}"));
    let reasons: Vec<String> = trace.gaps.iter().cloned().chain(reached).collect();
    if reasons.is_empty() {
        return Completeness::Complete;
    }
    let mut text = reasons[..reasons.len().min(FEW)].join("; ");
    if reasons.len() > FEW {
        text.push_str(&format!("; and {} more", reasons.len() - FEW));
    }
    Completeness::Incomplete(text)
}
