//! A large blob that is here already, though cut in another way than it was put just now.
//!
//! Its list names other chunks than those that were stored, and putting it again is to put right
//! what is wrong with it: what its list names and is lost, or about to be removed, is stored again,
//! cut as the list says. Whatever is stored as a difference to one of these can be read again too.

use std::io::Read;

use lab_encoding::float::Element;
use lab_encoding::weights::Layout;
use lab_schema::{BlobId, Kind, ObjectId};

use crate::block::{Block, Coder};
use crate::error::{ObjectsError, Result};
use crate::frame::{FrameKey, FrameKind};
use crate::list::{Part, Parts};
use crate::listed;
use crate::pack::{Encoded, Record};
use crate::read::Walk;
use crate::shelf::Shelf;
use crate::store::Store;

/// What the lists of a blob say that was just put.
#[derive(Debug, Default)]
pub(crate) struct Held {
    /// Whether one of them says what the new one would.
    pub(crate) same: bool,
    /// Whether one of them can be followed to its chunks.
    pub(crate) followed: bool,
    /// Those that can be followed, and name chunks that cannot be relied on.
    pub(crate) lacking: Vec<Vec<u8>>,
}

impl Store {
    /// What is held of a blob with this list. `suspicious`: chunks of others are read.
    pub(crate) fn held_lists(&self, id: BlobId, frame: &[u8], suspicious: bool) -> Result<Held> {
        let mut held = Held::default();
        let lists = match self.lists(id.into()) {
            Err(ObjectsError::Damaged { .. }) => Vec::new(),
            lists => lists?,
        };
        for list in lists.into_iter().filter(|list| list.kept) {
            if list.frame == frame {
                (held.same, held.followed) = (true, true);
                continue;
            }
            let whole = self.has_all(id.into(), &list, |keys| match keys {
                [chunk, _] if suspicious => Ok(self.base(chunk.digest)?.is_some()),
                keys => Ok(self.holds_any(keys)),
            })?;
            held.followed |= whole.is_some();
            if whole == Some(false) {
                held.lacking.push(list.frame);
            }
        }
        Ok(held)
    }

    /// Stores again what a list names and what cannot be relied on, from the parts that the blob was
    /// cut into just now.
    pub(crate) fn recut(&self, id: BlobId, frame: &[u8], parts: Vec<Part>) -> Result<()> {
        let id = id.into();
        let (size, listed) = listed::list(id, frame)?;
        let mut wanted = Walk::new(self, listed).chunks();
        let mut source = self.read_parts(id, size, Parts { level: 0, parts });
        self.fill_in(id, &mut wanted, &mut source, None)
    }

    /// Stores those of the parts of a blob again that cannot be relied on, from all of its bytes. They stand on
    /// nothing themselves. All is durable on return.
    pub(crate) fn fill_in(
        &self,
        id: ObjectId,
        parts: &mut dyn Iterator<Item = Result<Part>>,
        source: &mut dyn Read,
        layout: Option<&Layout>,
    ) -> Result<()> {
        let (mut shelf, mut coder) = (Shelf::new(self), Coder::new()?);
        let (mut whole, mut at) = (Kind::Blob.hasher(), 0u64);
        let mut bytes = Vec::new();
        for part in parts {
            let part = part?;
            bytes.clear();
            let unreadable =
                |source| ObjectsError::Stream { verb: "read what is to be stored", source };
            source.take(part.bytes).read_to_end(&mut bytes).map_err(unreadable)?;
            whole.update(&bytes);
            // A chunk that fits is one that is wanted, whatever follows it.
            if BlobId::of(&bytes).digest() != part.digest {
                return Err(ObjectsError::Corrupt { id });
            }
            if self.base(part.digest)?.is_none() {
                let mut encoded = Encoded::default();
                let element = element(layout, at, part.bytes);
                let block = coder.encode(&bytes, element, None, &mut encoded.bytes)?;
                encoded.blocks.push(Block { offset: 0, ..block });
                let key = FrameKey::new(FrameKind::Chunk, part.digest);
                let bytes = bytes.len() as u32;
                encoded.records.push(Record { key, block: 0, start: 0, bytes });
                shelf.put(encoded)?;
            }
            at += part.bytes;
        }
        if ObjectId::from(whole.finish()) != id {
            return Err(ObjectsError::Corrupt { id });
        }
        shelf.finish()?;
        self.settle()
    }
}

/// What a part of a file is made of.
fn element(layout: Option<&Layout>, at: u64, bytes: u64) -> Element {
    let regions = layout.map_or(&[][..], |layout| &layout.regions);
    let before = regions.partition_point(|region| region.start <= at);
    match before.checked_sub(1).map(|number| &regions[number]) {
        Some(region) if at + bytes <= region.end => region.element,
        _ => Element::Other,
    }
}
