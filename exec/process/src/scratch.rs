//! The folder of one run: made fresh, removed at the end, whatever happens in between.
//!
//! ```text
//!   SCRATCH/0a1b2c00/work     the code tree, with the inputs over it
//!                   /tmp      the command's TMPDIR
//!                   /spool    copies of what it read and then changed
//!                   /probe    what it told of itself
//!                   /lock     locked while the run is under way
//!                   /stdout   what it printed, before it becomes a blob
//!                   /stderr
//! ```
//!
//! What a killed process left is removed by the next run: its lock is free.
//!
//! Names are short and of one length: sockets in TMPDIR may have paths of 107 bytes at most, and
//! a path that varies in length is a difference between runs that nobody wants.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::error::{At, Result};
use crate::note::Note;

/// How many runs one process may have under way at one time.
const MAX_RUNS: u32 = 256;

/// The file that tells whether a run is under way.
const LOCK: &str = "lock";

/// Removes the folders of runs whose process is gone. What cannot be removed stays for the next
/// run to try: it is only in the way of the disk.
fn sweep(parent: &Path) {
    let Ok(entries) = fs::read_dir(parent) else { return };
    for path in entries.filter_map(Result::ok).map(|entry| entry.path()) {
        let Ok(lock) = File::open(path.join(LOCK)) else { continue };
        if lock.try_lock().is_ok() {
            let _ = remove(&path);
        }
    }
}

/// A run's folder.
pub(crate) struct Scratch {
    path: PathBuf,
    removed: bool,
    /// Locked until this is dropped.
    _lock: File,
}

impl Scratch {
    /// Makes a new folder in `parent`, which is made too if it is absent.
    pub(crate) fn new(parent: &Path) -> Result<Scratch> {
        fs::create_dir_all(parent).at("create the folder", parent)?;
        // Absolute, since it is looked at from another folder.
        let parent = parent.canonicalize().at("find", parent)?;
        sweep(&parent);
        let process = std::process::id() & 0xff_ffff;
        for n in 0..MAX_RUNS {
            let path = parent.join(format!("{process:06x}{n:02x}"));
            match fs::create_dir(&path) {
                Ok(()) => {
                    let lock = path.join(LOCK);
                    let file = File::create(&lock).at("create", &lock)?;
                    file.lock().at("lock", &lock)?;
                    let scratch = Scratch { path, removed: false, _lock: file };
                    for folder in [scratch.tmp(), scratch.spool(), scratch.probe()] {
                        fs::create_dir(&folder).at("create the folder", &folder)?;
                    }
                    return Ok(scratch);
                }
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
                Err(e) => return Err(e).at("create the folder", &path),
            }
        }
        Err(io::Error::from(io::ErrorKind::AlreadyExists)).at("find a free name in", &parent)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn work(&self) -> PathBuf {
        self.path.join("work")
    }

    pub(crate) fn tmp(&self) -> PathBuf {
        self.path.join("tmp")
    }

    pub(crate) fn spool(&self) -> PathBuf {
        self.path.join("spool")
    }

    pub(crate) fn probe(&self) -> PathBuf {
        self.path.join("probe")
    }

    pub(crate) fn stdout(&self) -> PathBuf {
        self.path.join("stdout")
    }

    pub(crate) fn stderr(&self) -> PathBuf {
        self.path.join("stderr")
    }

    /// Removes the folder; a note if it could not be.
    pub(crate) fn remove_or_note(self) -> Option<Note> {
        let path = self.path.clone();
        self.remove().err().map(|e| Note::ScratchLeft { path, why: e.to_string() })
    }

    /// Removes the folder; dropping does too, but cannot say that it failed.
    pub(crate) fn remove(mut self) -> io::Result<()> {
        self.removed = true;
        remove(&self.path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if !self.removed {
            // An error is on its way already, and it is the one that matters.
            let _ = remove(&self.path);
        }
    }
}

/// Removes a folder, also one with folders in it that nobody may write to.
pub(crate) fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_dir_all(path) {
        Err(e) if e.kind() == io::ErrorKind::PermissionDenied => {
            unlock(path)?;
            fs::remove_dir_all(path)
        }
        done => done,
    }
}

/// Makes every folder below `path` writable for its owner.
fn unlock(path: &Path) -> io::Result<()> {
    let mut folders = vec![path.to_owned()];
    while let Some(folder) = folders.pop() {
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o700))?;
        for entry in fs::read_dir(&folder)? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                folders.push(entry.path());
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_locked_folder_is_removed() {
        let dir = tempfile::tempdir().unwrap();
        let scratch = Scratch::new(&dir.path().join("a/b")).unwrap();
        let inner = scratch.path().join("locked/inner");
        fs::create_dir_all(&inner).unwrap();
        fs::write(inner.join("file"), "x").unwrap();
        for folder in [inner.as_path(), inner.parent().unwrap()] {
            fs::set_permissions(folder, fs::Permissions::from_mode(0o000)).unwrap();
        }
        let path = scratch.path().to_owned();
        // As root nothing is locked: do what would be done after a refusal.
        unlock(&path).unwrap();
        scratch.remove().unwrap();
        assert!(!path.exists());
    }

    #[test]
    fn two_runs_have_two_folders_and_dropping_removes_them() {
        let dir = tempfile::tempdir().unwrap();
        let (a, b) = (Scratch::new(dir.path()).unwrap(), Scratch::new(dir.path()).unwrap());
        assert_ne!(a.path(), b.path());
        assert_eq!(a.path().as_os_str().len(), b.path().as_os_str().len());
        drop((a, b));
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_scratch_that_cannot_be_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        fs::write(&file, "").unwrap();
        let error = Scratch::new(&file).err().unwrap().to_string();
        assert!(error.contains(&file.display().to_string()), "{error}");
    }
}
