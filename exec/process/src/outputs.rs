//! Gathers what a command left: its outputs, its metrics, and what it did not say it would leave.
//!
//! With declared outputs, those are taken, and other new files are named but not kept. Without,
//! every file that was made or whose content changed is an output of its own. A declared output
//! that was there before and that the command did not touch is missing: it is the result of some
//! other day. Files whose names no record can hold are named in notes.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use lab_objects::{Silent, Writer, add};
use lab_schema::{ContentId, Number, Output, Slot};

use crate::byproducts::is_byproduct;
use crate::error::Result;
use crate::layout::Layout;
use crate::metrics;
use crate::note::Note;
use crate::snapshot::{Snapshot, hash};

/// Most files that become outputs, or are named as undeclared.
pub(crate) const MAX_FILES: usize = 10_000;

/// What a command left.
#[derive(Default)]
pub(crate) struct Gathered {
    pub(crate) outputs: BTreeMap<Slot, ContentId>,
    pub(crate) metrics: BTreeMap<String, Number>,
    /// Declared, but not left.
    pub(crate) missing: Vec<Slot>,
    /// Left, but not declared.
    pub(crate) undeclared: Vec<Slot>,
    pub(crate) notes: Vec<Note>,
}

/// Gathers what was left since `before` in what was laid out.
pub(crate) fn gather(
    writer: &mut Writer,
    layout: &Layout<'_>,
    before: &Snapshot,
    declared: &BTreeMap<Slot, Output>,
) -> Result<Gathered> {
    let after = Snapshot::take(&layout.work)?;
    let look = Look { layout, before, after: &after };
    let mut gathered = Gathered::default();
    for slot in declared.keys() {
        if look.was_left(slot, &mut gathered.notes)? {
            let path = layout.directory().join(slot.as_str());
            let added = add(writer, &path, &Silent)?;
            gathered.outputs.insert(slot.clone(), added.content);
        } else {
            gathered.missing.push(slot.clone());
        }
    }
    let inside = |slot: &Slot| declared.keys().any(|d| d.overlaps(slot));
    let mut left = look.changed_files(inside, &mut gathered.notes)?;
    if left.len() > MAX_FILES {
        gathered.notes.push(Note::TooManyOutputs { found: left.len(), kept: MAX_FILES });
        left.truncate(MAX_FILES);
    }
    if declared.is_empty() {
        for slot in left {
            let path = layout.directory().join(slot.as_str());
            let added = add(writer, &path, &Silent)?;
            gathered.outputs.insert(slot, added.content);
        }
    } else {
        gathered.undeclared = left;
    }
    read_metrics(&layout.directory(), &mut gathered);
    Ok(gathered)
}

/// A work tree before and after.
struct Look<'a> {
    layout: &'a Layout<'a>,
    before: &'a Snapshot,
    after: &'a Snapshot,
}

impl Look<'_> {
    /// Whether the command left something at a declared path.
    fn was_left(&self, slot: &Slot, notes: &mut Vec<Note>) -> Result<bool> {
        let path = self.layout.below.join(slot.as_str());
        let mut refuse = |why| {
            notes.push(Note::NotAnOutput { path: slot.as_str().into(), why });
            Ok(false)
        };
        // Follows a link, as `add` does; one that leads nowhere is nothing.
        let Ok(meta) = fs::metadata(self.layout.work.join(&path)) else { return Ok(false) };
        if !meta.is_file() && !meta.is_dir() {
            return refuse("it is neither a file nor a folder");
        }
        if self.before.get(&path).is_some() && !self.after.differs_at(self.before, &path) {
            return refuse("it was there before and was not written");
        }
        Ok(true)
    }

    /// The files with new content that are no by-products and not `declared`.
    fn changed_files(
        &self,
        declared: impl Fn(&Slot) -> bool,
        notes: &mut Vec<Note>,
    ) -> Result<Vec<Slot>> {
        let mut slots = Vec::new();
        for path in self.after.touched_since(self.before) {
            if is_byproduct(path) || !self.has_new_content(path)? {
                continue;
            }
            let Ok(inside) = path.strip_prefix(&self.layout.below) else {
                let why = "it lies outside the folder in which the command was started";
                notes.push(Note::NotAnOutput { path: path.to_owned(), why });
                continue;
            };
            match slot(inside) {
                Some(slot) if declared(&slot) => {}
                Some(slot) => match self.obstacle(path) {
                    None => slots.push(slot),
                    Some(why) => notes.push(Note::NotAnOutput { path: inside.to_owned(), why }),
                },
                // Inside a declared folder any name will do.
                None if ancestors(inside).any(|slot| declared(&slot)) => {}
                None => {
                    let why = "its name is not UTF-8, or holds a ':', a control character, or a \
                               space at an end";
                    notes.push(Note::NotAnOutput { path: inside.to_owned(), why });
                }
            }
        }
        Ok(slots)
    }

    fn has_new_content(&self, path: &Path) -> Result<bool> {
        let (before, after) = (self.before.get(path), self.after.get(path));
        let Some(after) = after.filter(|stamp| !stamp.is_folder()) else { return Ok(false) };
        let sizes = (before.and_then(|stamp| stamp.file_size()), after.file_size());
        match sizes {
            // Touched, but perhaps written with the bytes that it had.
            (Some(old), Some(new)) if old == new => {
                let now = hash(&self.layout.work.join(path))?;
                Ok(self.layout.original(path)? != Some(now))
            }
            _ => Ok(true),
        }
    }

    /// What keeps something from being an output.
    fn obstacle(&self, path: &Path) -> Option<&'static str> {
        let full = self.layout.work.join(path);
        let stamp = self.after.get(path)?;
        if stamp.file_size().is_some() {
            return None;
        }
        if !stamp.is_link() {
            return Some("it is neither a file nor a folder");
        }
        match full.canonicalize() {
            Err(_) => Some("it is a link that leads nowhere"),
            Ok(real) if !real.starts_with(&self.layout.work) => {
                Some("it is a link that leads out of the code tree")
            }
            Ok(real) if !real.is_file() => Some("it is a link to a folder"),
            Ok(_) => None,
        }
    }
}

fn slot(path: &Path) -> Option<Slot> {
    Slot::new(path.to_str()?).ok()
}

/// The folders above a path, as far as they can be slots.
pub(crate) fn ancestors(path: &Path) -> impl Iterator<Item = Slot> {
    path.ancestors().skip(1).filter_map(slot)
}

/// Reads the metrics in the outputs.
pub(crate) fn read_metrics(directory: &Path, gathered: &mut Gathered) {
    let output = |(slot, content): (&Slot, &ContentId)| {
        (PathBuf::from(slot.as_str()), matches!(content, ContentId::Tree(_)))
    };
    let outputs: Vec<_> = gathered.outputs.iter().map(output).collect();
    let (metrics, mut notes) = metrics::of_outputs(directory, &outputs);
    gathered.metrics = metrics;
    gathered.notes.append(&mut notes);
}
