//! A damaged or missing object, stored again from bytes that somebody else has.
//!
//! What is whole stays as it is. Of a large blob whose list is whole only the chunks are stored
//! again that are lost, cut as the list says, so that whatever is stored as a difference to one of
//! them can be read again too; they stand on nothing themselves. Bytes that are not the object are
//! refused.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use lab_encoding::float::Element;
use lab_encoding::weights::Layout;
use lab_schema::{BlobId, Kind, ObjectId};

use crate::block::{Block, Coder};
use crate::error::{At, ObjectsError, Result};
use crate::frame::{FrameKey, FrameKind};
use crate::list::Part;
use crate::pack::{Encoded, Record};
use crate::read::layout;
use crate::shelf::Shelf;
use crate::source::Random;
use crate::store::Store;

impl Store {
    /// Whether all of the object is here and right; reads it to its end.
    pub fn is_whole(&self, id: ObjectId) -> Result<bool> {
        match self.copy(id, &mut io::sink()) {
            Ok(_) => Ok(true),
            Err(ObjectsError::Damaged { .. } | ObjectsError::Missing { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Stores an object again whose bytes come from `source`. It is durable and whole on return.
    pub fn mend(&self, id: ObjectId, source: &mut dyn Read, layout: Option<&Layout>) -> Result<()> {
        let parts = match id {
            ObjectId::Blob(blob) => self.parts(blob)?,
            _ => None,
        };
        if let Some(parts) = parts {
            return self.mend_chunks(id, &parts, source, layout);
        }
        let mut writer = self.writer();
        writer.trust_nothing();
        writer.put_copy(id, source, layout)?;
        writer.finish()
    }

    /// The same, from a file of which the caller knows that it had these contents.
    pub fn mend_from_file(&self, id: BlobId, path: &Path) -> Result<()> {
        let mut file = File::open(path).at("open", path)?;
        let bytes = file.metadata().at("inspect", path)?.len();
        let layout = layout(&mut Random(&file), bytes)?;
        self.mend(id.into(), &mut file, layout.as_ref())
    }

    /// The chunks of a large blob; none if it is one frame, or its list is damaged or missing.
    fn parts(&self, id: BlobId) -> Result<Option<Vec<Part>>> {
        match self.chunk_list(id) {
            Ok(parts) => Ok(parts),
            Err(ObjectsError::Damaged { .. } | ObjectsError::Missing { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn mend_chunks(
        &self,
        id: ObjectId,
        parts: &[Part],
        source: &mut dyn Read,
        layout: Option<&Layout>,
    ) -> Result<()> {
        let (mut shelf, mut coder) = (Shelf::new(self), Coder::new()?);
        let (mut whole, mut at) = (Kind::Blob.hasher(), 0u64);
        let mut bytes = Vec::new();
        for part in parts {
            bytes.clear();
            let unreadable =
                |source| ObjectsError::Stream { verb: "read what is to be stored", source };
            source.take(part.bytes).read_to_end(&mut bytes).map_err(unreadable)?;
            whole.update(&bytes);
            // A chunk that fits is one that is wanted, whatever follows it.
            if BlobId::of(&bytes).digest() != part.digest {
                return Err(ObjectsError::Corrupt { id });
            }
            let here = match self.fetch(&FrameKey::of_chunk(part.digest)) {
                Ok(found) => found.is_some(),
                Err(ObjectsError::Damaged { .. }) => false,
                Err(error) => return Err(error),
            };
            if !here {
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
