//! A damaged or missing object, stored again from bytes that somebody else has.
//!
//! What is whole stays as it is. Of a large blob whose list is whole only the chunks are stored
//! again that are lost, cut as the list says, so that whatever is stored as a difference to one of
//! them can be read again too; they stand on nothing themselves. Bytes that are not the object are
//! refused.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use lab_encoding::weights::Layout;
use lab_schema::{BlobId, ObjectId};

use crate::error::{At, ObjectsError, Result};
use crate::list::Part;
use crate::read::layout;
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
            return self.fill_in(id, &mut parts.into_iter().map(Ok), source, layout);
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
}
