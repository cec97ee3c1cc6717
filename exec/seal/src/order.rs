//! The order in which folders are listed.
//!
//! An overlay lists a folder that several of its layers have in the order of the lowest one; names
//! that only the others have come after. So the lowest layer is a tmpfs that holds nothing but
//! names: empty files and folders, which those of the layer above hide. A tmpfs lists by age, the
//! latest first or last: which, is looked at, since it has changed between kernels.

use std::ffi::{CStr, CString, OsString};
use std::io;
use std::path::{Path, PathBuf};

use crate::places::{invalid, plain, text};
use crate::sys;

/// A folder of the root, and its names in the order in which they are to be listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listing {
    /// The folder, absolute. It and all above it are folders in the root, and no links.
    pub folder: PathBuf,
    /// Its names, and whether each is a folder in the root. All are there: a name that is not would appear
    /// in the box.
    pub names: Vec<(OsString, bool)>,
}

/// Laid out before the fork.
pub(crate) struct Order {
    folders: Vec<Folder>,
}

struct Folder {
    /// Itself, and what is above it, from the top.
    way: Vec<CString>,
    names: Vec<(CString, bool)>,
}

/// Where the layer is, below the base folder.
pub(crate) const ORDER: &str = "order";

const FIRST: &CStr = c"order/.first";
const SECOND: &CStr = c"order/.second";

impl Order {
    /// None if no folder has an order.
    pub(crate) fn new(listings: &[Listing]) -> io::Result<Option<Order>> {
        let mut listings: Vec<&Listing> = listings.iter().collect();
        // What is above comes first: else what lies below would be made out of turn.
        listings.sort_by_key(|listing| &listing.folder);
        let folders = listings.into_iter().map(Folder::new).collect::<io::Result<Vec<_>>>()?;
        Ok((!folders.is_empty()).then_some(Order { folders }))
    }

    /// Makes the layer. Allocates nothing.
    pub(crate) fn lay(&self) -> io::Result<()> {
        // Names take no pages; how many there are is for the caller to bound.
        let options = c"mode=755,size=1m,nr_inodes=0";
        let flags = libc::MS_NOSUID | libc::MS_NODEV | libc::MS_NOEXEC;
        sys::mount(c"tmpfs", c"order", Some(c"tmpfs"), flags, Some(options))?;
        sys::touch(FIRST)?;
        sys::touch(SECOND)?;
        let latest_first = sys::lists_before(c"order", c".second", c".first")?;
        sys::remove(FIRST)?;
        sys::remove(SECOND)?;
        for Folder { way, names } in &self.folders {
            for folder in way {
                make(folder, true)?;
            }
            let count = names.len();
            for at in 0..count {
                let (name, folder) = &names[if latest_first { count - 1 - at } else { at }];
                make(name, *folder)?;
            }
        }
        Ok(())
    }
}

impl Folder {
    fn new(listing: &Listing) -> io::Result<Folder> {
        let below = plain(&listing.folder)?;
        let top = Path::new(ORDER);
        let mut way: Vec<&Path> =
            below.ancestors().filter(|path| !path.as_os_str().is_empty()).collect();
        way.reverse();
        let place = |path: &Path| text(top.join(path).as_os_str());
        let name = |(name, folder): &(OsString, bool)| {
            let path = Path::new(name);
            if path.file_name() != Some(name) {
                return Err(invalid(path));
            }
            Ok((place(&below.join(path))?, *folder))
        };
        Ok(Folder {
            way: way.into_iter().map(place).collect::<io::Result<_>>()?,
            names: listing.names.iter().map(name).collect::<io::Result<_>>()?,
        })
    }
}

/// Something empty; it may be there already.
fn make(path: &CStr, folder: bool) -> io::Result<()> {
    let made = if folder { sys::make_folder(path, 0o755) } else { sys::touch(path) };
    made.or_else(|e| if e.raw_os_error() == Some(libc::EEXIST) { Ok(()) } else { Err(e) })
}
