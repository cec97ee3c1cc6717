//! The last run of each step, and what follows from it: which step reads what which other makes.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use lab_objects::{ObjectsError, Store};
use lab_pipeline::Step;
use lab_schema::{Name, ObjectId, Recipe, Run, RunId};

use crate::failure::Outcome;
use crate::project::Project;

/// The last run of each step, where one is known.
#[derive(Default)]
pub(super) struct Lasts(BTreeMap<Name, (RunId, Run, Recipe)>);

impl Lasts {
    /// The last run of a step.
    pub(super) fn id(&self, step: &Name) -> Option<RunId> {
        self.0.get(step).map(|(id, ..)| *id)
    }

    /// A step has run.
    pub(super) fn insert(&mut self, step: Name, last: (RunId, Run, Recipe)) {
        self.0.insert(step, last);
    }

    /// Looks up the last run of a step: where its name points, or else what `lab.lock` pins.
    pub(super) fn remember(&mut self, store: &Store, project: &Project, step: &Step) -> Outcome {
        if self.0.contains_key(&step.name) {
            return Ok(());
        }
        let now = match store.names().get(&step.name) {
            Err(ObjectsError::Damaged { .. }) => None,
            now => now?.and_then(|m| m.target),
        };
        let named = now.and_then(|id| match id {
            ObjectId::Run(id) => Some(id),
            _ => None,
        });
        let locked = project.lock.steps.get(&step.name).map(|pinned| pinned.run);
        // The lock travels with the code, so that it speaks of this state of the code.
        for id in locked.into_iter().chain(named) {
            let Some(run) = store.get::<Run>(id)? else { continue };
            let Some(recipe) = store.get::<Recipe>(run.recipe)? else { continue };
            self.0.insert(step.name.clone(), (id, run, recipe));
            break;
        }
        Ok(())
    }

    /// Where a step's last run left something.
    pub(super) fn made(&self, project: &Project, step: &Step) -> Vec<PathBuf> {
        let directory = directory(project, step);
        let last = self.0.get(&step.name);
        let slots = last.into_iter().flat_map(|(_, run, _)| run.outcome.outputs.keys());
        slots.chain(step.outputs.keys()).map(|slot| directory.join(slot.as_str())).collect()
    }

    /// A file that the last runs of two steps left, and these steps.
    pub(super) fn shared(&self, project: &Project) -> Option<(PathBuf, Name, Name)> {
        let mut owners: BTreeMap<PathBuf, &Name> = BTreeMap::new();
        for step in &project.pipeline.steps {
            let directory = directory(project, step);
            let Some((_, run, _)) = self.0.get(&step.name) else { continue };
            for slot in run.outcome.outputs.keys() {
                if let Some(other) = owners.insert(directory.join(slot.as_str()), &step.name) {
                    return Some((slot.as_str().into(), other.clone(), step.name.clone()));
                }
            }
        }
        None
    }

    /// Which step's last run read what which other step's left.
    pub(super) fn edges(&self, project: &Project) -> BTreeSet<(Name, Name)> {
        let mut edges = BTreeSet::new();
        let steps = &project.pipeline.steps;
        for effect in steps {
            let Some((_, _, recipe)) = self.0.get(&effect.name) else { continue };
            let directory = directory(project, effect);
            let inside = recipe.inputs().keys().map(|slot| directory.join(slot.as_str()));
            let outside = recipe.outside().keys().map(|slot| Path::new("/").join(slot.as_str()));
            let reads: Vec<PathBuf> = inside.chain(outside).collect();
            for cause in steps.iter().filter(|cause| cause.name != effect.name) {
                let made = self.made(project, cause);
                let meets = |read: &PathBuf| {
                    made.iter().any(|made| read.starts_with(made) || made.starts_with(read))
                };
                if reads.iter().any(meets) {
                    edges.insert((cause.name.clone(), effect.name.clone()));
                }
            }
        }
        edges
    }
}

/// Where a step starts.
pub(super) fn directory(project: &Project, step: &Step) -> PathBuf {
    match &step.directory {
        Some(below) => project.folder.join(below.as_str()),
        None => project.folder.clone(),
    }
}
