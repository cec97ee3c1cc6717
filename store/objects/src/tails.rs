//! The ends of packs, where their tables of contents lie.

use crate::backend::{Key, PackId};
use crate::error::Result;
use crate::frame::Parsed;
use crate::pack::{self, FOOTER_BYTES, Tail};
use crate::store::Store;

/// Bytes at the end of a pack that are read to find its table of contents.
const READ_AHEAD: u64 = 64 << 10;

impl Store {
    /// What a pack holds, from its end. None: it is gone.
    pub(crate) fn read_tail(&self, id: PackId, pack_bytes: u64) -> Result<Option<Parsed<Tail>>> {
        Ok(self.read_tails(&[(id, pack_bytes)])?.pop().flatten())
    }

    /// The same of packs of so many bytes each, whose ends are asked for together.
    pub(crate) fn read_tails(&self, packs: &[(PackId, u64)]) -> Result<Vec<Option<Parsed<Tail>>>> {
        let kept: Vec<Option<Tail>> = packs
            .iter()
            .map(|(id, bytes)| self.ends().and_then(|ends| ends.find(*id, *bytes)))
            .collect();
        // Most tails are shorter than this, so that one read is enough.
        let lacking = packs.iter().zip(&kept).filter(|(_, kept)| kept.is_none());
        let ends: Vec<(Key, u64, u64)> = lacking
            .map(|((id, bytes), _)| {
                let len = READ_AHEAD.min(*bytes);
                (Key::Pack(*id), bytes - len, len)
            })
            .collect();
        let mut ends = self.backend().read_ranges(&ends)?.into_iter();
        let all = packs.iter().zip(kept).map(|((id, bytes), kept)| match kept {
            Some(tail) => Ok(Some(Ok(tail))),
            None => self.tail(*id, *bytes, ends.next().flatten()),
        });
        all.collect()
    }

    fn tail(
        &self,
        id: PackId,
        pack_bytes: u64,
        end: Option<Vec<u8>>,
    ) -> Result<Option<Parsed<Tail>>> {
        let Some(end) = end else { return Ok(None) };
        let footer = &end[end.len().saturating_sub(FOOTER_BYTES)..];
        let len = match pack::tail_len(footer, pack_bytes) {
            Ok(len) => len,
            Err(why) => return Ok(Some(Err(why))),
        };
        if len <= end.len() as u64 {
            let tail = end[end.len() - len as usize..].to_vec();
            return Ok(Some(self.parsed(id, tail, pack_bytes)));
        }
        let whole = self.backend().read_range(&Key::Pack(id), pack_bytes - len, len)?;
        Ok(whole.map(|tail| self.parsed(id, tail, pack_bytes)))
    }

    fn parsed(&self, id: PackId, tail: Vec<u8>, pack_bytes: u64) -> Parsed<Tail> {
        let checked = pack::check_tail(id, &tail, pack_bytes)?;
        if let Some(ends) = self.ends() {
            ends.keep(id, &tail);
        }
        Ok(checked.of(tail))
    }
}
