//! What has to be carried from one store to another, and how: as it is encoded, wherever a block
//! holds nothing else.
//!
//! A block in which something lies that was not asked for is not handed on: its neighbours may be
//! nobody's business. What is wanted of it is encoded again. The same goes for a difference whose
//! base the other store does not have.

use std::collections::{BTreeMap, HashMap, HashSet};

use lab_encoding::delta;
use lab_encoding::float::Element;
use lab_schema::{Digest, ObjectId};

use crate::ahead::{Found, Ranges};
use crate::backend::{Key, PackId};
use crate::block::{Block, Encoding};
use crate::catalog::Place;
use crate::error::{ObjectsError, Result};
use crate::frame::{FrameKey, FrameKind};
use crate::list::{Part, Parts};
use crate::listed::{list, node};
use crate::pack::{Encoded, Record};
use crate::pipeline::{Loaded, Piece};
use crate::store::Store;

/// A block of which something is wanted.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    pub(crate) pack: PackId,
    pub(crate) block: Block,
    /// What is wanted of it.
    pub(crate) frames: Vec<Record>,
    /// Whether it goes as it is.
    pub(crate) as_it_is: bool,
    /// The object that wanted it first.
    pub(crate) by: ObjectId,
}

/// What goes after everything that it is made of.
#[derive(Debug)]
pub(crate) enum Above {
    /// A node or list of a large blob.
    Frame(FrameKey, Vec<u8>),
    /// A structured object.
    Object(ObjectId),
}

/// What is to be carried.
#[derive(Debug, Default)]
pub(crate) struct Load {
    /// Blocks of what files hold: what others stand on first, then as they lie.
    pub(crate) blocks: Vec<Wanted>,
    /// In an order in which it may become visible.
    pub(crate) above: Vec<Above>,
    /// Bytes that are read for it, of blocks.
    pub(crate) stored: u64,
}

/// Plans.
pub(crate) struct Planner<'a> {
    from: &'a Store,
    to: &'a Store,
    blocks: BTreeMap<(PackId, u32), Wanted>,
    above: Vec<Above>,
    seen: HashSet<FrameKey>,
}

impl<'a> Planner<'a> {
    /// From one store to another.
    pub(crate) fn new(from: &'a Store, to: &'a Store) -> Planner<'a> {
        let (blocks, above, seen) = (BTreeMap::new(), Vec::new(), HashSet::new());
        Planner { from, to, blocks, above, seen }
    }

    /// Adds an object that is not even recorded in the other store.
    pub(crate) fn add(&mut self, id: ObjectId) -> Result<()> {
        let ObjectId::Blob(_) = id else {
            self.above.push(Above::Object(id));
            return Ok(());
        };
        let small = FrameKey::new(FrameKind::Blob, id.digest());
        if self.want(&[small], id) {
            return Ok(());
        }
        let key = FrameKey::new(FrameKind::List, id.digest());
        let Some(best) = self.from.lists(id)?.into_iter().next() else {
            return Err(ObjectsError::Missing { id });
        };
        let (_, parts) = list(id, &best.frame)?;
        self.parts(id, parts)?;
        self.above.push(Above::Frame(key, best.frame));
        Ok(())
    }

    /// Adds what a list or node names: chunks at its foot, nodes each after what is below it.
    fn parts(&mut self, id: ObjectId, Parts { level, parts }: Parts) -> Result<()> {
        for part in parts {
            match level {
                0 => self.chunk(id, part)?,
                _ => {
                    let key = FrameKey::new(FrameKind::Node, part.digest);
                    if !self.seen.insert(key) {
                        continue;
                    }
                    self.parts(id, node(self.from, part, level)?)?;
                    if let Some((_, frame)) = self.from.fetch(&[key])? {
                        self.above.push(Above::Frame(key, frame));
                    }
                }
            }
        }
        Ok(())
    }

    fn chunk(&mut self, id: ObjectId, part: Part) -> Result<()> {
        let keys = FrameKey::of_chunk(part.digest);
        if self.to.holds_any(&keys) || self.want(&keys, id) {
            return Ok(());
        }
        Err(ObjectsError::Damaged {
            what: format!("chunk {}", part.digest.short()),
            why: "it is not in any pack",
        })
    }

    /// Notes the place of one of these frames; false if none has any.
    fn want(&mut self, keys: &[FrameKey], by: ObjectId) -> bool {
        if keys.iter().any(|key| self.seen.contains(key)) {
            return true;
        }
        let place = {
            let catalog = self.from.catalog();
            let sound = keys.iter().find_map(|key| catalog.first(key));
            // One that is known to be damaged may have been put right.
            sound.or_else(|| keys.iter().find_map(|key| catalog.places(key).into_iter().next()))
        };
        let Some(Place { pack, record, block }) = place else { return false };
        self.seen.insert(record.key);
        let wanted = || Wanted { pack, block, frames: Vec::new(), as_it_is: false, by };
        self.blocks.entry((pack, record.block)).or_insert_with(wanted).frames.push(record);
        true
    }

    /// Decides what goes as it is.
    pub(crate) fn finish(mut self) -> Load {
        let mut sizes: HashMap<(PackId, u32), usize> = HashMap::new();
        {
            let catalog = self.from.catalog();
            let packs: HashSet<PackId> = self.blocks.keys().map(|(pack, _)| *pack).collect();
            for pack in packs {
                let frames = catalog.contents(pack).into_iter().flat_map(|tail| tail.frames.iter());
                for record in frames {
                    *sizes.entry((pack, record.block)).or_default() += 1;
                }
            }
        }
        for (at, wanted) in &mut self.blocks {
            wanted.as_it_is = sizes.get(at) == Some(&wanted.frames.len());
            wanted.frames.sort_unstable_by_key(|record| record.start);
        }
        // A difference needs what it stands on: at the other store, or on the way and in time.
        let mut carried: HashMap<Digest, u8> = HashMap::new();
        let mut order: Vec<Wanted> = self.blocks.into_values().collect();
        order.sort_by_key(|wanted| wanted.block.depth);
        for wanted in &mut order {
            let depth = wanted.block.depth;
            if let Some(base) = wanted.block.base {
                let there = || {
                    let catalog = self.to.catalog();
                    let places =
                        FrameKey::of_chunk(base).into_iter().flat_map(|k| catalog.places(&k));
                    places.into_iter().any(|p| p.block.depth < depth && catalog.is_kept(&p))
                };
                let comes = carried.get(&base).is_some_and(|carried| *carried < depth);
                wanted.as_it_is &= comes || there();
            }
            let depth = if wanted.as_it_is { depth } else { 0 };
            carried.extend(wanted.frames.iter().map(|record| (record.key.digest, depth)));
        }
        let stored = order.iter().map(|wanted| u64::from(wanted.block.stored)).sum();
        Load { blocks: order, above: self.above, stored }
    }
}

