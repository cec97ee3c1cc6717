//! The outputs of a run that stands, put back where it left them.

use std::path::Path;

use lab_objects::{GetOptions, ObjectsError, Silent, add, get, hash_cached};
use lab_schema::{ContentId, Run};

use crate::bars::Bars;
use crate::context::Context;
use crate::failure::Outcome;
use crate::wiring::Registry;

/// Puts outputs back that are not there, or are not what the run left, and names them. What is in
/// their place is kept in the store first.
pub(super) fn put_back(
    context: &Context,
    registry: &Registry,
    directory: &Path,
    run: &Run,
) -> Outcome<Vec<String>> {
    let store = &registry.store;
    let bars = Bars::new(context.ui);
    let mut back = Vec::new();
    for (slot, content) in &run.outcome.outputs {
        let to = directory.join(slot.as_str());
        let put = |force| get(store, *content, &to, &GetOptions { force, raw: None }, &bars);
        let got = match put(false) {
            Err(ObjectsError::Refused { .. }) => {
                if let Some(kept) = keep(registry, &to)? {
                    context.ui.note(format!(
                        "'{slot}' had been changed since: what was there is kept as {}",
                        kept.digest().short()
                    ));
                }
                put(true)
            }
            got => got,
        }?;
        if got.files > 0 {
            back.push(slot.to_string());
        }
    }
    Ok(back)
}

/// Stores what is at a path; none if it was stored already, as the result of another run is.
fn keep(registry: &Registry, path: &Path) -> Outcome<Option<ContentId>> {
    let store = &registry.store;
    let mut cache = registry.stat_cache();
    if path.is_file() && store.has(hash_cached(path, &mut cache)?)? {
        return Ok(None);
    }
    let mut writer = store.writer();
    let added = add(&mut writer, path, &Silent)?;
    writer.finish()?;
    Ok(Some(added.content))
}
