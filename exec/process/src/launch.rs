//! The seam between running a command and watching it.
//!
//! A [`Watcher`] starts a prepared command, waits for its end, and says how much its record can
//! be trusted. Tracing and sealing are watchers; what lays out files before and gathers outputs
//! after does not know which one it has. [`crate::Plain`] watches nothing.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::Path;
use std::time::Duration;

use lab_schema::{Completeness, Limits};
use lab_trace::Trace;

use crate::error::Result;
use crate::note::Note;

/// Most bytes of a stream that are kept as its log.
pub const MAX_LOG_BYTES: u64 = 64 << 20;

/// How long a command has to end by itself after it was asked to.
pub const GRACE: Duration = Duration::from_secs(5);

/// Whether a command's output is also shown while it runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Echo {
    /// It is only recorded.
    #[default]
    Quiet,
    /// It is passed on to our own standard output and standard error as it comes.
    Through,
}

/// A command that is ready to be started: everything is laid out.
#[derive(Clone, Debug)]
pub struct Launch<'a> {
    /// What to execute: an absolute path, or one relative to `directory` that holds a `/`.
    pub program: &'a Path,
    /// The program's name as it was given, and its arguments.
    pub argv: &'a [String],
    /// Where it starts; an absolute path.
    pub directory: &'a Path,
    /// All of its environment.
    pub variables: &'a BTreeMap<OsString, OsString>,
    /// Bounds.
    pub limits: Limits,
    /// The time between asking it to end and killing it.
    pub grace: Duration,
    /// Whether its output is shown.
    pub echo: Echo,
    /// An empty folder for copies of what it reads and then changes.
    pub spool: &'a Path,
    /// The file that receives its standard output; does not exist yet.
    pub stdout: &'a Path,
    /// The file that receives its standard error; does not exist yet.
    pub stderr: &'a Path,
    /// Most bytes that each of them may receive, before a note that it was cut.
    pub max_log_bytes: u64,
    /// A folder of this run alone; its path is in the environment (`TMPDIR`), so that processes
    /// of this run can be told from others.
    pub scratch: &'a Path,
    /// Our own program, whose `main` asks [`guard`](crate::guard) first: started beside the command, it
    /// ends what the command has started if we are killed. Without, that goes on.
    pub guardian: Option<&'a Path>,
}

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// With this code.
    Code(i32),
    /// By this signal.
    Signal(i32),
    /// It ran over its limit of wall-clock time and was stopped.
    TimedOut,
}

/// What is known of a command that has ended. Nothing of it runs any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    /// How it ended.
    pub exit: Exit,
    /// Start, in milliseconds since 1970-01-01T00:00:00Z.
    pub started_ms: u64,
    /// Wall-clock time until its main process ended.
    pub duration: Duration,
    /// Largest resident set of its main process or a descendant that it awaited, in bytes; none
    /// if it is not above what `lab` itself uses, which is all that the system then reports.
    pub peak_memory_bytes: Option<u64>,
    /// What a person should know.
    pub notes: Vec<Note>,
    /// What it touched, if it was watched.
    pub trace: Option<Trace>,
}

/// Starts commands and observes them.
pub trait Watcher: Sync {
    /// The watcher in one word.
    fn name(&self) -> &'static str;

    /// Whether the record of a command that ended so names everything that it read.
    fn completeness(&self, ended: &Ended) -> Completeness;

    /// Starts the command, waits until all of its processes have ended, and leaves its output in
    /// the two files. The calling thread must not end before.
    fn launch(&self, launch: &Launch<'_>) -> Result<Ended>;
}
