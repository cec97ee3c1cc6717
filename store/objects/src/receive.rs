//! Packs that somebody else has filled: taken only if every byte of them is right.

use crate::backend::{Key, PackId};
use crate::block::BASE_LOST;
use crate::check::unfit;
use crate::error::{ObjectsError, Result};
use crate::frame::{FrameKind, Parsed};
use crate::list::Parts;
use crate::pack::{self, FOOTER_BYTES, Record, Tail};
use crate::repack::is_upper;
use crate::store::Store;

/// A pack that came from outside, of which every byte is right.
#[must_use = "it is not in the store yet"]
pub struct Fit {
    id: PackId,
    tail: Tail,
}

impl Store {
    /// Publishes a pack that came from outside, once each of its frames has been decoded and hashed,
    /// what differences stand on included, and each object has been found to be one. Anything else
    /// is refused, and nothing of it is kept.
    pub fn receive(&self, id: PackId, bytes: &[u8]) -> Result<()> {
        let fit = self.look_through(id, bytes)?;
        self.take(fit, bytes, false)
    }

    /// The first half of [`Store::receive`]: looks through the bytes of a pack.
    pub fn look_through(&self, id: PackId, bytes: &[u8]) -> Result<Fit> {
        Ok(Fit { id, tail: self.checked(id, bytes)? })
    }

    /// The second half: publishes the pack, whose bytes are those that were looked through; with
    /// `instead`, in the place of a damaged one of this name.
    pub fn take(&self, fit: Fit, bytes: &[u8], instead: bool) -> Result<()> {
        let key = Key::Pack(fit.id);
        if instead {
            self.backend().mend(&key, bytes)?;
        } else {
            match self.backend().publish(&key, bytes) {
                // These are right, so that what is there under their name is damaged.
                Err(ObjectsError::RefusedKey { .. }) => self.backend().mend(&key, bytes)?,
                published => published?,
            }
        }
        self.catalog_mut().insert(fit.id, fit.tail);
        Ok(())
    }

    /// [`Store::receive`], in the place of a damaged pack of this name.
    pub fn receive_instead(&self, id: PackId, bytes: &[u8]) -> Result<()> {
        let fit = self.look_through(id, bytes)?;
        self.take(fit, bytes, true)
    }

    /// What a pack holds, if every byte of it is right.
    fn checked(&self, id: PackId, bytes: &[u8]) -> Result<Tail> {
        let damaged = |why| ObjectsError::Damaged { what: format!("pack {id}"), why };
        if bytes.len() as u64 > Key::Pack(id).max_bytes() {
            return Err(damaged("it is larger than a pack can be"));
        }
        let tail = tail(id, bytes).map_err(damaged)?;
        let mut wrong = unfit(self, &tail, bytes)?;
        if wrong.iter().any(|(_, why)| *why == BASE_LOST) {
            // Somebody else may have published it a moment ago.
            self.refresh()?;
            wrong = unfit(self, &tail, bytes)?;
        }
        match wrong.first() {
            Some((_, why)) => return Err(damaged(why)),
            None => self.are_objects(&tail, bytes).map_err(damaged)?,
        }
        Ok(tail)
    }

    /// Whether what claims to be an object or a list is one. All of it has been decoded before.
    fn are_objects(&self, tail: &Tail, whole: &[u8]) -> Parsed<()> {
        let mut frames: Vec<Record> = tail.frames.iter().filter(|r| is_upper(r.key.kind)).collect();
        frames.sort_unstable_by_key(|record| record.block);
        for group in frames.chunk_by(|a, b| a.block == b.block) {
            let block = tail.blocks[group[0].block as usize];
            let stored = &whole[block.offset as usize..][..block.stored as usize];
            let Ok(Ok(raw)) = self.decode_block(&block, stored) else {
                return Err("it cannot be read twice");
            };
            for record in group {
                let frame = &raw[record.start as usize..(record.start + record.bytes) as usize];
                match (record.key.kind, record.key.object()) {
                    (FrameKind::List, _) => drop(Parts::parse_list(frame)?),
                    (_, Some(id)) => match lab_schema::object::links(id.kind(), frame) {
                        Ok(_) => {}
                        Err(_) => {
                            return Err("it holds an object that is not written as it must be");
                        }
                    },
                    (_, None) => {}
                }
            }
        }
        Ok(())
    }
}

/// The table of contents of a whole pack.
fn tail(id: PackId, bytes: &[u8]) -> Parsed<Tail> {
    if !pack::has_header(bytes) {
        return Err("it does not begin as a pack does");
    }
    let size = bytes.len() as u64;
    let footer = &bytes[bytes.len().saturating_sub(FOOTER_BYTES)..];
    let len = pack::tail_len(footer, size)?;
    pack::parse_tail(id, bytes[bytes.len() - len as usize..].to_vec(), size)
}
