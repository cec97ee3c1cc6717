//! How what is got comes into its place: made there if nobody sees it yet, else beside it and renamed.
//!
//! Small files are made anew, large ones as partial files that are gone on with. What lies in the
//! cache of files as they are is taken from there. Folders are never replaced by files.

use std::fs::{self, File};
use std::io;
use std::path::Path;

use crate::atomic;
use crate::error::{At, Result};
use crate::partial::{self, Partial};
use crate::raw::RawCache;
use crate::restore::Wanted;
use crate::sibling::Sibling;

/// How files come into their places.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// Nothing is there yet.
    Fresh,
    /// Something is there that a process that is gone has left, for nobody but us.
    GoOn,
    /// Somebody's folder is there, in which every file is whole at any time.
    Merge,
}

/// What is at `path` itself, without following a link; none if nothing is.
pub(crate) fn inspect(path: &Path) -> Result<Option<fs::Metadata>> {
    match fs::symlink_metadata(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        found => found.at("inspect", path).map(Some),
    }
}

/// Writes the contents into a file that was made; returns their bytes.
pub(crate) type Fill<'a> = &'a mut dyn FnMut(File, &Path) -> Result<u64>;

/// Makes a file that is begun anew if it is not finished.
pub(crate) fn small(
    wanted: &Wanted,
    way: Way,
    raw: Option<&RawCache>,
    fill: Fill<'_>,
) -> Result<u64> {
    in_place(&wanted.path, way, |path| {
        if let Some(raw) = raw
            && let Some(bytes) = raw.provide(wanted, path)?
        {
            return Ok(bytes);
        }
        let bytes = fill(atomic::new_file(path, wanted.executable)?, path)?;
        keep(raw, wanted, path);
        Ok(bytes)
    })
}

/// Makes a file that is gone on with if it is not finished.
pub(crate) fn large(
    wanted: &Wanted,
    way: Way,
    raw: Option<&RawCache>,
    fill: Fill<'_>,
) -> Result<u64> {
    // What is left, and not taken up, would become a part of the folder.
    let unused = || match way {
        Way::GoOn => {
            let name = partial::name_of(wanted.id, wanted.executable);
            atomic::remove(&wanted.path.with_file_name(name)).map(drop)
        }
        Way::Fresh | Way::Merge => Ok(()),
    };
    if let Some(raw) = raw {
        let sibling = Sibling::of(&wanted.path);
        if let Some(bytes) = raw.provide(wanted, sibling.path())? {
            sibling.place(&wanted.path)?;
            return unused().map(|()| bytes);
        }
    }
    let Some(partial) = Partial::of(&wanted.path, wanted.id, wanted.executable)? else {
        unused()?;
        return small(wanted, way, raw, fill);
    };
    match partial.file().and_then(|file| fill(file, partial.path())) {
        Ok(bytes) => {
            keep(raw, wanted, partial.path());
            partial.place(&wanted.path)?;
            Ok(bytes)
        }
        Err(error) => {
            partial.fail(&error);
            Err(error)
        }
    }
}

/// The file is there. A cache that cannot be written, as in a registry that can only be read, is
/// one that stays empty.
fn keep(raw: Option<&RawCache>, wanted: &Wanted, path: &Path) {
    let _ = raw.map(|raw| raw.keep(wanted, path));
}

/// Makes a folder where none is.
pub(crate) fn make_folder(path: &Path, way: Way) -> Result<()> {
    if way != Way::Fresh
        && let Some(meta) = inspect(path)?
    {
        if meta.is_dir() {
            return Ok(());
        }
        // Planned only with `force`: a file or link in the way.
        atomic::remove(path)?;
    }
    atomic::new_folder(path)
}

/// Makes something directly at `path` if nobody but us sees it, else beside it and renames.
pub(crate) fn in_place<T>(
    path: &Path,
    way: Way,
    make: impl FnOnce(&Path) -> Result<T>,
) -> Result<T> {
    match way {
        Way::Fresh => make(path),
        Way::GoOn => {
            atomic::remove(path)?;
            make(path)
        }
        Way::Merge => {
            let sibling = Sibling::of(path);
            let made = make(sibling.path())?;
            sibling.place(path)?;
            Ok(made)
        }
    }
}
