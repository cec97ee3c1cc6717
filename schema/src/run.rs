//! What happened, in the past tense.

use std::collections::{BTreeMap, BTreeSet};

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize};

use crate::codec;
use crate::content::ContentId;
use crate::hash::{BlobId, RecipeId, RunId};
use crate::host::Host;
use crate::name::Slot;
use crate::value::{Number, Value};

/// One execution of a recipe. Several runs of one recipe may disagree; each stays as it was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Run {
    /// What was to be computed.
    pub recipe: RecipeId,
    /// What came of it.
    pub outcome: Outcome,
    /// Where.
    pub host: Host,
    /// The state of the project's git repository, if it had one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub git: Option<Git>,
    /// The run that it was forked from: the same but for what its recipe says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<RunId>,
    /// Which runs made what it read, as far as that was known when it was written down: by the name
    /// under which it was read, as [`Recipe::reads`](crate::Recipe::reads) has it. Of a folder those
    /// that made files in it.
    #[serde(
        default,
        skip_serializing_if = "BTreeMap::is_empty",
        deserialize_with = "as_they_are_written"
    )]
    pub makers: BTreeMap<String, BTreeSet<RunId>>,
    /// By whom: a name that the person chose.
    pub who: String,
}

/// Makers as they are written and not otherwise: some, sorted, and each once.
fn as_they_are_written<'de, D: Deserializer<'de>>(
    from: D,
) -> Result<BTreeMap<String, BTreeSet<RunId>>, D::Error> {
    let all: BTreeMap<String, Vec<RunId>> = codec::not_empty(from)?;
    let set = |(name, runs): (String, Vec<RunId>)| match runs.is_sorted_by(|a, b| a < b) {
        true => Ok((name, runs.into_iter().collect())),
        false => Err(D::Error::custom("its makers are not sorted and distinct")),
    };
    all.into_iter().map(set).collect()
}

/// What came of an execution.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Outcome {
    /// How it ended.
    pub status: Status,
    /// What it left, by name.
    pub outputs: BTreeMap<Slot, ContentId>,
    /// Numbers found in its outputs, such as `accuracy`. Those that are not finite are left out.
    pub metrics: BTreeMap<String, Number>,
    /// Parameters found in its command line and in the files of settings that it read.
    #[serde(
        default,
        skip_serializing_if = "BTreeMap::is_empty",
        deserialize_with = "crate::codec::not_empty"
    )]
    pub params: BTreeMap<String, Value>,
    /// What it printed.
    pub logs: BTreeMap<Log, BlobId>,
    /// Whether the record names everything that the computation read.
    pub completeness: Completeness,
    /// What it was seen to touch, if it was watched: the bytes of an [`Observed`](crate::Observed).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed: Option<BlobId>,
    /// Names of environment variables that it could see and whose values are not in the recipe.
    pub unrecorded_variables: Vec<String>,
    /// Start, in milliseconds since 1970-01-01T00:00:00Z.
    pub started_ms: u64,
    /// Wall-clock time in milliseconds.
    pub duration_ms: u64,
    /// Largest resident set of any process, in bytes, where it could be measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peak_memory_bytes: Option<u64>,
}

/// How an execution ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// It ran to its end; 0 is success.
    Exited(i32),
    /// A signal ended it.
    Signalled(i32),
    /// It ran over its time limit, in milliseconds, and was stopped.
    TimedOut(u64),
    /// It exited with 0 but did not leave these declared outputs.
    Missing(Vec<Slot>),
}

impl Status {
    /// Whether the computation did what its recipe says.
    pub fn is_success(&self) -> bool {
        *self == Status::Exited(0)
    }
}

/// A stream that an execution printed to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Log {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// Whether a record names everything that the computation read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Completeness {
    /// It does: nothing else can have entered. Only such a run is reused as a cached result.
    Complete,
    /// It names what was declared; nobody watched what else was read.
    Declared,
    /// Something is known to be missing: what, in words.
    Incomplete(String),
}

/// The state of a git repository.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Git {
    /// The commit that is checked out, in hexadecimal; none before the first commit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    /// The branch; none if the head is detached.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub branch: Option<String>,
    /// Paths, relative to the repository, that differ from the commit: edited, staged, deleted
    /// or untracked and not ignored. Sorted.
    pub dirty: Vec<String>,
}
