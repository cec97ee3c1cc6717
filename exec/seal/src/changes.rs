//! How an overlay notes in its upper folder what is gone from the lower one (overlayfs in the
//! kernel's documentation, "whiteouts and opaque directories").

use std::ffi::CString;
use std::fs::Metadata;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

use crate::sys;

/// Whether something in an upper folder says that what is below it is gone.
pub fn is_whiteout(meta: &Metadata) -> bool {
    meta.file_type().is_char_device() && meta.rdev() == 0
}

/// Whether a folder in an upper folder hides all that the lower one has in it.
pub fn is_opaque(folder: &Path) -> bool {
    let Ok(path) = CString::new(folder.as_os_str().as_bytes()) else { return false };
    let mut room = [0; 8];
    sys::attribute(&path, c"user.overlay.opaque", &mut room) == Some(b"y")
}
