//! Damage put right: what is lost is looked for in the work tree, then on the remotes, then made
//! again; after that damaged packs are done away with. What was done is said line by line, and what
//! could not be done, and why.

use std::collections::{BTreeMap, HashSet};

use lab_objects::{Finding, ObjectsError, Report, Salvaged, check, salvage};
use lab_remote::open;
use lab_schema::{BlobId, ObjectId};
use serde_json::{Value, json};

use super::{rerun, worktree};
use crate::bars::Bars;
use crate::commands::exchange;
use crate::context::Context;
use crate::failure::Outcome;
use crate::ui::{self, BAD, GOOD, HASH, paint};
use crate::wiring::Registry;

/// What has been put right, and what has not.
#[derive(Debug, Default)]
pub(super) struct Repair {
    /// Lost, and why nothing helped so far.
    open: BTreeMap<ObjectId, Vec<String>>,
    done: Vec<(ObjectId, String)>,
    packs: Vec<Salvaged>,
    /// What a check still finds.
    pub(super) left: Vec<Finding>,
    /// Whether a check finds nothing any more.
    pub(super) sound: bool,
}

impl Repair {
    /// What is still lost.
    pub(super) fn open_set(&self) -> HashSet<ObjectId> {
        self.open.keys().copied().collect()
    }

    /// Whether this is still lost.
    pub(super) fn is_open(&self, id: ObjectId) -> bool {
        self.open.contains_key(&id)
    }

    /// It is whole again.
    pub(super) fn did(&mut self, id: ObjectId, how: String) {
        if self.open.remove(&id).is_some() {
            self.done.push((id, how));
        }
    }

    /// Something did not help.
    pub(super) fn could_not(&mut self, id: ObjectId, why: String) {
        if let Some(reasons) = self.open.get_mut(&id)
            && !reasons.contains(&why)
        {
            reasons.push(why);
        }
    }

    /// For programs.
    pub(super) fn to_json(&self) -> Value {
        let digest = |id: &ObjectId| id.digest().to_string();
        json!({
            "repaired": self.done.iter().map(|(id, how)| json!({ "id": digest(id), "how": how })).collect::<Vec<_>>(),
            "not_repaired": self.open.iter().map(|(id, why)| json!({ "id": digest(id), "why": why })).collect::<Vec<_>>(),
            "left": self.left.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "packs": self.packs.iter().map(|s| json!({
                "pack": s.pack.to_string(), "copied": s.copied, "kept": s.kept,
            })).collect::<Vec<_>>(),
        })
    }
}

/// Puts right what a check found.
pub(super) fn repair(context: &Context, registry: &Registry, report: &Report) -> Outcome<Repair> {
    let store = &registry.store;
    let _lease = store.lease()?;
    let mut repair = Repair::default();
    let mut tried: HashSet<ObjectId> = HashSet::new();
    let mut lost = report.lost.clone();
    let bars = Bars::new(context.ui);
    let after = loop {
        repair.open.extend(lost.into_iter().map(|id| (id, Vec::new())));
        tried.extend(repair.open.keys());
        from_work_tree(registry, &mut repair)?;
        from_remotes(registry, &mut repair)?;
        rerun::rerun(registry, &bars, &mut repair)?;
        // A delta can be read again once the chunk is back that it stands on.
        for id in repair.open_set() {
            if store.is_whole(id)? {
                repair.did(id, "with what it is stored as a difference to".to_owned());
            }
        }
        // What is back may need something that nobody knew to be missing.
        let after = check(store, false, &bars)?;
        lost = after.lost.iter().copied().filter(|id| !tried.contains(id)).collect();
        if lost.is_empty() {
            break after;
        }
    };
    let whole = after.lost.is_empty() && repair.open.is_empty();
    if !report.damaged_packs.is_empty() {
        repair.packs = salvage(store, &report.damaged_packs, whole)?;
    }
    let left = check(store, false, &bars)?;
    let kept = repair.packs.iter().any(|pack| pack.kept.is_some());
    repair.sound = left.findings.is_empty() && repair.open.is_empty() && !kept;
    repair.left = left.findings;
    drop(bars);
    tell(context, &repair);
    Ok(repair)
}

