//! What models were trained on, beside what they are tested on.

use std::collections::{BTreeMap, btree_map};

use lab_lineage::{Lineage, Role};
use lab_objects::Store;
use lab_overlap::{Overlap, Reading, overlap};
use lab_schema::{ContentId, RunId};

use super::Row;
use crate::commands::eval::{self, leaks};
use crate::failure::Outcome;

/// What a model was trained on and tested on has examples in common.
pub(super) struct Leak {
    pub(super) by: RunId,
    pub(super) read: String,
    pub(super) tested: String,
    pub(super) found: Overlap,
}

/// Compares what was trained on with what is tested on; returns how many pairs of contents could be.
pub(super) fn look(
    store: &Store,
    lineage: &Lineage,
    pinned: &eval::Pinned,
    rows: &mut [Row],
) -> Outcome<usize> {
    let reading = Reading::default();
    let mut tests = Vec::new();
    for (slot, content) in pinned.tested() {
        if let Ok(examples) = leaks::read(store, &slot, content, &reading)? {
            tests.push((slot, content, examples));
        }
    }
    // Each pair once, however many models there are.
    let mut known: BTreeMap<ContentId, Vec<(String, Overlap)>> = BTreeMap::new();
    let mut looked = 0;
    for row in rows {
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
                let train = leaks::read(store, &slot, content, &reading)?.ok();
                for (tested, test, examples) in &tests {
                    // The very same stands under the row already.
                    let train = train.as_ref().filter(|_| *test != content);
                    let both = train.and_then(|train| {
                        overlap(train, examples, &lab_overlap::Options::default()).ok()
                    });
                    found.extend(both.map(|both| (tested.clone(), both)));
                }
                looked += found.len();
                free.insert(found);
            }
            for (tested, found) in known.get(&content).into_iter().flatten() {
                if found.verdict() == lab_overlap::Verdict::Leak {
                    let (read, tested, found) = (slot.clone(), tested.clone(), found.clone());
                    row.leaks.push(Leak { by, read, tested, found });
                }
            }
        }
    }
    Ok(looked)
}
