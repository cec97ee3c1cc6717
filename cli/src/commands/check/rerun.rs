//! Lost results, made again by the run that made them.
//!
//! Only a run that was verified, and whose record is not known to be incomplete, is done again: of
//! others nobody knows whether they would give the same. What comes out has the right hash or is of no use.

use std::collections::HashSet;

use lab_lineage::Lineage;
use lab_objects::{ObjectsError, Progress, Store};
use lab_process::{Echo, ProcessError};
use lab_replay::{Bench, ReplayError, again};
use lab_schema::{Attestation, Completeness, ContentId, Kind, ObjectId, Recipe, Run, RunId, Tree};

use super::repair::Repair;
use crate::failure::{Failure, Outcome};
use crate::wiring::Registry;

/// Does runs again until nothing more that is lost can be made.
pub(super) fn rerun(registry: &Registry, progress: &dyn Progress, repair: &mut Repair) -> Outcome {
    let makers = makers(&registry.store, &repair.open_set())?;
    if makers.is_empty() {
        return Ok(());
    }
    let (lineage, scratch, who) = (registry.lineage()?, registry.scratch()?, registry.who());
    let bench = Bench {
        store: &registry.store,
        lineage: &lineage,
        scratch: &scratch,
        who: &who,
        progress,
        echo: Echo::Quiet,
        twice: false,
    };
    // One run may have made what another one needs.
    let mut again = true;
    while again {
        again = false;
        for (id, run, made) in &makers {
            let open: Vec<ObjectId> =
                made.iter().copied().filter(|id| repair.is_open(*id)).collect();
            if open.is_empty() {
                continue;
            }
            match attempt(&bench, *id, run)? {
                Ok(()) => {
                    for id_made in open {
                        if registry.store.is_whole(id_made)? {
                            repair.did(id_made, format!("by doing run {} again", id.short()));
                            again = true;
                        } else {
                            repair.could_not(
                                id_made,
                                format!(
                                    "run {} gave something else when it was done again",
                                    id.short()
                                ),
                            );
                        }
                    }
                }
                Err(why) => open.into_iter().for_each(|id| repair.could_not(id, why.clone())),
            }
        }
    }
    Ok(())
}

/// Does a run again, or says why not.
fn attempt(bench: &Bench<'_>, id: RunId, run: &Run) -> Outcome<Result<(), String>> {
    let short = id.short();
    if let Completeness::Incomplete(why) = &run.outcome.completeness {
        return Ok(Err(format!("run {short} made it, but its record is incomplete: {why}")));
    }
    if !was_verified(bench.store, bench.lineage, id)? {
        return Ok(Err(format!("run {short} made it, but has never been verified")));
    }
    let recipe = match readable(bench.store.get::<Recipe>(run.recipe))? {
        Some(recipe) => recipe,
        None => return Ok(Err(format!("the recipe of run {short}, which made it, is lost"))),
    };
    match again(bench, run, &recipe, &mut None, false) {
        Ok(_) => Ok(Ok(())),
        Err(error @ ReplayError::Process(ProcessError::Interrupted { .. })) => {
            Err(Failure::from(error))
        }
        Err(error) => Ok(Err(format!("run {short} cannot be done again: {error}"))),
    }
}

fn was_verified(store: &Store, lineage: &Lineage, run: RunId) -> Outcome<bool> {
    for id in lineage.attestations_of(run)? {
        let attestation = readable(store.get::<Attestation>(id))?;
        if attestation.is_some_and(|attestation| attestation.verdict.holds()) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The runs that made any of `lost`, and which of them.
fn makers(store: &Store, lost: &HashSet<ObjectId>) -> Outcome<Vec<(RunId, Run, Vec<ObjectId>)>> {
    let mut makers = Vec::new();
    if lost.is_empty() {
        return Ok(makers);
    }
    for id in store.list(Kind::Run)? {
        let ObjectId::Run(id) = id else { continue };
        let Some(run) = readable(store.get::<Run>(id))? else { continue };
        let logs = run.outcome.logs.values().map(|log| ContentId::Blob(*log));
        let mut open: Vec<ContentId> = run.outcome.outputs.values().copied().chain(logs).collect();
        let (mut seen, mut made) = (HashSet::new(), Vec::new());
        while let Some(content) = open.pop() {
            if !seen.insert(content) {
                continue;
            }
            if lost.contains(&content.into()) {
                made.push(content.into());
            }
            if let ContentId::Tree(tree) = content
                && let Some(tree) = readable(store.get::<Tree>(tree))?
            {
                open.extend(tree.entries().iter().filter_map(|entry| entry.node.content()));
            }
        }
        if !made.is_empty() {
            makers.push((id, run, made));
        }
    }
    Ok(makers)
}

/// None for what is lost itself.
fn readable<T>(got: Result<Option<T>, ObjectsError>) -> Outcome<Option<T>> {
    match got {
        Err(ObjectsError::Damaged { .. } | ObjectsError::Schema(_)) => Ok(None),
        got => Ok(got?),
    }
}
