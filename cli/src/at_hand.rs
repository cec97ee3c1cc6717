//! A reference, or a file of the folder that one works in: whoever asks where `model.json` comes from may
//! well have it before their eyes.

use lab_objects::hash_cached;
use lab_schema::Reference;

use crate::context::Context;
use crate::failure::{Failure, Outcome};
use crate::resolve::{Resolved, resolve};
use crate::wiring::Registry;

/// What a reference means; if it means nothing and is the path of a file, the content of that.
pub(crate) fn resolve_at_hand(
    context: &Context,
    registry: &Registry,
    typed: &str,
) -> Outcome<Resolved> {
    let failure = match resolve(&registry.store, typed) {
        // What means several things, or cannot be read, is no path.
        Err(failure) if failure.is_not_found() || typed.parse::<Reference>().is_err() => failure,
        told => return told,
    };
    let path = context.path(typed.as_ref());
    if path.is_dir() {
        return Err(failure.hint(format!(
            "'{}' is a folder here: `lab add` stores what is in it and prints its hash",
            typed.escape_debug()
        )));
    }
    if !path.is_file() {
        return Err(failure);
    }
    let id = hash_cached(&path, &mut registry.stat_cache())?;
    if !registry.store.has(id)? && registry.store.promised(id)?.is_none() {
        return Err(Failure::not_found(format!(
            "the registry does not have what is in '{}'",
            typed.escape_debug()
        ))
        .hint("no run that is recorded here left or read it as it is now; `lab add` stores it"));
    }
    context.ui.note(format!("no name or hash '{0}': the file here is meant", typed.escape_debug()));
    // What lies there was left by whoever left it last.
    let made = registry.lineage()?.producers(id.into())?;
    let left = made.iter().rfind(|made| !made.inside).or(made.last());
    Ok(Resolved {
        id: id.into(),
        typed: typed.to_owned(),
        name: None,
        leaf: path.file_name().map(|name| name.to_string_lossy().into_owned()),
        executable: false,
        output_of: left.map(|made| made.run),
        input_of: None,
    })
}
