//! Systems on which nothing can be watched.

use std::io;
use std::process::{Child, Command};
use std::time::Duration;

use crate::answers::Answers;
use crate::record::{Trace, Watching};

/// A process tree that is being watched: here there is none.
#[derive(Debug)]
pub enum Watch {}

/// Always fails, with `Unsupported`.
pub fn spawn(
    _command: &mut Command,
    _watching: Option<&Watching<'_>>,
    _answers: &Answers,
) -> io::Result<(Child, Watch)> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Always fails, with `Unsupported`.
pub fn can_answer() -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Always fails, with `Unsupported`.
pub fn probe() -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

impl Watch {
    /// See Linux.
    pub fn is_finished(&self) -> bool {
        match *self {}
    }

    /// See Linux.
    pub fn finish(self) -> Trace {
        match self {}
    }

    /// See Linux.
    pub fn finish_within(self, _grace: Duration) -> Trace {
        match self {}
    }

    /// See Linux.
    pub fn stop(self) -> Trace {
        match self {}
    }
}
