//! What a watched command left in its project: its outputs.
//!
//! A file is an output if the command made it, or wrote to it and did not leave in it what it had
//! read from it. What lies elsewhere is named in a note, but for caches and temporary files.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use lab_objects::{Silent, Writer, add};
use lab_schema::{Output, Slot};
use lab_trace::{Stamp, Thing, Trace};

use crate::byproducts::is_byproduct;
use crate::error::{At, Result};
use crate::git::is_private;
use crate::note::Note;
use crate::outputs::{Gathered, MAX_FILES, ancestors, read_metrics};
use crate::secrets::is_secret_file;
use crate::snapshot::hash;
use crate::sorts::{Sort, Sorter};

/// Where what is written is for a while only.
const TEMPORARY: [&str; 5] = ["/tmp", "/var/tmp", "/dev", "/proc", "/run"];

/// Gathers what a command that was started in `directory` left.
pub(crate) fn gather(
    writer: &mut Writer,
    trace: &Trace,
    sorter: &Sorter<'_>,
    directory: &Path,
    declared: &BTreeMap<Slot, Output>,
) -> Result<Gathered> {
    let mut gathered = Gathered::default();
    let mut outside = Vec::new();
    let mut left = Vec::new();
    for (path, thing) in trace.things.iter().filter(|(_, thing)| thing.written && !thing.gone) {
        if sorter.is_ours(path) {
            continue;
        }
        let special = if thing.first.is_none() { special(path) } else { None };
        if special.is_none() && !has_new_content(path, thing)? {
            continue;
        }
        let Ok(inside) = path.strip_prefix(sorter.project) else {
            let fleeting = TEMPORARY.iter().any(|top| path.starts_with(top));
            let cache = path.iter().any(|part| part == ".cache") || is_byproduct(path);
            if !fleeting && !cache && sorter.sort(path, Some(thing)) == Sort::Outside {
                outside.push(path.clone());
            }
            continue;
        };
        if is_byproduct(inside) || inside.iter().any(is_private) {
            continue;
        }
        let mut refuse = |why| gathered.notes.push(Note::NotAnOutput { path: inside.into(), why });
        let Ok(below) = path.strip_prefix(directory) else {
            refuse("it lies outside the folder in which the command was started");
            continue;
        };
        // Inside a declared folder any name and any sort of file will do.
        let whole = ancestors(below).find(|slot| declared.contains_key(slot));
        match (whole, special, slot(below)) {
            (Some(folder), ..) => left.push(folder),
            (_, Some(why), _) => refuse(why),
            (.., None) => refuse(
                "its name is not UTF-8, or holds a ':', a control character, or a space at an end",
            ),
            (.., Some(slot)) if !declared.contains_key(&slot) && is_secret_file(inside) => {
                refuse("it looks like a secret, and records are made to be shared");
            }
            (.., Some(slot)) => left.push(slot),
        }
    }
    if !outside.is_empty() {
        gathered.notes.push(Note::WroteOutside(outside));
    }
    for slot in declared.keys() {
        let there = directory.join(slot.as_str()).metadata().is_ok();
        if there && left.iter().any(|file| slot == file || slot.overlaps(file)) {
            let added = add(writer, &directory.join(slot.as_str()), &Silent)?;
            gathered.outputs.insert(slot.clone(), added.content);
        } else {
            if there {
                let why = "it was there before and was not written";
                gathered.notes.push(Note::NotAnOutput { path: slot.as_str().into(), why });
            }
            gathered.missing.push(slot.clone());
        }
    }
    left.retain(|slot| !declared.keys().any(|d| d.overlaps(slot)));
    if left.len() > MAX_FILES {
        gathered.notes.push(Note::TooManyOutputs { found: left.len(), kept: MAX_FILES });
        left.truncate(MAX_FILES);
    }
    if declared.is_empty() {
        for slot in left {
            let added = add(writer, &directory.join(slot.as_str()), &Silent)?;
            gathered.outputs.insert(slot, added.content);
        }
    } else {
        gathered.undeclared = left;
    }
    read_metrics(directory, &mut gathered);
    Ok(gathered)
}

/// A folder that is an output as a whole holds what was there before and stayed. Whoever makes it again
/// needs that as well, so it counts as read.
pub(crate) fn count_what_stayed(
    trace: &mut Trace,
    directory: &Path,
    declared: &BTreeMap<Slot, Output>,
) -> Result<()> {
    for slot in declared.keys() {
        let top = directory.join(slot.as_str());
        let is_written = |(path, thing): (&PathBuf, &Thing)| {
            thing.written && !thing.gone && path.starts_with(&top)
        };
        if !trace.things.iter().any(is_written) || !is_folder(&top) {
            continue;
        }
        let mut folders = vec![top];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(&folder).at("list", &folder)? {
                let path = entry.at("list", &folder)?.path();
                let meta = path.symlink_metadata().at("inspect", &path)?;
                if meta.is_dir() {
                    folders.push(path.clone());
                }
                if meta.is_symlink() {
                    let target = path.read_link().at("read the link", &path)?;
                    trace.links.entry(path).or_insert(target);
                    continue;
                }
                let thing = trace.things.entry(path).or_insert_with(|| Thing {
                    first: Some(Stamp::new(&meta)),
                    read: false,
                    executed: false,
                    written: false,
                    gone: false,
                    altered: false,
                    kept: None,
                });
                thing.read |= !thing.written && meta.is_file();
            }
        }
    }
    Ok(())
}

fn is_folder(path: &Path) -> bool {
    path.symlink_metadata().is_ok_and(|meta| meta.is_dir())
}

/// Why something that the command made is no output, if it is no file and no folder either.
fn special(path: &Path) -> Option<&'static str> {
    let kind = fs::symlink_metadata(path).ok()?.file_type();
    match (kind.is_symlink(), kind.is_file() || kind.is_dir()) {
        (true, _) => Some("it is a link"),
        (_, true) => None,
        _ => Some("it is neither a file nor a folder"),
    }
}

/// Whether a regular file is there that does not hold what the command read from it.
fn has_new_content(path: &Path, thing: &Thing) -> Result<bool> {
    let Ok(meta) = fs::symlink_metadata(path) else { return Ok(false) };
    if !meta.is_file() {
        return Ok(false);
    }
    match &thing.kept {
        Some(kept) if fs::metadata(kept).is_ok_and(|m| m.len() == meta.len()) => {
            Ok(hash(kept)? != hash(path)?)
        }
        _ => Ok(true),
    }
}

fn slot(path: &Path) -> Option<Slot> {
    Slot::new(path.to_str()?).ok()
}
