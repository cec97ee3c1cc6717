//! What models were trained on, beside what they are tested on.

use std::collections::{BTreeMap, btree_map};

use lab_lineage::{Lineage, Role};
use lab_objects::Store;
use lab_overlap::{Examples, Overlap, Reading, overlap};
use lab_schema::{ContentId, RunId};

use super::Row;
use crate::commands::describe::readable;
use crate::commands::eval::{self, leaks};
use crate::commands::page::all_in;
use crate::failure::Outcome;

/// What a model was trained on and tested on has examples in common.
pub(super) struct Leak {
    pub(super) by: RunId,
    pub(super) read: String,
    pub(super) tested: String,
    pub(super) found: Overlap,
}

/// Bytes that are compared without being asked for: no more than some tenths of a second of work.
pub(super) const SMALL: u64 = 4 << 20;
/// And most contents that are looked for then.
const FEW: usize = 64;

/// What could be compared.
#[derive(Default)]
pub(super) struct Looked {
    /// Pairs of contents.
    pub(super) pairs: usize,
    /// Whether something was not looked at, since it is large or not here.
    pub(super) left_out: bool,
}

/// Room for so many bytes.
struct Room<'a> {
    store: &'a Store,
    left: u64,
    contents: usize,
    left_out: bool,
}

impl Room<'_> {
    /// Whether nothing more is taken.
    fn is_full(&self) -> bool {
        self.left != u64::MAX && self.contents == FEW
    }

    /// Whether a content is here and there is room for it, or there is room for anything.
    fn takes(&mut self, content: ContentId) -> Outcome<bool> {
        if self.left == u64::MAX {
            return Ok(true);
        }
        if self.is_full() {
            self.left_out = true;
            return Ok(false);
        }
        self.contents += 1;
        let mut bytes = 0_u64;
        let Ok(all) = readable(all_in(self.store, content))? else {
            self.left_out = true;
            return Ok(false);
        };
        for part in all {
            match part {
                ContentId::Blob(blob) if self.store.has(blob)? => {
                    bytes = bytes.saturating_add(self.store.size(blob)?.unwrap_or(u64::MAX));
                }
                ContentId::Tree(tree) if self.store.has(tree)? => {}
                _ => bytes = u64::MAX,
            }
        }
        let left = self.left.checked_sub(bytes);
        self.left = left.unwrap_or(self.left);
        self.left_out |= left.is_none();
        Ok(left.is_some())
    }

    /// The examples in a content that there is room for, if it has some. What is damaged fails only if it was
    /// asked for.
    fn read(&mut self, slot: &str, content: ContentId) -> Outcome<Option<Examples>> {
        if !self.takes(content)? {
            return Ok(None);
        }
        match leaks::read(self.store, slot, content, &Reading::default()) {
            Err(_) if self.left != u64::MAX => {
                self.left_out = true;
                Ok(None)
            }
            read => Ok(read?.ok()),
        }
    }
}

/// Compares what was trained on with what is tested on, up to so many bytes.
pub(super) fn look(
    store: &Store,
    lineage: &Lineage,
    pinned: &eval::Pinned,
    rows: &mut [Row],
    most: u64,
) -> Outcome<Looked> {
    let mut room = Room { store, left: most, contents: 0, left_out: false };
    let mut tests = Vec::new();
    for (slot, content) in pinned.tested() {
        if let Some(examples) = room.read(&slot, content)? {
            tests.push((slot, content, examples));
        }
    }
    if tests.is_empty() {
        return Ok(Looked { pairs: 0, left_out: room.left_out });
    }
    // Each pair once, however many models there are.
    let mut known: BTreeMap<ContentId, Vec<(String, Overlap)>> = BTreeMap::new();
    let mut pairs = 0;
    for row in rows {
        // What is known to be a leak may be one of this row too.
        if room.is_full() && !known.values().flatten().any(|(_, found)| is_leak(found)) {
            room.left_out = true;
            break;
        }
        let mut read: BTreeMap<ContentId, (RunId, String)> = BTreeMap::new();
        for maker in row.entries.iter().flat_map(|entry| entry.makers.iter().copied()) {
            for run in lineage.chain(maker)? {
                for (role, content) in lineage.run_inputs(run)? {
                    let slot = match role {
                        Role::Input(slot) => slot.to_string(),
                        Role::Outside(slot) => format!("/{slot}"),
                        Role::Code => continue,
                    };
                    read.entry(content).or_insert((run, slot));
                }
            }
        }
        for (content, (by, slot)) in read {
            if let btree_map::Entry::Vacant(free) = known.entry(content) {
                let mut found = Vec::new();
                let train = room.read(&slot, content)?;
                for (tested, test, examples) in &tests {
                    // The very same stands under the row already.
                    let train = train.as_ref().filter(|_| *test != content);
                    let both = train.and_then(|train| {
                        overlap(train, examples, &lab_overlap::Options::default()).ok()
                    });
                    found.extend(both.map(|both| (tested.clone(), both)));
                }
                pairs += found.len();
                free.insert(found);
            }
            for (tested, found) in known.get(&content).into_iter().flatten() {
                if is_leak(found) {
                    let (read, tested, found) = (slot.clone(), tested.clone(), found.clone());
                    row.leaks.push(Leak { by, read, tested, found });
                }
            }
        }
    }
    Ok(Looked { pairs, left_out: room.left_out })
}

fn is_leak(found: &Overlap) -> bool {
    found.verdict() == lab_overlap::Verdict::Leak
}
