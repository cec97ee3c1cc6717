//! A large file on its way, beside its target: what another process that is gone has left of it is
//! taken up.
//!
//! It lies under a name that follows from the contents, so that whoever wants the same finds it.
//! Nothing in it is believed: who goes on with it hashes what is there. Whoever writes to it holds
//! it locked, and it is renamed, or removed as too old, by nobody else. What lies under the name and
//! is no plain file of ours with one name, or is held, or cannot be locked, is left alone: then
//! there is no partial file, and the target is made as small ones are. A link is never followed.

use std::collections::HashSet;
use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use lab_schema::{BlobId, Digest, ObjectId};
use rustix::fs::OFlags;

use crate::atomic::{is_at, new_file, step};
use crate::error::{At, ObjectsError, Result};

/// Files of more bytes are gone on with.
pub(crate) const LARGE: u64 = 16 << 20;

/// How their names begin.
const PREFIX: &str = ".lab-part-";

/// Age at which nobody will take it up any more.
const LEFT_BEHIND: Duration = Duration::from_secs(24 * 60 * 60);

/// The name under which such a file is made.
pub(crate) fn name_of(id: BlobId, executable: bool) -> OsString {
    let digest = ObjectId::from(id).digest();
    let word = [digest.as_bytes(), &[u8::from(executable)][..]].concat();
    let word = Digest::derive("lab 2026-11-25 partial file", &word).to_string();
    format!("{PREFIX}{}", &word[..16]).into()
}

/// Whether a name could be mistaken for that of a partial file, also where case does not count.
pub(crate) fn is_like_one(name: &[u8]) -> bool {
    name.get(..PREFIX.len()).is_some_and(|head| head.eq_ignore_ascii_case(PREFIX.as_bytes()))
}

/// A large file on its way, which nobody else writes to.
#[derive(Debug)]
pub(crate) struct Partial {
    path: PathBuf,
    /// Locked.
    file: File,
}

impl Partial {
    /// Begins it, or takes up what is there; none if neither is possible.
    pub(crate) fn of(target: &Path, id: BlobId, executable: bool) -> Result<Option<Partial>> {
        let path = target.with_file_name(name_of(id, executable));
        // Another round if somebody else was faster, to begin it or to put it into its place.
        for _ in 0..3 {
            let file = match open(&path, true) {
                Ok(file) => file,
                Err(e) if e.kind() == io::ErrorKind::NotFound => {
                    match new_file(&path, executable) {
                        Ok(file) => file,
                        Err(ObjectsError::Io { source, .. })
                            if source.kind() == io::ErrorKind::AlreadyExists =>
                        {
                            continue;
                        }
                        Err(error) => return Err(error),
                    }
                }
                Err(_) => return Ok(None),
            };
            match held(&file, &path) {
                Held::Ours => return Ok(Some(Partial { path, file })),
                Held::Moved => {}
                Held::No => return Ok(None),
            }
        }
        Ok(None)
    }

    /// Where it lies.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// To write to it, and to read it if it was taken up.
    pub(crate) fn file(&self) -> Result<File> {
        self.file.try_clone().at("open", &self.path)
    }

    /// Renames it to `target`; replaces a file or link that is there, never a folder.
    pub(crate) fn place(self, target: &Path) -> Result<()> {
        step(|| fs::rename(&self.path, target)).at("write", target)
    }

    /// After an error: it stays if the disk or the way to it was to blame, and there is something
    /// to go on with.
    pub(crate) fn fail(self, error: &ObjectsError) {
        let stays = matches!(error, ObjectsError::Io { .. } | ObjectsError::Stream { .. });
        if !stays || self.file.metadata().map_or(true, |meta| meta.len() == 0) {
            // The error that led here is the one to tell.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// What became of an attempt to have a file for oneself.
enum Held {
    Ours,
    /// It is not under its name any more.
    Moved,
    /// It is somebody else's, or nothing to write to.
    No,
}

fn open(path: &Path, write: bool) -> io::Result<File> {
    // What is no file must not be waited for.
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    OpenOptions::new().read(true).write(write).custom_flags(flags.bits() as i32).open(path)
}

/// Locks it and looks whether it can be used. Only then, since whoever had the lock before may have
/// moved it.
fn held(file: &File, path: &Path) -> Held {
    if file.try_lock().is_err() {
        return Held::No;
    }
    match (is_at(file, path), file.metadata()) {
        // Something that has another name too, as in a copy made of links, is not ours alone.
        (Ok(true), Ok(meta)) if meta.nlink() == 1 && Some(meta.uid()) == user() => Held::Ours,
        (Ok(true), _) => Held::No,
        _ => Held::Moved,
    }
}

/// Who this process writes files as.
fn user() -> Option<u32> {
    static USER: std::sync::OnceLock<Option<u32>> = std::sync::OnceLock::new();
    *USER.get_or_init(|| fs::metadata("/proc/self").ok().map(|meta| meta.uid()))
}

/// Removes partial files that nobody has written to for a day, other than those of names that are `wanted`.
pub(crate) fn sweep(folder: &Path, wanted: &HashSet<OsString>) {
    for entry in fs::read_dir(folder).into_iter().flatten().filter_map(io::Result::ok) {
        let (name, path) = (entry.file_name(), entry.path());
        let Some(word) = name.to_str().and_then(|n| n.strip_prefix(PREFIX)) else { continue };
        let is_word = word.len() == 16 && word.bytes().all(|b| b.is_ascii_hexdigit());
        let age = entry.metadata().and_then(|m| m.modified());
        let is_old =
            age.is_ok_and(|at| SystemTime::now().duration_since(at).is_ok_and(|a| a > LEFT_BEHIND));
        // Whatever cannot be removed stays for the next time.
        if is_word
            && is_old
            && !wanted.contains(&name)
            && let Ok(file) = open(&path, false)
            && file.try_lock().is_ok()
            && is_at(&file, &path).is_ok_and(|is| is)
            && file.metadata().is_ok_and(|meta| Some(meta.uid()) == user())
        {
            let _ = fs::remove_file(&path);
        }
    }
}
