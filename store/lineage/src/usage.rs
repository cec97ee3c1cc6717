//! How much room the names take, what each alone does, and what nobody needs.

use std::time::Duration;

use lab_objects::{Collector, Encoded, Progress, Share, Store};
use lab_schema::{Name, ObjectId};

use crate::closure::Growing;
use crate::error::{LineageError, Result};
use crate::index::Lineage;

/// What the names of a store take.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// The names, sorted.
    pub names: Vec<NameUsage>,
    /// Packs.
    pub packs: u64,
    /// Bytes of the packs.
    pub stored: u64,
    /// Bytes before and after encoding of what lies in the packs: raw, zstd, planes, delta, patch.
    pub encodings: [Encoded; 5],
    /// Bytes on disk that no name needs.
    pub garbage: u64,
}

/// What a name takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NameUsage {
    /// The name.
    pub name: Name,
    /// Where it points.
    pub target: ObjectId,
    /// Bytes of all that it needs, before encoding, each thing once.
    pub bytes: u64,
    /// Bytes on disk; and which of these no other name needs.
    pub share: Share,
    /// Why it could not be added up.
    pub unreadable: Option<String>,
}

/// What the names take now; earlier versions count as needed by nobody. `lineage` is that of `store`,
/// and fresh. A name of which something is missing or damaged is counted as far as that.
pub fn usage(store: &Store, lineage: &Lineage, progress: &dyn Progress) -> Result<Usage> {
    let mut collector = Collector::look(store, Duration::ZERO)?;
    let list = store.names().list()?;
    let mut names = Vec::new();
    let empty = Growing::new(store, lineage)?;
    for (n, (name, last)) in list.iter().enumerate() {
        progress.step("adding up", n as u64, list.len() as u64);
        let Some(target) = last.target else { continue };
        let mut growing = empty.anew();
        let found = growing.add(target).map(|()| growing.closure);
        let (bytes, kept) = match found {
            Ok(found) => (found.bytes, collector.keep(&found.objects).map_err(Into::into)),
            Err(error) => (0, Err(error)),
        };
        let unreadable = match kept {
            Ok(()) => None,
            Err(error) => {
                // So that the shares stay in step.
                collector.keep(&[])?;
                Some(why(error)?)
            }
        };
        let (name, share) = (name.clone(), Share::default());
        names.push(NameUsage { name, target, bytes, share, unreadable });
    }
    progress.end();
    let plan = collector.plan()?;
    for (name, share) in names.iter_mut().zip(&plan.shares) {
        name.share = *share;
    }
    let (packs, stored) = plan.sum(|_| true);
    let needed: u64 = plan.packs.iter().map(|pack| pack.needed).sum();
    let garbage = stored.saturating_sub(needed);
    Ok(Usage { names, packs, stored, encodings: plan.encodings, garbage })
}

/// What is wrong with one name, in words; what is wrong with the disk is passed on.
fn why(error: LineageError) -> Result<String> {
    match error {
        LineageError::Objects(source) if !crate::intake::is_damage(&source) => Err(source.into()),
        LineageError::Index { .. } | LineageError::Damaged { .. } => Err(error),
        error => Ok(error.to_string()),
    }
}
