//! What has to stay in a store, by policy; everything else may go.
//!
//! Needed is what the names point at, and what they pointed at within the time that history is kept,
//! with everything that a transfer of it would bring (`closure.rs`). Runs that are being executed
//! need no list: their command holds a lease, and their inputs are not younger than its beginning or
//! are named.
//!
//! While a name, or an object that a name needs, cannot be read, nothing is removed: what that needs
//! is not known. Earlier targets of a name may have gone in an earlier collection that kept less
//! history; of these whatever is here is kept.

use std::time::{Duration, UNIX_EPOCH};

use lab_objects::{Collector, Done, Plan, Progress, Store};
use lab_schema::{Name, ObjectId};

use crate::closure::Growing;
use crate::error::{LineageError, Result};
use crate::index::Lineage;

/// What a collection keeps beyond what the names point at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Age from which on something may be condemned, and a mark counts.
    pub grace: Duration,
    /// How long what a name pointed at before is kept.
    pub history: Duration,
}

impl Default for Policy {
    fn default() -> Policy {
        let days = |n: u64| Duration::from_secs(n * 24 * 60 * 60);
        Policy { grace: days(14), history: days(90) }
    }
}

/// Something that has to stay, and why.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Root {
    /// The name that points at it, or did.
    pub name: Name,
    /// Which.
    pub reason: Reason,
    /// The object.
    pub target: ObjectId,
}

/// Why something has to stay.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    /// The name points at it.
    Now,
    /// The name pointed at it, and that was not long ago; the number of its last version.
    Earlier(u64),
}

/// What a collection did, or would do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Collected {
    /// What was planned: the shares are those of `roots`, if it was only planned.
    pub plan: Plan,
    /// What was done; nothing if it was only planned.
    pub done: Done,
    /// What had to stay.
    pub roots: Vec<Root>,
    /// Objects that earlier versions of names need and that are gone.
    pub lacking: u64,
    /// Who is at work.
    pub at_work: Vec<String>,
}

/// Removes what has been marked long enough, and marks what nobody needs.
pub fn collect(
    store: &Store,
    lineage: &mut Lineage,
    policy: Policy,
    progress: &dyn Progress,
) -> Result<Collected> {
    let collector = Collector::begin(store, policy.grace)?;
    // Only now: whoever ended before the leases were read has moved its names.
    run(store, lineage, policy, progress, collector, false)
}

/// What [`collect`] would do, with what each name needs alone.
pub fn plan_collect(
    store: &Store,
    lineage: &mut Lineage,
    policy: Policy,
    progress: &dyn Progress,
) -> Result<Collected> {
    let collector = Collector::look(store, policy.grace)?;
    run(store, lineage, policy, progress, collector, true)
}

fn run(
    store: &Store,
    lineage: &mut Lineage,
    policy: Policy,
    progress: &dyn Progress,
    mut collector: Collector,
    planned: bool,
) -> Result<Collected> {
    refresh(store, lineage)?;
    let now_ms = collector.now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
    let since_ms = now_ms.saturating_sub(policy.history.as_millis());
    let roots = roots(store, u64::try_from(since_ms).unwrap_or(u64::MAX))?;
    let at_work = collector.leases().iter().map(|lease| lease.holder.clone()).collect();
    let mut found = Collected { roots, at_work, ..Collected::default() };
    let mut growing = Growing::new(store, lineage)?;
    for (n, root) in found.roots.iter().enumerate() {
        progress.step("looking for what is needed", n as u64, found.roots.len() as u64);
        if planned {
            growing = growing.anew();
        }
        let added = match root.reason {
            Reason::Now => growing.add(root.target),
            Reason::Earlier(_) => growing.add_what_is_here(root.target),
        };
        let kept = added.and_then(|()| {
            let objects = std::mem::take(&mut growing.closure.objects);
            match root.reason {
                Reason::Now => collector.keep(&objects)?,
                Reason::Earlier(_) => collector.keep_what_is_here(&objects)?,
            }
            Ok(())
        });
        if let Err(error) = kept {
            progress.end();
            return Err(uncertain(root, error));
        }
        found.lacking += std::mem::take(&mut growing.lacking);
    }
    progress.end();
    found.plan = collector.plan()?;
    if !planned {
        found.done = collector.carry_out(&found.plan, progress)?;
    }
    Ok(found)
}

/// Brings the lineage up to date; refuses if it cannot know all of it.
fn refresh(store: &Store, lineage: &mut Lineage) -> Result<()> {
    match lineage.refresh(store)?.skipped.into_iter().next() {
        None => Ok(()),
        Some(skipped) => {
            Err(LineageError::Uncertain { what: skipped.what.to_string(), why: skipped.why })
        }
    }
}

/// An object that is not here, or damaged, is a reason to remove nothing; a disk that fails is another
/// matter.
fn uncertain(root: &Root, error: LineageError) -> LineageError {
    let about_the_disk = match &error {
        LineageError::Objects(source) => !crate::intake::is_damage(source),
        LineageError::Missing { .. } | LineageError::Unreadable { .. } => false,
        _ => true,
    };
    if about_the_disk {
        return error;
    }
    LineageError::Uncertain {
        what: format!("what name {} needs", root.name),
        why: error.to_string(),
    }
}

/// What has to stay: the targets of all names, and the earlier ones that were left at `since_ms` or
/// after.
fn roots(store: &Store, since_ms: u64) -> Result<Vec<Root>> {
    let names = store.names();
    if let Some((name, why)) = names.damaged()?.into_iter().next() {
        let (what, why) = (format!("name {name}"), why.to_string());
        return Err(LineageError::Uncertain { what, why });
    }
    let mut found: Vec<Root> = Vec::new();
    for name in names.known()? {
        let journal = names.journal(&name)?;
        let first = found.len();
        for (at, moved) in journal.iter().enumerate().rev() {
            let Some(target) = moved.target else { continue };
            let reason = match journal.get(at + 1) {
                None => Reason::Now,
                Some(next) if next.when_ms >= since_ms => Reason::Earlier(at as u64 + 1),
                Some(_) => continue,
            };
            if found[first..].iter().all(|root| root.target != target) {
                found.push(Root { name: name.clone(), reason, target });
            }
        }
    }
    // Whatever is lacking of what a name points at now must be found, not passed over.
    found.sort_by_key(|root| root.reason != Reason::Now);
    Ok(found)
}
