//! Paths and addresses that a process gives to the system, as they are meant.

use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::calls::Place;
use crate::memory;
use crate::peer;
use crate::resolve::absolute;

/// The path at `place`, absolute; none if it is about a descriptor, or cannot be read.
pub(crate) fn path(
    thread: i32,
    place: Place,
    is_real: &impl Fn() -> bool,
) -> io::Result<Option<PathBuf>> {
    let Some(text) = memory::text(thread, place.path)?.filter(|text| !text.is_empty()) else {
        return Ok(None);
    };
    let folder = if text.starts_with(b"/") {
        Some(PathBuf::from("/"))
    } else if place.folder == libc::AT_FDCWD {
        fs::read_link(format!("/proc/{thread}/cwd")).ok()
    } else {
        descriptor(thread, place.folder)
    };
    let Some(folder) = folder.filter(|_| is_real()) else { return Ok(None) };
    Ok(own_view(thread, absolute(&folder, text)))
}

/// The path behind a descriptor of a process.
pub(crate) fn descriptor(thread: i32, fd: i32) -> Option<PathBuf> {
    let path = fs::read_link(format!("/proc/{thread}/fd/{fd}")).ok()?;
    path.is_absolute().then_some(path)
}

/// The address at `at`, in words.
pub(crate) fn address(thread: i32, at: u64, len: u64) -> io::Result<Option<String>> {
    let mut bytes = [0; peer::MAX_ADDRESS];
    let len = usize::try_from(len).unwrap_or(usize::MAX).min(bytes.len());
    let whole = memory::exactly(thread, at, &mut bytes[..len])?;
    Ok(whole.then(|| peer::describe(&bytes[..len])).flatten())
}

/// The path as the process sees it; none for its own descriptors, which came from other calls.
fn own_view(thread: i32, path: PathBuf) -> Option<PathBuf> {
    // Most paths are neither, and the first bytes say so.
    let bytes = path.as_os_str().as_bytes();
    if !bytes.starts_with(b"/dev/") && !bytes.starts_with(b"/proc/") {
        return Some(path);
    }
    let streams = ["/dev/fd", "/dev/stdin", "/dev/stdout", "/dev/stderr"];
    if streams.iter().any(|stream| path.starts_with(stream)) {
        return None;
    }
    let own = ["/proc/self", "/proc/thread-self"];
    let rest = own.iter().find_map(|own| path.strip_prefix(own).ok());
    let Some(rest) = rest else { return Some(path) };
    match rest.components().next().map(|c| c.as_os_str().as_bytes().to_vec()).as_deref() {
        Some(b"fd" | b"exe" | b"cwd" | b"root") => None,
        _ => Some(Path::new("/proc").join(thread.to_string()).join(rest)),
    }
}
