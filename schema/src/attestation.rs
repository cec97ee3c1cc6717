//! Somebody did a run again.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::content::ContentId;
use crate::hash::RunId;
use crate::host::Host;
use crate::name::Slot;
use crate::value::Number;

/// The result of re-executing a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Attestation {
    /// The run that was done again.
    pub run: RunId,
    /// How it compares.
    pub verdict: Verdict,
    /// What the re-execution left.
    pub outputs: BTreeMap<Slot, ContentId>,
    /// The evidence: for every output that differs, the first place where it does.
    pub differences: Vec<Difference>,
    /// Whether the re-execution could reach anything besides its recorded inputs.
    pub sealed: bool,
    /// Where it was done again.
    pub host: Host,
    /// By whom.
    pub who: String,
    /// Start, in milliseconds since 1970-01-01T00:00:00Z.
    pub started_ms: u64,
    /// Wall-clock time in milliseconds.
    pub duration_ms: u64,
}

/// How a re-execution compares with the run that it repeats.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// Every output has the recorded hash.
    Identical,
    /// Outputs differ, each within the tolerance that the recipe declares for it.
    Equivalent,
    /// An output differs by more.
    Diverged,
    /// It could not be executed again, or did not succeed: why.
    Failed(String),
    /// The record does not say enough to execute it again: what is missing.
    Unverifiable(String),
}

impl Verdict {
    /// Whether the claim holds.
    pub fn holds(&self) -> bool {
        matches!(self, Verdict::Identical | Verdict::Equivalent)
    }

    /// The verdict in one word.
    pub fn word(&self) -> &'static str {
        match self {
            Verdict::Identical => "identical",
            Verdict::Equivalent => "equivalent",
            Verdict::Diverged => "diverged",
            Verdict::Failed(_) => "failed",
            Verdict::Unverifiable(_) => "unverifiable",
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// The first place where an output differs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Difference {
    /// The output.
    pub output: Slot,
    /// Where in it: `fc1.weight[0, 3]`, `accuracy`, `byte 17`; none where it has no inside.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<String>,
    /// What was recorded there.
    pub expected: String,
    /// What is there now.
    pub actual: String,
    /// The distance of two floats in units in the last place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ulps: Option<u64>,
    /// The share of elements, keys or bytes that differ, 0 to 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub share: Option<Number>,
    /// For tensors: the Euclidean norm of the difference over that of what was recorded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub relative_l2: Option<Number>,
    /// Whether the declared tolerance covers the difference.
    pub tolerated: bool,
}
