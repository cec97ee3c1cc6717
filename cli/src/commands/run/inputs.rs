//! An input as it is typed: a name, a hash, or a path that is added on the way.

use std::path::{Component, Path};

use lab_objects::{Progress, add};
use lab_schema::{Base, ContentId, Reference, RunId, Slot};

use crate::failure::{Failure, Outcome};
use crate::resolve::resolve;
use crate::wiring::Registry;

/// An input, found.
pub(super) struct Input {
    /// Where the command finds it.
    pub(super) slot: Slot,
    /// What it is.
    pub(super) content: ContentId,
    /// The run that it was taken from, if it was named by way of one.
    pub(super) maker: Option<RunId>,
    /// What a person should know about how it was found.
    pub(super) note: Option<String>,
}

/// Finds `[SLOT=]REF`. A known name goes first, then a path relative to `directory`, then a hash.
pub(super) fn find(
    registry: &Registry,
    directory: &Path,
    typed: &str,
    progress: &dyn Progress,
) -> Outcome<Input> {
    let (slot, reference) = match typed.split_once('=') {
        Some((slot, reference)) => (Some(Slot::new(slot)?), reference),
        None => (None, typed),
    };
    let slot_or = |default: &str| match &slot {
        Some(slot) => Ok(slot.clone()),
        None => Slot::new(default).map_err(|_| {
            Failure::usage(format!("under which path shall the command find '{reference}'?"))
                .hint(format!("say so, as in `-i data/input={reference}`"))
        }),
    };
    let path = directory.join(reference);
    if is_known_name(registry, reference)? {
        let resolved = resolve(&registry.store, reference)?;
        let slot = slot_or(resolved.leaf.as_deref().unwrap_or_default())?;
        let note = path.exists().then(|| {
            format!(
                "'{reference}' is a name here, and was taken as such; ./{reference} means the file"
            )
        });
        let (content, maker) = (resolved.content()?, resolved.said_maker(|| registry.lineage())?);
        return Ok(Input { slot, content, maker, note });
    }
    if path.exists() {
        let slot = slot_or(&default_slot(Path::new(reference)))?;
        let mut writer = registry.store.writer();
        let added = add(&mut writer, &path, progress)?;
        writer.finish()?;
        let note = format!(
            "added {reference} ({}): the command finds it at {slot}",
            added.content.short()
        );
        return Ok(Input { slot, content: added.content, maker: None, note: Some(note) });
    }
    let resolved = resolve(&registry.store, reference).map_err(|failure| {
        failure.hint(format!("there is no file or folder '{reference}' either"))
    })?;
    let slot = slot_or(resolved.leaf.as_deref().unwrap_or(""))?;
    let (content, maker) = (resolved.content()?, resolved.said_maker(|| registry.lineage())?);
    Ok(Input { slot, content, maker, note: None })
}

/// Whether the text starts from a name that exists. `./digits` is always a path.
fn is_known_name(registry: &Registry, reference: &str) -> Outcome<bool> {
    let Ok(parsed) = reference.parse::<Reference>() else { return Ok(false) };
    match parsed.base {
        Base::Version(..) | Base::Alias(_) => Ok(true),
        Base::Name(name) | Base::NameOrPrefix(name, _) => {
            Ok(registry.store.names().get(&name)?.is_some())
        }
        Base::Prefix(_) => Ok(false),
    }
}

/// A relative path that stays below the folder keeps its place; any other is known by its last part.
fn default_slot(path: &Path) -> String {
    let plain: Vec<_> = path.components().filter(|c| *c != Component::CurDir).collect();
    let inside = plain.iter().all(|c| matches!(c, Component::Normal(_)));
    let shown = |c: &Component<'_>| c.as_os_str().to_string_lossy().into_owned();
    if inside {
        plain.iter().map(shown).collect::<Vec<_>>().join("/")
    } else {
        path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default()
    }
}
