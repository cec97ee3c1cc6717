//! What is made beside its target and renamed to it; and what is left there by who was killed.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use crate::atomic::{is_unique, new_folder, step, unique};
use crate::error::{At, Result};

/// Age at which what lies beside a target has been left behind, if its process is gone.
const LEFT_BEHIND: Duration = Duration::from_secs(60 * 60);

/// Removes what processes that are gone left beside their targets more than an hour ago. (The same
/// number may be a living process on another host, hence the hour.)
fn sweep_siblings(folder: &Path) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.filter_map(io::Result::ok) {
        let name = entry.file_name();
        let Some(word) = name.to_str().and_then(|n| n.strip_prefix(".lab-")) else { continue };
        let process = word.split('-').next().unwrap_or_default();
        if !is_unique(word)
            || Path::new("/proc").join(process).exists()
            || !cfg!(target_os = "linux")
        {
            continue;
        }
        let age = entry
            .metadata()
            .and_then(|m| m.modified())
            .map(|t| SystemTime::now().duration_since(t));
        if let Ok(Ok(age)) = age
            && age > LEFT_BEHIND
        {
            // Whatever cannot be removed stays for the next time.
            let _ = match entry.file_type() {
                Ok(kind) if kind.is_dir() => fs::remove_dir_all(entry.path()),
                _ => fs::remove_file(entry.path()),
            };
        }
    }
}

/// A folder or file beside `target` that becomes it, or vanishes when dropped before.
#[derive(Debug)]
pub(crate) struct Sibling {
    path: PathBuf,
    placed: bool,
    /// Held while somebody works in the folder.
    lock: Option<File>,
}

impl Sibling {
    /// Reserves a hidden name beside `target`; nothing exists there yet.
    pub(crate) fn of(target: &Path) -> Sibling {
        let path = target.with_file_name(format!(".lab-{}", unique()));
        Sibling { path, placed: false, lock: None }
    }

    /// The same for work that can be gone on with: a folder that another process, which is gone, has
    /// left for the same `work` beside the same target is taken over. Sweeps what else was left.
    pub(crate) fn of_work(target: &Path, work: u64) -> Sibling {
        let named = |process| target.with_file_name(format!(".lab-{process}-{work:016x}"));
        let path = named(std::process::id().to_string());
        let mut lock = None;
        let parent = target.parent().filter(|p| !p.as_os_str().is_empty());
        let parent = parent.unwrap_or(Path::new("."));
        for entry in fs::read_dir(parent).into_iter().flatten().filter_map(io::Result::ok) {
            let file_name = entry.file_name();
            let Some(word) = file_name.to_str().and_then(|n| n.strip_prefix(".lab-")) else {
                continue;
            };
            let Some((process, rest)) = word.split_once('-') else { continue };
            let gone = process == std::process::id().to_string()
                || cfg!(target_os = "linux") && !Path::new("/proc").join(process).exists();
            let left = is_unique(word)
                && rest == format!("{work:016x}")
                && gone
                && entry.file_type().is_ok_and(|kind| kind.is_dir());
            // Held by whoever works in it, on this host or on another.
            if left
                && let Ok(folder) = File::open(entry.path())
                && folder.try_lock().is_ok()
                && (entry.path() == path || fs::rename(entry.path(), &path).is_ok())
            {
                lock = Some(folder);
                break;
            }
        }
        let sibling = Sibling { path, placed: false, lock };
        sweep_siblings(parent);
        sibling
    }

    /// Whether it was taken over.
    pub(crate) fn is_taken_over(&self) -> bool {
        self.lock.is_some()
    }

    /// Makes the folder, and holds it, so that nobody else takes it over.
    pub(crate) fn make_folder(&mut self) -> Result<()> {
        new_folder(&self.path)?;
        let folder = File::open(&self.path).at("open", &self.path)?;
        // A file system without locks has nobody who takes over either.
        if folder.try_lock().is_ok() {
            self.lock = Some(folder);
        }
        Ok(())
    }

    /// Where to put what will be renamed.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Leaves it for whoever goes on with it.
    pub(crate) fn leave(&mut self) {
        self.placed = true;
    }

    /// Renames it to `target`; replaces a file or link that is there, never a folder.
    pub(crate) fn place(mut self, target: &Path) -> Result<()> {
        step(|| fs::rename(&self.path, target)).at("write", target)?;
        self.placed = true;
        Ok(())
    }
}

impl Drop for Sibling {
    fn drop(&mut self) {
        if !self.placed
            && let Ok(meta) = fs::symlink_metadata(&self.path)
        {
            // Dropped because of an error, which is the one to tell. Links are not followed.
            let _ = match meta.is_dir() {
                true => fs::remove_dir_all(&self.path),
                false => fs::remove_file(&self.path),
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_placed_vanishes() {
        let folder = tempfile::tempdir().unwrap();
        let sibling = Sibling::of(&folder.path().join("target"));
        fs::create_dir_all(sibling.path().join("inside")).unwrap();
        drop(sibling);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
