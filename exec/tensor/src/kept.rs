//! The output `checkpoints` of a training: what its steps depended on, now and then, in the store.
//!
//! A directory per checkpoint, called by the number of steps done, with two files: the tensors
//! (weights, moments, the weights of the best epoch) and the rest. Whoever has them can redo any
//! part of the training by itself.

use lab_objects::Store;
use lab_schema::tree::{Entry, Node};
use lab_schema::{ContentId, Digest, FileName, Slot, Tree, TreeId};
use serde::{Deserialize, Serialize};

use crate::error::{Result, TensorError};
use crate::files::to_json;
use crate::task::{CHECKPOINTS, slot};
use crate::tensors::{self, Arrays, Tensors};
use crate::training::{Saved, Training};

const STATE: &str = "state.json";
const TENSORS: &str = "tensors.safetensors";
const MAX_STATE_BYTES: u64 = 1 << 20;
const MAX_TENSORS_BYTES: u64 = 4 << 30;

/// A checkpoint in the store.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Kept {
    /// Steps done.
    pub(crate) step: u64,
    tree: [u8; 32],
    size: u64,
}

impl Kept {
    fn tree(&self) -> TreeId {
        TreeId::from_digest(Digest::from_bytes(self.tree))
    }
}

fn name(text: &str) -> FileName {
    FileName::new(text.as_bytes()).expect("a plain file name")
}

/// Puts into the store how a training stands; durable when this returns.
pub(crate) fn keep(store: &Store, training: &Training<'_>, before: &[Kept]) -> Result<Kept> {
    let (saved, arrays) = training.save();
    let (state, tensors) = (to_json(&saved), tensors::of_arrays(&arrays));
    let mut writer = store.writer();
    // Most tensors have moved by little.
    if let Some(before) = before.last() {
        writer.set_bases(&[ContentId::Tree(before.tree())]);
    }
    let mut entries = Vec::new();
    for (called, bytes) in [(STATE, &state), (TENSORS, &tensors)] {
        let (id, size) = writer.put_blob(&mut bytes.as_slice())?;
        entries
            .push(Entry { name: name(called), node: Node::File { id, size, executable: false } });
    }
    let tree = writer.put(&Tree::new(entries)?)?;
    writer.finish()?;
    let tree = *tree.digest().as_bytes();
    Ok(Kept { step: saved.step, tree, size: (state.len() + tensors.len()) as u64 })
}

/// The directory of all of them.
pub(crate) fn directory(store: &Store, all: &[Kept]) -> Result<ContentId> {
    let entry = |kept: &Kept| Entry {
        name: name(&format!("step-{:09}", kept.step)),
        node: Node::Directory { id: kept.tree(), size: kept.size },
    };
    let mut writer = store.writer();
    let id = writer.put(&Tree::new(all.iter().map(entry).collect())?)?;
    writer.finish()?;
    Ok(id.into())
}

/// Whether all of a checkpoint is still in the store.
pub(crate) fn is_there(store: &Store, kept: &Kept) -> Result<bool> {
    let Some(tree) = store.get::<Tree>(kept.tree())? else { return Ok(false) };
    for entry in tree.entries() {
        let Node::File { id, .. } = entry.node else { return Ok(false) };
        if store.promised(id)?.is_none() && !store.has(id)? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The checkpoints in a directory of them: steps done, and what was kept then.
pub(crate) fn list(store: &Store, content: ContentId) -> Result<Vec<(u64, TreeId)>> {
    let ContentId::Tree(root) = content else { return Err(bad("it is a file".to_owned())) };
    let tree: Tree = store.load(root)?;
    let each = |entry: &Entry| {
        let text = String::from_utf8_lossy(entry.name.as_bytes()).into_owned();
        let step = text.strip_prefix("step-").and_then(|step| step.parse().ok());
        match (step, &entry.node) {
            (Some(step), Node::Directory { id, .. }) => Ok((step, *id)),
            _ => Err(bad(format!("'{}' is no checkpoint", text.escape_debug()))),
        }
    };
    let mut all = tree.entries().iter().map(each).collect::<Result<Vec<_>>>()?;
    all.sort_unstable();
    Ok(all)
}

/// What was kept.
pub(crate) fn read(store: &Store, tree: TreeId) -> Result<(Saved, Arrays)> {
    let tree: Tree = store.load(tree)?;
    let file = |name: &str, limit| match tree.get(name.as_bytes()).map(|entry| &entry.node) {
        Some(Node::File { id, .. }) => Ok(store.read_blob(*id, limit)?),
        _ => Err(bad(format!("a checkpoint lacks {name}"))),
    };
    let saved = serde_json::from_slice(&file(STATE, MAX_STATE_BYTES)?)
        .map_err(|error| bad(format!("{STATE}: {error}")))?;
    let arrays = Tensors::read(&of(), &file(TENSORS, MAX_TENSORS_BYTES)?)?.all_floats()?;
    Ok((saved, arrays))
}

fn of() -> Slot {
    slot(CHECKPOINTS)
}

fn bad(why: String) -> TensorError {
    TensorError::BadInput { slot: of(), why }
}
