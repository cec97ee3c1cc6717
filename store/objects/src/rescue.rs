//! What is about to be removed, kept after all, by storing it again.
//!
//! Taking the mark off a pack is the collector's alone: it may have decided to remove the pack, and
//! be about to. Whoever wants to point at something that lies in a marked pack therefore copies it
//! into a pack of its own first. What is gone already is missing, and said to be.

use std::collections::HashSet;
use std::io::Read;

use lab_schema::codec::MAX_OBJECT_BYTES;
use lab_schema::{Kind, ObjectId};

use crate::error::{ObjectsError, Result};
use crate::store::Store;

impl Store {
    /// Sees to it that these objects, and all that they need by hash, are not in packs that are to be
    /// removed. Costs nothing while there are none. What is missing altogether is passed over, except
    /// for the objects themselves; for who holds a [lease](Store::lease).
    pub fn rescue(&self, ids: &[ObjectId]) -> Result<()> {
        // The catalog must not be held while things are stored.
        let has_condemned = self.catalog().has_condemned();
        if has_condemned { self.rescued(ids, false) } else { Ok(()) }
    }

    /// The same for what a name is to point at: of that nothing may be missing but what was
    /// [left out](Store::promised). A collector that broke off may have left a part of something.
    pub(crate) fn rescue_whole(&self, id: ObjectId) -> Result<()> {
        let has_condemned = self.catalog().has_condemned();
        // Otherwise: what was put was put with all its parts, and they go together.
        if has_condemned { self.rescued(&[id], true) } else { Ok(()) }
    }

    /// The same for what somebody else says that a name is to point at: whether all of it is here is seen
    /// to in any case.
    pub(crate) fn rescue_of_others(&self, id: ObjectId) -> Result<()> {
        self.rescued(&[id], true)
    }

    fn rescued(&self, ids: &[ObjectId], whole: bool) -> Result<()> {
        let mut seen: HashSet<ObjectId> = ids.iter().copied().collect();
        let mut open: Vec<(ObjectId, bool)> = ids.iter().map(|id| (*id, false)).collect();
        let (mut writer, here) = (self.writer(), self.alone());
        // An object is put after what it needs, so that it comes up a second time.
        while let Some((id, ready)) = open.pop() {
            if ready || id.kind() == Kind::Blob {
                if self.keeps(id)? {
                    continue;
                }
                match here.open_object(id)? {
                    Some(mut source) => {
                        let layout = match id {
                            ObjectId::Blob(blob) => here.layout(blob)?,
                            _ => None,
                        };
                        writer.put_copy(id, &mut source, layout.as_ref())?;
                    }
                    None if ids.contains(&id) || whole && self.promised(id)?.is_none() => {
                        return Err(ObjectsError::Missing { id });
                    }
                    None => {}
                }
                continue;
            }
            open.push((id, true));
            let Some(source) = here.open_object(id)? else {
                match whole {
                    true => return Err(ObjectsError::Missing { id }),
                    false => continue,
                }
            };
            let mut bytes = Vec::new();
            let unreadable = |source| ObjectsError::Stream { verb: "read an object", source };
            source.take(MAX_OBJECT_BYTES).read_to_end(&mut bytes).map_err(unreadable)?;
            for link in lab_schema::object::links(id.kind(), &bytes)? {
                if seen.insert(link) {
                    open.push((link, false));
                }
            }
        }
        writer.finish()
    }
}
