//! Copies of files that were read and are about to be changed.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::record::{Stamp, Thing};

/// A folder of copies.
pub(crate) struct Spool {
    folder: PathBuf,
    copies: u64,
}

impl Spool {
    pub(crate) fn new(folder: PathBuf) -> Spool {
        Spool { folder, copies: 0 }
    }

    /// Copies the file at `real`, which we find at `ours`, and which was met as `thing` says and is still
    /// so; where the copy is. Else what the record lacks, in words.
    pub(crate) fn keep(
        &mut self,
        real: &Path,
        ours: &Path,
        thing: &Thing,
    ) -> Result<PathBuf, String> {
        let is_still = || {
            let now = fs::symlink_metadata(ours).map(|meta| Stamp::new(&meta));
            now.map(|now| thing.is_still(&now))
        };
        let copy = self.folder.join(self.copies.to_string());
        self.copies += 1;
        // Somebody else may change it before it is copied, or while it is.
        let copied = || -> io::Result<bool> {
            Ok(is_still()? && fs::copy(ours, &copy).map(|_| true)? && is_still()?)
        };
        let path = real.display();
        match copied() {
            Ok(true) => Ok(copy),
            Ok(false) => Err(format!("'{path}' was changed by somebody else after it was read")),
            Err(e) => Err(format!(
                "'{path}' was read and then changed, and could not be copied before: {e}"
            )),
        }
    }
}