/// Verifies all that is wanted of blocks of `from`, of whose [ranges] this was found; ends at the first
/// object that cannot be given. `near` may have what a difference stands on.
pub(crate) fn unload(
    from: &Store,
    near: &Store,
    wanted: &[Wanted],
    found: Found,
    bytes: &mut Vec<u8>,
) -> (Loaded, Option<(ObjectId, ObjectsError)>) {
    let mut loaded = Loaded::default();
    let found = match found {
        Ok(found) => found,
        Err(error) => return (loaded, wanted.first().map(|first| (first.by, error))),
    };
    let read = ranges(wanted);
    for wanted in wanted {
        let range = read.iter().zip(&found).find(|((pack, start, len), _)| {
            *pack == Key::Pack(wanted.pack) && (*start..start + len).contains(&wanted.block.offset)
        });
        let stored = range.and_then(|((_, start, _), bytes)| {
            let at = (wanted.block.offset - start) as usize;
            bytes.as_ref()?.get(at..at + wanted.block.stored as usize)
        });
        let taken = match stored {
            Some(stored) => take(from, near, wanted, stored, bytes, &mut loaded),
            None => Ok(false),
        };
        let taken = match taken {
            Ok(false) => elsewhere(from, wanted, bytes, &mut loaded),
            taken => taken.map(drop),
        };
        if let Err(error) = taken {
            return (loaded, Some((wanted.by, error)));
        }
    }
    (loaded, None)
}

/// Takes what is wanted of a damaged block from other places, where each may be sound.
fn elsewhere(
    from: &Store,
    wanted: &Wanted,
    bytes: &mut Vec<u8>,
    loaded: &mut Loaded,
) -> Result<()> {
    for record in &wanted.frames {
        let lost = || ObjectsError::Missing { id: wanted.by };
        let (key, frame) = from.fetch(&[record.key])?.ok_or_else(lost)?;
        piece(loaded, bytes, key, &frame, Element::Other);
    }
    Ok(())
}

/// Ranges of packs that hold these blocks; blocks that lie side by side are read together.
pub(crate) fn ranges(wanted: &[Wanted]) -> Ranges {
    let mut ranges = Ranges::new();
    for Wanted { pack, block, .. } in wanted {
        let pack = Key::Pack(*pack);
        match ranges.last_mut() {
            Some((last, start, len)) if *last == pack && *start + *len == block.offset => {
                *len += u64::from(block.stored);
            }
            _ => ranges.push((pack, block.offset, block.stored.into())),
        }
    }
    ranges
}

/// Takes over a block, or what is wanted of it; false if it is damaged.
fn take(
    from: &Store,
    near: &Store,
    wanted: &Wanted,
    stored: &[u8],
    bytes: &mut Vec<u8>,
    loaded: &mut Loaded,
) -> Result<bool> {
    let mut raw = near.decode_block(&wanted.block, stored)?;
    if raw.is_err() && wanted.block.base.is_some() {
        raw = from.decode_block(&wanted.block, stored)?;
    }
    let Ok(raw) = raw else { return Ok(false) };
    let frame = |r: &Record| &raw[r.start as usize..(r.start + r.bytes) as usize];
    if !wanted.frames.iter().all(|record| record.key.fits(frame(record))) {
        return Ok(false);
    }
    if wanted.as_it_is {
        let Encoded { bytes, blocks, records } = &mut loaded.ready;
        let number = blocks.len() as u32;
        blocks.push(Block { offset: bytes.len() as u64, ..wanted.block });
        bytes.extend_from_slice(stored);
        records.extend(wanted.frames.iter().map(|r| Record { block: number, ..*r }));
        return Ok(true);
    }
    let element = match wanted.block.encoding {
        Encoding::Delta => delta::element(stored).unwrap_or(Element::Other),
        _ => Element::Other,
    };
    for record in &wanted.frames {
        piece(loaded, bytes, record.key, frame(record), element);
    }
    Ok(true)
}

/// A frame that is to be encoded again.
fn piece(loaded: &mut Loaded, bytes: &mut Vec<u8>, key: FrameKey, frame: &[u8], element: Element) {
    let start = bytes.len();
    bytes.extend_from_slice(frame);
    let (range, digest) = (start..bytes.len(), Some(key.digest));
    loaded.pieces.push(Piece { kind: key.kind, range, element, digest, bases: [None; 2] });
}
