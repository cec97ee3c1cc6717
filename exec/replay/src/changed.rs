//! A recorded run, done with something changed: what is not changed comes from its record.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use lab_objects::Store;
use lab_process::{Beyond, Boxed, Execution, HOST_NAME, Note, can_watch_in_box};
use lab_schema::observed::Observed;
use lab_schema::{
    BlobId, Command, Completeness, ContentId, Executor, Outcome, Recipe, Run, Slot, Verdict,
};

use crate::bench::{Bench, boxed, execute_resuming, observations};
use crate::error::{ReplayError, Result};
use crate::verify::obstacle;

/// Does a recipe that is that of `example` but for a few things: a command in a box that holds what the example
/// was seen to read, with `replaced` inputs in the place of its own. None if something stands in the way:
/// what, as a verdict.
pub(crate) fn do_changed(
    bench: &Bench<'_>,
    example: &Run,
    recipe: &Recipe,
    replaced: &BTreeMap<Slot, ContentId>,
) -> Result<std::result::Result<(Outcome, Vec<Note>), Verdict>> {
    let store = bench.store;
    let mut writer = store.writer();
    let changed = Run { recipe: writer.put(recipe)?, ..example.clone() };
    writer.finish()?;
    if let Err(verdict) = obstacle(bench, &changed)? {
        return Ok(Err(verdict));
    }
    let (execution, observed) = match (recipe.executor(), example.outcome.observed) {
        (Executor::Command(Command { place: Some(place), directory, .. }), Some(observed)) => {
            let started = directory.as_ref().map_or("", Slot::as_str);
            let at = Path::new(&place.project).join(started);
            let mut observed = observations(store, observed)?;
            for (slot, content) in replaced {
                with_file(store, &mut observed, &at.join(slot.as_str()), *content)?;
            }
            (in_box(bench, recipe, &observed)?, Some(keep(store, &observed)?))
        }
        _ => (execute_resuming(bench, recipe)?, None),
    };
    let Execution { mut outcome, notes, beyond, .. } = execution;
    outcome.observed = outcome.observed.or(observed);
    outcome.params.clone_from(&example.outcome.params);
    // The box gives the same ones, such as where temporary files go.
    outcome.unrecorded_variables.clone_from(&example.outcome.unrecorded_variables);
    if let Some(why) = beyond_the_record(&beyond) {
        outcome.completeness = Completeness::Incomplete(why);
    }
    Ok(Ok((outcome, notes)))
}

/// Watched, where the machine allows it: a program may look for what it did not need for the example.
fn in_box(bench: &Bench<'_>, recipe: &Recipe, observed: &Observed) -> Result<Execution> {
    let Bench { store, scratch, echo, .. } = *bench;
    let watched = can_watch_in_box().is_ok();
    let job = Boxed { store, recipe, observed, scratch, echo, host_name: HOST_NAME, watched };
    Ok(boxed(&job, &mut None)?)
}

fn keep(store: &Store, observed: &Observed) -> Result<BlobId> {
    let mut writer = store.writer();
    let id = writer.put_bytes(&observed.to_bytes())?;
    writer.finish()?;
    Ok(id)
}

/// Puts what is known of the input that lies `at` this path in the place of what was seen of another one.
fn with_file(store: &Store, observed: &mut Observed, at: &Path, content: ContentId) -> Result<()> {
    let below = |path: &Vec<u8>| {
        let path = Path::new(OsStr::from_bytes(path));
        path.starts_with(at) && path != at
    };
    observed.things.retain(|path, _| !below(path));
    observed.links.retain(|path, _| !below(path));
    observed.absent.retain(|path| !below(path));
    observed.listed.retain(|path, _| !below(path));
    match content {
        ContentId::Blob(blob) => {
            let size = store.size(blob)?.ok_or(ReplayError::Missing { id: blob.into() })?;
            if let Some(seen) = observed.things.get_mut(at.as_os_str().as_bytes()) {
                seen.size = size;
            }
        }
        // Its entries come in the order of the tree, and not as some other folder was listed.
        ContentId::Tree(_) => drop(observed.listed.remove(at.as_os_str().as_bytes())),
    }
    Ok(())
}

/// What keeps a record from being complete: the box did not hold all that was looked for.
fn beyond_the_record(beyond: &Beyond) -> Option<String> {
    let first = beyond.opened.iter().chain(&beyond.missed).next()?;
    let more = beyond.opened.len() + beyond.missed.len() - 1;
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    Some(format!(
        "it looked for {}{more}, of which the record that it stands on says nothing",
        first.display()
    ))
}
