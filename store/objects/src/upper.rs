//! Objects other than file contents on their way into packs: trees, lists, recipes, runs. Small as
//! they are, they share blocks, in the order in which they may become visible.

use lab_encoding::float::Element;

use crate::block::{self, Coder};
use crate::error::Result;
use crate::frame::FrameKey;
use crate::pack::{Encoded, Record};
use crate::pipeline::Pipeline;

/// Objects that are to share a block.
#[derive(Default)]
pub(crate) struct Upper {
    coder: Option<Coder>,
    raw: Vec<u8>,
    encoded: Encoded,
}

impl Upper {
    /// Adds a frame; the caller has claimed it, and what it is made of is packed.
    pub(crate) fn put(&mut self, to: &Pipeline, key: FrameKey, bytes: &[u8]) -> Result<()> {
        if self.raw.len() + bytes.len() > block::TARGET {
            self.flush(to)?;
        }
        let start = self.raw.len() as u32;
        self.raw.extend_from_slice(bytes);
        let bytes = bytes.len() as u32;
        self.encoded.records.push(Record { key, block: 0, start, bytes });
        Ok(())
    }

    /// Packs what has come together.
    pub(crate) fn flush(&mut self, to: &Pipeline) -> Result<()> {
        let Upper { coder, raw, encoded } = self;
        if encoded.records.is_empty() {
            return Ok(());
        }
        let coder = match coder {
            Some(coder) => coder,
            none => none.insert(Coder::new()?),
        };
        encoded.blocks.push(coder.encode(raw, Element::Other, None, &mut encoded.bytes)?);
        to.pack(encoded)?;
        raw.clear();
        *encoded = Encoded::default();
        Ok(())
    }
}

impl std::fmt::Debug for Upper {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Upper({} bytes)", self.raw.len())
    }
}
