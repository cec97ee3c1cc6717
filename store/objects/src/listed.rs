//! Large blobs, found by their lists.
//!
//! A blob may have been cut in more than one way: beside an earlier version of it or without, at its
//! tensors or not. Two lists of it are rare, but they happen: two writers put it at once, or the pack
//! with its first list was about to be removed. Each stands on chunks of its own, and one may have
//! lost some. Whoever reads takes one of which everything is recorded, if there is one.

use std::collections::HashSet;

use lab_schema::ObjectId;

use crate::backend::PackId;
use crate::error::{ObjectsError, Result};
use crate::frame::{FrameKey, FrameKind};
use crate::list::{Part, Parts};
use crate::store::Store;

/// A list of a large blob.
#[derive(Debug)]
pub(crate) struct Listed {
    pub(crate) frame: Vec<u8>,
    /// Where it lies.
    pub(crate) packs: Vec<PackId>,
    /// Whether any of these can be relied on.
    pub(crate) kept: bool,
}

/// The parts of a part of a list or node of `level`.
pub(crate) fn node(store: &Store, part: Part, level: u8) -> Result<Parts> {
    let damaged = |why| ObjectsError::Damaged {
        what: format!("chunk list node {}", part.digest.short()),
        why,
    };
    let key = FrameKey::new(FrameKind::Node, part.digest);
    let (_, frame) = store.fetch(&[key])?.ok_or_else(|| damaged("it is not in any pack"))?;
    Parts::parse_node(&frame, part, level).map_err(damaged)
}

/// The parts and the size of the blob that has this list frame.
pub(crate) fn list(id: ObjectId, frame: &[u8]) -> Result<(u64, Parts)> {
    let damaged = |why| ObjectsError::Damaged { what: id.to_string(), why };
    Parts::parse_list(frame).map_err(damaged)
}

impl Store {
    /// The lists of a large blob that can be read, each once; those of which everything is recorded
    /// first. None if it has no list; an error if all are damaged.
    pub(crate) fn lists(&self, id: ObjectId) -> Result<Vec<Listed>> {
        let key = FrameKey::new(FrameKind::List, id.digest());
        let mut lists: Vec<Listed> = Vec::new();
        for place in self.places(&[key])? {
            let Some(frame) = self.read_at(&place)? else { continue };
            let kept = self.catalog().is_kept(&place);
            match lists.iter_mut().find(|list| list.frame == frame) {
                None => lists.push(Listed { frame, packs: vec![place.pack], kept }),
                Some(list) => {
                    list.packs.push(place.pack);
                    list.kept |= kept;
                }
            }
        }
        if lists.is_empty() {
            // Looks again at what may have moved, and tells what is wrong.
            let found = self.fetch(&[key])?;
            let listed = |(_, frame)| Listed { frame, packs: Vec::new(), kept: false };
            return Ok(found.map(listed).into_iter().collect());
        }
        if lists.len() > 1 {
            let mut ranked = Vec::new();
            for list in lists {
                ranked.push((self.lacks(id, &list)?, list));
            }
            ranked.sort_by_key(|(lacks, _)| *lacks);
            lists = ranked.into_iter().map(|(_, list)| list).collect();
        }
        Ok(lists)
    }

    /// The best list of a large blob, of which this one was found.
    pub(crate) fn best_list(&self, id: ObjectId, found: Vec<u8>) -> Result<Vec<u8>> {
        // Almost always it is the only one.
        if self.catalog().places(&FrameKey::new(FrameKind::List, id.digest())).len() < 2 {
            return Ok(found);
        }
        Ok(self.lists(id)?.into_iter().next().map_or(found, |best| best.frame))
    }

    /// How little can be said for a list: 0 if it and all that it names can be relied on, 1 if all of that
    /// is recorded, 2 otherwise.
    pub(crate) fn lacks(&self, id: ObjectId, list: &Listed) -> Result<u8> {
        if list.kept && self.has_all(id, list, |keys| Ok(self.holds_any(keys)))? == Some(true) {
            return Ok(0);
        }
        let known = |keys: &[FrameKey]| {
            let catalog = self.catalog();
            Ok(keys.iter().any(|key| catalog.knows(key)))
        };
        Ok(if self.has_all(id, list, known)? == Some(true) { 1 } else { 2 })
    }

    /// Whether one of these frames can be relied on.
    pub(crate) fn holds_any(&self, keys: &[FrameKey]) -> bool {
        let catalog = self.catalog();
        keys.iter().any(|key| catalog.holds(key))
    }

    /// Whether everything that a list names `is_here`, nodes and chunks; none if it cannot even be followed
    /// to its chunks.
    pub(crate) fn has_all(
        &self,
        id: ObjectId,
        list: &Listed,
        mut is_here: impl FnMut(&[FrameKey]) -> Result<bool>,
    ) -> Result<Option<bool>> {
        let mut open = match self::list(id, &list.frame) {
            Ok((_, parts)) => vec![parts],
            Err(_) => return Ok(None),
        };
        // A few nodes that repeat each other can claim any number of chunks.
        let mut seen = HashSet::new();
        let mut whole = true;
        while let Some(Parts { level, parts }) = open.pop() {
            for part in parts {
                if level == 0 {
                    whole = whole && is_here(&FrameKey::of_chunk(part.digest))?;
                } else if !is_here(&[FrameKey::new(FrameKind::Node, part.digest)])? {
                    return Ok(None);
                } else if seen.insert(part.digest) {
                    match node(self, part, level) {
                        Ok(below) => open.push(below),
                        Err(ObjectsError::Damaged { .. }) => return Ok(None),
                        Err(error) => return Err(error),
                    }
                }
            }
        }
        Ok(Some(whole))
    }
}
