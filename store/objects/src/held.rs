//! A lease in a folder: a file under a name of its own that is locked while its process lives.
//!
//! The kernel lets go of the lock when the process ends, however it ends, so nobody has to guess
//! from an age or a process number whether it lives, on this host or another. A file that nobody
//! holds is removed by the next collector.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::atomic::{host, is_at, is_unique, step, unique};
use crate::error::{At, Result};

/// A file under a name of its own that is locked while its process lives.
#[derive(Debug)]
pub(crate) struct Held {
    path: PathBuf,
    _file: File,
}

/// What the name of a [`Held`] file starts with.
const LEASE: &str = "lease-";

impl Held {
    /// Holds a new file in `folder`.
    pub(crate) fn new(folder: &Path) -> Result<Held> {
        loop {
            let path = folder.join(format!("{LEASE}{}", unique()));
            let mut options = OpenOptions::new();
            let open = || options.read(true).write(true).create_new(true).open(&path);
            let mut file = step(open).at("create", &path)?;
            // Whoever looks for the dead could have taken it for one before it was locked.
            let held = match file.try_lock() {
                Ok(()) => is_at(&file, &path).unwrap_or(false),
                Err(TryLockError::WouldBlock) => false,
                Err(TryLockError::Error(source)) => {
                    let _ = fs::remove_file(&path);
                    return Err(source).at("lock", &path);
                }
            };
            let text = format!("process {} on {}\n", std::process::id(), host());
            let written = step(|| file.write_all(text.as_bytes())).at("write", &path);
            let held_file = Held { path, _file: file };
            written?;
            if held {
                return Ok(held_file);
            }
        }
    }

    /// Who holds a file in `folder`, and since when. Removes what nobody holds, if `sweep` is set.
    pub(crate) fn all(folder: &Path, sweep: bool) -> Result<Vec<(SystemTime, String)>> {
        let mut living = Vec::new();
        for entry in fs::read_dir(folder).at("list", folder)? {
            let entry = entry.at("list", folder)?;
            let (name, path) = (entry.file_name(), entry.path());
            let ours = name.to_str().and_then(|n| n.strip_prefix(LEASE)).is_some_and(is_unique);
            if !ours || !entry.file_type().at("inspect", &path)?.is_file() {
                continue;
            }
            // Somebody else's may not be written to; then reading has to be enough to lock it.
            let file = OpenOptions::new().read(true).write(true).open(&path);
            let file = match file.or_else(|_| File::open(&path)) {
                Err(e) if e.kind() == io::ErrorKind::NotFound => continue,
                file => file.at("open", &path)?,
            };
            let since = file.metadata().and_then(|m| m.modified()).at("inspect", &path)?;
            if file.try_lock().is_err() {
                let mut holder = String::new();
                // Who it is only matters to people.
                let _ = (&file).take(200).read_to_string(&mut holder);
                living.push((since, holder.trim().escape_debug().to_string()));
            } else if sweep {
                // Whatever cannot be removed stays for the next time.
                let _ = step(|| fs::remove_file(&path));
            }
        }
        Ok(living)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        // What remains is held by nobody, and a collector removes it.
        let _ = fs::remove_file(&self.path);
    }
}
