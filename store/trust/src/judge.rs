//! Whose signatures a run or an attestation has, and what each is worth.

use std::fmt;

use lab_lineage::Lineage;
use lab_objects::Store;
use lab_schema::{Object, Signature, SignatureId, Signed};

use crate::allowed::{Allowed, NotAllowed};
use crate::error::Result;
use crate::holds::{Holds, fingerprint, holds};

/// What a signature is worth.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It holds, and these have the key: the first fields of the lines that say so.
    By(Vec<String>),
    /// It holds, and nobody who is allowed has the key.
    Unlisted(NotAllowed),
    /// It does not hold: why.
    Broken(&'static str),
    /// It cannot be told: why.
    Unknown(String),
}

/// A signature and what it is worth.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judgement {
    /// The signature.
    pub id: SignatureId,
    /// The key, as `ssh-keygen -l` names it.
    pub fingerprint: String,
    /// The kind of key.
    pub kind: String,
    /// When it was made, as whoever made it says.
    pub signed_ms: u64,
    /// What it is worth.
    pub standing: Standing,
}

impl Judgement {
    /// Whether somebody who is allowed to has signed.
    pub fn is_good(&self) -> bool {
        matches!(self.standing, Standing::By(_))
    }

    /// Who signed, if it is good: the first fields of the lines of allowed signers that say so.
    pub fn principals(&self) -> Vec<String> {
        match &self.standing {
            Standing::By(who) => who.clone(),
            _ => Vec::new(),
        }
    }

    /// The same as one word for programs.
    pub fn word(&self) -> &'static str {
        match self.standing {
            Standing::By(_) => "good",
            Standing::Unlisted(_) => "unlisted",
            Standing::Broken(_) => "broken",
            Standing::Unknown(_) => "unknown",
        }
    }
}

impl fmt::Display for Judgement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = &self.fingerprint;
        match &self.standing {
            Standing::By(who) => write!(f, "signed by {} ({key})", who.join(" and ")),
            Standing::Unlisted(NotAllowed::Unknown) => write!(f, "signed by an unknown key {key}"),
            Standing::Unlisted(why) => write!(f, "signed by a key that is {why}: {key}"),
            Standing::Broken(why) => write!(f, "signature does not hold: {why} ({key})"),
            Standing::Unknown(what) => {
                write!(f, "signature cannot be checked: {what} are not known here ({key})")
            }
        }
    }
}

/// Judges one signature, at `now_ms`. A key is good for a time: that at which it says that it
/// signed, as git takes the time of a commit; but never a time to come.
pub fn judge(signature: &Signature, allowed: &Allowed, now_ms: u64) -> Judgement {
    let parts = signature.parts();
    let at_ms = signature.signed_ms().min(now_ms);
    let standing = match holds(signature) {
        Holds::No(why) => Standing::Broken(why),
        Holds::Unknown(what) => Standing::Unknown(what),
        Holds::Yes => match allowed.principals(parts.key, parts.namespace, at_ms) {
            Ok(who) => Standing::By(who.into_iter().map(str::to_owned).collect()),
            Err(why) => Standing::Unlisted(why),
        },
    };
    Judgement {
        id: signature.id(),
        fingerprint: fingerprint(parts.key),
        kind: parts.key_kind.to_owned(),
        signed_ms: signature.signed_ms(),
        standing,
    }
}

/// Judges all signatures of a run or an attestation: the good ones first, then by time. `lineage` is
/// that of `store`, and fresh.
pub fn judged(
    store: &Store,
    lineage: &Lineage,
    of: Signed,
    allowed: &Allowed,
    now_ms: u64,
) -> Result<Vec<Judgement>> {
    let mut all = Vec::new();
    for id in lineage.signatures_of(of)? {
        let signature: Signature = store.load(id)?;
        // The index is a cache, and a file.
        if signature.of() == of {
            all.push(judge(&signature, allowed, now_ms));
        }
    }
    all.sort_by_key(|judgement| !judgement.is_good());
    Ok(all)
}