fn from_work_tree(registry: &Registry, repair: &mut Repair) -> Outcome {
    let wanted: HashSet<BlobId> = repair
        .open
        .keys()
        .filter_map(|id| if let ObjectId::Blob(id) = id { Some(*id) } else { None })
        .collect();
    // A bare store has no work tree.
    let root = registry.folder.parent().filter(|_| registry.folder.ends_with(".lab"));
    let Some(root) = root.filter(|_| !wanted.is_empty()) else { return Ok(()) };
    let found = worktree::find(&registry.store, root, &wanted)?;
    for id in wanted {
        let Some(path) = found.get(&id) else {
            repair.could_not(id.into(), "no file in the work tree has it".to_owned());
            continue;
        };
        let shown = path.strip_prefix(root).unwrap_or(path).display();
        match ours(registry.store.mend_from_file(id, path))? {
            Ok(()) if registry.store.is_whole(id.into())? => {
                repair.did(id.into(), format!("from {shown}"))
            }
            Ok(()) => repair.could_not(id.into(), format!("{shown} has it, but did not help")),
            Err(why) => repair.could_not(id.into(), format!("{shown}: {why}")),
        }
    }
    Ok(())
}

fn from_remotes(registry: &Registry, repair: &mut Repair) -> Outcome {
    let mut remotes: Vec<(&String, &String)> = registry.config.remotes.iter().collect();
    // The one that is meant when none is named comes first.
    remotes.sort_by_key(|(name, _)| *name != exchange::DEFAULT);
    if remotes.is_empty() {
        repair
            .open_set()
            .into_iter()
            .for_each(|id| repair.could_not(id, "there is no remote".to_owned()));
    }
    for (name, location) in remotes {
        if repair.open.is_empty() {
            return Ok(());
        }
        let remote = match open(location, Box::new(|_| {})) {
            Ok(remote) => remote,
            Err(error) => {
                let why = format!("remote {name}: {error}");
                repair.open_set().into_iter().for_each(|id| repair.could_not(id, why.clone()));
                continue;
            }
        };
        for id in repair.open_set() {
            let mend = || -> Result<bool, ObjectsError> {
                let Some(mut source) = remote.open_object(id)? else { return Ok(false) };
                let layout = match id {
                    ObjectId::Blob(blob) => remote.layout(blob)?,
                    _ => None,
                };
                registry.store.mend(id, &mut source, layout.as_ref())?;
                Ok(true)
            };
            match ours(mend())? {
                Ok(false) => repair.could_not(id, format!("remote {name} does not have it")),
                Ok(true) if registry.store.is_whole(id)? => {
                    repair.did(id, format!("from remote {name}"));
                }
                Ok(true) => repair.could_not(id, format!("remote {name} has it, but did not help")),
                Err(why) => repair.could_not(id, format!("remote {name}: {why}")),
            }
        }
    }
    Ok(())
}

/// A failure that is about the source is a reason; a disk that is full or a lock ends the repair.
fn ours<T>(result: Result<T, ObjectsError>) -> Outcome<Result<T, String>> {
    match result {
        Ok(value) => Ok(Ok(value)),
        Err(
            error @ (ObjectsError::Damaged { .. }
            | ObjectsError::Corrupt { .. }
            | ObjectsError::Missing { .. }
            | ObjectsError::Schema(_)
            | ObjectsError::Stream { .. }),
        ) => Ok(Err(error.to_string())),
        Err(error) => Err(error.into()),
    }
}

fn tell(context: &Context, repair: &Repair) {
    for (id, how) in &repair.done {
        let id = format!("{} {}", id.kind(), paint(HASH, id.short()));
        context.ui.line(format!("{}  {id}   {how}", paint(GOOD, "repaired")));
    }
    for (id, why) in &repair.open {
        let id = format!("{} {}", id.kind(), paint(HASH, id.short()));
        context.ui.line(format!("{}  {id}   {}", paint(BAD, "not repaired"), why.join("; ")));
    }
    for Salvaged { pack, copied, kept } in &repair.packs {
        let pack = paint(HASH, pack.digest().short());
        context.ui.line(match kept {
            Some(why) => format!("{}  pack {pack}   {why}", paint(BAD, "kept")),
            None => format!(
                "{}  pack {pack}   removed; {} in it copied that lay nowhere else",
                paint(GOOD, "cleared"),
                ui::count(*copied, "sound thing")
            ),
        });
    }
}
