//! The kinds of object, by name. How each is hashed stands in `object.rs`.

use std::fmt;
use std::str::FromStr;

/// The kinds of object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// A file's bytes.
    Blob,
    /// A directory.
    Tree,
    /// What to compute.
    Recipe,
    /// What happened.
    Run,
    /// Somebody did it again.
    Attestation,
    /// Somebody vouches for a run or an attestation.
    Signature,
    /// Under which digests something is known elsewhere.
    Aliases,
    /// What models are measured by.
    Evaluation,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Kind; 8] = [
        Kind::Blob,
        Kind::Tree,
        Kind::Recipe,
        Kind::Run,
        Kind::Attestation,
        Kind::Signature,
        Kind::Aliases,
        Kind::Evaluation,
    ];

    /// The kind in one word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Kind::Blob => "blob",
            Kind::Tree => "tree",
            Kind::Recipe => "recipe",
            Kind::Run => "run",
            Kind::Attestation => "attestation",
            Kind::Signature => "signature",
            Kind::Aliases => "aliases",
            Kind::Evaluation => "evaluation",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Kind {
    type Err = ();
    fn from_str(text: &str) -> Result<Kind, ()> {
        Kind::ALL.into_iter().find(|k| k.as_str() == text).ok_or(())
    }
}
